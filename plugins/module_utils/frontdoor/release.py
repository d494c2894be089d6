# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_release's arguments: those of the verbs that it calls, in the same words.

This module is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..verbs.call.orders import AutoscalerPolicy, Call, StartRequest
from ..verbs.judging.checks import CheckAsked, VerifyRequest
from ..verbs.releasing import release
from ..verbs.releasing.course import (
    FAILURES,
    Gate,
    Headroom,
    OnFailure,
    OnInconclusive,
    OnUnknown,
    Policies,
    Release,
    ReleaseRequest,
    StepAsked,
    Through,
    UnreadableResult,
    WhenMissing,
)
from .arguments import (
    DISPLAY,
    RUN,
    TARGET,
    WAIT_FOR_NODES,
    ArgumentError,
    ArgumentSpec,
    Options,
    Parameters,
    Verb,
    at_least,
    call,
)
from .candidate import CANDIDATE, EXCLUSIVE, ONE_OF, new_size, new_template
from .headroom import VERB as HEADROOM
from .nested import validated
from .start import VERB as START
from .verify import VERB as VERIFY

_CHECKS: Options = {"checks": {"type": "list", "elements": "dict", "default": []}}
_STEPS: Options = {
    "pods": {"type": "int"},
    "weight": {"type": "int"},
    "bake": {"type": "int"},
    "checks": {"type": "list", "elements": "dict"},
}
# The same options under names that say what of a release they are about.
_AS_IN_VERIFY = {
    "check_duration": "duration",
    "check_interval": "interval",
    "check_warmup": "warmup",
    "confidence": "confidence",
}
_NO_SIZE = {"pods": None, "weight": None}
_AS_IN_HEADROOM = ("assume_replicas", "prices", "node_group_label")


def _choice(kind: Any, default: Any) -> dict[str, Any]:
    return {"type": "str", "choices": [each.value for each in kind], "default": default.value}


def _request(parameters: Parameters, check: bool, actor: str) -> ReleaseRequest:
    at_least(0, parameters, "bake", "guard", "max_hourly_cost")
    base = call({**parameters, "wait": True, "run": None}, check, actor)
    run = call({**parameters, "wait": True}, check, actor).meant.run
    if parameters["when_missing"] == WhenMissing.CREATE.value and parameters["definition"] is None:
        raise ArgumentError(
            "when_missing is create, and only definition says what there is to create: give the manifest"
        )
    if parameters["guard"] and not parameters["checks"]:
        raise ArgumentError(
            f"guard is {parameters['guard']} and checks is empty, so nothing would be guarded. Give the checks, or leave guard out"
        )
    return ReleaseRequest(
        call=base,
        start=_start(parameters, base),
        judge=_judge(parameters, check, actor),
        room=HEADROOM.arguments.to_request(_of_headroom(parameters), check, actor),
        steps=tuple(_step(parameters, step) for step in parameters["steps"] or [{}]),
        policies=_policies(parameters),
        guard=float(parameters["guard"]),
        through=_through(parameters["through"]),
        previous=_previous(parameters),
        reject=parameters["reject"],
        run=run,
    )


def _start(parameters: Parameters, base: Call) -> StartRequest:
    return StartRequest(
        call=base,
        template=new_template(parameters),
        surge=parameters["surge"],
        max_unavailable=parameters["max_unavailable"],
        autoscaler=AutoscalerPolicy(parameters["autoscaler"]),
    )


def _judge(parameters: Parameters, check: bool, actor: str, checks: Any = None) -> VerifyRequest:
    """As canary_verify would be asked, so that a check that makes no sense is refused before anything is changed."""
    options, given = VERIFY.arguments.options, parameters["checks"] if checks is None else checks
    asked = {
        **{name: option.get("default") for name, option in options.items()},
        **{theirs: parameters[ours] for ours, theirs in _AS_IN_VERIFY.items()},
        **{name: parameters[name] for name in TARGET},
        # The window and the confidence are checked in any case, and there only together with something to judge by.
        "checks": validated("checks", options, given or [{"pods": {}}]),
    }
    request: VerifyRequest = VERIFY.arguments.to_request(asked, check, actor)
    return request if given else replace(request, checks=())


def _of_headroom(parameters: Parameters) -> dict[str, Any]:
    metrics = validated("price_metrics", HEADROOM.arguments.options, parameters["price_metrics"])
    return {**parameters, **_NO_SIZE, "price_metrics": metrics, "steps": None}


def _step(parameters: Parameters, given: Mapping[str, Any]) -> StepAsked:
    size = new_size({**parameters, **{name: given.get(name) for name in _NO_SIZE}})
    at_least(0, given, "bake")
    bake = given.get("bake")
    return StepAsked(
        size, float(parameters["bake"] if bake is None else bake), _own_checks(parameters, given.get("checks"))
    )


def _own_checks(parameters: Parameters, given: Any) -> tuple[CheckAsked, ...] | None:
    return None if given is None else _judge(parameters, False, "", given).checks


def _policies(parameters: Parameters) -> Policies:
    return Policies(
        headroom=Headroom(parameters["headroom"]),
        on_unknown=OnUnknown(parameters["on_unknown"]),
        max_hourly_cost=parameters["max_hourly_cost"],
        on_inconclusive=OnInconclusive(parameters["on_inconclusive"]),
        on_failure=OnFailure(parameters["on_failure"]),
        gate=Gate(parameters["gate"]),
        when_missing=WhenMissing(parameters["when_missing"]),
    )


def _through(text: str) -> Through:
    try:
        return Through.parse(text)
    except ValueError as error:
        raise ArgumentError(f"through: {error}") from error


def _previous(parameters: Parameters) -> Release | None:
    given = parameters["previous"]
    if given is None:
        if parameters["reject"]:
            raise ArgumentError("reject is about a canary that an earlier call held: give its result in previous")
        return None
    try:
        previous = Release.from_json(given)
    except UnreadableResult as error:
        raise ArgumentError(
            f"previous cannot be taken up: {error}. Hand over `release` of the earlier call unchanged"
        ) from error
    if previous.outcome in FAILURES:
        raise ArgumentError(
            f"previous ended as {previous.outcome.value}, so nothing of it can be taken up: begin a new release, without previous"
        )
    return previous


VERB = Verb(
    name="canary_release",
    arguments=ArgumentSpec(
        options={
            **TARGET,
            **{name: option for name, option in CANDIDATE.items() if name not in ("pods", "weight")},
            **_CHECKS,
            **RUN,
            **WAIT_FOR_NODES,
            **DISPLAY,
            "wait_timeout": {"type": "int", "default": 300},
            "steps": {
                "type": "list",
                "elements": "dict",
                "options": _STEPS,
                "mutually_exclusive": [("pods", "weight")],
            },
            "bake": {"type": "int", "default": 0},
            "autoscaler": START.arguments.options["autoscaler"],
            **{ours: VERIFY.arguments.options[theirs] for ours, theirs in _AS_IN_VERIFY.items()},
            "on_inconclusive": _choice(OnInconclusive, OnInconclusive.HOLD),
            "guard": {"type": "int", "default": 0},
            "headroom": _choice(Headroom, Headroom.REQUIRE_EXISTING_NODES),
            "on_unknown": _choice(OnUnknown, OnUnknown.WARN),
            "max_hourly_cost": {"type": "float"},
            **{name: HEADROOM.arguments.options[name] for name in _AS_IN_HEADROOM},
            "price_metrics": {"type": "dict"},
            "gate": _choice(Gate, Gate.NONE),
            "on_failure": _choice(OnFailure, OnFailure.UNDO),
            "when_missing": _choice(WhenMissing, WhenMissing.FAIL),
            "through": {"type": "str", "default": "promoted"},
            "previous": {"type": "dict"},
            "reject": {"type": "str", "default": ""},
        },
        build=_request,
        mutually_exclusive=EXCLUSIVE[1:],
        required_one_of=ONE_OF,
    ),
    perform=release.release,
)
