# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_watch beside releases that others run: what it is told by the streams of a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.display.news import News
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import WatchRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.watch import watch
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.playbooks import Playbooks
from tests.integration.releases import Release
from tests.integration.situations import Web, until, webs


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as factory:
        yield factory


class Watching:
    """A watch that goes on beside the test."""

    def __init__(self, kubeconfig: str, request: WatchRequest) -> None:
        self.news: list[News] = []
        self.outcome: Outcome | None = None
        self._api = connect(Connection(kubeconfig=kubeconfig))
        self._thread = threading.Thread(target=self._run, args=(request,), daemon=True)
        self._thread.start()

    def _run(self, request: WatchRequest) -> None:
        with self._api as api:
            self.outcome = watch(api, request, self._take)

    def _take(self, told: str) -> None:
        assert isinstance(told, News)
        self.news.append(told)

    def heard(self, name: str, text: str) -> None:
        until(lambda: any(told.deployment == name and text in told for told in self.news), f"{name}: {text}")

    def end(self) -> Outcome:
        self._thread.join(60)
        assert self.outcome is not None, "it still watches"
        return self.outcome


def test_each_release_of_a_namespace_is_followed_to_its_end(lab: Lab | ForeignCluster, new: Callable[..., Web]) -> None:
    one, two = new().make(3), new().make(3)
    one.start("v2")
    watching = Watching(str(lab.kubeconfig), WatchRequest(None, one.namespace, 60.0))
    watching.heard(one.name, "held: canary 1 of 1 asked for Ready beside 3 stable pods, 25 % of all")
    two.start("v2")  # one that begins meanwhile
    watching.heard(two.name, "held: canary 1 of 1")
    one.promote()
    watching.heard(one.name, "promoted by tests")
    two.undo("not good enough")
    outcome = watching.end()
    how: dict[str, Any] = {ended["name"]: ended["how"] for ended in outcome.extra["ended"]}
    assert how[one.name].startswith("promoted by tests at ")
    assert how[two.name].startswith("undone by tests at ") and how[two.name].endswith(": not good enough")
    assert outcome.extra["canaries"] == [] and not outcome.changed
    first = watching.news[0]
    assert len(first.pods) == 4 and len([line for line in first.details if " Ready  0 restarts " in line]) == 4


def test_time_ends_a_watch_and_not_the_release(lab: Lab | ForeignCluster, new: Callable[..., Web]) -> None:
    web = new().make(2)
    nothing = watch(web.api, WatchRequest(web.name, web.namespace, 60.0), web.report)
    assert nothing.message == "no release is live"
    web.start("v2")
    outcome = watch(web.api, WatchRequest(web.name, web.namespace, 1.0), web.report)
    assert outcome.message == f"{web.name}: still held"
    assert [canary["name"] for canary in outcome.extra["canaries"]] == [web.name]
    web.undo()


def test_the_shipped_playbook_draws_the_tree_and_says_how_it_ended(playbooks: Playbooks, release: Release) -> None:
    release.start("v2")
    run = playbooks.run("watch", watch_seconds="2")
    lines = run.output.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("web: ■■■■|■ held: canary 1 of 1"))
    assert lines[begin + 1].startswith("  started by ") and lines[begin + 2].startswith("  ├─ stable "), run.output
    assert lines[begin + 7].startswith("  └─ canary ") and lines[begin + 8].startswith("     └─ ■ web-"), run.output
    assert "web: still held" in run.output and (run.code, run.changed) == (0, 0)
