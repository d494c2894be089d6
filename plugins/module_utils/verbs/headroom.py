# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_headroom_info: will this canary, and the rollout after it, fit; if not, what would be bought; or does a quota refuse it.

It reads, asks for one dry run, and decides in pure code (headroom/). Check mode is no different from a real run.
This module is private to the collection.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Sequence, TypeVar

from ..cluster.api import Api
from ..cluster.errors import ApiError, ConfigError, Forbidden, Unauthorized, Unreachable
from ..cluster.yamltext import OF_VALUES
from ..foreign import printable
from ..headroom.admission import admitted_locally, pod_to_ask_for
from ..headroom.bill import purchases_of
from ..headroom.check import Ground, conclude, survey, worst
from ..headroom.finding import Answer, Question, Verdict
from ..headroom.groups import Group, Kind
from ..headroom.others import Beside
from ..headroom.peaks import Rollout
from ..headroom.pod_request import NEWEST_KNOWN_MINOR
from ..headroom.prices import PriceBook, PriceError, price_book
from ..headroom.report import headroom as shaped
from ..headroom.report import summary
from ..rollout.intstr import resolve_fenceposts
from ..rollout.phase import HOLDING, Phase, Situation, diagnose
from ..rollout.refusal import Code, Refusal
from ..rollout.size import ImpossibleSize, Room, pods_for_weight
from ..rollout.start import stable_of, stable_to_change
from ..rollout.template import replica_set_of
from ..rollout.views import Picture, ReplicaSet
from ..values import dataclass
from .call.ending import accounted
from .call.orders import NewTemplate, Size
from .call.outcome import API_ERROR, Outcome, Report, VerbFailure
from .call.site import Site
from .counting.asked import HeadroomRequest, PriceMetrics
from .counting.headroom_limits import Limits, read_limits
from .counting.headroom_reading import Cluster, ClusterReader, Lists, Reader, Subject, not_readable, server_minor
from .moving.template import candidate, wished

if TYPE_CHECKING:
    from .counting.headroom_prices import Found

__all__ = ["HeadroomRequest", "headroom"]

DEFAULT_SHARE = "25%"
# What keeps anybody from asking about any release of this cluster.
_OF_THE_CLUSTER = (ConfigError, Unauthorized, Unreachable)
_Found = TypeVar("_Found")


def headroom(api: Api, request: HeadroomRequest, report: Report) -> Outcome:
    """About eight requests, and one more for each 500 nodes and each 500 pods. Raises VerbFailure, ApiError.

    Where new nodes are needed a few more ask for the limits of autoscalers, and the metrics for prices. Others cost three each, four with a
    patch, and one for each further namespace.
    """
    answers = room_for_all(api, (*request.others, request), report)
    told = [_rooms_of(one) for one in answers][-1]
    steps = {"steps": list(told.steps)} if request.steps else {}
    return Outcome(changed=False, message=told.decisive["summary"][0], extra={"headroom": told.decisive, **steps})


@dataclass(frozen=True)
class Rooms:
    """The answers for each size of one release, and that of the worst of them."""

    steps: tuple[Mapping[str, Any], ...]
    decisive: Mapping[str, Any]


def _rooms_of(one: Rooms | VerbFailure | ApiError) -> Rooms:
    if isinstance(one, (VerbFailure, ApiError)):
        raise one
    return one


Counts = Callable[[int, Rooms], bool]
# Each asks by a way to the cluster that it is given; what they find, in their order.
Asks = Callable[[Sequence[Callable[[Api], Any]]], list[Any]]


def room_for_all(
    api: Api,
    requests: Sequence[HeadroomRequest],
    report: Report,
    counts: Counts = lambda number, rooms: True,
    each: Asks | None = None,
) -> list[Rooms | VerbFailure | ApiError]:
    """What is answered to each of these releases at the same time, from one reading of the cluster. Each has those before it for
    which `counts` holds counted as placed. One that cannot be asked about has its failure as its answer. `each` lets what is about
    one release alone be read side by side. Raises VerbFailure, ApiError for what is the matter with the reading of all."""
    with _making_sense():
        return _room_for_all(api, requests, report, counts, each)


@contextmanager
def _making_sense() -> Iterator[None]:
    """Thousands of objects are counted as they come: to check each member of each before would cost as much as the counting. What of one
    is not as the API says it is ends that."""
    try:
        yield
    except OF_VALUES as error:
        what = f"{type(error).__name__}: {printable(str(error), 200)}"
        raise VerbFailure(
            f"an object that was read to count room makes no sense ({what}). Look at the nodes, pods and quotas of the cluster",
            code=API_ERROR,
        ) from error


def _alone(ask: Callable[[], _Found]) -> _Found | VerbFailure | ApiError:
    """What is found about one release, or what stands in its way alone. Raises ApiError for what stands in that of all."""
    try:
        with _making_sense():
            return ask()
    except _OF_THE_CLUSTER:
        raise
    except (VerbFailure, ApiError) as error:
        return error


def _room_for_all(
    api: Api, requests: Sequence[HeadroomRequest], report: Report, counts: Counts, each: Asks | None
) -> list[Rooms | VerbFailure | ApiError]:
    begun = api.clock.monotonic()
    minor, unknown = server_minor(api)
    lists = Lists()
    works = [partial(_begun, request=request, minor=minor, lists=lists) for request in requests]
    asked: list[_Asked | VerbFailure | ApiError] = each(works) if each else [work(api) for work in works]
    readers = [one.reader for one in asked if isinstance(one, _Asked)]
    if not readers:
        return [one for one in asked if not isinstance(one, _Asked)]
    cluster = ClusterReader(api, readers, minor, report).cluster()
    cluster = replace(cluster, unknown=(*unknown, *cluster.unknown))
    market, beside = _Market(api), Beside()
    answers: list[Rooms | VerbFailure | ApiError] = []
    for number, one in enumerate(asked):
        if not isinstance(one, _Asked):
            answers.append(one)
            continue
        question = _alone(partial(one.question, cluster))
        if not isinstance(question, Question):
            answers.append(question)
            continue
        told = _rooms(one, beside.asked(question), {api, one.site.api}, cluster, market, begun)
        answers.append(told)
        if number < len(asked) - 1 and counts(number, told):
            beside = beside.counting(replace(question, rollout=one.largest), one.name)
    return answers


@dataclass(frozen=True)
class _Asked:
    """One release that is asked about, as far as its own Deployment tells. `rollouts`: for each of its sizes."""

    request: HeadroomRequest
    site: Site
    situation: Situation
    reader: Reader
    prices: PriceBook
    rollouts: tuple[Rollout, ...]
    unknown: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.situation.deployment.namespace}/{self.situation.deployment.name}"

    @property
    def largest(self) -> Rollout:
        return max(self.rollouts, key=lambda rollout: rollout.canary)

    def question(self, cluster: Cluster) -> Question:
        with accounted(self.site):
            question = self.reader.question(self.rollouts[0], cluster)
        situation, subject = self.situation, self.reader.subject
        return replace(
            question,
            unknown=(*self.unknown, *question.unknown),
            canary_owner=situation.canary.uid if situation.canary and situation.phase in HOLDING else "",
            new_replica_set=replica_set_of(subject.template, situation.picture.replica_sets) is None,
            **_absent(situation, self.request, subject.stable),
            prices=self.prices,
            group_label=self.request.node_group_label,
        )


def _begun(api: Api, request: HeadroomRequest, minor: int, lists: Lists) -> _Asked | VerbFailure | ApiError:
    return _alone(partial(_looked_at, api, request, minor, lists))


def _looked_at(api: Api, request: HeadroomRequest, minor: int, lists: Lists) -> _Asked:
    site = Site(api, request.call.target)
    with accounted(site):
        prices = _prices(request.prices)
        picture, unknown = _picture(site, request)
        situation = diagnose(picture)
        stable = _stable(situation)
        subject = Subject(
            name=picture.deployment.name,
            namespace=picture.deployment.namespace,
            template=_template(site, stable, request.template),
            stable=stable,
            owners=frozenset(one.uid for one in picture.replica_sets),
            min_ready_seconds=_ordinary_min_ready(stable),
            progress_deadline_seconds=_ordinary_deadline(situation),
        )
        rollouts = tuple(_rollout(situation, request, size) for size in request.steps or (request.size,))
        return _Asked(request, site, situation, Reader(api, subject, minor, lists), prices, rollouts, unknown)


def _rooms(one: _Asked, question: Question, ways: set[Api], cluster: Cluster, market: _Market, begun: float) -> Rooms:
    """`ways`: by which all this was read."""
    ground, metrics = Ground(question), one.request.price_metrics
    answered = [_answered(ground, replace(question, rollout=rollout), market, metrics) for rollout in one.rollouts]
    read = {
        **cluster.read,
        "requests": sum(api.requests for api in ways),
        "bytes": sum(api.received for api in ways),
        "seconds": round(one.site.clock.monotonic() - begun, 3),
    }
    told = tuple(_told(*each, read, one.situation) for each in answered)
    return Rooms(told, told[worst([found for _question, found in answered])])


def _template(site: Site, stable: ReplicaSet, asked: NewTemplate) -> Mapping[str, Any]:
    """A manifest lacks what the server would fill in. What is made of the stable template has it, and to ask no more of the
    server than that asks for no right to patch Deployments."""
    return wished(site, stable, asked) if asked.definition is None else candidate(site, stable, asked).template


def _picture(site: Site, request: HeadroomRequest) -> tuple[Picture, tuple[str, ...]]:
    """The Deployment, and what of it is not known: how far an autoscaler may scale it, without the right to list autoscalers."""
    picture = site.goes_on_from(request.seen.picture) if request.seen else site.look()
    if request.assume_replicas != "max" or picture.autoscalers is not None:
        return picture, ()
    try:
        return replace(picture, autoscalers=site.autoscalers()), ()
    except Forbidden as error:
        return picture, (not_readable("horizontalpodautoscalers", error),)


class _Market:
    """What autoscalers may still add, and at what price. Each is asked for once, and only when there is something to buy."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._limits: Limits | None = None
        self._prices: dict[tuple[int, tuple[Kind, ...]], Found] = {}

    def limits(self, known: tuple[Group, ...]) -> Limits:
        """Those of all groups of the cluster."""
        if self._limits is None:
            self._limits = read_limits(self._api, known)
        return self._limits

    def prices(self, metrics: PriceMetrics | None, question: Question, bought: list[Group]) -> Found:
        """`metrics` lives as long as this."""
        # Whoever buys nothing asks no Prometheus.
        from .counting.headroom_prices import metric_prices

        asked = id(metrics), tuple(group.kind for group in bought)
        if asked not in self._prices:
            self._prices[asked] = metric_prices(metrics, question.prices, bought, self._api.clock)
        return self._prices[asked]


def _answered(
    ground: Ground, question: Question, market: _Market, metrics: PriceMetrics | None
) -> tuple[Question, Answer]:
    """The answer, and the question with what was asked of the market for it."""
    surveyed = survey(ground, question.rollout)
    found = conclude(surveyed)
    if found.verdict is not Verdict.NEEDS_NODES:
        return question, found
    limits = market.limits(found.groups)

    def limited(one: Question) -> Question:
        return replace(
            one,
            group_rooms=limits.by_kind,
            unknown=(*one.unknown, *limits.unknown),
            assumptions=(*one.assumptions, *limits.assumptions),
        )

    found = conclude(replace(surveyed, question=limited(surveyed.question)))
    prices = market.prices(metrics, question, [one.group for one in purchases_of(found)])
    unknown, assumptions = (*found.unknown, *prices.unknown), (*found.assumptions, *prices.assumptions)
    question = replace(limited(question), metric_prices=prices.prices)
    return question, replace(found, unknown=unknown, assumptions=assumptions)


def _told(question: Question, found: Answer, read: Mapping[str, Any], situation: Situation) -> dict[str, Any]:
    name = f'Deployment "{situation.deployment.name}" in namespace "{situation.deployment.namespace}"'
    return {**shaped(question, found, read), "summary": summary(question, found, name)}


def _stable(situation: Situation) -> ReplicaSet:
    """The ReplicaSet that a canary would stand beside; that of a Deployment without replicas has no pods."""
    if not situation.deployment.replicas and situation.stable is not None:
        return situation.stable
    return stable_of(situation) if situation.phase is Phase.NONE else stable_to_change(situation)


def _prices(raw: Mapping[str, Any] | None) -> PriceBook:
    try:
        return price_book(raw)
    except PriceError as error:
        raise Refusal(Code.INVALID, str(error), "Correct the prices") from error


def _ordinary_min_ready(stable: ReplicaSet) -> int:
    """A hold's own minReadySeconds says nothing about how long pods take."""
    return stable.min_ready_seconds if stable.min_ready_seconds < 2**30 else 0


def _ordinary_deadline(situation: Situation) -> int | None:
    """That of a hold is its own, too."""
    kept = situation.record.originals if situation.record is not None else situation.deployment
    return kept.progress_deadline_seconds


def _rollout(situation: Situation, request: HeadroomRequest, size: Size) -> Rollout:
    replicas = _replicas(situation, request.assume_replicas)
    try:
        room = Room.of(max(1, replicas) if request.surge is None else request.surge, request.max_unavailable)
        pods = size.among(replicas).pods or 1
        if size.weight is not None and replicas:
            pods = pods_for_weight(size.weight, replicas, room.surge)
    except ImpossibleSize as error:
        raise Refusal(Code.IMPOSSIBLE_SIZE, str(error)) from error
    recorded = situation.record.originals.strategy if situation.record is not None else situation.deployment.strategy
    own = resolve_fenceposts(
        DEFAULT_SHARE if recorded.max_surge is None else recorded.max_surge,
        DEFAULT_SHARE if recorded.max_unavailable is None else recorded.max_unavailable,
        replicas,
    )
    canary = situation.canary.replicas if situation.canary and situation.phase in HOLDING else 0
    return Rollout(
        replicas=replicas,
        canary=pods,
        surge=room.surge,
        max_unavailable=room.max_unavailable,
        own_surge=own.surge,
        own_max_unavailable=own.unavailable,
        existing_canary=canary,
    )


def _absent(situation: Situation, request: HeadroomRequest, stable: ReplicaSet) -> dict[str, Any]:
    """The old version's pods that an autoscaler is assumed to add before the release."""
    deployment = situation.deployment
    more = _replicas(situation, request.assume_replicas) - deployment.replicas
    asked = pod_to_ask_for(stable.template, deployment.namespace, deployment.name, stable)
    return {"absent": max(0, more), "absent_pod": admitted_locally(asked, (), NEWEST_KNOWN_MINOR)[0]}


def _replicas(situation: Situation, assumed: str | int) -> int:
    if isinstance(assumed, int):
        return assumed
    current = situation.deployment.replicas
    if assumed == "max":
        return max([current, *(one.max_replicas for one in situation.picture.autoscalers or ())])
    return current
