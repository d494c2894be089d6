# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_watch beside releases of others, through what a server and its streams may do meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.display.news import Kind, News
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, WatchRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, Report
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.watch import watch
from tests.sim import calls
from tests.sim.history import Ask
from tests.sim.objects import NAMESPACE
from tests.sim.stage import Stage
from tests.sim.test_traffic import START, played, world
from tests.situations import Web, image

ALL = WatchRequest(None, NAMESPACE, 600.0)


@dataclass
class Watched:
    outcome: Outcome | None = None
    news: list[News] = field(default_factory=list)

    def hears(self, told: str) -> None:
        assert isinstance(told, News)
        self.news.append(told)

    def of(self, name: str) -> list[str]:
        return [told.text for told in self.news if told.deployment == name]

    @property
    def how(self) -> dict[str, str]:
        assert self.outcome is not None
        return {ended["name"]: ended["how"] for ended in self.outcome.extra["ended"]}


def watched(api: Api, request: WatchRequest = ALL) -> Watched:
    seen = Watched()
    seen.outcome = watch(api, request, seen.hears)
    return seen


def test_each_release_is_followed_to_its_end_also_one_that_begins_meanwhile(
    stage: Stage, new: Callable[..., Web]
) -> None:
    one, two = new().make(3), new().make(3)
    one.start()

    def others(web: Web) -> None:
        second = Web(web.admin, two.namespace, two.name, two.world)
        second.start()
        web.promote()
        second.undo("not good enough")

    with stage.meanwhile(one, others):
        seen = watched(one.api)
    assert seen.of(one.name)[0] == "held: canary 1 of 1 asked for Ready beside 3 stable pods, 25 % of all"
    assert any(text.startswith("promoting: canary ") for text in seen.of(one.name))
    assert any(text.startswith("held: canary 1 of 1") for text in seen.of(two.name))
    assert seen.how[one.name].startswith("promoted by ")
    assert seen.how[two.name].startswith("undone by ") and seen.how[two.name].endswith(": not good enough")
    assert seen.outcome is not None and seen.outcome.extra["canaries"] == [] and not seen.outcome.changed
    assert all(told.kind is Kind.EVENT for told in seen.news if told.text in seen.how.values())


def test_a_deployment_that_is_deleted_ends_it(stage: Stage, new: Callable[..., Web]) -> None:
    web = new().make(3)
    web.start()

    def deletes(by: Web) -> None:
        by.api.clock.sleep(5.0)
        by.kubectl("delete", "deployment", by.name)

    with stage.meanwhile(web, deletes):
        assert watched(web.api).how == {web.name: "the Deployment was deleted"}


def test_how_a_release_ended_is_not_told_of_the_one_before(stage: Stage, new: Callable[..., Web]) -> None:
    web = new().make(3)
    web.start()
    web.promote()
    before = web.spec
    web.start("v3")

    def puts_it_back(by: Web) -> None:
        by.api.clock.sleep(5.0)
        gone = [{"op": "remove", "path": f"/metadata/{of}"} for of in ("labels", "annotations/coalmine.canary~1record")]
        by.admin.patch(by.path, [{"op": "replace", "path": "/spec", "value": before}, *gone], PatchKind.JSON)

    with stage.meanwhile(web, puts_it_back):
        (how,) = watched(web.api).how.values()
    assert how == f"its release has ended, and nothing says how; the Deployment asks for app={image('v2')}"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (WatchRequest(None, NAMESPACE, 20.0), "web-1: still held; web-2: still held"),
        (WatchRequest("web-2", NAMESPACE, 20.0), "web-2: still held"),
        (WatchRequest(None, None, 20.0, check=True), f"{NAMESPACE}/web-1: still held; {NAMESPACE}/web-2: still held"),
        (WatchRequest("web-3", NAMESPACE, 20.0), "no release is live"),
    ],
)
def test_time_ends_a_watch_and_no_release(
    stage: Stage, new: Callable[..., Web], request_: WatchRequest, said: str
) -> None:
    webs = [new().make(2), new().make(2)]
    for web in webs:
        web.start()
    began = stage.timeline.now
    with webs[0].unchanged():
        seen = watched(webs[0].api, request_)
    assert seen.outcome is not None and seen.outcome.message == said
    waits = not request_.check and request_.name != "web-3"
    assert (stage.timeline.now - began > 19.0) is waits


@pytest.mark.parametrize(
    ("asks", "told", "given"),
    [
        ((START,), ", given 5 % of the requests", 5.0),
        ((replace(START, header="x-canary"),), ", given 5 % of the requests and those with the header x-canary", 5.0),
        ((replace(START, share="0", mirror="10"),), ", given 0 % of the requests, and copies of 10 %", 0.0),
        ((START, Ask("pause", drain=True, think=1.0)), "", None),
    ],
    ids=["a share", "testers", "copies", "drained"],
)
def test_a_list_and_a_watch_tell_what_the_canary_was_given_of_the_requests(
    asks: tuple[Ask, ...], told: str, given: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def looks(api: Api, called: calls.Called, call: Call, report: Report) -> Outcome:
        del called, call, report
        found = watched(api, replace(ALL, check=True))
        lines.extend(news.text for news in found.news)
        assert found.outcome is not None
        return found.outcome

    monkeypatch.setitem(calls.VERBS, "watch", looks)
    one = world(*asks, Ask("info of all", think=1.0), Ask("watch", think=1.0))
    for call in played(one).calls[len(asks) : len(asks) + 2]:
        assert isinstance(call.result, Outcome) and not call.writes
        gets = call.result.extra["canaries"][0]["traffic"]["given"]
        assert (gets and gets["weight"]) == given
    assert told in lines[0] and ("given" in lines[0]) is bool(told)
