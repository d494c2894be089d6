# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_start: makes sure that a canary of this template is held at this size.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NoReturn

from ..cluster.api import Api
from ..rollout import autoscaler as autoscalers
from ..rollout import kept, owners, patches
from ..rollout import start as rollout_start
from ..rollout.autoscaler import companion
from ..rollout.describe import without_pods
from ..rollout.phase import Phase, Situation, diagnose
from ..rollout.progress import Done, Going, Progress
from ..rollout.refusal import Code, Refusal
from ..rollout.size import ImpossibleSize, Room
from ..rollout.start import Asker, Start, Wanted
from ..rollout.steady import FirstLook
from ..rollout.template import digest, same_version
from ..rollout.views import Autoscaler, Deployment, Picture
from ..traffic.load import in_words
from ..wording import count_of
from .call.ending import Account, accounted
from .call.explaining import explained
from .call.orders import AutoscalerPolicy, Call, OwnerCheck, StartRequest, TrafficRequest
from .call.outcome import Kind, News, Outcome, Report
from .call.pacing import Patience
from .call.site import DEPLOYMENT, Site
from .call.waiting import wait
from .call.writing import as_long_as, rehearse, write
from .moving import autoscaling
from .moving.completion import finish_leftover
from .moving.pins import serve
from .moving.stepping import await_hold
from .moving.template import Candidate, candidate, not_applied
from .routing.exposing import foretell
from .routing.fencing import take_over
from .routing.routes import Now, Routes
from .starting.routed import canary_hash, check_way, exposed, isolated, overtaken, routed
from .starting.telling import (
    foretold,
    pods_in_words,
    tell_scaled,
    tell_split,
    tell_taken_over,
    warn_of_evictions,
    warn_of_scaling,
    with_canary,
)


def start(
    api: Api, request: StartRequest, report: Report, seen: Picture | None = None, stood: FirstLook | None = None
) -> Outcome:
    """`seen`, with its autoscalers, takes the place of the first look. `stood`: how the canary that is to grow stood last; what a new run of
    this verb cannot know."""
    site = Site(api, request.call.target, request.call)
    with accounted(site, request.run or request.call.meant.run, check=request.call.check) as account:
        _room(request)  # what is impossible needs no look
        picture = _looked(account, request, seen)
        situation = account.looked(diagnose(picture))
        request.call.meant.check(situation)
        if situation.phase is not Phase.NONE:
            late = _agreed_late(account, situation, request)
            return _held(account, picture, request, report, late, stood=stood)
        try:
            return _begun(account, situation, request, report)
        except Refusal as refusal:
            if refusal.code is not Code.SAME_TEMPLATE or not request.released_ok:
                raise
            return _released(account)


def _released(account: Account) -> Outcome:
    """What was asked for is the stable version."""
    situation = account.looked(diagnose(account.site.look()))
    stable = rollout_start.stable_to_change(situation)
    outcome = account.outcome(f"already released: the Deployment runs this pod template ({stable.name})", situation)
    return with_canary(outcome, without_pods(stable.template, stable))


def _room(request: StartRequest) -> Room:
    try:
        return Room.of(1 if request.surge is None else request.surge, request.max_unavailable)
    except ImpossibleSize as error:
        raise Refusal(Code.IMPOSSIBLE_SIZE, str(error)) from error


def _looked(account: Account, request: StartRequest, seen: Picture | None) -> Picture:
    """The picture to start from, without what an earlier release has left."""
    asks_autoscalers = request.asks_autoscalers
    picture = account.site.goes_on_from(seen) if seen else account.site.look(autoscalers=asks_autoscalers)
    situation = diagnose(picture)
    if situation.phase is Phase.NONE and len(picture.active) > 1:
        # Its ReplicaSets were read after it: what looks like an ordinary rollout may be a release that has just begun.
        picture = account.site.look(autoscalers=asks_autoscalers)
        situation = diagnose(picture)
    request.call.meant.check(situation)
    return finish_leftover(account, picture, request.call.actor, check=request.call.check)


def _begun(account: Account, situation: Situation, request: StartRequest, report: Report) -> Outcome:
    """Where no release is live: everything that has to be so before the first patch."""
    picture, call = situation.picture, request.call
    found = owners.owners(situation.deployment) if request.owner_check is not OwnerCheck.IGNORE else ()
    beforehand = _to_tell_beforehand(situation.deployment, found)
    if not picture.replica_sets:
        # A Deployment that was just made: the controller has yet to see it.
        picture = _settled(account, picture, call, report)
    if not call.check and request.autoscaler is AutoscalerPolicy.IGNORE:
        picture = replace(picture, autoscalers=autoscaling.left_pinned(account))
    if not call.check:
        autoscaling.release_orphans(account, picture, request.autoscaler)
    with autoscaling.orphans_released_if_refused(account, picture, check=call.check):
        situation = diagnose(picture)
        if request.owner_check is OwnerCheck.FAIL and found:
            _decided(account, situation, request)  # what is out already, or makes no sense, needs nobody's leave
            owners.refuse(situation.deployment, found)
        to_pin = _agreed(account, situation, request)
    if request.autoscaler not in autoscaling.KEPT or to_pin is None or call.check:
        return _held(account, _settled(account, picture, call, report), request, report, to_pin, beforehand)
    _tell(account, beforehand, report)
    with autoscaling.given_back_unless_held(account, to_pin, picture):
        scales_up = request.autoscaler is AutoscalerPolicy.HOLD
        timeout = call.wait.timeout
        deployment = autoscaling.pin(account, to_pin, picture.deployment, timeout, report, scales_up=scales_up)
        picture, before = replace(picture, deployment=deployment), picture.deployment
        if deployment.generation != before.generation:
            # Scaled until then: what was counted before that says nothing of the pods that are there now.
            picture = replace(account.site.look(), autoscalers=picture.autoscalers)
        picture = _settled(account, picture, call, report)
        return _held(account, picture, request, report, to_pin)


def _to_tell_beforehand(deployment: Deployment, found: tuple[owners.Owner, ...]) -> tuple[str, ...]:
    """What a person may want to stop this for, told before anything of the release is written; of one that is out already, nothing."""
    told = [owner.warning(deployment) for owner in found]
    if ending := deployment.status.terminating:
        told.append(
            f"{count_of(ending, 'pod')} of an earlier rollout still terminating: room is taken until that has ended"
        )
    return tuple(told)


def _tell(account: Account, warnings: tuple[str, ...], report: Report) -> None:
    for warning in warnings:
        report(News(warning, Kind.WARNING))
    account.warn(*warnings)


def _agreed(account: Account, situation: Situation, request: StartRequest) -> Autoscaler | None:
    """The autoscaler to pin, if any, once nothing speaks against the start: what is refused must pin none."""
    try:
        rollout_start.stable_of(situation)
        to_pin = autoscaling.check(situation.picture, request.autoscaler)
    except Refusal:
        # Of a version that is out already that is told: it needs no canary, so nothing stands in its way.
        _decided(account, situation, request)
        raise
    if to_pin is not None:
        if request.autoscaler in autoscaling.KEPT:
            autoscaling.gives_back(account, to_pin)
        _check_steps(_decided(account, situation, request, to_pin), situation, request.call)
    return to_pin


def _agreed_late(account: Account, situation: Situation, request: StartRequest) -> Autoscaler | None:
    """The autoscaler to pin that came while the canary is held. What is refused for itself is told as that."""
    autoscaling.check_same(situation, request.autoscaler)
    if not autoscalers.came(situation.picture.autoscalers or (), situation.record.pinned if situation.record else None):
        return None
    _decided(account, situation, request)
    to_pin = autoscaling.check_late(account, situation, request.autoscaler)
    if to_pin is not None:
        autoscaling.gives_back(account, to_pin)
    return to_pin


def _settled(account: Account, picture: Picture, call: Call, report: Report) -> Picture:
    """Waits for stable pods that are not Ready and for ReplicaSets that are still ending."""
    why, site = rollout_start.unsettled(picture), account.site
    if not why:
        return picture
    if call.check:
        account.warn(f"canary_start would wait first: {why}")
        return picture
    if not call.wait.enabled:
        raise _unsettled(site, why)

    def judge(situation: Situation) -> Progress:
        unsettled = rollout_start.unsettled(situation.picture)
        return Going(f"waiting before the start: {unsettled}") if unsettled else Done("settled")

    def hint(situation: Situation) -> bool:
        status = situation.deployment.status
        return situation.deployment.observed and status.ready == situation.deployment.replicas

    waited = wait(site, picture, judge, hint, Patience(call.wait.timeout), report, kinds=(DEPLOYMENT,))
    if waited.timed_out:
        reasons = explained(site, waited.situation)
        raise _unsettled(site, rollout_start.unsettled(waited.situation.picture), reasons)
    if not isinstance(waited.progress, Done):
        raise Refusal(
            Code.BUSY,
            f'Deployment "{site.target.name}" cannot begin a canary: {waited.progress.why}',
            "Look whether that is the stable version that you mean, then run this again",
        )
    return replace(waited.situation.picture, pods=None, autoscalers=picture.autoscalers)


def _unsettled(site: Site, why: str, reasons: str = "") -> Refusal:
    return Refusal(
        Code.NOT_READY,
        f'Deployment "{site.target.name}" cannot begin a canary: {why}',
        f"{reasons}A canary is compared with a healthy stable version: look at its pods, or give it more time with wait_timeout",
    )


def _decided(account: Account, situation: Situation, request: StartRequest, pinned: Autoscaler | None = None) -> Start:
    """As things stand, without a word on the way of its requests. Raises Refusal. `pinned`: as for `_wanted`."""
    wanted, asker = _wanted(account, situation, request, pinned), _asker(account, request, pinned)
    return rollout_start.decide(situation, wanted, asker)


def _wanted(account: Account, situation: Situation, request: StartRequest, pinned: Autoscaler | None = None) -> Wanted:
    """`pinned`: the autoscaler that this start is to hold, where none is held yet."""
    stable, begins = rollout_start.stable_to_change(situation), situation.phase is Phase.NONE
    wanted = _wanted_size(situation, request, pinned)
    hold = rollout_start.to_try(situation, wanted) if begins else None
    asked = candidate(account.site, stable, request.template, None if begins else situation.deployment, hold)
    if begins:
        _check_kept(account, situation, asked)
        if asked.changed:
            account.warn(_changed_by_admission(f" ({', '.join(asked.changed)})"))
        if asked.no_way_back:
            account.warn(
                "the cluster does not let the pod template of the stable version in again, so that canary_undo could not bring it back: "
                f"{asked.no_way_back}"
            )
        if request.template.definition is not None:
            account.warn(*not_applied(request.template.definition, situation.deployment))
    return replace(wanted, template=asked.template)


def _check_kept(account: Account, situation: Situation, asked: Candidate) -> None:
    """Raises Refusal where admission would let no canary be held. What is out already needs none."""
    stable = rollout_start.stable_to_change(situation)
    if asked.lost and not same_version(stable.template, asked.template):
        raise Refusal(Code.ADMISSION, kept.words(asked.lost, account.site.target.name), kept.EXEMPT)


def _wanted_size(situation: Situation, request: StartRequest, pinned: Autoscaler | None) -> Wanted:
    """Without its template. Raises Refusal."""
    size, room = request.size.among(situation.deployment.replicas), _room(request)
    record = situation.record
    if request.surge is None:
        room = replace(room, surge=situation.deployment.replicas)
    scales_up = pinned is not None and request.autoscaler is AutoscalerPolicy.HOLD
    if record is not None and record.pinned is not None:
        scales_up = (
            record.may_scale_up
        )  # whatever this step says: a release keeps its autoscaler in the way in which it began
    shares = request.traffic is not None or (record is not None and record.traffic is not None)
    # What bears a share of the requests bears it of more, too, however many pods that was at first.
    grows = scales_up and (shares or request.size.pods is None)
    return Wanted({}, size.pods, size.weight, room, grows, size.at_least)


def _changed_by_admission(where: str = "") -> str:
    return (
        f"an admission webhook or policy changes the pod template on its way{where}; if it does so to the stable template "
        "too, an undo will make a new ReplicaSet"
    )


def _asker(account: Account, request: StartRequest, pinned: Autoscaler | None) -> Asker:
    return Asker(
        name=request.call.actor,
        now=account.site.now(),
        companions=(companion(pinned, scales_up=request.autoscaler is AutoscalerPolicy.HOLD),) if pinned else (),
        run=account.run,
        takes_over=bool(request.run),
        step=request.step,
    )


def _held(
    account: Account,
    picture: Picture,
    request: StartRequest,
    report: Report,
    pinned: Autoscaler | None = None,
    beforehand: tuple[str, ...] = (),
    stood: FirstLook | None = None,
) -> Outcome:
    """Writes what makes it a hold of this size, if anything, and waits for it. `beforehand`: warnings to be told before that."""
    call, site, situation = request.call, account.site, diagnose(picture)
    wanted, asker = _wanted(account, situation, request, pinned), _asker(account, request, pinned)
    asker, routes, found = routed(account, situation, wanted, asker, request, report)
    # A run that has a name is written with the hold, and told of.
    fenced = not call.check and (routes is not None or not request.run)
    if fenced and (taken := take_over(account, routes)):
        again = replace(taken.picture, autoscalers=picture.autoscalers)
        return _held(account, again, request, report, pinned, stood=stood)

    def decide(current: Situation) -> Start:
        call.meant.check(current)
        begun = rollout_start.decide(current, wanted, asker)
        if situation.stable is not None and begun.record.stable.uid != situation.stable.uid:
            raise overtaken(site)
        check_way(site, routes, begun.record)
        _check_steps(begun, current, call)
        return begun

    def settled_again() -> Picture:
        """Somebody was faster, and may have scaled it, or rolled out."""
        found = site.look()
        return _settled(account, found, call, report) if diagnose(found).phase is Phase.NONE else found

    if beforehand:
        decide(situation)
        _tell(account, beforehand, report)
    act = partial(rehearse, foretold=account.changed) if call.check else write
    written = act(site, picture, lambda current: decide(current).plan, settled_again)
    account.wrote(written.plan)
    before = diagnose(written.decided)
    begun = decide(before)
    tell_taken_over(account, before, begun)
    tell_scaled(account, before, begun)
    tell_split(account, before, begun, request)
    if call.check:
        account.looked(before)
        return foretold(account, before, begun, wanted, _gets(account, before, begun, request, routes, found))
    account.looked(written.situation)
    # Where nothing was written, whoever writes to a route after this look is found by the guard of the next write.
    right_before = found if written.picture is picture else None
    begun, picture = _as_stored(account, begun, written.picture)
    if begun.record.pinned is not None and request.autoscaler in autoscaling.KEPT:
        came = before.record is not None and before.record.pinned != begun.record.pinned
        serve(account, begun.record.pinned, begun.record, picture.deployment.replicas, came=came)
    if routes is not None:
        begun, picture, found = isolated(account, routes, begun, account.looked(diagnose(picture)), right_before)
    situation = account.looked(diagnose(picture))
    outcome = _waited(account, begun, situation, call, report, stood)
    if routes is None:
        return outcome
    return exposed(account, routes, outcome, request, found if _stands(begun, situation) else None)


def _stands(begun: Start, situation: Situation) -> bool:
    """There is nothing to wait for."""
    reached = situation.phase is Phase.HELD and situation.hold == begun.goal.at(situation.deployment.replicas)
    return begun.plan is None and reached


def _gets(
    account: Account,
    situation: Situation,
    begun: Start,
    request: StartRequest,
    routes: Routes | None,
    found: list[Now],
) -> str:
    """In check mode: what the canary would get of the requests, where routes say that."""
    if routes is None:
        return ""
    if begun.record.isolating:
        account.after["paused"] = situation.deployment.paused  # only until its routes send nobody to the canary
    exposure = foretell(routes, found, request.traffic or TrafficRequest(), canary_hash(situation))
    return f", which {'would ' if account.changed else ''}get {in_words(exposure)}"


def _check_steps(begun: Start, situation: Situation, call: Call) -> None:
    """Without waiting nobody would write the steps after the first."""
    reached = rollout_start.first_hold(begun, situation)
    if not call.wait.enabled and reached != begun.goal:
        raise Refusal(
            Code.NEEDS_STEPS,
            f"{count_of(begun.record.pods, 'canary pod', 'needs', 'need')} several steps, each after the pods of the one before are Ready, "
            "and wait is false",
            f"Set wait to true, or ask for at most {count_of(reached.pods, 'canary pod')}, or allow a surge of {begun.record.pods}",
        )


def _as_stored(account: Account, begun: Start, picture: Picture) -> tuple[Start, Picture]:
    """Admission may answer a dry run otherwise than a write: the record must name what was stored."""
    stored = digest(picture.deployment.template)
    if stored == begun.record.canary or begun.plan is None:
        return begun, picture
    if stored == begun.record.stable.digest:
        _give_back(account, begun, picture)
    record = replace(begun.record, canary=stored)
    hold = diagnose(picture).hold or begun.goal
    account.warn(_changed_by_admission())
    correct = as_long_as(begun.record, stored, lambda now: patches.grow(now.deployment, hold, record))
    return replace(begun, record=record), write(account.site, picture, correct).picture


def _give_back(account: Account, begun: Start, picture: Picture) -> NoReturn:
    """Admission makes the version that is out of the one that was asked for: there is no canary, and the fields of a hold go at once. Raises
    Refusal."""
    record = begun.record
    undo = as_long_as(record, record.stable.digest, lambda now: patches.never_begun(now.deployment, record))
    account.looked(write(account.site, picture, undo).situation)
    raise rollout_start.same(diagnose(picture), record.stable.replica_set)


def _waited(
    account: Account, begun: Start, situation: Situation, call: Call, report: Report, stood: FirstLook | None
) -> Outcome:
    if _stands(begun, situation):
        done, situation = (
            "already holding",
            diagnose(replace(situation.picture, pods=account.site.pods(situation.deployment))),
        )
    elif call.wait.enabled:
        done, situation = "holding", await_hold(account, begun, situation.picture, call.wait, report, stood)
    else:
        return account.outcome(f"holding {pods_in_words(begun, situation.deployment.replicas)}", situation)
    warn_of_scaling(account, begun, situation)
    warn_of_evictions(account, situation)
    outcome = account.outcome(f"{done} {pods_in_words(begun, situation.deployment.replicas)}", situation)
    return replace(outcome, seen=situation)
