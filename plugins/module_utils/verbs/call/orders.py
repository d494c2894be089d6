# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller may ask of each verb: one frozen value a verb.

The front door turns Ansible arguments into one of these, and sees nothing of the rooms behind them: so what it needs is named here.
After that no dictionary of parameters is passed on.
This module is private to the collection.
"""

from __future__ import annotations

import os
from dataclasses import field, replace
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Callable, Mapping

from ...cluster.api import Api
from ...rollout.identity import Meant
from ...rollout.lease import Between
from ...rollout.phase import Phase, Situation
from ...traffic.kinds import GATEWAY_API, KINDS, SERVICE_SELECTOR, Can, Header, Proof
from ...traffic.load import pods_for
from ...values import dataclass
from .holding import Holding

if TYPE_CHECKING:
    from ...cluster.crew import Meanwhile
    from ...rollout.undo import Restore
    from ...traffic.exposure import Exposure

# Asks a person, and returns the answer; None where nobody can be asked. Until it comes, what is to be done meanwhile is done.
Ask = Callable[[str, "Meanwhile"], "str | None"]
# Why the release is to be taken back although nothing is wrong with it: its wave failed. Empty as long as it stands.
Withdrawn = Callable[[], str]

__all__ = [
    "KINDS",
    "SERVICE_SELECTOR",
    "Ask",
    "AutoscalerPolicy",
    "BakeRequest",
    "Call",
    "Can",
    "Header",
    "InfoRequest",
    "LeaseAsked",
    "Meant",
    "NewTemplate",
    "OwnerCheck",
    "Ownership",
    "PauseRequest",
    "PromoteBy",
    "PromoteRequest",
    "Proof",
    "ResumeRequest",
    "RollbackRequest",
    "Size",
    "StartRequest",
    "Target",
    "TrafficRequest",
    "UndoRequest",
    "Wait",
    "WatchRequest",
    "Withdrawn",
    "nobody",
    "stands",
]


def stands() -> str:
    """Nobody withdraws a release that is alone."""
    return ""


def nobody(question: str, meanwhile: Meanwhile) -> None:
    """Where nobody can be asked."""


@dataclass(frozen=True)
class Target:
    """The Deployment that a verb is about. `cluster`: the options that say on which one, without secrets; `secret`: the names of
    those that have to be given, too, and are not repeated."""

    name: str
    namespace: str = "default"
    cluster: tuple[tuple[str, str], ...] = ()
    secret: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wait:
    """Whether a verb waits for what it decided, and how long (`timeout` in seconds on a monotonic clock).

    `for_nodes`: for how many seconds a pod that no node takes is waited for, because an autoscaler may add one.
    """

    enabled: bool = True
    timeout: float = 300.0
    terminated: bool = False
    for_nodes: float = 0.0


SECONDS_OF_NAMED = 300


@dataclass(frozen=True, kw_only=True)
class LeaseAsked:
    """`seconds`: how long a run keeps the Deployment to itself between two calls; None: as its last call said, else SECONDS_OF_NAMED where
    the caller can come back as it, and otherwise not at all. `of_process`: it is over with the process that asks, whatever its name.
    `takeover`: from another run, too."""

    seconds: int | None = None
    of_process: bool = False
    takeover: bool = False


class Ownership(Enum):
    """What becomes of the fields that a release has written, once it has ended: for server-side apply they have a manager."""

    GIVE_BACK = "give_back"
    KEEP = "keep"


@dataclass(frozen=True)
class Call:
    """What every verb is told besides its own question.

    `check` decides and asks the server for a dry run of the same patch, and changes nothing.
    `actor` is who is named in records (never a secret). `meant` is the release that this is about; any, where it names none.
    `holding`: the Lease of a release that this call is a part of; None: a verb has one of its own. `together`: how many such calls this
    process has going at once.
    """

    target: Target
    wait: Wait = field(default_factory=Wait)
    check: bool = False
    actor: str = ""
    meant: Meant = field(default_factory=Meant)
    lease: LeaseAsked = field(default_factory=LeaseAsked)
    ownership: Ownership = Ownership.GIVE_BACK
    holding: Holding | None = None
    together: int = 1

    def about(self, first: Situation) -> Meant:
        """The release that is meant. In a check where nothing is live no run can be there: the start before was only planned."""
        only_planned = self.check and first.phase is Phase.NONE
        return replace(self.meant, run="") if only_planned else self.meant

    def nothing_held(self, first: Situation) -> str:
        """Why a verb that only looks at a canary finds none and that is no failure; empty where it is one, or a canary is there.

        Whoever names a run says that it holds a canary: then only a check may find none.
        """
        if first.phase is not Phase.NONE:
            return ""
        if not self.meant.run and self.meant.is_out(first):
            return f"no canary is held: the version {self.meant.hash} is released already"
        if self.check and not self.meant.hash:
            return "no canary is held: what a task before this one would start is only planned"
        return ""


# The name of a run that nobody has named begins so.
UNNAMED = "unnamed-"


def new_run() -> str:
    """Of whoever gives none."""
    return UNNAMED + os.urandom(16).hex()


def held_as(api: Api, call: Call, run: str, *, returns: bool) -> Holding:
    """The Lease of the Deployment that the call is about, for this run: not taken yet. `returns`: the caller can come back as this run.
    Under a name of his own he may come back from anywhere, otherwise from this process, or from what it is a worker of."""
    target, asked, processes = call.target, call.lease, api.processes
    outlives = bool(run) and not run.startswith(UNNAMED)
    process = processes.this_process() if asked.of_process else "" if outlives else processes.parent()
    return Holding(
        api,
        target.namespace,
        target.name,
        run,
        by=call.actor,
        seconds=asked.seconds,
        usual=Between(SECONDS_OF_NAMED if returns else 0, process),
        takeover=asked.takeover,
        check=call.check,
    )


class AutoscalerPolicy(Enum):
    """What canary_start does about a HorizontalPodAutoscaler, which would otherwise rescale the split."""

    REFUSE = "refuse"
    PIN = "pin"
    HOLD = "hold"
    IGNORE = "ignore"


class OwnerCheck(Enum):
    """What canary_start does about a tool that manages the Deployment and may put its own manifest back."""

    WARN = "warn"
    FAIL = "fail"
    IGNORE = "ignore"


# Of what Kubernetes calls a Deployment; other APIs have kinds of that name, too.
API_VERSION = "apps/v1"


@dataclass(frozen=True)
class NewTemplate:
    """The pod template asked for: changed images, a strategic merge patch, or a whole Deployment manifest.

    `images` and `patch` may be combined; `definition` stands alone.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    patch: Mapping[str, Any] | None = None
    definition: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Size:
    """How many canary pods: exactly one of `pods` (a count), `weight` (per cent of all pods, 1 to 99), and `bears`: as few as carry
    this share (0 to 1) of the requests. `at_least`: a canary that is there and has more keeps them."""

    pods: int | None = 1
    weight: int | None = None
    bears: Fraction | None = None
    at_least: bool = False

    def among(self, replicas: int) -> Size:
        """With a count in place of a share of the requests."""
        return self if self.bears is None else Size(pods_for(self.bears, replicas), at_least=self.at_least)

    @classmethod
    def bearing(cls, share: Fraction) -> Size:
        """A smaller share needs fewer, and a hold only grows."""
        return cls(pods=None, bears=share, at_least=True)


@dataclass(frozen=True)
class TrafficRequest:
    """Which requests a canary is to get, whatever its share of the pods. `weight` (0 to 1) and `header`: None leaves it as it is.

    `mirror` (0 to 1): of what part of the requests it gets a copy; None leaves it as it is, but that a weight ends it.
    `sticky`: whether users keep the version that they have seen; None leaves it as it is. `kind`: by what (traffic/routers.py).
    `routes`: names of HTTPRoutes (none: every one that sends to the Service), `service`: the user's own (empty: the only one that selects
    these pods). `seconds`: None for what its kind usually takes; with `proof`, `url`, `address` and `verify` it is kept
    (rollout/record.py). `overload`: what becomes of a weight that gives a canary pod more than an ordinary pod gets. `at_least`: a canary
    that gets more than `weight` goes on to get that.
    """

    weight: Fraction | None = None
    header: Header | None = None
    without_header: bool = False
    sticky: bool | None = None
    mirror: Fraction | None = None
    kind: str = GATEWAY_API
    service: str = ""
    routes: tuple[str, ...] = ()
    seconds: int | None = None
    proof: str = "prefer"
    url: str = ""
    address: str = ""
    verify: bool = True
    overload: str = "refuse"
    at_least: bool = False

    @property
    def promoted_by(self) -> PromoteBy:
        """Where nobody says, of a release whose last step asks for this."""
        return PromoteBy.usual(self.kind, bool(self.sticky), self.weight)

    def over(self, present: Exposure) -> Exposure:
        from ...traffic.exposure import Exposure, Sticky  # of use to nobody without `traffic`

        if self.at_least and present.weight > (self.weight or 0):
            return replace(self, weight=None, mirror=None, at_least=False).over(present)
        header = None if self.without_header else self.header or present.header
        weight = present.weight if self.weight is None else self.weight
        keeps = present.sticky is not None if self.sticky is None else self.sticky
        as_it_is = Fraction(0) if weight else present.mirror
        mirror = as_it_is if self.mirror is None else self.mirror
        return Exposure(weight, header, Sticky.after(present, weight) if keeps else None, mirror)

    @property
    def bears(self) -> Fraction:
        """What its pods get by it, of all requests: as such, or as copies."""
        return self.weight or self.mirror or Fraction(0)


class PromoteBy(Enum):
    """pods: the routes become their owner's again, and then the pods move. weights: all requests first, then the pods."""

    PODS = "pods"
    WEIGHTS = "weights"

    @classmethod
    def usual(cls, kind: str, sticky: bool, weight: Fraction | None) -> PromoteBy:
        """Where nobody says. A Service that selects one version at a time is never to select both; users who keep their version are not to
        be given to pods of both; and those who are all on the canary by now are not to see the old version again."""
        return cls.WEIGHTS if KINDS[kind].switches or sticky or weight == 1 else cls.PODS


@dataclass(frozen=True)
class StartRequest:
    """`surge`: pods beyond replicas that may exist (None: as many as canary pods). `max_unavailable`: how far Ready pods may drop
    below replicas (None: 0, or 1 when `surge` is 0). `run`: whose the release is from now on (empty: of a run of its own if this begins one).
    `step`: which of how many steps of that run this is. `released_ok`: a Deployment that runs the template already is success, and no Refusal."""

    call: Call
    template: NewTemplate
    size: Size = field(default_factory=Size)
    surge: int | None = 1
    max_unavailable: int | None = None
    autoscaler: AutoscalerPolicy = AutoscalerPolicy.REFUSE
    run: str = ""
    traffic: TrafficRequest | None = None
    step: tuple[int, int] | None = None
    released_ok: bool = False
    owner_check: OwnerCheck = OwnerCheck.WARN

    @property
    def asks_autoscalers(self) -> bool:
        return self.autoscaler is not AutoscalerPolicy.IGNORE


@dataclass(frozen=True)
class PauseRequest:
    """`drain`: nobody is sent to the canary either, until it is resumed."""

    call: Call
    drain: bool = False


@dataclass(frozen=True)
class BakeRequest:
    """`seconds`: how long the canary pods have to stay as they are; 0 looks once."""

    call: Call
    seconds: float


@dataclass(frozen=True)
class ResumeRequest:
    call: Call


@dataclass(frozen=True)
class PromoteRequest:
    """`by`: None for what is usual with the release's traffic. `keep`: for how many seconds the old pods stay once all requests go to the
    new ones. `judged`: whoever asks has judged a canary that was held, and has no say about one that somebody has frozen or changed
    since."""

    call: Call
    by: PromoteBy | None = None
    keep: float = 0.0
    judged: bool = False


@dataclass(frozen=True)
class UndoRequest:
    call: Call
    reason: str = ""
    restore: Restore | None = None


@dataclass(frozen=True)
class RollbackRequest:
    """`to`: the ReplicaSet to return to: its pod-template-hash, its name, or an image that only it runs; empty: the one before, as the
    last release has left word of it. `reason`: kept on the
    Deployment and told by an Event. The call's `meant.hash` is that of the version to leave. `as_it_was`: with the template that the one
    before had, as it always is where `to` is empty; whoever names it himself gets what it has now."""

    call: Call
    to: str
    reason: str = ""
    as_it_was: bool = False


@dataclass(frozen=True)
class InfoRequest:
    """One Deployment in full (`name` given), or all live canaries of `namespace` (None: of the cluster)."""

    name: str | None = None
    namespace: str | None = None
    check: bool = False


@dataclass(frozen=True)
class WatchRequest:
    """The live release of one Deployment (`name` given), or all of `namespace` (None: of the cluster), for at most `timeout` seconds.
    `check`: one look."""

    name: str | None = None
    namespace: str | None = None
    timeout: float = 3600.0
    check: bool = False
