# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second job of a release, which promotes what the first one left held: as the account that the collection ships."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.beside import asked_for
from tests.integration.playbooks import FAILED, Playbooks
from tests.integration.plays import THE_ROLE, Played, side_by_side
from tests.integration.prometheus import running
from tests.integration.releases import CONTAINER, Release, annotated, begin, image

GUARDED: dict[str, Any] = {"guard": 60, "check_interval": 1}
# Long enough for a guard to see both versions.
SLOWLY = annotated(ready_after="2500")
THE_PROMOTION = {"include_role": {**THE_ROLE, "tasks_from": "promote"}}


def holds(release: Release) -> None:
    release.start()


def holds_frozen(release: Release) -> None:
    release.start()
    release.pause()


def holds_slow_ones(release: Release) -> None:
    one_by_one = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    release.api.patch(release.path, {"spec": {"strategy": one_by_one}}, PatchKind.MERGE)
    release.start(patch=SLOWLY)


def promotes(release: Release) -> None:
    release.start()
    assert begin(release, "promote") == "promoting"


def runs(version: str) -> Callable[[Release], None]:
    """Somebody has set this image."""

    def before(release: Release) -> None:
        container = {"name": CONTAINER, "image": image(version)}
        change = {"spec": {"template": {"spec": {"containers": [container]}}}}
        release.api.patch(release.path, change, PatchKind.STRATEGIC)

    return before


def holds_what_is_replaced(release: Release) -> None:
    release.start()
    runs("v3")(release)


@dataclass(frozen=True)
class Case:
    """`says`: all that is told of why, each line as a regular expression that finds it. `verdicts`: the last ones."""

    before: Callable[[Release], object]
    outcome: str
    says: tuple[str, ...]
    version: str
    given: dict[str, Any] = field(default_factory=dict)
    verdicts: tuple[tuple[str, str], ...] = ()


BAD = r"guarded for \d+ seconds: fail.*1 reading outside at most 0\.1, the last 0\.9"
BOUND: dict[str, Any] = {**GUARDED, "checks": [{"prometheus": {"query": "vector(0.9)"}, "max": 0.1, "in_a_row": 1}]}
SECRET = {"prometheus": {"url": "http://localhost:9", "token": "hunter2", "query": "up"}, "max": 1}
CASES: dict[str, Case] = {
    "turns-bad": Case(
        holds_slow_ones, "undone", (BAD, "The stable version is back"), "v1", BOUND, (("promotion", "fail"),)
    ),
    "turns-bad-and-is-left": Case(
        holds_slow_ones, "failed", (BAD, "The promotion stops where it is"), "v2", {**BOUND, "on_failure": "hold"},
        (("promotion", "fail"),),
    ),
    # Who promotes what evidence did not decide has decided.
    "frozen": Case(holds_frozen, "released", ("All pods run the version",), "v2"),
    "makes-no-sense": Case(
        holds, "refused", ("podz", "This run changed nothing"), "v2", {**GUARDED, "checks": [{"podz": {}}, SECRET]}
    ),
    "broken-off": Case(
        promotes, "released", ("All pods run the version",), "v2",
        {"checks": [{"pods": {}}], "guard": 2, "check_interval": 1}, (("new version alone", "pass"),),
    ),
    "replaced": Case(holds_what_is_replaced, "refused", ("replaced the pod template", "changed nothing"), "v3"),
    "nobodys": Case(
        runs("missing"), "failed", ("ImagePullBackOff", "No canary was held, so there was nothing to take back"), "missing"
    ),
}  # fmt: skip


# What canary_release decides there, tests/sim/test_judging.py shows, and what it answers the role says as it does in the others.
LONG = ("turns-bad-and-is-left", "broken-off")


@pytest.fixture(scope="module")
def played(
    lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Played]:
    """The cases that this run asks for, in one play."""
    directory = tmp_path_factory.mktemp("promotes")
    plays = [{"hosts": "all", "gather_facts": False, "tasks": [THE_PROMOTION]}]
    with running(directory) as prometheus:
        hosts = {host: asked(CASES[host], prometheus.url) for host in asked_for("host", request)}
        with side_by_side(
            lab, directory, hosts, lambda host, release: CASES[host].before(release), "-vvvv", plays=plays
        ) as played:
            yield played


def asked(case: Case, url: str) -> dict[str, Any]:
    """What it is given; its Prometheus is there, unless it names one."""
    given = json.loads(json.dumps(case.given))
    for check in given.get("checks", ()):
        if "prometheus" in check:
            check["prometheus"] = {"url": url, **check["prometheus"]}
    return given


@pytest.mark.parametrize(
    "host", [pytest.param(host, marks=[pytest.mark.slow] if host in LONG else []) for host in CASES]
)
def test_a_canary_that_was_left_held(host: str, played: Played) -> None:
    it, made, case = played.it, played.made, CASES[host]
    assert it.outcomes.get(host) == case.outcome, it.told
    why = it.results[host]["why"]
    told = [re.search(text, line) for text, line in zip(case.says, why, strict=False)]
    assert all(told) and len(told) == len(case.says), why
    assert tuple(it.verdicts(host)[-1:]) == case.verdicts
    assert made[host].image == image(case.version)
    assert (it.recap(host, "failed") > 0) is (case.outcome != "released")
    if case.outcome == "refused":
        assert it.recap(host, "changed") == 0
    if case.outcome == "undone":
        assert re.search(BAD, made[host].last["reason"]) and made[host].last["outcome"] == "undone"


def test_what_was_given_in_confidence_is_not_shown(played: Played) -> None:
    assert "hunter2" not in played.it.output


def test_the_playbook_promotes(playbooks: Playbooks, release: Release) -> None:
    release.start()
    run = playbooks.run("promote")
    assert (run.code, run.outcome, run.changed) == (0, "released", 1)
    assert run.result["verdicts"] == [] and release.image == image("v2")


@pytest.mark.slow
def test_a_version_that_turns_bad_after_its_promotion_is_rolled_back(playbooks: Playbooks, release: Release) -> None:
    release.start(patch=annotated(restart_after="6000"))
    run = playbooks.run("promote", checks=[{"pods": {}}], **GUARDED)
    assert (run.code, run.outcome) == (FAILED, "rolled back")
    last = run.result["verdicts"][-1]
    assert (last["of"], last["verdict"]) == ("new version alone", "fail")
    assert run.result["why"][1] == "The version before it is back."
    assert (release.image, release.last["outcome"]) == (image("v1"), "rolled back")


def test_the_result_of_another_job_decides_nothing(lab: Lab | ForeignCluster, tmp_path: Path) -> None:
    """AWX gives it to each job of a workflow as an extra variable, which wins over the fact."""
    goes_on = {"name": "Go on", "debug": {"msg": "{{ inventory_hostname }} went on, {{ canary_result_here.outcome }}"}}
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"include_role": THE_ROLE}, goes_on]}
    # Of the release that is not over it says that it is, and of the one that is, that it is not.
    for outcome, gate, went_on in (("released", "stop", []), ("held", "none", [("web", "released")])):
        theirs = json.dumps({"canary_result": {"name": "another", "outcome": outcome, "why": []}})
        directory = tmp_path / outcome
        directory.mkdir()
        hosts = {"web": {"gate": gate, "headroom": "skip"}}
        with side_by_side(lab, directory, hosts, lambda *_: None, "-e", theirs, plays=[play]) as played:
            assert played.it.code == 0, played.it.output
            assert re.findall(r"(\w+) went on, (\w+)", played.it.output) == went_on, played.it.output
            is_held = "coalmine.canary/record" in played.made["web"].deployment()["metadata"]["annotations"]
            assert (is_held, played.made["web"].image) == (not went_on, image("v2"))
