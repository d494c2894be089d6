# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the new nodes cost: an hour, as a range over the groups that would do, and for the whole release, as an estimate.

    estimate = hourly x (time of the rollout + time until an autoscaler removes a node that nobody needs)

Worked example: 2 nodes at 0.192 an hour, a rollout of 20 minutes and 10 until they are removed: 0.384 an hour, 0.192 in all.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import reduce

from ..values import dataclass
from ..wording import count_of
from .finding import Answer, PeakAnswer, Question, Verdict
from .groups import Purchase, heavier, with_hasty
from .peaks import Moment
from .prices import Price, price_of

# Cluster Autoscaler removes a node that has not been needed for ten minutes (--scale-down-unneeded-time).
SCALE_DOWN_MINUTES = 10
ASSUMED_ROLLOUT_MINUTES = 10
NOTHING_NEW = "existing_capacity"


@dataclass(frozen=True)
class Position:
    """New nodes of one kind, and the price of one."""

    purchase: Purchase
    price: Price

    @property
    def hourly(self) -> Fraction | None:
        """Of all that are needed."""
        return None if self.price.hourly is None else self.price.hourly * self.purchase.count

    @property
    def hourly_most(self) -> Fraction | None:
        """Of all that there may be."""
        return None if self.price.hourly is None else self.price.hourly * self.purchase.most


@dataclass(frozen=True)
class Bill:
    """`least` and `most` an hour, over the positions, of which one is bought, or all together; None where a price that matters is unknown.

    `least` is for what is needed, `most` and `estimate` with what an autoscaler may add while old pods are still ending.
    `together`: no position would do alone. `stays`: the nodes are needed after the rollout, too, so that there is no estimate of what it costs in all.
    """

    positions: tuple[Position, ...]
    least: Fraction | None
    most: Fraction | None
    estimate: Fraction | None
    currency: str | None
    stays: bool
    basis: str
    together: bool = False


def purchases_of(answer: Answer) -> tuple[Purchase, ...]:
    """What would have to be bought for all moments that need nodes: each group that would do for all of them.

    The most demanding moment says how many, and moments that only wait for old pods to end how many more there may be.
    """
    if answer.verdict is not Verdict.NEEDS_NODES:
        return ()
    largest = max(_buying(answer), key=lambda peak: sum(one.count for one in peak.purchases if one.partial))
    if any(one.partial for one in largest.purchases):
        return largest.purchases
    moments = [{one.group.kind: one for one in peak.purchases} for peak in _buying(answer)]
    kinds = [kind for kind in moments[0] if all(kind in one for one in moments)]
    if not kinds:
        # No single group does for all moments: the one that decides says what it needs.
        return answer.deciding.purchases if answer.deciding else ()
    bought = tuple(reduce(heavier, (one[kind] for one in moments)) for kind in kinds)
    return reduce(
        with_hasty, (one.purchases for one in answer.peaks if one.verdict is Verdict.FITS and one.waits), bought
    )


def bill(question: Question, answer: Answer) -> Bill:
    positions = tuple(
        Position(one, price_of(one.group, question.prices, question.metric_prices)) for one in purchases_of(answer)
    )
    if not positions:
        free = answer.verdict in (Verdict.FITS, Verdict.FITS_AFTER_PREEMPTION)
        nothing = Fraction(0) if free else None
        basis = NOTHING_NEW if free else "no new nodes are proposed"
        return Bill((), nothing, nothing, nothing, None, False, basis)
    stays = any(one.peak.moment is Moment.STEADY for one in _buying(answer))
    together = any(one.purchase.partial for one in positions)
    why = "no price is known for every kind of node that would do"
    unpriced = Bill(positions, None, None, None, None, stays, why, together)
    known = [one.hourly for one in positions if one.hourly is not None]
    tops = [one.hourly_most for one in positions if one.hourly_most is not None]
    if len(known) < len(positions):
        return unpriced
    currencies = {one.price.currency for one in positions}
    if len(currencies) > 1:
        return replace(unpriced, basis="the prices are in several currencies")
    least, most = (sum(known, Fraction(0)), sum(tops, Fraction(0))) if together else (min(known), max(tops))
    priced = replace(unpriced, least=least, most=most, currency=currencies.pop())
    if stays:
        return replace(priced, basis="the nodes stay as long as the new version runs")
    minutes, said = _rollout_minutes(question, answer)
    estimate = most * Fraction(minutes + SCALE_DOWN_MINUTES, 60)
    basis = (
        f"{minutes} min rollout ({said}) + {SCALE_DOWN_MINUTES} min until an unneeded node is removed (assumed), "
        "without the time that the canary is held"
    )
    return replace(priced, estimate=estimate, basis=basis)


def _buying(answer: Answer) -> list[PeakAnswer]:
    return [one for one in answer.peaks if one.verdict is Verdict.NEEDS_NODES]


def _rollout_minutes(question: Question, answer: Answer) -> tuple[int, str]:
    """The Deployment's own strategy in as many waves as it takes where there is room for it."""
    if question.ready_seconds is None or answer.advice is None:
        return ASSUMED_ROLLOUT_MINUTES, "assumed"
    rollout = question.rollout
    own = next((one for one in answer.advice.strategies if one.is_own and one.completes), None)
    waves = own.waves if own else -(-rollout.replicas // max(1, rollout.own_surge + rollout.own_max_unavailable))
    seconds = waves * question.ready_seconds
    return max(
        1, -(-round(seconds) // 60)
    ), f"{count_of(waves, 'wave')} of pods that take {question.ready_seconds:g} s to be Ready"
