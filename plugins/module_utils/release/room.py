# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer about room means for a release: begin, or not, and what a person has to read of it.

This module is private to the collection.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Mapping

from ..values import dataclass
from .policies import Headroom, OnUnknown, Policies


class _Means(Enum):
    """GO and NO are plain. PRICE: go unless it is too dear. ASK: nobody knows, so `on_unknown` decides."""

    GO = "go"
    NO = "no"
    PRICE = "price"
    ASK = "ask"


NEEDS_NODES = "needs_nodes"
# Whom preemption would evict is not known to be a placeholder: somebody has to read of it.
_OF_THE_NODES = {
    "fits": _Means.GO,
    "fits_after_preemption": _Means.ASK,
    "depends_on_placement": _Means.ASK,
    "unknown": _Means.ASK,
    "quota_exceeded": _Means.NO,
    "refused": _Means.NO,
    "cannot_fit": _Means.NO,
}
# Every verdict of canary_headroom_info (headroom/finding.py) for every policy that asks; a test keeps them complete.
MEANING: Mapping[Headroom, Mapping[str, _Means]] = {
    Headroom.REQUIRE_EXISTING_NODES: {**_OF_THE_NODES, NEEDS_NODES: _Means.NO},
    Headroom.ALLOW_NEW_NODES: {**_OF_THE_NODES, NEEDS_NODES: _Means.PRICE},
    Headroom.REPORT: dict.fromkeys((*_OF_THE_NODES, NEEDS_NODES), _Means.GO),
}


@dataclass(frozen=True)
class Go:
    """`told`: sentences that belong to the plan, because somebody may want to stop this for them."""

    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refuse:
    """`why`: sentences, the reason first."""

    why: tuple[str, ...]


def rule(answer: Mapping[str, Any], policies: Policies) -> Go | Refuse:
    """`answer` is the return value `headroom` of canary_headroom_info for one size.

    `needs_nodes`, allow_new_nodes, 0.09 an hour, max_hourly_cost 0.05 -> Refuse, which names both figures.
    """
    verdict, hourly = answer["verdict"], answer["cost"]["hourly_max"]
    means = MEANING[policies.headroom][verdict]
    most = policies.max_hourly_cost
    too_dear = means is _Means.PRICE and most is not None and hourly is not None and hourly > most
    price_unknown = means is _Means.PRICE and most is not None and hourly is None
    unknown = means is _Means.ASK or price_unknown
    summary = tuple(answer["summary"])
    if means is _Means.NO or too_dear or (unknown and policies.on_unknown is OnUnknown.FAIL):
        remedies = {
            f"max_hourly_cost allows {most:g} an hour." if most is not None else "": too_dear,
            "A price is not known, and max_hourly_cost is set.": price_unknown,
            "on_unknown is fail.": unknown,
            "Make room on nodes that these pods accept, or ask for fewer or smaller pods.": verdict == "cannot_fit",
            "Raise the quota, or ask for fewer or smaller pods.": verdict == "quota_exceeded",
            "headroom: allow_new_nodes would let an autoscaler add them.": verdict == "needs_nodes"
            and policies.headroom is Headroom.REQUIRE_EXISTING_NODES,
        }
        return Refuse((*summary, *(text for text, applies in remedies.items() if applies)))
    told = policies.headroom is Headroom.REPORT or unknown or means is _Means.PRICE
    return Go(summary if told else ())
