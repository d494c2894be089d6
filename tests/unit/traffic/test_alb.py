# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of an Ingress of the AWS Load Balancer Controller that is rewritten in place, over random ones."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.alb import (
    check,
    check_service,
    named,
    parse,
    plan,
    reached,
    sends_to,
    state,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    NOBODY,
    Exposure,
    Stage,
    Sticky,
    Unroutable,
    Versions,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT, Header
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.route import kept_of
from tests.sim.alb import action_of, conditions_of, in_order
from tests.sim.patching import json_patch
from tests.unit.traffic.release import BY, VERSIONS, giving

Json = dict[str, Any]
HEADER = Header("x-canary", "always")
P = "alb.ingress.kubernetes.io/"
BY_IP = {f"{P}target-type": "ip"}


def path(name: str, at: str = "/", port: Any = 80, kind: str = "Prefix") -> Json:
    said = {"number": port} if isinstance(port, int) else {"name": port}
    return {"path": at, "pathType": kind, "backend": {"service": {"name": name, "port": said}}}


def forward(*groups: tuple[str, int], **more: Any) -> str:
    """As people write it: with a port as a text, and with capitals."""
    targets = [{"ServiceName": name, "servicePort": "80", "weight": weight} for name, weight in groups]
    return json.dumps({"Type": "forward", "forwardConfig": {"targetGroups": targets, **more}}, indent=1)


def ingress(*paths: Json, annotations: Json | None = None, host: str = "shop.example", **spec: Any) -> Json:
    said = {**BY_IP, **(annotations or {})}
    meta = {"name": "web", "namespace": "shop", "uid": "uid-of-route", "resourceVersion": "7", "annotations": said}
    rules = [{**({"host": host} if host else {}), "http": {"paths": list(paths)}}]
    return {"metadata": meta, "spec": {"ingressClassName": "alb", "rules": rules, **spec}}


def written(item: Json, wanted: Wanted, versions: Versions = VERSIONS) -> Json:
    """As the server would have it after the write, if there is one."""
    made = plan(parse(item), versions, wanted, **BY)
    return item if made is None else json_patch(copy.deepcopy(item), made.operations)


def served(item: Json, at: str, headers: Json | None = None) -> dict[str, Fraction]:
    """What part of the requests for a path each Service gets: of the first rule that matches."""
    annotations, asked = item["metadata"].get("annotations") or {}, headers or {}
    for one in in_order(item):
        exact = one["pathType"] == "Exact"
        fits = at == one["path"] if exact else at.startswith(one["path"])
        conditions = conditions_of(one, annotations)
        if fits and all(asked.get(each["httpHeaderName"]) in each["values"] for each in conditions):
            action = action_of(one, annotations)
            assert action is not None, f"no action for {one}"
            groups = {key.lower(): value for key, value in action.items()}["forwardconfig"]["targetGroups"]
            named = [(group.get("serviceName") or group["ServiceName"], group["weight"]) for group in groups]
            whole = sum(weight for _name, weight in named)
            return {name: Fraction(weight, whole) for name, weight in named if weight}
    return {}


@st.composite
def _ingresses(draw: st.DrawFn) -> Json:
    """Paths of the Service itself, of an action that sends to it among others, of another Service, and of a redirect."""
    groups = [("web", draw(st.integers(1, 9))), *draw(st.sampled_from([[], [("legacy", 3)]]))]
    more = draw(st.sampled_from([{}, {"targetGroupStickinessConfig": {"enabled": True, "durationSeconds": 60}}]))
    redirect = json.dumps({"type": "redirect", "redirectConfig": {"port": "443", "statusCode": "HTTP_301"}})
    annotations = {f"{P}actions.split": forward(*groups, **more), f"{P}actions.to-tls": redirect}
    annotations |= draw(st.sampled_from([{}, {f"{P}conditions.web": json.dumps([
        {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "x-team", "values": ["a"]}}])}]))  # fmt: skip
    by_annotation = [path("split", "/s", "use-annotation"), path("to-tls", "/t", "use-annotation")]
    others = st.sampled_from([path("web", "/w"), path("legacy", "/l"), *by_annotation])
    every = draw(st.lists(others, max_size=4, unique_by=lambda one: one["path"]))
    first = draw(
        st.sampled_from([path("web", "/"), path("split", "/", "use-annotation"), path("web", "/x", kind="Exact")])
    )
    return ingress(*every, first, annotations=annotations, host=draw(st.sampled_from(["", "shop.example"])))


_WEIGHTS = st.fractions(0, 1, max_denominator=50)
_MARKS, _WARM = st.sampled_from([None, 1, 7]), st.sampled_from([(), (VERSIONS.stable,), (VERSIONS.canary,)])
_HEADERS = st.sampled_from([None, HEADER])
_WANTED = st.one_of(
    st.builds(Wanted, st.just(Stage.SPLIT), st.builds(Exposure, _WEIGHTS, _HEADERS), _WARM, _MARKS),
    st.builds(Wanted, st.just(Stage.ISOLATED), st.just(NOBODY), _WARM, _MARKS),
    st.builds(Wanted, st.just(Stage.OWN), st.builds(Exposure, st.just(Fraction(0)), _HEADERS), _WARM, _MARKS),
)
_MANY = st.lists(_WANTED, min_size=1, max_size=5)


@given(_ingresses(), _MANY)
def test_what_was_wanted_is_so_and_nothing_is_left_to_write(item: Json, every: list[Wanted]) -> None:
    after = item
    for wanted in every:
        after = written(after, wanted)
        found = parse(after)
        assert state(found, VERSIONS) == (wanted.stage, Wanted(Stage.OWN) if wanted.nothing else wanted)
        assert plan(found, VERSIONS, wanted, **BY) is None
        assert sends_to(found, VERSIONS.own) is (wanted.stage is Stage.OWN)
        assert sends_to(found, VERSIONS.stable) is (wanted.stage is not Stage.OWN)


@given(_ingresses(), _MANY)
def test_whatever_was_written_the_owners_ingress_comes_back_as_it_was(item: Json, every: list[Wanted]) -> None:
    after = item
    for wanted in every:
        after = written(after, wanted)
    assert written(after, Wanted(Stage.OWN)) == item


@given(_ingresses(), _WANTED, st.sampled_from([{}, {"x-team": "a"}]))
def test_every_path_gets_its_share_and_others_keep_theirs(item: Json, wanted: Wanted, headers: Json) -> None:
    after = written(item, wanted)
    weight = wanted.exposure.weight if wanted.stage is Stage.SPLIT else Fraction(0)
    asked = {**headers, HEADER.name: HEADER.value}
    for at in ("/", "/w", "/s", "/l", "/x"):
        was = served(item, at, headers) if at != "/t" else {}
        own, now = was.get("web", Fraction(0)), served(after, at, headers)
        assert {name: part for name, part in now.items() if name == "legacy"} == {
            name: part for name, part in was.items() if name == "legacy"
        }
        assert now.get(VERSIONS.canary, 0) == own * weight
        assert now.get(VERSIONS.own if wanted.stage is Stage.OWN else VERSIONS.stable, 0) == own * (1 - weight)
        if own and wanted.exposure.header is not None:
            assert served(after, at, asked) == {VERSIONS.canary: 1}
        elif not own:
            assert served(after, at, asked) == was


@given(_ingresses(), _WANTED, st.booleans(), st.booleans(), st.booleans())
def test_every_state_has_an_answer_whatever_somebody_took_away(
    item: Json, wanted: Wanted, puts_back: bool, loses: bool, cuts: bool
) -> None:
    after = copy.deepcopy(written(item, wanted))
    if puts_back:
        after["spec"] = copy.deepcopy(item["spec"])
    if loses:
        after["metadata"]["annotations"].pop(KEPT, None)
    if cuts:
        after["metadata"]["annotations"].pop(f"{P}actions.coalmine-canary-stable-0", None)
    assert isinstance(state(parse(after), VERSIONS)[0], Stage)
    back = written(after, Wanted(Stage.OWN))
    for at in ("/", "/w", "/s", "/l", "/x"):
        assert served(back, at) == served(item, at)
    assert "coalmine" not in json.dumps(back)
    if not loses:
        assert back == item


def test_the_shape_is_that_of_the_controller() -> None:
    after = written(ingress(path("web"), host=""), Wanted(Stage.SPLIT, Exposure(Fraction(1, 20), HEADER), mark=3))
    said = after["metadata"]["annotations"]
    group = {"servicePort": 80}
    assert json.loads(said[f"{P}actions.web"]) == {"type": "forward", "forwardConfig": {"targetGroups": [
        {**group, "serviceName": VERSIONS.stable, "weight": 19}, {**group, "serviceName": VERSIONS.canary, "weight": 1}]}}  # fmt: skip
    assert json.loads(said[f"{P}actions.coalmine-canary-mark"])["redirectConfig"]["host"] == "g3.canary.invalid"
    assert json.loads(said[f"{P}conditions.coalmine-canary-header-0"]) == [
        {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "x-canary", "values": ["always"]}}
    ]
    first, second = after["spec"]["rules"]
    assert {one["path"] for one in first["http"]["paths"]} == {"/.coalmine-canary/9f2c"}
    names = [one["backend"]["service"] for one in second["http"]["paths"]]
    assert names == [
        {"name": "coalmine-canary-header-0", "port": {"name": "use-annotation"}},
        {"name": "web", "port": {"name": "use-annotation"}},
    ]


def test_the_owners_service_keeps_its_target_group_and_each_one_of_several_ports_is_reached() -> None:
    one = json.dumps(
        {"type": "forward", "forwardConfig": {"targetGroups": [{"serviceName": "web", "servicePort": "http"}]}}
    )
    item = ingress(path("web", "/a"), path("named", "/b", "use-annotation"), annotations={f"{P}actions.named": one})
    after = written(item, Wanted(Stage.ISOLATED, warm=(VERSIONS.stable,)))
    kept = kept_of(parse(after))
    assert kept is not None and reached(kept, parse(after)) == [(VERSIONS.stable, 0), (VERSIONS.stable, 1)]
    probed = [served(after, "/.coalmine-canary/9f2c", {"x-coalmine-probe": f"9f2c-{name}-{n}"})
              for name in (VERSIONS.own, VERSIONS.stable) for n in (0, 1)]  # fmt: skip
    assert probed == [{VERSIONS.own: 1}, {VERSIONS.own: 1}, {VERSIONS.stable: 1}, {VERSIONS.stable: 1}]


def test_every_process_numbers_the_same_port_as_a_number_and_as_a_text_alike() -> None:
    numbers = range(80, 88)
    texts = {f"{P}actions.a{port}": groups(f'[{{"serviceName": "web", "servicePort": "{port}"}}, {{"serviceName": "web", "servicePort": {port}}}]')
             for port in numbers}  # fmt: skip
    item = ingress(*(path(f"a{port}", f"/{port}", "use-annotation") for port in numbers), annotations=texts)
    said = written(item, Wanted(Stage.ISOLATED))["metadata"]["annotations"]
    actions = [json.loads(said[f"{P}actions.coalmine-canary-own-{n}"]) for n in range(2 * len(numbers))]
    ports = [action["forwardConfig"]["targetGroups"][0]["servicePort"] for action in actions]
    assert ports == [one for port in numbers for one in (port, str(port))]


def test_where_everybody_gets_the_canary_nobody_is_kept_at_pods_that_go() -> None:
    sticky = {"targetGroupStickinessConfig": {"enabled": True, "durationSeconds": 60}}
    item = ingress(
        path("split", "/", "use-annotation"), annotations={f"{P}actions.split": forward(("web", 1), **sticky)}
    )
    for weight, kept in ((Fraction(1, 2), True), (Fraction(1), False)):
        after = written(item, Wanted(Stage.SPLIT, Exposure(weight)))
        assert ("Stickiness" in after["metadata"]["annotations"][f"{P}actions.split"]) is kept


@pytest.mark.parametrize(
    ("item", "exposure", "said"),
    [
        (ingress(path("api")), NOBODY, "no path of it sends to Service web"),
        (ingress(path("web"), defaultBackend=path("web")["backend"]), NOBODY, "its defaultBackend sends to Service web"),
        (ingress(path("web"), path("web", "/b", 81)), NOBODY, "in several ways"),
        (ingress(path("web"), annotations={f"{P}actions.web": forward(("web", 1))}), NOBODY, "in several ways"),
        (ingress(path("web")), Exposure(Fraction(1, 2000)), "larger number than 999"),
        (ingress(path("web")), Exposure(sticky=Sticky(0, Fraction(0))), "has one cookie for all its rules"),
        (ingress(path("web")), Exposure(header=Header("x-canary", "a*")), "of which \\*"),
        (ingress(path("web")), Exposure(header=Header("x" * 41, "a")), "40 characters"),
        (
            ingress(path("web", "/a"), annotations={f"{P}conditions.web": json.dumps([
                {"field": "query-string", "queryStringConfig": {"values": [{"value": "a"}, {"value": "b"}]}}])}),
            Exposure(header=HEADER),
            "would compare 6 values",
        ),
        (ingress(path("web"), annotations={f"{P}conditions.web": "{"}), Exposure(header=HEADER), "no list"),
        (
            ingress(path("split", "/", "use-annotation"), annotations={f"{P}actions.split": forward(*[("web", 1), *[(f"s{n}", 1) for n in range(4)]])}),
            Exposure(Fraction(1, 2)),
            "6 target groups",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_before_anything_is_written(item: Json, exposure: Exposure, said: str) -> None:
    with pytest.raises(Unroutable, match=said):
        check(parse(item), VERSIONS, exposure, True)
    with pytest.raises(Unroutable, match=said):
        plan(parse(item), VERSIONS, Wanted(Stage.SPLIT, giving(exposure)), **BY)


def test_an_ingress_of_another_controller_is_refused() -> None:
    item = ingress(path("web"))
    item["metadata"]["annotations"], item["spec"]["ingressClassName"] = (
        {"nginx.ingress.kubernetes.io/affinity": "cookie"},
        "nginx",
    )
    with pytest.raises(Unroutable, match="nothing of it says that the AWS Load Balancer Controller serves it"):
        check(parse(item), VERSIONS, NOBODY, True)


@pytest.mark.parametrize(
    ("annotations", "kind", "of_route", "said"),
    [
        ({}, "ClusterIP", {}, ""),
        ({}, "NodePort", {f"{P}target-type": "ip"}, ""),
        ({f"{P}target-type": "ip"}, "NodePort", {f"{P}target-type": "instance"}, ""),
        ({}, "NodePort", {f"{P}scheme": "internal"}, "may send to nodes"),
        ({f"{P}target-type": "instance"}, "ClusterIP", {f"{P}target-type": "ip"}, "may send to nodes"),
        ({f"{P}auth-type": "oidc"}, "ClusterIP", {}, "who they are"),
    ],
)
def test_a_service_has_copies_where_the_controller_sends_to_pods_and_asks_nobody_who_he_is(
    annotations: Json, kind: str, of_route: Json, said: str
) -> None:
    item = ingress(path("web"))
    item["metadata"]["annotations"] = of_route
    service = {"metadata": {"name": "web", "annotations": annotations}, "spec": {"type": kind}}
    if not said:
        check_service(service, [parse(item)])
        return
    with pytest.raises(Unroutable, match=said):
        check_service(service, [parse(item)])


def groups(said: str) -> str:
    return f'{{"type": "forward", "forwardConfig": {{"targetGroups": {said}}}}}'


def weighing(weight: str) -> str:
    return groups(f'[{{"serviceName": "web", "servicePort": 80, "weight": {weight}}}]')


UNREADABLE = [
    "{", "[]", "[" * 100_000, "[" * 500 + "]" * 500, '{"type": "forward"}', '{"type": "forward", "targetGroupARN": "arn"}', groups("7"),
    *map(weighing, ("-1", "1000", "1e999", "Infinity", "NaN", "1.7", "1.0", "true", "[]", '"3"', "9" * 5000)),
    *(groups(f'[{{"serviceName": "web", "servicePort": {port}}}]') for port in ("[1]", "[]", "true", "1.5", "{}")),
    *(groups(f'[{{"serviceName": {name}}}]') for name in ('["web"]', "[]", "{}", "7", "false", '"\\ud800"')),
    groups('[{"targetGroupARN": {}}]'),
]  # fmt: skip


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: text[:50])
def test_an_action_that_forwards_nowhere_or_cannot_be_read_names_no_service_and_keeps_nothing_from_a_release(
    text: str,
) -> None:
    by_it = path("a", "/", "use-annotation")
    assert named(parse(ingress(by_it, annotations={f"{P}actions.a": text}))) == frozenset()
    beside = ingress(path("web", "/w"), by_it, annotations={f"{P}actions.a": text, f"{P}actions.unused": text})
    split = written(beside, Wanted(Stage.SPLIT, Exposure(Fraction(1, 2), HEADER), mark=1))
    assert state(parse(split), VERSIONS)[0] is Stage.SPLIT
    assert written(split, Wanted(Stage.OWN)) == beside


@pytest.mark.parametrize("said", ["", ', "weight": null', ', "weight": 1'])
def test_a_target_group_without_a_weight_has_one(said: str) -> None:
    text = groups(f'[{{"serviceName": "web", "servicePort": 80{said}}}]')
    after = written(
        ingress(path("a", "/", "use-annotation"), annotations={f"{P}actions.a": text}),
        Wanted(Stage.SPLIT, Exposure(Fraction(1, 4))),
    )
    assert served(after, "/") == {VERSIONS.stable: Fraction(3, 4), VERSIONS.canary: Fraction(1, 4)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, "is no list") for text in ("{", "5", "[5]", "null", '{"a": 1}', "[" * 100_000, "[" * 500 + "]" * 500)),
        ('[{"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "a", "values": 5}}]', ""),
        ('[{"field": "http-header", "httpHeaderConfig": {"values": {"a": 1}}}]', ""),
        ('[{"field": 5, "httpHeaderConfig": null}]', ""),
    ],
    ids=lambda text: text[:50],
)
def test_conditions_of_whatever_shape_are_added_to_or_refused(text: str, said: str) -> None:
    item = ingress(path("web"), annotations={f"{P}conditions.web": text})
    if said:
        with pytest.raises(Unroutable, match=said):
            check(parse(item), VERSIONS, Exposure(header=HEADER), True)
        return
    check(parse(item), VERSIONS, Exposure(header=HEADER), True)
    after = written(item, Wanted(Stage.SPLIT, Exposure(Fraction(0), HEADER)))
    first, *_rest = json.loads(after["metadata"]["annotations"][f"{P}conditions.coalmine-canary-header-0"])
    assert [first] == json.loads(text)


WEB = "shop.example Prefix /"


@pytest.mark.parametrize(
    "rules",
    [
        {WEB: []}, {WEB: {}}, {WEB: [path("web")["backend"]] * 2}, {WEB: [{}]}, {WEB: [{"service": 5}]}, {WEB: [{"service": {"port": {}}}]},
        {WEB: [{"service": {"name": "", "port": {"number": 80}}}]}, {WEB: [{"service": {"name": "web", "port": 5}}]}, {WEB: [{"text": "{}"}]},
        {f"{P}actions.web": [{}]}, {f"{P}actions.web": [{"text": None}]}, {f"{P}actions.web": [{"text": 5}]},
        {f"{P}actions.web": [path("web")["backend"]]},
    ],
    ids=lambda rules: json.dumps(rules)[:50],
)  # fmt: skip
def test_what_was_kept_in_another_shape_is_never_guessed_at(rules: Json) -> None:
    item = written(ingress(path("web")), Wanted(Stage.ISOLATED))
    kept = json.loads(item["metadata"]["annotations"][KEPT])
    item["metadata"]["annotations"][KEPT] = json.dumps({**kept, "rules": rules})
    for ask in (lambda: state(parse(item), VERSIONS), lambda: written(item, Wanted(Stage.OWN))):
        with pytest.raises(Unroutable, match="none that this release of"):
            ask()


def deleted(item: Json, *keys: str) -> Json:
    said = {key: text for key, text in item["metadata"]["annotations"].items() if not key.startswith(keys)}
    return {**item, "metadata": {**item["metadata"], "annotations": said}}


@given(_ingresses(), _WANTED, st.sampled_from([("web",), ("split",), ("web", "split"), ("",)]))
def test_an_action_that_somebody_deleted_comes_back_with_what_was_kept(
    item: Json, wanted: Wanted, names: tuple[str, ...]
) -> None:
    split = written(item, wanted)
    if wanted.nothing:
        return
    there = {f"{P}actions.to-tls": item["metadata"]["annotations"][f"{P}actions.to-tls"]}
    after = deleted(split, *(f"{P}actions.{name}" for name in names))
    after["metadata"]["annotations"].update(there)
    if names == ("",) and wanted.stage is not Stage.OWN:
        assert state(parse(after), VERSIONS)[0] is Stage.CONTESTED
    for users in {path(at)["path"] for at in ("/", "/w", "/s", "/l", "/x")}:
        assert served(written(after, wanted), users, {"x-team": "a"}) == served(split, users, {"x-team": "a"})
        assert served(written(after, Wanted(Stage.OWN)), users) == served(item, users)


def test_a_path_by_an_action_of_somebody_else_that_is_not_there_stays_as_it_is() -> None:
    split = written(ingress(path("web"), path("web", "/b")), Wanted(Stage.ISOLATED))
    split["spec"]["rules"][-1]["http"]["paths"][0]["backend"] = path("soon", "/", "use-annotation")["backend"]
    back = written(split, Wanted(Stage.OWN))
    assert [one["backend"] for one in back["spec"]["rules"][0]["http"]["paths"]] == [
        path("soon", "/", "use-annotation")["backend"],
        path("web")["backend"],
    ]


@pytest.mark.parametrize("loses", [False, True])
def test_what_only_a_hand_can_give_back_is_told_with_the_way(loses: bool) -> None:
    split = written(ingress(path("web")), Wanted(Stage.ISOLATED, warm=(VERSIONS.own,), mark=1))
    if loses:
        split = deleted(split, KEPT, f"{P}actions.")
    else:
        split["spec"]["rules"][-1]["http"]["paths"] = [path("sorry")]
    with pytest.raises(Unroutable, match="no path of it sends to Service web") as refused:
        plan(parse(split), VERSIONS, Wanted(Stage.ISOLATED), **BY)
    assert "kubectl edit ingress web" in refused.value.remedy
    split["spec"]["rules"][-1]["http"]["paths"] = [path("web")]
    assert written(split, Wanted(Stage.OWN)) == ingress(path("web"))


def test_an_ingress_of_another_release_is_left_alone() -> None:
    item = written(ingress(path("web")), Wanted(Stage.ISOLATED))
    with pytest.raises(Unroutable, match="another Deployment"):
        plan(parse(item), VERSIONS, Wanted(Stage.OWN), owner="somebody", token="x")
