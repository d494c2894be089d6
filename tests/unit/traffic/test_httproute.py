# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of a route that is rewritten in place, over random routes."""

from __future__ import annotations

import copy
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.copies import copied, uncopied
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    Exposure,
    Kept,
    Stage,
    Sticky,
    Unroutable,
    Versions,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.httproute import check, plan, state
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT, Header
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.route import (
    Route,
    kept_of,
    observed,
    settles,
    stated,
    unaccepted,
)
from tests.sim.patching import json_patch
from tests.unit.traffic.release import BY, VERSIONS

Json = dict[str, Any]
HEADER = Header("x-canary", "always")
SHARED = Wanted(Stage.SPLIT, Exposure(Fraction(1, 10)))
ADDS: Json = {
    "type": "ResponseHeaderModifier",
    "responseHeaderModifier": {"add": [{"name": f"x-{n}", "value": "1"} for n in range(16)]},
}


def ref(name: str, weight: int = 1, **more: Any) -> Json:
    return {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight, **more}


def match(path: str = "/", **more: Any) -> Json:
    return {"path": {"type": "PathPrefix", "value": path}, **more}


def route(*rules: Json, annotations: Json | None = None) -> Json:
    meta: Json = {"name": "web", "namespace": "shop", "uid": "uid-of-route", "generation": 1}
    if annotations:
        meta["annotations"] = annotations
    return {
        "metadata": meta,
        "spec": {"parentRefs": [{"name": "gw"}], "hostnames": ["shop.example"], "rules": list(rules)},
    }


def written(item: Json, wanted: Wanted, versions: Versions = VERSIONS) -> Json:
    """As the server would have it after the write, if there is one."""
    made = plan(Route.parse(item), versions, wanted, **BY)
    if made is None:
        return item
    after = json_patch(copy.deepcopy(item), made.operations)
    if after["spec"] != item["spec"]:
        after["metadata"]["generation"] += 1
    if not after["metadata"].get("annotations"):
        after["metadata"].pop("annotations", None)
    return after


def backends(item: Json, number: int = 0) -> dict[str, int]:
    return {one["name"]: one["weight"] for one in item["spec"]["rules"][number]["backendRefs"]}


_FOREIGN = st.sampled_from(["legacy", "api", "web-old"])
_FILTERS = st.sampled_from(
    [None, [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}]]
)


@st.composite
def _rules(draw: st.DrawFn) -> list[Json]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        own = draw(st.booleans()) or number == 0
        others = draw(st.lists(_FOREIGN, max_size=2, unique=True))
        refs = [
            *([ref("web", draw(st.integers(1, 100)))] if own else []),
            *(ref(name, draw(st.integers(0, 100))) for name in others),
        ]
        rule: Json = {"matches": [match(f"/{number}")], "backendRefs": draw(st.permutations(refs))}
        if filters := draw(_FILTERS):
            rule["filters"] = filters
        if draw(st.booleans()):
            rule["name"] = f"rule-{number}"
        found.append(rule)
    return found


_WEIGHTS = st.fractions(min_value=0, max_value=1, max_denominator=1000)
_HEADERS = st.sampled_from([None, HEADER])
_EXPOSURES = st.one_of(
    st.builds(Exposure, _WEIGHTS, _HEADERS),
    st.builds(lambda mirror, header: Exposure(header=header, mirror=mirror), _WEIGHTS, _HEADERS),
)
_WANTED = st.one_of(
    st.builds(lambda mark: Wanted(Stage.OWN, mark=mark), st.integers(0, 9)),
    st.builds(lambda mark: Wanted(Stage.OWN, warm=(VERSIONS.stable,), mark=mark), st.integers(0, 9)),
    st.builds(lambda mark: Wanted(Stage.ISOLATED, warm=(VERSIONS.canary,), mark=mark), st.sampled_from([None, 1, 2])),
    st.builds(lambda mark: Wanted(Stage.ISOLATED, warm=(VERSIONS.canary,), mark=mark, copies=True), st.integers(0, 9)),
    st.builds(lambda exposure, mark: Wanted(Stage.SPLIT, exposure, mark=mark), _EXPOSURES, st.sampled_from([None, 3])),
)
_ROUTES = st.builds(
    lambda rules, notes: route(*rules, annotations=notes), _rules(), st.sampled_from([None, {"a": "b"}])
)


@given(_ROUTES, st.lists(_WANTED, min_size=1, max_size=4))
def test_what_was_wanted_is_so_and_nothing_is_left_to_write(item: Json, every: list[Wanted]) -> None:
    after = item
    for wanted in every:
        after = written(after, wanted)
        assert state(Route.parse(after), VERSIONS) == (wanted.stage, wanted)
        assert plan(Route.parse(after), VERSIONS, wanted, **BY) is None


@given(_ROUTES, st.lists(_WANTED, max_size=4))
def test_whatever_was_written_the_owners_route_comes_back_as_it_was(item: Json, every: list[Wanted]) -> None:
    after = item
    for wanted in every:
        after = written(after, wanted)
    back = written(after, Wanted(Stage.OWN))
    assert back["spec"] == item["spec"] and back["metadata"].get("annotations") == item["metadata"].get("annotations")


@given(_ROUTES, _WANTED)
def test_every_other_backend_keeps_its_share_and_other_rules_stay(item: Json, wanted: Wanted) -> None:
    assume(wanted.stage is not Stage.OWN)
    after = written(item, wanted)
    for number, rule in enumerate(item["spec"]["rules"]):
        found = after["spec"]["rules"][number]
        if not any(one["name"] == "web" for one in rule["backendRefs"]):
            assert found == rule
            continue
        assert {**uncopied(found, [VERSIONS.canary]), "backendRefs": None} == {**rule, "backendRefs": None}
        before, now = backends(item, number), backends(after, number)
        whole, all_now = sum(before.values()), sum(now.values())
        for name, weight in before.items():
            if name != "web":
                assert Fraction(now[name], all_now) == Fraction(weight, whole)
        mine = Fraction(before["web"], whole)
        assert sum(copied(found, [VERSIONS.canary])) == mine * wanted.exposure.mirror
        share = wanted.exposure.weight if wanted.stage is Stage.SPLIT else 0
        assert Fraction(now.get(VERSIONS.canary, 0), all_now) == mine * share
        assert Fraction(now[VERSIONS.stable], all_now) == mine * (1 - share)


@given(_ROUTES, _WANTED, st.randoms(use_true_random=False))
def test_every_state_has_an_answer_whatever_somebody_took_away(item: Json, wanted: Wanted, chance: Any) -> None:
    after = written(item, wanted)
    rules = after["spec"]["rules"]
    rules.pop(chance.randrange(len(rules)))
    if chance.random() < 0.5:
        after["metadata"].pop("annotations", None)
    assert isinstance(state(Route.parse(after), VERSIONS)[0], Stage)


def test_the_example_of_a_rule_with_two_backends() -> None:
    item = route({"matches": [match()], "backendRefs": [ref("web", 3), ref("legacy")]})
    after = written(item, Wanted(Stage.SPLIT, Exposure(Fraction(1, 5)), mark=4))
    assert backends(after) == {VERSIONS.stable: 12, VERSIONS.canary: 3, "legacy": 5}


def test_a_share_far_below_one_per_cent_is_exact() -> None:
    after = written(route({"backendRefs": [ref("web")]}), Wanted(Stage.SPLIT, Exposure(Fraction("0.001"))))
    assert backends(after) == {VERSIONS.stable: 999, VERSIONS.canary: 1}


def test_a_header_is_a_narrower_copy_of_each_rule_with_its_filters() -> None:
    filters = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x", "value": "y"}]}}]
    api = {"name": "api", "matches": [match("/api"), match("/v2")], "filters": filters, "backendRefs": [ref("web", 7)]}
    after = written(route(api), Wanted(Stage.SPLIT, Exposure(header=HEADER)))
    added = {"type": "Exact", "name": "x-canary", "value": "always"}
    assert after["spec"]["rules"][1:] == [
        {
            "matches": [match("/api", headers=[added]), match("/v2", headers=[added])],
            "filters": filters,
            "backendRefs": [ref(VERSIONS.canary)],
        }
    ]


@pytest.mark.parametrize(
    ("exposure", "refused"),
    [
        (Exposure(header=HEADER), True),
        (Exposure(sticky=Sticky(0, Fraction(0))), True),
        (Exposure(Fraction(1, 2)), False),
    ],
)
def test_a_rule_with_a_name_is_not_copied_past_a_policy_that_is_attached_to_it(
    exposure: Exposure, refused: bool
) -> None:
    other = {"name": "other", "matches": [match("/other")], "backendRefs": [ref("legacy")]}
    asked = ({"matches": [match("/a")], "backendRefs": [ref("web")]}, other)
    check(Route.parse(route(*asked)), VERSIONS, exposure, True)
    named = Route.parse(route({**asked[0], "name": "signed-in"}, other))
    if not refused:
        check(named, VERSIONS, exposure, True)
        return
    with pytest.raises(Unroutable, match="its rule signed-in would be copied without its name"):
        check(named, VERSIONS, exposure, True)


def test_each_port_at_which_a_rule_sends_to_the_service_is_reached_by_a_rule_without_users() -> None:
    rules = (
        {"matches": [match(f"/{port}")], "backendRefs": [{**ref("web"), "port": port}, ref("legacy")]}
        for port in (8080, 80)
    )
    after = written(route(*rules), Wanted(Stage.ISOLATED, warm=(VERSIONS.canary,), mark=1))
    probes = [rule for rule in after["spec"]["rules"] if any(one.get("headers") for one in rule["matches"])]
    reached = [one for rule in probes for one in rule.get("backendRefs", ())]
    assert [(one["name"], one["port"]) for one in reached] == [(VERSIONS.canary, 80), (VERSIONS.canary, 8080)]
    assert len({str(rule["matches"]) for rule in probes}) == 3


def test_a_rule_that_moved_is_found_and_another_edit_of_it_is_kept() -> None:
    first, second = (
        {"matches": [match(path)], "backendRefs": [ref("web", weight)]} for path, weight in (("/a", 1), ("/b", 5))
    )
    after = written(route(first, second), Wanted(Stage.ISOLATED, mark=1))
    rules = after["spec"]["rules"]
    rules[0], rules[1] = {**rules[1], "timeouts": {"request": "5s"}}, rules[0]
    assert state(Route.parse(after), VERSIONS)[0] is Stage.ISOLATED
    back = written(after, Wanted(Stage.OWN))
    assert back["spec"]["rules"] == [{**second, "timeouts": {"request": "5s"}}, first]


def test_backends_that_somebody_put_back_are_contested_and_theirs_from_then_on() -> None:
    item = route({"backendRefs": [ref("web", 3)]})
    after = written(item, Wanted(Stage.SPLIT, Exposure(Fraction(1, 4)), mark=2))
    after["spec"]["rules"] = [{"backendRefs": [ref("web", 8)]}]
    assert state(Route.parse(after), VERSIONS)[0] is Stage.CONTESTED
    again = written(after, Wanted(Stage.SPLIT, Exposure(Fraction(1, 4)), mark=3))
    assert backends(again) == {VERSIONS.stable: 24, VERSIONS.canary: 8}
    assert written(again, Wanted(Stage.OWN))["spec"]["rules"] == [{"backendRefs": [ref("web", 8)]}]


def test_a_route_from_which_somebody_took_the_service_tells_how_it_comes_back() -> None:
    after = written(route({"backendRefs": [ref("web")]}), Wanted(Stage.ISOLATED, mark=1))
    after["spec"]["rules"] = [{"backendRefs": [ref("sorry")]}]
    with pytest.raises(Unroutable, match="no rule of it sends to Service web") as refused:
        written(after, Wanted(Stage.ISOLATED, mark=2))
    assert refused.value.remedy.startswith("Let it send to Service web again (kubectl edit httproute web)")


def test_without_its_annotation_the_owners_service_gets_what_the_versions_had() -> None:
    after = written(
        route({"backendRefs": [ref("web"), ref("legacy")]}), Wanted(Stage.SPLIT, Exposure(Fraction(1, 4)), mark=2)
    )
    del after["metadata"]["annotations"]
    assert state(Route.parse(after), VERSIONS)[0] is Stage.LOST
    back = written(after, Wanted(Stage.OWN))
    assert back["spec"]["rules"] == [{"backendRefs": [ref("web"), ref("legacy")]}]


@given(_ROUTES, _WEIGHTS)
def test_without_its_annotation_the_backends_tell_the_share_and_it_can_be_written_once_more(
    item: Json, weight: Fraction
) -> None:
    wanted = Wanted(Stage.SPLIT, Exposure(weight))
    lost = written(item, wanted)
    lost["metadata"].pop("annotations")
    assert state(Route.parse(lost), VERSIONS) == (Stage.LOST, wanted)
    healed = written(lost, wanted)
    assert state(Route.parse(healed), VERSIONS) == (Stage.SPLIT, wanted)
    for number, _rule in enumerate(item["spec"]["rules"]):
        before, after = backends(lost, number), backends(healed, number)
        assert {name: Fraction(one, sum(before.values()) or 1) for name, one in before.items()} == {
            name: Fraction(one, sum(after.values()) or 1) for name, one in after.items()
        }


def test_the_patch_holds_only_for_the_route_that_was_read() -> None:
    item = route({"backendRefs": [ref("web")]})
    made = plan(Route.parse(item), VERSIONS, Wanted(Stage.ISOLATED, mark=1), **BY)
    assert made is not None
    tests = {one["path"]: one["value"] for one in made.operations if one["op"] == "test"}
    assert tests == {"/metadata/uid": "uid-of-route", "/metadata/generation": 1, "/metadata/annotations": None}
    again = plan(Route.parse(written(item, Wanted(Stage.ISOLATED, mark=1))), VERSIONS, Wanted(Stage.OWN), **BY)
    assert again is not None and again.kept is None
    assert any(one["op"] == "test" and one["path"].endswith("coalmine.canary~1route") for one in again.operations)


@pytest.mark.parametrize(
    ("item", "wanted", "said"),
    [
        (
            route({"backendRefs": [ref("api")]}),
            Wanted(Stage.ISOLATED),
            "no rule of it sends to Service web",
        ),
        (
            route(*({"matches": [match(f"/{n}")], "backendRefs": [ref("web")]} for n in range(16))),
            Wanted(Stage.ISOLATED, mark=1),
            "17 rules, and such a route takes 16",
        ),
        (
            route(
                *({"matches": [match(f"/{n}/{m}") for m in range(50)], "backendRefs": [ref("web")]} for n in range(2))
            ),
            Wanted(Stage.SPLIT, Exposure(header=HEADER)),
            "200 matches, and such a route takes 128",
        ),
        (
            route({"backendRefs": [ref("web"), *(ref(f"other-{n}") for n in range(15))]}),
            SHARED,
            "17 backends in a rule, and such a route takes 16",
        ),
        (
            route(
                {
                    "matches": [match(headers=[{"name": f"x-{n}", "value": "1"} for n in range(16)])],
                    "backendRefs": [ref("web")],
                }
            ),
            Wanted(Stage.SPLIT, Exposure(header=HEADER)),
            "17 headers in a match",
        ),
        (
            route({"backendRefs": [ref("web", filters=[{"type": "RequestHeaderModifier"}] * 16)]}),
            Wanted(Stage.SPLIT, Exposure(Fraction(1, 10), sticky=Sticky(0, Fraction(0)))),
            "17 filters at a backend",
        ),
        (
            route({"backendRefs": [ref("web", filters=[ADDS])]}),
            Wanted(Stage.SPLIT, Exposure(Fraction(1, 10), sticky=Sticky(0, Fraction(0)))),
            "17 headers added by a filter",
        ),
        (
            route({"matches": [match(headers=[{"name": "X-Canary", "value": "no"}])], "backendRefs": [ref("web")]}),
            Wanted(Stage.SPLIT, Exposure(header=HEADER)),
            "matches the header x-canary already",
        ),
        (
            route({"backendRefs": [ref("web", 1_000_000)]}),
            Wanted(Stage.SPLIT, Exposure(Fraction(1, 3))),
            "takes 1000000 at most",
        ),
    ],
)
def test_what_cannot_be_is_told(item: Json, wanted: Wanted, said: str) -> None:
    with pytest.raises(Unroutable, match=said):
        plan(Route.parse(item), VERSIONS, wanted, **BY)


def test_a_route_of_another_release_is_left_alone() -> None:
    after = written(route({"backendRefs": [ref("web")]}), Wanted(Stage.ISOLATED, mark=1))
    with pytest.raises(Unroutable, match="release of another Deployment"):
        plan(Route.parse(after), VERSIONS, Wanted(Stage.OWN), owner="another", token="x")


@pytest.mark.parametrize("edit", [{"name": "shop"}, {"matches": [match("/other")]}], ids=["name", "match"])
@pytest.mark.parametrize("wanted", [Wanted(Stage.ISOLATED), Wanted(Stage.SPLIT, Exposure(Fraction(1, 20)))])
@pytest.mark.parametrize(
    "refs",
    [
        [ref("web", 2, port=81), ref("web", 100, filters=[{"type": "A"}]), ref("other", 2)],
        [ref("web", 2), ref("web", 4), ref("web", 0, port=81)],
        [ref("web", 100)],
    ],
)
def test_a_rule_that_its_owner_renames_keeps_each_backend(refs: list[Json], wanted: Wanted, edit: Json) -> None:
    after = written(
        route({"matches": [match()], "backendRefs": refs}, {"matches": [match("/b")], "backendRefs": [ref("web")]}),
        wanted,
    )
    after["spec"]["rules"][0] |= edit
    back = written(after, Wanted(Stage.OWN))
    assert back["spec"]["rules"] == [
        {"matches": [match()], "backendRefs": refs, **edit},
        {"matches": [match("/b")], "backendRefs": [ref("web")]},
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version":2}', "null", '{"version":1,"owner":1}'])
def test_an_annotation_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(Unroutable, match=KEPT):
        kept_of(Route.parse(route({"backendRefs": [ref("web")]}, annotations={KEPT: text or "x"})))


def test_what_is_kept_reads_back_the_same() -> None:
    kept = Kept(
        "uid", VERSIONS, "9f", Wanted(Stage.SPLIT, Exposure(Fraction(1, 3), HEADER), ("web-a",), 3), {"k": [ref("web")]}
    )
    assert Kept.decode(kept.encode()) == kept
    assert replace(kept, token="a").encode() != kept.encode()


def test_its_own_status_tells_what_speaks_against_it() -> None:
    item = route({"backendRefs": [ref("web")]})
    refused = {
        "type": "ResolvedRefs",
        "status": "False",
        "observedGeneration": 1,
        "reason": "BackendNotFound",
        "message": "no web",
    }
    item["status"] = {"parents": [{"parentRef": {"name": "gw"}, "conditions": [refused]}]}
    assert stated(Route.parse(item)) == "ResolvedRefs is False: BackendNotFound: no web"
    refused["observedGeneration"] = 0
    assert not stated(Route.parse(item))


def reported(generation: int, controller: str, said: str = "True", **parent: str) -> Json:
    every = [{"type": name, "status": said, "observedGeneration": generation} for name in ("Accepted", "ResolvedRefs")]
    return {"parentRef": {"name": "gw", **parent}, "controllerName": controller, "conditions": every}


@pytest.mark.parametrize(
    ("reports", "lacks"),
    [
        ([], "no controller has accepted it"),
        ([reported(1, "a")], ""),
        ([reported(1, "a", group="gateway.networking.k8s.io", kind="Gateway", namespace="shop")], ""),
        ([reported(0, "a")], "not accepted by a"),
        ([reported(0, "gone"), reported(1, "a")], ""),
        ([reported(1, "a", "False"), reported(0, "gone")], "not accepted by a"),
        ([reported(0, "gone"), reported(0, "a")], "not accepted by a and gone"),
        ([reported(1, "a"), reported(0, "a", name="left")], ""),
        ([reported(1, "a", name="left")], "no controller has accepted it"),
        ([reported(1, "a", namespace="other")], "no controller has accepted it"),
        ([reported(1, "a", sectionName="one"), reported(0, "a", sectionName="two")], "not accepted by a"),
    ],
)
def test_what_a_controller_has_left_in_a_status_that_is_gone_or_of_a_gateway_that_was_left_does_not_count(
    reports: list[Json], lacks: str
) -> None:
    item = Route.parse({**route(), "status": {"parents": reports}})
    assert (observed(item), "" if observed(item) else unaccepted(item)) == (not lacks, lacks)


def test_with_the_owners_backends_testers_may_keep_the_canary() -> None:
    item = route({"matches": [match("/api")], "backendRefs": [ref("web", 3), ref("legacy")]})
    wanted = Wanted(Stage.OWN, Exposure(header=HEADER), mark=4)
    tested = written(written(item, Wanted(Stage.SPLIT, Exposure(Fraction(1, 4), HEADER))), wanted)
    assert state(Route.parse(tested), VERSIONS) == (Stage.OWN, wanted)
    assert [backends(tested, number) for number in (0, 1)] == [{"web": 3, "legacy": 1}, {VERSIONS.canary: 1}]
    assert written(tested, wanted) == tested
    without = written(tested, Wanted(Stage.OWN))
    assert without["spec"] == item["spec"] and "annotations" not in without["metadata"]


@pytest.mark.parametrize(
    ("controllers", "seconds"),
    [
        ((), 5.0),
        (("traefik.io/gateway-controller",), 5.0),
        (("istio.io/gateway-controller", "networking.gke.io/gateway"), 60.0),
        (("gateway.k8s.aws/alb",), 60.0),
    ],
)
def test_a_status_of_a_load_balancer_of_a_cloud_is_far_ahead(controllers: tuple[str, ...], seconds: float) -> None:
    status = {"parents": [{"parentRef": {"name": "gw"}, "controllerName": name} for name in controllers]}
    assert settles(replace(Route.parse(route()), status=status), 5.0) == seconds
