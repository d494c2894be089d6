# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of an Ingress and its canary Ingress, over random Ingresses; also where only the first of two writes was made."""

from __future__ import annotations

import copy
from dataclasses import replace
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
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.ingress import (
    astray,
    check,
    check_beside,
    class_of,
    companion_name,
    named,
    parse,
    plan,
    sends_to,
    state,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT, Header
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.route import Route
from tests.sim.patching import json_patch
from tests.unit.traffic.release import BY, VERSIONS, giving

Json = dict[str, Any]
# An Ingress, and its canary Ingress where there is one.
Both = tuple[Json, "Json | None"]
HEADER = Header("x-canary", "always")
# Who is kept the controller knows, so that nothing is drawn.
_STICKY = Exposure(Fraction(1, 4), sticky=Sticky(0, Fraction(0)))
P = "nginx.ingress.kubernetes.io/"
AFFINITY, BEHAVIOUR = {f"{P}affinity": "cookie"}, f"{P}affinity-canary-behavior"


def path(service: str, at: str = "/", port: Json | None = None) -> Json:
    backend = {"service": {"name": service, "port": port or {"number": 80}}}
    return {"path": at, "pathType": "Prefix", "backend": backend}


def ingress(*paths: Json, annotations: Json | None = None, **spec: Any) -> Json:
    meta: Json = {"name": "web", "namespace": "shop", "uid": "uid-of-ingress", "resourceVersion": "7"}
    if annotations:
        meta["annotations"] = annotations
    rules = [{"host": "shop.example", "http": {"paths": list(paths)}}]
    return {"metadata": meta, "spec": {"ingressClassName": "nginx", "rules": rules, **spec}}


def read(both: Both) -> Route:
    item, companion = both
    return replace(parse(item), companion=companion)


def writes(both: Both, wanted: Wanted) -> list[Both]:
    """As the server would have the two after each write."""
    made = plan(read(both), VERSIONS, wanted, **BY)
    found = [both]
    if made is None:
        return found
    item, companion = both
    beside = made.companion
    if beside is not None and beside.first is not None:
        companion = beside.first
        found.append((item, companion))
    if made.operations:
        item = json_patch(copy.deepcopy(item), made.operations)
        if not item["metadata"].get("annotations"):
            item["metadata"].pop("annotations", None)
        found.append((item, companion))
    if beside is not None and beside.changes_last:
        found.append((item, beside.last))
    return found


def written(both: Both, wanted: Wanted) -> Both:
    return writes(both, wanted)[-1]


def users(both: Both, at: str = "/") -> dict[str, Fraction]:
    """Which Services those get who have no header, as ingress-nginx says."""
    item, companion = both
    (rule,) = item["spec"]["rules"]
    main = next(one["backend"]["service"]["name"] for one in rule["http"]["paths"] if one["path"] == at)
    drawn = [one for rule in (companion or {"spec": {"rules": []}})["spec"]["rules"] for one in rule["http"]["paths"]]
    canary = next((one["backend"]["service"]["name"] for one in drawn if one["path"] == at), main)
    if companion is None or canary == main:
        return {main: Fraction(1)}
    annotations = companion["metadata"]["annotations"]
    total = max(100, int(annotations.get(f"{P}canary-weight-total", "100")))
    share = Fraction(int(annotations[f"{P}canary-weight"]), total)
    return {name: part for name, part in ((main, 1 - share), (canary, share)) if part}


_PORTS = st.sampled_from([{"number": 80}, {"name": "http"}])


@st.composite
def _ingresses(draw: st.DrawFn) -> Json:
    places = draw(st.lists(st.sampled_from(["/a", "/b", "/c", "/d"]), max_size=3, unique=True))
    paths = [path(draw(st.sampled_from(["web", "legacy", "web-old"])), at, draw(_PORTS)) for at in places]
    paths.insert(draw(st.integers(0, len(paths))), path("web", "/", draw(_PORTS)))
    affinity = {f"{P}affinity": "cookie", f"{P}session-cookie-name": "route", f"{P}rewrite-target": "/x"}
    return ingress(*paths, annotations=draw(st.sampled_from([None, {"team": "a"}, affinity])))


_WEIGHTS = st.fractions(0, 1, max_denominator=1000)
_EXPOSURES = st.builds(Exposure, _WEIGHTS, st.sampled_from([None, HEADER]))
_DRAINED = st.sampled_from([None, Exposure(Fraction(1, 4), HEADER)])
_WANTED = st.one_of(
    st.builds(Wanted, st.just(Stage.SPLIT), _EXPOSURES, drained=_DRAINED),
    st.builds(Wanted, st.just(Stage.ISOLATED), drained=_DRAINED),
    st.builds(
        Wanted,
        st.just(Stage.OWN),
        st.builds(Exposure, st.just(Fraction(0)), st.sampled_from([None, HEADER])),
        drained=_DRAINED,
    ),
)
_MANY = st.lists(_WANTED, min_size=1, max_size=6)


@given(_ingresses(), _MANY)
def test_what_was_wanted_is_so_and_nothing_is_left_to_write(item: Json, every: list[Wanted]) -> None:
    both: Both = (item, None)
    for wanted in every:
        both = written(both, wanted)
        assert state(read(both), VERSIONS) == (wanted.stage, wanted)
        assert plan(read(both), VERSIONS, wanted, **BY) is None
        share = wanted.exposure.weight if wanted.stage is Stage.SPLIT else Fraction(0)
        main = VERSIONS.own if wanted.stage is Stage.OWN else VERSIONS.stable
        assert users(both) == {name: part for name, part in ((main, 1 - share), (VERSIONS.canary, share)) if part}
        assert sends_to(read(both), VERSIONS.stable) is (main == VERSIONS.stable and share < 1)


@given(_ingresses(), _MANY, st.randoms(use_true_random=False))
def test_whatever_was_written_or_half_of_it_the_owners_ingress_comes_back_as_it_was(
    item: Json, every: list[Wanted], chance: Any
) -> None:
    both: Both = (item, None)
    for wanted in every:
        both = chance.choice(writes(both, wanted))
    assert written(both, Wanted(Stage.OWN)) == (item, None)


@given(_ingresses(), _MANY)
def test_between_two_writes_users_get_what_they_got_or_less_of_the_canary_or_what_they_are_to_get(
    item: Json, every: list[Wanted]
) -> None:
    both: Both = (item, None)
    for wanted in every:
        steps = writes(both, wanted)
        ends = [users(one).get(VERSIONS.canary, Fraction(0)) for one in (steps[0], steps[-1])]
        for between in steps[1:-1]:
            assert users(between).get(VERSIONS.canary, Fraction(0)) <= max(ends)
            stage, _wanted = state(read(between), VERSIONS)
            assert stage in (Stage.OWN, Stage.ISOLATED, Stage.SPLIT), (both, wanted)
            assert written(between, wanted) == steps[-1]
        both = steps[-1]


@given(_ingresses(), _WANTED)
def test_paths_of_others_stay_and_of_its_own_only_the_service_changes(item: Json, wanted: Wanted) -> None:
    after, _companion = written((item, None), wanted)
    for was, now in zip(
        item["spec"]["rules"][0]["http"]["paths"], after["spec"]["rules"][0]["http"]["paths"], strict=True
    ):
        if was["backend"]["service"]["name"] != "web":
            assert now == was
        now["backend"]["service"]["name"] = was["backend"]["service"]["name"]
        assert now == was


@given(_ingresses(), _WANTED, st.booleans(), st.booleans(), st.booleans())
def test_every_state_has_an_answer_whatever_somebody_took_away(
    item: Json, wanted: Wanted, puts_back: bool, loses: bool, deletes: bool
) -> None:
    after, companion = written((item, None), wanted)
    if puts_back:
        after["spec"] = copy.deepcopy(item["spec"])
    if loses:
        after["metadata"].get("annotations", {}).pop(KEPT, None)
    both: Both = (after, None if deletes else companion)
    assert isinstance(state(read(both), VERSIONS)[0], Stage)
    assert written(both, Wanted(Stage.OWN))[0]["spec"] == item["spec"]
    assert written(both, Wanted(Stage.OWN))[1] is None


def test_the_canary_ingress_has_its_share_its_header_its_class_and_what_keeps_users() -> None:
    annotations = {
        f"{P}affinity": "cookie",
        f"{P}session-cookie-name": "route",
        f"{P}rewrite-target": "/$1",
        "team": "a",
    }
    item = ingress(path("web"), path("legacy", "/old"), annotations=annotations)
    _item, found = written((item, None), Wanted(Stage.SPLIT, Exposure(Fraction(1, 20), HEADER)))
    assert found is not None and found["metadata"]["name"] == "web-coalmine-canary"
    assert found["metadata"]["annotations"] == {
        f"{P}affinity": "cookie",
        f"{P}session-cookie-name": "route",
        f"{P}canary": "true",
        f"{P}canary-weight": "5",
        f"{P}canary-by-header": "x-canary",
        f"{P}canary-by-header-value": "always",
    }
    assert found["spec"] == {
        "ingressClassName": "nginx",
        "rules": [{"host": "shop.example", "http": {"paths": [path(VERSIONS.canary)]}}],
    }
    assert [one["uid"] for one in found["metadata"]["ownerReferences"]] == ["uid-of-ingress"]


@pytest.mark.parametrize("behaviour", [None, "sticky", "legacy"])
def test_users_are_kept_by_the_cookie_of_the_controller_whatever_the_owner_says_of_canaries(
    behaviour: str | None,
) -> None:
    item = ingress(path("web"), annotations={**AFFINITY, **({BEHAVIOUR: behaviour} if behaviour else {})})
    both: Both = (item, None)
    for weight in (Fraction(1, 4), Fraction(1, 2), Fraction(0), Fraction(1), Fraction(1, 2)):
        wanted = Wanted(Stage.SPLIT, replace(_STICKY, weight=weight))
        both = written(both, wanted)
        assert state(read(both), VERSIONS) == (Stage.SPLIT, wanted) and plan(read(both), VERSIONS, wanted, **BY) is None
        if both[1] is not None:
            assert both[1]["metadata"]["annotations"][BEHAVIOUR] == "sticky"
    plain = written(both, Wanted(Stage.SPLIT, Exposure(Fraction(1, 2))))
    assert plain[1] is not None
    assert plain[1]["metadata"]["annotations"].get(BEHAVIOUR) == ("legacy" if behaviour == "legacy" else None)
    assert state(read(plain), VERSIONS)[1].exposure.sticky is None
    assert written(plain, Wanted(Stage.OWN)) == (item, None)


def test_a_share_that_everybody_gets_keeps_nobody_so_that_a_lost_affinity_is_in_no_promotions_way() -> None:
    both = written((ingress(path("web"), annotations=AFFINITY), None), Wanted(Stage.SPLIT, _STICKY))
    del both[0]["metadata"]["annotations"][f"{P}affinity"]
    assert users(written(both, Wanted(Stage.SPLIT, replace(_STICKY, weight=Fraction(1))))) == {VERSIONS.canary: 1}


def test_a_share_far_below_one_per_cent_is_exact() -> None:
    _item, found = written((ingress(path("web")), None), Wanted(Stage.SPLIT, Exposure(Fraction("0.00125"))))
    assert found is not None
    assert found["metadata"]["annotations"][f"{P}canary-weight"] == "1"
    assert found["metadata"]["annotations"][f"{P}canary-weight-total"] == "800"


def test_a_total_is_never_below_a_hundred_which_the_controller_would_take_for_a_hundred() -> None:
    _item, found = written((ingress(path("web")), None), Wanted(Stage.SPLIT, Exposure(Fraction(1, 3))))
    assert found is not None
    assert found["metadata"]["annotations"][f"{P}canary-weight"] == "34"
    assert found["metadata"]["annotations"][f"{P}canary-weight-total"] == "102"


def test_another_share_is_one_write() -> None:
    both = written((ingress(path("web")), None), Wanted(Stage.SPLIT, Exposure(Fraction(1, 20))))
    made = plan(read(both), VERSIONS, Wanted(Stage.SPLIT, Exposure(Fraction(1, 4))), **BY)
    assert made is not None and not made.operations and made.companion is not None
    assert (made.before["canary Ingress"], made.after["canary Ingress"]) == (
        f"{VERSIONS.canary} 5 %",
        f"{VERSIONS.canary} 25 %",
    )


def test_backends_that_somebody_put_back_are_contested_and_the_share_is_not_forgotten() -> None:
    item = ingress(path("web"))
    wanted = Wanted(Stage.SPLIT, Exposure(Fraction(1, 4)))
    after, companion = written((item, None), wanted)
    after["spec"] = copy.deepcopy(item["spec"])
    assert state(read((after, companion)), VERSIONS) == (Stage.CONTESTED, wanted)
    assert users(written((after, companion), wanted)) == {
        VERSIONS.stable: Fraction(3, 4),
        VERSIONS.canary: Fraction(1, 4),
    }


def test_one_from_which_somebody_took_the_service_tells_how_it_comes_back() -> None:
    item, companion = written((ingress(path("web")), None), Wanted(Stage.SPLIT, Exposure(Fraction(1, 4))))
    item["spec"]["rules"][0]["http"]["paths"] = [path("sorry")]
    with pytest.raises(Unroutable, match="no path of it sends to Service web") as refused:
        written((item, companion), Wanted(Stage.ISOLATED))
    assert refused.value.remedy.startswith("Let it send to Service web again (kubectl edit ingress web)")


@pytest.mark.parametrize(
    "edit", [{f"{P}canary-weight": "30", f"{P}canary-by-cookie": "me"}, {f"{P}canary-weight": "x"}]
)
def test_a_canary_ingress_that_somebody_edited_is_contested(edit: Json) -> None:
    item, companion = written((ingress(path("web")), None), Wanted(Stage.SPLIT, Exposure(Fraction(1, 4))))
    assert companion is not None
    companion["metadata"]["annotations"].update(edit)
    assert state(read((item, companion)), VERSIONS)[0] is Stage.CONTESTED
    wanted = Wanted(Stage.SPLIT, Exposure(Fraction(1, 4)))
    assert state(read(written((item, companion), wanted)), VERSIONS) == (Stage.SPLIT, wanted)


@pytest.mark.parametrize("exposure", [NOBODY, Exposure(Fraction(1, 20)), Exposure(header=HEADER)])
def test_a_canary_ingress_that_somebody_deleted_is_contested_and_whoever_writes_once_more_makes_it_anew(
    exposure: Exposure,
) -> None:
    wanted = Wanted(Stage.SPLIT, exposure)
    item, _companion = written((ingress(path("web")), None), wanted)
    assert state(read((item, None)), VERSIONS) == (Stage.CONTESTED, Wanted(Stage.SPLIT))
    assert state(read(written((item, None), wanted)), VERSIONS) == (Stage.SPLIT, wanted)


@pytest.mark.parametrize("wanted", [Wanted(Stage.SPLIT, Exposure(Fraction(1, 4))), Wanted(Stage.SPLIT)])
def test_it_is_told_which_of_the_two_somebody_has_changed(wanted: Wanted) -> None:
    owners = ingress(path("web"))
    item, companion = written((owners, None), wanted)
    assert companion is not None
    said = 'Ingress "web-coalmine-canary" of this release was '
    assert astray(read((item, None))) == f"{said}deleted by somebody"
    bare = {**companion, "metadata": {**companion["metadata"], "annotations": {}}}
    changed = f'{said}changed by somebody, or Ingress "web" in what both have alike'
    assert astray(read((item, bare))) == changed
    meta, affinity = item["metadata"], {"nginx.ingress.kubernetes.io/affinity": "cookie"}
    for owners_now in (
        {**item, "spec": {**item["spec"], "ingressClassName": "internal"}},
        {**item, "metadata": {**meta, "annotations": {**meta["annotations"], **affinity}}},
    ):
        route = read((owners_now, companion))
        assert state(route, VERSIONS)[0] is Stage.CONTESTED and astray(route) == changed
    item["spec"] = owners["spec"]
    assert not astray(read((item, companion))) and not astray(read((owners, companion)))


@pytest.mark.parametrize(
    "wanted", [Wanted(Stage.SPLIT), Wanted(Stage.SPLIT, Exposure(header=HEADER)), Wanted(Stage.SPLIT, _STICKY)]
)
def test_a_default_class_is_nobodys_change_where_nobody_is_drawn_and_the_next_share_is_written_without_it(
    wanted: Wanted,
) -> None:
    item, companion = written((ingress(path("web"), ingressClassName=None, annotations=AFFINITY), None), wanted)
    assert companion is not None and "ingressClassName" not in companion["spec"]
    given = (item, {**companion, "spec": {**companion["spec"], "ingressClassName": "nginx"}})
    assert (state(read(given), VERSIONS)[0] is Stage.CONTESTED) is bool(wanted.exposure.weight)
    _item, companion = written(given, Wanted(Stage.SPLIT, Exposure(Fraction(1, 20))))
    assert companion is not None and "ingressClassName" not in companion["spec"]


_TAKEN = [("labels",), ("ownerReferences",), ("labels", "ownerReferences")]


@pytest.mark.parametrize("taken", _TAKEN, ids="+".join)
def test_a_canary_ingress_without_label_or_owner_is_ours_by_whom_it_sends_to_and_gets_them_again(
    taken: tuple[str, ...],
) -> None:
    wanted = Wanted(Stage.SPLIT, Exposure(Fraction(1, 4)))
    item, companion = written((ingress(path("web")), None), wanted)
    assert companion is not None
    bare = {**companion, "metadata": {key: one for key, one in companion["metadata"].items() if key not in taken}}
    assert state(read((item, bare)), VERSIONS) == (Stage.SPLIT, wanted)
    assert written((item, bare), wanted) == (item, companion)
    assert written((item, bare), Wanted(Stage.OWN)) == (ingress(path("web")), None)
    bare["metadata"]["uid"] = "another"
    check_beside(read((item, bare)), [], [parse(bare)], "web", NOBODY)
    bare["spec"] = ingress(path("other"))["spec"]
    with pytest.raises(Unroutable, match="is there already"):
        check(read((item, bare)), VERSIONS, NOBODY, False)
    assert written((item, bare), Wanted(Stage.OWN)) == (ingress(path("web")), bare)


def test_without_its_annotation_both_tell_what_users_get() -> None:
    wanted = Wanted(Stage.SPLIT, Exposure(Fraction(1, 4), HEADER))
    item, companion = written((ingress(path("web")), None), wanted)
    del item["metadata"]["annotations"]
    assert state(read((item, companion)), VERSIONS) == (Stage.LOST, wanted)
    assert written((item, companion), Wanted(Stage.OWN)) == (ingress(path("web")), None)


def test_a_canary_ingress_that_was_made_too_late_is_in_nobodys_way_and_goes() -> None:
    (_before, late), *_rest = writes((ingress(path("web")), None), Wanted(Stage.SPLIT, Exposure(Fraction(1, 4))))[1:]
    assert late is not None and late["metadata"]["annotations"][f"{P}canary-weight"] == "0"
    both, later = (ingress(path("web")), late), Versions("web", "web-58d4cfb7fd-30", "web-6f9c8d7b5-30")
    assert state(read(both), later) == (Stage.OWN, Wanted(Stage.OWN))
    made_of_it = plan(read(both), later, Wanted(Stage.ISOLATED), **BY)
    assert made_of_it is not None and made_of_it.companion is not None and made_of_it.companion.last is None


def test_the_patch_holds_only_for_the_ingress_that_was_read() -> None:
    item = ingress(path("web"))
    made = plan(read((item, None)), VERSIONS, Wanted(Stage.ISOLATED), **BY)
    assert made is not None
    tests = {one["path"]: one["value"] for one in made.operations if one["op"] == "test"}
    assert tests == {
        "/metadata/uid": "uid-of-ingress",
        "/metadata/resourceVersion": "7",
        "/metadata/annotations": None,
    }


@pytest.mark.parametrize(
    ("item", "exposure", "said"),
    [
        (ingress(path("api")), NOBODY, "no path of it sends to Service web"),
        (
            ingress(path("web"), defaultBackend=path("web")["backend"]),
            NOBODY,
            "its defaultBackend sends to Service web",
        ),
        (ingress(path("web"), annotations={f"{P}ssl-passthrough": "true"}), NOBODY, "ssl-passthrough"),
        (ingress(path("web")), Exposure(header=Header("x-canary", "a;b")), "letters, digits"),
        (ingress(path("web")), _STICKY, "only where nginx.ingress.kubernetes.io/affinity of the Ingress is cookie"),
        (ingress(path("web"), annotations=AFFINITY), replace(_STICKY, header=HEADER), "also with the header"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_written(item: Json, exposure: Exposure, said: str) -> None:
    with pytest.raises(Unroutable, match=said):
        check(read((item, None)), VERSIONS, exposure, False)
    with pytest.raises(Unroutable, match=said):
        plan(read((item, None)), VERSIONS, Wanted(Stage.SPLIT, giving(exposure)), **BY)


def test_an_ingress_of_that_name_that_is_somebody_elses_is_left_alone() -> None:
    theirs = {"metadata": {"name": companion_name("web"), "uid": "u"}, "spec": {"rules": []}}
    with pytest.raises(Unroutable, match="is there already"):
        plan(read((ingress(path("web")), theirs)), VERSIONS, Wanted(Stage.SPLIT, Exposure(Fraction(1, 4))), **BY)
    for exposure in (NOBODY, Exposure(Fraction(1))):
        with pytest.raises(Unroutable, match="is there already"):
            check(read((ingress(path("web")), theirs)), VERSIONS, exposure, False)
    split, _companion = written((ingress(path("web")), None), Wanted(Stage.SPLIT, Exposure(Fraction(1, 4))))
    assert written((split, theirs), Wanted(Stage.OWN)) == (ingress(path("web")), theirs)


def test_a_canary_of_somebody_else_on_the_same_path_is_refused_and_is_no_route() -> None:
    route = read((ingress(path("web"), path("api", "/api")), None))
    theirs = ingress(path("other"), annotations={f"{P}canary": "true"})
    theirs["metadata"].update({"name": "by-hand", "uid": "another"})
    assert not named(parse(theirs)) and named(route) == {"web", "api"}
    with pytest.raises(Unroutable, match='Ingress "by-hand" is a canary of one of its paths already'):
        check_beside(route, [route], [parse(theirs)], "web", NOBODY)
    theirs["spec"]["rules"][0]["http"]["paths"] = [path("other", "/api")]
    check_beside(route, [route], [parse(theirs)], "web", NOBODY)


@pytest.mark.parametrize("true", ["true", "True", "TRUE", "1", "t", "T"])
def test_a_canary_of_somebody_else_that_sends_to_the_service_on_another_path_is_refused(true: str) -> None:
    route = read((ingress(path("web")), None))
    theirs = ingress(path("web", "/shop"), annotations={f"{P}canary": true})
    theirs["metadata"].update({"name": "by-hand", "uid": "another"})
    assert not named(parse(theirs))
    with pytest.raises(
        Unroutable, match='"by-hand" is a canary that sends to Service web on a path of another Service'
    ):
        check_beside(route, [route], [parse(theirs)], "web", NOBODY)
    theirs["metadata"]["annotations"][f"{P}canary"] = "false"
    check_beside(route, [route], [parse(theirs)], "web", NOBODY)


def test_an_ingress_that_sends_by_its_default_alone_is_found_and_refused() -> None:
    route = read((ingress(defaultBackend=path("web")["backend"], rules=[]), None))
    assert named(route) == {"web"}
    with pytest.raises(Unroutable, match="its defaultBackend sends to Service web"):
        check(route, VERSIONS, NOBODY, False)


@pytest.mark.parametrize(
    ("annotations", "name", "told"),
    [
        ({"kubernetes.io/ingress.class": "alb"}, None, "alb"),
        ({"kubernetes.io/ingress.class": "alb"}, "nginx", "nginx"),
        (None, "nginx", "nginx"),
        (None, None, "none"),
    ],
)
def test_a_class_is_said_in_either_way(annotations: Json | None, name: str | None, told: str) -> None:
    item = ingress(path("web"), annotations=annotations)
    item["spec"]["ingressClassName"] = name
    assert class_of(parse(item)) == told


def test_an_ingress_of_another_release_is_left_alone() -> None:
    both = written((ingress(path("web")), None), Wanted(Stage.ISOLATED))
    with pytest.raises(Unroutable, match="release of another Deployment"):
        plan(read(both), VERSIONS, Wanted(Stage.OWN), owner="another", token="x")


def test_the_longest_name_has_a_canary() -> None:
    assert len(companion_name("a" * 253)) == 253 and companion_name("web.shop") == "web.shop-coalmine-canary"
