# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_undo: the stable version comes back exactly as it was. It is also the repair of what others left behind.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ..cluster.api import Api
from ..rollout import patches
from ..rollout import record as records
from ..rollout.describe import still_terminating
from ..rollout.patches import Fields, Plan
from ..rollout.phase import Phase, Situation, diagnose, holds
from ..rollout.progress import Done, towards_stable, with_terminated
from ..rollout.record import Intent, Originals, Record, StableIdentity
from ..rollout.refusal import Code, Refusal
from ..rollout.template import digest
from ..rollout.views import Deployment, Strategy
from .completion import finish, finish_leftover, foretell, give_back_orphans
from .ending import Account, accounted
from .outcome import Outcome, Report
from .promote import patience_with
from .requests import Restore, UndoRequest
from .site import Site
from .waiting import wait
from .writing import Written, rehearse, write

UNFINISHED = "The undo goes on in the cluster: run canary_undo again to wait for it and to clean up."


def undo(api: Api, request: UndoRequest, report: Report) -> Outcome:
    site, call = Site(api, request.call.target), request.call
    with accounted(site) as account:
        picture = site.look()
        if diagnose(picture).phase is not Phase.PROMOTING:  # which is undone, however far it came
            picture = finish_leftover(account, picture, call.actor, check=call.check)
        situation = account.looked(diagnose(picture))
        if situation.phase is Phase.NONE:
            give_back_orphans(account, check=call.check)
            done = "an earlier release was cleaned up" if account.changed else "no canary is held: nothing to undo"
            return account.outcome(done, situation)
        act = rehearse if call.check else write
        written = act(site, picture, lambda current: _decide(current, request, site.now()))
        account.wrote(written.plan)
        if call.check:
            foretell(account, written.situation, call.actor)
            return account.outcome("would bring the stable version back")
        situation = account.looked(_as_stored(account, written))
        if situation.phase is Phase.NONE:
            give_back_orphans(account, check=False)
            return account.outcome("what was left of a release was removed", situation)
        if not call.wait.enabled:
            return account.outcome("the undo is under way; run canary_undo again to finish it", situation)
        return _finished(account, situation, request, report)


def _as_stored(account: Account, written: Written) -> Situation:
    """Admission may have changed the stable template on its way back: the record must name what was stored."""
    situation = written.situation
    record, stored = situation.record, digest(situation.deployment.template)
    if written.plan is None or record is None or record.intent is not Intent.UNDO or stored == record.stable.digest:
        return situation
    account.warn(
        "an admission webhook or policy changed the stable pod template on its way back, so that its pods are replaced by new ones"
    )
    corrected = replace(record, stable=replace(record.stable, digest=stored))

    def correct(current: Situation) -> Plan | None:
        if digest(current.deployment.template) != stored:
            return None
        return patches.corrected(current.deployment, corrected)

    return write(account.site, written.picture, correct).situation


def _finished(account: Account, situation: Situation, request: UndoRequest, report: Report) -> Outcome:
    record, call = situation.record, request.call
    if record is None:
        raise _damaged(situation)
    waited = wait(
        account.site,
        replace(situation.picture, pods=None),
        judge=lambda now: with_terminated(towards_stable(now, record.stable.digest), now, call.wait.terminated),
        hint=_no_canary_pod,
        patience=patience_with(situation.deployment, call),
        report=report,
    )
    if not isinstance(waited.progress, Done):
        raise account.unsuccessful(waited, UNFINISHED)
    done = finish(account, account.looked(waited.situation), call.actor)
    if request.restore is not None:
        give_back_orphans(account, check=False)  # a record that is lost named no autoscaler either
    why = f" ({record.reason})" if record.reason else ""
    return account.outcome(f"undone{why}: {waited.progress.why}{still_terminating(done.picture)}", done)


def _no_canary_pod(situation: Situation) -> bool:
    status = situation.deployment.status
    return situation.deployment.observed and status.updated == status.replicas


def _decide(situation: Situation, request: UndoRequest, now: str) -> Plan | None:
    if situation.phase is Phase.UNDOING:
        return None
    if situation.phase is Phase.DAMAGED and situation.record is None and not holds(situation.deployment):
        return _forget(situation)
    record = situation.record or _record_of_user(situation, request, now)
    if situation.stable is None:
        if digest(situation.deployment.template) != record.canary:
            return patches.let_go(situation.deployment, record)
        raise Refusal(
            Code.NO_STABLE,
            f'the stable ReplicaSet "{record.stable.replica_set}" of Deployment "{situation.deployment.name}" is gone, '
            "and with it the pod template to come back to",
            "Keep the canary with canary_promote, or apply the manifest of the version that you want and then run canary_undo "
            "again to clean up",
        )
    return patches.undo(situation, situation.stable, record, request.reason)


def _forget(situation: Situation) -> Plan:
    """No pod is held and nothing is known of a release: only its marks are left."""
    return patches.plan(
        situation.deployment,
        Fields(annotations={records.RECORD: None}, labels={records.LIVE: None}),
        "remove what is left of a release",
    )


def _record_of_user(situation: Situation, request: UndoRequest, now: str) -> Record:
    """Where no record is left, only the user knows the Deployment's own fields."""
    restore, stable, deployment = request.restore, situation.stable, situation.deployment
    if restore is None or stable is None:
        raise _damaged(situation)
    missing = [name for name, value in vars(restore).items() if value is None]
    if missing:
        raise Refusal(
            Code.DAMAGED,
            f"restore lacks {', '.join(missing)}, and no record says what they were",
            "Give all of them; Kubernetes' own defaults are min_ready_seconds 0, progress_deadline_seconds 600, "
            "max_surge 25%, max_unavailable 25%",
        )
    return Record(
        uid=deployment.uid,
        intent=Intent.UNDO,
        originals=_originals(restore, deployment),
        stable=StableIdentity(stable.name, stable.uid, stable.hash, digest(stable.template)),
        asked=digest(deployment.template),
        canary=digest(deployment.template),
        pods=situation.hold.pods if situation.hold else 1,
        surge=situation.hold.surge if situation.hold else 1,
        max_unavailable=0 if situation.hold is None or situation.hold.surge else 1,
        replicas=deployment.replicas,
        started_at=now,
        started_by=request.call.actor,
    )


def _originals(restore: Restore, deployment: Deployment) -> Originals:
    return Originals(
        min_ready_seconds=restore.min_ready_seconds or 0,
        progress_deadline_seconds=restore.progress_deadline_seconds,
        strategy=Strategy("RollingUpdate", restore.max_surge, restore.max_unavailable),
        change_cause=deployment.annotations.get(records.CHANGE_CAUSE),
    )


def _damaged(situation: Situation) -> Refusal:
    found = situation.deployment.annotations.get(records.RECORD)
    return Refusal(
        Code.DAMAGED,
        f'Deployment "{situation.deployment.name}" is left with parts of a hold, and {situation.why}',
        "Run canary_undo with restore: min_ready_seconds, progress_deadline_seconds, max_surge and max_unavailable as the "
        "Deployment had them" + (f" (the annotation {records.RECORD} may still show them to you)" if found else ""),
    )
