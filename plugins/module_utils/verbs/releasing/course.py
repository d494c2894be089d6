# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a release has come in one call, and what the call was asked.

The front door makes these values and sees nothing of the rooms behind them; so what it needs is named here.
This module is private to the collection.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Iterator, Mapping

from ...cluster.api import Api
from ...cluster.errors import ApiError
from ...display.news import Kind, news
from ...release.policies import (
    End,
    Gate,
    Headroom,
    OnFailure,
    OnInconclusive,
    OnUnknown,
    Policies,
    Through,
    WhenMissing,
)
from ...release.result import FAILURES, Ending, Moment, Release, UnreadableResult, WaitsFor
from ...release.rulings import NOTHING_CHANGED, Stage
from ...release.summary import summary
from ...rollout.describe import released_already
from ...rollout.phase import Situation, diagnose
from ...values import dataclass
from ..bake import bake
from ..call.ending import accounted
from ..call.holding import Holding
from ..call.orders import (
    Ask,
    BakeRequest,
    Call,
    Meant,
    PromoteBy,
    Size,
    StartRequest,
    TrafficRequest,
    Withdrawn,
    held_as,
    new_run,
    nobody,
    stands,
)
from ..call.outcome import Outcome, Report, VerbFailure
from ..call.site import Site
from ..counting.asked import HeadroomRequest
from ..judging.asked import VerifyRequest

if TYPE_CHECKING:
    from ..judging.checks import CheckAsked

__all__ = [
    "FAILURES",
    "NOTHING_CHANGED",
    "Ask",
    "Course",
    "End",
    "Ending",
    "Gate",
    "Headroom",
    "OnFailure",
    "OnInconclusive",
    "OnUnknown",
    "Policies",
    "Release",
    "ReleaseRequest",
    "Stage",
    "StepAsked",
    "Through",
    "UnreadableResult",
    "WaitsFor",
    "WhenMissing",
    "new_run",
    "nobody",
    "summary",
]


WAVE_FAILED = "wave_failed"
# What of a release that began on it is known of its cluster, where nobody has named one.
CURRENT_CONTEXT = "current_context"


@dataclass(frozen=True)
class StepAsked:
    """`bake` in seconds. `checks`: the step's own, instead of the release's; None: it has none of its own. `verify_tasks`: the file of
    tasks by which the caller verifies the canary at this step, before it is judged. `traffic`: what it gets of the
    requests, whatever it got before; None: what Services give it."""

    size: Size = field(default_factory=Size)
    bake: float = 0.0
    checks: tuple[CheckAsked, ...] | None = None
    verify_tasks: str = ""
    traffic: TrafficRequest | None = None

    @property
    def at_least(self) -> StepAsked:
        """The same asked of a canary that may be larger, which stays as large as it is and gets no fewer of the requests."""
        traffic = self.traffic and replace(self.traffic, at_least=True)
        return replace(self, size=replace(self.size, at_least=True), traffic=traffic)

    def gives_less_than(self, share: Fraction) -> bool:
        """Of the requests, whose share is 0 to 1."""
        return self.traffic is not None and (self.traffic.weight or 0) < share

    def gives_more_than(self, share: Fraction) -> bool:
        return self.traffic is not None and (self.traffic.weight or 0) > share


# What gives the routes back to their owner, unless it tells what the canary gets.
_ENDS = ("promote", "undo", "rollback")
# What needed none; whoever goes over its pods finds none.
_WITHOUT_CANARY = (Ending.ALREADY_RELEASED, Ending.CREATED)
# All requests, with pods for all of them: a promotion by weights begins with it.
EVERYBODY = Fraction(1)


@dataclass(frozen=True)
class ReleaseRequest:
    """`start`, `judge` and `room` say how the verbs of a step are asked: template, surge, autoscaler; checks, window, confidence;
    prices. `guard`: for how many seconds the checks go on once the promotion has begun.

    `by`, `keep`: as canary_promote is asked. `previous`: what an earlier call of the same release returned. `reject`: why the caller's own
    verification fails it. `held`: which canary that is held already is promoted; None: this releases the template of `start`. `ask` asks at the gate.
    `began`: what later calls have to say, too, as `Release` keeps it.
    """

    call: Call
    start: StartRequest
    judge: VerifyRequest
    room: HeadroomRequest
    steps: tuple[StepAsked, ...] = (StepAsked(),)
    policies: Policies = field(default_factory=Policies)
    guard: float = 0.0
    by: PromoteBy | None = None
    keep: float = 0.0
    through: Through = field(default_factory=Through)
    previous: Release | None = None
    reject: str = ""
    run: str = ""
    held: Meant | None = None
    ask: Ask = nobody
    began: Mapping[str, str] = field(default_factory=dict)

    def judges(self, step: StepAsked) -> bool:
        """Whether a check has a say at this step."""
        return bool(self.judge.checks if step.checks is None else step.checks)

    @property
    def everybody(self) -> StepAsked | None:
        """What comes after the steps in a promotion by weights: a canary of so many pods that it can get all requests."""
        traffic = self.steps[-1].traffic
        if traffic is None or (self.by or traffic.promoted_by) is not PromoteBy.WEIGHTS:
            return None
        asked = replace(traffic, weight=EVERYBODY, mirror=None)
        return StepAsked(Size.bearing(EVERYBODY), bake=self.keep, traffic=asked)

    @property
    def holds(self) -> tuple[StepAsked, ...]:
        """Every size that the canary is to have, in their order."""
        return self.steps if self.everybody is None else (*self.steps, self.everybody)


@dataclass
class Course:
    """One call: what was asked, and how far the release has come. `step`: the one that is going on, and how many there are. `gets`: the
    canary's per cent of the requests, and that of which it gets copies, where routes split them."""

    api: Api
    request: ReleaseRequest
    teller: Report
    release: Release
    holding: Holding
    withdrawn: Withdrawn = stands
    step: tuple[int, int] | None = None
    gets: tuple[float, float] | tuple[None, None] = (None, None)
    changed: bool = False
    warnings: list[str] = field(default_factory=list)
    canary: Mapping[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    # What the verb before has read last, where it has done nothing since.
    seen_last: Situation | None = None
    # What all steps were planned from.
    planned_from: Situation | None = None

    @classmethod
    def begin(cls, api: Api, request: ReleaseRequest, report: Report, withdrawn: Withdrawn = stands) -> Course:
        begun = request.previous or Release(run=request.run or new_run(), began=_where(api, request.began))
        # Whoever goes on with a release, or names the canary of another call, goes on as the run that holds it. He comes back with what
        # this one returns.
        held = request.held.run if request.held else ""
        run = begun.run if request.previous else request.run or held or begun.run
        holding = held_as(api, request.call, run, returns=True)
        course = cls(api, request, report, begun, holding, withdrawn)
        if begun.timeline and (last := begun.timeline[-1]).share is not None:
            course.gets = (last.share, last.mirror or 0.0)
        return course

    def heard(self, told: str) -> None:
        """The report of a watch: nothing is written meanwhile, so a release that is withdrawn ends there."""
        self.report(told)
        self.must_stand()

    def must_stand(self) -> None:
        """Raises VerbFailure where the release is withdrawn."""
        if why := self.withdrawn():
            raise VerbFailure(why, code=WAVE_FAILED)

    @property
    def site(self) -> Site:
        return Site(self.api, self.request.call.target, self.call())

    @property
    def ours(self) -> Meant:
        return Meant(hash=self.release.hash, run=self.release.run)

    def call(self, meant: Meant | None = None, *, check: bool | None = None, waits: bool = True) -> Call:
        """As a verb is called: about this release, unless it says otherwise."""
        call = self.request.call
        return replace(
            call,
            meant=self.ours if meant is None else meant,
            check=call.check if check is None else check,
            wait=replace(call.wait, enabled=waits),
            holding=self.holding,
        )

    def report(self, told: str) -> None:
        """Passes on what a verb tells, as a part of this release. What an earlier call of it has told is not told again: the one that
        planned it, what speaks against its beginning; the one that held it, the way back."""
        asked = self.release.stage is Stage.ASKED
        if self.request.previous is not None and news(told).kind is (Kind.WARNING if asked else Kind.HINT):
            return
        self.teller(news(told).within(self.request.call.target.name, self.step))

    def did(self, what: str, outcome: Outcome, *, say: bool = True) -> Outcome:
        """Takes in what a verb has done, and tells it where that is more than a look."""
        self.takes(outcome)
        self.seen_last = outcome.seen
        told = outcome.extra.get("exposure")
        if told or what in _ENDS:
            self.gets = (told["weight"], told["mirror"]) if told else (None, None)
        self.note(what, outcome.message)
        if say:
            self.report(outcome.message)
        return outcome

    def takes(self, outcome: Outcome) -> None:
        self.changed = self.changed or outcome.changed
        self.before = {**outcome.before, **self.before}
        self.after.update(outcome.after)
        self.sees(outcome)

    def sees(self, outcome: Outcome) -> None:
        """What a verb has found, whatever it did, or only rehearsed."""
        self.warn(outcome.warnings)
        self.canary = outcome.canary or self.canary

    def learns(self, error: VerbFailure | ApiError) -> None:
        """What a verb that failed had done by then."""
        if isinstance(error, ApiError):
            self.changed = self.changed or error.may_have_written
            return
        self.warn(error.warnings)
        self.changed = self.changed or error.changed
        self.canary = error.canary or self.canary

    def note(self, what: str, said: str) -> None:
        versions = {name: self.canary.get(name) or {} for name in ("stable", "canary")}
        counts = {name: version["counts"]["ready"] for name, version in versions.items() if version}
        share, mirror = self.gets
        moment = Moment(self.site.now(), what, said, counts, share, mirror, by=self.request.call.actor)
        self.release = self.release.happened(moment)

    def warn(self, warnings: tuple[str, ...]) -> None:
        self.warnings.extend(text for text in warnings if text not in self.warnings)

    def reaches(self, stage: Stage) -> None:
        self.release = replace(self.release, stage=stage)

    def ends(self, ending: Ending, *why: str, waits_for: WaitsFor = WaitsFor.NOBODY) -> None:
        self.release = replace(self.release, outcome=ending, why=(*self.release.why, *why), waits_for=waits_for)

    @property
    def told(self) -> dict[str, Any]:
        """What both ends of a call return beside the rest."""
        target = self.request.call.target
        lines = summary(target.name, target.namespace, self.release, self.canary)
        # A refusal is printed whole, and is of no version that came.
        seen = self.release if self.release.outcome is Ending.REFUSED else self.release.sees(self.canary)
        # A person who is to decide looks himself, and may delete a pod that only its node made restart.
        stood = self.release.stood if self.release.waits_for is WaitsFor.CALLER else None
        return {"release": replace(seen, stood=stood).to_json(), "summary": lines}

    def outcome(self) -> Outcome:
        target, release = self.request.call.target, self.release
        return Outcome(
            changed=self.changed,
            message=" ".join(
                [f"{target.name} in namespace {target.namespace}: {release.outcome.value}.", *release.why]
            ),
            canary=released_already(self.canary) if release.outcome in _WITHOUT_CANARY else self.canary,
            before={name: value for name, value in self.before.items() if value != self.after.get(name)},
            after={name: value for name, value in self.after.items() if value != self.before.get(name)},
            warnings=tuple(self.warnings),
            extra=self.told,
            seen={Ending.PLANNED: self.planned_from, Ending.HELD: self.seen_last}.get(release.outcome),
        )

    def looks(self, seen: Situation | None = None) -> None:
        """At the canary that it holds, which is a moment of the release. `seen` takes the place of the first look."""
        self.did("look", self._looked(seen), say=False)

    def looks_again(self, since: Situation | None) -> None:
        """The same while something else is waited for, which is no moment of it. Raises VerbFailure where that is not what it was `since` an
        earlier look any more."""
        looked = self._looked(since=since)
        self.takes(looked)
        self.seen_last = looked.seen

    def _looked(self, seen: Situation | None = None, since: Situation | None = None) -> Outcome:
        return bake(self.api, BakeRequest(self.call(), 0), self.report, seen, since, self.release.stood)

    def seen(self, before: Situation | None = None) -> Situation:
        """A fresh look. Of what was seen just `before` only the Deployment is read, unless somebody has changed that."""
        with accounted(self.site) as account:
            site = account.site
            picture = site.look_again(before.picture) if before else site.look(pods=True)
            situation = account.looked(diagnose(picture))
            self.canary = account.outcome("").canary
        return situation

    def glances(self) -> None:
        """How it stands now, for whoever is told of a release that is over; nothing depends on it."""
        with suppress(VerbFailure, ApiError):
            self.seen()

    @property
    def froze_it(self) -> bool:
        """The release itself froze its canary, because the evidence decided neither way, and has not gone on since. One that waits at
        a gate has stood all its steps, and whoever froze that is a person."""
        release = self.release
        return release.waits_for is WaitsFor.PERSON and release.reached < len(self.request.steps)

    @contextmanager
    def held(self) -> Iterator[None]:
        """One Lease for all that is done in this call. It is kept only for a caller who comes back; a person who is to decide about the
        canary is another run. A call that has only planned has left none."""
        before = self.request.previous
        if before is not None and before.outcome is not Ending.PLANNED and not self.request.call.check:
            self.holding.rejoin()
        try:
            yield
        finally:
            self.holding.let_go(comes_back=self.release.waits_for is WaitsFor.CALLER)

    def is_out(self, situation: Situation) -> bool:
        """What this release judged is what the Deployment runs now."""
        return Meant(hash=self.release.hash).is_out(situation)


def _where(api: Api, began: Mapping[str, str]) -> Mapping[str, str]:
    """With the context that is the current one of a kubeconfig now, which may be another by the next call."""
    return {**began, CURRENT_CONTEXT: api.context} if api.context and "context" not in began else began
