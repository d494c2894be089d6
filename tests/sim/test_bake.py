# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_bake: how long it watches, and what ends it at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.sim.pods import Pod
from tests.sim.stage import Stage
from tests.situations import Web

HOURS = 7200.0
AFTER_SECONDS = 600.0
AT_ONCE_SECONDS = 5.0


@pytest.fixture
def web(stage: Stage) -> Web:
    held = stage.web().make(3)
    held.start()
    return held


def now(web: Web) -> float:
    return web.admin.clock.monotonic()


def test_a_canary_that_stays_as_it_is_stands_the_whole_time(web: Web) -> None:
    begun = now(web)
    with web.unchanged():
        outcome = web.bake(600.0)
    assert now(web) - begun >= 600.0
    assert (outcome.changed, outcome.message) == (False, "1 canary pod Ready, none restarted, for 600 s")


@pytest.mark.parametrize(("seconds", "check"), [(0.0, False), (HOURS, True)], ids=["no seconds", "check mode"])
def test_it_looks_only_once_with(web: Web, seconds: float, check: bool) -> None:
    begun = now(web)
    assert not replace(web, checking=check).bake(seconds).changed
    assert now(web) - begun < AT_ONCE_SECONDS


def test_without_a_canary_there_is_nothing_to_watch(stage: Stage) -> None:
    web = stage.web().make(3)
    with pytest.raises(VerbFailure, match=r"no canary is held\. No release is live: .*canary_start begins a release"):
        web.bake(HOURS)


def the_canary_pod(stage: Stage) -> Pod:
    (pod,) = (pod for pod in stage.pods.pods.values() if pod.version == "v2" and pod.active)
    return pod


def without_waiting(web: Web) -> Web:
    return replace(web, wait=Wait(enabled=False))


# What happens, and what is said of it.
HAPPENS: dict[str, tuple[Callable[[Stage, Web], Any], str]] = {
    "freezes it": (lambda stage, web: web.pause(), "somebody froze the canary"),
    "undoes it": (
        lambda stage, web: without_waiting(web).undo(), "the canary is being taken back|no release is live",
    ),
    "promotes it": (
        lambda stage, web: without_waiting(web).promote(), "the canary is being promoted|no release is live",
    ),
    "scales the Deployment": (
        lambda stage, web: web.scale(4), "scaled the Deployment from 3 to 4 replicas",
    ),
    "changes the pod template": (
        lambda stage, web: web.patch({"spec": {"template": {"metadata": {"labels": {"team": "other"}}}}}),
        "somebody else changed the Deployment",
    ),
    "evicts the canary pod": (lambda stage, web: stage.pods.is_evicted(the_canary_pod(stage)), "is gone"),
    "deletes the canary pod": (lambda stage, web: stage.pods.is_deleted(the_canary_pod(stage)), "is gone"),
    "lets it restart": (lambda stage, web: web.misbehave("v2", restart_after="0"), r"restarted 1 time"),
    "lets it be Ready no more": (
        lambda stage, web: web.misbehave("v2", unready_after="0"), "is not Ready any more",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HAPPENS)
def test_it_ends_at_once_when_somebody(stage: Stage, web: Web, what: str) -> None:
    happens, why = HAPPENS[what]
    begun = now(web)

    def later(other: Web) -> None:
        other.admin.clock.sleep(AFTER_SECONDS)
        happens(stage, other)

    with stage.meanwhile(web, later), pytest.raises(VerbFailure, match=why) as failed:
        web.bake(HOURS)
    assert now(web) - begun < AFTER_SECONDS + AT_ONCE_SECONDS
    assert failed.value.code == "stuck"


@pytest.mark.parametrize("what", ["lets it restart", "lets it be Ready no more"])
def test_what_the_canary_did_itself_is_followed_by_the_way_back(stage: Stage, web: Web, what: str) -> None:
    happens, _why = HAPPENS[what]
    with stage.meanwhile(web, lambda other: happens(stage, other)), pytest.raises(VerbFailure) as failed:
        web.bake(HOURS)
    assert "canary_undo brings the stable version back" in failed.value.message
