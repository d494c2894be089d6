# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins of autoscalers: whose each of them is, and when it is given back.

Who gives one back reads the autoscaler first and then the Deployment, and the patch holds only for that autoscaler. A start
writes the autoscaler once more after its first patch. So either the reader sees the release, or its patch is refused, or
the start sees that its pin is gone and pins again. This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Generic, TypeVar

from ...cluster.errors import ApiError, Forbidden, NotFound
from ...rollout import autoscaler as autoscalers
from ...rollout import scaledobject
from ...rollout.autoscaler import Claim
from ...rollout.phase import Phase, Situation, diagnose
from ...rollout.record import Companion, Record, same_release
from ...rollout.refusal import Code, Refusal
from ...rollout.views import Autoscaler, Picture, ScaledObject
from ...values import dataclass
from ...wording import count_of
from ..call.ending import Account
from ..call.guarded import Sent, guarded
from ..call.outcome import Report
from ..call.site import Site
from ..call.waiting import AWAY
from .ownership import disown_pinned

Written = TypeVar("Written", Autoscaler, ScaledObject)
Operations = list[dict[str, Any]]
# Between looks at whoever is to take a pin over: two a second, as of any wait.
OBSERVE_PAUSE_SECONDS = 0.5
# KEDA's operator hears of a change at once; this is for one that is about to be elected, or is at work.
KEDA_SECONDS = 30.0


@dataclass(frozen=True)
class Seat(Generic[Written]):
    """What a pin is written on: an autoscaler, or the ScaledObject of which KEDA makes one.

    `send`: writes, or (the flag) asks by a dry run, and gives what is stored then. `claim`: whose pin it has, None for none. `pin`, `serve`
    and `give_back` are as in rollout/autoscaler.py, and `pins` says the first of them in words. `theirs`: what stands there that somebody
    has changed under the pin, from what it was found with and what it is now.
    """

    what: str
    path: str
    read: Callable[[], Written]
    send: Callable[[Operations, bool], Written]
    claim: Callable[[Written], Claim | None]
    pins: Callable[[int, bool], str]
    pin: Callable[[Written, int, Claim, bool], Operations]
    serve: Callable[[Written, int, Claim, bool], Operations]
    give_back: Callable[[Written], Operations]
    theirs: Callable[[Written, Written], list[str]]


def on_autoscaler(site: Site, name: str) -> Seat[Autoscaler]:
    def theirs(before: Autoscaler, now: Autoscaler) -> list[str]:
        stands = {
            "minReplicas": f"minReplicas {now.min_replicas}",
            "maxReplicas": f"maxReplicas {now.max_replicas}",
            "behavior": "behavior",
        }
        return [stands[field] for field in autoscalers.changed(before)]

    def claim_on(found: Autoscaler) -> Claim | None:
        note = autoscalers.bounds(found)
        return note.claim if note else None

    def pin(found: Autoscaler, replicas: int, claim: Claim, up: bool) -> Operations:
        mine = autoscalers.pinned_to(found, replicas, claim.run, scales_up=up)
        return [] if mine else autoscalers.pin(found, replicas, claim, scales_up=up)

    def pins(replicas: int, up: bool) -> str:
        return f"{'keeping it from scaling down below' if up else 'pinning it to'} {count_of(replicas, 'replica')}"

    return Seat(
        what=f'HorizontalPodAutoscaler "{name}"',
        path=site.autoscaler_path(name),
        read=lambda: site.autoscaler(name),
        send=lambda operations, dry_run: site.patch_autoscaler(name, operations, dry_run=dry_run),
        claim=claim_on,
        pins=pins,
        pin=pin,
        serve=lambda found, replicas, claim, up: autoscalers.serve(found, replicas, claim, scales_up=up),
        give_back=autoscalers.give_back,
        theirs=theirs,
    )


def on_scaled_object(site: Site, name: str) -> Seat[ScaledObject]:
    def claim_on(found: ScaledObject) -> Claim | None:
        note = scaledobject.note(found)
        return note.claim if note else None

    return Seat(
        what=f'ScaledObject "{name}"',
        path=site.scaled_object_path(name),
        read=lambda: site.scaled_object(name),
        send=lambda operations, dry_run: site.patch_scaled_object(name, operations, dry_run=dry_run),
        claim=claim_on,
        pins=lambda _replicas, up: f"keeping it from scaling in{'' if up else ' and out'}",
        pin=lambda found, _replicas, claim, up: scaledobject.pause(found, claim, scales_up=up),
        serve=lambda found, _replicas, claim, up: scaledobject.serve(found, claim, scales_up=up),
        give_back=scaledobject.give_back,
        theirs=lambda before, _now: list(scaledobject.changed(before)),
    )


def claim(account: Account, release: int = 0) -> Claim:
    api = account.site.api
    return Claim(account.run, api.processes.this_process(), int(api.server_time() or 0), release)


def write_pin(
    account: Account, seat: Seat[Written], found: Written, replicas: int, report: Report, *, scales_up: bool
) -> Written:
    """Before the first patch of a release: what was found is pinned by this run, and returned as it stands then. Raises Refusal where
    admission would store something else: then nothing is kept from scaling, or nobody would know what to give back."""

    def decide(found: Written) -> Operations:
        return seat.pin(found, replicas, claim(account), scales_up)

    def send(operations: Operations, dry_run: bool) -> Written:
        if decide(seat.send(operations, True)):
            raise Refusal(
                Code.ADMISSION,
                f"an admission webhook or policy would change what keeps {seat.what} from scaling ({seat.pins(replicas, scales_up)})",
                "Exempt it from that policy, or use autoscaler=ignore (at your own risk)",
            )
        report(f"{seat.what}: {seat.pins(replicas, scales_up)}")
        return seat.send(operations, dry_run)

    changed = account.changed
    sent = _write(account, replace(seat, send=send), found, decide, "pinned", account.site.mine)
    account.changed, account.pinned = changed, account.pinned or sent.change is not None
    return sent.state


def serve(account: Account, pinned: Companion, record: Record, replicas: int, *, came: bool = False) -> None:
    """After the first patch of a release: its pin is there, and is that of this release. `came`: while the canary was held, so that the
    release has named it before it is pinned."""
    if pinned.kind.is_of_keda:
        _serve(account, on_scaled_object(account.site, pinned.name), record, replicas, came)
    else:
        _serve(account, on_autoscaler(account.site, pinned.name), record, replicas, came)


def _serve(account: Account, seat: Seat[Written], record: Record, replicas: int, came: bool) -> None:
    scales_up = record.may_scale_up
    site, claimed = account.site, claim(account, record.generation)
    try:
        sent = _write(
            account,
            seat,
            seat.read(),
            lambda current: seat.serve(current, replicas, claimed, scales_up),
            "pinned",
            lambda: site.mine_for(record.generation),
        )
    except NotFound:
        account.warn(f"{seat.what}, which was pinned for this release, no longer exists")
        return
    if sent.change is not None and seat.claim(sent.before) is None:
        account.warn(
            f"{seat.what} came while the canary was held: {seat.pins(replicas, scales_up)} until the end of the release"
            if came
            else f"somebody gave {seat.what} back while the release began: it was pinned again"
        )


def is_gone(account: Account, pinned: Companion) -> bool:
    """What was pinned for a live release, its owner has deleted, or made anew; not where it only scales something else by now."""
    site, name = account.site, pinned.name
    seat = on_scaled_object(site, name) if pinned.kind.is_of_keda else on_autoscaler(site, name)
    try:
        found = seat.read()
    except NotFound:
        account.warn(f"{seat.what}, which was pinned for this release, no longer exists")
        return True
    if isinstance(found, Autoscaler):
        return bool(autoscalers.came((found,), pinned))
    return pinned.uid not in ("", found.uid) and scaledobject.note(found) is None


def give_back_of(account: Account, record: Record, pinned: Companion, picture: Picture) -> None:
    """At the end of a release, as long as that is live: the next one may pin the same autoscaler."""
    if pinned.kind.is_of_keda:
        if _give_back_of(account, record, on_scaled_object(account.site, pinned.name), picture):
            _see_given_back(account, pinned.name)
    else:
        _give_back_of(account, record, on_autoscaler(account.site, pinned.name), picture)


def _give_back_of(account: Account, record: Record, seat: Seat[Written], picture: Picture) -> bool:
    """Whether it is there: somebody else may have given it back a moment before, or this call, which was told that it came too late."""

    def of_this_release(_found: Written) -> bool:
        now = _fresh(account, picture)
        return now.record is not None and same_release(now.record, record)

    try:
        _give_back(account, seat, seat.read(), of_this_release)
        # Whoever gave it back may have died since.
        disown_pinned(account, seat.path, seat.what)
    except NotFound:
        account.warn(f"{seat.what}, which was pinned for this release, no longer exists")
        return False
    return True


def _see_given_back(account: Account, name: str) -> None:
    """KEDA makes its autoscaler as it was, a moment after its ScaledObject was given back. What was not seen of that is told."""
    site, clock = account.site, account.site.clock
    give_up = clock.monotonic() + KEDA_SECONDS
    while True:
        over = clock.monotonic() > give_up
        try:
            kept = _still_disabled(site, name)
        except ApiError as error:
            if over or not isinstance(error, AWAY):
                account.warn(
                    f'ScaledObject "{name}" was given back, and whether KEDA has taken that over to its autoscaler was not seen: {error}'
                )
                return
        else:
            if not kept:
                return
            if over:
                break
        clock.sleep(OBSERVE_PAUSE_SECONDS)
    for one, sides in kept:
        left = " and ".join(f"behavior.{side}.selectPolicy" for side in sides)
        account.warn(
            f'ScaledObject "{name}" was given back, and KEDA has not taken that over to HorizontalPodAutoscaler "{one.name}" in '
            f"{KEDA_SECONDS:g} seconds: {left} still reads {scaledobject.DISABLED}, and it does not scale that way. Check that KEDA's operator "
            "runs. KEDA before 2.18.2 leaves it so for good: delete the HorizontalPodAutoscaler, which KEDA then makes anew, and upgrade KEDA"
        )


def _still_disabled(site: Site, name: str) -> list[tuple[Autoscaler, tuple[str, ...]]]:
    """The autoscalers of a ScaledObject that was given back, and which ways each of them still does not scale."""
    found = site.scaled_object(name)
    kept = [(one, scaledobject.still_disabled(one, found)) for one in site.autoscalers() if one.scaled_object == name]
    return [(one, sides) for one, sides in kept if sides]


def is_left(site: Site, found: Autoscaler) -> bool:
    """Whether an earlier run has left it pinned. What its ScaledObject says counts: KEDA takes no annotation alone away from its autoscaler.
    Raises Refusal where that cannot be read."""
    if not found.scaled_object or not autoscalers.is_pinned(found):
        return autoscalers.is_pinned(found)
    try:
        return scaledobject.note(site.scaled_object(found.scaled_object)) is not None
    except NotFound:
        return False
    except Forbidden:
        return True


def give_back_orphans(account: Account, picture: Picture, *, check: bool) -> None:
    """Gives back autoscalers that an interrupted run left pinned although no release is live.

    Who may not list them has pinned none: that right is needed for `autoscaler: pin` and `refuse` alone. Who may not give one back
    is told of it: what was asked for does not need it.
    """
    try:
        found = account.site.autoscalers()
    except Forbidden:
        return
    for autoscaler in found:
        if check or not autoscalers.is_pinned(autoscaler):
            continue
        try:
            give_back_orphan(account, autoscaler, picture)
        except Forbidden as error:
            account.passes_over(error)
            account.warn(
                f'HorizontalPodAutoscaler "{autoscaler.name}" is pinned, perhaps by a run that died, and was not given back: {error} '
                "canary_undo of somebody who may do that gives it back"
            )


def give_back_orphan(account: Account, autoscaler: Autoscaler, picture: Picture) -> bool:
    """Whether it was given back: not where a release is live after all, or another run is about to begin one."""
    if autoscaler.scaled_object:
        seat = on_scaled_object(account.site, autoscaler.scaled_object)
        try:
            given = _give_back_left(account, seat, seat.read(), picture)
        except NotFound:
            return False
        if given:
            _see_given_back(account, autoscaler.scaled_object)
        return given
    return _give_back_left(account, on_autoscaler(account.site, autoscaler.name), autoscaler, picture)


def _give_back_left(account: Account, seat: Seat[Written], found: Written, picture: Picture) -> bool:
    def left(found: Written) -> bool:
        claimed = seat.claim(found)
        if claimed is None or _fresh(account, picture).phase is not Phase.NONE:
            return False
        ended = account.site.api.processes.has_ended(claimed.process)
        if autoscalers.free(claimed, account.run, account.site.api.server_time(), ended):
            return True
        account.warn(
            f"{seat.what} is pinned by another run, which is about to begin a release, and was left "
            f"to it. Should that run have died, this verb gives it back {autoscalers.STALE_SECONDS // 60} minutes after the pin, by the API server's time"
        )
        return False

    given = _give_back(account, seat, found, left)
    if given:
        disown_pinned(account, seat.path, seat.what)
    return given


def _fresh(account: Account, picture: Picture) -> Situation:
    """Whether a release is live is told by the Deployment alone."""
    return diagnose(replace(picture, deployment=account.site.deployment()))


def _give_back(account: Account, seat: Seat[Written], found: Written, allowed: Callable[[Written], bool]) -> bool:
    """Puts back what a pin has replaced; nothing for what is not pinned, or no longer to be given back."""

    def decide(found: Written) -> Operations:
        operations = seat.give_back(found)
        return operations if operations and allowed(found) else []

    given = _write(account, seat, found, decide, "given back", account.site.mine)
    if given.change is None:
        return False
    if theirs := seat.theirs(given.before, given.state):
        account.warn(
            f"somebody changed {seat.what} while it was pinned: what was changed was left as it is ({', '.join(theirs)})"
        )
    return True


def _write(
    account: Account,
    seat: Seat[Written],
    found: Written,
    decide: Callable[[Written], Operations],
    done: str,
    permitted: Callable[[], None],
) -> Sent[Written, Operations]:
    """`decide`: no operations where nothing is left to do. `done`: what was to be done with it, in a word."""
    busy = Refusal(Code.BUSY, f"{seat.what} kept changing while it was to be {done}", "Run this again")
    sent = guarded(
        found,
        lambda now: decide(now) or None,
        lambda _found, operations: seat.send(operations, False),
        seat.read,
        busy,
        permitted=permitted,
    )
    account.changed = account.changed or sent.change is not None
    return sent
