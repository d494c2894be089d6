# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that copy requests to the canary, whose answers nobody gets. That they come and go with all else are laws of each kind of route
(test_httproute.py, test_virtualservice.py)."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.traffic import selector
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.copies import features
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    Exposure,
    Kept,
    Stage,
    Sticky,
    Unroutable,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.httproute import plan, state
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT, Can
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.route import Route
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.routers import ROUTERS
from tests.unit.traffic import test_virtualservice as istio
from tests.unit.traffic.release import BY, VERSIONS
from tests.unit.traffic.test_httproute import HEADER, Json, match, ref, route, written

ALONE = {"matches": [match()], "backendRefs": [ref("web")]}
FILTER = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}
MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit", "port": 80}}}


def copies(part: Any, **more: Any) -> Wanted:
    return Wanted(Stage.SPLIT, Exposure(mirror=Fraction(part), **more))


def mirrored(item: Json) -> Json:
    found: Json = item["spec"]["rules"][0]["filters"][-1]["requestMirror"]
    return found


@pytest.mark.parametrize(
    ("part", "amount"),
    [
        ("1/10", {"percent": 10}),
        ("1/1000", {"fraction": {"numerator": 1, "denominator": 1000}}),
        ("1", {}),
    ],
)
def test_a_part_of_the_requests_is_exact_and_all_of_them_need_no_number(part: str, amount: Json) -> None:
    backend = {"group": "", "kind": "Service", "name": VERSIONS.canary, "port": 80}
    after = written(route(ALONE), copies(part))
    assert mirrored(after) == {"backendRef": backend, **amount}
    assert [one["weight"] for one in after["spec"]["rules"][0]["backendRefs"]] == [1, 0]


def test_no_more_is_copied_than_the_owners_service_gets_of_a_rule() -> None:
    item = route({**ALONE, "backendRefs": [ref("web", 3), ref("legacy")], "filters": [FILTER]})
    after = written(item, copies("1/10"))
    assert mirrored(after)["fraction"] == {"numerator": 3, "denominator": 40}
    assert after["spec"]["rules"][0]["filters"][0] == FILTER


def test_whoever_asks_for_the_canary_by_a_header_is_not_copied_to_it() -> None:
    after = written(route(ALONE), copies("1/2", header=HEADER))
    assert [bool(rule.get("filters")) for rule in after["spec"]["rules"]] == [True, False]


@pytest.mark.parametrize(
    ("rule", "wanted", "said"),
    [
        (ALONE, Wanted(Stage.SPLIT, Exposure(Fraction(1, 20), mirror=Fraction(1, 10))), "no user gets by its share"),
        (ALONE, copies("1/10", sticky=Sticky(0, Fraction(0))), "no user gets by its share"),
        ({**ALONE, "filters": [MIRROR]}, copies("1/10"), "copies its requests already"),
        ({**ALONE, "filters": []}, copies("1/10"), "list of filters with nothing in it"),
        ({**ALONE, "filters": [FILTER] * 16}, copies("1/10"), "17 filters in a rule"),
        (ALONE, copies(Fraction(1, 2**31)), "larger number than a filter takes"),
        ({**ALONE, "backendRefs": [ref("web"), {**ref("web"), "port": 8080}]}, copies("1/10"), "the ports 80 and 8080"),
    ],
)
def test_what_cannot_be_is_refused_in_words(rule: Json, wanted: Wanted, said: str) -> None:
    with pytest.raises(Unroutable, match=said):
        written(route(rule), wanted)


def test_copies_of_the_owner_to_a_service_of_his_stay() -> None:
    item = route({**ALONE, "filters": [MIRROR]})
    after = written(item, Wanted(Stage.SPLIT, Exposure(Fraction(1, 20))))
    assert after["spec"]["rules"][0]["filters"] == [MIRROR] and written(after, Wanted(Stage.OWN)) == {
        **item,
        "metadata": {**item["metadata"], "generation": 3},
    }


def test_copies_that_somebody_has_put_back_are_seen_and_go() -> None:
    copying = written(route(ALONE), copies("1/10"))
    after = written(copying, Wanted(Stage.SPLIT, Exposure(Fraction(1, 20))))
    after["spec"]["rules"][0]["filters"] = copying["spec"]["rules"][0]["filters"]
    assert state(Route.parse(after), VERSIONS)[0] is Stage.CONTESTED
    assert "filters" not in written(after, Wanted(Stage.ISOLATED))["spec"]["rules"][0]


@pytest.mark.parametrize(
    "narrower", [{"percent": 0}, {"percent": 1}, {"fraction": {"numerator": 1, "denominator": 1000}}]
)
def test_where_all_was_copied_somebody_who_made_it_less_is_seen(narrower: Json) -> None:
    """All is written with no number, so that any number holds it."""
    after = written(route(ALONE), copies("1"))
    mirrored(after).update(narrower)
    assert state(Route.parse(after), VERSIONS)[0] is Stage.CONTESTED
    assert mirrored(written(after, copies("1"))).keys() == {"backendRef"}


@pytest.mark.parametrize("number", range(3))
def test_a_filter_of_ours_that_somebody_has_put_at_any_rule_is_seen(number: int) -> None:
    """Also at those that are ours: of a header, and for probes."""
    after = written(route(ALONE), Wanted(Stage.SPLIT, copies("1/5", header=HEADER).exposure, mark=1))
    copy = {"type": "RequestMirror", "requestMirror": mirrored(after)}
    rule = after["spec"]["rules"][number]
    rule["filters"] = [*rule.get("filters", ()), copy]
    assert state(Route.parse(after), VERSIONS)[0] is Stage.CONTESTED


def test_of_a_route_that_lost_its_annotation_the_filter_tells_how_much_is_copied() -> None:
    item = route({**ALONE, "backendRefs": [ref("web", 3), ref("legacy")]})
    lost = written(item, copies("1/10"))
    del lost["metadata"]["annotations"]
    assert state(Route.parse(lost), VERSIONS) == (Stage.LOST, copies("1/10"))
    assert written(lost, Wanted(Stage.OWN))["spec"]["rules"] == item["spec"]["rules"]
    # The owner's backends are back, and the filter is not gone.
    lost["spec"]["rules"][0]["backendRefs"] = item["spec"]["rules"][0]["backendRefs"]
    assert state(Route.parse(lost), VERSIONS)[0] is Stage.LOST
    assert written(lost, Wanted(Stage.OWN))["spec"]["rules"] == item["spec"]["rules"]


@pytest.mark.parametrize("mirror", [{"percent": -5}, {"percent": 500}, {"fraction": {"denominator": -1}}])
def test_whatever_a_filter_says_is_a_part_of_the_requests(mirror: Json) -> None:
    lost = written(route(ALONE), copies("1/10"))
    del lost["metadata"]["annotations"]
    backend = mirrored(lost)["backendRef"]
    lost["spec"]["rules"][0]["filters"][-1]["requestMirror"] = {"backendRef": backend, **mirror}
    assert 0 <= state(Route.parse(lost), VERSIONS)[1].exposure.mirror <= 1


def test_a_rule_that_a_probe_meets_shows_a_filter_before_any_users_rule_has_it() -> None:
    after = written(route(ALONE), Wanted(Stage.ISOLATED, warm=(VERSIONS.canary,), mark=1, copies=True))
    users, probe, mark = after["spec"]["rules"]
    assert "filters" not in users and probe["filters"][0]["type"] == "RequestMirror"
    assert mark["filters"][0]["type"] == "RequestRedirect"


def test_a_change_is_told_in_words() -> None:
    made = plan(Route.parse(route(ALONE)), VERSIONS, copies("1/10"), **BY)
    assert made is not None
    assert made.after == {"rule 0": f"{VERSIONS.stable} 1, {VERSIONS.canary} 0, a copy of 10 % to {VERSIONS.canary}"}


def test_what_is_kept_with_copies_is_read_by_no_release_before_them() -> None:
    kept = Kept("uid", VERSIONS, "9f2c", copies("1/10"), {})
    assert json.loads(kept.encode())["version"] == 2 and Kept.decode(kept.encode()) == kept
    again = Kept("uid", VERSIONS, "9f2c", Wanted(Stage.OWN, drained=copies("1/10").exposure), {})
    assert json.loads(again.encode())["version"] == 2 and Kept.decode(again.encode()) == again
    before = Kept("uid", VERSIONS, "9f2c", Wanted(Stage.SPLIT, Exposure(Fraction(1, 10))), {})
    assert json.loads(before.encode())["version"] == 1
    with pytest.raises(Unroutable, match=KEPT):
        Kept.decode(kept.encode().replace('"mirror":"1/10"', '"mirror":"2"'))


@pytest.mark.parametrize("member", ["weight", "mirror", "drawn", "most"])
@pytest.mark.parametrize(
    "text",
    [
        "1e10000000",
        "1e-2",
        "0.5",
        " 1/2",
        "-0",
        "1/0",
        pytest.param("9" * 10**6, id="a long one"),
        1,
        True,
        None,
        [],
        "٣/٤",
    ],
)
def test_a_share_that_nobody_wrote_so_is_refused_at_once(member: str, text: Any) -> None:
    sticky = Sticky(1, Fraction(1, 2), Fraction(1, 5))
    wanted = Wanted(Stage.SPLIT, Exposure(Fraction(1, 2), sticky=sticky, mirror=Fraction(1, 3)))
    data = json.loads(Kept("uid", VERSIONS, "9f2c", wanted, {}).encode())
    place = data if member in data else data["sticky"]
    assert member in place
    place[member] = text
    with pytest.raises(Unroutable, match=KEPT) as refused:
        Kept.decode(json.dumps(data))
    assert "By hand" in refused.value.remedy


@pytest.mark.parametrize(
    ("part", "needed"),
    [
        ("0", set()),
        ("1", {"HTTPRouteRequestMirror"}),
        ("1/10", {"HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror"}),
    ],
)
def test_a_class_has_to_say_what_is_needed_of_its_gateways(part: str, needed: set[str]) -> None:
    assert features(Exposure(mirror=Fraction(part))) == needed


def test_kinds_that_cannot_copy_do_not_say_that_they_do() -> None:
    assert {kind for kind, router in ROUTERS.items() if Can.MIRROR in router.can} == {"gateway_api", "istio"}
    wanted = copies("1/10")
    with pytest.raises(Unroutable, match="copies no requests"):
        selector.selected(wanted, VERSIONS)
    grpc = ROUTERS["gateway_api_grpc"]
    with pytest.raises(Unroutable, match="nothing says"):
        grpc.plan(grpc.parse(route({"backendRefs": [ref("web")]})), VERSIONS, wanted, **BY)


# A VirtualService.


def copied_by_istio(item: Json, part: str) -> Json:
    found: Json = istio.written(item, copies(part))["spec"]["http"][0]
    return found


def test_a_virtualservice_copies_in_per_cent_under_the_name_that_its_owner_uses() -> None:
    item = istio.service(istio.rule(istio.ref("web.shop.svc", 3), istio.ref("legacy", 1)))
    found = copied_by_istio(item, "1/10")
    assert found["mirror"] == {"host": f"{VERSIONS.canary}.shop.svc", "port": {"number": 80}}
    assert found["mirrorPercentage"] == {"value": 7.5}
    assert copied_by_istio(istio.service(istio.rule(istio.ref("web"))), "1")["mirrorPercentage"] == {"value": 100}


_AUDIT: Json = {"host": "audit"}


@pytest.mark.parametrize(
    ("there", "value"),
    [
        ("mirror", _AUDIT),
        ("mirrors", [{"destination": _AUDIT}]),
        ("mirrorPercentage", {"value": 5}),
        ("mirrorPercent", 5),
        ("mirror_percent", 5),
    ],
)
def test_a_rule_of_a_virtualservice_that_copies_already_is_refused(there: str, value: Any) -> None:
    item = istio.service(istio.rule(istio.ref("web"), **{there: value}))
    with pytest.raises(Unroutable, match="copies its requests already"):
        copied_by_istio(item, "1/10")
    assert istio.written(item, Wanted(Stage.SPLIT, Exposure(Fraction(1, 2))))["spec"]["http"][0][there] == value


@pytest.mark.parametrize("annotated", [True, False], ids=["edited", "lost"])
@pytest.mark.parametrize(
    "wanted", [Wanted(Stage.SPLIT, Exposure(Fraction(1, 20))), copies("1/10")], ids=["share", "copies"]
)
@pytest.mark.parametrize("others", [[], [{"destination": _AUDIT}]], ids=["alone", "beside others"])
def test_copies_to_a_version_that_somebody_writes_as_a_list_are_seen_and_go(
    annotated: bool, wanted: Wanted, others: list[Json]
) -> None:
    item = istio.service(istio.rule(istio.ref("web")))
    after = istio.written(item, wanted)
    after["spec"]["http"][0]["mirrors"] = [
        *others,
        {"destination": {"host": VERSIONS.canary}, "percentage": {"value": 5}},
    ]
    if not annotated:
        after["metadata"].pop("annotations")
    assert istio.state(istio.parse(after), VERSIONS)[0] is (Stage.CONTESTED if annotated else Stage.LOST)
    left = istio.written(after, Wanted(Stage.OWN))["spec"]["http"]
    assert left == [{**item["spec"]["http"][0], **({"mirrors": others} if others else {})}]


def test_a_rule_of_a_virtualservice_that_sends_to_two_ports_is_not_copied_to_one() -> None:
    other = {**istio.ref("web", 1), "destination": {"host": "web", "port": {"number": 8080}}}
    item = istio.service(istio.rule(istio.ref("web", 3), other))
    with pytest.raises(Unroutable, match="the ports 80 and 8080"):
        copied_by_istio(item, "1/10")


def test_of_a_virtualservice_that_lost_its_annotation_the_rule_tells_how_much_is_copied() -> None:
    item = istio.service(istio.rule(istio.ref("web", 3), istio.ref("legacy", 1)))
    lost = istio.written(item, copies("1/10"))
    del lost["metadata"]["annotations"]
    assert istio.state(istio.parse(lost), VERSIONS) == (Stage.LOST, copies("1/10"))
    lost["spec"]["http"][0]["route"] = item["spec"]["http"][0]["route"]
    assert istio.state(istio.parse(lost), VERSIONS)[0] is Stage.LOST
    assert istio.written(lost, Wanted(Stage.OWN))["spec"] == item["spec"]


def test_copies_of_a_virtualservice_that_somebody_has_put_back_are_seen() -> None:
    item = istio.service(istio.rule(istio.ref("web")))
    after = istio.written(item, Wanted(Stage.SPLIT, Exposure(Fraction(1, 20))))
    rule = copied_by_istio(item, "1/10")
    after["spec"]["http"][0].update(mirror=rule["mirror"], mirrorPercentage=rule["mirrorPercentage"])
    assert istio.state(istio.parse(after), VERSIONS)[0] is Stage.CONTESTED
