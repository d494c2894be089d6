# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A HorizontalPodAutoscaler before a start: refuse it, pin it, or leave it alone.

This module is private to the collection.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from ...cluster.errors import ApiError, Forbidden
from ...rollout import autoscaler as autoscalers
from ...rollout import scaledobject
from ...rollout.phase import Phase, Situation
from ...rollout.refusal import Code, Refusal
from ...rollout.views import Autoscaler, Deployment, Picture, ScaledObject
from ..call.ending import Account
from ..call.guarded import ATTEMPTS
from ..call.orders import AutoscalerPolicy
from ..call.outcome import Report
from .pins import (
    KEDA_SECONDS,
    OBSERVE_PAUSE_SECONDS,
    Seat,
    give_back_orphan,
    is_gone,
    is_left,
    on_autoscaler,
    on_scaled_object,
    write_pin,
)

# One default sync period of the autoscaler's controller and a margin, for servers whose autoscalers have no generation.
UNOBSERVED_SECONDS = 20.0
# What changes an autoscaler for the time of a release.
KEPT = (AutoscalerPolicy.PIN, AutoscalerPolicy.HOLD)


def check(picture: Picture, policy: AutoscalerPolicy) -> Autoscaler | None:
    """The autoscaler to pin, or that is pinned already, or None. Raises Refusal for what the policy does not allow."""
    found = picture.autoscalers or ()
    if policy is AutoscalerPolicy.IGNORE:
        return next(iter(found), None)
    if policy is AutoscalerPolicy.REFUSE:
        autoscalers.refuse(found, picture.deployment)
    if policy in KEPT:
        return autoscalers.to_pin(found, picture.deployment, scales_up=policy is AutoscalerPolicy.HOLD)
    return None


def check_same(situation: Situation, policy: AutoscalerPolicy) -> None:
    """Raises Refusal for another way to keep an autoscaler than that in which this release keeps one."""
    record = situation.record
    if record is None or record.pinned is None or policy not in KEPT:
        return
    kept = AutoscalerPolicy.HOLD if record.may_scale_up else AutoscalerPolicy.PIN
    if kept is not policy:
        raise Refusal(
            Code.AUTOSCALER,
            f"this release began with autoscaler={kept.value} and keeps {record.autoscaler} so, and {policy.value} was asked for",
            f"Give autoscaler {kept.value}, or take the canary back with canary_undo and start it anew",
        )


def check_late(account: Account, situation: Situation, policy: AutoscalerPolicy) -> Autoscaler | None:
    """The autoscaler to pin that came while the canary is held, or None. Raises Refusal as `check`."""
    record, deployment = situation.record, situation.deployment
    pinned = record.pinned if record else None
    found = autoscalers.came(situation.picture.autoscalers or (), pinned)
    if policy in KEPT:
        if pinned is not None and is_gone(account, pinned):
            pinned = None
        return autoscalers.to_pin_late(found, pinned, deployment, scales_up=policy is AutoscalerPolicy.HOLD)
    if policy is AutoscalerPolicy.REFUSE:
        autoscalers.refuse(found, deployment)
    return None


def gives_back(account: Account, to_pin: Autoscaler) -> None:
    """Raises Refusal where KEDA would not give back what a pin has set. Its ScaledObject is read only where KEDA seems to be too old."""
    if to_pin.scaled_object and not scaledobject.gives_back(to_pin):
        scaledobject.must_give_back(to_pin, account.site.scaled_object(to_pin.scaled_object))


def release_orphans(account: Account, picture: Picture, policy: AutoscalerPolicy) -> None:
    """Where autoscalers are refused: gives back what an interrupted run left pinned. Any other start goes on with it."""
    for found in picture.autoscalers or ():
        if policy is AutoscalerPolicy.REFUSE and autoscalers.is_pinned(found):
            give_back_orphan(account, found, picture)


def left_pinned(account: Account) -> tuple[Autoscaler, ...]:
    """What an earlier run has left pinned, for a start that ignores autoscalers: the pin stays as it is, the release names it, and
    its end gives it back. Who may not list them has pinned none."""
    try:
        found = account.site.autoscalers()
    except Forbidden:
        return ()
    left = []
    for one in found:
        try:
            left += [one] if is_left(account.site, one) else []
        except Refusal as refusal:
            account.warn(str(refusal))
    for one in left:
        account.warn(
            f'HorizontalPodAutoscaler "{one.name}" is still pinned by an earlier run. autoscaler=ignore leaves it so, and the end of this '
            "release gives it back"
        )
    return tuple(left)


@contextmanager
def orphans_released_if_refused(account: Account, picture: Picture, *, check: bool) -> Iterator[None]:
    """A start that is refused pins nothing again: what an interrupted run left pinned is given back after all. Where only that was
    asked whether it would begin, as by a release that plans, it is told of."""
    try:
        yield
    except (Refusal, ApiError):
        let_go_of_left(account, picture, check=check)
        raise


def let_go_of_left(account: Account, picture: Picture, *, check: bool) -> None:
    """Where no release begins: gives back what an interrupted run left pinned. No request where nothing is."""
    for found in picture.autoscalers or ():
        if not autoscalers.is_pinned(found):
            continue
        if not check:
            _let_go(account, found.name, picture, there=True)
        elif is_left(account.site, found):
            account.warn(
                f'HorizontalPodAutoscaler "{found.name}" is pinned, perhaps by a run that died: canary_undo, or canary_start, gives it back'
            )


def pin(
    account: Account,
    autoscaler: Autoscaler,
    deployment: Deployment,
    timeout: float,
    report: Report,
    *,
    scales_up: bool = False,
) -> Deployment:
    """Pins or holds the autoscaler at the Deployment's replicas and returns the Deployment as it stands then.

    A scale that was under way may still land after the patch, so replicas count only once the autoscaler's controller
    has seen it. Raises Refusal when replicas do not come to rest.
    """
    deadline = account.site.clock.monotonic() + timeout
    for _attempt in range(ATTEMPTS):
        if autoscaler.scaled_object:
            keda = on_scaled_object(account.site, autoscaler.scaled_object)
            paused = write_pin(account, keda, keda.read(), deployment.replicas, report, scales_up=scales_up)
            autoscaler = _await_taken_over(account, keda, paused, autoscaler, deadline, scales_up=scales_up)
        else:
            seat = on_autoscaler(account.site, autoscaler.name)
            autoscaler = write_pin(account, seat, autoscaler, deployment.replicas, report, scales_up=scales_up)
            if scales_up:
                autoscalers.has_kept(autoscaler, deployment)
        _await_observed(account, autoscaler, deadline)
        after = account.site.deployment()
        if after.replicas == deployment.replicas:
            return after
        deployment = after
    raise _restless(autoscaler, deployment)


def _await_taken_over(
    account: Account,
    seat: Seat[ScaledObject],
    paused: ScaledObject,
    autoscaler: Autoscaler,
    deadline: float,
    *,
    scales_up: bool,
) -> Autoscaler:
    """KEDA has taken the pause of its ScaledObject over to its autoscaler. Raises Refusal where it does not."""
    site, clock = account.site, account.site.clock
    give_up = min(deadline, clock.monotonic() + KEDA_SECONDS)
    while True:
        found = site.autoscaler(autoscaler.name)
        if scaledobject.takes(found, paused, scales_up=scales_up):
            return found
        if clock.monotonic() > give_up:
            raise Refusal(
                Code.AUTOSCALER,
                f'{seat.what} was paused, and KEDA has not taken that over to HorizontalPodAutoscaler "{autoscaler.name}" in '
                f"{KEDA_SECONDS:g} seconds",
                "KEDA 2.18.2 or later is needed, and its operator has to run. Keep it from scaling in another way, such as "
                "autoscaling.keda.sh/paused on the ScaledObject, and then use autoscaler=ignore",
            )
        clock.sleep(OBSERVE_PAUSE_SECONDS)


def _restless(autoscaler: Autoscaler, deployment: Deployment) -> Refusal:
    return Refusal(
        Code.AUTOSCALER,
        f'replicas of Deployment "{deployment.name}" kept changing while HorizontalPodAutoscaler '
        f'"{autoscaler.name}" was being pinned',
        "Try again when the load is steadier",
    )


@contextmanager
def given_back_unless_held(account: Account, pinned: Autoscaler, picture: Picture) -> Iterator[None]:
    """A start that fails before its first patch leaves the autoscaler as it was, unless another start has begun its release. One that an
    earlier run had left pinned is given back by it, which is a change."""
    left = autoscalers.is_pinned(pinned)
    try:
        yield
    except (Refusal, ApiError) as error:
        held = account.situation is not None and account.situation.phase is not Phase.NONE
        changed = account.changed
        if (
            not held
            and not error.may_have_written
            and _let_go(account, pinned.name, picture, there=account.pinned or left)
        ):
            account.changed, account.pinned = changed or left, False
        raise


def _let_go(account: Account, name: str, picture: Picture, *, there: bool) -> bool:
    """`there`: a pin of this call, or one that an earlier run has left, so that a failure is worth a word."""
    try:
        return give_back_orphan(account, account.site.autoscaler(name), picture)
    except (ApiError, Refusal) as error:
        account.passes_over(error)
        if there:
            stands = "may still be" if error.may_have_written else "is still"
            account.warn(f"{error} It {stands} pinned; canary_undo, or the next canary_start, gives it back")
        return False


def _await_observed(account: Account, autoscaler: Autoscaler, deadline: float) -> None:
    clock = account.site.clock
    if autoscaler.generation is None:
        clock.sleep(min(UNOBSERVED_SECONDS, max(0.0, deadline - clock.monotonic())))
        return
    wanted = autoscaler.generation
    while (autoscaler.observed_generation or 0) < wanted:
        if clock.monotonic() > deadline:
            raise Refusal(
                Code.AUTOSCALER,
                f'the controller of HorizontalPodAutoscaler "{autoscaler.name}" has not seen that it was pinned',
                "Check that kube-controller-manager runs, then run this again",
            )
        clock.sleep(OBSERVE_PAUSE_SECONDS)
        autoscaler = account.site.autoscaler(autoscaler.name)
