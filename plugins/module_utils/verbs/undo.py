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
from ..rollout.describe import still_terminating
from ..rollout.equality import canonical
from ..rollout.identity import Meant, hash_of
from ..rollout.last import PROMOTED, UNDONE, ended_by, last_outcome
from ..rollout.patches import Plan
from ..rollout.phase import Phase, Situation, diagnose
from ..rollout.progress import Done, Going, Progress, keeps_canary, towards_stable, with_terminated
from ..rollout.record import Intent, Record
from ..rollout.template import digest
from ..rollout.undo import Restore, Undoing, damaged, decide, restore_over
from ..rollout.views import Picture
from ..rollout.words import WORDS
from .call.ending import Account, accounted
from .call.guarded import ATTEMPTS
from .call.orders import Call, UndoRequest
from .call.outcome import Outcome, Report
from .call.pacing import Patience
from .call.site import DEPLOYMENT, Site
from .call.waiting import Waited, wait
from .call.writing import Decide, Otherwise, Replaced, Written, as_long_as, busy, rehearse, stopped, write
from .moving.completion import finish, finish_leftover, is_over, rehearse_finish
from .moving.ownership import disown
from .moving.pins import give_back_orphans
from .moving.rolling import patience_with
from .routing.fencing import take_over
from .routing.finding import Lost, found_again, of_lost, of_record
from .routing.orphans import give_back_routes
from .routing.reclaiming import of_another
from .routing.returning import leave
from .routing.routes import Routes, owners
from .routing.sparing import cut_off

__all__ = ["Restore", "undo"]

# Whatever does not count within this time does not move pods either, and must not keep an undo from being asked for.
COUNTED_SECONDS = 10.0


def undo(api: Api, request: UndoRequest, report: Report) -> Outcome:
    site = Site(api, request.call.target, request.call)
    with accounted(site, request.call.meant.run, check=request.call.check) as account:
        picture = site.look()
        first = account.looked(diagnose(picture))
        meant = request.call.about(first).bound(first)
        _check_meant(meant, first)
        undone, named = _undone(account, picture, meant, request, report), hash_of(first)
        return undone.returning(hash=named) if named else undone


def _undone(account: Account, picture: Picture, meant: Meant, request: UndoRequest, report: Report) -> Outcome:
    site, call = account.site, request.call
    # A promotion is undone, however far it came; and fields that the user wants back are not those of a record.
    if diagnose(picture).phase is not Phase.PROMOTING and request.restore is None:
        picture = finish_leftover(account, picture, call.actor, check=call.check)
    situation = account.looked(diagnose(picture))
    if situation.phase is Phase.NONE:
        if not account.changed:  # otherwise it was the one that is meant, and this call has ended it
            _check_meant(meant, situation)
        give_back_orphans(account, picture, check=call.check)
        give_back_routes(account, report, tells=request.restore is not None)
        done = "an earlier release was cleaned up" if account.changed else _nothing(situation)
        return replace(account.outcome(done, situation), seen=situation)
    lost = found_again(account) if situation.record is None and request.restore is not None else None
    told = lost.traffic if lost else None
    asked = Undoing(call.actor, site.now(), request.reason, request.restore, told, account.run)
    if _decide(situation, asked, meant) is not None:
        picture = _cut_off(account, situation, lost, call.check, report)
    written = _rehearsed(site, picture, meant, asked) if call.check else _sent(account, picture, meant, asked, report)
    _check_comes_back(site, written, call.check)
    account.wrote(written.plan)
    if call.check:
        rehearse_finish(account, written.situation, call.actor)
        return account.outcome("would bring the stable version back")
    situation = account.looked(_as_stored(account, written, report))
    if situation.phase is Phase.NONE:
        if written.plan:
            disown(account, written.picture)
            # A route that sends to its owner's Service already does not tell any more that Services of ours are left.
            if (routes := of_lost(account, lost, report)) is not None:
                leave(routes)
        give_back_orphans(account, written.picture, check=False)
        give_back_routes(account, report, tells=False)
        done = "what was left of a release was removed" if written.plan else "somebody else has taken the canary back"
        return replace(account.outcome(done, situation), seen=situation)
    if not call.wait.enabled:
        return account.outcome("the undo is under way; run canary_undo again to finish it", situation)
    return _finished(account, situation, request, report)


def _nothing(situation: Situation) -> str:
    promoted = last_outcome(situation.deployment).startswith(PROMOTED)
    way_back = "; the last release was promoted, which canary_rollback takes back" if promoted else ""
    return f"no canary is held: nothing to undo{way_back}"


def _rehearsed(site: Site, picture: Picture, meant: Meant, asked: Undoing) -> Written:
    return rehearse(site, picture, lambda current: _decide(current, asked, meant), otherwise=Otherwise.IS_TOLD)


def _sent(account: Account, picture: Picture, meant: Meant, asked: Undoing, report: Report) -> Written:
    """Whatever is found instead, where somebody was faster, is made ready for the undo as what was there at first."""

    def ready(found: Picture) -> Picture:
        return _ready(account, found, meant, asked, report)

    site = account.site
    return write(
        site,
        ready(picture),
        lambda current: _decide(current, asked, meant),
        lambda: ready(site.look()),
        Otherwise.IS_TOLD,
    )


def _ready(account: Account, picture: Picture, meant: Meant, asked: Undoing, report: Report) -> Picture:
    """The picture in which no promotion moves pods any more and the last step is counted. An undo that is under way goes on."""
    for _attempt in range(ATTEMPTS):
        if diagnose(picture).phase is Phase.UNDOING:
            return picture
        halted = write(account.site, picture, lambda current: _halt(current, meant, asked), otherwise=Otherwise.IS_TOLD)
        account.wrote(halted.plan)
        picture = _counted(account, halted.picture, report)
        if _halt(diagnose(picture), meant, asked) is None:
            return picture
    raise busy(account.site)


def _halt(situation: Situation, meant: Meant, asked: Undoing) -> Plan | None:
    """What stops a promotion. Where its undo is refused, it goes on."""
    possible = _decide(situation, asked, meant)
    return patches.halt(situation) if possible and situation.phase is Phase.PROMOTING else None


def _cut_off(account: Account, situation: Situation, lost: Lost | None, check: bool, report: Report) -> Picture:
    """The routes send nobody to the canary before its pods go. The picture to undo from."""
    routes = of_record(account, situation.record, report) if situation.record else of_lost(account, lost, report)
    if routes is not None and check:
        ours = [one for one in routes.look() if of_another(one.route, situation.deployment.uid) is None]
        routes.rehearse(ours, owners, insists=False)
    elif routes is not None:
        account.looked(situation)
        taken = _taken_over(account, routes)
        situation = taken or situation
        cut_off(routes, situation, taken_over=taken is not None)
    return situation.picture


def _taken_over(account: Account, routes: Routes) -> Situation | None:
    """As `take_over`. Where a policy makes another canary of it by that very write, whose pods take the place of those that users get, they
    are sent away first."""
    try:
        return take_over(account, routes)
    except Replaced as replaced:
        for plan in replaced.plans:
            account.wrote(replace(plan, warnings=(*plan.warnings, replaced.what)))
        cut_off(routes, account.looked(diagnose(replaced.picture)))
        take_over(account, routes, Otherwise.IS_TOLD)
        return account.looked(diagnose(account.site.look(pods=True)))


def _counted(account: Account, picture: Picture, report: Report) -> Picture:
    """The picture once everything is counted, or the latest when nobody has counted for too long.

    The controller takes canary pods against the stable ones that it counts as available. Right after a step those counts
    are of before it: an undo on top of them would take canary pods before the stable pods that they replaced are back.
    Controllers that do not work at all carry out the undo alone once they do, with what they count then.
    """
    if picture.counted:
        return picture
    waited = wait(
        account.site,
        picture,
        judge=_is_counted,
        hint=lambda now: now.deployment.observed,
        patience=Patience(COUNTED_SECONDS, per_progress=True),
        report=report,
        kinds=(DEPLOYMENT,),
    )
    return replace(waited.situation.picture, pods=picture.pods, autoscalers=picture.autoscalers)


def _is_counted(now: Situation) -> Progress:
    """A controller that has begun to work is given time again."""
    picture, sets = now.picture, now.picture.replica_sets
    if picture.counted:
        return Done("counted")
    seen = (len(sets) + 1) * picture.deployment.observed + sum(rs.observed for rs in sets)
    return Going("waiting until the last step is counted", seen)


def _check_meant(meant: Meant, situation: Situation) -> None:
    """Raises Refusal for another release; a canary that is gone without having become the stable version is undone, and so is one whose
    run alone is known where the last release was of that and was undone."""
    known = meant.hash or not meant.run or ended_by(situation.deployment, meant.run)[0] == UNDONE
    gone = situation.phase is Phase.NONE and known and not meant.is_out(situation)
    if not gone:
        meant.check(situation)


def _check_comes_back(site: Site, written: Written, check: bool) -> None:
    """Raises Replaced where admission makes the canary of the stable version: its pods would take the place of all others."""
    situation, plan = written.situation, written.plan
    if plan is None or not _is_canary_again(situation):
        return
    what = f'an admission webhook or policy turns the stable pod template of Deployment "{situation.deployment.name}" into the canary\'s'
    remedy = "Change that policy, or exempt the Deployment from it, and then run canary_undo"
    raise stopped(site, Replaced(what, written.decided if check else written.picture, () if check else (plan,), remedy))


def _is_canary_again(situation: Situation) -> bool:
    """Not where nobody has asked for that canary, which no run has begun, or where its pods run the same: a policy has made it of the stable
    version before."""
    record, stable, template = situation.record, situation.stable, situation.deployment.template
    if (
        record is None
        or not record.run
        or stable is None
        or digest(template) not in {record.canary} - {record.stable.digest}
    ):
        return False
    return canonical(stable.template)["spec"] != canonical(template)["spec"]


def _as_stored(account: Account, written: Written, report: Report) -> Situation:
    """Admission may have changed the stable template on its way back: the record must name what was stored, and no user stay with pods that go,
    which go no sooner."""
    situation = written.situation
    record, stored = situation.record, digest(situation.deployment.template)
    if written.plan is None or record is None or record.intent is not Intent.UNDO or stored == record.stable.digest:
        return situation
    account.warn(
        "an admission webhook or policy changed the stable pod template on its way back, so that its pods are replaced by new ones"
    )
    corrected = replace(record, stable=replace(record.stable, digest=stored)).with_isolating(True)

    def correct(now: Situation) -> Plan:
        return patches.corrected(now.deployment, corrected)

    def go_on(now: Situation) -> Plan:
        return patches.gone_on(now.deployment, corrected)

    picture = _written(account, written.picture, as_long_as(record, stored, correct))
    routes = of_record(account, corrected, report)
    if routes is not None:
        cut_off(routes, account.seen)
        _written(account, picture, as_long_as(corrected, stored, go_on))
    return account.seen


def _written(account: Account, picture: Picture, decide_again: Decide) -> Picture:
    return account.looked(write(account.site, picture, decide_again, otherwise=Otherwise.IS_TOLD).situation).picture


def _finished(account: Account, situation: Situation, request: UndoRequest, report: Report) -> Outcome:
    record, call = situation.record, request.call
    if record is None:
        raise damaged(situation)
    waited = _awaited(account, situation, record, call, report)
    while not isinstance(waited.progress, Done) and (changed := _make_way(account, waited, record, report)) is not None:
        waited = _awaited(account, changed, record, call, report)
    if not isinstance(waited.progress, Done):
        request.call.meant.bound(situation).check(account.looked(waited.situation))
        raise account.unsuccessful(waited, WORDS[waited.situation.phase].remains)
    done = finish(account, account.looked(waited.situation), call.actor)
    if request.restore is not None:  # a record that is lost named no autoscaler and no routes either
        give_back_orphans(account, done.picture, check=False)
        give_back_routes(account, report, tells=False)
    why = f" ({record.reason})" if record.reason else ""
    return account.outcome(f"undone{why}: {waited.progress.why}{still_terminating(done.picture)}", done)


def _awaited(account: Account, situation: Situation, record: Record, call: Call, report: Report) -> Waited:
    """Not longer than until it is known that a stable pod, for which a canary pod is kept, does not become Ready."""

    def judge(now: Situation) -> Progress:
        progress = with_terminated(towards_stable(now, record.stable.digest), now, call.wait.terminated)
        if now.stable is None or not isinstance(progress, Going) or patches.make_way(now, record, now.stable) is None:
            return progress
        return keeps_canary(now, now.stable) or progress

    return wait(
        account.site,
        replace(situation.picture, pods=None),
        judge=judge,
        hint=_no_canary_pod,
        patience=patience_with(situation.deployment, call),
        report=report,
    )


def _make_way(account: Account, waited: Waited, record: Record, report: Report) -> Situation | None:
    """The canary goes before the stable pods that keep it, which do not become Ready. None where none does."""

    def plan(now: Situation) -> Plan | None:
        return patches.make_way(now, record, now.stable) if now.stable and now.phase is Phase.UNDOING else None

    if plan(waited.situation) is None:
        return None
    decide_again = as_long_as(record, record.stable.digest, plan)
    written = write(account.site, waited.situation.picture, decide_again, otherwise=Otherwise.IS_TOLD)
    account.wrote(written.plan)
    why = waited.progress.why.rstrip(".")
    account.warn(f"not all stable pods become Ready, and the canary pods that were kept for them went before: {why}")
    report("letting the canary go before the stable pods that are not Ready")
    return account.looked(written.situation)


def _no_canary_pod(situation: Situation) -> bool:
    status = situation.deployment.status
    return situation.deployment.observed and status.updated == status.replicas


def _decide(situation: Situation, asked: Undoing, meant: Meant) -> Plan | None:
    _check_meant(meant, situation)
    if situation.phase is Phase.NONE:
        return None
    if asked.restore is not None and situation.phase is Phase.FOREIGN and is_over(situation):
        return restore_over(situation, asked)
    return decide(situation, asked)
