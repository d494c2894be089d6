# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a release: what a promote or an undo has left to put back once the pods have moved.

Autoscaler first, record last: a crash in between leaves the record, and any later verb comes here again.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

from ...cluster.errors import ApiError
from ...rollout import patches
from ...rollout.identity import hash_of
from ...rollout.last import OVERTAKEN, PROMOTED, UNDONE, Before, LastRelease, version_before
from ...rollout.notices import let_go
from ...rollout.patches import Plan
from ...rollout.phase import Phase, Situation, diagnose, holds
from ...rollout.progress import Done, Progress, towards_rollout, towards_stable
from ...rollout.record import Intent, Record, same_release
from ...rollout.refusal import Code, Refusal
from ...rollout.template import images
from ...rollout.views import Deployment, Picture, ReplicaSet
from ..call.ending import Account
from ..call.outcome import quietly
from ..call.writing import Otherwise, rehearse, write
from ..routing.finding import of_record
from ..routing.returning import leave
from .ownership import disown, disown_routes
from .pins import give_back_of

UNDONE_EVENT = "CanaryUndone"
OUTCOMES = {Intent.PROMOTE: PROMOTED, Intent.UNDO: UNDONE}


def judge_for(record: Record) -> Callable[[Situation], Progress]:
    """What a promote or an undo with this record waits for."""
    if record.intent is Intent.PROMOTE:
        return lambda situation: towards_rollout(situation, record.canary)
    return lambda situation: towards_stable(situation, record.stable.digest)


def finish(account: Account, situation: Situation, actor: str, *, check: bool = False) -> Situation:
    """The second patch, after the pods have moved; returns the situation after it, or (`check`) as it would be."""
    record = situation.record
    if record is None:
        return situation
    if record.intent is Intent.HOLD:
        name = situation.deployment.name
        raise Refusal(
            Code.BUSY,
            f'somebody holds a canary of Deployment "{name}" again, so that nothing is there to clean up',
            "Look at it with canary_info",
        )
    routes = of_record(account, record, quietly)
    if routes is not None and not check:
        account.looked(situation)
        leave(routes)
        disown_routes(account, record)
    if record.pinned and not check:
        give_back_of(account, record, record.pinned, situation.picture)
    last = _last(account, situation, record, actor)

    def decide(current: Situation) -> Plan | None:
        found = current.record
        if found is None or not same_release(found, record) or found.intent is not record.intent:
            return None
        if current.phase is Phase.FROZEN:
            raise _paused_at_the_end(current.deployment)
        return patches.finish(current, record, last)

    pods = situation.picture.pods
    act = rehearse if check else write
    # Whatever comes back is better than a canary that stays; what was promoted is what was looked at, or is not cleaned up.
    promotes = record.intent is Intent.PROMOTE and situation.phase is not Phase.FOREIGN
    otherwise = Otherwise.TRIED if promotes else Otherwise.IS_TOLD
    written = act(account.site, situation.picture, decide, lambda: account.site.look(pods=pods is not None), otherwise)
    account.wrote(written.plan)
    if written.plan is not None and not check:
        disown(account, written.picture)
    if written.plan is not None and not check and record.intent is Intent.UNDO and record.reason:
        what = f"canary of {', '.join(last.images.values())} was undone"
        tell_why(account, written.picture.deployment, UNDONE_EVENT, what, last)
    ended = account.looked(diagnose(replace(written.picture, pods=written.picture.pods or pods)))
    account.warn(*let_go(ended))
    return ended


def _paused_at_the_end(deployment: Deployment) -> Refusal:
    """Whoever pauses a release may be about to take it back; cleaned up, it would be over, and the Deployment paused."""
    return Refusal(
        Code.PAUSED,
        f'somebody paused Deployment "{deployment.name}" before the release was cleaned up',
        "Look at it with canary_info; let it go on with canary_resume and run this again, or take it back with canary_undo",
    )


def rehearse_finish(account: Account, situation: Situation, actor: str) -> None:
    """Check mode: the clean-up that will follow once the pods have moved."""
    if situation.record is not None:
        last = _last(account, situation, situation.record, actor)
        account.wrote(patches.finish(situation, situation.record, last))


def _last(account: Account, situation: Situation, record: Record, actor: str) -> LastRelease:
    images_of = situation.canary or situation.stable
    version, before = _way_back(situation, record)
    return LastRelease(
        outcome=OVERTAKEN if situation.phase is Phase.FOREIGN else OUTCOMES[record.intent],
        images=images(images_of.template) if images_of else {},
        at=account.site.now(),
        by=actor,
        reason=record.reason,
        generation=record.generation,
        version=version,
        before=before.hash,
        digest=before.digest,
        run=record.run if account.run == record.run else "",
    )


def _way_back(situation: Situation, record: Record) -> tuple[str, Before]:
    """Of the version that the release leaves, and the one to go back to from it. What an undo brings back has the way that it had, as
    far as that leads to a ReplicaSet which is still there."""
    stays = record.stable.hash
    if record.intent is Intent.PROMOTE:
        came = hash_of(situation) if situation.phase is not Phase.FOREIGN else ""
        return came, Before(stays, record.stable.digest) if came else Before()
    before = version_before(situation.deployment, stays)
    return stays, before if any(before.hash == rs.hash for rs in situation.picture.replica_sets) else Before()


def tell_why(account: Account, deployment: Deployment, event: str, what: str, last: LastRelease) -> None:
    """An Event for those who look at the cluster; what is done is done all the same where it cannot be written."""
    try:
        account.site.tell_event(deployment, event, f"{what}: {last.reason}", last.at)
    except ApiError as error:
        account.warn(f"could not write the Event for '{what}': {error}")


def finish_leftover(account: Account, picture: Picture, actor: str, *, check: bool) -> Picture:
    """Finishes a promote or an undo of an earlier run whose pods have moved already."""
    situation = diagnose(picture)
    if not is_over(situation):
        return picture
    if situation.phase is Phase.FOREIGN:
        account.warn(
            "a release was left without its clean-up, and somebody has rolled out another pod template since: that one stays, "
            "and the marks of the release are removed"
        )
    finished = finish(account, situation, actor, check=check).picture
    # An autoscaler was given back by that: what was read before it is no longer so.
    return replace(finished, autoscalers=None if picture.autoscalers is None else account.site.autoscalers())


def is_over(situation: Situation) -> bool:
    """The pods have moved, and only the clean-up is missing; whatever template came after that is none of its business."""
    record = situation.record
    if record is None:
        return False
    if situation.phase in (Phase.PROMOTING, Phase.UNDOING):
        return isinstance(judge_for(record)(situation), Done)
    if situation.phase is not Phase.FOREIGN or holds(situation.deployment) or situation.deployment.paused:
        return False  # of a template that came while it was paused no pod is there
    gone = {Intent.PROMOTE: situation.stable, Intent.UNDO: situation.canary}
    return record.intent in gone and not _has_pods(gone[record.intent])


def _has_pods(replica_set: ReplicaSet | None) -> bool:
    return replica_set is not None and not replica_set.empty
