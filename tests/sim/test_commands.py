# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release with routes that is ended by the kubectl lines which canary_info gives for the hand: its users are served all the time."""

from __future__ import annotations

import json
import shlex
from functools import partial

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim.gateway import Lags
from tests.sim.history import Ask, History, Script
from tests.sim.objects import NAME, Json
from tests.sim.patching import PatchFailed, json_patch, merge_patch
from tests.sim.stage import Stage
from tests.sim.store import Store
from tests.sim.test_routers import LEFT, owned
from tests.sim.test_traffic import DRAINING
from tests.sim.world import World

BETWEEN = 60.0  # longer than pods take to come and to go


class Hand:
    """Runs such lines, each some time after the one before."""

    def __init__(self, one: World, way: str) -> None:
        self.one, self.way = one, way

    def begins(self) -> None:
        result = self.one.calls[1].result
        assert isinstance(result, Outcome)
        at = self.one.timeline.now
        for line in result.canary["commands"][self.way]:
            self.one.timeline.at(at, partial(self.runs, line))
            at += BETWEEN if "rollout status" in line else 1.0

    def runs(self, line: str) -> None:
        assert pasted(self.one.store, NAME, line), line


def pasted(store: Store, name: str, line: str) -> bool:
    """The line is run where this Deployment and the objects of its namespace are what the store has; not one that waits. False: the server
    refuses one of its patches, and what comes after that is not run."""
    try:
        for command in line.split(" && "):
            words = shlex.split(command)
            if "deployment" in words and "patch" in words:
                _patches(store, name, words)
            elif "service" in words:
                _selects(store, name, words)
    except PatchFailed:
        return False
    return True


def _patches(store: Store, name: str, words: list[str]) -> None:
    text = words[words.index("-p") + 1] if "-p" in words else ""
    if "sed" in words:
        template = _found(store, "replicasets", words[words.index("replicaset") + 1])["spec"]["template"]
        replacement = words[words.index("sed") + 1].removeprefix("s|.*|").removesuffix("|")
        text = json.dumps(template).join(part.replace("\\\\", "\\") for part in replacement.split("&"))
    deployment = _found(store, "deployments", name)
    patched = json_patch(deployment, json.loads(text))
    if patched != deployment:
        _puts(store, "deployments", name, patched)


def _selects(store: Store, name: str, words: list[str]) -> None:
    patch = json.loads(words[words.index("-p") + 1])
    ours = [service for service in store.of("services") if service != name]
    for service in ours if "xargs" in words else words[-1:]:
        _puts(store, "services", service, merge_patch(_found(store, "services", service), patch))


def _found(store: Store, collection: str, name: str) -> Json:
    found = store.get(collection, name)
    if found is None:
        raise PatchFailed(name)  # kubectl get prints nothing, and the patch is none
    return found


def _puts(store: Store, collection: str, name: str, item: Json) -> None:
    meta = {**item["metadata"], "generation": item["metadata"].get("generation", 1) + 1}
    store.put(collection, {**item, "metadata": meta}, "kubectl-patch")


@pytest.mark.parametrize("way", ["promote", "undo"])
def test_lines_do_nothing_to_another_release_nor_in_another_cluster(way: str) -> None:
    here, there = Stage(), Stage(7)
    web, other = here.web("web").make(4), there.web("web").make(4)
    lines = web.start("v2").canary["commands"][way]
    other.start("v2")
    web.undo()
    for image in ("v2", "v3"):
        web.start(image)
        generation = web.get()["metadata"]["generation"]
        assert lines and not any(pasted(here.store, "web", line) for line in lines if " patch " in line)
        assert web.get()["metadata"]["generation"] == generation and web.phase == "held"
        web.undo()
    assert not any(pasted(there.store, "web", line) for line in lines if " patch " in line) and other.phase == "held"


def test_a_template_that_came_after_the_look_is_not_promoted_by_the_lines() -> None:
    stage = Stage()
    web = stage.web("web").make(4)
    lines = web.start("v2").canary["commands"]["promote"]
    web.scale(5)  # changes nothing of what was looked at
    web.set_image("v3")
    assert not pasted(stage.store, "web", lines[0])
    web.set_image("v2")
    assert pasted(stage.store, "web", lines[0])
    web.until(lambda: web.split() == {"v2": 5}, "the canary is everywhere")


@pytest.mark.parametrize("way", ["promote", "undo"])
@pytest.mark.parametrize("kind", LEFT)
def test_users_of_a_release_that_is_ended_by_hand_are_served_and_given_back_by_the_next_undo(
    kind: str, way: str
) -> None:
    asks = (LEFT[kind], Ask("info", think=1.0), Ask("info", think=120.0), Ask("undo", think=1.0))
    one = World(History(natures=DRAINING, scripts=(Script("ana", 8.0, asks=asks),), gateway=Lags()))
    before, hand = owned(one), Hand(one, way)
    one.timeline.at(60.0, hand.begins)
    found = one.play()
    assert not [one for one in found.violations if one.rule == "no request fails"], found.violations
    asked, undone = (call.result for call in found.calls[2:4])
    assert isinstance(asked, Outcome) and isinstance(undone, Outcome), [call.told() for call in found.calls]
    assert 'canary_undo gives them back to Service "web"' in asked.warnings[-1] and owned(one) == before
    (image,) = {pod["spec"]["containers"][0]["image"] for pod in one.store.of("pods").values()}
    assert image.endswith({"promote": "v2", "undo": "v1"}[way]), image
