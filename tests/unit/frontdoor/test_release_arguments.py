# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_release's arguments: the options of the verbs that it calls, refused before anything is asked of the cluster."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import ArgumentError
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.release import VERB, as_begun
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Headroom, OnFailure, Through
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release, WaitsFor
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Stage
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Header, NewTemplate, Size
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.course import (
    CURRENT_CONTEXT,
    Course,
    ReleaseRequest,
)

HTTP = {"http": {}, "max_ratio": 2}


def asked(**given: Any) -> ReleaseRequest:
    spec = VERB.arguments
    validator = ArgumentSpecValidator(spec.argument_spec, spec.mutually_exclusive, None, spec.required_one_of)
    validated = validator.validate({"name": "web", "images": {"app": "web:2"}, **given})
    assert not validated.error_messages
    request = spec.to_request(validated.validated_parameters, False, "tests")
    assert isinstance(request, ReleaseRequest)
    return request


def test_one_step_of_one_pod_and_room_on_existing_nodes_unless_asked_otherwise() -> None:
    request = asked()
    assert [step.size for step in request.steps] == [Size(pods=1)]
    assert request.policies.headroom is Headroom.REQUIRE_EXISTING_NODES
    assert (request.judge.checks, request.through, request.previous) == ((), Through(), None)


def test_a_step_has_what_it_says_and_of_the_rest_what_the_release_says() -> None:
    own = [{"name": "own", "pods": {}}]
    first, second = asked(steps=[{"weight": 20}, {"pods": 3, "bake": 9, "checks": own}], bake=4, checks=[HTTP]).steps
    assert (first.size, first.bake, first.checks) == (Size(pods=None, weight=20), 4.0, None)
    assert (second.size, second.bake) == (Size(pods=3), 9.0)
    assert second.checks is not None and [each.check.name for each in second.checks] == ["own"]


def test_a_step_says_of_the_requests_what_the_one_before_it_did_unless_it_says_otherwise() -> None:
    header = {"name": "x-canary", "value": "always"}
    steps = [{}, {"traffic": {"weight": 0.5}}, {"pods": 3, "traffic": {"header": {}}}, {"traffic": {"weight": 25}}]
    request = asked(traffic={"kind": "gateway_api", "header": header}, steps=steps, promote_by="weights")
    told = [(step.size, step.traffic) for step in request.holds]
    assert [size for size, _traffic in told] == [
        Size.bearing(Fraction(0)),
        Size.bearing(Fraction(1, 200)),
        Size(pods=3),
        Size.bearing(Fraction(1, 4)),
        Size.bearing(Fraction(1)),
    ]
    weights = [(traffic.weight, traffic.header, traffic.without_header) for _size, traffic in told if traffic]
    named = Header("x-canary", "always")
    assert weights == [
        (Fraction(0), named, False),
        (Fraction(1, 200), named, False),
        (Fraction(1, 200), None, True),
        (Fraction(1, 4), None, True),
        (Fraction(1), None, True),
    ]
    assert (request.start.surge, request.room.surge) == (None, None)


def test_copies_end_with_the_first_weight_and_need_pods_as_a_share_does() -> None:
    steps = [{"traffic": {"mirror": 20}}, {}, {"traffic": {"weight": 5}}, {"traffic": {"weight": 0, "mirror": 10}}]
    request = asked(traffic={"kind": "gateway_api"}, steps=steps, promote_by="weights")
    parts = [(step.traffic.weight, step.traffic.mirror) for step in request.holds if step.traffic]
    assert parts == [(0, Fraction(1, 5)), (0, Fraction(1, 5)), (Fraction(1, 20), 0), (0, Fraction(1, 10)), (1, None)]
    sizes = [step.size.bears for step in request.holds]
    assert sizes == [Fraction(1, 5), Fraction(1, 5), Fraction(1, 5), Fraction(1, 5), Fraction(1)]


def test_users_are_kept_from_the_first_share_on_where_copies_come_before_it() -> None:
    steps = [{"traffic": {"mirror": 20}}, {"traffic": {"weight": 5}}]
    request = asked(traffic={"kind": "gateway_api", "sticky": "cookie"}, steps=steps)
    assert [step.traffic.sticky for step in request.steps if step.traffic] == [None, True]


@pytest.mark.parametrize(
    ("given", "sizes", "keeps"),
    [
        ({"traffic": {"kind": "service_selector"}}, [1, 1], 600.0),
        ({"traffic": {"kind": "gateway_api"}, "strategy": "blue_green", "promote_by": "weights"}, [1, 1], 600.0),
        ({"traffic": {"kind": "gateway_api"}, "strategy": "blue_green"}, [1, 1], 600.0),
        ({"traffic": {"kind": "service_selector"}, "strategy": "canary"}, [0, 1], 600.0),
        ({"traffic": {"kind": "gateway_api", "sticky": "cookie"}}, [0, 1], 600.0),
    ],
)
def test_blue_and_green_are_as_many_and_blue_is_kept(given: dict[str, Any], sizes: list[int], keeps: float) -> None:
    request = asked(**given, keep=600)
    assert [step.size for step in request.holds] == [Size.bearing(Fraction(size)) for size in sizes]
    assert [step.bake for step in request.holds] == [0.0, keeps]
    weights = [step.traffic.weight for step in request.holds if step.traffic]
    assert weights == [0, 1]


def test_without_traffic_one_pod_more_may_exist_and_nothing_is_asked_of_routes() -> None:
    request = asked(steps=[{}, {"pods": 3}])
    assert (request.start.surge, request.room.surge, request.everybody) == (1, 1, None)
    assert [step.traffic for step in request.steps] == [None, None]
    assert asked(traffic={"kind": "gateway_api"}, surge=2).start.surge == 2


def test_the_window_and_the_confidence_are_those_of_the_judgement() -> None:
    judge = asked(checks=[HTTP], check_duration=60, check_interval=2, check_warmup=10, confidence=0.9).judge
    assert (judge.duration, judge.interval, judge.warmup, judge.confidence) == (60.0, 2.0, 10.0, 0.9)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": [{"pods": 0}]}, "steps[0].pods is 0"),
        ({"steps": [{}, {"weight": 100}]}, "steps[1].weight is 100"),
        ({"steps": [{"pods": 1, "bake": -1}]}, "steps[0].bake is -1"),
        (
            {"steps": [{"pods": 1, "checks": [{"http": {"port": "web"}}]}]},
            "steps[0].checks[0].http.port must be a whole number",
        ),
        ({"checks": [{}]}, "checks[0] needs exactly one of"),
        ({"checks": [{"htpp": {}}]}, "htpp"),
        ({"confidence": 2}, "confidence is 2.0"),
        ({"check_duration": 0}, "check_duration is 0"),
        ({"guard": 5}, "checks is empty, so nothing would be guarded"),
        ({"max_hourly_cost": -1}, "max_hourly_cost is -1"),
        ({"max_hourly_cost": "nan"}, "max_hourly_cost is nan"),
        ({"price_metrics": {"url": 3, "tokn": "x"}}, "tokn"),
        ({"when_missing": "create"}, "give the manifest"),
        ({"through": "step"}, "through: it is not one of"),
        ({"held": True}, "held and images exclude each other"),
        ({"images": None}, "one of the following is required: images"),
        ({"expect": "7c6d9f54b"}, "expect is about a canary that is held already"),
        ({"previous": {"schema": 9}}, "previous cannot be taken up"),
        (
            {"steps": [{}, {"traffic": {"weight": 5}}]},
            "steps[1].traffic is given, and traffic does not say through what",
        ),
        ({"strategy": "blue_green"}, "strategy is blue_green, and without traffic both versions get requests"),
        ({"keep": 5, "traffic": {"kind": "gateway_api"}}, "keep is for old pods that get no requests"),
        ({"keep": 5}, "keep is for old pods that get no requests"),
        ({"promote_by": "weights"}, "promote_by is weights, and without traffic"),
        (
            {"traffic": {"kind": "gateway_api"}, "steps": [{"traffic": {"weight": 101}}]},
            "steps[0].traffic.weight is 101",
        ),
        (
            {"traffic": {"kind": "gateway_api", "weight": 5}, "steps": [{}, {"traffic": {"mirror": 10}}]},
            "traffic.mirror is 10 and traffic.weight is 5",
        ),
        (
            {
                "traffic": {"kind": "gateway_api", "weight": 5, "sticky": "cookie"},
                "steps": [{}, {"traffic": {"weight": 0, "mirror": 10}}],
            },
            "traffic.mirror is 10 and traffic.sticky is cookie",
        ),
        ({"run": "two words"}, "run has blanks"),
        ({"steps": []}, "steps is empty, so it says nothing that the canary is to stand"),
        ({"through": "step 2"}, "through is step 2, and steps has 1"),
        ({"through": "step 3", "steps": [{}, {"pods": 2}]}, "through is step 3, and steps has 2"),
        ({"images": None, "held": True, "gate": "stop"}, "held and gate exclude each other"),
        ({"images": None, "held": True, "steps": [{}]}, "held and steps exclude each other"),
        ({"images": None, "held": True, "bake": 60}, "held and bake exclude each other"),
        ({"images": None, "held": True, "verify_tasks": "x.yml"}, "held and verify_tasks exclude each other"),
        ({"images": None, "held": True, "through": "step 1"}, "held and through step 1 exclude each other"),
    ],
    ids=lambda one: str(one)[:35],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        asked(**given)
    assert said in str(refused.value)


@pytest.mark.parametrize("given", [{"rescued": True}, {"reject": "no"}, {"held": True}], ids=str)
def test_what_is_taken_back_or_held_already_needs_no_version(given: dict[str, Any]) -> None:
    assert asked(images=None, **given).start.template == NewTemplate()


HELD = Release("mine", Stage.HELD, Ending.HELD, hash="c1", stable="s1", reached=1, waits_for=WaitsFor.CALLER)
LEFT = "It was left as it is."


@pytest.mark.parametrize(
    ("previous", "rescued", "outcome", "why", "unruled"),
    [
        (HELD, False, Ending.FAILED, LEFT, True),
        (HELD, True, Ending.FAILED, LEFT, False),
        (Release("mine", Stage.HELD), False, Ending.FAILED, LEFT, True),
        (Release("mine"), False, Ending.REFUSED, "This run changed nothing.", False),
        (Release("mine", Stage.HELD, Ending.FAILED, hash="c1"), False, Ending.FAILED, LEFT, False),
    ],
    ids=["held", "rescued", "held before its hash is known", "asked", "ruled on"],
)
def test_a_call_that_is_refused_hands_on_what_an_earlier_one_began(
    previous: Release, rescued: bool, outcome: Ending, why: str, unruled: bool
) -> None:
    told = VERB.refused("No such option", {"name": "web", "previous": previous.to_json(), "rescued": rescued})
    release = Release.from_json(told["release"])
    assert (release.run, release.stage, release.hash) == (previous.run, previous.stage, previous.hash)
    assert (release.outcome, release.why, release.unruled) == (outcome, ("No such option.", why), unruled)


HERE = {"name": "web", "namespace": "shop", "context": "eu", "kubeconfig": "/eu/config"}


def begun(**given: Any) -> dict[str, Any]:
    """What a first call would hand on."""
    return Release("mine", Stage.HELD, Ending.HELD, began=asked(**{**HERE, **given}).began).to_json()


@pytest.mark.parametrize(
    ("first", "later", "said"),
    [
        ({}, {"name": "other"}, "name is other, and it was web when the release of previous began"),
        ({}, {"namespace": "other"}, "namespace is other, and it was shop"),
        ({}, {"context": "us"}, "context is us, and it was eu"),
        ({}, {"context": None}, "context is not given, and it was eu"),
        ({"kubeconfig": {"kind": "Config"}}, {}, "kubeconfig is /eu/config, and it was not given"),
        ({}, {"on_failure": "hold"}, "on_failure is hold, and it was undo"),
        ({"gate": "stop"}, {}, "gate is none, and it was stop"),
        ({}, {"on_inconclusive": "promote"}, "on_inconclusive is promote, and it was hold"),
        ({}, {"images": {"app": "web:3"}}, "images says another version than the one"),
        ({}, {"pod_template_patch": {"spec": {}}}, "pod_template_patch says another version than the one"),
        ({}, {"name": "other", "reject": "no"}, "name is other, and it was web"),
        ({"steps": [{}, {"pods": 3}]}, {}, "steps, bake, verify_tasks"),
        ({}, {"bake": 5}, "steps, bake, verify_tasks"),
        ({"checks": [HTTP]}, {}, "checks, check_duration"),
        ({"checks": [HTTP]}, {"checks": [{**HTTP, "max_ratio": 9}]}, "checks, check_duration"),
    ],
    ids=lambda one: str(one)[:35],
)
def test_a_release_goes_on_as_it_began(first: dict[str, Any], later: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        asked(**{**HERE, **later, "previous": begun(**first)})
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    "later",
    [
        {},
        {"through": "step 1", "wait_timeout": 9, "check_duration": 300},
        {"images": {"app": " web:2 "}},
        {"reject": "no", "on_failure": "hold", "images": None},
    ],
    ids=lambda one: str(one)[:35],
)
def test_what_is_not_of_a_release_once_and_for_all_may_change(later: dict[str, Any]) -> None:
    assert asked(**{**HERE, **later, "previous": begun()}).previous is not None


def test_only_a_reason_rejects() -> None:
    assert [asked(reject=said).reject for said in ("", " \n", " it errs\n")] == ["", "", "it errs"]
    for condition in ("False", "none", "0", "-1.5"):
        with pytest.raises(ArgumentError, match="reject is a condition or a number"):
            asked(reject=condition)
    assert asked(reject="503", rescued=True).reject == "503", "that is what a task said which failed"


def test_the_source_of_a_check_may_change_and_its_samples_grow() -> None:
    first = begun(
        checks=[{"samples": [], "max_ratio": 2}], steps=[{"checks": [{"http": {"path": "/a"}, "max_ratio": 2}]}]
    )
    sample = {"time": 1, "stable": {"bad": 0, "total": 9}, "canary": {"bad": 0, "total": 9}}
    later = {"checks": [{"samples": [sample], "max_ratio": 2}], "steps": [{"checks": [{"http": {}, "max_ratio": 2}]}]}
    assert asked(**{**HERE, **later, "previous": first}).previous is not None
    later["steps"] = [{"checks": [{"pods": {}, "max_ratio": 2}]}]
    with pytest.raises(ArgumentError, match="steps, bake"):
        asked(**{**HERE, **later, "previous": first})


def test_a_result_of_an_earlier_version_is_taken_up() -> None:
    old = {name: value for name, value in begun().items() if name != "began"}
    assert asked(name="other", previous=old).previous is not None


def test_a_release_is_taken_back_where_and_as_it_began() -> None:
    astray = {
        "name": "other",
        "namespace": "x",
        "context": "us",
        "host": "https://us",
        "on_failure": "hold",
        "rescued": True,
    }
    back = as_begun({**astray, "previous": begun()})
    assert {name: back.get(name) for name in (*HERE, "host", "on_failure")} == {
        **HERE,
        "host": None,
        "on_failure": "undo",
    }
    request = asked(**back)
    assert (request.call.target.name, request.policies.on_failure) == ("web", OnFailure.UNDO)
    for previous in (None, {"schema": 9}, {**begun(), "began": {}}):
        assert as_begun({**astray, "previous": previous}) == {**astray, "previous": previous}


@pytest.mark.parametrize(
    ("later", "context"),
    [
        ({}, "eu"),
        ({"rescued": True}, "eu"),
        ({"context": "us"}, "us"),
        ({"host": "https://us"}, None),
        ({"kubeconfig": "another"}, None),
    ],
    ids=["unnamed", "rescued", "a context", "a server", "a kubeconfig without it"],
)
def test_a_call_that_names_no_cluster_goes_on_in_that_of_the_first(
    later: dict[str, Any], context: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever context is the current one by then."""

    def write(path: Path, *names: str) -> str:
        contexts = [{"name": name, "context": {"cluster": name, "user": ""}} for name in names]
        clusters = [{"name": name, "cluster": {"server": f"https://{name}"}} for name in names]
        content = {"current-context": names[0], "contexts": contexts, "clusters": clusters, "users": []}
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    monkeypatch.setenv("KUBECONFIG", write(tmp_path / "config", "eu", "us"))
    first = {"name": "web", "namespace": "shop", "images": {"app": "web:2"}}
    request = asked(**{**first, "context": None, "kubeconfig": None})
    began = Course.begin(connect(Connection()), request, print).release
    assert "context" not in began.began and began.began[CURRENT_CONTEXT] == "eu"

    write(tmp_path / "config", "us", "eu")
    if "kubeconfig" in later:
        later = {"kubeconfig": write(tmp_path / "another", "ap")}
    previous = replace(began, stage=Stage.HELD, outcome=Ending.HELD).to_json()
    given = {**first, **later, "previous": previous}
    settled = VERB.settles(as_begun(given) if later.get("rescued") else given)
    assert settled.get("context") == context
    if not later:
        asked(**settled)


def test_what_a_release_began_with_holds_no_secret() -> None:
    secret = asked(
        kubeconfig={"users": ["hunter2"]}, host="https://me:hunter2@there", pod_template_patch={"a": "hunter2"}
    )
    assert "hunter2" not in str(secret.began) and {"kubeconfig", "host"}.isdisjoint(secret.began)
