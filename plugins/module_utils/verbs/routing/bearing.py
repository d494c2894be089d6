# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A share that the pods of a version are not to bear. This module is private to the collection."""

from __future__ import annotations

from fractions import Fraction

from ...rollout.intstr import resolve_fenceposts
from ...rollout.phase import Situation, ready_pods
from ...rollout.refusal import Code, Refusal
from ...traffic.load import largest_weight, per_cent, pods_for
from ...wording import count_of
from ..call.ending import Account
from ..call.orders import TrafficRequest


def agree_to_load(account: Account, asked: TrafficRequest, weight: Fraction, replicas: int, pods: int) -> None:
    """As check_load, and a warning where somebody said that it may be so."""
    try:
        check_load(weight, replicas, pods)
    except Refusal as refusal:
        if asked.overload != "warn":
            raise
        account.warn(f"{refusal.what}, and that was asked for")


def agree_to_return(
    account: Account, asked: TrafficRequest, situation: Situation, before: Fraction, weight: Fraction
) -> None:
    """Before users go back to the stable version, and the canary keeps `weight` of what it got `before`. Raises Refusal as check_stable does, and
    for more than the stable pods are to bear; a warning where somebody said that it may be so, and where they have more than that already, at least
    half of what they would get: a few more from a bad canary are no reason to leave them with it."""
    check_stable(situation)
    already = 1 - before
    what = too_much_for_stable(situation, 1 - weight)
    if what and too_much_for_stable(situation, already) and 2 * already >= 1 - weight:
        account.warn(f"{what}, and {per_cent(already)} % they get already")
    elif what and asked.overload == "warn":
        account.warn(f"{what}, and that was asked for")
    elif what:
        raise Refusal(
            Code.OVERLOADED,
            what,
            "Look at the stable pods, then run this again; canary_start with that weight and overload=warn sends users back all the same, and "
            "so does canary_undo",
        )


def too_much_for_stable(situation: Situation, share: Fraction) -> str:
    """Why the stable pods that are Ready are not to get this `share` of the requests, beside a canary that serves; empty where they may. Each
    bears what each gets of as few pods as the Deployment's own strategy leaves: so it is in any rollout."""
    stable, record, replicas = situation.stable, situation.record, situation.deployment.replicas
    if record is None or stable is None or not _canary_serves(situation):
        return ""
    own = record.originals.strategy
    left = max(1, replicas - resolve_fenceposts(own.max_surge or 0, own.max_unavailable or 0, replicas).unavailable)
    ready = ready_pods(situation.picture, stable)
    if share <= largest_weight(left, ready):
        return ""
    fewest = count_of(left, "pod", "gets", "get each")
    return (
        f"{per_cent(share)} % of the requests for {count_of(ready, 'Ready stable pod')} is more for each than {fewest}, as few as the Deployment's "
        "own strategy leaves"
    )


def check_stable(situation: Situation) -> None:
    """Before users go back to the stable version. Raises Refusal where no pod of it is Ready, and those of the canary serve them."""
    stable = situation.stable
    if _canary_serves(situation) and (stable is None or not ready_pods(situation.picture, stable)):
        raise Refusal(
            Code.NOT_READY,
            "no pod of the stable version is Ready, so that users who are sent back to it would get errors, whom the canary serves",
            "Look at the stable pods, then run this again; canary_undo brings them back first",
        )


def _canary_serves(situation: Situation) -> bool:
    canary = situation.canary
    return canary is not None and ready_pods(situation.picture, canary) > 0


def check_load(weight: Fraction, replicas: int, pods: int) -> None:
    """Raises Refusal where a canary pod would get more than a pod gets without a canary."""
    largest = largest_weight(replicas, pods)
    if weight > largest:
        held, wanted = count_of(pods, "canary pod"), count_of(pods_for(weight, replicas), "pod")
        ordinary = count_of(replicas, "pod", "gets", "get each")
        raise Refusal(
            Code.OVERLOADED,
            f"{per_cent(weight)} % of the requests for {held} is more for each than without a canary {ordinary}",
            f"Ask for {wanted}, or for at most {per_cent(largest)} %",
        )
