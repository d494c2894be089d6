# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever somebody has made of the routes of a release, it can be taken back: nothing that stands in the way of them keeps an undo from the
pods, and no rule of ours from users."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim import refusals
from tests.sim.calls import Called
from tests.sim.faults import Fault, Planned
from tests.sim.gateway import HOST, Lags, Proxy
from tests.sim.governing import Governed, Hook
from tests.sim.history import Ask, History, Script
from tests.sim.objects import NAME, Json
from tests.sim.store import Change
from tests.sim.test_traffic import DRAINING, played, told, world
from tests.sim.world import World

# Where what splits users is an object of these.
ROUTES = {
    "gateway_api": "httproutes",
    "gateway_api_grpc": "grpcroutes",
    "istio": "virtualservices",
    "alb": "ingresses",
    "ingress_nginx": "ingresses",
    "service_selector": "services",
}
EACH_KIND = pytest.mark.parametrize("kind", ROUTES)


def held(kind: str, *then: Ask) -> World:
    """A canary with users, and what comes after it."""
    start = Ask("start", share="100" if kind == "service_selector" else "50", kind=kind, pods=4, surge=4)
    return world(start, *then)


DENIALS = {
    "a webhook": refusals.denied("policy.example", "no routes on Fridays"),
    "a webhook with a code of its own": refusals.Refused(
        500, "InternalError", 'admission webhook "policy.example" denied the request: no routes on Fridays'
    ),
    "a rule of the API": refusals.Refused(
        422,
        "Invalid",
        '"web" is invalid: spec.rules: no routes on Fridays',
        details={"causes": [{"field": "spec.rules"}]},
    ),
}


@EACH_KIND
@pytest.mark.parametrize("denial", DENIALS)
def test_a_write_of_a_route_that_is_denied_keeps_an_undo_from_nothing_else(kind: str, denial: str) -> None:
    one = held(kind, Ask("info", think=60.0), Ask("undo"), Ask("undo", think=120.0))

    def deny(of: str, _before: Json | None, after: Json) -> Json:
        if of == ROUTES[kind] and after["metadata"]["name"].startswith(NAME) and 50.0 < one.timeline.now < 150.0:
            raise DENIALS[denial]
        return after

    one.server.admission.append(deny)
    found = one.play()
    _start, _info, undo, again = told(found)
    assert "no routes on Fridays" in undo
    taken = next(change.at for call in found.calls[2:3] for change in call.writes if change.kind == "deployments")
    assert 50.0 < taken < 150.0
    assert again.startswith("changed: "), again
    assert list(one.store.of("services")) == [NAME]


def edited(one: World, kind: str, change: Callable[[Json], None]) -> None:
    """As its owner does who edits what is there, and not what a release has made of it."""
    item = one.store.get(ROUTES[kind], NAME)
    assert item is not None
    new = json.loads(json.dumps(item))
    change(new)
    new["metadata"]["generation"] = item["metadata"].get("generation", 1) + (new["spec"] != item["spec"])
    one.store.put(ROUTES[kind], new, "editor")


def _tls(item: Json) -> None:
    item["spec"]["tls"] = [{"match": [{"sniHosts": ["shop.example"]}], "route": [{"destination": {"host": NAME}}]}]


def _subset(item: Json) -> None:
    route = [{"destination": {"host": NAME, "subset": "blue"}}]
    item["spec"]["http"].append({"match": [{"uri": {"prefix": "/blue"}}], "route": route})


def _port(item: Json) -> None:
    backend = {"service": {"name": NAME, "port": {"name": "http"}}}
    item["spec"]["rules"][-1]["http"]["paths"].append({"path": "/new", "pathType": "Prefix", "backend": backend})


def _port_first(item: Json) -> None:
    _port(item)
    item["spec"]["rules"][-1]["http"]["paths"].reverse()


def _default(item: Json) -> None:
    item["spec"]["defaultBackend"] = {"service": {"name": NAME, "port": {"name": "http"}}}


def _passes(item: Json) -> None:
    item["metadata"]["annotations"]["nginx.ingress.kubernetes.io/ssl-passthrough"] = "true"


def _full(item: Json) -> None:
    plain = {"group": "", "kind": "Service", "name": "other", "port": 80, "weight": 1}
    for number in range(16 - len(item["spec"]["rules"])):
        match = {"path": {"type": "PathPrefix", "value": f"/p{number}"}}
        item["spec"]["rules"].append({"matches": [match], "backendRefs": [plain]})


def _without_room(spec: Json) -> Json:
    """But for what fills a route up, which is as much as there is room for."""
    rules = [
        rule for rule in spec.get("rules") or () if [ref["name"] for ref in rule.get("backendRefs", ())] != ["other"]
    ]
    return {**spec, "rules": rules}


# What a start would refuse.
EDITS = [
    ("istio", _tls),
    ("istio", _subset),
    ("alb", _port),
    ("alb", _port_first),
    ("alb", _default),
    ("ingress_nginx", _default),
    ("ingress_nginx", _passes),
    ("gateway_api", _full),
    ("gateway_api_grpc", _full),
]


def _named(edit: object) -> str:
    return str(getattr(edit, "__name__", edit)).strip("_")


# A promotion is to be proven, for which such a route has no room; what is left then is an undo.
WAYS = [
    (*one, last)
    for one in EDITS
    for last in ("undo", "promote", "drain")
    if (*one, last) != ("gateway_api", _full, "promote")
]


@pytest.mark.parametrize(("kind", "edit", "last"), WAYS, ids=_named)
def test_what_an_owner_may_write_and_no_release_may_begin_with_keeps_none_from_its_end(
    kind: str, edit: Callable[[Json], None], last: str
) -> None:
    end = Ask("pause", think=60.0, drain=True) if last == "drain" else Ask(last, think=60.0)
    one = held(kind, end, Ask("undo", think=1.0))
    expected = json.loads(json.dumps(one.store.get(ROUTES[kind], NAME)))
    expected["metadata"].setdefault("annotations", {})
    edit(expected)
    one.timeline.at(50.0, lambda: edited(one, kind, edit))
    found = one.play()
    said = told(found)
    assert said[1].startswith("changed: "), said
    assert last == "promote" or said[-1].startswith("changed: ") or last == "undo", said
    left = one.store.get(ROUTES[kind], NAME)
    assert left is not None
    assert _without_room(left["spec"]) == _without_room(expected["spec"])
    assert (left["metadata"].get("annotations") or {}) == expected["metadata"]["annotations"]
    assert list(one.store.of("services")) == [NAME]
    failed = [violation.what for violation in found.violations if violation.rule == "no request fails"]
    assert all("Service other, " in what for what in failed), failed


def _page_of_rules(item: Json) -> None:
    """A maintenance page in place of all that is there, also of a rule of ours."""
    item["spec"]["rules"] = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": [_PAGE]}]


def _page_of_http(item: Json) -> None:
    item["spec"]["http"] = [{"route": [{"destination": {"host": "other", "port": {"number": 80}}}]}]


def _page_of_paths(item: Json) -> None:
    service = {"service": {"name": "other", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": service}]
    item["spec"]["rules"] = [{"host": HOST, "http": {"paths": paths}}]


_PAGE = {"group": "", "kind": "Service", "name": "other", "port": 80, "weight": 1}
PAGES = {
    "gateway_api": _page_of_rules,
    "gateway_api_grpc": _page_of_rules,
    "istio": _page_of_http,
    "alb": _page_of_paths,
    "ingress_nginx": _page_of_paths,
}


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("last", ["undo", "promote"])
def test_a_route_that_sends_its_users_elsewhere_by_now_is_left_so_and_keeps_nothing(kind: str, last: str) -> None:
    one = held(kind, Ask(last, think=60.0))
    one.timeline.at(50.0, lambda: edited(one, kind, PAGES[kind]))
    found = one.play()
    assert told(found)[1].startswith("changed: "), told(found)
    left = one.store.get(ROUTES[kind], NAME)
    assert left is not None and KEPT not in (left["metadata"].get("annotations") or {})
    expected: Json = {"spec": dict(left["spec"])}
    PAGES[kind](expected)
    assert left["spec"] == expected["spec"] and list(one.store.of("services")) == [NAME]
    assert [name for name in one.store.of("ingresses") if name != NAME] == []


@pytest.mark.parametrize("share", ["0", "20"])
@pytest.mark.parametrize("last", ["undo", "promote", "start"])
def test_an_ingress_that_is_put_back_leaves_no_canary_ingress_in_the_way_of_the_end(share: str, last: str) -> None:
    start = Ask("start", share=share, kind="ingress_nginx", pods=4, surge=4)
    one = world(start, replace(start, share="", think=60.0) if last == "start" else Ask(last, think=60.0), Ask("undo"))
    before = json.loads(json.dumps(one.store.get("ingresses", NAME)))

    def put_back() -> None:
        one.store.put("ingresses", json.loads(json.dumps(before)), "argocd")

    one.timeline.at(50.0, put_back)
    found = one.play()
    assert not [line for line in told(found) if "contested" in line or "error" in line], told(found)
    assert list(one.store.of("ingresses")) == [NAME] and list(one.store.of("services")) == [NAME]
    left = one.store.get("ingresses", NAME)
    assert left is not None and left["spec"] == before["spec"] and not left["metadata"].get("annotations")


@pytest.mark.parametrize("kind", [kind for kind in ROUTES if kind != "service_selector"])
def test_whoever_puts_a_route_back_is_told_to_a_start_and_not_that_somebody_ended_its_release(kind: str) -> None:
    """Right before the write of the canary's share."""
    one = held(kind, Ask("undo", think=60.0))
    before = json.loads(json.dumps(one.store.get(ROUTES[kind], NAME)))
    versions = [0]

    def hear(change: Change) -> None:
        if change.kind == "services" and change.by.startswith("ana") and change.before is None:
            versions[0] += 1
            if versions[0] == 2:
                meta = {**before["metadata"], "generation": 20}
                one.store.put(ROUTES[kind], {**before, "metadata": meta}, "argocd")

    one.store.listen(hear)
    start, undo = told(one.play())
    assert "somebody ended" not in start and ("contested" in start or start.startswith("changed: ")), start
    assert undo.startswith("changed: "), undo
    assert list(one.store.of("services")) == [NAME]


@EACH_KIND
def test_users_leave_a_canary_also_by_a_route_of_which_nobody_can_read_what_is_kept(kind: str) -> None:
    """Its owner puts back by hand what stood there: until then they are on the stable version. How it stands, and the lines that end it, are
    told all the same."""
    one = held(kind, Ask("info", think=60.0), Ask("undo"))

    def garble(item: Json) -> None:
        item["metadata"]["annotations"][KEPT] = "{"

    one.timeline.at(50.0, lambda: edited(one, kind, garble))
    found = one.play()
    seen, undo = found.calls[1].result, found.calls[2]
    assert isinstance(seen, Outcome) and seen.canary["phase"] == "held" and seen.canary["commands"], found.calls[
        1
    ].told()
    assert any(text.startswith("what its routes give the canary now cannot be seen: ") for text in seen.warnings)
    assert "By hand" in undo.told() and undo.told().startswith("failed (no_route, changed)"), undo.told()
    first, *_rest = (change.kind for change in undo.writes if change.kind not in ("leases", "events"))
    assert first == ROUTES[kind]
    left = one.store.get(ROUTES[kind], NAME)
    assert left is not None and left["metadata"]["annotations"][KEPT] == "{"
    assert not [violation for violation in found.violations if violation.rule == "no request fails"]


@pytest.mark.parametrize("by", ["pods", "weights"])
@pytest.mark.parametrize("kind", ["gateway_api", "gateway_api_grpc", "ingress_nginx"])
def test_an_undo_takes_no_pods_before_what_a_promotion_that_died_has_given_back_is_in_force(
    kind: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies right after any write of a route at its end, of which a proxy hears as late as that may be."""
    monkeypatch.setattr(Proxy, "_later", lambda proxy, _change, most, happens: proxy.timeline.after(most, happens))
    start = Ask("start", share="25", kind=kind, pods=4, surge=4, header="x-canary")
    scripts = (Script("ana", 8.0, asks=(start,)), Script("bob", 80.0, asks=(Ask("promote", by=by),)))
    lags = Lags(9.0 if kind == "ingress_nginx" else 4.0, 0.3)

    def play(*others: Script, dies_after: int = 0) -> list[float]:
        """The moments of these writes."""
        one = World(History(natures=DRAINING, scripts=(*scripts, *others), gateway=lags), traced=True)
        moments = list[float]()

        def hear(change: Change) -> None:
            out = is_rolled_out(one.store.of("deployments")[NAME])
            if change.by.startswith("bob") and change.kind == ROUTES[kind] and out:
                moments.append(change.at)
                one._processes["here.bob"].killed = len(moments) == dies_after

        one.store.listen(hear)
        played(one)
        return moments

    for number, at in enumerate(play(), 1):
        play(Script("eve", at + 1.5, asks=(Ask("undo"),)), dies_after=number)


def is_rolled_out(deployment: Json) -> bool:
    return bool(deployment["status"].get("updatedReplicas", 0) == deployment["status"].get("replicas"))


def broken_off(share: str | None, number: int, kind: Fault, *then: Ask) -> list[Called]:
    """An undo one of whose requests goes wrong, under a policy that changes the stable template on its way back and had not said so, and
    what comes after it."""
    start = Ask("start", pods=2, surge=2, share=share, kind="gateway_api")
    vic = Script("vic", 60.0, asks=(Ask("undo"),), faults=(Planned(number, kind),))
    scripts = (Script("ana", 8.0, asks=(start,)), vic, Script("eve", 100.0, asks=then))
    governed = Governed(Hook.ANNOTATES_IN_EARNEST, 50.0)
    one = World(History(governed=governed, scripts=scripts, gateway=Lags(0.5, 1.0) if share else None), traced=True)
    return [call for call in played(one).calls if call.actor in ("vic", "eve")]


def phase_of(call: Called) -> tuple[str, bool]:
    """And whether it is paused."""
    assert isinstance(call.result, Outcome), call.told()
    return call.result.canary["phase"], call.result.canary["paused"]


@pytest.mark.parametrize(
    ("share", "fates"),
    [
        # The Deployment is paused from the eleventh request to the fifteenth, while the routes are written.
        ("20", [*((at, Fault.KILLED_AFTER) for at in range(10, 17)), (14, Fault.REFUSED), (11, Fault.BROKEN_BEFORE)]),
        (None, [*((at, Fault.KILLED_AFTER) for at in range(2, 8)), (5, Fault.REFUSED)]),
    ],
    ids=["with a route", "without one"],
)
def test_an_undo_whose_template_a_policy_changes_is_gone_on_with_wherever_it_was_broken_off(
    share: str | None, fates: list[tuple[int, Fault]]
) -> None:
    for number, kind in fates:
        vic, eve, info = broken_off(share, number, kind, Ask("undo"), Ask("info"))
        assert vic.hit and phase_of(info) == ("none", False), (number, kind, vic.told(), eve.told(), info.told())
        assert isinstance(eve.result, Outcome) and "left of a release" not in eve.told(), (number, kind, eve.told())


def test_the_pause_of_an_undo_is_told_as_its_own_and_no_other_verb_takes_it_back() -> None:
    asks = (
        Ask("info"),
        Ask("start", pods=2),
        Ask("resume"),
        Ask("promote"),
        Ask("pause"),
        Ask("undo", check=True),
        Ask("info"),
    )
    _vic, info, *others, rehearsed, again = broken_off("20", 12, Fault.KILLED_AFTER, *asks)
    assert phase_of(info) == phase_of(again) == ("undoing", True)
    assert all("is being taken back" in call.told() for call in others), [call.told() for call in others]
    assert rehearsed.told() == "changed: would bring the stable version back"
