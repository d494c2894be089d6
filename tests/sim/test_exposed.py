# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else decides what a canary gets while it is watched: it was not tried by the users that it was to be tried by, so it does not
pass, and nothing is promoted."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import CheckAsked, PodsAsked
from tests.sim import calls
from tests.sim.faults import Fault, Planned
from tests.sim.gateway import RULES, Lags
from tests.sim.history import Ask, End, History, Script
from tests.sim.nginx import INGRESS_NGINX
from tests.sim.objects import LABELS, NAME, Json
from tests.sim.test_ingress import CANARY_INGRESS
from tests.sim.test_traffic import DRAINING, GROW, START, put_back, rewrite, told, world
from tests.sim.world import World
from tests.toolchain.sampled import sampled

BY_INGRESS = replace(START, kind=INGRESS_NGINX)
GREEN = Ask("start", pods=4, surge=4, share="100", kind="service_selector")
BAKE = Ask("bake", seconds=120.0, think=5.0)
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
REWRITTEN = 70.0


def gone(one: World) -> None:
    one.store.remove("httproutes", NAME, "somebody")


def weigh(one: World, weight: str = "80") -> None:
    item = one.store.get("ingresses", CANARY_INGRESS)
    assert item is not None
    meta = item["metadata"]
    changed = {**meta, "annotations": {**meta["annotations"], WEIGHT: weight}}
    one.store.put("ingresses", {**item, "metadata": changed}, "editor")


def switch_back(one: World) -> None:
    service = one.store.get("services", NAME)
    assert service is not None
    one.store.put("services", {**service, "spec": {**service["spec"], "selector": LABELS}}, "editor")


HAPPENS: dict[str, tuple[Ask, Callable[[World], None], str]] = {
    "puts the rules back": (START, put_back, 'somebody else writes the backends of HTTPRoute "web"'),
    "puts all of it back": (
        START, lambda one: rewrite(one, RULES, annotated=False), 'somebody else writes the backends of HTTPRoute "web"',
    ),
    "takes the annotation": (
        START, lambda one: rewrite(one, annotated=False), 'somebody else writes the backends of HTTPRoute "web"',
    ),
    "deletes the route": (START, gone, 'HTTPRoute "web" of this release no longer exists'),
    "gives it another weight": (
        BY_INGRESS, weigh, 'gets 80 % of the requests by Ingress "web", and not what its release gave it last, 5 % of the requests',
    ),
    # The controller takes it for 0.
    "gives it a weight that is none": (BY_INGRESS, lambda one: weigh(one, "abc"), 'Ingress "web-coalmine-canary" of this release was changed by somebody'),
    "switches the Service back": (GREEN, switch_back, 'somebody else writes the selector of Service "web"'),
}  # fmt: skip


@pytest.mark.parametrize("watching", ["bake", "verify"])
@pytest.mark.parametrize("what", HAPPENS)
def test_whoever_watches_fails_soon_where_somebody(what: str, watching: str) -> None:
    start, happens, why = HAPPENS[what]
    one = world(start, replace(BAKE, verb=watching))
    one.timeline.at(REWRITTEN, lambda: happens(one))
    found = one.play()
    started, baked = found.calls[:2]
    assert started.told().startswith("changed: ") and (started.ended or 0.0) < REWRITTEN
    assert isinstance(baked.result, VerbFailure) and baked.result.code == "contested" and why in baked.told()
    assert (baked.ended or 0.0) - REWRITTEN <= 1.0


def _is_put_back(one: World, back: float = REWRITTEN) -> None:
    """With the annotation that was kept on it then."""
    earlier: list[Json] = []

    def put_back() -> None:
        now = one.store.get("httproutes", NAME)
        assert now is not None
        meta = {**earlier[0]["metadata"], "generation": now["metadata"]["generation"] + 1}
        one.store.put("httproutes", {**earlier[0], "metadata": meta}, "backup")

    one.timeline.at(20.0, lambda: earlier.append(deepcopy(one.store.get("httproutes", NAME) or {})))
    one.timeline.at(back, put_back)


CHANGED: dict[str, tuple[Ask, Ask, Callable[[World], None], str]] = {
    "by its weight": (BY_INGRESS, BY_INGRESS, lambda one: one.timeline.at(REWRITTEN, lambda: weigh(one, "0")), "5 %"),
    "by an earlier copy": (START, replace(GROW, think=10.0), _is_put_back, "50 %"),
}


@pytest.mark.parametrize("how", CHANGED)
def test_a_share_that_was_changed_between_two_verbs_is_told_by_all_of_them_and_given_again(how: str) -> None:
    start, grow, happens, told = CHANGED[how]
    bake = replace(BAKE, seconds=10.0, think=1.0)
    again = replace(grow, share=None, header="", think=1.0)
    one = world(start, grow, replace(bake, think=60.0), bake, Ask("info", think=1.0), again, bake)
    happens(one)
    _start, _grow, first, second, info, again_started, third = one.play().calls[:7]
    for baked in (first, second):
        assert isinstance(baked.result, VerbFailure) and baked.result.code == "contested", baked.told()
        assert f"not what its release gave it last, {told} of the requests" in baked.told()
    assert any("not what its release gave it last" in warning for warning in info.result.warnings)  # type: ignore[union-attr]
    assert f"which get {told} of the requests" in again_started.told() and third.told().startswith("ok: ")


def test_a_route_that_comes_back_from_an_earlier_release_at_the_same_share_is_none_of_this_one() -> None:
    """Its Services are gone, so that requests fail of which no pod tells."""
    again = replace(START, version="v3", think=5.0)
    watching = (replace(BAKE, think=40.0), replace(BAKE, verb="verify"), Ask("info", think=1.0))
    one = world(START, Ask("undo", think=20.0), again, *watching, again, replace(BAKE, seconds=5.0))
    _is_put_back(one, back=REWRITTEN + 20.0)
    _start, _undo, held, baked, verified, info, given_again, last = one.play().calls[:8]
    assert held.told().startswith("changed: ") and (held.ended or 0.0) < REWRITTEN
    why = 'HTTPRoute "web" was put back as it had been written before: it tells of Service "web-'
    for watched in (baked, verified):
        assert isinstance(watched.result, VerbFailure) and watched.result.code == "contested", watched.told()
        assert why in watched.told()
    assert isinstance(info.result, Outcome) and any(why in warning for warning in info.result.warnings)
    assert given_again.told().startswith("changed: ") and last.told().startswith("ok: ")


FORGOTTEN: dict[str, tuple[Ask, Callable[[World], None]]] = {
    "takes the annotation": (START, lambda one: rewrite(one, annotated=False)),
    "takes the annotation of users who keep their version": (
        replace(START, sticky=True), lambda one: rewrite(one, annotated=False),
    ),
    "puts all of it back": (START, lambda one: rewrite(one, RULES, annotated=False)),
    "deletes the canary Ingress": (BY_INGRESS, lambda one: one.store.remove("ingresses", CANARY_INGRESS, "somebody")),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGOTTEN)
def test_what_no_route_tells_any_more_is_given_again_by_the_record_where_somebody(what: str) -> None:
    start, happens = FORGOTTEN[what]
    start = replace(start, share="25", header="x-canary")
    one = world(start, replace(start, share=None, header="", sticky=None, think=70.0))
    one.timeline.at(REWRITTEN, lambda: happens(one))
    first, again = (call.result for call in one.play().calls[:2])
    assert isinstance(first, Outcome) and isinstance(again, Outcome), again
    assert again.canary["traffic"]["given"] == first.canary["traffic"]["given"]
    assert "25 % of the requests and those with the header x-canary" in again.message
    assert not [text for text in again.warnings if "lost" in text or "anew" in text], again.warnings


def test_a_bake_that_finds_it_so_fails_at_once() -> None:
    one = world(START, replace(BAKE, think=70.0))
    one.timeline.at(REWRITTEN, lambda: put_back(one))
    baked = one.play().calls[1]
    assert isinstance(baked.result, VerbFailure) and baked.result.code == "contested"
    assert (baked.ended or 0.0) - baked.begun < 1.0


@pytest.mark.parametrize("watch", [BAKE, replace(BAKE, verb="verify")], ids=lambda ask: ask.verb)
def test_users_leave_a_canary_that_hangs_while_somebody_watches_it(watch: Ask) -> None:
    one = world(replace(START, pods=2, surge=2, share="25"), watch)

    def hangs() -> None:
        for pod in one.replica_sets.pods.values():
            if pod.version == "v2":
                one.replica_sets.is_unready(pod, 3600.0)

    one.timeline.at(60.0, hangs)
    watched = one.play().calls[1]
    assert isinstance(watched.result, VerbFailure) and watched.result.code in ("stuck", "judged_inconclusive")
    assert 'web" sent users to a canary without Ready pods, and sends them to stable now' in str(
        watched.result.warnings
    )
    assert (watched.ended or 0.0) < 75.0


def test_nothing_is_promoted_whose_route_somebody_put_back_while_it_was_held() -> None:
    one = world(Ask("release", shares=("5",), by="weights", keep=120.0), end=End.UNDO)
    one.timeline.at(REWRITTEN, lambda: put_back(one))
    found = one.play()
    failed = found.calls[0].result
    assert isinstance(failed, VerbFailure) and failed.code == "contested", told(found)
    release = failed.extra["release"]
    assert (release["outcome"], release["stage"], found.violations) == ("failed", "held", [])
    assert (failed.canary or {})["phase"] == "held"


@pytest.mark.parametrize("number", sampled(range(30, 44)))
def test_a_server_that_is_away_for_a_moment_says_nothing_against_it(number: int) -> None:
    found = world(START, BAKE, faults=(Planned(number, Fault.BROKEN_BEFORE),)).play()
    assert "contested" not in told(found)[1]


HALF = Ask("start", share="50", pods=4, surge=4)
HALF_COPIED = replace(HALF, share="0", mirror="50")
DRAIN = Ask("pause", drain=True, think=1.0)
# Nothing is asked of who gets what: the canary passes it while nobody gets it.
CALM = CheckAsked(RateCheck("pods", Tolerance(max_increase=1 / 100)), PodsAsked())


def begun(*asks: Ask, eve: tuple[Ask, ...] = (), patch: pytest.MonkeyPatch) -> World:
    patch.setattr(calls, "_JUDGED", (CALM,))
    ana = Script("ana", 8.0, asks=asks)
    scripts = (ana, Script("eve", 40.0, asks=eve)) if eve else (ana,)
    return World(History(natures=DRAINING, scripts=scripts, end=End.UNDO, gateway=Lags()))


@pytest.mark.parametrize("start", [HALF, HALF_COPIED])
def test_a_canary_that_somebody_drains_while_it_is_judged_does_not_pass(
    start: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = begun(start, Ask("verify", seconds=900.0), eve=(DRAIN,), patch=monkeypatch).play()
    judged = next(call for call in found.calls if call.ask.verb == "verify")
    assert isinstance(judged.result, VerbFailure) and judged.result.code == "contested", judged.told()
    assert "the canary gets nothing of what it got by HTTPRoute" in judged.told() and (judged.ended or 0.0) < 60.0


@pytest.mark.parametrize("start", [HALF, HALF_COPIED])
def test_a_canary_that_was_drained_before_it_is_judged_does_not_pass(
    start: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    judging = Ask("verify", seconds=300.0, think=1.0)
    found = begun(start, DRAIN, judging, Ask("resume", think=1.0), judging, patch=monkeypatch).play()
    drained, resumed = found.calls[2].result, found.calls[4]
    assert isinstance(drained, VerbFailure) and drained.code == "contested" and "canary_resume" in str(drained)
    assert resumed.told().startswith("ok: ") and "pass" in resumed.told()


@pytest.mark.parametrize("watching", ["bake", "verify"])
@pytest.mark.parametrize(
    "start", [HALF, HALF_COPIED, replace(HALF_COPIED, kind="istio"), replace(HALF, kind=INGRESS_NGINX)]
)
def test_a_canary_whose_service_somebody_deletes_is_not_called_good_and_gets_it_back(
    start: Ask, watching: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of copies nobody else notices it: no request of a user fails."""
    watch = Ask(watching, seconds=300.0, think=1.0)
    one = begun(start, watch, replace(start, think=1.0), watch, patch=monkeypatch)
    one.timeline.at(REWRITTEN, lambda: _delete_canary_service(one))
    started, watched, again, later = one.play().calls[:4]
    assert started.told().startswith("changed: ") and (started.ended or 0.0) < REWRITTEN
    assert isinstance(watched.result, VerbFailure) and watched.result.code == "contested", watched.told()
    assert "by which the canary gets requests, reaches none of its Ready pods" in watched.told()
    assert again.told().startswith("changed: ") and later.told().startswith("ok: "), (again.told(), later.told())


@pytest.mark.parametrize("watching", ["bake", "verify"])
def test_a_canary_beside_a_stable_version_whose_service_is_gone_is_not_called_good(
    watching: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Ask(watching, seconds=300.0, think=1.0)
    one = begun(HALF, watch, replace(HALF, think=1.0), watch, patch=monkeypatch)
    one.timeline.at(REWRITTEN, lambda: one.store.remove("services", _stable_service(one), "somebody"))
    watched, again, later = one.play().calls[1:4]
    assert "by which stable pods get requests, reaches none of its Ready pods" in watched.told(), watched.told()
    assert again.told().startswith("changed: ") and later.told().startswith("ok: "), (again.told(), later.told())


def _select(one: World, name: str, **selector: str) -> None:
    service = one.store.get("services", name)
    assert service is not None
    one.store.put("services", {**service, "spec": {**service["spec"], "selector": {**LABELS, **selector}}}, "editor")


SELECTS: dict[str, tuple[Callable[[World], None], str]] = {
    "reaches none": (lambda one: _select(one, _canary_service(one), tier="none"), "the canary gets requests, reaches none of its Ready pods"),
    "reaches both": (lambda one: _select(one, _canary_service(one)), "the canary gets requests, sends them to pods of another version"),
    "is stable's and reaches none": (
        lambda one: _select(one, _stable_service(one), tier="none"), "stable pods get requests, reaches none of its Ready pods",
    ),
    "is stable's and reaches both": (
        lambda one: _select(one, _stable_service(one)), "stable pods get requests, sends them to pods of another version",
    ),
}  # fmt: skip


@pytest.mark.parametrize("watching", ["bake", "verify"])
@pytest.mark.parametrize("what", SELECTS)
def test_a_canary_is_not_called_good_where_a_service(what: str, watching: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pod is Ready, and every route as it was."""
    happens, why = SELECTS[what]
    one = begun(HALF, Ask(watching, seconds=300.0, think=1.0), patch=monkeypatch)
    one.timeline.at(REWRITTEN, lambda: happens(one))
    watched = one.play().calls[1]
    assert isinstance(watched.result, VerbFailure) and watched.result.code == "contested" and why in watched.told()
    assert (watched.ended or 0.0) - REWRITTEN <= 20.0
    spared = any("sends them to stable now" in warning for warning in watched.result.warnings)
    assert spared == (what == "reaches none")


def _canary_service(one: World) -> str:
    ours = {name for name in one.store.of("services") if name != NAME}
    return (ours - {_stable_service(one)}).pop()


def _stable_service(one: World) -> str:
    """Of those that are ours the older one."""
    ours = {name: service for name, service in one.store.of("services").items() if name != NAME}
    return min(ours, key=lambda name: int(ours[name]["metadata"]["resourceVersion"]))


STARTS = (HALF, replace(HALF, kind="istio"), replace(HALF, kind="alb"), replace(HALF, kind=INGRESS_NGINX))
DELETED = 120.0
GOES_ON = {
    "start": (replace(HALF, think=120.0),),
    "promotion by pods": (Ask("promote", by="pods", think=120.0),),
    "promotion by weights": (Ask("promote", by="weights", think=120.0),),
    "undo": (Ask("undo", think=120.0),),
    "pause": (replace(DRAIN, think=120.0),),
    "resume": (DRAIN, Ask("resume", think=120.0)),
}


@pytest.mark.parametrize("start", STARTS, ids=lambda ask: ask.kind)
@pytest.mark.parametrize("verb", GOES_ON)
def test_whoever_goes_on_makes_the_service_of_the_stable_version_anew_before_anything_of_the_routes(
    start: Ask, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users of it notice at once that somebody has deleted it."""
    one = begun(start, *(replace(ask, kind=start.kind) for ask in GOES_ON[verb]), patch=monkeypatch)
    deleted = list[str]()

    def delete() -> None:
        deleted.append(_stable_service(one))
        one.store.remove("services", deleted[0], "somebody")

    one.timeline.at(DELETED, delete)
    found = one.play()
    *_before, next_one = (call for call in found.calls if call.actor == "ana")
    assert next_one.begun > DELETED and next_one.told().startswith("changed: "), next_one.told()
    routed = [
        change
        for change in one.store.log
        if change.at >= next_one.begun and change.kind in ("services", "httproutes", "virtualservices", "ingresses")
    ]
    assert (routed[0].kind, routed[0].name, routed[0].before) == ("services", deleted[0], None)
    assert {violation.rule for violation in found.violations} == {"no request fails"}


def _delete_canary_service(one: World) -> None:
    services = one.store.of("services")
    last = max(services, key=lambda name: int(services[name]["metadata"]["resourceVersion"]))
    one.store.remove("services", last, "somebody")
