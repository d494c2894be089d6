# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes take a pod, and how many copies, by the rules that other copies do not touch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.placement import Method

from .clusters import REQUIRED, ZONE, board, container, node, placeable, pod

Object = dict[str, Any]


def taint(effect: str, value: str = "x") -> Object:
    return {"taints": [{"key": "dedicated", "value": value, "effect": effect}]}


def tolerating(**toleration: str) -> Object:
    return pod(tolerations=[toleration])


@pytest.mark.parametrize(
    ("new", "spec", "takes"),
    [
        (pod(), {}, True),
        (pod(), {"unschedulable": True}, False),
        (tolerating(key="node.kubernetes.io/unschedulable", operator="Exists"), {"unschedulable": True}, True),
        (tolerating(operator="Exists"), {"unschedulable": True}, True),
        (pod(), taint("NoSchedule"), False),
        (pod(), taint("NoExecute"), False),
        (pod(), taint("PreferNoSchedule"), True),
        (tolerating(key="dedicated", value="x"), taint("NoSchedule"), True),
        (tolerating(key="dedicated", value="y"), taint("NoSchedule"), False),
        (tolerating(key="dedicated", operator="Exists"), taint("NoExecute"), True),
        (tolerating(key="dedicated", operator="Exists", effect="NoExecute"), taint("NoSchedule"), False),
        (tolerating(key="dedicated", operator="Gt", value="1"), taint("NoSchedule", "2"), False),
    ],
)
def test_cordons_and_taints(new: Object, spec: Object, takes: bool) -> None:
    assert bool(board(new, [node(spec=spec)]).open_nodes()) is takes


def wanting(*expressions: Object, field: str = "matchExpressions") -> Object:
    return pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{field: [one]} for one in expressions]}}})


@pytest.mark.parametrize(
    ("new", "takes"),
    [
        (pod(nodeSelector={ZONE: "z1"}), True),
        (pod(nodeSelector={ZONE: "z2"}), False),
        (wanting({"key": ZONE, "operator": "In", "values": ["z2", "z1"]}), True),
        (wanting({"key": ZONE, "operator": "NotIn", "values": ["z1"]}), False),
        (wanting({"key": "gpu", "operator": "DoesNotExist"}), True),
        (wanting({"key": "gpu", "operator": "Exists"}), False),
        (wanting({"key": "size", "operator": "Gt", "values": ["3"]}), True),
        (wanting({"key": "size", "operator": "Lt", "values": ["3"]}), False),
        (wanting({"key": ZONE, "operator": "Gt", "values": ["3"]}), False),
        # one term of several is enough
        (wanting({"key": "gpu", "operator": "Exists"}, {"key": ZONE, "operator": "Exists"}), True),
        (wanting({"key": "metadata.name", "operator": "In", "values": ["n1"]}, field="matchFields"), True),
        (wanting({"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}, field="matchFields"), False),
        (wanting(), False),
    ],
)
def test_node_selectors_and_affinity(new: Object, takes: bool) -> None:
    assert bool(board(new, [node(labels={"size": "5"})]).open_nodes()) is takes


def with_port(number: int, address: str = "", protocol: str = "TCP", **more: Any) -> Object:
    port = {"containerPort": 80, "hostPort": number, "protocol": protocol, **({"hostIP": address} if address else {})}
    return pod(containers=[container("1m", ports=[port])], **more)


@pytest.mark.parametrize(
    ("held", "wanted", "copies"),
    [
        (with_port(80), with_port(81), 1),
        (with_port(80), with_port(80), 0),
        (with_port(80, protocol="UDP"), with_port(80), 1),
        (with_port(80, "10.0.0.1"), with_port(80, "10.0.0.2"), 1),
        (with_port(80, "10.0.0.1"), with_port(80, "10.0.0.1"), 0),
        (with_port(80, "10.0.0.1"), with_port(80), 0),
        (with_port(80), with_port(80, "10.0.0.1"), 0),
    ],
)
def test_a_host_port_is_held_by_one_pod_a_node(held: Object, wanted: Object, copies: int) -> None:
    held["spec"]["nodeName"] = "n1"
    assert placeable(wanted, [node()], [held]).least == copies


def test_negative_room_of_one_node_takes_nothing_from_another() -> None:
    overcommitted = [pod(f"p{index}", on="n1", cpu="3") for index in range(3)]
    assert placeable(pod(cpu="1"), [node("n1"), node("n2")], overcommitted).least == 4


def test_a_pod_without_requests_fits_on_an_overcommitted_node_while_there_are_slots() -> None:
    crowd = [pod(f"p{index}", on="n1", cpu="3") for index in range(3)]
    assert placeable(pod(cpu=None), [node(pods="5")], crowd).least == 2


def test_finished_and_unbound_pods_hold_nothing_but_terminating_ones_do() -> None:
    leaving = pod("t", on="n1", cpu="3", meta={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    pending = pod("q", cpu="3")
    assert placeable(pod(cpu="1"), [node()], [leaving, pending]).least == 1


@pytest.mark.parametrize(("priority", "copies"), [(10, 1), (5, 1), (0, 4)])
def test_room_promised_to_a_pod_of_no_lower_priority_is_kept_for_it(priority: int, copies: int) -> None:
    promised = pod("q", cpu="3", status={"nominatedNodeName": "n1"}, priority=priority)
    assert placeable(pod(cpu="1", priority=5), [node()], [promised]).least == copies


def test_every_reason_is_counted_and_the_nearest_miss_can_be_named() -> None:
    nodes = [node("n1", spec=taint("NoSchedule")), node("n2", cpu="500m"), node("n3", pods="0")]
    refusals = board(pod(), nodes).refusals()
    assert refusals["n1"].reasons == ("untolerated taint dedicated=x:NoSchedule",)
    assert (refusals["n2"].reasons, refusals["n2"].short_of) == (("Insufficient cpu",), (("cpu", 500),))
    assert refusals["n3"].reasons == ("Too many pods",)


@given(
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 8)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1500)), max_size=8),
    st.integers(0, 900),
)
def test_the_closed_form_equals_placing_one_by_one(
    sizes: list[tuple[int, int]], held: list[tuple[int, int]], wanted: int
) -> None:
    nodes = [node(f"n{index}", cpu=f"{cpu}m", pods=str(slots)) for index, (cpu, slots) in enumerate(sizes)]
    pods = [pod(f"p{number}", on=f"n{index}", cpu=f"{cpu}m") for number, (index, cpu) in enumerate(held)]
    new = pod(cpu=f"{wanted}m")
    answer = placeable(new, nodes, pods)
    table = board(new, nodes, pods)
    placed = 0
    while choices := table.open_nodes():
        table.place(choices[0])
        placed += 1
    assert (answer.least, answer.most, answer.method) == (placed, placed, Method.CLOSED_FORM)
