# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused of an option is told by the path at which its caller wrote it, whichever option of whichever verb it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import (
    ArgumentError,
    Options,
    Verb,
    connection,
)
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.fleet import MEMBER
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.shapes import misshapen
from tests.toolchain.sampled import in_turn
from tests.unit.frontdoor.every_verb import VERBS
from tests.unit.frontdoor.test_secrecy import Path, options, replaced

ODD: list[Any] = [-1, 0.3, 70_000, 1e9, "", "a b", "(", [], {}, {"a": []}]
IMAGES = {"images": {"app": "web:2"}}
WEB = {"url": "http://127.0.0.1:1"}
HTTP = {
    "http": {"via": "url", **WEB, "canary_headers": {"X": "a"}, "slow_ms": 1, "price_per_gb": 1, "timeout": 5},
    "weight": 1,
}
CHECKS = [
    {**HTTP, "max_ratio": 2, "max_increase": 0.1, "bucket_seconds": 5},
    {"name": "p", "prometheus": {**WEB, "query": "up{pod=~'<pods>'}", "timeout": 5}, "min": 0, "max": 1, "in_a_row": 3},
    {"name": "h", "prometheus": {**WEB, "histogram": "h{pod=~'<pods>'}", "slower_than": [0.1]}},
    {"name": "l", "logs": {"pattern": "x", "settled_after": 1}},
    {"name": "s", "samples": [{"time": 1, "canary": {"bad": 0, "total": 1}, "stable": {"bad": 0, "total": 1}}]},
]
TRAFFIC = {"kind": "gateway_api", "weight": 5, "timeout": 30, "routes": ["web"], "service": "web"}
STEPS = [{"pods": 1}, {"weight": 20, "bake": 1, "checks": CHECKS[1:2], "traffic": {"weight": 10, "mirror": 0}}]
RELEASE = {
    "name": "web", "namespace": "shop", **IMAGES, "surge": 1, "max_unavailable": 0, "wait_timeout": 5, "bake": 1, "keep": 5, "guard": 5,
    "promote_by": "weights", "check_duration": 5, "check_interval": 5, "check_warmup": 0, "confidence": 0.9, "checks": CHECKS,
    "steps": STEPS, "traffic": TRAFFIC, "max_hourly_cost": 1, "price_metrics": WEB, "assume_replicas": "max", "lease_seconds": 5,
    "wait_for_nodes": 5,
}  # fmt: skip
GIVEN: dict[str, dict[str, Any]] = {
    "canary_bake": {"seconds": 5},
    "canary_headroom_info": {
        **IMAGES, "surge": 1, "max_unavailable": 0, "steps": [{"pods": 1}, {"weight": 20}], "assume_replicas": "max",
        "price_metrics": WEB, "others": [{"name": "api", **IMAGES, "steps": [{"pods": 1}]}],
    },
    "canary_promote": {"keep": 5, "lease_seconds": 5, "wait_for_nodes": 5},
    "canary_release": {**RELEASE, "run": "job-1", "through": "promoted"},
    "canary_rollback": {"to": "web-7c6d"},
    "canary_start": {**IMAGES, "weight": 20, "surge": 1, "max_unavailable": 0, "traffic": TRAFFIC, "expect": "5d5f", "run": "job-1"},
    "canary_undo": {"restore": {"max_surge": "25%", "min_ready_seconds": 1, "progress_deadline_seconds": 5, "max_unavailable": 1}},
    "canary_verify": {"checks": CHECKS, "duration": 5, "interval": 5, "warmup": 0, "confidence": 0.9, "steps": 0, "history": {}},
}  # fmt: skip
GIVEN["canary_fleet"] = {
    "releases": [{"name": "api", **IMAGES}, {**RELEASE, "checks": CHECKS[:1]}], "waves": ["1", "100%"], "max_failures": "1", "at_once": 5,
    "between": "5", "run": "job-1", "defaults": {"on_unknown": "warn"},
}  # fmt: skip


def refused(verb: Verb, given: dict[str, Any]) -> str:
    """Why; empty: it is not refused."""
    spec = verb.arguments
    if problem := misshapen(spec.argument_spec, given):
        return problem
    validator = ArgumentSpecValidator(spec.argument_spec, spec.mutually_exclusive, None, spec.required_one_of)
    validated = validator.validate(given)
    if validated.error_messages:
        return str(validated.errors.msg)
    try:
        connection(validated.validated_parameters)
        spec.to_request(validated.validated_parameters, False, "tests")
    except ArgumentError as error:
        return str(error)
    return ""


def written(path: Path) -> str:
    """("steps", 1, "pods") -> steps[1].pods"""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


# Options of other verbs within canary_release's, and its own within a fleet's, which are read by what reads them there.
NESTED = {
    "checks": VERBS["canary_verify"].arguments.options["checks"],
    "price_metrics": VERBS["canary_headroom_info"].arguments.options["price_metrics"],
}


def spec_of(verb: Verb) -> Options:
    if verb.name == "canary_fleet":
        return {**verb.arguments.options, "releases": {"options": _with_nested(MEMBER)}}
    return _with_nested(verb.arguments.options)


def _with_nested(options: Options) -> Options:
    inner = {name: option for name, option in options.items() if "options" in option}
    deeper = {name: {**option, "options": _with_nested(option["options"])} for name, option in inner.items()}
    return {**options, **deeper, **{name: NESTED[name] for name in NESTED if name in options}}


def wrong_ones(verb: Verb, numbers: Sequence[int]) -> Iterator[tuple[Path, Any, str]]:
    """`numbers`: of the odd values; the next option is given those that follow."""
    named = {"name": "web"} if "name" in verb.arguments.options else {}
    # No two parts of it are one object.
    given = json.loads(json.dumps({**named, **GIVEN.get(verb.name, {})}))
    assert not refused(verb, given), "it is right as it is"
    for place, (path, _spec) in enumerate(options(spec_of(verb), given)):
        whole = {"pod_template_patch": None, **given} if path == ("definition",) else given
        for odd in (ODD[(number + place) % len(ODD)] for number in numbers):
            told = refused(verb, replaced(whole, path, odd))
            if told:
                yield path, odd, told


@pytest.mark.parametrize(("name", "numbers"), in_turn(list(VERBS), range(len(ODD))))
def test_what_is_refused_is_named_by_its_whole_path(name: str, numbers: Sequence[int]) -> None:
    """Where several options do not go together, together with another one of these, at the place that they are in."""
    refusals = list(wrong_ones(VERBS[name], numbers))
    assert refusals
    for path, odd, told in refusals:
        at_its_place = len(path) > 1 and told.startswith(written(path[:-1]))
        assert re.search(rf"\b{path[-1]}\b", told), (path, odd, told)
        assert written(path) in told or at_its_place, (path, odd, told)
