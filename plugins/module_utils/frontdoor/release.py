# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_release's arguments: those of the verbs that it calls, in the same words.

This module is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..cluster.connection import is_unnamed
from ..verbs.call.orders import (
    AutoscalerPolicy,
    Call,
    NewTemplate,
    OwnerCheck,
    PromoteBy,
    StartRequest,
    TrafficRequest,
)
from ..verbs.counting.asked import HeadroomRequest
from ..verbs.judging.asked import VerifyRequest
from ..verbs.releasing import release
from ..verbs.releasing.course import (
    CURRENT_CONTEXT,
    FAILURES,
    NOTHING_CHANGED,
    End,
    Ending,
    Gate,
    Headroom,
    OnFailure,
    OnInconclusive,
    OnUnknown,
    Policies,
    Release,
    ReleaseRequest,
    Stage,
    StepAsked,
    Through,
    UnreadableResult,
    WaitsFor,
    WhenMissing,
    new_run,
    summary,
)
from .arguments import (
    DISPLAY,
    EXPECT,
    LABEL,
    LEASE,
    NAME,
    OWNERSHIP,
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
    connection,
    renamed,
    within,
)
from .candidate import (
    CANDIDATE,
    EXCLUSIVE,
    ONE_OF,
    STRATEGY,
    check_strategy,
    is_blue_green,
    new_size,
    new_surge,
    new_template,
)
from .headroom import VERB as HEADROOM
from .nested import validated
from .promote import VERB as PROMOTE
from .promote import new_by
from .start import VERB as START
from .traffic import TRAFFIC, new_traffic
from .verify import SOURCES
from .verify import VERB as VERIFY

if TYPE_CHECKING:
    from ..verbs.judging.checks import CheckAsked

__all__ = ["VERB", "cut_off", "new_run"]

_CHECKS: Options = {"checks": {"type": "list", "elements": "dict", "default": []}}
# What a step may say of the traffic; the rest is of the whole release.
_SHARE = ("weight", "header", "mirror")
_STEPS: Options = {
    "pods": {"type": "int"},
    "weight": {"type": "int"},
    "bake": {"type": "int"},
    "checks": {"type": "list", "elements": "dict"},
    "verify_tasks": {"type": "str"},
    "traffic": {"type": "dict", "options": {name: TRAFFIC["options"][name] for name in _SHARE}},
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
    parameters = {**parameters, "reject": _reason(parameters["reject"], parameters["rescued"])}
    at_least(0, parameters, "bake", "guard", "keep", "max_hourly_cost")
    base = call({**parameters, "wait": True, "run": None, "expect": None}, check, actor)
    meant = call({**parameters, "wait": True}, check, actor).meant
    previous = _previous(parameters)
    _says_what(parameters)
    if parameters["steps"] == []:
        raise ArgumentError(
            "steps is empty, so it says nothing that the canary is to stand: give one step or more, or leave it out"
        )
    start = _start(parameters, base)
    began = _began(parameters, start)
    if previous is not None:
        _must_go_on_as_it_began(parameters, previous.began, began)
    if parameters["when_missing"] == WhenMissing.CREATE.value and parameters["definition"] is None:
        raise ArgumentError(
            "when_missing is create, and only definition says what there is to create: give the manifest"
        )
    if parameters["guard"] and not parameters["checks"]:
        raise ArgumentError(
            f"guard is {parameters['guard']}, and checks is empty, so nothing would be guarded. Give the checks, or leave guard out"
        )
    traffic, through = _traffic(parameters), _through(parameters["through"], len(_steps(parameters)))
    return ReleaseRequest(
        call=base,
        start=start,
        judge=_judge(parameters, check, actor),
        room=_room(parameters, base),
        steps=tuple(
            _step(parameters, number, step, asked, least)
            for number, (step, asked, least) in enumerate(
                zip(_steps(parameters), traffic, _copied(traffic), strict=True)
            )
        ),
        by=_by(parameters, traffic[-1]),
        keep=float(parameters["keep"]),
        policies=_policies(parameters),
        guard=float(parameters["guard"]),
        through=through,
        previous=previous,
        reject=parameters["reject"],
        run=meant.run,
        held=meant if parameters["held"] else None,
        began=began,
    )


# What is done with a canary until it is held and judged. Whoever promotes one that another call has held has decided that by himself.
_UNTIL_IT_IS_HELD = ("previous", "steps", "traffic", "strategy", "bake", "verify_tasks", "on_inconclusive", "gate")


def _says_what(parameters: Parameters) -> None:
    """A canary that is held, or rejected, is what it is; a version is released from what the user says."""
    given = [name for name in ONE_OF[0] if parameters[name] is not None]
    if parameters["held"]:
        _takes_it_as_it_is(parameters)
    if parameters["expect"] and not parameters["held"]:
        raise ArgumentError(
            "expect is about a canary that is held already: give it together with held, or leave it out"
        )
    if not (given or parameters["held"] or parameters["reject"] or parameters["rescued"]):
        raise ArgumentError(f"one of the following is required: {', '.join(ONE_OF[0])}")


def _takes_it_as_it_is(parameters: Parameters) -> None:
    options = VERB.arguments.options
    beside = next(
        (name for name in (*ONE_OF[0], *_UNTIL_IT_IS_HELD) if parameters[name] != options[name].get("default")), None
    )
    if beside:
        raise ArgumentError(f"held and {beside} exclude each other: held takes the canary as it is, and promotes it")
    if parameters["through"].startswith(End.STEP.value):
        raise ArgumentError(f"held and through {parameters['through']} exclude each other: that canary is held already")


def _steps(parameters: Parameters) -> Sequence[Parameters]:
    return parameters["steps"] or [{}]


def _traffic(parameters: Parameters) -> list[TrafficRequest | None]:
    """What each step asks for of the requests, as a whole: what it does not say is as in the step before it."""
    given, asked = parameters["traffic"], []
    said = {"weight": 0.0, "header": {"name": None, "value": None}, "mirror": 0.0, **_said(given or {})}
    split = bool(said["weight"])
    # What is of all steps is refused by its own name.
    _of_a_step(given, said, split)
    for number, step in enumerate(_steps(parameters)):
        new = _said(step.get("traffic") or {})
        if step.get("traffic") and given is None:
            raise ArgumentError(
                f"steps[{number}].traffic is given, and traffic does not say through what: give its kind"
            )
        said = {**said, **({"mirror": 0.0} if new.get("weight") else {}), **new}
        split = split or bool(said["weight"])
        with within(f"steps[{number}]", _STEPS):
            asked.append(_of_a_step(given, said, split))
    return asked


def _said(traffic: Parameters) -> dict[str, Any]:
    return {name: traffic[name] for name in _SHARE if traffic.get(name) is not None}


def _of_a_step(given: Parameters | None, said: Parameters, split: bool) -> TrafficRequest | None:
    # Users are kept from the first share on.
    later = {"sticky": None} if said["mirror"] and not split else {}
    return new_traffic(None if given is None else {**given, **said, **later})


def _copied(traffic: Sequence[TrafficRequest | None]) -> list[Fraction]:
    """What the pods of each step bear at least: those that bore copies stay, because a canary only grows."""
    return list(accumulate((asked and asked.mirror or Fraction(0) for asked in traffic), max))


def _by(parameters: Parameters, last: TrafficRequest | None) -> PromoteBy | None:
    """`last`: what the canary gets of the requests at its last step."""
    by = new_by(parameters["promote_by"])
    if not _is_new(parameters):
        return by
    check_strategy(parameters)
    if by is PromoteBy.WEIGHTS and last is None:
        raise ArgumentError(
            "promote_by is weights, and without traffic a release has none. Give traffic, or leave promote_by out"
        )
    if by is None and last is not None and is_blue_green(parameters, last):
        by = PromoteBy.WEIGHTS
    usual = last.promoted_by if last else PromoteBy.PODS
    if parameters["keep"] and (by or usual) is PromoteBy.PODS:
        raise ArgumentError(
            "keep is for old pods that get no requests, and by pods they get some to their end. Set promote_by to weights, or leave "
            "keep out"
        )
    return by


def _start(parameters: Parameters, base: Call) -> StartRequest:
    return StartRequest(
        call=base,
        template=new_template(parameters) if _is_new(parameters) else NewTemplate(),
        surge=new_surge(parameters, parameters["traffic"]),
        max_unavailable=parameters["max_unavailable"],
        autoscaler=AutoscalerPolicy(parameters["autoscaler"]),
        owner_check=OwnerCheck(parameters["owner_check"]),
    )


def _reason(given: str, rescued: bool) -> str:
    """A text of blanks is what a template leaves that says nothing. Raises ArgumentError for a condition in place of a reason, unless that
    is what the task said that was `rescued`."""
    reason = given.strip()
    if (
        reason
        and not rescued
        and (reason.lower() in ("true", "false", "none", "null") or not any(map(str.isalpha, reason)))
    ):
        raise ArgumentError(
            "reject is a condition or a number, and any reason rejects the canary. Say as text why it is rejected, and leave it out, or "
            "empty, where it is not"
        )
    return reason


def _is_new(parameters: Parameters) -> bool:
    return any(parameters[name] is not None for name in ONE_OF[0])


def _judge(parameters: Parameters, check: bool, actor: str, checks: Any = None) -> VerifyRequest:
    """As canary_verify would be asked, so that a check that makes no sense is refused before anything is changed."""
    options, given = VERIFY.arguments.options, parameters["checks"] if checks is None else checks
    window = {theirs: parameters[ours] for ours, theirs in _AS_IN_VERIFY.items()}
    if not given and all(options[theirs]["default"] == value for theirs, value in window.items()):
        # Nothing is judged, and nothing is said of how: what judges need not be loaded.
        return VerifyRequest(call({**parameters, "wait": True, "run": None, "expect": None}, check, actor), ())
    asked = {
        **{name: option.get("default") for name, option in options.items()},
        **window,
        **{name: parameters[name] for name in TARGET},
        # The window and the confidence are checked in any case, and there only together with something to judge by.
        "checks": validated("checks", options, given or [{"pods": {}}]),
    }
    try:
        request: VerifyRequest = VERIFY.arguments.to_request(asked, check, actor)
    except ArgumentError as error:
        raise ArgumentError(renamed(str(error), {theirs: ours for ours, theirs in _AS_IN_VERIFY.items()})) from error
    return request if given else replace(request, checks=())


def _room(parameters: Parameters, base: Call) -> HeadroomRequest:
    if not _is_new(parameters):
        return HeadroomRequest(base, NewTemplate())
    metrics = validated("price_metrics", HEADROOM.arguments.options, parameters["price_metrics"])
    surge = new_surge(parameters, parameters["traffic"])
    asked = {**parameters, **_NO_SIZE, "surge": surge, "price_metrics": metrics, "steps": None}
    request: HeadroomRequest = HEADROOM.arguments.to_request(asked, base.check, base.actor)
    return request


def _step(
    parameters: Parameters, number: int, given: Mapping[str, Any], traffic: TrafficRequest | None, least: Fraction
) -> StepAsked:
    with within(f"steps[{number}]", _STEPS):
        size = new_size({**parameters, **{name: given.get(name) for name in _NO_SIZE}}, traffic, least)
        at_least(0, given, "bake")
        checks = _own_checks(parameters, given.get("checks"))
    bake = given.get("bake")
    return StepAsked(
        size,
        traffic=traffic,
        bake=float(parameters["bake"] if bake is None else bake),
        checks=checks,
        verify_tasks=given.get("verify_tasks") or parameters["verify_tasks"],
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


def _through(text: str, steps: int) -> Through:
    try:
        through = Through.parse(text)
    except ValueError as error:
        raise ArgumentError(f"through: {error}") from error
    if through.step > steps:
        raise ArgumentError(
            f"through is {text}, and steps has {steps}, so that this would go on to the promotion. Name one of the steps"
        )
    return through


def _previous(parameters: Parameters) -> Release | None:
    given = parameters.get("previous")
    if given is None:
        return None
    try:
        return Release.from_json(given)
    except UnreadableResult as error:
        raise ArgumentError(
            f"previous cannot be taken up: {error}. Hand over `release` of the earlier call unchanged"
        ) from error


# Which Deployment it is, in which cluster, what it has to stand, and what becomes of it: of one release once and for all, whatever a
# later call says.
_TARGET, _CLUSTER = ("name", "namespace"), ("kubeconfig", "context", "host")
_POLICIES = ("on_failure", "on_inconclusive", "gate")
# As digests, each of several options. Of a check only what it is called and how it rules: its source may be a secret, and samples grow.
_COURSE: Mapping[str, tuple[str, ...]] = {
    "steps": ("steps", "bake", "verify_tasks", "traffic", "strategy", "promote_by", "keep"),
    "checks": ("checks", "check_duration", "check_interval", "check_warmup", "confidence", "guard"),
}


def _began(parameters: Parameters, start: StartRequest) -> dict[str, str]:
    """No secret is in it: a kubeconfig that is none, or an address with a password, is left out."""
    template, cluster = start.template, dict(start.call.target.cluster)
    version = (dict(template.images), template.patch, template.definition)
    said = {
        **{name: [_lasting(option, parameters[option]) for option in options] for name, options in _COURSE.items()},
    }
    return {
        **{name: str(parameters[name]) for name in (*_TARGET, *_POLICIES)},
        **{name: cluster[name] for name in _CLUSTER if name in cluster},
        "version": " ".join(map(_digest, version)) if _is_new(parameters) else "",
        **{name: _digest(asked) if _is_new(parameters) else "" for name, asked in said.items()},
    }


def _digest(asked: Any) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _lasting(name: str, given: Any) -> Any:
    """What each call has to say alike of the option `name`. What is not given is not there, whichever options a later version adds."""
    if isinstance(given, list):
        return [_lasting(name, each) for each in given]
    if not isinstance(given, Mapping):
        return given
    sources = SOURCES if name == "checks" else ()
    return {
        option: "" if option in sources else _lasting(option, value)
        for option, value in given.items()
        if value is not None
    }


def _must_go_on_as_it_began(parameters: Parameters, was: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raises ArgumentError. Whoever takes it back says no version, and a call that is about its end no policies."""
    if not was:
        return  # of an earlier version of this collection
    is_over = bool(parameters["reject"] or parameters["rescued"])
    for name in (*_TARGET, *_CLUSTER, *(() if is_over else _POLICIES)):
        given, began = (each.get(name) or "not given" for each in (now, was))
        if given != began and not (name == "context" and given == was.get(CURRENT_CONTEXT)):
            raise ArgumentError(
                f"{name} is {given}, and it was {began} when the release of previous began: give each call of a release the same, so "
                "that what was begun is what is promoted, or taken back"
            )
    if is_over:
        return
    if now["version"] != was.get("version"):
        pairs = zip(ONE_OF[0], now["version"].split(" "), was.get("version", "").split(" "), strict=False)
        given = " and ".join(name for name, digest, began in pairs if digest != began)
        raise ArgumentError(
            f"{given} says another version than the one that the release of previous began with: give each call of a release the "
            "same. For another version begin another release"
        )
    for name, options in _COURSE.items():
        if now[name] != was.get(name, now[name]):  # an earlier version of this collection does not say
            raise ArgumentError(
                f"{', '.join(options[:-1])} or {options[-1]} say something else than when the release of previous began: give each call "
                "of a release the same, so that it stands all that it was to stand"
            )


def as_begun(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A call that takes a release back, where and as this began, whatever the variables of its caller say by now."""
    try:
        previous = _previous(asked)
    except ArgumentError:
        return dict(asked)
    began = previous.began if previous else {}
    if not began:
        return dict(asked)
    here = {name: value for name, value in asked.items() if name not in ("context", "host") or name in began}
    context = {"context": began[CURRENT_CONTEXT]} if CURRENT_CONTEXT in began else {}
    return {**here, **context, **{name: began[name] for name in (*_TARGET, *_CLUSTER, "on_failure") if name in began}}


def _where_it_began(parameters: Parameters) -> Parameters:
    """A call that names no cluster goes on where this began, whatever context of the kubeconfig is the current one by now."""
    previous = _previous(parameters)
    if previous is None or not (context := previous.began.get(CURRENT_CONTEXT)):
        return parameters
    there = {**parameters, "kubeconfig": parameters.get("kubeconfig") or previous.began.get("kubeconfig")}
    return {**there, "context": context} if is_unnamed(connection(there), context) else parameters


WAITS_FOR_CALLER = WaitsFor.CALLER.value
# What a release is taken back with: the rest of the options is about a version that is given up.
OF_AN_UNDO = ("name", "namespace", "on_failure", "wait_timeout", "wait_for_nodes", "field_ownership", "display")


def cut_off(asked: Mapping[str, Any], check: bool = False) -> Any:
    """The result of a call that could return none: nobody knows how far it came, unless it was not to change anything."""
    previous = asked.get("previous")
    if previous and not isinstance(previous, Mapping):
        return previous
    known = dict(previous) if previous else Release(run=str(asked.get("run") or "")).to_json()
    over = known.get("outcome") not in (Ending.PLANNED.value, Ending.HELD.value)
    return known if over or check or asked.get("through") == End.ROOM.value else {**known, "stage": Stage.UNKNOWN.value}


# What a call left behind that was cut off.
_UNKNOWN = "What it had begun by then is in the cluster: run this again to go on, or take it back with canary_undo."


def _refused(why: str, parameters: Parameters) -> dict[str, Any]:
    """What a call returns that made no sense, or reached no server: a release, too, so that a caller finds one in any case. What an
    earlier call had begun stays in the cluster under its run, and nothing was ruled on, so a later call may still reject it."""
    try:
        taken_up = _previous(parameters) or Release(run="")
    except ArgumentError:
        taken_up = Release(run="")
    said = f"{why.rstrip('.')}."
    began = taken_up.hash or taken_up.stage is not Stage.ASKED
    left = _UNKNOWN if taken_up.stage is Stage.UNKNOWN else "It was left as it is." if began else ""
    open_yet = taken_up.unruled or taken_up.outcome not in FAILURES
    told = replace(
        taken_up,
        outcome=Ending.FAILED if left else Ending.REFUSED,
        why=(said, left or NOTHING_CHANGED),
        waits_for=WaitsFor.CALLER if left and open_yet and not parameters.get("rescued") else WaitsFor.NOBODY,
    )
    about: Mapping[str, Any] = told.began or {"namespace": "default", **parameters}
    given = [(about.get("name"), NAME), (about.get("namespace"), LABEL)]
    name, namespace = (text if isinstance(text, str) and shape.fullmatch(text) else "?" for text, shape in given)
    return {"release": told.to_json(), "summary": summary(name, namespace, told, {})}


VERB = Verb(
    name="canary_release",
    arguments=ArgumentSpec(
        options={
            **TARGET,
            **LEASE,
            **OWNERSHIP,
            **{name: option for name, option in CANDIDATE.items() if name not in ("pods", "weight")},
            **_CHECKS,
            **EXPECT,
            **RUN,
            "held": {"type": "bool", "default": False},
            **WAIT_FOR_NODES,
            **DISPLAY,
            "wait_timeout": {"type": "int", "default": 300},
            "steps": {
                "type": "list",
                "elements": "dict",
                "options": _STEPS,
                "mutually_exclusive": [("pods", "weight")],
            },
            "traffic": TRAFFIC,
            **STRATEGY,
            "promote_by": PROMOTE.arguments.options["by"],
            "keep": PROMOTE.arguments.options["keep"],
            "bake": {"type": "int", "default": 0},
            **{name: START.arguments.options[name] for name in ("autoscaler", "owner_check")},
            **{ours: VERIFY.arguments.options[theirs] for ours, theirs in _AS_IN_VERIFY.items()},
            "on_inconclusive": _choice(OnInconclusive, OnInconclusive.HOLD),
            "verify_tasks": {"type": "str", "default": ""},
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
            "rescued": {"type": "bool", "default": False},
        },
        build=_request,
        mutually_exclusive=EXCLUSIVE[1:],
    ),
    perform=release.release,
    refused=_refused,
    settles=_where_it_began,
    takes=("ask",),
)
