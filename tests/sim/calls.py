# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of a verb by one process: the request that an ask stands for, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import zip_longest
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count, Sample
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import (
    Gate,
    Headroom,
    OnFailure,
    OnInconclusive,
    Policies,
    Through,
    WhenMissing,
)
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Release
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.identity import Meant
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.undo import Restore
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.bake import bake
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    SERVICE_SELECTOR,
    AutoscalerPolicy,
    BakeRequest,
    Call,
    Header,
    InfoRequest,
    LeaseAsked,
    NewTemplate,
    PauseRequest,
    PromoteBy,
    PromoteRequest,
    ResumeRequest,
    RollbackRequest,
    Size,
    StartRequest,
    Target,
    TrafficRequest,
    UndoRequest,
    Wait,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest, headroom
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    PodsAsked,
    SamplesAsked,
    VerifyRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.pause import pause
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.course import ReleaseRequest, StepAsked
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.release import release
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.resume import resume
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.rollback import rollback
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.undo import undo
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify

from .alb import ALB
from .faults import Fault
from .gateway import ADDRESS, HOST
from .history import Ask
from .istio import ISTIO
from .objects import CONTAINER, NAME, NAMESPACE, Json, image
from .store import Change
from .users import HEADER_VALUE

ANY = Meant()
Ended = Outcome | VerbFailure | ApiError


@dataclass
class Called:
    """`user`: as whom it wrote, one name for each call. `writes`: what the server took from it. `run`: whose a start or a whole release is.
    `restores`: fields that an undo is told because nothing else knows them any more. `broke`: in which error of its own it ended.
    `doubled`: a write of it was delivered twice, and the second was refused: nobody can tell that from somebody else's, so that it
    does not count as a change. `forbidden`: what it may not do. `hit`: what went wrong with its requests; of those that only read, None.
    `previous`: what a whole release takes up. `manifest`: of which it makes a Deployment."""

    actor: str
    number: int
    ask: Ask
    begun: float
    ended: float | None = None
    result: Ended | None = None
    meant: Meant = ANY
    run: str = ""
    restores: Restore | None = None
    broke: Exception | None = None
    namespace: str = NAMESPACE
    doubled: bool = False
    forbidden: frozenset[tuple[str, str]] = frozenset()
    hit: list[Fault | None] = field(default_factory=list)
    requests: int = 0
    writes: list[Change] = field(default_factory=list)
    previous: Release | None = None
    manifest: Json | None = None

    @property
    def release(self) -> Release | None:
        """What a whole release has returned."""
        told = self.result.extra.get("release") if isinstance(self.result, (Outcome, VerbFailure)) else None
        return Release.from_json(told) if told else None

    @property
    def user(self) -> str:
        return f"{self.actor}/{self.number}"

    @property
    def says_changed(self) -> bool:
        """Or that something may have been."""
        if isinstance(self.result, ApiError):
            return self.result.may_have_written
        return isinstance(self.result, (Outcome, VerbFailure)) and self.result.changed

    def told(self) -> str:
        """How it ended, as one line."""
        if isinstance(self.result, Outcome):
            return f"{'changed' if self.result.changed else 'ok'}: {self.result.message}"
        if isinstance(self.result, VerbFailure):
            return f"failed ({self.result.code}{', changed' if self.result.changed else ''}): {self.result.message}"
        if isinstance(self.result, ApiError):
            return f"error: {self.result}"
        return "told what there is" if self.result else f"broke: {self.broke!r}" if self.broke else "was killed"


Report = Callable[[str], None]


def run(api: Api, called: Called, report: Report) -> None:
    """`called` says afterwards how it ended, even where it ended as no verb may."""
    try:
        called.result = VERBS[called.ask.verb](api, called, _call(called), report)
    except (VerbFailure, ApiError) as error:
        called.result = error
    except Exception as error:  # noqa: BLE001 - whatever it is, a rule is broken
        called.broke = error


def _call(called: Called) -> Call:
    ask = called.ask
    return Call(
        Target(NAME, called.namespace),
        Wait(ask.wait, ask.timeout),
        check=ask.check,
        actor=called.actor,
        meant=called.meant,
        lease=LeaseAsked(takeover=ask.takeover),
    )


def _start(api: Api, called: Called, call: Call, report: Report) -> Outcome:
    ask = called.ask
    template = _template(called)
    size, policy = _size(ask), AutoscalerPolicy(ask.autoscaler)
    room = (ask.surge, ask.max_unavailable)
    traffic = None if ask.share is None else _traffic(ask)
    request = StartRequest(
        call, template, size, *room, policy, called.run, traffic=traffic, released_ok=ask.released_ok
    )
    return start(api, request, report)


def _template(called: Called) -> NewTemplate:
    if called.manifest is not None:
        return NewTemplate(definition=called.manifest)
    return NewTemplate(images={CONTAINER: image(called.ask.version)})


def _size(ask: Ask) -> Size:
    """As few pods as bear its share of the requests, or copies, where nothing else says how many."""
    if ask.pods is None and ask.weight is None and (ask.share or ask.mirror):
        return Size.bearing(_traffic(ask).bears)
    return Size(ask.pods, ask.weight)


def _traffic(ask: Ask) -> TrafficRequest:
    weight = Fraction(ask.share) / 100 if ask.share else None
    mirror = Fraction(ask.mirror) / 100 if ask.mirror else None
    return TrafficRequest(
        weight,
        _header(ask),
        sticky=ask.sticky,
        mirror=mirror,
        kind=ask.kind,
        overload=ask.overload,
        proof=ask.proof,
        **_entry(ask),
    )


def _header(ask: Ask) -> Header | None:
    return Header(ask.header, HEADER_VALUE) if ask.header else None


def _entry(ask: Ask) -> dict[str, Any]:
    """Where users come in, which nothing tells of a VirtualService and of an Ingress."""
    return {"url": f"http://{HOST}", "address": ADDRESS} if ask.kind in (ISTIO, ALB) else {}


def _undo(api: Api, called: Called, call: Call, report: Report) -> Outcome:
    return undo(api, UndoRequest(call, called.ask.reason, called.restores), report)


# Of the pods alone: nothing of what they serve is simulated.
_JUDGED = (CheckAsked(RateCheck("pods"), PodsAsked()),)


def _verify(api: Api, called: Called, call: Call, report: Report) -> Outcome:
    seconds, guards = called.ask.seconds, called.ask.verb == "guard"
    return verify(api, VerifyRequest(call, _JUDGED, seconds, interval=2.0, guard=guards), report)


def _headroom(api: Api, called: Called, call: Call, report: Report) -> Outcome:
    ask = called.ask
    template = NewTemplate(images={CONTAINER: image(ask.version)})
    size = Size(ask.pods, ask.weight)
    return headroom(api, HeadroomRequest(call, template, size, surge=ask.surge), report)


def _by(called: Called) -> PromoteBy | None:
    return PromoteBy(called.ask.by) if called.ask.by else None


def judges(ask: Ask, step: int) -> str:
    """What is counted at this step of a whole release, from 0 on; empty where nothing is."""
    return ask.verdicts[min(step, len(ask.verdicts) - 1)] if ask.verdicts else ""


# Bad requests of a thousand, beside 9 of the stable version.
_COUNTED = {"good": (0,) * 9, "bad": (300,) * 9, "nothing": ()}


def _checks(ask: Ask, step: int) -> tuple[CheckAsked, ...] | None:
    """Of a step. What a caller has counted has times of its own at each."""
    judge = judges(ask, step)
    if judge == "pods":
        return None
    rows = (
        Sample(1000 * step + 10 * at, Count(bad, 1000), Count(9, 1000))
        for at, bad in enumerate(_COUNTED.get(judge, ()))
    )
    return (CheckAsked(RateCheck("own", Tolerance(1.5, 0.01)), SamplesAsked(tuple(rows))),) if judge else ()


def steps_of(ask: Ask) -> int:
    """How many a whole release has."""
    return len(ask.shares) + bool(ask.mirror) if ask.shares else 2 if ask.weight is not None else ask.pods or 1


def _release(api: Api, called: Called, call: Call, report: Report) -> Outcome:
    """In as many steps as it asks for pods, each a pod larger, in two where it asks for a share of all pods, or in one for each of its shares
    of the requests."""
    template, by = _template(called), _by(called)
    shares = [Fraction(share) / 100 for share in called.ask.shares]
    blue_green = called.ask.kind == SERVICE_SELECTOR
    copies = Fraction(called.ask.mirror or 0) / 100

    def step(share: Fraction, mirror: Fraction, pods: int | None = None) -> StepAsked:
        traffic = TrafficRequest(
            share,
            _header(called.ask),
            without_header=not called.ask.header,
            # Nobody is kept who gets none of its answers.
            sticky=None if mirror else called.ask.sticky,
            mirror=mirror,
            kind=called.ask.kind,
            proof=called.ask.proof,
            **_entry(called.ask),
        )
        # What bore copies bears a smaller share, too: a canary only grows.
        bears = Size.bearing(Fraction(1) if blue_green else max(traffic.bears, copies))
        return StepAsked(Size(pods) if pods else bears, traffic=traffic)

    steps = tuple(step(one, Fraction(0), pods) for one, pods in zip_longest(shares, called.ask.sizes))
    if copies:
        steps = (step(Fraction(0), copies), *steps)
    ask, weight = called.ask, called.ask.weight
    sizes = [Size(pods) for pods in range(1, (called.ask.pods or 1) + 1)]
    if weight is not None:
        sizes = [Size(None, part) for part in (max(1, weight // 2), weight)]
    request = ReleaseRequest(
        call=call,
        start=StartRequest(
            call,
            template,
            surge=None if shares else called.ask.surge,
            autoscaler=AutoscalerPolicy(called.ask.autoscaler),
        ),
        judge=VerifyRequest(call, _JUDGED, ask.seconds, interval=2.0),
        room=HeadroomRequest(call, template),
        steps=tuple(
            replace(one, checks=_checks(ask, number), verify_tasks="verify.yml" if ask.verifies else "")
            for number, one in enumerate(steps or tuple(map(StepAsked, sizes)))
        ),
        guard=ask.guard,
        by=by,
        keep=called.ask.keep,
        policies=Policies(
            headroom=Headroom(ask.headroom),
            on_inconclusive=OnInconclusive(ask.on_inconclusive),
            on_failure=OnFailure(ask.on_failure),
            gate=Gate(ask.gate),
            when_missing=WhenMissing.CREATE if ask.creates else WhenMissing.FAIL,
        ),
        through=Through.parse(ask.through),
        previous=called.previous,
        reject=ask.reason,
        run=called.run,
        held=called.meant if ask.held else None,
    )
    return release(api, request, report)


def _rollback(api: Api, called: Called, call: Call, report: Report) -> Outcome:
    return rollback(api, RollbackRequest(call, image(called.ask.to), called.ask.reason), report)


VERBS: dict[str, Callable[[Api, Called, Call, Report], Any]] = {
    "start": _start,
    "promote": lambda api, called, call, report: promote(
        api, PromoteRequest(call, _by(called), called.ask.keep), report
    ),
    "undo": _undo,
    "pause": lambda api, called, call, report: pause(api, PauseRequest(call, called.ask.drain), report),
    "resume": lambda api, called, call, report: resume(api, ResumeRequest(call), report),
    "rollback": _rollback,
    "release": _release,
    "bake": lambda api, called, call, report: bake(api, BakeRequest(call, called.ask.seconds), report),
    "verify": _verify,
    "guard": _verify,
    "headroom": _headroom,
    "info": lambda api, called, call, report: info(api, InfoRequest(NAME, called.namespace)),
    "info of all": lambda api, called, call, report: info(api, InfoRequest()),
}
