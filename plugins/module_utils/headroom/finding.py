# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that headroom is asked, and everything that it answers, as frozen values.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from typing import Any, Mapping

from ..values import dataclass
from . import quota as quotas
from .groups import Group, Kind, Purchase
from .peaks import Peak, Rollout
from .placement import Fit
from .pod_request import Parts
from .prices import MetricPrice, PriceBook
from .scene import Scene
from .views import Incoming
from .volumes import Storage

Object = Mapping[str, Any]


class Verdict(Enum):
    """What the whole check says: what its worst moment says, and of those that are equally bad the first."""

    FITS = "fits"
    FITS_AFTER_PREEMPTION = "fits_after_preemption"
    NEEDS_NODES = "needs_nodes"
    QUOTA_EXCEEDED = "quota_exceeded"
    REFUSED = "refused"
    CANNOT_FIT = "cannot_fit"
    DEPENDS_ON_PLACEMENT = "depends_on_placement"
    UNKNOWN = "unknown"


class Exactness(Enum):
    EXACT = "exact"
    PLACEMENT_DEPENDENT = "placement_dependent"
    APPROXIMATE = "approximate"


class PodSource(Enum):
    """Where the pod's final form comes from: the API server's own dry run, or the template alone."""

    DRY_RUN = "dry_run"
    TEMPLATE = "template"


@dataclass(frozen=True)
class Question:
    """`pod`: the API object as admission would make it. `scene`: nodes and pods, `owners`: uids of the Deployment's ReplicaSets.

    `canary_owner`: uid of the new version's ReplicaSet if it is held. `new_replica_set`: there is none yet, held or left from before.
    `refusals`: why admission refuses the pod.
    `unknown`: what could not be read and may change the verdict. `group_rooms`: how many nodes of each kind may still be added.
    `absent`: how many more pods of the old version are assumed than there are, each like `absent_pod`.
    `others`: releases at the same time that the scene and the quotas have in them.
    `ready_seconds`: how long a pod takes to become Ready, None when nothing tells. `cluster_known` False: nodes or pods could not be listed.
    """

    pod: Object
    pod_source: PodSource
    minor: int
    scene: Scene
    rollout: Rollout
    owners: frozenset[str] = frozenset()
    canary_owner: str = ""
    new_replica_set: bool = False
    old_pod: Object | None = None
    absent: int = 0
    absent_pod: Object | None = None
    storage: Storage = field(default_factory=Storage)
    quotas: tuple[quotas.Quota, ...] = ()
    refusals: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    group_rooms: Mapping[Kind, int] = field(default_factory=dict)
    group_label: str | None = None
    prices: PriceBook = field(default_factory=PriceBook)
    metric_prices: tuple[MetricPrice, ...] = ()
    ready_seconds: float | None = None
    cluster_known: bool = True
    others: int = 0


@dataclass(frozen=True)
class PeakAnswer:
    """What one peak comes to. `waits`: it is told for the time when old pods that are ending have ended, because before that it is worse.

    `purchases`: the new nodes that it takes. One that fits because it waits has those that would hold it at once, where others need nodes.

    `rescued`: placed after preemption, None when that was not needed or is not allowed to the pod. `rejected`: how many nodes
    give each reason for refusing the first copy; `candidates`: nodes that would take it.
    """

    peak: Peak
    waits: bool
    fit: Fit
    quota: quotas.Allowed
    rescued: int | None
    purchases: tuple[Purchase, ...]
    verdict: Verdict
    rejected: Mapping[str, int]
    candidates: int
    nearest_miss: tuple[str, tuple[tuple[str, int], ...]] | None


@dataclass(frozen=True)
class Strategy:
    """One way to roll: does it end without a new node, in how many waves, and how many pods are Ready at the lowest point."""

    surge: int
    max_unavailable: int
    completes: bool
    waves: int
    seconds: float | None
    lowest_ready: int
    is_own: bool


@dataclass(frozen=True)
class Advice:
    """Strategies tried, the best of those that complete (None when none does), and how many canary pods fit right now."""

    strategies: tuple[Strategy, ...]
    best: Strategy | None
    surge_now: int


@dataclass(frozen=True)
class Answer:
    """The whole answer. `deciding` is the peak that gave the verdict, None when there is no peak at all."""

    verdict: Verdict
    exactness: Exactness
    incoming: Incoming
    parts: Parts
    peaks: tuple[PeakAnswer, ...]
    deciding: PeakAnswer | None
    groups: tuple[Group, ...]
    advice: Advice | None
    unknown: tuple[str, ...]
    assumptions: tuple[str, ...]
