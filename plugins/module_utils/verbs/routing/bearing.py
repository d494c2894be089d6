# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A share that the pods of a version are not to bear. This module is private to the collection."""

from __future__ import annotations

from fractions import Fraction

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


def check_stable(situation: Situation) -> None:
    """Before users go back to the stable version. Raises Refusal where no pod of it is Ready, and those of the canary serve them."""
    canary, stable = situation.canary, situation.stable
    serves = canary is not None and ready_pods(situation.picture, canary) > 0
    if serves and (stable is None or not ready_pods(situation.picture, stable)):
        raise Refusal(
            Code.NOT_READY,
            "no pod of the stable version is Ready, so that users who are sent back to it would get errors, whom the canary serves",
            "Look at the stable pods, then run this again; canary_undo brings them back first",
        )


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
