# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod's request is what the server's own version counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.pod_request import (
    pod_limits,
    pod_requests,
    request_parts,
)
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.quantity import amounts

Object = dict[str, Any]


def one(name: str, cpu: str, **more: Any) -> Object:
    return {"name": name, "resources": {"requests": {"cpu": cpu}}, **more}


def sidecar(name: str, cpu: str) -> Object:
    return one(name, cpu, restartPolicy="Always")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [one("a", "100m"), one("b", "200m")]}, 300),
        ({"containers": [one("a", "100m")], "initContainers": [one("i", "700m")]}, 700),
        ({"containers": [one("a", "600m")], "initContainers": [one("i", "500m")]}, 600),
        ({"containers": [one("a", "100m")], "initContainers": [sidecar("s", "50m")]}, 150),
        # an init container runs beside the sidecars that started before it, not beside those after it
        ({"containers": [one("a", "100m")], "initContainers": [sidecar("s", "50m"), one("i", "300m")]}, 350),
        ({"containers": [one("a", "100m")], "initContainers": [one("i", "300m"), sidecar("s", "50m")]}, 300),
        ({"containers": [one("a", "100m")], "overhead": {"cpu": "25m"}}, 125),
        ({"containers": [one("a", "100m")], "resources": {"requests": {"cpu": "400m"}}}, 400),
        (
            {"containers": [one("a", "100m")], "resources": {"requests": {"cpu": "400m"}}, "overhead": {"cpu": "25m"}},
            425,
        ),
        # pod-level requests only replace what may stand there
        ({"containers": [one("a", "100m")], "resources": {"requests": {"example.com/gpu": "4"}}}, 100),
        ({"containers": []}, None),
    ],
)
def test_the_request_of_a_pod_to_be_placed(spec: Object, expected: int | None) -> None:
    assert pod_requests({"spec": spec}, 37, running=False).get("cpu") == expected


def resized(spec: str, allocated: str | None, actuated: str | None, name: str = "a") -> tuple[Object, Object]:
    status: Object = {"name": name}
    if allocated is not None:
        status["allocatedResources"] = {"cpu": allocated}
    if actuated is not None:
        status["resources"] = {"requests": {"cpu": actuated}}
    return one(name, spec), status


@pytest.mark.parametrize(
    ("minor", "expected"),
    [
        (32, 300),  # the spec alone: 100m + 200m
        (33, 500),  # the greatest of each container: 300m + 200m
        (36, 500),
        (37, 400),  # the greatest of the three sums: 300m + 100m allocated
    ],
)
def test_a_resize_under_way_counts_as_the_minor_version_counts_it(minor: int, expected: int) -> None:
    first, second = resized("100m", "300m", "100m", "a"), resized("200m", "100m", "100m", "b")
    pod = {"spec": {"containers": [first[0], second[0]]}, "status": {"containerStatuses": [first[1], second[1]]}}
    assert pod_requests(pod, minor, running=True)["cpu"] == expected
    assert pod_requests(pod, minor, running=False)["cpu"] == 300


@pytest.mark.parametrize(("reason", "expected"), [("Infeasible", 100), ("Deferred", 900)])
@pytest.mark.parametrize("minor", [34, 37])
def test_a_resize_that_can_never_be_granted_leaves_the_spec_out(minor: int, reason: str, expected: int) -> None:
    container, status = resized("900m", "100m", "100m")
    conditions = [{"type": "PodResizePending", "reason": reason}]
    pod = {"spec": {"containers": [container]}, "status": {"containerStatuses": [status], "conditions": conditions}}
    assert pod_requests(pod, minor, running=True)["cpu"] == expected


@pytest.mark.parametrize(("minor", "expected"), [(33, 100), (34, 400), (35, 400), (36, 900), (37, 900)])
def test_pod_level_resources_count_since_1_34_and_their_resize_since_1_36(minor: int, expected: int) -> None:
    pod = {
        "spec": {"containers": [one("a", "100m")], "resources": {"requests": {"cpu": "400m"}}},
        "status": {"resources": {"requests": {"cpu": "900m"}}, "allocatedResources": {"cpu": "500m"}},
    }
    assert pod_requests(pod, minor, running=True)["cpu"] == expected


def test_limits_get_overhead_only_where_there_is_a_limit() -> None:
    limited = {"name": "a", "resources": {"limits": {"cpu": "1"}}}
    pod = {"spec": {"containers": [limited], "overhead": {"cpu": "100m", "memory": "10Mi"}}}
    assert pod_limits(pod, 37) == {"cpu": 1100}


def test_the_parts_add_up_to_what_people_see() -> None:
    spec = {
        "containers": [one("a", "100m")],
        "initContainers": [sidecar("s", "50m"), one("i", "80m")],
        "overhead": {"cpu": "5m"},
    }
    parts = request_parts({"spec": spec}, 37)
    assert (parts.containers["cpu"], parts.sidecars["cpu"], parts.init_peak["cpu"]) == (100, 50, 130)
    assert (parts.overhead["cpu"], parts.total["cpu"]) == (5, 155)


cpus = st.integers(0, 2000).map(lambda number: f"{number}m")
init = st.tuples(cpus, st.booleans())


@given(st.lists(cpus, min_size=1, max_size=4), st.lists(init, max_size=4))
def test_a_pod_needs_at_least_each_moment_of_its_life(containers: list[str], inits: list[tuple[str, bool]]) -> None:
    spec: Object = {
        "containers": [one(f"c{index}", cpu) for index, cpu in enumerate(containers)],
        "initContainers": [
            sidecar(f"i{index}", cpu) if beside else one(f"i{index}", cpu) for index, (cpu, beside) in enumerate(inits)
        ],
    }
    total = pod_requests({"spec": spec}, 37, running=False)["cpu"]
    milli = [int(cpu[:-1]) for cpu in containers]
    sidecars = [int(cpu[:-1]) for cpu, beside in inits if beside]
    steps = []
    running = 0
    for cpu, beside in inits:
        if beside:
            running += int(cpu[:-1])
            steps.append(running)
        else:
            steps.append(running + int(cpu[:-1]))
    assert total == max([sum(milli) + sum(sidecars), *steps])


some = st.dictionaries(st.sampled_from(["cpu", "memory"]), st.sampled_from(["100m", "0.1", "1", "2"]))


@given(some, st.one_of(st.none(), some), st.one_of(st.none(), some), st.sampled_from([33, 36, 37]))
def test_a_status_in_the_words_of_the_spec_changes_nothing_and_any_other_is_counted(
    spec: dict[str, str], allocated: dict[str, str] | None, actuated: dict[str, str] | None, minor: int
) -> None:
    status: Object = {"name": "a", "resources": {}}
    if allocated is not None:
        status["allocatedResources"] = allocated
    if actuated is not None:
        status["resources"] = {"requests": actuated}
    pod = {
        "spec": {"containers": [{"name": "a", "resources": {"requests": spec}}]},
        "status": {"containerStatuses": [status]},
    }
    counted = pod_requests(pod, minor, running=True)
    for name in {*spec, *(allocated or {}), *(actuated or {})}:
        said = [amounts(one).get(name) for one in (spec, allocated, actuated) if one is not None]
        assert counted.get(name) == max(amount for amount in said if amount is not None)
