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
from tests.sim.patching import json_patch, merge_patch
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
        words = shlex.split(line)
        if "rollout" in words:
            return
        if "sed" in words:
            name = words[words.index("replicaset") + 1]
            found = self.one.store.get("replicasets", name)
            assert found is not None
            replacement = words[words.index("sed") + 1].removeprefix("s|.*|").removesuffix("|")
            text = replacement.replace("\\\\", "\\").replace("&", json.dumps(found["spec"]["template"]))
            self.puts("deployments", NAME, json_patch(self.deployment(), json.loads(text)))
            return
        patch = json.loads(words[words.index("-p") + 1])
        if "deployment" in words:
            self.puts("deployments", NAME, json_patch(self.deployment(), patch))
            return
        ours = [name for name in self.one.store.of("services") if name != NAME]
        for name in ours if "xargs" in words else words[-1:]:
            found = self.one.store.get("services", name)
            assert found is not None
            self.puts("services", name, merge_patch(found, patch))

    def deployment(self) -> Json:
        found = self.one.store.get("deployments", NAME)
        assert found is not None
        return found

    def puts(self, collection: str, name: str, item: Json) -> None:
        meta = {**item["metadata"], "generation": item["metadata"].get("generation", 1) + 1}
        self.one.store.put(collection, {**item, "metadata": meta}, "kubectl-patch")


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
