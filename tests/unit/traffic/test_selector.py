# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of a Service that is switched by its selector, over random selectors and whatever somebody makes of them meanwhile."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import KINDS
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    Exposure,
    Stage,
    Unroutable,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT, Header
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.routers import ROUTERS
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.selector import parse, plan, selected, state
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.services import HASH_LABEL
from tests.sim.patching import PatchFailed, json_patch
from tests.unit.traffic.release import BY, VERSIONS

Json = dict[str, Any]

_SELECTORS = st.dictionaries(
    st.sampled_from(["app", "tier", "app.kubernetes.io/name"]), st.sampled_from(["web", "shop"]), min_size=1
)
_WANTED = st.builds(
    Wanted,
    st.sampled_from([Stage.OWN, Stage.ISOLATED, Stage.SPLIT]),
    st.builds(Exposure, st.sampled_from([Fraction(0), Fraction(1)])),
    st.sampled_from([(), ("web-7db95c9fc5-12",)]),
    st.sampled_from([None, 3]),
)


def service(selector: Json, annotations: Json | None = None) -> Json:
    meta: Json = {"name": "web", "namespace": "shop", "uid": "uid-of-service", "resourceVersion": "1"}
    if annotations:
        meta["annotations"] = annotations
    return {"metadata": meta, "spec": {"selector": selector, "ports": [{"port": 80}]}}


def written(item: Json, wanted: Wanted) -> Json:
    """As a server does it: each write has a version of its own."""
    made = plan(parse(item), VERSIONS, wanted, **BY)
    if made is None:
        return item
    after: Json = json_patch(copy.deepcopy(item), made.operations)
    after["metadata"]["resourceVersion"] = str(int(item["metadata"]["resourceVersion"]) + 1)
    if not after["metadata"].get("annotations"):
        after["metadata"].pop("annotations", None)
    return after


_SERVICES = st.builds(service, _SELECTORS, st.sampled_from([None, {"a": "b"}]))


@given(_SERVICES, st.lists(_WANTED, min_size=1, max_size=5))
def test_what_was_wanted_is_so_and_nothing_is_left_to_write(item: Json, every: list[Wanted]) -> None:
    after = item
    for wanted in every:
        after = written(after, wanted)
        assert state(parse(after), VERSIONS)[0] is wanted.stage
        assert plan(parse(after), VERSIONS, wanted, **BY) is None
        hash_of_it = {"": None, VERSIONS.stable: "7db95c9fc5", VERSIONS.canary: "58d4cfb7fd"}
        assert after["spec"]["selector"].get(HASH_LABEL) == hash_of_it[selected(wanted, VERSIONS)]
        sends_to = ROUTERS["service_selector"].sends_to
        assert sends_to(parse(after), VERSIONS.canary) is (selected(wanted, VERSIONS) == VERSIONS.canary)


@given(_SERVICES, st.lists(_WANTED, max_size=5))
def test_whatever_was_written_the_owners_service_comes_back_as_it_was(item: Json, every: list[Wanted]) -> None:
    after = item
    for wanted in every:
        after = written(after, wanted)
    back = written(after, Wanted(Stage.OWN))
    back["metadata"]["resourceVersion"] = item["metadata"]["resourceVersion"]
    assert back == item


def test_a_write_that_comes_after_another_was_put_back_is_refused() -> None:
    """Its answer was lost, and it is carried out when everything is as it was before it."""
    item = service({"app": "web"})
    late = plan(parse(item), VERSIONS, Wanted(Stage.ISOLATED), **BY)
    back = written(written(item, Wanted(Stage.ISOLATED)), Wanted(Stage.OWN))
    assert late is not None and back["spec"] == item["spec"]
    with pytest.raises(PatchFailed):
        json_patch(back, late.operations)


@given(_SERVICES, _WANTED, st.dictionaries(st.sampled_from(["app", HASH_LABEL]), st.just("edited")), st.booleans())
def test_an_edit_stays_and_the_state_has_an_answer(item: Json, wanted: Wanted, edit: Json, loses: bool) -> None:
    after = written(item, wanted)
    after["spec"]["selector"] = {**after["spec"]["selector"], **edit}
    if loses:
        after["metadata"].get("annotations", {}).pop(KEPT, None)
    assert isinstance(state(parse(after), VERSIONS)[0], Stage)
    back = written(after, Wanted(Stage.OWN))["spec"]["selector"]
    assert back == {key: value for key, value in {**item["spec"]["selector"], **edit}.items() if key != HASH_LABEL}


@pytest.mark.parametrize("exposure", [Exposure(Fraction(1, 2)), Exposure(header=Header("x", "y"))])
def test_a_share_is_not_what_a_selector_can_give(exposure: Exposure) -> None:
    with pytest.raises(Unroutable, match="one version at a time"):
        plan(parse(service({"app": "web"})), VERSIONS, Wanted(Stage.SPLIT, exposure), **BY)


def test_a_record_can_name_every_kind() -> None:
    assert tuple(ROUTERS) == KINDS


def test_a_release_of_another_deployment_is_not_written_over() -> None:
    item = written(service({"app": "web"}), Wanted(Stage.ISOLATED))
    with pytest.raises(Unroutable, match="another Deployment"):
        plan(parse(item), VERSIONS, Wanted(Stage.OWN), owner="somebody", token="")
