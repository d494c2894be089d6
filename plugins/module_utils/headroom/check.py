# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check itself: one question in, one answer out.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Iterable, Sequence

from ..values import dataclass
from ..wording import count_of
from . import quota as quotas
from .advice import MOST_REPLICAS, advise
from .board import Board
from .charges import quota_at
from .filters import Rejection, tally
from .finding import Advice, Answer, Exactness, PeakAnswer, PodSource, Question, Verdict
from .groups import Group, Purchase, groups, purchases, with_hasty
from .growth import grown
from .neighbours import needs_namespace_labels
from .peaks import Moment, Peak, Rollout, peaks
from .placement import Fit, Method, fit
from .pod_request import NEWEST_KNOWN_MINOR, request_parts
from .preemption import after_preemption
from .scene import Scene
from .views import Incoming, incoming_view
from .volumes import VolumeRules, volume_rules
from .waves import Crowd, Order, Quotas, Standstill, crowd_of, leavers, play, release, surely_ends

_CERTAIN_IF_UNKNOWN = (
    Verdict.REFUSED,
    Verdict.QUOTA_EXCEEDED,
    Verdict.NEEDS_NODES,
    Verdict.CANNOT_FIT,
    Verdict.UNKNOWN,
)
# What one moment says outweighs what stands before it here, said by another: a canary must not begin because its first pods
# fit when its promotion does not.
_WORSE_AND_WORSE = (
    (Verdict.FITS,),
    (Verdict.FITS_AFTER_PREEMPTION,),
    (Verdict.DEPENDS_ON_PLACEMENT,),
    (Verdict.UNKNOWN,),
    (Verdict.NEEDS_NODES,),
    (Verdict.REFUSED, Verdict.QUOTA_EXCEEDED, Verdict.CANNOT_FIT),
)
# For these no pod waits until an old one has ended.
_AT_ONCE = (Verdict.FITS, Verdict.FITS_AFTER_PREEMPTION)
_WEIGHT = {verdict: weight for weight, verdicts in enumerate(_WORSE_AND_WORSE) for verdict in verdicts}
_NOTHING_PLACED = Fit(0, 0, Method.CLOSED_FORM)
STANDING_ASSUMPTIONS = (
    "default_scheduler_profile",
    "no_scheduler_extenders",
    "pods_assumed_by_the_scheduler_are_not_visible",
    "kubelet_admission_not_simulated",
)


@dataclass(frozen=True)
class Look:
    """A moment, judged without new nodes. `short`: the cluster as it is then, where pods find no node; else None.

    `sooner`: the same moment while old pods are still ending, where more pods find no node.
    """

    found: PeakAnswer
    short: Scene | None = None
    sooner: Look | None = None


class Ground:
    """What canaries of all sizes have in common in one cluster, worked out once. `question` has the pods that are assumed."""

    def __init__(self, question: Question) -> None:
        self.question, self.homeless = grown(question)
        self.incoming = incoming_view(question.pod, question.minor)
        self.rules = volume_rules(self.incoming, question.storage)

    @cached_property
    def board(self) -> Board:
        """As the cluster is now. Whoever plays on it plays on a copy, or leaves it as it was."""
        return Board(self.question.scene, self.incoming, self.rules)

    @cached_property
    def crowd(self) -> Crowd:
        """The Deployment's pods, found among all that rules look at."""
        return crowd_of(self.question)

    def board_of(self, scene: Scene) -> Board:
        return self.board if scene is self.question.scene else Board(scene, self.incoming, self.rules)

    @cached_property
    def advice(self) -> Advice | None:
        """How the whole rollout may go does not depend on the size of the canary."""
        question = self.question
        is_asked = question.rollout.replicas > 0 and question.cluster_known and not question.refusals
        return advise(question, self.board, self.crowd) if is_asked else None

    def of(self, rollout: Rollout) -> Question:
        """The question for a canary of another size."""
        return replace(self.question, rollout=rollout)


@dataclass(frozen=True)
class Survey:
    """All that takes long to work out: everything but what would have to be bought. `question` has the pods that are assumed.

    `is_certain`: whether the waves come to their end whichever old pods go first and wherever new ones are put.
    """

    question: Question
    ground: Ground
    looks: tuple[Look, ...]
    is_certain: bool


def answer(question: Question) -> Answer:
    """What becomes of the release that the question describes. Pure: the same question always gives the same answer."""
    return conclude(survey(Ground(question), question.rollout))


def survey(ground: Ground, rollout: Rollout) -> Survey:
    """How each moment goes on the nodes that are there."""
    question = ground.of(rollout)
    waiting = question.scene.waiting.get(question.canary_owner, 0) if question.canary_owner else 0
    moments = [replace(_crowded(peak, ground.homeless), waiting=waiting) for peak in peaks(rollout)]
    looks = [_look_at(ground, question, peak) for peak in moments]
    passage = _Passage(True, None)
    if looks and question.cluster_known and all(one.found.verdict is Verdict.FITS for one in looks):
        passage = _passage(ground, question)
        looks[-1:-1] = [passage.stuck] if passage.stuck else []
    return Survey(question, ground, tuple(looks), passage.is_certain)


def conclude(found: Survey) -> Answer:
    """The answer, by what `found.question` says of the nodes that may still be added."""
    question, ground, incoming = found.question, found.ground, found.ground.incoming
    known = groups(question.scene, question.group_rooms, question.group_label)
    answers = [_with_purchases(ground, one, known) for one in found.looks]
    if any(one.verdict is Verdict.NEEDS_NODES for one in answers):
        answers = [_with_temptation(ground, *pair, known) for pair in zip(found.looks, answers, strict=True)]
    unknown = _unknowns(question, incoming, ground.rules)
    quota_unknown = set().union(*(one.quota.unknown for one in answers))
    unknown = tuple(dict.fromkeys((*unknown, *sorted(quota_unknown))))
    # Of moments that weigh the same, the first.
    deciding = max(answers, key=lambda one: _WEIGHT[one.verdict], default=None)
    verdict = deciding.verdict if deciding else _without_pods(question)
    if unknown and verdict not in _CERTAIN_IF_UNKNOWN:
        verdict = Verdict.UNKNOWN
    return Answer(
        verdict=verdict,
        exactness=_exactness(answers, question, found.is_certain),
        incoming=incoming,
        parts=request_parts(question.pod, question.minor),
        peaks=tuple(answers),
        deciding=deciding,
        groups=known,
        advice=ground.advice,
        unknown=unknown,
        assumptions=_assumptions(question, answers),
    )


def worst(answers: Sequence[Answer]) -> int:
    """Which of these is the one to heed: the first of those whose verdict weighs most."""
    return max(range(len(answers)), key=lambda number: (_WEIGHT[answers[number].verdict], -number))


def _with_purchases(ground: Ground, look: Look, known: tuple[Group, ...]) -> PeakAnswer:
    """The moment with the new nodes that it takes where pods find none."""
    one, bought = look.found, _bought(ground, look, known)
    if look.sooner and bought:
        bought = with_hasty(bought, _bought(ground, look.sooner, known))
    would_do = one.verdict is Verdict.CANNOT_FIT and bought
    return replace(one, purchases=bought, verdict=Verdict.NEEDS_NODES if would_do else one.verdict)


def _with_temptation(ground: Ground, look: Look, one: PeakAnswer, known: tuple[Group, ...]) -> PeakAnswer:
    """A moment that fits once old pods have ended, with the nodes that would hold it at once."""
    if look.sooner is None or one.verdict is not Verdict.FITS:
        return one
    return replace(one, purchases=_bought(ground, look.sooner, known))


def _bought(ground: Ground, look: Look, known: tuple[Group, ...]) -> tuple[Purchase, ...]:
    if look.short is None:
        return ()
    wanted = look.found.peak.to_place
    return tuple(purchases(look.short, ground.incoming, ground.rules, wanted, wanted - look.found.fit.least, known))


def _crowded(peak: Peak, homeless: int) -> Peak:
    """Pods of the old version that find no node want those that come free, too, as long as there is an old version."""
    if not homeless or peak.moment is Moment.STEADY:
        return peak
    return replace(
        peak, more=peak.more + homeless, why=f"{peak.why}, and {count_of(homeless, 'stable pod')} without a node before"
    )


def _unknowns(question: Question, incoming: Incoming, rules: VolumeRules) -> tuple[str, ...]:
    """What a client cannot know and what could change the answer."""
    found = list(question.unknown)
    facts = {
        f"other_scheduler: {incoming.scheduler}": incoming.scheduler != "default-scheduler",
        f"scheduling_gates: {', '.join(incoming.gates)}": bool(incoming.gates),
        "node_name_in_template: the scheduler is not asked": bool(incoming.node_name),
        "dra_claims": incoming.resource_claims,
        "namespace_labels_not_readable": question.scene.namespaces is None
        and needs_namespace_labels(incoming, question.scene),
    }
    found.extend(name for name, holds in facts.items() if holds)
    found.extend(sorted(rules.unknown))
    return tuple(dict.fromkeys(found))


def _look_at(ground: Ground, question: Question, peak: Peak) -> Look:
    """The peak as it comes, or as it is after the pods that are ending have ended, which new ones without a node wait for.

    The scheduler does not wait: it evicts at once whom it may. Nor does an autoscaler: what it sees then is kept as `sooner`.
    """
    at_once = _look(ground, question, peak, peak.old_gone, False)
    if at_once.found.verdict in _AT_ONCE or peak.settled_gone == peak.old_gone:
        return at_once
    later = _look(ground, question, peak, peak.settled_gone, True)
    before, after = at_once.found.verdict, later.found.verdict
    # Where it depends on which old pods leave, the moment before tells the nodes that hold the new ones whichever do.
    if _WEIGHT[after] > _WEIGHT[before] or (before, after) == (Verdict.CANNOT_FIT, Verdict.DEPENDS_ON_PLACEMENT):
        return at_once
    evicts = at_once.found.rescued is not None and at_once.found.rescued > at_once.found.fit.most
    if after is Verdict.FITS and evicts:
        evicting = replace(later.found, verdict=Verdict.FITS_AFTER_PREEMPTION, rescued=peak.to_place)
        return replace(later, found=evicting)
    return replace(later, sooner=at_once)


def _look(ground: Ground, question: Question, peak: Peak, old_gone: int, waits: bool) -> Look:
    allowed = quota_at(question, old_gone)
    if question.refusals or not question.cluster_known:
        verdict = Verdict.REFUSED if question.refusals else _by_quota_alone(allowed, peak)
        return Look(PeakAnswer(peak, waits, _NOTHING_PLACED, allowed, None, (), verdict, {}, 0, None))
    return _placed(ground, peak, waits, allowed, _scenes_at(question.scene, ground.crowd, old_gone))


def _placed(
    ground: Ground,
    peak: Peak,
    waits: bool,
    allowed: quotas.Allowed,
    scenes: Sequence[Scene],
    *,
    also_stuck: bool = False,
    also_ends: bool = False,
) -> Look:
    """What the scheduler makes of the peak in each of these scenes.

    `also_stuck`, `also_ends`: a wave was seen to get stuck here, or another order to get past it, whatever these scenes say.
    """
    boards = [ground.board_of(scene) for scene in scenes]
    incoming = ground.incoming
    fits = [fit(board, peak.to_place) for board in boards]
    found = Fit(
        min(one.least for one in fits), max(one.most for one in fits), max((one.method for one in fits), key=_doubt)
    )
    if also_stuck:
        found = replace(found, least=min(found.least, peak.to_place - 1))
    if also_ends:
        found = replace(found, most=max(found.most, peak.to_place))
    is_short = found.most < peak.to_place
    rescued = (
        after_preemption(scenes[0], incoming, ground.rules, peak.to_place)
        if is_short and incoming.may_preempt
        else None
    )
    refusals = boards[0].refusals()
    candidates = len(scenes[0].nodes) - len(refusals)
    verdict = _verdict(peak, found, allowed, rescued)
    rejected = tally(refusals.values())
    one = PeakAnswer(peak, waits, found, allowed, rescued, (), verdict, rejected, candidates, _nearest_miss(refusals))
    return Look(one, scenes[0] if is_short else None)


@dataclass(frozen=True)
class _Passage:
    """How the waves went that lie between the moments. `stuck`: the one at which they stop, None where none was found.

    `is_certain`: whether that holds whichever old pods go first and wherever new ones are put.
    """

    is_certain: bool
    stuck: Look | None


def _passage(ground: Ground, question: Question) -> _Passage:
    """The whole release played wave by wave, the old pods leaving in the controller's order."""
    # Old pods that are only assumed and find no node leave like those that wait for one today.
    crowd = replace(ground.crowd, homeless=ground.crowd.homeless + ground.homeless)
    total, stages, allowances = question.rollout.replicas, release(question), Quotas(question)
    board = ground.board_of(question.scene.without(crowd.ending) if crowd.ending else question.scene)
    if surely_ends(board, ground.incoming, crowd, stages, allowances, total):
        return _Passage(True, None)
    if total > MOST_REPLICAS:
        return _Passage(False, None)
    courses = [play(ground.board.copy(), crowd, stages, allowances, total, order) for order in Order]
    stuck = [one.standstill for one in courses if one.standstill]
    if not stuck:
        return _Passage(False, None)
    also_ends = len(stuck) < len(courses)
    return _Passage(False, _stuck(ground, question, crowd, stuck[0], also_ends))


def _stuck(ground: Ground, question: Question, crowd: Crowd, at: Standstill, also_ends: bool) -> Look:
    """The wave at which the release stops, as a moment of its own."""
    new, gone = at.new + at.wanted, len(at.gone) + at.swept
    order = "in some orders" if also_ends else "in the controller's order"
    why = (
        f"{at.new} of {question.rollout.replicas} new pods run; removing {count_of(gone, 'old pod')} ({order}) does not free enough room "
        f"for {count_of(at.wanted, 'more new pod')}"
    )
    more = max(0, new - len(crowd.placed) - crowd.waiting)
    peak = Peak(Moment.BETWEEN, new, more, gone, gone, why, min(crowd.waiting, new - len(crowd.placed)))
    scenes, allowed = [question.scene.without(at.gone)], quota_at(question, gone)
    return _placed(ground, peak, False, allowed, scenes, also_stuck=True, also_ends=also_ends)


def _verdict(peak: Peak, found: Fit, allowed: quotas.Allowed, rescued: int | None) -> Verdict:
    """Without new nodes."""
    if allowed.most is not None and allowed.most < peak.more:
        return Verdict.QUOTA_EXCEEDED
    if found.least >= peak.to_place:
        return Verdict.FITS
    if found.most >= peak.to_place:
        return Verdict.DEPENDS_ON_PLACEMENT
    if rescued is not None and rescued >= peak.to_place:
        return Verdict.FITS_AFTER_PREEMPTION
    return Verdict.CANNOT_FIT


def _by_quota_alone(allowed: quotas.Allowed, peak: Peak) -> Verdict:
    return Verdict.QUOTA_EXCEEDED if allowed.most is not None and allowed.most < peak.more else Verdict.UNKNOWN


def _without_pods(question: Question) -> Verdict:
    """A Deployment without replicas asks for nothing; only admission could still refuse its pods."""
    return Verdict.REFUSED if question.refusals else Verdict.FITS


def _scenes_at(scene: Scene, crowd: Crowd, old_gone: int) -> list[Scene]:
    """The cluster after so many old pods have left. Which ones is the controller's choice: two extremes are looked at.

    Those that have no node go first, and leave no room; those that are ending today have ended by then.
    """
    old_gone -= crowd.homeless
    if old_gone <= 0:
        return [scene]
    if old_gone >= len(crowd.old):
        return [scene.without((*crowd.ending, *crowd.old))]
    return [scene.without((*crowd.ending, *pods)) for pods in leavers(crowd, old_gone)]


def _doubt(method: Method) -> int:
    return (Method.CLOSED_FORM, Method.EXHAUSTIVE, Method.SAMPLED).index(method)


def _nearest_miss(refusals: dict[str, Rejection]) -> tuple[str, tuple[tuple[str, int], ...]] | None:
    """The node that lacks least: one that is short of few things, and of little compared with what the others lack."""
    short = [
        (name, one.short_of) for name, one in refusals.items() if one.short_of and len(one.short_of) == len(one.reasons)
    ]
    return min(
        short, key=lambda item: (len(item[1]), sum(amount for _resource, amount in item[1]), item[0]), default=None
    )


def _exactness(answers: Iterable[PeakAnswer], question: Question, is_certain: bool) -> Exactness:
    answers = tuple(answers)
    sampled = any(one.fit.method is Method.SAMPLED for one in answers)
    if (
        question.pod_source is PodSource.TEMPLATE
        or question.minor > NEWEST_KNOWN_MINOR
        or sampled
        or question.absent
        or question.others
        or not question.cluster_known
    ):
        return Exactness.APPROXIMATE
    if any(one.verdict in (Verdict.FITS_AFTER_PREEMPTION, Verdict.NEEDS_NODES) for one in answers):
        return Exactness.APPROXIMATE
    is_certain = is_certain and all(one.fit.is_certain for one in answers)
    return Exactness.EXACT if is_certain else Exactness.PLACEMENT_DEPENDENT


def _assumptions(question: Question, answers: Iterable[PeakAnswer]) -> tuple[str, ...]:
    found = [*STANDING_ASSUMPTIONS, *question.assumptions]
    if any(one.verdict is Verdict.NEEDS_NODES for one in answers):
        found.append("a_new_node_is_like_one_of_its_group")
        found.append("which_group_an_autoscaler_picks_is_a_guess")
    if question.scene.pending:
        found.append(f"pending_pods_take_no_room: {question.scene.pending}")
    if any(one.waits for one in answers):
        found.append("new_pods_wait_until_old_ones_have_ended")
    if question.absent:
        found.append(f"assumed_stable_pods_are_spread: {question.absent}")
    if question.others:
        found.append(f"other_releases_are_at_their_peak: {question.others}")
    if question.pod_source is PodSource.TEMPLATE:
        found.append("admission_not_simulated")
    if question.minor > NEWEST_KNOWN_MINOR:
        found.append(f"request_formula_of_1.{NEWEST_KNOWN_MINOR}")
    return tuple(dict.fromkeys(found))
