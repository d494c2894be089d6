# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_promote: the canary becomes the stable version, by the Deployment's own strategy.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Sequence

from ..cluster.api import Api
from ..rollout import patches
from ..rollout.describe import still_terminating
from ..rollout.identity import Meant, hash_of
from ..rollout.last import PROMOTED, ended_by
from ..rollout.patches import Plan
from ..rollout.phase import HOLDING, Phase, Situation, diagnose, ready_pods
from ..rollout.record import Intent, Record
from ..rollout.refusal import Code, Refusal
from ..rollout.template import digest, replica_set_of
from ..rollout.views import Picture
from ..rollout.words import WORDS, because
from ..values import dataclass
from ..wording import count_of
from .call.ending import Account, accounted
from .call.orders import PromoteBy, PromoteRequest, TrafficRequest
from .call.outcome import Outcome, Report
from .call.site import Site
from .call.writing import ask, rehearse, write
from .moving.completion import finish, finish_leftover, rehearse_finish
from .moving.pins import give_back_orphans
from .moving.rolling import await_rollout
from .moving.staying import stands, stays
from .routing.bearing import check_load
from .routing.exposed import tell_changed
from .routing.exposing import expose, foretell
from .routing.fencing import take_over
from .routing.finding import of_record
from .routing.isolating import isolate
from .routing.returning import hand_back
from .routing.routes import OURS, THEIRS, Now, exposure_of, owners, unshared

STILL_ROLLING = "The rollout goes on in the cluster: run this again to wait for it, or canary_rollback to go back."


@dataclass(frozen=True)
class Decided:
    """What whoever promotes has decided about: which release, and in which phases. What comes between that and the patch ends it."""

    meant: Meant
    phases: frozenset[Phase]

    @classmethod
    def of(cls, meant: Meant, first: Situation, *, judged: bool) -> Decided:
        """A person may promote what he finds frozen or damaged; a judgement was of a canary that was held."""
        return cls(meant, HOLDING if judged else HOLDING | {first.phase})

    def check(self, situation: Situation) -> None:
        """Raises Refusal where it does not stand as it did when this was decided."""
        refused, what = WORDS[situation.phase].refuses_start, WORDS[situation.phase].ends_bake
        if situation.phase not in self.phases and refused is not None:
            raise Refusal(
                refused.code, _what(situation, f"{because(what, situation.why)} since it was looked at"), refused.remedy
            )


def promote(api: Api, request: PromoteRequest, report: Report, seen: Situation | None = None) -> Outcome:
    """`seen`, which has its pods, takes the place of the first look: the patch is refused where anybody has changed the release since."""
    site, call = Site(api, request.call.target, request.call), request.call
    with accounted(site, request.call.meant.run, check=request.call.check) as account:
        picture = site.goes_on_from(seen.picture) if seen else _look(site)
        first = account.looked(diagnose(picture))
        asked = call.about(first)
        meant = asked.bound(first)
        if first.phase is not Phase.NONE:
            meant.check(first)
        picture = finish_leftover(account, picture, call.actor, check=call.check)
        situation = account.looked(diagnose(picture))
        if situation.phase is Phase.NONE and first.phase is Phase.PROMOTING and meant.is_out(situation):
            return _out(account, situation, _promoted(situation))
        if situation.phase is Phase.NONE:
            # Another release than a promotion that was left behind is cleaned up: nothing is left of what was looked at first.
            about = meant if first.phase is Phase.PROMOTING else asked
            return _without_canary(account, situation, about, request, report)
        decided = Decided.of(meant, situation, judged=request.judged)
        picture = _routed(account, situation, decided, request, report)
        act = rehearse if call.check else write
        written = act(site, picture, lambda now: _decide(now, decided), lambda: _look(site))
        account.wrote(written.plan)
        if written.situation.phase is Phase.NONE:
            return _without_canary(account, account.looked(written.situation), meant, request, report)
        if call.check:
            rehearse_finish(account, written.situation, call.actor)
            return _out(account, written.situation, "would promote the canary")
        situation = account.looked(written.situation)
        if not call.wait.enabled:
            return _out(account, situation, "the promotion is under way; run canary_promote again to finish it")
        record = _record(situation)
        done = await_rollout(account, situation.picture, record.canary, call, report, meant=meant)
        finished = finish(account, done, call.actor)
        outcome = _out(account, finished, _promoted(done), hash_of(done) or _current(done))
        # Routes take their time to be given back.
        return replace(outcome, seen=finished if record.traffic is None else None)


def _routed(
    account: Account, situation: Situation, decided: Decided, request: PromoteRequest, report: Report
) -> Picture:
    """The routes, before the first pod moves; nothing where this call would not promote. The picture to promote from.

    A promotion that was stopped has done that already, and has taken stable pods since: nobody is to be sent to those once more.
    """
    if _decide(situation, decided) is None or _record(situation).intent is Intent.PROMOTE:
        return situation.picture
    record, canary = _record(situation), situation.canary
    routes = of_record(account, record, report)
    if routes is None or canary is None:
        if request.by is PromoteBy.WEIGHTS or request.keep:
            why = "it was started without traffic, so that it has no weights"
            raise Refusal(Code.NO_ROUTE, _what(situation, why), "Leave out by and keep")
        return situation.picture
    found = routes.look(canary.hash)
    _tell_astray(account, found)
    tell_changed(routes, record, found)
    routes.tell_put_back(found)
    exposed = exposure_of(found)
    sticky = exposed.sticky is not None
    by = request.by or PromoteBy.usual(routes.traffic.kind, sticky, exposed.weight)
    if by is PromoteBy.PODS and (request.keep or sticky):
        what = (
            "keep is for old pods that get no requests"
            if request.keep
            else "its users keep the version that they have seen"
        )
        raise Refusal(
            Code.INVALID, _what(situation, f"{what}, and by pods both versions get some"), "Set by to weights"
        )
    replicas, ready = situation.deployment.replicas, ready_pods(situation.picture, canary)
    everybody = TrafficRequest(Fraction(1))
    if by is PromoteBy.WEIGHTS:
        check_load(Fraction(1), replicas, ready)
    if request.call.check:
        if by is PromoteBy.WEIGHTS:
            foretell(routes, found, everybody, canary.hash)
        if by is PromoteBy.PODS or request.call.wait.enabled:
            routes.rehearse(found, owners, canary.hash)
    elif taken := take_over(account, routes):
        return _routed(account, taken, decided, request, report)
    elif by is PromoteBy.WEIGHTS:
        ask(account.site, situation.picture)
        _check_live(account, situation, found)
        found = isolate(routes, canary.hash, found, again=False)
        expose(routes, everybody, situation, canary.hash, ready, found)
    else:
        ask(account.site, situation.picture, ends_hold=True)
        hand_back(routes, found, canary.hash)
    return situation.picture if request.call.check else _since_routed(account, decided.meant, request, report)


def _since_routed(account: Account, meant: Meant, request: PromoteRequest, report: Report) -> Picture:
    """Routes take their time to be in force, and no guard of a patch tells what has become of the pods meanwhile."""
    if not (request.keep or request.judged):
        return _look(account.site)
    now = account.looked(diagnose(account.site.look(pods=True)))
    if request.keep:
        return stays(account, now, meant, request.keep, report).situation.picture
    return stands(account, now, meant, report).picture


def _tell_astray(account: Account, found: Sequence[Now]) -> None:
    for now in (one for one in found if one.stage in THEIRS):
        account.warn(
            f'{now.route.kind} "{now.route.name}" did not stand as this release had written it, so that the canary may have had another share '
            "of the requests than it was to be looked at with"
        )
    for now in unshared(found):
        account.warn(
            f'{now.route.kind} "{now.route.name}" sends everybody to the stable version, so that no user has tried the canary by it'
        )


def _check_live(account: Account, situation: Situation, found: Sequence[Now]) -> None:
    """Raises Refusal where the routes are their owner's because somebody ended the release, and not because a promotion by pods stopped
    there. A look, where they are."""
    if all(one.stage in OURS for one in found):
        return
    now = diagnose(account.site.look())
    if now.record != situation.record:
        why = f"the release was changed or ended meanwhile, and is in phase {now.phase.value}"
        raise Refusal(Code.BUSY, _what(situation, why), "Look what became of it with canary_info")


def _out(account: Account, situation: Situation, message: str, promoted: str = "") -> Outcome:
    """`promoted`: the hash of the version that this is about; otherwise that of the release, or of what runs where it is over."""
    named = promoted or hash_of(situation) or _current(situation)
    outcome = account.outcome(message, situation)
    return outcome.returning(hash=named) if named else outcome


def _current(situation: Situation) -> str:
    current = replica_set_of(situation.deployment.template, situation.picture.replica_sets)
    return current.hash if current else ""


def _promoted(situation: Situation) -> str:
    return f"promoted: {count_of(situation.deployment.replicas, 'pod', 'runs', 'run')} the new version{still_terminating(situation.picture)}"


def _look(site: Site) -> Picture:
    """With pods only where the canary's ReplicaSet knows of no Ready one: its status comes a moment after its pods."""
    picture = site.look()
    canary = diagnose(picture).canary
    if canary is None or canary.ready:
        return picture
    return replace(picture, pods=site.pods(picture.deployment))


def _record(situation: Situation) -> Record:
    if situation.record is None:
        raise Refusal(Code.DAMAGED, _what(situation), "Repair it with canary_undo")
    return situation.record


def _what(situation: Situation, why: str = "") -> str:
    reason = why or situation.why or situation.phase.value
    return f'Deployment "{situation.deployment.name}" cannot be promoted: {reason}'


def _decide(situation: Situation, decided: Decided) -> Plan | None:
    if decided.meant.is_out(situation):
        return None
    decided.meant.check(situation)
    record = _record(situation)
    if situation.phase is Phase.PROMOTING:
        return None
    if record.intent is Intent.UNDO:
        raise Refusal(Code.BUSY, _what(situation, "it is being taken back"), "Finish that with canary_undo")
    if digest(situation.deployment.template) != record.canary:
        raise Refusal(
            Code.FOREIGN if situation.phase is Phase.FOREIGN else Code.DAMAGED,
            f"{_what(situation)}, so its pods would not be the ones that were looked at",
            "Bring the stable version back with canary_undo, then start again",
        )
    if situation.deployment.replicas == 0:
        raise Refusal(
            Code.NO_CANARY_READY,
            _what(situation, "somebody scaled it to 0 replicas, so that no pod would run the new version"),
            "Scale it up again, or take the canary back with canary_undo",
        )
    decided.check(situation)
    if situation.canary is None or ready_pods(situation.picture, situation.canary) == 0:
        raise Refusal(
            Code.NO_CANARY_READY,
            f'no canary pod of Deployment "{situation.deployment.name}" is Ready',
            "Look at its pods with canary_info, give it more time with canary_start, or take it back with canary_undo",
        )
    return patches.promote(situation, record)


def _without_canary(
    account: Account, situation: Situation, meant: Meant, request: PromoteRequest, report: Report
) -> Outcome:
    """Waits for an ordinary rollout that is under way. Of a version that is meant nothing is left to do once it is out."""
    call, deployment = request.call, situation.deployment
    named = meant.named or bool(meant.template)
    outcome, left = ended_by(deployment, meant.run)
    if outcome == PROMOTED and not meant.hash:
        meant = replace(meant, hash=left)
    if named and not meant.is_out(situation):
        raise meant.refusal(situation, meant.differs(situation))
    give_back_orphans(account, situation.picture, check=call.check)
    if deployment.rolled_out and len(situation.picture.active) < 2:
        if named:
            return _out(account, situation, f"already {_promoted(situation)}")
        return account.outcome("no canary is held: nothing to promote", situation)
    if deployment.paused:
        raise Refusal(
            Code.PAUSED, f'the rollout of Deployment "{deployment.name}" is paused', "Let it go on with canary_resume"
        )
    if call.check or not call.wait.enabled:
        return account.outcome("no canary is held; an ordinary rollout is under way", situation)
    done = await_rollout(account, situation.picture, digest(deployment.template), call, report, remedy=STILL_ROLLING)
    said = f"already {_promoted(done)}" if named else "no canary is held, and the rollout is complete"
    return _out(account, done, said)
