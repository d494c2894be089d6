# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole answer: verdicts, peaks, groups, prices, advice, the documented shape."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.headroom import groups as headroom_groups
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.admission import admitted_locally
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.board import Board
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.check import Ground, answer, conclude, survey
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.finding import Exactness, PodSource, Verdict
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.groups import Group, groups, purchases
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.peaks import Moment, Rollout, peaks
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.placement import fit
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.prices import price_book
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.quota import quota_view
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.report import headroom, summary
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.views import incoming_view
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.volumes import Storage, volume_rules
from tests.truth.headroom.clusters import make_cluster

from .clusters import HOSTNAME, MINOR, NODEPOOL, REQUIRED, TWO_OLD, ask, container, node, of, pod, scene

Object = dict[str, Any]
APART: Object = {
    "podAntiAffinity": {REQUIRED: [{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": HOSTNAME}]}
}


def test_room_for_all_moments_fits_and_costs_nothing() -> None:
    asked = ask(pod(cpu="1"), [node("n1")])
    found = answer(asked)
    assert (found.verdict, found.exactness) == (Verdict.FITS, Exactness.EXACT)
    cost = headroom(asked, found, {})["cost"]
    assert (cost["hourly_max"], cost["basis"]) == (0.0, "existing_capacity")


@pytest.mark.parametrize(
    ("cpu", "free", "expected"),
    [
        ("1", "3", Verdict.FITS),
        ("1", "2", Verdict.NEEDS_NODES),
        ("2", "3", Verdict.NEEDS_NODES),
        ("9", "3", Verdict.CANNOT_FIT),
    ],
)
def test_the_first_moment_that_does_not_fit_decides(cpu: str, free: str, expected: Verdict) -> None:
    assert answer(ask(pod(cpu=cpu), [node("n1", cpu=free)])).verdict is expected


def test_a_new_version_that_asks_for_more_is_stopped_in_the_steady_state() -> None:
    rollout = Rollout(replicas=4, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)
    old = [pod(f"old{index}", on="n1", meta=of("rs-old"), cpu="100m") for index in range(4)]
    found = answer(ask(pod(cpu="1"), [node("n1", cpu="3")], old, rollout=rollout))
    assert found.deciding is not None
    assert (found.deciding.peak.moment, found.verdict) == (Moment.STEADY, Verdict.NEEDS_NODES)


def test_the_worst_moment_decides_and_of_equals_the_first() -> None:
    # The first pod fits after preemption; the promotion, and the new version as a whole, only with new nodes.
    rollout = Rollout(replicas=3, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)
    pods = [
        pod("pause", on="n1", cpu="2", priority=-5),
        pod("f", on="n1", cpu="1"),
        pod("mine", on="n1", meta=of("rs-old")),
    ]
    found = answer(ask(pod(cpu="2"), [node("n1", labels=NODEPOOL)], pods, rollout=rollout))
    assert [one.verdict for one in found.peaks] == [
        Verdict.FITS_AFTER_PREEMPTION,
        Verdict.NEEDS_NODES,
        Verdict.NEEDS_NODES,
    ]
    assert (found.verdict, found.deciding) == (Verdict.NEEDS_NODES, found.peaks[1])


def test_nodes_are_counted_for_the_moment_that_needs_most() -> None:
    rollout = Rollout(replicas=8, canary=1, surge=1, max_unavailable=0, own_surge=4, own_max_unavailable=0)
    asked = ask(pod(cpu="2"), [node("n1", labels=NODEPOOL)], [pod("f", on="n1", cpu="4")], rollout=rollout)
    found = answer(asked)
    assert found.deciding is not None
    assert (found.deciding.peak.moment, found.deciding.purchases[0].count) == (Moment.START, 1)
    shape = headroom(asked, found, {})
    assert (shape["new_nodes"][0]["count"], shape["cost"]["stays"]) == (4, True)


def test_nodes_of_one_group_are_looked_at_once_for_each_type() -> None:
    larger = {"node.kubernetes.io/instance-type": "m6i.2xlarge"}
    nodes = [node("n1", labels=NODEPOOL), node("n2", labels=NODEPOOL | larger, cpu="8")]
    full = [pod("f", on="n1", cpu="4"), pod("g", on="n2", cpu="8")]
    asked = ask(pod(cpu="3"), nodes, full, rollout=Rollout(2, 1, 1, 0, 1, 0))
    shape = headroom(asked, answer(asked), {})
    assert [(one["group"], one["instance_type"], one["count"]) for one in shape["new_nodes"]] == [
        ("np-a", "m6i.2xlarge", 1),
        ("np-a", "m6i.xlarge", 2),
    ]


def test_where_no_group_has_room_alone_several_do_together() -> None:
    nodes = [node("n1", labels={"agentpool": "a"}), node("n2", labels={"agentpool": "b"}, cpu="6")]
    full = [pod("f", on="n1", cpu="4"), pod("g", on="n2", cpu="6")]
    prices = price_book(
        {"currency": "EUR", "nodes": [{"node_group": "a", "hourly": 1}, {"node_group": "b", "hourly": 2}]}
    )
    rollout = Rollout(replicas=4, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)

    def asked(**rooms: int) -> Any:
        by_kind = {(name, "", ""): room for name, room in rooms.items()}
        return ask(pod(cpu="3"), nodes, full, rollout=rollout, group_rooms=by_kind, prices=prices)

    together = asked(a=3, b=1)
    shape = headroom(together, answer(together), {})
    assert [(one["group"], one["count"]) for one in shape["new_nodes"]] == [("b", 1), ("a", 2)]
    assert (shape["cost"]["hourly_max"], shape["cost"]["together"], shape["verdict"]) == (4.0, True, "needs_nodes")
    assert any(line.startswith("And 2 new nodes of a ") for line in summary(together, answer(together), "web"))
    assert answer(asked(a=1, b=1)).verdict is Verdict.CANNOT_FIT
    alone = asked(a=4, b=1)
    assert headroom(alone, answer(alone), {})["cost"]["together"] is False


def test_a_question_for_one_size_leaves_nothing_behind_in_the_cluster_for_the_next() -> None:
    """Several steps are answered from one reading: each as from a reading of its own."""
    sizes = [Rollout(4, canary, surge, down, 2, 1) for canary in (1, 2, 3) for surge, down in ((1, 0), (0, 1), (2, 1))]
    verdicts: set[Verdict] = set()

    def asked(seed: int, rollout: Rollout) -> Any:
        cluster = make_cluster(seed)
        new, _refusals = admitted_locally(cluster.pod, (), MINOR)
        there = [{**one.pod, "status": one.status or {}} for one in cluster.existing]
        for one in there[::3]:
            one["metadata"] = {**one["metadata"], **of("rs-old")}
        quotas = tuple(map(quota_view, cluster.quotas))
        return ask(new, cluster.nodes, there, quotas=quotas, rollout=rollout)

    for seed in range(25):
        ground = Ground(asked(seed, sizes[0]))
        for rollout in sizes:
            found = conclude(survey(ground, rollout))
            assert found == answer(asked(seed, rollout)), (seed, rollout)
            verdicts.add(found.verdict)
    assert len(verdicts) >= 4


@given(
    st.sampled_from(["1", "2", "3", "9"]),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 8), st.integers(0, 8)), min_size=1, max_size=4),
    st.fixed_dictionaries({}, optional={("a", "", ""): st.integers(0, 3), ("b", "", ""): st.integers(0, 3)}),
    st.integers(1, 4),
)
def test_the_same_survey_serves_whatever_nodes_may_be_added(
    cpu: str, sizes: list[tuple[str, int, int]], rooms: dict[Any, int], replicas: int
) -> None:
    nodes = [
        node(f"n{number}", labels={"agentpool": name}, cpu=str(cpus)) for number, (name, cpus, _) in enumerate(sizes)
    ]
    full = [
        pod(f"f{number}", on=f"n{number}", cpu=str(min(used, cpus))) for number, (_, cpus, used) in enumerate(sizes)
    ]
    asked = ask(pod(cpu=cpu), nodes, full, rollout=Rollout(replicas, 1, 1, 0, 1, 1))
    surveyed = survey(Ground(asked), asked.rollout)
    assert conclude(surveyed) == answer(asked)
    limited = replace(asked, group_rooms=rooms, unknown=("limits_not_readable",))
    assert conclude(replace(surveyed, question=limited)) == answer(limited)


@given(st.integers(0, 10**6))
def test_what_is_bought_suffices_and_one_node_less_would_not(seed: int) -> None:
    chance = random.Random(seed)
    nodes = [
        node(f"n{number}", cpu=str(chance.randint(1, 6)), labels={"agentpool": chance.choice("ab")})
        for number in range(chance.randint(1, 4))
    ]
    pods = [
        pod(f"f{number}", on=f"n{chance.randrange(len(nodes))}", cpu=str(chance.randint(1, 3)))
        for number in range(chance.randint(0, 4))
    ]
    new = pod(cpu=str(chance.randint(1, 3)), labels={"app": "web"}, affinity=APART if chance.random() < 0.3 else {})
    there, incoming = scene(nodes, pods), incoming_view(new, MINOR)
    rules, wanted = volume_rules(incoming, Storage()), chance.randint(1, 8)

    def holds(group: Group, count: int) -> bool:
        fresh = [replace(group.template, name=f"x{number}") for number in range(count)]
        fresh = [replace(one, labels={**one.labels, HOSTNAME: one.name}) for one in fresh]
        grown = there.with_nodes(fresh, {one.name: group.load for one in fresh})
        return fit(Board(grown, incoming, rules), wanted).least >= wanted

    least = fit(Board(there, incoming, rules), wanted).least
    for one in purchases(there, incoming, rules, wanted, wanted - least, groups(there, {})) if least < wanted else ():
        assert holds(one.group, one.count)
        assert not holds(one.group, one.count - 1)


ALONE: tuple[Object, ...] = (
    {"affinity": APART},
    {"containers": [container("1", ports=[{"hostPort": 80, "protocol": "TCP"}])]},
)


@pytest.mark.parametrize("alone", ALONE)
def test_a_pod_that_has_to_be_alone_on_its_node_needs_one_more_and_two_while_an_old_one_is_ending(
    alone: Object,
) -> None:
    nodes = [node(f"n{number}", labels=NODEPOOL) for number in range(2)]
    old = [pod(f"old{number}", on=f"n{number}", meta=of("rs-old"), **alone) for number in range(2)]
    prices = price_book({"currency": "EUR", "nodes": [{"node_group": "np-a", "hourly": 1}]})

    def shape(rooms: Object) -> Any:
        asked = ask(pod(**alone), nodes, old, prices=prices, group_rooms=rooms)
        return headroom(asked, answer(asked), {}) | {"lines": summary(asked, answer(asked), "web")}

    found, tight = shape({}), shape({("np-a", "m6i.xlarge", ""): 1})
    (bought,) = found["new_nodes"]
    assert (found["verdict"], bought["count"], bought["count_most"]) == ("needs_nodes", 1, 2)
    assert [found["cost"][name] for name in ("hourly_min", "hourly_max")] == [1.0, 2.0]
    assert any("an autoscaler may add 2 while old pods are still ending" in line for line in found["lines"])
    assert "new_pods_wait_until_old_ones_have_ended" in found["assumptions"]
    assert [(one["count"], one["count_most"]) for one in tight["new_nodes"]] == [(1, 1)]


@given(st.integers(0, 10**6))
def test_with_the_nodes_that_are_needed_every_moment_fits_in_the_end_and_with_the_most_at_once(seed: int) -> None:
    chance = random.Random(seed)
    alone = chance.choice(({}, *ALONE))
    replicas = chance.randint(1, 5)
    rollout = Rollout(
        replicas, chance.randint(1, replicas), chance.randint(0, 2), chance.randint(0, 2), 1, chance.randint(0, 2)
    )
    there = chance.randint(replicas if alone else (replicas + 1) // 2, replicas + 1)
    nodes = [node(f"n{number}", labels=NODEPOOL, cpu="2") for number in range(there)]
    old = [pod(f"old{number}", on=f"n{number % len(nodes)}", meta=of("rs-old"), **alone) for number in range(replicas)]

    def asked(more: int) -> Any:
        fresh = [node(f"x{number}", labels=NODEPOOL, cpu="2") for number in range(more)]
        return ask(pod(**alone), nodes + fresh, old, rollout=rollout)

    for one in headroom(asked(0), answer(asked(0)), {})["new_nodes"]:
        assert all(peak.verdict is Verdict.FITS for peak in answer(asked(one["count"])).peaks)
        assert answer(asked(one["count"] - 1)).verdict is not Verdict.FITS
        assert not any(peak.waits for peak in answer(asked(one["count_most"])).peaks)
        assert (
            any(peak.waits for peak in answer(asked(one["count_most"] - 1)).peaks) or one["count"] == one["count_most"]
        )


def spreading_over_nodes(copies: int) -> Any:
    """A crowd of full nodes, and copies that spread over nodes: each of them takes a new one."""
    spread = {"maxSkew": 1, "topologyKey": HOSTNAME, "whenUnsatisfiable": "DoNotSchedule"}
    new = pod(cpu="1", topologySpreadConstraints=[{**spread, "labelSelector": {"matchLabels": {"app": "web"}}}])
    nodes = [node(f"n{number}", labels={"agentpool": "ab"[number % 2]}) for number in range(90)]
    full = [pod(f"f{number}", on=f"n{number}", cpu="4", labels={"app": "other"}) for number in range(90)]
    incoming, there = incoming_view(new, MINOR), scene(nodes, full)
    return lambda rooms: purchases(
        there, incoming, volume_rules(incoming, Storage()), copies, copies, groups(there, rooms)
    )


def test_how_many_nodes_to_buy_is_found_in_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    class Counted(Board):
        def __init__(self, *parts: Any) -> None:
            looks.append(1)
            super().__init__(*parts)

    monkeypatch.setattr(headroom_groups, "Board", Counted)
    buy = spreading_over_nodes(40)
    assert [(one.group.name, one.count) for one in buy({})] == [("a", 40), ("b", 40)]
    # One for the closed form; for each group the least, the most and the halves between 10 and 40.
    assert len(looks) <= 1 + 2 * 8
    looks.clear()
    together = buy({("a", "", ""): 25, ("b", "", ""): 30})
    assert [(one.group.name, one.count, one.partial) for one in together] == [("a", 25, True), ("b", 15, True)]
    assert len(looks) <= 1 + 3 * 8
    assert buy({("a", "", ""): 25, ("b", "", ""): 14}) == []


def test_pods_that_an_autoscaler_is_assumed_to_add_hold_room_and_quota_before_the_canary() -> None:
    rollout = Rollout(replicas=4, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)
    raw = {
        "metadata": {"name": "q"},
        "spec": {"hard": {"pods": "4"}},
        "status": {"hard": {"pods": "4"}, "used": {"pods": "2"}},
    }
    more = {"rollout": rollout, "absent": 2, "absent_pod": pod(cpu="1"), "old_pod": pod(cpu="1")}
    tight, roomy = [node("n1", cpu="4")], [node("n1", cpu="4"), node("n2", cpu="4")]
    # Today's two pods and the canary would fit on the one node; the four that are assumed fill it.
    assert answer(ask(pod(cpu="1"), tight)).peaks[0].verdict is Verdict.FITS
    assert answer(ask(pod(cpu="1"), tight, **more)).peaks[0].verdict is Verdict.NEEDS_NODES
    found = answer(ask(pod(cpu="1"), roomy, **more))
    assert (found.verdict, found.exactness) == (Verdict.FITS, Exactness.APPROXIMATE)
    assert "assumed_stable_pods_are_spread: 2" in found.assumptions
    quota = answer(ask(pod(cpu="1"), roomy, quotas=(quota_view(raw),), **more))
    assert [one.quota.most for one in quota.peaks] == [0, 1, 4]


def test_assumed_pods_that_find_no_node_want_the_new_ones_first() -> None:
    rollout = Rollout(replicas=6, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)
    asked = ask(
        pod(cpu="1"), [node("n1", cpu="4", labels=NODEPOOL)], rollout=rollout, absent=4, absent_pod=pod(cpu="1")
    )
    found = answer(asked)
    assert (found.verdict, found.peaks[0].peak.more) == (Verdict.NEEDS_NODES, 3)
    assert "2 stable pods without a node before" in found.peaks[0].peak.why


def test_a_quota_is_the_first_blocker_and_the_fit_is_told_too() -> None:
    raw = {
        "metadata": {"name": "q"},
        "spec": {"hard": {"pods": "2"}},
        "status": {"hard": {"pods": "2"}, "used": {"pods": "2"}},
    }
    asked = ask(pod(), [node("n1")], quotas=(quota_view(raw),), old_pod=pod())
    found = answer(asked)
    assert found.verdict is Verdict.QUOTA_EXCEEDED
    shape = headroom(asked, found, {})
    assert shape["quota"] == [
        {"name": "q", "resource": "pods", "used": "2", "hard": "2", "per_pod": "1", "max_pods": 0}
    ]
    assert shape["fit"]["min"] == 2
    assert "Quota q: pods 2 of 2 used, 1 a pod: room for 0 of 1 more." in summary(asked, found, "web")


def test_a_quota_that_is_full_only_while_old_pods_are_ending_hides_no_nodes_that_are_needed() -> None:
    raw = {
        "metadata": {"name": "q"},
        "spec": {"hard": {"pods": "3"}},
        "status": {"hard": {"pods": "3"}, "used": {"pods": "2"}},
    }
    found = answer(ask(pod(cpu="3"), [node("n1", cpu="5")], quotas=(quota_view(raw),), old_pod=pod()))
    assert [one.verdict for one in found.peaks] == [Verdict.FITS, Verdict.NEEDS_NODES, Verdict.NEEDS_NODES]
    assert [one.quota.most for one in found.peaks] == [1, 2, 3]


def test_a_release_into_the_scope_of_a_full_quota_gets_nothing_from_pods_outside_it() -> None:
    """Ten pods move from one priority class to another, whose quota has room for three: more never exist."""
    rollout = Rollout(replicas=10, canary=1, surge=1, max_unavailable=0, own_surge=3, own_max_unavailable=2)
    only_high = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    raw = {
        "metadata": {"name": "q"},
        "spec": {"hard": {"pods": "13"}, "scopeSelector": {"matchExpressions": [only_high]}},
        "status": {"hard": {"pods": "13"}, "used": {"pods": "10"}},
    }
    old = [pod(f"old{number}", on="n1", cpu="100m", meta=of("rs-old"), priorityClassName="low") for number in range(10)]

    def asked(kind: str) -> Any:
        new = pod(cpu="100m", priorityClassName=kind)
        return answer(ask(new, [node("n1", cpu="9")], old, rollout=rollout, quotas=(quota_view(raw),), old_pod=old[0]))

    found = asked("high")
    assert (found.verdict, [one.quota.most for one in found.peaks]) == (Verdict.QUOTA_EXCEEDED, [3, 3, 3])
    assert asked("low").verdict is Verdict.FITS


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"refusals": ("LimitRange lr: no",)}, Verdict.REFUSED),
        ({"unknown": ("pods_not_readable",)}, Verdict.UNKNOWN),
        ({"cluster_known": False}, Verdict.UNKNOWN),
    ],
)
def test_what_is_refused_or_unknown_never_fits(more: Object, expected: Verdict) -> None:
    assert answer(ask(pod(), [node("n1")], **more)).verdict is expected


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"schedulerName": "mine"}, "other_scheduler: mine"),
        ({"schedulingGates": [{"name": "later"}]}, "scheduling_gates: later"),
        ({"resourceClaims": [{"name": "gpu"}]}, "dra_claims"),
        ({"volumes": [{"name": "e", "ephemeral": {}}]}, "ephemeral_volume_topology"),
        ({"volumes": [{"name": "c", "persistentVolumeClaim": {"claimName": "c"}}]}, "volume_claims_not_readable"),
    ],
)
def test_what_a_client_cannot_know_turns_fits_into_unknown(spec: Object, name: str) -> None:
    found = answer(ask(pod(**spec), [node("n1")]))
    assert found.verdict is Verdict.UNKNOWN
    assert name in found.unknown


def test_unknown_never_turns_a_certain_refusal_into_hope() -> None:
    assert answer(ask(pod(cpu="9", schedulerName="mine"), [node("n1")])).verdict is Verdict.CANNOT_FIT


def test_pods_of_lower_priority_are_room_only_through_preemption() -> None:
    rollout = Rollout(replicas=1, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)
    pause = [pod("pause", on="n1", cpu="3", priority=-5)]
    found = answer(ask(pod(cpu="2"), [node("n1")], pause, rollout=rollout))
    assert found.verdict is Verdict.FITS_AFTER_PREEMPTION
    polite = answer(ask(pod(cpu="2", preemptionPolicy="Never"), [node("n1")], pause, rollout=rollout))
    assert polite.verdict is Verdict.NEEDS_NODES


def test_no_replicas_need_no_room() -> None:
    rollout = Rollout(replicas=0, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)
    asked = ask(pod(cpu="99"), [node("n1")], [], rollout=rollout)
    found = answer(asked)
    assert (found.verdict, found.peaks) == (Verdict.FITS, ())
    assert headroom(asked, found, {})["surge"]["from"] == "the Deployment has no replicas"


def test_a_new_node_is_like_one_of_its_group_with_its_daemons_only() -> None:
    daemon = pod("d", on="n1", cpu="1", meta=of("ds", "DaemonSet"))
    filler = pod("f", on="n1", cpu="3")
    rollout = Rollout(replicas=5, canary=5, surge=5, max_unavailable=0, own_surge=1, own_max_unavailable=0)
    asked = ask(pod(cpu="1"), [node("n1", labels=NODEPOOL)], [daemon, filler], rollout=rollout)
    found = answer(asked)
    assert found.verdict is Verdict.NEEDS_NODES
    shape = headroom(asked, found, {})["new_nodes"][0]
    assert (shape["group"], shape["count"], shape["pods_per_node"]) == ("np-a", 2, 3)
    assert (shape["hourly_each"], shape["price_source"]) == (None, "none")


def test_a_group_that_is_full_sells_nothing() -> None:
    full = [pod("f", on="n1", cpu="4")]
    assert (
        answer(ask(pod(), [node("n1", labels=NODEPOOL)], full, group_rooms={("np-a", "m6i.xlarge", ""): 0})).verdict
        is Verdict.CANNOT_FIT
    )


@pytest.mark.parametrize(
    ("labels", "expected"), [(NODEPOOL, Verdict.NEEDS_NODES), ({"agentpool": "a"}, Verdict.CANNOT_FIT)]
)
def test_only_karpenter_adds_nodes_for_pods_of_the_lowest_priority(labels: Object, expected: Verdict) -> None:
    full = [pod("f", on="n1", cpu="4")]
    assert answer(ask(pod(priority=-11), [node("n1", labels=labels)], full)).verdict is expected


def test_advice_names_what_fits_and_that_the_own_strategy_gets_stuck() -> None:
    rollout = Rollout(replicas=4, canary=1, surge=1, max_unavailable=0, own_surge=2, own_max_unavailable=0)
    old = [pod(f"old{index}", on="n1", meta=of("rs-old")) for index in range(4)]
    asked = ask(pod(cpu="1"), [node("n1", cpu="4")], old, rollout=rollout, ready_seconds=10.0)
    found = answer(asked)
    assert found.advice is not None
    assert found.advice.best is not None
    assert (found.advice.surge_now, found.advice.best.surge, found.advice.best.max_unavailable) == (0, 0, 1)
    assert (found.advice.best.waves, found.advice.best.seconds, found.advice.best.lowest_ready) == (4, 40.0, 3)
    assert any("would get stuck" in line for line in summary(asked, found, "web"))


def test_advice_knows_what_a_quota_allows() -> None:
    rollout = Rollout(replicas=4, canary=1, surge=1, max_unavailable=0, own_surge=2, own_max_unavailable=0)
    old = [pod(f"old{index}", on="n1", meta=of("rs-old")) for index in range(4)]

    def advised(pods: str) -> Any:
        hard = {"pods": pods}
        raw = {"metadata": {"name": "q"}, "spec": {"hard": hard}, "status": {"hard": hard, "used": {"pods": "4"}}}
        return answer(
            ask(pod(), [node("n1", cpu="64")], old, rollout=rollout, quotas=(quota_view(raw),), old_pod=old[0])
        ).advice

    steady, one_more, many = advised("4"), advised("5"), advised("99")
    assert (steady.surge_now, steady.best.surge, steady.best.max_unavailable) == (0, 0, 1)
    assert [one.completes for one in steady.strategies if one.is_own] == [False]
    # A surge of 2 goes on by one pod at a time where the quota has room for one.
    assert (one_more.surge_now, [one.waves for one in one_more.strategies if one.is_own]) == (1, [5])
    assert (many.surge_now, many.best.surge) == (4, 4)


def test_advice_prefers_no_loss_of_ready_pods_and_then_few_waves() -> None:
    rollout = Rollout(replicas=4, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=1)
    old = [pod(f"old{index}", on="n1", meta=of("rs-old")) for index in range(4)]
    found = answer(ask(pod(cpu="1"), [node("n1", cpu="9")], old, rollout=rollout))
    assert found.advice is not None
    assert found.advice.best is not None
    assert (found.advice.best.surge, found.advice.best.max_unavailable, found.advice.best.waves) == (4, 0, 2)


def test_the_answer_is_plain_data_of_the_documented_shape() -> None:
    asked = ask(pod(), [node("n1", labels=NODEPOOL)], [pod("f", on="n1", cpu="4")])
    shape = headroom(asked, answer(asked), {"requests": 5})
    assert json.loads(json.dumps(shape)) == shape
    assert set(shape) == {
        "verdict", "exactness", "server_version", "surge", "pod_request", "fit", "peaks", "rejected_nodes", "nearest_miss",
        "quota", "refusals", "new_nodes", "cost", "advice", "unknown", "assumptions", "read",
    }  # fmt: skip
    assert shape["nearest_miss"] == {"node": "n1", "short_of": {"cpu": "1"}}
    assert shape["rejected_nodes"] == {"Insufficient cpu": 1}
    assert shape["server_version"] == "1.37"


def test_a_template_that_nobody_admitted_is_only_an_approximation() -> None:
    asked = ask(pod(), [node("n1")])
    local = type(asked)(**{**vars(asked), "pod_source": PodSource.TEMPLATE})
    found = answer(local)
    assert found.exactness is Exactness.APPROXIMATE
    assert "admission_not_simulated" in found.assumptions


def test_the_worked_example_of_the_peaks() -> None:
    found = peaks(Rollout(replicas=10, canary=3, surge=1, max_unavailable=0, own_surge=3, own_max_unavailable=2))
    assert [(one.moment, one.new, one.old_gone, one.settled_gone) for one in found] == [
        (Moment.START, 1, 0, 0),
        (Moment.STEPS, 3, 1, 2),
        (Moment.PROMOTION, 8, 2, 5),
        (Moment.STEADY, 10, 10, 10),
    ]


counts = st.integers(0, 30)


@given(counts, counts, counts, counts, counts, counts, counts)
def test_no_peak_asks_for_more_pods_than_there_can_be(
    r: int, c: int, s: int, u: int, own_s: int, own_u: int, there: int
) -> None:
    for peak in peaks(Rollout(r, c, s, u, own_s, own_u, there)):
        assert 0 <= peak.more <= peak.new <= r
        assert 0 <= peak.old_gone <= peak.settled_gone <= r


def test_a_pod_that_may_evict_others_does_not_wait_until_old_ones_have_ended() -> None:
    """The third new pod would find the room of an old one that is ending; the scheduler evicts the other pod meanwhile."""
    rollout = Rollout(replicas=4, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=2)
    old = [pod(f"old{index}", on="n1", meta=of("rs-old")) for index in range(4)]

    def verdicts(priority: int) -> list[Verdict]:
        lower = pod("f", on="n1", priority=priority)
        return [one.verdict for one in answer(ask(pod(), [node("n1", cpu="7")], [*old, lower], rollout=rollout)).peaks]

    assert verdicts(0) == [Verdict.FITS, Verdict.FITS, Verdict.FITS]
    assert verdicts(-5) == [Verdict.FITS, Verdict.FITS_AFTER_PREEMPTION, Verdict.FITS]


def test_pods_that_fit_only_after_old_ones_have_ended_just_wait_and_that_is_said() -> None:
    asked = ask(pod(cpu="1"), [node("n1", cpu="3")])
    found = answer(asked)
    assert [one.waits for one in found.peaks] == [False, True, False]
    assert "new_pods_wait_until_old_ones_have_ended" in found.assumptions
    assert any("stay Pending until old ones have ended" in line for line in summary(asked, found, "web"))


# Pods that are Pending today already.

PENDING = pod("pending", meta=of("rs-old"), cpu="1")


def test_an_old_pod_without_a_node_goes_first_and_leaves_no_room() -> None:
    """Two old pods fill the node and a third waits. When two of them have gone, one of these is the third: room for one new pod."""
    rollout = Rollout(replicas=3, canary=1, surge=0, max_unavailable=1, own_surge=0, own_max_unavailable=1)
    full = [node("n1", cpu="2")]
    found = answer(ask(pod(cpu="1"), full, [*TWO_OLD, PENDING], rollout=rollout))
    promotion = next(one for one in found.peaks if one.peak.moment is Moment.PROMOTION)
    assert (promotion.peak.settled_gone, promotion.fit.least, promotion.verdict) == (2, 1, Verdict.NEEDS_NODES)
    all_placed = answer(
        ask(pod(cpu="1"), [node("n1", cpu="3")], [*TWO_OLD, pod("old2", on="n1", meta=of("rs-old"))], rollout=rollout)
    )
    assert next(one for one in all_placed.peaks if one.peak.moment is Moment.PROMOTION).verdict is Verdict.FITS


def test_a_held_canary_without_a_node_does_not_fit_because_it_exists() -> None:
    rollout = Rollout(
        replicas=2, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0, existing_canary=1
    )
    waiting = pod("canary", meta=of("rs-new"), cpu="1")
    owners = frozenset({"rs-old", "rs-new"})
    asked = ask(
        pod(cpu="1"), [node("n1", cpu="2")], [*TWO_OLD, waiting], rollout=rollout, owners=owners, canary_owner="rs-new"
    )
    found = answer(asked)
    assert (found.peaks[0].peak.more, found.peaks[0].peak.to_place) == (0, 1)
    assert found.peaks[0].verdict is Verdict.NEEDS_NODES
    assert any("Pending today already" in line for line in summary(asked, found, "web"))
    assert "pending_pods_take_no_room: 1" in found.assumptions
    roomy = ask(
        pod(cpu="1"), [node("n1", cpu="9")], [*TWO_OLD, waiting], rollout=rollout, owners=owners, canary_owner="rs-new"
    )
    assert answer(roomy).verdict is Verdict.FITS


def test_a_quota_has_charged_a_waiting_canary_already() -> None:
    rollout = Rollout(
        replicas=2, canary=1, surge=1, max_unavailable=0, own_surge=0, own_max_unavailable=1, existing_canary=1
    )
    raw = {
        "metadata": {"name": "q"},
        "spec": {"hard": {"pods": "3"}},
        "status": {"hard": {"pods": "3"}, "used": {"pods": "3"}},
    }
    asked = ask(
        pod(cpu="1"),
        [node("n1", cpu="9")],
        [*TWO_OLD, pod("canary", meta=of("rs-new"), cpu="1")],
        rollout=rollout,
        owners=frozenset({"rs-old", "rs-new"}),
        canary_owner="rs-new",
        quotas=(quota_view(raw),),
    )
    assert answer(asked).peaks[0].verdict is Verdict.FITS


def test_nodes_that_are_not_ready_are_named_and_give_no_room() -> None:
    taint = {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]}
    found = answer(ask(pod(cpu="1"), [node("n1", spec=taint), node("n2", spec=taint)], []))
    assert found.verdict is not Verdict.FITS
    assert found.deciding is not None
    assert dict(found.deciding.rejected) == {"untolerated taint node.kubernetes.io/not-ready:NoSchedule": 2}
