# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keywords that the role inherits from its caller: a canary that fails is undone and told under each of them, and whether the play goes
on is what the keyword says. `async`, `until` and `retries` are not inherited: Ansible refuses them on blocks, roles and includes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.beside import asked_for
from tests.integration.plays import THE_ROLE, V1, V2, Play, Played, side_by_side
from tests.integration.releases import CONTAINER, image

MISSING = {"images": {CONTAINER: image("missing")}}
SECONDS = 15  # that a task may take
GONE = "the play went on"


@dataclass(frozen=True)
class Row:
    """`around`: keywords of a block round include_role, `apply`: those that include_role applies, `include`: its own."""

    around: dict[str, Any] = field(default_factory=dict)
    apply: dict[str, Any] = field(default_factory=dict)
    include: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    outcome: str | None = "undone"
    goes_on: bool = False
    shown: bool = True

    def tasks(self, host: str) -> list[dict[str, Any]]:
        role: dict[str, Any] = dict(THE_ROLE)
        if self.apply:
            role["apply"] = self.apply
        include = {"name": "Release", "include_role": role, **self.include}
        return [
            {"name": f"Round {host}", "block": [include], **self.around},
            {"name": "Go on", "debug": {"msg": f"{host}: {GONE}"}},
        ]


ROWS: dict[str, Row] = {
    "nothing": Row(),
    "ignored-round": Row(around={"ignore_errors": True}, goes_on=True),
    "ignored-applied": Row(apply={"ignore_errors": True}, goes_on=True),
    "ignored-include": Row(include={"ignore_errors": True}),
    "ignored-image": Row(around={"ignore_errors": True}, given=MISSING, goes_on=True),
    "ignored-host": Row(around={"ignore_unreachable": True}),
    "throttled": Row(around={"throttle": 1}),
    "delegated": Row(around={"delegate_to": "nothing", "delegate_facts": True}),
    "surrounded": Row(around={"environment": {"SOME": "thing"}}),
    "hidden": Row(around={"no_log": True}, shown=False),
    "differing": Row(around={"diff": True}),
    "timed": Row(around={"timeout": SECONDS}, given={"bake": 3600, "verify_tasks": ""}),
    "tagged": Row(around={"tags": ["release"]}, apply={"tags": ["release"]}),
    "checked": Row(around={"check_mode": True}, outcome="planned", goes_on=True),
    "defaulted": Row(
        around={
            "module_defaults": {
                "coalmine.canary.canary_start": {"wait": False, "run": "another"},
                "coalmine.canary.canary_verify": {"inconclusive_ok": True},
                "coalmine.canary.canary_promote": {"wait": False, "expect": "another"},
                "coalmine.canary.canary_undo": {"wait": False, "expect": "another", "run": "another"},
            }
        },
    ),
    "promoted-defaults": Row(
        around={
            "module_defaults": {
                "coalmine.canary.canary_start": {"wait": False, "run": "another"},
                "coalmine.canary.canary_promote": {"wait": False, "expect": "another", "run": "another"},
            }
        },
        given={"verify_tasks": ""},
        outcome="released",
        goes_on=True,
    ),
    "private-round": Row(around={"vars": {"_canary_outcome": "released", "_canary_stage": "promoted"}}),
    "private-include": Row(include={"vars": {"_canary_outcome": "released"}}, outcome=None),
    "conditional": Row(around={"when": ["canary_result is not defined"]}),
    "fatal": Row(around={"any_errors_fatal": True}),
}
# What fails in its own way is played in each run of `make test`, what differs little from that by `make slow`; and on other versions of
# ansible-core what each of them decides by itself: who is rescued, whom one host's failure ends, and what happens when time is up. What an
# environment does is in test_frontdoor.py: each task runs as a module then, and both doors answer alike.
SHORT = {
    "nothing",
    "ignored-round",
    "delegated",
    "hidden",
    "timed",
    "defaulted",
    "private-round",
    "private-include",
    "fatal",
}
ELSEWHERE = {"ignored-round", "timed", "fatal"}
MARKED = [
    pytest.param(host, marks=pytest.mark.slice if host in ELSEWHERE else () if host in SHORT else pytest.mark.slow)
    for host in ROWS
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keywords")


@pytest.fixture(scope="module")
def verify(directory: Path) -> str:
    path = directory / "verify.yml"
    path.write_text("- {name: Compare, ansible.builtin.assert: {that: false, fail_msg: it is bad}}\n")
    return str(path)


@pytest.fixture(scope="module")
def rows(lab: Lab | ForeignCluster, directory: Path, verify: str, request: pytest.FixtureRequest) -> Iterator[Played]:
    """Those that this run asks for, in one play, each with its own tasks."""
    asked: list[str] = asked_for("host", request)
    for host in asked:
        (directory / f"{host}.yml").write_text(json.dumps(ROWS[host].tasks(host)))
    own: dict[str, Any] = {"include_tasks": f"{directory}/{{{{ inventory_hostname }}}}.yml"}
    play: Play = {"hosts": "all", "gather_facts": False, "tasks": [own]}
    hosts = {host: {"verify_tasks": verify, "headroom": "skip"} | ROWS[host].given for host in asked}
    with side_by_side(lab, directory, hosts, plays=[play]) as played:
        yield played


@pytest.mark.parametrize("host", MARKED)
def test_a_keyword_of_the_caller(host: str, rows: Played) -> None:
    it, made, row = rows.it, rows.made, ROWS[host]
    if row.shown:
        assert it.outcomes.get(host) == row.outcome, it.told
    if row.outcome == "undone":
        assert made[host].last["outcome"] == "undone"
    if row.outcome == "undone" and row.shown:
        assert len(it.results[host]["why"]) == 2 and it.results[host]["why"][1] == "The stable version is back."
    assert made[host].image == (V2 if row.outcome == "released" else V1)
    assert "coalmine.canary/record" not in made[host].deployment()["metadata"].get("annotations", {})
    assert (f"{host}: {GONE}" in it.output) is row.goes_on, it.output
    assert (it.recap(host, "failed") > 0) is (not row.goes_on)


ONE = {"headroom": "skip", "wait_timeout": 60}
# Each play with hosts of its own; of keywords that the free strategy does not know, or that are of the play itself.
PLAYS: dict[str, tuple[Play, dict[str, dict[str, Any]], dict[str, str]]] = {
    "ignore_errors of the play and of the role": (
        {"ignore_errors": True, "roles": [{"role": "coalmine.canary.canary", "ignore_errors": True}]},
        {"play-a": MISSING, "play-b": {"verify_tasks": "VERIFY"}},
        {"play-a": "undone", "play-b": "undone"},
    ),
    "any_errors_fatal takes all back": (
        {"any_errors_fatal": True, "roles": ["coalmine.canary.canary"]},
        {"fatal-a": {}, "fatal-b": MISSING, "fatal-c": {}},
        {"fatal-a": "undone", "fatal-b": "undone", "fatal-c": "undone"},
    ),
    "max_fail_percentage ends the play before its next batch": (
        {"max_fail_percentage": 0, "serial": 2, "roles": ["coalmine.canary.canary"]},
        {"batch-a": {}, "batch-b": MISSING, "batch-c": {}},
        {"batch-a": "released", "batch-b": "undone"},
    ),
    "run_once for several hosts": (
        {"run_once": True, "roles": ["coalmine.canary.canary"]},
        {"once-a": {}, "once-b": {}},
        {"once-a": "refused", "once-b": "refused"},
    ),
    "run_once round an include": (
        {"tasks": [{"name": "Once", "run_once": True, "block": [{"name": "Release", "include_role": THE_ROLE}]}]},
        {"first-a": {"verify_tasks": "VERIFY"}, "first-b": {}},
        {"first-a": "undone"},
    ),
}


# The others are played by `make slow`; of the strategy `linear` this one on other versions of ansible-core, too.
SHORT_PLAYS = {"any_errors_fatal takes all back": [pytest.mark.slice], "run_once for several hosts": []}


@pytest.fixture(scope="module")
def plays(lab: Lab | ForeignCluster, directory: Path, verify: str) -> Iterator[Callable[[str], Played]]:
    """Each is played when it is asked for, once."""
    with ExitStack() as held:

        @cache
        def played(name: str) -> Played:
            play, given, _outcomes = PLAYS[name]
            hosts = {
                host: ONE | more | ({"verify_tasks": verify} if "verify_tasks" in more else {})
                for host, more in given.items()
            }
            here = directory / f"play-{list(PLAYS).index(name)}"
            here.mkdir()
            whole = [{"hosts": "all", "gather_facts": False, **play}]
            return held.enter_context(side_by_side(lab, here, hosts, strategy="linear", plays=whole))

        yield played


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=SHORT_PLAYS.get(name, [pytest.mark.slow])) for name in PLAYS]
)
def test_a_keyword_of_the_play(name: str, plays: Callable[[str], Played]) -> None:
    played, (_play, hosts, outcomes) = plays(name), PLAYS[name]
    it, made = played.it, played.made
    assert it.outcomes == outcomes, it.told
    for host in hosts:
        released = outcomes.get(host) == "released"
        assert made[host].image == (V2 if released else V1)
        assert "coalmine.canary/record" not in made[host].deployment()["metadata"].get("annotations", {})
        assert host not in it.results or released or it.results[host]["why"]


@pytest.mark.slice
def test_each_is_told_why_where_one_takes_all_back(plays: Callable[[str], Played]) -> None:
    played = plays("any_errors_fatal takes all back")
    told = {host: played.why(host) for host in ("fatal-a", "fatal-b", "fatal-c")}
    assert "ImagePullBackOff" in told["fatal-b"][0]
    for host in ("fatal-a", "fatal-c"):
        assert told[host] == [
            "A task failed on another host of this play, and any_errors_fatal ends this release with it.",
            "The stable version is back.",
        ]
    assert played.it.recap("fatal-b", "failed") > 0
