# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is given for the options of any verb, both doors answer alike, and a failure has a code: never a traceback."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor import info
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import Verb
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.shapes import misshapen
from tests.unit.frontdoor.every_verb import VERBS
from tests.unit.frontdoor.test_secrecy import Path, options, replaced, right, told_by_module, told_in_process
from tests.unit.probes.serving import send, serving

CODES = {"invalid", "api_error", "not_found", "no_deployment"}
# Numbers that some reader of numbers takes and some arithmetic does not, and texts that some encoding does not.
ODD_NUMBERS = [
    math.inf, -math.inf, math.nan, 1e400, 1e308, 5e-324, -1, 0, 10**400, 2**31, -(2**63), 2**64, 0.5, True,
    "inf", "-Infinity", "nan", "NaN", "1e400", "1e999999999", "1_0", " 5 ", "0x10", "0o17", "٣", "²", "1" * 5000, "1.5", "",
]  # fmt: skip
ODD_TEXTS = [
    "", " ", "\n", "a\nb", "a\0b", "\ud800", "日本", "é", "\x1b[2J", "\u202e", "{{ x }}", "%", "..", "/", "?", "#", "a b", "~", "$HOME",
    "x" * 70_000, "{", "[", "a=b", "a: b", "-", "*", "<pods>", "(", "(?P<a>", "'", '"', "\\", "|", "[" * 2000, "=", "1:2",
    "http://a b", "http://[", "proxy:3128", "http://x:99999", "https://", "http://:1", "ftp://x", "//x", "http://é\t",
]  # fmt: skip
DEEP: Any = 0
for _level in range(300):
    DEEP = [DEEP]
ODD_SHAPES = [
    None,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": {"b": []}},
    [{}],
    [{"a": 1}],
    {1: 2},
    {None: None},
    DEEP,
    [1, "a", None],
]
# As text these are right, and would be waited for in vain.
NOT_HOSTS = ("host", "url")


def odd(name: str) -> st.SearchStrategy[Any]:
    anything = [*ODD_NUMBERS, *ODD_TEXTS, *ODD_SHAPES]
    if name in NOT_HOSTS:
        return st.sampled_from([each for each in anything if not isinstance(each, str) or "://x" not in each])
    random = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
    return st.sampled_from(anything) | random


@st.composite
def tasks(draw: st.DrawFn, verb: Verb, server: str) -> dict[str, Any]:
    """What a task may give, and for one to three of its options, wherever they stand, something odd."""
    arguments = right(verb, server)
    places = list(options(verb.arguments.argument_spec, arguments))
    for path, _spec in draw(
        st.lists(st.sampled_from(places), min_size=1, max_size=3, unique_by=lambda each: each[0][0])
    ):
        arguments = replaced({"pod_template_patch": None, **arguments}, path, draw(odd(str(path[-1]))))
    return {name: value for name, value in arguments.items() if value is not None or name != "pod_template_patch"}


def nothing_there(request: BaseHTTPRequestHandler) -> None:
    """An API server without any objects."""
    status = {"kind": "Status", "apiVersion": "v1", "code": 404, "message": "not found", "reason": "NotFound"}
    request.rfile.read(int(request.headers.get("Content-Length") or 0))
    send(request, json.dumps(status).encode(), 404)


@pytest.fixture
def server() -> Iterator[str]:
    with serving(nothing_there) as url:
        yield url


def answers(verb: Verb, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """Of both doors, without what only one of them has. Half a character of UTF-16 comes through no door but ours: ansible-core sends
    modules none (ansible/module_utils/_internal/_json/_profiles)."""
    whole = r"\ud800" not in json.dumps(arguments)
    with open(os.devnull, "w", encoding="utf-8") as silent, contextlib.redirect_stderr(silent):
        here = json.loads(told_in_process(verb, arguments)[-1])
        there = json.loads(told_by_module(verb, arguments)[0]) if whole else here
    return tuple(
        {key: value for key, value in each.items() if key not in ("warnings", "diff")} for each in (here, there)
    )  # type: ignore[return-value]


@pytest.mark.parametrize("name", VERBS)
def test_both_doors_answer_alike_and_with_a_code(name: str, server: str) -> None:
    verb = VERBS[name]

    @settings(max_examples=10, suppress_health_check=list(HealthCheck))
    @given(tasks(verb, server))
    def check(arguments: dict[str, Any]) -> None:
        given_as_json = json.loads(json.dumps(arguments, skipkeys=True))
        here, there = answers(verb, given_as_json)
        assert here == there
        assert here.get("failed"), "there is no Deployment"
        assert here["failure"] and here["msg"].strip()

    check()


def test_half_a_character_is_answered_with_a_code(server: str) -> None:
    here, _there = answers(VERBS["canary_promote"], {"name": "\ud800", "host": server})
    assert (here["failed"], here["failure"]) == (True, "invalid")


def cases(verb: Verb, server: str) -> Iterator[tuple[Path, Any, dict[str, Any]]]:
    arguments = right(verb, server)
    for path, spec in options(verb.arguments.argument_spec, arguments):
        if spec.get("type") in ("int", "float"):
            for number in ODD_NUMBERS:
                yield path, number, replaced({"pod_template_patch": None, **arguments}, path, number)


@pytest.mark.parametrize("name", VERBS)
def test_every_option_that_is_a_number_refuses_what_is_none(name: str, server: str) -> None:
    """By the first check alone, before anything reads it."""
    verb = VERBS[name]
    check: Callable[[Mapping[str, Any]], str | None] = partial(misshapen, verb.arguments.argument_spec)
    for path, number, arguments in cases(verb, server):
        refusal = check(arguments)
        text = str(number).strip().lower() if not isinstance(number, int) or abs(number) < 10**100 else "huge"
        if (
            "inf" in text
            or "nan" in text
            or text in ("huge", "1e400", "1e999999999", "²", "0x10", "0o17", "", "true")
            or len(text) > 100
        ):
            assert refusal, (path, number)


def test_a_depth_that_python_cannot_follow_is_refused(server: str) -> None:
    deep: Any = 0
    for _level in range(sys.getrecursionlimit() * 2):
        deep = {"a": deep}
    told = told_in_process(info.VERB, {"name": "web", "host": server, "kubeconfig": deep})
    assert "nested more than a hundred levels deep" in told[-1]
