# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Series that come twice because two servers scrape the same pods, each for the case that the other fails.

A pair tells itself apart by a label that it adds to everything. What reads from both (Thanos, Mimir, VictoriaMetrics) takes
it off again where it was told to; where it was not, every count is there twice.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Mapping

from ..values import dataclass
from .counters import Series
from .source import NoAnswer

# Nobody else uses these names: of the Prometheus Operator (spec.replicaExternalLabelName), of the HA tracker of Mimir and
# Cortex, of Thanos Receive and Ruler.
_OF_SCRAPERS = frozenset(
    {
        "prometheus_replica",
        "__replica__",
        "receive_replica",
        "thanos_receive_replica",
        "thanos_ruler_replica",
        "rule_replica",
    }
)
# Thanos' documentation calls it so, and applications do.
_OF_ANYBODY = "replica"


@dataclass(frozen=True)
class Once:
    """`values` without the labels of replicas. `twice`: some came more than once, and the highest of each was taken."""

    values: Mapping[Series, float]
    twice: bool = False


def once(values: Mapping[Series, float]) -> Once:
    """Also where one replica takes over from another: what goes on under another name is no new series. Raises NoAnswer where
    nobody knows whether series are the same."""
    kept: dict[Series, float] = {}
    names: dict[Series, str] = {}
    twice = False
    for series, value in values.items():
        key = tuple(label for label in series if label[0] not in _OF_SCRAPERS and label[0] != _OF_ANYBODY)
        name = next((text for label, text in series if label == _OF_ANYBODY), "")
        if names.setdefault(key, name) != name:
            raise NoAnswer(
                "the query gives series that differ in the label replica alone: write max without (replica) (...) where two "
                "servers scrape the same pods, or sum without (replica) (...) where the label is the application's own"
            )
        twice = twice or key in kept
        kept[key] = max(value, kept.get(key, value))
    return Once(kept, twice)
