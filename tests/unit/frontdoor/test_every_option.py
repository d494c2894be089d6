# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No option of any verb is for nothing: what is given for it is in the request, or in the way to the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import (
    DISPLAY,
    Verb,
    connection,
)
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Stage
from tests.unit.frontdoor.every_verb import VERBS

# What the doors themselves read: how to show, and why a call comes after a failure (plugins/action/canary_release.py).
OF_THE_DOOR = (*DISPLAY, "rescued")
IMAGES = {"images": {"app": "app:2"}}
CHECK = {"name": "ready", "pods": {}, "must_pass": True}
# What has to be given, and what each option has to be given with.
ASKED: dict[str, dict[str, Any]] = {
    "canary_bake": {"seconds": 5},
    "canary_fleet": {"releases": [{"name": "web", **IMAGES}]},
    "canary_headroom_info": IMAGES,
    "canary_release": IMAGES,
    "canary_rollback": {"to": "web-7c6d"},
    "canary_start": IMAGES,
    "canary_verify": {"checks": [CHECK]},
}
VALUES: dict[str, Any] = {
    "assume_replicas": "max",
    "between": "5",
    "checks": [{**CHECK, "name": "crashes"}],
    "defaults": {"surge": 2},
    "definition": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {}},
    "max_failures": "1",
    "others": [{"name": "api", **IMAGES}],
    "previous": Release("job-1", stage=Stage.HELD, outcome=Ending.HELD).to_json(),
    "price_metrics": {"url": "http://prometheus:9090"},
    "proxy_headers": {"user_agent": "ours"},
    "releases": [{"name": "api", **IMAGES}],
    "restore": {"max_surge": 1},
    "through": "plan",
    "traffic": {"kind": "gateway_api", "weight": 5},
}
BLUE = {"name": "web", **IMAGES, "traffic": {"kind": "service_selector"}}
MANY = [{"name": f"web-{number}", **IMAGES} for number in range(8)]
DEFINED = {"name": "web", "definition": VALUES["definition"]}
WEIGHED = {"name": "web", **IMAGES, "traffic": {"kind": "gateway_api"}}
# Where an option means something only beside others: what is given without it, and with it.
BESIDE: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("canary_fleet", "waves"): ({"releases": MANY}, {"releases": MANY, "waves": ["50%", "100%"]}),
    ("canary_headroom_info", "steps"): (
        {"name": "web", **IMAGES},
        {"name": "web", **IMAGES, "steps": [{"pods": 1}, {"pods": 2}]},
    ),
    ("canary_release", "steps"): ({"name": "web", **IMAGES}, {"name": "web", **IMAGES, "steps": [{"pods": 2}]}),
    ("canary_release", "expect"): ({"name": "web", "held": True}, {"name": "web", "held": True, "expect": "7c6d"}),
    ("canary_release", "held"): ({"name": "web", **IMAGES}, {"name": "web", "held": True}),
    ("canary_release", "guard"): (
        {"name": "web", **IMAGES, "checks": [CHECK]},
        {"name": "web", **IMAGES, "checks": [CHECK], "guard": 60},
    ),
    ("canary_release", "keep"): ({**BLUE, "strategy": "blue_green"}, {**BLUE, "strategy": "blue_green", "keep": 60}),
    ("canary_release", "strategy"): (WEIGHED, {**WEIGHED, "strategy": "blue_green"}),
    ("canary_start", "strategy"): (WEIGHED, {**WEIGHED, "strategy": "blue_green"}),
    ("canary_release", "when_missing"): (DEFINED, {**DEFINED, "when_missing": "create"}),
}


def sample(name: str, option: Mapping[str, Any]) -> Any:
    """Something else than the default."""
    if name in VALUES:
        return VALUES[name]
    default, kind = option.get("default"), option.get("type", "str")
    if "choices" in option:
        return next(choice for choice in option["choices"] if choice != default)
    if kind == "int":
        return (default or 0) + 7
    generic = {"bool": not default, "float": 0.9, "dict": {"a": "b"}, "list": ["a"], "path": "/etc/some/file"}
    return generic.get(kind, "another")


def told(verb: Verb, given: Mapping[str, Any]) -> tuple[Any, Any]:
    spec = verb.arguments
    result = ArgumentSpecValidator(
        spec.argument_spec, mutually_exclusive=spec.mutually_exclusive, required_one_of=spec.required_one_of
    ).validate(dict(given))
    assert not result.error_messages, result.error_messages
    return spec.to_request(result.validated_parameters, False, "ann"), connection(result.validated_parameters)


def without_and_with(verb: str, option: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if (verb, option) in BESIDE:
        return BESIDE[(verb, option)]
    arguments = VERBS[verb].arguments
    named = {"name": "web"} if arguments.argument_spec.get("name", {}).get("required") else {}
    before = {**named, **ASKED.get(verb, {})}
    excluded = {other for group in arguments.mutually_exclusive if option in group for other in group}
    after = {name: given for name, given in before.items() if name not in excluded}
    return before, {**after, option: sample(option, arguments.argument_spec[option])}


@pytest.mark.parametrize(
    ("verb", "option"),
    [(verb, option) for verb in VERBS for option in VERBS[verb].arguments.argument_spec if option not in OF_THE_DOOR],
)
def test_an_option_makes_a_difference(verb: str, option: str) -> None:
    before, after = without_and_with(verb, option)
    assert told(VERBS[verb], after) != told(VERBS[verb], before)
