# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies that influence each other: affinity, anti-affinity, spreading, claims for one pod."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.admission import admitted_locally
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.board import Board
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.placement import Fit, Method, _Search, fit
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.views import incoming_view
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.volumes import Storage, volume_rules
from tests.truth.headroom.clusters import make_cluster

from .clusters import HOSTNAME, MINOR, REQUIRED, ZONE, board, node, placeable, pod

Object = dict[str, Any]
WEB = {"matchLabels": {"app": "web"}}


def affinity(kind: str, key: str, selector: Object | None = None, **more: Any) -> Object:
    term = {"topologyKey": key, "labelSelector": WEB if selector is None else selector, **more}
    return {kind: {REQUIRED: [term]}}


def apart(key: str, **more: Any) -> Object:
    return affinity("podAntiAffinity", key, **more)


def together(key: str, **more: Any) -> Object:
    return affinity("podAffinity", key, **more)


def zones(*names: str, **size: str) -> list[Object]:
    return [node(f"n{index}", zone=zone, **size) for index, zone in enumerate(names)]


def test_anti_affinity_to_itself_gives_one_a_node_or_one_a_zone() -> None:
    nodes = zones("a", "a", "b")
    assert placeable(pod(affinity=apart(HOSTNAME)), nodes) == Fit(3, 3, Method.CLOSED_FORM)
    assert placeable(pod(affinity=apart(ZONE)), nodes) == Fit(2, 2, Method.EXHAUSTIVE)


def test_a_node_without_the_key_is_no_place_to_keep_apart_on() -> None:
    nodes = [node("n1", cpu="3"), node("n2", cpu="3", labels={HOSTNAME: "n2"})]
    del nodes[0]["metadata"]["labels"][HOSTNAME]
    assert placeable(pod(affinity=apart(HOSTNAME)), nodes).least == 4


def test_the_anti_affinity_of_others_counts_too() -> None:
    hostile = pod("h", on="n0", labels={"app": "db"}, affinity=apart(ZONE))
    assert placeable(pod(), zones("a", "a", "b"), [hostile]).least == 4
    unrelated = pod("h", on="n0", labels={"app": "db"}, namespace="other", affinity=apart(ZONE))
    assert placeable(pod(), zones("a", "a", "b"), [unrelated]).least == 11


@pytest.mark.parametrize(
    ("scope", "copies"),
    [
        ({}, 0),
        ({"namespaces": ["other"]}, 4),
        ({"namespaceSelector": {}}, 4),
        ({"namespaceSelector": {"matchLabels": {"team": "blue"}}}, 4),
        ({"namespaceSelector": {"matchLabels": {"team": "green"}}}, 0),
        ({"namespaceSelector": {"matchLabels": {"team": "green"}}, "namespaces": ["other"]}, 4),
    ],
)
def test_affinity_looks_into_the_namespaces_it_names(scope: Object, copies: int) -> None:
    friend = pod("f", on="n0", labels={"app": "db"}, namespace="other", cpu=None)
    new = pod(affinity=together(ZONE, selector={"matchLabels": {"app": "db"}}, **scope))
    assert placeable(new, zones("a", "b"), [friend]).most == copies


def test_the_first_pod_of_a_group_that_attracts_itself_may_start_anywhere_and_binds_the_others() -> None:
    nodes = [*zones("a", cpu="2"), node("n9", zone="b", cpu="3")]
    answer = placeable(pod(affinity=together(ZONE)), nodes)
    assert answer == Fit(2, 3, Method.EXHAUSTIVE)
    assert not answer.is_certain


def test_affinity_to_nobody_who_is_there_fits_nowhere() -> None:
    assert placeable(pod(affinity=together(ZONE, selector={"matchLabels": {"app": "db"}})), zones("a")).most == 0


def test_a_selector_that_is_missing_selects_nobody_and_an_empty_one_everybody() -> None:
    other = pod("o", on="n0", labels={"app": "db"}, cpu=None)
    nobody = pod(affinity={"podAntiAffinity": {REQUIRED: [{"topologyKey": ZONE}]}})
    assert placeable(nobody, zones("a", "b"), [other]).least == 8
    everybody = pod(affinity=apart(ZONE, selector={}))
    assert placeable(everybody, zones("a", "b"), [other]).most == 1


def spread(key: str = ZONE, skew: int = 1, selector: Object | None = None, **more: Any) -> Object:
    one = {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": "DoNotSchedule"}
    return {"topologySpreadConstraints": [{**one, "labelSelector": WEB if selector is None else selector, **more}]}


@pytest.mark.parametrize(
    ("constraint", "copies"),
    [
        (spread(), 3),  # zone b takes one only, so zone a takes two
        (spread(skew=2), 4),
        (spread(minDomains=3), 2),  # fewer than three domains: the least counts as 0
        (spread(selector={"matchLabels": {"app": "db"}}), 9),  # does not count itself
        (spread(selector={}), 9),  # an empty selector counts nobody
        (spread(whenUnsatisfiable="ScheduleAnyway"), 9),
        (spread(key="missing"), 0),
    ],
)
def test_spreading(constraint: Object, copies: int) -> None:
    nodes = [node("n0", zone="a", cpu="8"), node("n1", zone="b", cpu="1")]
    assert placeable(pod(**constraint), nodes, wanted=9).least == copies


@pytest.mark.parametrize(("policy", "copies"), [({}, 1), ({"nodeTaintsPolicy": "Honor"}, 4)])
def test_the_domain_of_a_tainted_node_sets_the_minimum_unless_taints_are_honored(policy: Object, copies: int) -> None:
    tainted = node("n1", zone="b", spec={"taints": [{"key": "k", "effect": "NoSchedule"}]})
    assert placeable(pod(**spread(**policy)), [node("n0", zone="a"), tainted], wanted=4).least == copies


@pytest.mark.parametrize(("policy", "copies"), [({}, 4), ({"nodeAffinityPolicy": "Ignore"}, 1)])
def test_the_domain_of_a_node_that_is_not_wanted_counts_only_when_affinity_is_ignored(
    policy: Object, copies: int
) -> None:
    new = pod(nodeSelector={ZONE: "a"}, **spread(**policy))
    assert placeable(new, zones("a", "b"), wanted=4).least == copies


def test_terminating_pods_and_those_of_other_namespaces_are_not_counted() -> None:
    crowd = [
        pod("t", on="n0", cpu=None, meta={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        pod("o", on="n0", cpu=None, namespace="other"),
    ]
    assert placeable(pod(cpu="4", **spread()), zones("a", "b"), crowd, wanted=2).least == 2
    assert (
        placeable(
            pod(cpu="4", **spread()), zones("a", "b"), [pod("w", on="n0", cpu=None), pod("v", on="n0", cpu=None)]
        ).least
        == 1
    )


def test_match_label_keys_count_the_new_revision_only() -> None:
    old = [pod(f"o{index}", on="n0", cpu=None, labels={"app": "web", "pod-template-hash": "old"}) for index in range(3)]
    new = pod(
        cpu="2", labels={"app": "web", "pod-template-hash": "new"}, **spread(matchLabelKeys=["pod-template-hash"])
    )
    assert placeable(new, zones("a", "b"), old, wanted=4).least == 4
    blind = pod(cpu="2", labels={"app": "web", "pod-template-hash": "new"}, **spread())
    assert placeable(blind, zones("a", "b"), old, wanted=4).least == 2


def claim(modes: list[str], volume: str = "v") -> Object:
    meta = {"name": "data", "annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
    return {"metadata": meta, "spec": {"accessModes": modes, "volumeName": volume}}


def volume(zone: str | None = None, label: str | None = None) -> Object:
    terms = [{"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}]
    spec = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}} if zone else {}
    return {"metadata": {"name": "v", "labels": {ZONE: label} if label else {}}, "spec": spec}


MOUNT = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}


@pytest.mark.parametrize(
    ("held", "there", "copies"),
    [
        (claim(["ReadWriteMany"]), volume(), 8),
        (claim(["ReadWriteMany"]), volume(zone="a"), 4),
        (claim(["ReadWriteMany"]), volume(label="b"), 4),
        (claim(["ReadWriteMany"]), volume(label="a__b"), 8),
        (claim(["ReadWriteOncePod"]), volume(), 1),
        (None, volume(), 0),
        (claim(["ReadWriteMany"], volume="gone"), volume(), 0),
    ],
)
def test_bound_claims_tie_pods_to_nodes(held: Object | None, there: Object, copies: int) -> None:
    storage = Storage({"data": held} if held else {}, {"v": there}, frozenset())
    assert fit(board(pod(**MOUNT), zones("a", "b"), (), storage), 8).least == copies


LOST = {**claim(["ReadWriteMany"]), "status": {"phase": "Lost"}}
GOING = {**claim(["ReadWriteMany"]), "metadata": {"name": "data", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
UNBOUND = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteMany"]}}
DRIVEN = {"metadata": {"name": "v"}, "spec": {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}}}


@pytest.mark.parametrize(
    ("storage", "blocked", "unknown"),
    [
        (Storage({"data": LOST}, {}), "has lost its volume", set()),
        (Storage({"data": GOING}, {}), "is being deleted", set()),
        (Storage({}, {}), "not found", set()),
        (Storage({"data": claim(["ReadWriteMany"], volume="gone")}, {}), 'persistentvolume "gone"', set()),
        (Storage(None, {}), "", {"volume_claims_not_readable"}),
        (Storage({"data": UNBOUND}, {}), "", {"unbound_volume_topology"}),
        (Storage({"data": claim(["ReadWriteMany"])}, None), "", {"volumes_not_readable"}),
        (Storage({"data": claim(["ReadWriteMany"])}, {"v": DRIVEN}, frozenset()), "", set()),
        (Storage({"data": claim(["ReadWriteMany"])}, {"v": DRIVEN}), "", {"csi_volume_limits"}),
        (Storage({"data": claim(["ReadWriteMany"])}, {"v": DRIVEN}, frozenset({"ebs.csi.aws.com"})), "", {"csi_volume_limits"}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_claim_is_told(storage: Storage, blocked: str, unknown: set[str]) -> None:
    rules = volume_rules(incoming_view(pod(**MOUNT), MINOR), storage)
    assert (blocked in rules.blocked, bool(rules.blocked), rules.unknown) == (True, bool(blocked), unknown)


def test_a_claim_for_one_pod_that_is_in_use_lets_nobody_in() -> None:
    storage = Storage({"data": claim(["ReadWriteOncePod"])}, {"v": volume()}, frozenset())
    assert fit(board(pod(**MOUNT), zones("a"), [pod("old", on="n0", **MOUNT)], storage), 1).most == 0


def test_in_a_great_cluster_several_tastes_are_tried_and_said_to_be() -> None:
    nodes = [node(f"n{index}", zone=f"z{index % 3}") for index in range(60)]
    answer = placeable(pod(**spread(HOSTNAME, skew=30)), nodes, wanted=30)
    assert answer == Fit(30, 30, Method.SAMPLED)
    assert not answer.is_certain


def positions() -> list[tuple[int, Board]]:
    """Boards of random clusters on which copies influence each other, some with three times the nodes, alike in threes."""
    found = []
    for seed in range(700):
        cluster = make_cluster(seed)
        nodes = cluster.nodes
        if seed % 3 == 0:
            twins = (
                {**one, "metadata": {**one["metadata"], "name": f"{one['metadata']['name']}-{twin}"}}
                for one in nodes
                for twin in "ab"
            )
            nodes = [*nodes, *twins]
        asked, _refusals = admitted_locally(cluster.pod, (), MINOR)
        there = [{**one.pod, "status": one.status or {}} for one in cluster.existing]
        one = board(asked, nodes, there)
        if one.candidates and not one.is_independent:
            found.append((seed, one))
    return found


def test_one_node_stands_for_all_that_are_like_it() -> None:
    """Searching group by group finds what searching node by node finds."""
    smaller = searched = 0
    for seed, one in positions():
        alone, grouped = ([index] for index in range(len(one.candidates))), one.alike()
        by_node, by_group = _Search(one, 4, list(alone)), _Search(one, 4, grouped)
        if not by_node.run():
            continue
        assert by_group.run(), seed
        assert (by_group.least, by_group.most) == (by_node.least, by_node.most), seed
        searched += 1
        smaller += any(len(members) > 1 for members in grouped)
    assert searched > 100
    assert smaller > 30


def test_spreading_over_zones_is_exact_in_a_great_cluster_too() -> None:
    nodes = zones(*(f"z{number % 3}" for number in range(300)), cpu="2")
    found = placeable(pod(**spread()), nodes, wanted=12)
    assert found == Fit(12, 12, Method.EXHAUSTIVE)
    one_zone_full = [pod(f"o{index}", on=f"n{3 * index}", cpu="2", labels={"app": "other"}) for index in range(100)]
    assert placeable(pod(**spread()), nodes, one_zone_full, wanted=12) == Fit(2, 2, Method.EXHAUSTIVE)
