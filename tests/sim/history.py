# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A history: everything that a run is made of, as one value. Drawn from a seed; the same value plays in the same way always."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.intstr import resolve_fenceposts

from .controllers import Pace
from .faults import Planned, PlannedStream
from .gateway import Lags
from .governing import Governed
from .pods import Nature

SWIFT, HASTELESS = Pace(), Pace(0.05, 1.0)


@dataclass(frozen=True)
class Ask:
    """One call of a verb. `think`: seconds before it. `pods` and `weight`: where both are None, as few pods as bear its share. `share`: per
    cent of requests, None for a release without routes, and empty where it is not said; `shares`: of each step of a whole release, and
    `sizes` its pods, where they are not as few as bear that. `kind`: of what splits them. `header`: the name of one with which requests get
    the canary. `by`: as canary_promote takes it, `keep` seconds. `sticky`: users keep their version; None where it is not said. `drain`: of
    a pause. `overload`: of a start. `proof`: whether the gateway is asked. `mirror`: per cent of requests of which the canary gets a copy, of
    a whole release in a step before all others.
    Of a whole release: `verdicts`, what is counted at each step, or at the last of those for all that come after it: "good", "bad" or "nothing"
    of the user's own, or what "pods" tell; none where nothing is judged. `guard` in seconds; `on_failure`, `on_inconclusive`, `gate`, `through` and
    `headroom` as canary_release takes them. `verifies`: its caller's tasks verify each step. `reason`: why they fail it. `goes_on`: it takes up
    what the last whole release of this process has returned. `rescues`: in its place, it takes back what a call of the process of this
    name was about when it was killed. `held`: it promotes the canary that another call has held. `creates`: its version
    is given by a manifest, of which the Deployment is made where there is none.
    What another verb needs is left as it is."""

    verb: str
    think: float = 0.0
    version: str = "v2"
    pods: int | None = 1
    weight: int | None = None
    surge: int = 1
    max_unavailable: int | None = None
    autoscaler: str = "ignore"
    check: bool = False
    wait: bool = True
    timeout: float = 120.0
    seconds: float = 10.0
    reason: str = ""
    to: str = "v1"
    share: str | None = None
    shares: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    by: str = ""
    kind: str = "gateway_api"
    keep: float = 0.0
    header: str = ""
    sticky: bool | None = False
    mirror: str = ""
    overload: str = "refuse"
    proof: str = "prefer"
    drain: bool = False
    released_ok: bool = False
    takeover: bool = False
    verdicts: tuple[str, ...] = ()
    guard: float = 0.0
    on_failure: str = "hold"
    on_inconclusive: str = "hold"
    gate: str = "none"
    through: str = "promoted"
    headroom: str = "skip"
    goes_on: bool = False
    rescues: str = ""
    verifies: bool = False
    held: bool = False
    creates: bool = False

    @property
    def begins(self) -> bool:
        """It makes sure that a canary of its own version is held."""
        return self.verb in ("start", "release") and not self.held


@dataclass(frozen=True)
class Script:
    """One process that runs verbs one after the other. `forbidden`: rights that its user lacks, as (verb, resource).
    `names`: how it says which release it is about: by its "hash", its "run", "both", or not at all.
    `machine`: where it runs; nobody knows whether a process of another machine still lives. `skew`: seconds by which its clock is
    ahead of the server's."""

    name: str
    begins: float = 0.0
    machine: str = "here"
    skew: float = 0.0
    names: str = ""
    asks: tuple[Ask, ...] = ()
    faults: tuple[Planned, ...] = ()
    streams: tuple[PlannedStream, ...] = ()
    forbidden: frozenset[tuple[str, str]] = frozenset()


class Befalls(Enum):
    CRASH = "crashes"
    EVICTION = "is evicted"
    DELETION = "is deleted by somebody"
    APART = "is set apart by somebody"


@dataclass(frozen=True)
class Incident:
    """What befalls a pod of this version, the `place`-th of those that are there. `seconds`: until it is back."""

    at: float
    what: Befalls
    version: str
    place: int = 0
    seconds: float = 5.0


@dataclass(frozen=True)
class Foreign:
    """Somebody else's write (foreign.py says which there are). `number` and `version` where it needs one. `request`: not at a moment, but
    right before this request of the first process, from 0, arrives."""

    at: float
    what: str
    number: int = 0
    version: str = ""
    request: int | None = None


# The Deployment is another one from then on, and what is written to that is written by verbs alone.
MADE_AGAIN = frozenset(
    {"delete and create", "delete in the foreground and create", "delete without its pods and create"}
)


class End(Enum):
    """How the release is brought to its end once everybody else has stopped."""

    PROMOTE = "promote"
    UNDO = "undo"


@dataclass(frozen=True)
class History:
    """`bounds`: of an autoscaler, None for none; `keda`: it is made of a ScaledObject; `load`: what it would like to see, from which
    moment on. `quota`: how many pods there may be, None for any number. `missing`: there is no Deployment at first. `gateway`: how late its
    proxy is, None for none. `colliding`: the hashes of pod templates are the same, so that the controller has to count a collision."""

    seed: int = 0
    replicas: int = 4
    missing: bool = False
    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"
    min_ready: int = 0
    history_limit: int = 10
    change_cause: bool = False
    bounds: tuple[int, int] | None = None
    keda: bool = False
    load: tuple[tuple[float, int], ...] = ()
    quota: int | None = None
    governed: Governed | None = None
    natures: Mapping[str, Nature] = field(default_factory=dict)
    deployments: Pace = SWIFT
    replica_sets: Pace = SWIFT
    autoscalers: Pace = HASTELESS
    scripts: tuple[Script, ...] = ()
    incidents: tuple[Incident, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    end: End = End.UNDO
    gateway: Lags | None = None
    colliding: bool = False

    @cached_property
    def quiet(self) -> bool:
        """Nobody but verbs writes to a Deployment as long as there is one: everything that they promise must hold."""
        return all(one.what in MADE_AGAIN for one in self.foreign)

    @property
    def may_lack_all(self) -> bool:
        """A rollout by the Deployment's own strategy may leave no pod for a moment, where replicas are as few as they can be."""
        fewest = min(self.replicas, self.bounds[0]) if self.bounds else self.replicas
        return resolve_fenceposts(self.max_surge, self.max_unavailable, fewest).unavailable >= fewest
