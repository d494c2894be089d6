# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a GRPCRoute is rewritten as an HTTPRoute is (test_httproute.py), and what is left out there: whatever a probe would ask for."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    Exposure,
    Stage,
    Sticky,
    Unroutable,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import Header
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.routers import ROUTERS
from tests.sim.patching import json_patch
from tests.unit.traffic.release import BY, VERSIONS
from tests.unit.traffic.test_httproute import ref, route

Json = dict[str, Any]
GRPC = ROUTERS["gateway_api_grpc"]
HEADER = Header("x-canary", "always")
METHOD = {"method": {"type": "Exact", "service": "shop.Web", "method": "Buy"}}
ITEM = route(
    {"matches": [METHOD], "backendRefs": [ref("web", 3), ref("legacy")]},
    {"backendRefs": [ref("web")]},
    {"matches": [{"method": {"service": "shop.Old"}}], "backendRefs": [ref("legacy")]},
)


def written(item: Json, wanted: Wanted) -> Json:
    made = GRPC.plan(GRPC.parse(item), VERSIONS, wanted, **BY)
    if made is None:
        return item
    after: Json = json_patch(copy.deepcopy(item), made.operations)
    if not after["metadata"].get("annotations"):
        after["metadata"].pop("annotations", None)
    return after


_WANTED = st.one_of(
    st.builds(
        Wanted,
        st.sampled_from([Stage.ISOLATED, Stage.SPLIT]),
        st.builds(Exposure, st.fractions(0, 1, max_denominator=100), st.sampled_from([None, HEADER])),
        st.sampled_from([(), (VERSIONS.stable,)]),
        st.sampled_from([None, 7]),
    ),
    st.just(Wanted(Stage.OWN)),
)


@given(st.lists(_WANTED, max_size=4))
def test_whatever_was_written_has_no_rule_for_probes_and_comes_back_as_it_was(every: list[Wanted]) -> None:
    after = ITEM
    for wanted in every:
        after = written(after, wanted)
        assert GRPC.state(GRPC.parse(after), VERSIONS)[0] is wanted.stage
        assert GRPC.plan(GRPC.parse(after), VERSIONS, wanted, **BY) is None
        assert "path" not in str(after["spec"]["rules"]) and "Redirect" not in str(after["spec"]["rules"])
    assert written(after, Wanted(Stage.OWN)) == ITEM


def test_a_header_is_a_narrower_copy_of_each_rule_also_of_one_that_matches_everything() -> None:
    after = written(ITEM, Wanted(Stage.SPLIT, Exposure(Fraction(1, 5), HEADER)))
    asked = [{"type": "Exact", "name": "x-canary", "value": "always"}]
    assert after["spec"]["rules"] == [
        {"matches": [METHOD], "backendRefs": [ref(VERSIONS.stable, 12), ref(VERSIONS.canary, 3), ref("legacy", 5)]},
        {"backendRefs": [ref(VERSIONS.stable, 4), ref(VERSIONS.canary, 1)]},
        ITEM["spec"]["rules"][2],
        {"matches": [{**METHOD, "headers": asked}], "backendRefs": [ref(VERSIONS.canary)]},
        {"matches": [{"headers": asked}], "backendRefs": [ref(VERSIONS.canary)]},
    ]


def test_users_are_not_kept_by_a_cookie() -> None:
    sticky = Exposure(Fraction(1, 5), sticky=Sticky(0, Fraction(1, 5)))
    with pytest.raises(Unroutable, match="kept by a cookie"):
        written(ITEM, Wanted(Stage.SPLIT, sticky))


def test_it_is_told_by_its_own_name() -> None:
    assert GRPC.parse(ITEM).kind == "GRPCRoute"
