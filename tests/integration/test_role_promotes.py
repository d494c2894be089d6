# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second job of a release, which promotes what the first one left held: as the account that the collection ships."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from tests.integration.playbooks import FAILED, Playbooks
from tests.integration.prometheus import running
from tests.integration.releases import CONTAINER, Release, annotated, begin, image

# Long enough for a guard to see both versions.
SLOW_MILLISECONDS = "1500"
GUARDED: dict[str, Any] = {"guard": 60, "check_interval": 1}


def verdicts(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["of"], one["verdict"]) for one in result["verdicts"]]


ENDS = {
    "undo": ("undone", image("v1"), "The stable version is back."),
    "hold": ("failed", image("v2"), "It was left as it is"),
}


@pytest.mark.parametrize("on_failure", ["undo", pytest.param("hold", marks=pytest.mark.slow)])
def test_a_canary_that_turns_bad_while_it_is_promoted_is_undone_or_left(
    playbooks: Playbooks, release: Release, tmp_path: Path, on_failure: str
) -> None:
    one_by_one = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    release.api.patch(release.path, {"spec": {"strategy": one_by_one}}, PatchKind.MERGE)
    release.start(patch=annotated(ready_after=SLOW_MILLISECONDS))
    with running(tmp_path) as prometheus:
        bound = {"prometheus": {"url": prometheus.url, "query": "vector(0.9)"}, "max": 0.1, "in_a_row": 1}
        run = playbooks.run("promote", checks=[bound], on_failure=on_failure, **GUARDED)
    outcome, runs, aftermath = ENDS[on_failure]
    assert (run.code, run.outcome, release.image) == (FAILED, outcome, runs)
    assert verdicts(run.result) == [("promotion", "fail")]
    says = "1 reading outside at most 0.1, the last 0.9"
    assert re.search(r"guarded for \d+ seconds: fail", run.result["why"][0])
    assert says in run.result["why"][0] and aftermath in run.result["why"][1]
    if on_failure == "undo":
        assert says in release.last["reason"] and release.last["outcome"] == "undone"


@pytest.mark.slow
def test_a_version_that_turns_bad_after_its_promotion_is_rolled_back(playbooks: Playbooks, release: Release) -> None:
    release.start(patch=annotated(restart_after="6000"))
    run = playbooks.run("promote", checks=[{"pods": {}}], **GUARDED)
    assert (run.code, run.outcome) == (FAILED, "rolled back")
    assert verdicts(run.result)[-1] == ("new version alone", "fail")
    assert run.result["why"][1] == "The version before it is back."
    assert (release.image, release.last["outcome"]) == (image("v1"), "rolled back")


def test_a_frozen_canary_is_promoted_once_its_checks_make_sense(
    playbooks: Playbooks, release: Release, tmp_path: Path
) -> None:
    """Who promotes what evidence did not decide has decided."""
    release.start()
    release.pause()
    before = release.deployment()["metadata"]["resourceVersion"]
    planned = playbooks.run("promote", "--check", checks=[{"pods": {}}], **GUARDED)
    assert (planned.code, planned.outcome) == (0, "planned")
    assert planned.result["why"] == [
        "would promote the canary.",
        "nothing was judged in check mode; sources that answered: pods.",
    ]
    secret = {"prometheus": {"url": "http://localhost:9", "token": "hunter2", "query": "up"}, "max": 1}
    given = tmp_path / "checks.json"  # a command line is shown
    given.write_text(json.dumps({"canary_checks": [{"podz": {}}, secret]}))
    refused = playbooks.run("promote", "-vvvv", "--extra-vars", f"@{given}", **GUARDED)
    assert (refused.code, refused.outcome, refused.changed) == (FAILED, "refused", 0)
    assert "podz" in refused.result["why"][0] and refused.result["why"][1] == "This run changed nothing."
    assert "hunter2" not in refused.output
    assert release.deployment()["metadata"]["resourceVersion"] == before
    promoted = playbooks.run("promote")
    assert (promoted.code, promoted.outcome, promoted.result["verdicts"]) == (0, "released", [])
    assert release.image == image("v2")


@pytest.mark.slow
def test_a_promotion_that_was_broken_off_is_taken_up(playbooks: Playbooks, release: Release) -> None:
    release.start()
    assert begin(release, "promote") == "promoting"
    run = playbooks.run("promote", checks=[{"pods": {}}], guard=2, check_interval=1)
    assert (run.code, run.outcome) == (0, "released")
    assert verdicts(run.result)[-1] == ("new version alone", "pass")


def test_what_cannot_be_promoted_is_refused_and_stays(playbooks: Playbooks, release: Release) -> None:
    release.start()
    container = {"name": CONTAINER, "image": image("v3")}
    release.api.patch(release.path, {"spec": {"template": {"spec": {"containers": [container]}}}}, PatchKind.STRATEGIC)
    run = playbooks.run("promote")
    assert (run.code, run.outcome, run.changed) == (FAILED, "refused", 0)
    assert "somebody replaced the pod template" in run.result["why"][0]
    assert release.image == image("v3")


@pytest.mark.slow
def test_a_rollout_that_is_nobodys_canary_is_waited_for_and_never_taken_back(
    playbooks: Playbooks, release: Release
) -> None:
    container = {"name": CONTAINER, "image": image("missing")}
    release.api.patch(release.path, {"spec": {"template": {"spec": {"containers": [container]}}}}, PatchKind.STRATEGIC)
    run = playbooks.run("promote")
    assert (run.code, run.outcome, run.changed) == (FAILED, "failed", 0)
    assert "ImagePullBackOff" in run.result["why"][0]
    assert run.result["why"][1] == "No canary was held, so there was nothing to take back."
    assert release.image == image("missing")
