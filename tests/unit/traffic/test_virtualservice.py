# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of a VirtualService that is rewritten in place, over random ones."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    NOBODY,
    Exposure,
    Stage,
    Sticky,
    Unroutable,
    Versions,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import Header
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.route import kept_of
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.virtualservice import (
    check,
    check_beside,
    copies_to,
    named,
    parse,
    plan,
    reached,
    sends_to,
    state,
    unseen,
)
from tests.sim.patching import json_patch
from tests.unit.traffic.release import BY, VERSIONS, giving

Json = dict[str, Any]
HEADER = Header("X-Canary", "always")


def ref(host: str, weight: int | None = None, **more: Any) -> Json:
    weighed = {} if weight is None else {"weight": weight}
    return {"destination": {"host": host, "port": {"number": 80}, **more}, **weighed}


def rule(*refs: Json, prefix: str = "", **more: Any) -> Json:
    return {**({"match": [{"uri": {"prefix": prefix}}]} if prefix else {}), **more, "route": list(refs)}


def service(*rules: Json, annotations: Json | None = None, **spec: Any) -> Json:
    meta: Json = {"name": "web", "namespace": "shop", "uid": "uid-of-route", "generation": 1}
    if annotations:
        meta["annotations"] = annotations
    return {"metadata": meta, "spec": {"hosts": ["shop.example"], "gateways": ["gw"], "http": list(rules), **spec}}


def written(item: Json, wanted: Wanted, versions: Versions = VERSIONS) -> Json:
    """As the server would have it after the write, if there is one."""
    made = plan(parse(item), versions, wanted, **BY)
    if made is None:
        return item
    after: Json = json_patch(copy.deepcopy(item), made.operations)
    after["metadata"]["generation"] += after["spec"] != item["spec"]
    if not after["metadata"].get("annotations"):
        after["metadata"].pop("annotations", None)
    return after


def shares(one: Json) -> dict[str, Fraction]:
    """What each host gets of a rule, as Istio says: one alone all, of several those with a weight."""
    refs = one["route"]
    if len(refs) == 1:
        return {refs[0]["destination"]["host"]: Fraction(1)}
    whole, found = sum(each.get("weight", 0) for each in refs), dict[str, Fraction]()
    for each in refs:
        host = each["destination"]["host"]
        found[host] = found.get(host, Fraction(0)) + Fraction(each.get("weight", 0), whole)
    return {host: share for host, share in found.items() if share}


_HOSTS = st.sampled_from(["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"])
_OTHERS = st.sampled_from(["legacy", "web.other.svc.cluster.local", "web-old", "shop.example"])


@st.composite
def _rules(draw: st.DrawFn) -> list[Json]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        own = [draw(_HOSTS)] if number == 0 or draw(st.booleans()) else []
        hosts = own + draw(st.lists(_OTHERS, max_size=2, unique=True, min_size=0 if own else 1))
        refs = [ref(hosts[0])] if len(hosts) == 1 else [ref(host, draw(st.integers(1, 100))) for host in hosts]
        more = draw(st.sampled_from([{}, {"timeout": "5s", "retries": {"attempts": 2}}, {"name": f"rule-{number}"}]))
        found.append(rule(*refs, prefix=f"/{number}" if number or draw(st.booleans()) else "", **more))
    return found


_ROUTES = st.builds(
    lambda rules, annotations: service(*rules, annotations=annotations), _rules(), st.sampled_from([None, {"a": "b"}])
)
_WEIGHTS = st.fractions(0, 1, max_denominator=1000)
_HEADERS = st.sampled_from([None, HEADER])
_STICKY = st.builds(Sticky, st.integers(0, 3), st.fractions(0, 1, max_denominator=20))
_EXPOSURES = st.one_of(
    st.builds(Exposure, _WEIGHTS, _HEADERS, st.one_of(st.none(), _STICKY)),
    st.builds(lambda mirror, header: Exposure(header=header, mirror=mirror), _WEIGHTS, _HEADERS),
)
_MARKS, _WARM = st.sampled_from([None, 1, 7]), st.sampled_from([(), (VERSIONS.stable,), (VERSIONS.canary,)])
_WANTED = st.one_of(
    st.builds(Wanted, st.just(Stage.SPLIT), _EXPOSURES, _WARM, _MARKS),
    st.builds(Wanted, st.just(Stage.ISOLATED), st.just(NOBODY), _WARM, _MARKS),
    st.builds(
        Wanted,
        st.just(Stage.OWN),
        st.builds(Exposure, st.just(Fraction(0)), st.sampled_from([None, HEADER])),
        _WARM,
        _MARKS,
    ),
)
_MANY = st.lists(_WANTED, min_size=1, max_size=5)


@given(_ROUTES, _MANY)
def test_what_was_wanted_is_so_and_nothing_is_left_to_write(item: Json, every: list[Wanted]) -> None:
    after = item
    for wanted in every:
        after = written(after, wanted)
        found = parse(after)
        assert state(found, VERSIONS) == (wanted.stage, Wanted(Stage.OWN) if wanted.nothing else wanted)
        assert plan(found, VERSIONS, wanted, **BY) is None
        assert sends_to(found, VERSIONS.own) is (wanted.stage is Stage.OWN)


@given(_ROUTES, _MANY)
def test_whatever_was_written_the_owners_route_comes_back_as_it_was(item: Json, every: list[Wanted]) -> None:
    after = item
    for wanted in every:
        after = written(after, wanted)
    back = written(after, Wanted(Stage.OWN))
    back["metadata"]["generation"] = 1
    assert back == item


@given(_ROUTES, _WANTED)
def test_every_other_destination_keeps_its_share_and_other_rules_stay_where_they_are(
    item: Json, wanted: Wanted
) -> None:
    after = written(item, wanted)
    header = [{"exact": "always"}]
    users = [
        one
        for one in after["spec"]["http"]
        if not any({"x-coalmine-probe", "cookie"} & match.get("headers", {}).keys() for match in one.get("match", ()))
        and [match.get("headers", {}).get("x-canary") for match in one.get("match", ())] != header
    ]
    assert len(users) == len(item["spec"]["http"])
    for was, now in zip(item["spec"]["http"], users, strict=True):
        own = [host for host in shares(was) if host.split(".")[0] == "web" and host.split(".")[1:2] in ([], ["shop"])]
        if not own:
            assert now == was
            continue
        copies = {"mirror", "mirrorPercentage"} if wanted.exposure.mirror else set[str]()
        assert now.keys() - was.keys() == copies
        assert {**now, "route": None} == {**was, **{name: now[name] for name in copies}, "route": None}
        wanted_shares = {host: share for host, share in shares(was).items() if host not in own}
        if wanted.stage is Stage.OWN:
            assert now == was
            continue
        part = wanted.exposure.weight if wanted.stage is Stage.SPLIT else Fraction(0)
        for host in own:
            rest = host[len("web") :]
            for name, share in ((VERSIONS.stable, 1 - part), (VERSIONS.canary, part)):
                if share and shares(was)[host]:
                    wanted_shares[name + rest] = shares(was)[host] * share
        assert shares(now) == wanted_shares


@given(_ROUTES, _WANTED, st.randoms(use_true_random=False))
def test_every_state_has_an_answer_whatever_somebody_took_away(item: Json, wanted: Wanted, chance: Any) -> None:
    after = written(item, wanted)
    rules = after["spec"]["http"]
    rules.pop(chance.randrange(len(rules)))
    if chance.random() < 0.5:
        after["metadata"].pop("annotations", None)
    assert isinstance(state(parse(after), VERSIONS)[0], Stage)


@given(_ROUTES, _WEIGHTS)
def test_without_its_annotation_the_destinations_tell_the_share_and_the_owner_gets_it_back(
    item: Json, weight: Fraction
) -> None:
    wanted = Wanted(Stage.SPLIT, Exposure(weight), mark=2)
    lost = written(item, wanted)
    lost["metadata"].pop("annotations")
    stage, told = state(parse(lost), VERSIONS)
    assert stage is Stage.LOST and told == Wanted(Stage.SPLIT, Exposure(weight))
    back = written(lost, Wanted(Stage.OWN))
    for was, now in zip(item["spec"]["http"], back["spec"]["http"], strict=True):
        assert {**now, "route": None} == {**was, "route": None} and shares(now) == shares(was)


def test_probes_come_first_and_the_copy_for_a_header_right_before_its_rule() -> None:
    api = rule(ref("web.shop"), prefix="/api", name="api", timeout="5s")
    item = service(rule(ref("legacy"), prefix="/old"), api)
    after = written(item, Wanted(Stage.SPLIT, Exposure(Fraction(1, 20), HEADER), (VERSIONS.canary,), 7))
    match = {"uri": {"exact": "/.coalmine-canary/9f2c"}}
    assert after["spec"]["http"] == [
        {
            "match": [{**match, "headers": {"x-coalmine-probe": {"exact": f"9f2c-{VERSIONS.canary}-80"}}}],
            "route": [{"destination": {"host": f"{VERSIONS.canary}.shop", "port": {"number": 80}}}],
        },
        {
            "match": [{**match, "headers": {"x-coalmine-probe": {"exact": "9f2c"}}}],
            "redirect": {"authority": "g7.canary.invalid", "redirectCode": 302},
        },
        rule(ref("legacy"), prefix="/old"),
        {
            "match": [{"uri": {"prefix": "/api"}, "headers": {"x-canary": {"exact": "always"}}}],
            "timeout": "5s",
            "route": [ref(f"{VERSIONS.canary}.shop")],
        },
        {**api, "route": [ref(f"{VERSIONS.stable}.shop", 95), ref(f"{VERSIONS.canary}.shop", 5)]},
    ]
    kept = kept_of(parse(after))
    assert kept is not None and reached(kept, parse(after)) == [(VERSIONS.canary, 80)]


def test_weights_stay_per_cent_where_they_can() -> None:
    after = written(service(rule(ref("web", 60), ref("legacy", 40))), Wanted(Stage.SPLIT, Exposure(Fraction(1, 5))))
    assert [one["weight"] for one in after["spec"]["http"][0]["route"]] == [48, 12, 40]


def test_somebody_elses_rule_before_ours_is_contested_and_kept() -> None:
    item = service(rule(ref("web")))
    after = written(item, Wanted(Stage.SPLIT, Exposure(Fraction(1, 4)), mark=2))
    theirs = rule(ref("legacy"), prefix="/new")
    after["spec"]["http"].insert(0, theirs)
    assert state(parse(after), VERSIONS)[0] is Stage.CONTESTED
    back = written(after, Wanted(Stage.OWN))
    assert back["spec"]["http"] == [theirs, rule(ref("web"))]


def test_one_from_which_somebody_took_the_service_tells_how_it_comes_back() -> None:
    after = written(service(rule(ref("web"))), Wanted(Stage.ISOLATED, mark=1))
    after["spec"]["http"] = [rule(ref("sorry"))]
    with pytest.raises(Unroutable, match="no http rule of it sends to Service web") as refused:
        written(after, Wanted(Stage.ISOLATED, mark=2))
    assert refused.value.remedy.startswith("Let it send to Service web again (kubectl edit virtualservice web)")


_HEADED = {"match": [{"headers": {"x-canary": {"prefix": "a"}}}], "route": [ref("web")]}


@pytest.mark.parametrize(
    ("item", "exposure", "said"),
    [
        (service(rule(ref("api"))), NOBODY, "no http rule of it sends to Service web"),
        (service(rule(ref("web.elsewhere"))), NOBODY, "no http rule of it sends to Service web"),
        (
            service(rule(ref("web")), tcp=[{"route": [ref("web.shop")]}]),
            NOBODY,
            "a tls or tcp route of it sends to Service web",
        ),
        (service(rule(ref("web", subset="v1"))), NOBODY, "names the subset v1 of Service web"),
        (service(_HEADED), Exposure(header=HEADER), "matches the header x-canary already"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_written(item: Json, exposure: Exposure, said: str) -> None:
    with pytest.raises(Unroutable, match=said):
        check(parse(item), VERSIONS, exposure, True)
    with pytest.raises(Unroutable, match=said):
        plan(parse(item), VERSIONS, Wanted(Stage.SPLIT, giving(exposure)), **BY)


def test_a_host_is_a_service_in_each_of_its_forms_and_only_of_its_own_namespace() -> None:
    hosts = ("web", "api.shop", "old.shop.svc.cluster.local", "other.elsewhere", "shop.example")
    assert named(parse(service(*(rule(ref(host)) for host in hosts)))) == {"web", "api", "old"}


@pytest.mark.parametrize(
    ("gateways", "of_a_match", "whose"),
    [
        (["gw"], None, ""),
        (["gw", "mesh"], None, "the sidecars of its mesh"),
        (["gw"], ["mesh"], "the sidecars of its mesh"),
        (["edge/mesh"], ["gw"], ""),
        ([], None, "the sidecars of its mesh"),
        (None, None, "the sidecars of its mesh"),
    ],
)
def test_a_mesh_has_sidecars_of_which_no_gateway_says_anything(
    gateways: list[str] | None, of_a_match: list[str] | None, whose: str
) -> None:
    matches = [{"uri": {"prefix": "/"}, "gateways": of_a_match}]
    assert unseen(parse(service(rule(ref("web"), match=matches), gateways=gateways))) == whose


@pytest.mark.parametrize("protocol", ["tls", "tcp"])
def test_one_that_sends_by_a_tls_or_tcp_route_alone_is_found_and_refused(protocol: str) -> None:
    route = parse(service(**{protocol: [{"route": [ref("web.shop")]}]}))
    assert named(route) == {"web"}
    with pytest.raises(Unroutable, match="a tls or tcp route of it sends to Service web"):
        check(route, VERSIONS, NOBODY, True)


_OTHER = {"hosts": ["shop.example"], "gateways": ["shop/gw"]}
_ANY, _API = rule(ref("web")), rule(ref("web"), prefix="/api")


@pytest.mark.parametrize(
    ("mine", "other", "refused"),
    [
        (_ANY, {}, True),
        (rule(ref("web"), prefix="/"), {}, True),
        (rule(ref("web"), match=[{"uri": {"regex": ".*"}, "port": 80}]), {}, True),
        (rule(ref("web"), match=[{"uri": {"prefix": "/api"}}, {"gateways": ["gw"]}]), {}, True),
        (_API, {}, False),
        (rule(ref("web"), match=[{"uri": {"prefix": "/"}, "method": {"exact": "GET"}}]), {}, False),
        (rule(ref("web"), match=[{"queryParams": {"a": {"exact": "b"}}}]), {}, False),
        (rule(ref("api")), {}, False),
        (_ANY, {"hosts": ["else.example"]}, False),
        (_ANY, {"gateways": ["elsewhere/gw"]}, False),
        (_ANY, {"gateways": ["./gw"]}, True),
        (_ANY, {"gateways": None}, False),
    ],
)
@pytest.mark.parametrize("taken", [True, False])
def test_a_copy_of_a_rule_for_everybody_is_refused_beside_another_of_the_same_host(
    mine: Json, other: Json, refused: bool, taken: bool
) -> None:
    item = service(rule(ref("legacy"), prefix="/old"), **{**_OTHER, **other})
    item["metadata"].update({"name": "old", "uid": "another"})
    route, beside = parse(service(mine, _API)), parse(item)
    routes, others = ([route, beside], []) if taken else ([route], [beside])
    check_beside(route, routes, others, "web", NOBODY)
    if not refused:
        check_beside(route, routes, others, "web", Exposure(header=HEADER))
        return
    with pytest.raises(
        Unroutable, match='VirtualService "old" has a host and a gateway of it, too, and a rule of "web"'
    ):
        check_beside(route, routes, others, "web", Exposure(header=HEADER))


@pytest.mark.parametrize(
    ("copies", "found"),
    [
        ({"mirror": {"host": "web.shop.svc.cluster.local"}}, True),
        ({"mirrors": [{"destination": {"host": "old"}}, {"destination": {"host": "web"}}]}, True),
        ({"mirror": {"host": "web.other"}}, False),
    ],
)
def test_a_rule_of_its_owner_that_copies_to_a_service_is_found(copies: Json, found: bool) -> None:
    assert copies_to(parse(service(rule(ref("old"), **copies))), "web") is found


def test_a_rule_for_everybody_counts_as_its_owner_wrote_it() -> None:
    item = service(rule(ref("legacy"), prefix="/old"))
    item["metadata"].update({"name": "old", "uid": "another"})
    split = parse(written(service(_ANY), Wanted(Stage.SPLIT, Exposure(Fraction(1, 4)), mark=2)))
    with pytest.raises(Unroutable, match="that matches every request"):
        check_beside(split, [split], [parse(item)], "web", Exposure(header=HEADER))


def test_a_rule_that_its_owner_renames_keeps_each_destination() -> None:
    refs = [ref("web", 3, port={"number": 81}), ref("web", 100, headers={"a": "b"}), ref("other", 2)]
    after = written(service(rule(*refs, prefix="/a")), Wanted(Stage.SPLIT, Exposure(Fraction(1, 20))))
    (found,) = [one for one in after["spec"]["http"] if len(one["route"]) > 1]
    found["match"] = [{"uri": {"prefix": "/b"}}]
    assert written(after, Wanted(Stage.OWN))["spec"]["http"] == [rule(*refs, prefix="/b")]


def test_one_of_another_release_is_left_alone() -> None:
    after = written(service(rule(ref("web"))), Wanted(Stage.ISOLATED, mark=1))
    with pytest.raises(Unroutable, match="release of another Deployment"):
        plan(parse(after), VERSIONS, Wanted(Stage.OWN), owner="another", token="x")
