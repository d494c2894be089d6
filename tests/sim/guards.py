# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guards of the verbs, each of them with what becomes of the verbs without it. A simulation that does not notice is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any, Protocol

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Conflict, Invalid
from ansible_collections.coalmine.canary.plugins.module_utils.release import rulings
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Through
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Act, Ruling
from ansible_collections.coalmine.canary.plugins.module_utils.rollout import patches, progress
from ansible_collections.coalmine.canary.plugins.module_utils.rollout import start as rollout_start
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.identity import Meant
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.patches import Plan
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import Record
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Picture, ReplicaSet
from ansible_collections.coalmine.canary.plugins.module_utils.traffic import httproute, virtualservice
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import Stage, Wanted
from ansible_collections.coalmine.canary.plugins.module_utils.verbs import promote, start, undo
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call import guarded, holding, pacing, site, waiting
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.counting import headroom_reading
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.moving import autoscaling, completion, pins, rolling
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing import (
    aftermath,
    creating,
    promotion,
    release,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing import exposing, returning
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.starting import routed

from .controllers import Pace
from .drawing import by_verbs, kind_of
from .faults import Fault, Planned
from .gateway import Lags
from .history import Ask, Foreign, History, Script
from .istio import ISTIO
from .pods import Nature


class Patcher(Protocol):
    """As pytest's monkeypatch."""

    def setattr(self, target: Any, name: str, value: Any) -> None: ...


@dataclass(frozen=True)
class Guard:
    """`without` takes it away; `histories` are those in which that may show."""

    without: Callable[[Patcher], None]
    histories: Callable[[], Iterable[History]]


def _plans(change: Callable[[Plan], Plan]) -> Callable[[Patcher], None]:
    """Every patch of a Deployment is another."""
    made = patches.plan

    def without(patcher: Patcher) -> None:
        patcher.setattr(patches, "plan", lambda *arguments: change(made(*arguments)))

    return without


def _untested(path: str) -> Callable[[Patcher], None]:
    def change(plan: Plan) -> Plan:
        kept = tuple(one for one in plan.operations if (one["op"], one["path"]) != ("test", path))
        return replace(plan, operations=kept)

    return _plans(change)


def _no_guard_at_all(patcher: Patcher) -> None:
    for path in ("/metadata/uid", "/metadata/generation"):
        _untested(path)(patcher)


def _testers_are_forgotten(patcher: Patcher) -> None:
    patcher.setattr(returning, "_but_for_testers", lambda now: Wanted(Stage.OWN, drained=now.wanted.again))


def _whatever_they_bear(patcher: Patcher) -> None:
    for module in (routed, exposing):
        patcher.setattr(module, "agree_to_load", lambda *arguments: None)


def _undone_late() -> Iterable[History]:
    """The undo of a run from which somebody takes the release over, and gives users to its canary."""
    begins = (Ask("start", share="5"), Ask("start", pods=2, surge=2, share="50", think=1.0), Ask("undo", think=1.0))
    natures = {version: Nature(0.05, 1.0, ends_in=5.0) for version in ("v1", "v2")}
    for number in count(54):
        ana = Script("ana", 8.0, asks=begins, faults=(Planned(number, Fault.LATE, 8.0),))
        eve = Script("eve", 13.9, asks=(Ask("start", share="10", pods=2, surge=2, takeover=True),))
        yield History(seed=54, natures=natures, gateway=Lags(0.1, 0.1), scripts=(ana, eve))


def _kept_by_a_virtualservice() -> Iterable[History]:
    """Users keep the canary, and then more of them get it."""
    first = Ask("start", share="20", kind=ISTIO, sticky=True)
    asks = (first, replace(first, share="50", pods=4, surge=4, think=1.0))
    for seed in count():
        yield History(seed=seed, gateway=Lags(), scripts=(Script("ana", 8.0, asks=asks),))


def _more_than_they_bear() -> Iterable[History]:
    for seed in count():
        yield History(seed=seed, gateway=Lags(), scripts=(Script("ana", 8.0, asks=(Ask("start", share="50"),)),))


def _of_plan(name: str, path: str) -> Callable[[Patcher], None]:
    """The plan of this name leaves this member out."""
    made = getattr(patches, name)

    def plan(*arguments: Any) -> Plan:
        planned: Plan = made(*arguments)
        return replace(planned, operations=tuple(one for one in planned.operations if one["path"] != path))

    return lambda patcher: patcher.setattr(patches, name, plan)


def _replaced(target: Any, name: str, value: Any) -> Callable[[Patcher], None]:
    return lambda patcher: patcher.setattr(target, name, value)


def _no_look_after_a_lost_answer(patcher: Patcher) -> None:
    def overtaken(error: Exception) -> bool:
        return isinstance(error, Conflict) or (isinstance(error, Invalid) and error.bare)

    patcher.setattr(guarded, "worth_another_look", overtaken)


def _nobody_checks_identity(patcher: Patcher) -> None:
    patcher.setattr(Meant, "check", lambda *arguments: None)
    patcher.setattr(Meant, "differs", lambda *arguments: "")


def _steps_are_as_large_as_they_come(patcher: Patcher) -> None:
    def step(situation: Any, begun: Any, ready: int) -> Plan | None:
        del ready
        if situation.hold is None or situation.hold == begun.goal:
            return None
        return patches.grow(situation.deployment, begun.goal, begun.record)

    patcher.setattr(rollout_start, "step", step)


def _first_step_is_the_whole_hold(patcher: Patcher) -> None:
    patcher.setattr(rollout_start, "first", lambda goal, room: goal)


def _refused_steps_are_remembered(patcher: Patcher) -> None:
    """As it was before the simulation: a step that was refused once keeps its past moment for ever."""
    failed = pacing.Steps.failed
    patcher.setattr(waiting, "Steps", lambda: pacing.Steps(at=0.0, refused="once"))
    patcher.setattr(pacing.Steps, "failed", failed)


def _an_empty_replica_set_is_one_that_counts_none(patcher: Patcher) -> None:
    patcher.setattr(ReplicaSet, "empty", property(lambda rs: not rs.active and rs.current == 0))
    patcher.setattr(progress, "has_pods", lambda picture, rs: not rs.empty)


def _finished_at_once(patcher: Patcher) -> None:
    done = progress.Done("done")
    patcher.setattr(undo, "towards_stable", lambda *arguments: done)
    patcher.setattr(rolling, "towards_rollout", lambda *arguments: done)


def _promotions_are_not_stopped(patcher: Patcher) -> None:
    patcher.setattr(undo, "_halt", lambda *arguments: None)


def _promotions_taken_back() -> Iterable[History]:
    """Taken back while the controller exchanges pods."""
    for seed in chain((81,), range(2000)):
        asks = (Ask("start", surge=0), Ask("promote", wait=False), Ask("undo", think=seed % 40 / 20))
        yield History(seed=seed, scripts=(Script("ana", 8.0, asks=asks),))


def _releases_are_not_told_apart(patcher: Patcher) -> None:
    patcher.setattr(Plan, "is_ruled_out_by", lambda plan, found: False)


def _two_starts_at_once() -> Iterable[History]:
    for seed in count():
        late = (Planned(5, Fault.LATE, 2.0),)
        # Whoever takes over is kept away by these guards alone, here and below.
        ana, ben = (Script(name, 13.0, asks=(Ask("start", takeover=True),)) for name in ("ana", "ben"))
        yield History(seed=seed, replicas=2, scripts=(replace(ana, faults=late), ben))


def _made_again_while_a_patch_is_on_its_way() -> Iterable[History]:
    slow = (Planned(5, Fault.SLOW, 2.0),)
    for seed in count():
        ana = Script("ana", 8.0, asks=(Ask("start"),), faults=slow)
        yield History(seed=seed, scripts=(ana,), foreign=(Foreign(8.05 + seed % 20 / 100, "delete and create"),))


def _known_from_before_it_was_made_again() -> Iterable[History]:
    """A run whose second request takes long, and another at work on the next Deployment."""
    slow = (Planned(2, Fault.SLOW, 10.0),)
    for seed in count():
        scripts = (Script("ana", 8.0, asks=(Ask("start"),), faults=slow), Script("ben", 17.0, asks=(Ask("start"),)))
        again = Foreign(13.5, "delete and create", 0, "v1")
        yield History(seed=seed, natures={"v2": Nature(3.0, 4.0)}, scripts=scripts, foreign=(again,))


def _paused_promotions_are_finished(patcher: Patcher) -> None:
    patcher.setattr(completion, "Phase", _NeverFrozen)


class _NeverFrozen:
    FROZEN = None
    PROMOTING, UNDOING, FOREIGN = Phase.PROMOTING, Phase.UNDOING, Phase.FOREIGN


def _finished_while_undone() -> Iterable[History]:
    begins = Script("ana", 8.0, asks=(Ask("start"),))
    for number in chain((1225,), range(2000)):
        promote = Script("ben", 12.0, asks=(Ask("promote"),))
        eve = Script("eve", 12.0 + number % 400 / 100, asks=(Ask("undo", takeover=True),))
        yield History(seed=number, replicas=2, scripts=(begins, promote, eve))


def _pinned_while_it_scales() -> Iterable[History]:
    """The autoscaler decides at a moment, and writes up to a second later, whatever bounds there are by then. The first is one in
    which it showed, as in those below."""
    for number in chain((455,), range(4000)):
        start = Script("ana", 8.0 + number % 150 / 10, asks=(Ask("start", autoscaler="pin"),))
        yield History(seed=number, replicas=2, bounds=(2, 3), load=((7.0, 9),), scripts=(start,))


def _asked_for_room_beside_a_quota() -> Iterable[History]:
    asks = (Ask("headroom", surge=2, pods=2), Ask("start", surge=2, pods=2))
    for seed in count():
        yield History(seed=seed, quota=5, scripts=(Script("ana", 8.0, asks=asks),))


def _slow_pods() -> Iterable[History]:
    slow = {"v2": Nature(60.0, 80.0)}
    for seed in count():
        yield History(seed=seed, natures=slow, scripts=(Script("ana", 8.0, asks=(Ask("start"),)),))


def _pins_are_forgotten(patcher: Patcher) -> None:
    patcher.setattr(completion, "give_back_of", lambda *arguments: None)
    patcher.setattr(pins, "give_back_orphan", lambda *arguments: False)
    for verb in (undo, promote):
        patcher.setattr(verb, "give_back_orphans", lambda *arguments, **options: None)


def _drawn(kinds: tuple[str, ...], first: int = 0) -> Callable[[], Iterable[History]]:
    """Random ones of these kinds. `first`: the seed of one in which it showed, which is tried first."""
    return lambda: map(by_verbs, chain((first,), (seed for seed in count() if kind_of(seed) in kinds)))


def _overtaken(first: int = 0) -> Callable[[], Iterable[History]]:
    """Crowds in which everybody takes the Deployment from whoever has it, so that no Lease keeps anybody away."""

    def taking(history: History) -> History:
        scripts = (
            replace(script, asks=tuple(replace(ask, takeover=True) for ask in script.asks))
            for script in history.scripts
        )
        return replace(history, scripts=tuple(scripts))

    return lambda: map(taking, _drawn(("crowded",), first)())


def _undone_before_pods_are_counted() -> Iterable[History]:
    asks = (Ask("start", pods=3, surge=4), Ask("undo"))
    for seed in count():
        script = Script("ana", 8.0, asks=asks)
        yield History(
            seed=seed, natures={"v2": Nature(restarts=True)}, replica_sets=Pace(0.002, 0.5), scripts=(script,)
        )


def _undone_in_the_middle_of_steps() -> Iterable[History]:
    """A start takes its steps while pods are counted late, and somebody undoes it at any of its moments. The first is one in
    which it showed."""
    start, lagging = Ask("start", pods=3), Pace(0.002, 0.5)
    for number in chain((69,), count()):
        ana, eve = (
            Script("ana", 8.0, asks=(start,)),
            Script("eve", 8.5 + number / 50, asks=(Ask("undo", takeover=True),)),
        )
        yield History(seed=number, replica_sets=lagging, deployments=lagging, scripts=(ana, eve))


_ANY = ("calm", "faulty", "deadly", "crowded", "stormy", "scaled")


def _many_at_once() -> Iterable[History]:
    """Of one version and of two, while pods take their time."""
    slow = {"v2": Nature(20.0, 20.0)}
    for seed in count():
        ana, ben = (
            Script(name, 8.0 + seed % 7, asks=(Ask("start"), Ask(end)))
            for name, end in (("ana", "promote"), ("ben", "undo"))
        )
        yield History(seed=seed, natures=slow, scripts=(ana, replace(ben, begins=9.0)))


def _taken_over_beside_a_route() -> Iterable[History]:
    release, takes_over = Ask("release", shares=("5", "30")), Ask("undo", takeover=True)
    for seed in count():
        ana, ben = Script("ana", 8.0, asks=(release,)), Script("ben", 9.0 + seed % 20 / 10, asks=(takes_over,))
        yield History(seed=seed, gateway=Lags(0.1, 0.1), scripts=(ana, ben))


def _undone_only_in_words(*arguments: Any) -> Outcome:
    return Outcome(changed=False, message="undone")


def _released(**asked: Any) -> Callable[[], Iterable[History]]:
    ask = Ask("release", pods=2, **asked)
    return lambda: (History(seed=seed, scripts=(Script("ana", 8.0, asks=(ask,)),)) for seed in count())


def _judged_bad(policy: str) -> Callable[[], Iterable[History]]:
    return _released(verdicts=("good", "bad"), on_failure=policy)


def _verified_by_its_caller() -> Iterable[History]:
    asks = (Ask("release", verifies=True), Ask("release", verifies=True, goes_on=True))
    return (History(seed=seed, scripts=(Script("ana", 8.0, asks=asks),)) for seed in count())


def _nobody_verifies(patcher: Patcher) -> None:
    stand = release._stand
    patcher.setattr(
        release, "_stand", lambda course, number, step: stand(course, number, replace(step, verify_tasks=""))
    )


def _held_by_another_by_then() -> Iterable[History]:
    """The canary that was named is taken back, and another one is begun."""
    start, held = Ask("start"), Ask("release", held=True, think=40.0)
    ana = Script("ana", 8.0, asks=(start, held), names="hash")
    ben = Script("ben", 20.0, asks=(Ask("undo", takeover=True), replace(start, version="v3")))
    return (History(seed=seed, scripts=(ana, ben)) for seed in count())


def _begun_while_a_rollback_goes_on() -> Iterable[History]:
    """Which takes no pod before another one is Ready, so that nothing but its pods tells of it."""
    slow = {"v1": Nature(2.0, 3.0)}
    asks = (Ask("start"), Ask("promote"), Ask("rollback", wait=False), Ask("start", version="v3", think=0.5))
    for seed in count():
        yield History(seed=seed, max_surge=1, max_unavailable=0, natures=slow, scripts=(Script("ana", 8.0, asks=asks),))


def _released_beside_a_quota() -> Iterable[History]:
    ana = Script("ana", 8.0, asks=(Ask("release", pods=2, headroom="require_existing_nodes"),))
    return (History(seed=seed, quota=4, scripts=(ana,)) for seed in count())


class _NeverCreated:
    CREATED = ALREADY_RELEASED = Ending.ALREADY_RELEASED
    PLANNED = Ending.PLANNED


def _cut_off() -> Iterable[History]:
    """At one of its requests, and taken back by whoever comes in its place."""
    rescue = Ask("release", rescues="ana", reason="the module ended without a result", on_failure="undo")
    for number in count(10):
        ana = Script("ana", 8.0, asks=(Ask("release", pods=2),), faults=(Planned(number, Fault.KILLED_AFTER),))
        yield History(seed=number, scripts=(ana, Script("again", 60.0, asks=(rescue,))))


def _created_first() -> Iterable[History]:
    ana = Script("ana", 8.0, asks=(Ask("release", creates=True),))
    return (History(seed=seed, missing=True, scripts=(ana,)) for seed in count())


GUARDS: dict[str, Guard] = {
    "steps that the caller verifies": Guard(_nobody_verifies, _verified_by_its_caller),
    "what becomes of what was cut off": Guard(
        _replaced(rulings, "ruling", lambda failed: Ruling(Act.LEAVE, "It was left.")), _cut_off
    ),
    "which canary is taken as it is": Guard(
        _replaced(promotion, "_meant", lambda situation, named: Meant()), _held_by_another_by_then
    ),
    "what was created, and not only stands there": Guard(_replaced(creating, "Ending", _NeverCreated), _created_first),
    "a gate before a promotion": Guard(
        _replaced(release, "_gate_opens", lambda course: True), _released(verdicts=("good",), gate="stop")
    ),
    "the step that a call goes through": Guard(
        _replaced(Through, "stops_after", lambda through, step: False), _released(through="step 1")
    ),
    "a plan that begins nothing": Guard(
        _replaced(Through, "before_any_pod", property(lambda through: False)), _released(through="plan")
    ),
    "a promotion that is guarded": Guard(
        _replaced(promotion, "_guard", lambda *arguments: {}), _released(verdicts=("good",), guard=20.0)
    ),
    "room that a release requires": Guard(
        _replaced(release, "_ask_for_room", lambda course: None), _released_beside_a_quota
    ),
    "verdicts before a promotion": Guard(_replaced(release, "_judge", lambda *arguments: True), _judged_bad("hold")),
    "what a release that failed does, and not only says": Guard(
        _replaced(aftermath, "undo", _undone_only_in_words), _judged_bad("undo")
    ),
    "the Lease before a write": Guard(
        _replaced(holding.Holding, "ensure", lambda held, uid, **asked: None), _many_at_once
    ),
    "the Lease that is seen again before a write beside a route": Guard(
        _replaced(site.Site, "mine", lambda one: one.holding.ensure(one._uid)), _taken_over_beside_a_route
    ),
    "whose Lease it is": Guard(
        _replaced(holding.Holding, "_may_be_taken", lambda held, found, uid: None), _many_at_once
    ),
    "which Deployment a Lease is of": Guard(
        _replaced(holding.Holding, "_check_is_there", lambda held, uid: None), _known_from_before_it_was_made_again
    ),
    "the generation of a patch": Guard(_untested("/metadata/generation"), _overtaken(6326)),
    "the uid of a patch": Guard(_no_guard_at_all, _made_again_while_a_patch_is_on_its_way),
    "the intent of the first patch": Guard(
        _replaced(Record, "with_intent", lambda record, intent, reason="": record), _drawn(_ANY)
    ),
    "minReadySeconds with the template of a start": Guard(_of_plan("hold", "/spec/minReadySeconds"), _drawn(_ANY)),
    "minReadySeconds with the template of an undo": Guard(_of_plan("undo", "/spec/minReadySeconds"), _drawn(_ANY)),
    "the strategy of an undo": Guard(_of_plan("undo", "/spec/strategy"), _drawn(_ANY)),
    "a look after a lost answer": Guard(_no_look_after_a_lost_answer, _drawn(("faulty",), 45)),
    "whose release it is": Guard(_nobody_checks_identity, _overtaken(156)),
    "one version before a start": Guard(
        _replaced(rollout_start, "_check_one_version", lambda situation: None), _begun_while_a_rollback_goes_on
    ),
    "steps no larger than the Ready pods allow": Guard(_steps_are_as_large_as_they_come, _drawn(_ANY)),
    "a first step no larger than what may be missing": Guard(_first_step_is_the_whole_hold, _drawn(_ANY)),
    "a refused step that is forgotten": Guard(_refused_steps_are_remembered, _drawn(("calm",))),
    "ReplicaSets that have been counted": Guard(
        _an_empty_replica_set_is_one_that_counts_none, _undone_before_pods_are_counted
    ),
    "counts of now before an undo": Guard(
        _replaced(Picture, "counted", property(lambda picture: True)), _undone_in_the_middle_of_steps
    ),
    "a stable version that stands still": Guard(
        _replaced(rollout_start, "unsettled", lambda picture: ""), _drawn(_ANY, 78)
    ),
    "pods that have moved before the clean-up": Guard(_finished_at_once, _drawn(_ANY)),
    "an autoscaler that has seen its pin": Guard(
        _replaced(autoscaling, "_await_observed", lambda *arguments: None), _pinned_while_it_scales
    ),
    "autoscalers that are given back": Guard(_pins_are_forgotten, _drawn(("scaled",))),
    "a promotion that is stopped before it is taken back": Guard(_promotions_are_not_stopped, _promotions_taken_back),
    "a pause at the end of a promotion": Guard(_paused_promotions_are_finished, _finished_while_undone),
    "whose start it was that somebody found": Guard(_releases_are_not_told_apart, _two_starts_at_once),
    "quotas that headroom counts": Guard(
        _replaced(headroom_reading.Reader, "_quotas", lambda reader: ()), _asked_for_room_beside_a_quota
    ),
    "looks that become more seldom": Guard(_replaced(pacing, "LONGEST_SILENCE", 0.1), _slow_pods),
    "a release that is made one's own before its routes": Guard(
        _replaced(start, "take_over", lambda routes: None), _undone_late
    ),
    "a cookie that keeps users": Guard(
        _replaced(httproute, "_by_cookie", lambda rule, kept, sticky: iter(())), _drawn(("routed",), 49)
    ),
    "a cookie that keeps users of a VirtualService": Guard(
        _replaced(virtualservice, "_by_cookie", lambda rule, kept, sticky, namespace: iter(())),
        _kept_by_a_virtualservice,
    ),
    "testers who keep the canary through a promotion": Guard(_testers_are_forgotten, _drawn(("routed",), 169)),
    "a share that the pods can bear": Guard(_whatever_they_bear, _more_than_they_bear),
    "original fields in the clean-up": Guard(_of_plan("finish", "/spec/strategy"), _drawn(_ANY)),
    "a canary pod that is Ready before a promotion": Guard(
        _replaced(promote, "ready_pods", lambda picture, replica_set: 1), _drawn(_ANY, 45)
    ),
}
