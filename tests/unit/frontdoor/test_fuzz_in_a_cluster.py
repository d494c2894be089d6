# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a task gives for any option, in a simulated cluster with a release in any state: through both doors the same answer, which is a
right result or a failure with a code; never a traceback, never a call without an end, never a write that nobody asked for.

`make fuzz` draws 10,000 such calls, other ones each time; `make test` a slice, the same ones each time.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import pytest
from ansible.module_utils.testing import patch_module_args
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import Verb
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.in_process import Surroundings, run_in_process
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.module import VerbModule, run_module
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Stage
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    HttpAsked,
    LogsAsked,
    PrometheusAsked,
)
from tests.sim import fleets
from tests.sim.calls import Called
from tests.sim.gateway import Lags
from tests.sim.history import Ask, Foreign, History
from tests.sim.network import Network
from tests.sim.objects import AUTOSCALER_NAME, CONTAINER, NAME, NAMESPACE, Json, deployment, image
from tests.sim.store import Change
from tests.sim.timeline import Killed
from tests.sim.world import World
from tests.unit.frontdoor.every_verb import VERBS
from tests.unit.frontdoor.test_fuzz import NOT_HOSTS, ODD_NUMBERS, ODD_SHAPES, ODD_TEXTS
from tests.unit.frontdoor.test_secrecy import Path, options, replaced

FUZZER, BYSTANDER = "fuzzer", "bystander"
# A call that was given no larger number of seconds than that has come to its end long before.
PATIENCE, HORIZON = 30, 1800.0


class NotSimulated(Exception):
    """The request is right, and asks somebody over a network of its own."""


def _manifest(version: str, **metadata: Any) -> Json:
    made = deployment(4, version)
    return {**made, "metadata": {**made["metadata"], **metadata}}


PREVIOUS = [
    Release("job-1", stage=Stage.HELD, outcome=Ending.HELD, hash="5d5f", stable="7c6d").to_json(),
    Release("job-1").to_json(),
]
CHECKS: list[Any] = [
    {"pods": {}}, {"pods": {}, "max_increase": 0.1, "must_pass": True}, {"logs": {"pattern": "err(or)?"}, "max_ratio": 1.5},
    {"resources": {"resource": "memory"}, "max": 1e9}, {"http": {"path": "/"}}, {"pods": {}, "max_ratio": 2, "weight": 0.5},
    {"samples": [{"canary": [1, 100], "stable": [1, 100]}]},
]  # fmt: skip
TRAFFIC: list[Any] = [
    {"kind": "gateway_api", "weight": 5}, {"kind": "gateway_api", "weight": 50, "header": {"name": "X-Canary", "value": "always"}},
    {"kind": "gateway_api", "weight": 0.1, "sticky": "cookie"}, {"kind": "service_selector", "weight": 0},
    {"kind": "service_selector", "weight": 100, "service": NAME}, {"kind": "gateway_api", "routes": [NAME], "proof": "none"},
]  # fmt: skip
JINJA = [
    "{{ lookup('pipe', 'id') }}",
    "{% for x in range(9) %}{{ x }}{% endfor %}",
    "{{",
    "5%",
    "-5%",
    "101%",
    "%s%d%n",
    "{0.__class__}",
]
# Half a character of UTF-16 comes through one door only (test_fuzz.py).
TEXTS = [each for each in ODD_TEXTS if each != "\ud800"]
ODD = [*ODD_NUMBERS, *TEXTS, *JINJA, *ODD_SHAPES]
# Shorter ones are found in the names and numbers of every answer.
SECRET, SHORTEST_SECRET = ("api_key", "password", "token", "proxy_basic_auth", "basic_auth"), 5
# What makes sense for an option, by its name; of others, something that fits its type.
SENSIBLE: dict[str, list[Any]] = {
    "name": [NAME, NAME, NAME, NAME, "nobody", BYSTANDER[:3]],
    "namespace": [NAMESPACE],
    "images": [{CONTAINER: image("v2")}, {CONTAINER: image("v3")}, {CONTAINER: image("v1")}, {"nobody": "x"}],
    "definition": [_manifest("v2"), _manifest("v3", labels={"a": "b"}), _manifest("v2", name="else"), {"kind": "Pod"}],
    "pod_template_patch": [{"metadata": {"annotations": {"a": "b"}}}, {"metadata": {"labels": {"app": "x"}}}, {"spec": {}}],
    "pods": [1, 2, 3, 4, 5, 40],
    "weight": [1, 25, 50, 99, 100],
    "surge": [0, 1, 2, 4],
    "expect": ["5d5f", "7c6d9f54b"],
    "run": ["job-1", "job-2"],
    "to": [image("v1"), "v1", "1", "7c6d"],
    "checks": [[], *([check] for check in CHECKS), CHECKS[:2]],
    "previous": PREVIOUS,
    "traffic": TRAFFIC,
    "through": ["promoted", "held", "plan", "room", "step 1"],
    "between": ["0", "5", "stop"],
    "waves": [["50%", "100%"], ["1", "100%"]],
    "max_failures": ["0", "1", "50%"],
    "restore": [{"max_surge": "25%"}, {"min_ready_seconds": 1, "max_unavailable": 1}],
    "lease_seconds": [0, 5, 20],
    "reject": ["", "it errs"],
    "others": [[{"name": BYSTANDER, "images": {CONTAINER: image("v2")}}], []],
    "history": [{}, {"checks": {}}],
    "prices": [{}, {"on-demand": 0.1}],
    "assume_replicas": ["current", "max", "7"],
    "url": ["http://127.0.0.1:9"],
    "steps": [[], [{"pods": 1}, {"pods": 2}], [{"weight": 25}], [{"pods": 1, "checks": [{"pods": {}}]}]],
    "confidence": [0.9, 0.95, 0.5],
    **{name: ["pl4nted"] for name in SECRET},
}  # fmt: skip
# Always given, because otherwise a call would be over before it has begun, or wait for longer than anybody watches.
GIVEN: dict[str, list[Any]] = {
    "name": SENSIBLE["name"],
    "namespace": SENSIBLE["namespace"],
    "wait_timeout": [1, 5, 20],
    "duration": [1, 10],
    "interval": [1, 5],
    "seconds": [0, 1, 10],
    "check_duration": [1, 10],
    "to": SENSIBLE["to"],
}
# The connection decides where to, and here everything goes to the same place.
HOST = {"host": "https://127.0.0.1:9"}
# Of canary_verify a number.
STEPS_OF_VERIFY = st.sampled_from([0, 1, 2])


def sensible(name: str, spec: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    kind = spec.get("elements", spec.get("type", "str"))
    if name in SENSIBLE and not (name == "steps" and kind == "int"):
        return st.sampled_from(SENSIBLE[name])
    if "choices" in spec:
        return st.sampled_from(spec["choices"])
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "int": st.integers(0, 10),
        "float": st.sampled_from([0.0, 0.5, 1.0, 5.0]),
        "str": st.sampled_from(["", "a", NAME]),
        "path": st.sampled_from(["", "/no/such/file"]),
    }
    if "options" in spec:
        inner = spec["options"]
        return st.fixed_dictionaries({}, optional={each: sensible(each, its) for each, its in inner.items()})
    one = kinds.get(kind, st.sampled_from([{}, {"a": "b"}]))
    return st.lists(one, max_size=2) if spec.get("type") == "list" else one


def right(draw: st.DrawFn, verb: Verb) -> dict[str, Any]:
    """What a task may give, with a few options of those that it has."""
    spec = verb.arguments.argument_spec
    arguments = {name: draw(st.sampled_from(values)) for name, values in GIVEN.items() if name in spec}
    if verb.name == "canary_fleet":
        member = {**_of_a_member(draw), "wait_timeout": 5}
        arguments["releases"] = [member, *draw(st.lists(st.just({**member, "name": BYSTANDER}), max_size=1))]
    elif verb.name == "canary_verify":
        arguments["checks"] = draw(st.sampled_from(SENSIBLE["checks"][1:]))
    elif "images" in spec:
        arguments |= draw(st.sampled_from([{"images": each} for each in SENSIBLE["images"]]))
    for name in draw(st.lists(st.sampled_from(sorted(spec.keys() - HOST.keys())), max_size=5, unique=True)):
        arguments[name] = draw(sensible(name, spec[name]))
    return {**arguments, **HOST}


def _of_a_member(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "name": NAME,
        "namespace": NAMESPACE,
        "images": draw(st.sampled_from(SENSIBLE["images"])),
        "headroom": "skip",
    }


def odd(name: str | int) -> st.SearchStrategy[Any]:
    """By its number, which is shorter to tell than some of these."""
    possible = ODD
    if name in NOT_HOSTS:
        possible = [each for each in ODD if not isinstance(each, str) or "://x" not in each]
    elif name in SECRET:
        possible = [each for each in TEXTS if len(each) >= SHORTEST_SECRET]
    return st.integers(0, len(possible) - 1).map(possible.__getitem__)


@st.composite
def tasks(draw: st.DrawFn, verb: Verb) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Arguments, and the places where something odd was put into them: none, one or two."""
    arguments, changed = right(draw, verb), []
    places = [path for path, _spec in options(verb.arguments.argument_spec, arguments)]
    for _time in range(draw(st.sampled_from([0, 1, 1, 2]))):
        path = draw(st.sampled_from(places))
        if all(path[: len(other)] != other and other[: len(path)] != path for other in changed):
            arguments = replaced({"pod_template_patch": None, **arguments}, path, draw(odd(path[-1])))
            changed.append(path)
    arguments = {name: value for name, value in arguments.items() if value is not None or name != "pod_template_patch"}
    # As a task brings it.
    return json.loads(json.dumps(arguments, skipkeys=True)), tuple(changed)


# What a release has come to when the call begins.
HELD = Ask("start", pods=2)
STATES: dict[str, tuple[Ask, ...]] = {
    "nothing": (),
    "held": (HELD,),
    "frozen": (HELD, Ask("pause")),
    "pinned": (replace(HELD, autoscaler="pin"),),
    "promoting": (HELD, Ask("promote", wait=False)),
    "undoing": (HELD, Ask("undo", wait=False)),
    "routed": (Ask("start", pods=1, surge=4, share="5"),),
    "released": (HELD, Ask("promote")),
}


class Scene:
    """A cluster with a Deployment whose release is in that state, and another one that is nobody's business."""

    def __init__(self, state: str) -> None:
        # Not only its own scripts write.
        foreign = (Foreign(HORIZON * 10, "scale"),)
        self.world = World(History(replicas=4, bounds=(2, 9), gateway=Lags(), foreign=foreign))
        self.clock = self.world.director
        self.server, self.store = self.world.server, self.world.store
        self.chance = random.Random(1)
        self._beside()
        self.clock.sleep(5.0)
        before = self._network("before")
        for number, ask in enumerate(STATES[state]):
            self.world.call(before, Called("before", number, ask, self.clock.timeline.now))
        self.clock.sleep(0.5)
        self.since = len(self.store.log)
        self.cut_off = False

    def _beside(self) -> None:
        made = _manifest("v1", name=BYSTANDER)
        labels = {"app": BYSTANDER}
        template = {**made["spec"]["template"], "metadata": {"labels": labels}}
        spec = {**made["spec"], "selector": {"matchLabels": labels}, "template": template}
        self.server.create("deployments", {**made, "spec": spec}, "somebody", "kubectl-create")

    def _network(self, user: str) -> Network:
        world = self.world
        return Network(
            self.clock, self.server, user, world.no_faults(), self.chance, world.machine(user), world._knock()
        )

    def way(self, verb: Verb) -> Any:
        """To the cluster, as the verb wants it."""
        if verb.clusters is None:
            return self._network(FUZZER)
        fleets._HERE.actor = self.clock
        sea = type("Sea", (), {"timeline": self.clock.timeline, "chance": self.chance, "clusters": [self.world]})()
        return fleets.Crew(sea, 0.0, actor=self.clock)

    def ends_at(self, moment: float) -> None:
        def end() -> None:
            self.cut_off = self.clock.killed = True
            self.clock.wake()

        self.clock.timeline.at(moment, end)

    @property
    def writes(self) -> list[Change]:
        return [change for change in self.store.log[self.since :] if change.by in (FUZZER, "fleet")]


def in_a_cluster(verb: Verb, scene: Scene) -> Verb:
    def perform(api: Api, request: Any, report: Callable[[str], None]) -> Any:
        del api
        if asks_elsewhere(request):
            raise NotSimulated
        scene.ends_at(scene.clock.timeline.now + HORIZON)
        return verb.perform(scene.way(verb), request, report)

    return replace(verb, perform=perform)


def asks_elsewhere(request: Any) -> bool:
    """By threads of its own, in time that passes."""
    parts = [request, getattr(request, "judge", None), *_list(request, "steps")]
    asked = [check.source for part in parts for check in _list(part, "checks")]
    return (
        any(isinstance(source, HttpAsked | PrometheusAsked) for source in asked)
        or any(isinstance(source, LogsAsked) and source.web is not None for source in asked)
        or any(getattr(room, "price_metrics", None) for room in (request, getattr(request, "room", None)))
        or any(asks_elsewhere(member.request) for member in _list(request, "members"))
    )


def _list(of: Any, name: str) -> tuple[Any, ...]:
    found = getattr(of, name, None)
    return found if isinstance(found, tuple) else ()


@dataclass(frozen=True)
class Ended:
    """`answer`: what the task returns. `writes`: what was written for it."""

    scene: Scene
    answer: Json

    @property
    def writes(self) -> list[tuple[str, str, str]]:
        return [(change.type, change.kind, change.name) for change in self.scene.writes]


@dataclass(frozen=True)
class Task:
    """`odd`: where something odd was put into its arguments."""

    verb: Verb
    arguments: dict[str, Any]
    odd: tuple[Path, ...]
    state: str
    check: bool

    @property
    def is_patient(self) -> bool:
        """It was told to wait for longer than anybody watches."""
        return any(number > PATIENCE for number in numbers(self.arguments))


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from numbers(inner)
    elif isinstance(value, str | int | float):
        with contextlib.suppress(ValueError):
            yield float(value)


def in_process(verb: Verb, task: Task) -> Json:
    around = Surroundings(verb.name, task.check, True, lambda line: None, lambda text: None, lambda *all_, **_: None)
    return run_in_process(verb, task.arguments, around)


def by_module(verb: Verb, task: Task) -> Json:
    output = io.StringIO()
    given = {
        **task.arguments,
        "_ansible_diff": True,
        "_ansible_check_mode": task.check,
        "_ansible_module_name": verb.name,
    }
    with (
        patch_module_args(given),
        mock.patch.object(VerbModule, "log"),
        contextlib.redirect_stdout(output),
        pytest.raises(SystemExit),
    ):
        run_module(verb)
    answer: Json = json.loads(output.getvalue())
    return answer


def played(task: Task, door: Callable[[Verb, Task], Json]) -> Ended | None:
    """None where it asks for what is not simulated, or waits for longer than anybody watches, as it was told to."""
    scene = Scene(task.state)
    try:
        return Ended(scene, door(in_a_cluster(task.verb, scene), task))
    except NotSimulated:
        return None
    except Killed:
        assert task.is_patient, "a call that has no end"
        return None


# What nobody can know before: the name of a run that was given none.
DRAWN = re.compile(r"\b(?:unnamed-)?[0-9a-f]{32}\b")


def same_in_both(here: Ended, there: Ended) -> None:
    """But for what ansible-core takes out of a module's result, to show it by itself."""
    answers = [
        {
            name: value
            for name, value in json.loads(DRAWN.sub("run", json.dumps(each.answer))).items()
            if name not in APART
        }
        for each in (here, there)
    ]
    assert answers[0] == answers[1]
    assert here.writes == there.writes


APART = ("warnings", "deprecations")
# What no call changes but one that may; and what any call that goes on writes besides the release: that it goes on, and that it did.
BESIDES = ("leases", "events")
READING = ("canary_info", "canary_headroom_info", "canary_bake", "canary_verify", "canary_watch")
OURS = {
    "deployments": lambda name: name == NAME,
    "replicasets": lambda name: True,
    "horizontalpodautoscalers": lambda name: name == AUTOSCALER_NAME,
    "services": lambda name: name.startswith(NAME),
    "httproutes": lambda name: name == NAME,
    "events": lambda name: True,
    "leases": lambda name: name.startswith("coalmine-canary-"),
}


def makes_sense(task: Task, ended: Ended) -> None:
    answer = ended.answer
    assert answer.get("msg", "").strip() and "Traceback" not in json.dumps(answer), answer
    if answer.get("failed"):
        assert re.fullmatch("[a-z_]+", answer["failure"]) and answer["failure"] != "fault", answer
    written = [write for write in ended.writes if write[1] not in BESIDES]
    if answer.get("failure") == "invalid" and "requests" not in answer:
        assert not ended.writes, "arguments that make no sense, and something was written"
        assert is_named(task, answer["msg"]), answer["msg"]
    if task.check:
        assert not ended.writes, "check mode has written"
    if task.verb.name in READING or not answer["changed"]:
        assert not written, answer["msg"]
    for _type, kind, name in written:
        assert OURS[kind](name) or name in named_in(task.arguments), (kind, name)


def named_in(arguments: Mapping[str, Any]) -> set[str]:
    """The Deployments of a fleet."""
    releases = arguments.get("releases")
    return {str(one.get("name")) for one in releases if isinstance(one, dict)} if isinstance(releases, list) else set()


def outcome(task: Task) -> str:
    """How it ended, through both doors; what nobody may do is an error here."""
    here, there = (played(task, door) for door in (in_process, by_module))
    assert (here is None) == (there is None)
    if here is None or there is None:
        return "not simulated"
    same_in_both(here, there)
    makes_sense(task, here)
    return str(here.answer.get("failure", "done"))


def is_named(task: Task, message: str) -> bool:
    """An option stands in the message, by its name."""
    known = {str(step) for path, _spec in options(task.verb.arguments.argument_spec, task.arguments) for step in path}
    return bool(known & set(re.findall(r"[a-z_]+", message)))


# Each is a call through either door.
EXAMPLES = settings.default.max_examples if settings.get_current_profile_name() == "fuzz" else 4
# Of real time, on a machine that has much else to do.
SECONDS_FOR_A_CALL = 30


@pytest.mark.timeout(SECONDS_FOR_A_CALL * EXAMPLES)
@pytest.mark.parametrize("name", VERBS)
def test_whatever_is_given_ends_in_a_result_or_in_a_failure_that_has_a_code(name: str) -> None:
    verb = VERBS[name]

    @given(tasks(verb), st.sampled_from(sorted(STATES)), st.booleans())
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def check(given: tuple[dict[str, Any], tuple[Path, ...]], state: str, check: bool) -> None:
        task = Task(verb, *given, state=state, check=check)
        event(outcome(task))

    check()
