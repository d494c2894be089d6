# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Service of one version, and how much of the traffic a pod gets."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import Unroutable
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.load import (
    canary_load,
    largest_weight,
    per_cent,
    pods_for,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.services import (
    Owner,
    check,
    check_ports,
    difference,
    is_ours,
    narrowed,
    ports_of,
    ready_endpoints,
    service_name,
)

OWNER = Owner("web", "uid-of-web")


def own(**spec: Any) -> dict[str, Any]:
    port = {
        "name": "http",
        "port": 80,
        "targetPort": "http",
        "protocol": "TCP",
        "appProtocol": "h2c",
        "nodePort": 30080,
    }
    annotations = {
        "konghq.com/upstream-policy": "slow",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "kustomize.toolkit.fluxcd.io/prune": "no",
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
        "monitoring.shop.example/scrape": "true",
        "ad.datadoghq.com/endpoints.check_names": "[]",
        "tailscale.com/expose": "true",
    }
    meta = {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "annotations": annotations}
    return {
        "metadata": meta,
        "spec": {"selector": {"app": "web"}, "ports": [port], "type": "LoadBalancer", "clusterIP": "10.0.0.9", **spec},
    }


def test_what_says_how_pods_are_reached_is_copied_and_no_address() -> None:
    made = narrowed(own(sessionAffinity="ClientIP"), "7db95c9fc5", OWNER, "12")
    assert made["metadata"]["name"] == "web-7db95c9fc5-12"
    assert made["metadata"]["annotations"] == {"konghq.com/upstream-policy": "slow"}
    assert "app" not in made["metadata"]["labels"]
    assert made["spec"] == {
        "type": "ClusterIP",
        "selector": {"app": "web", "pod-template-hash": "7db95c9fc5"},
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "appProtocol": "h2c"}],
        "sessionAffinity": "ClientIP",
    }
    assert is_ours(made, OWNER) and not is_ours(made, Owner("web", "another"))
    assert narrowed(own(clusterIP="None"), "a", OWNER, "12")["spec"]["clusterIP"] == "None"


def test_it_serves_as_wanted_whatever_the_server_filled_in() -> None:
    wanted = narrowed(own(), "a", OWNER, "12")
    stored = {
        **wanted,
        "spec": {**wanted["spec"], "clusterIP": "10.0.0.7", "ports": [{**wanted["spec"]["ports"][0], "nodePort": 1}]},
    }
    assert not difference(stored, wanted)
    selects = "selects app=web,pod-template-hash=b instead of app=web,pod-template-hash=a"
    assert difference(narrowed(own(), "b", OWNER, "12"), wanted) == selects
    assert (
        difference(narrowed(own(ports=[]), "a", OWNER, "12"), wanted)
        == "has no port instead of port http 80:http/TCP h2c"
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"selector": {}}, "selects no pods"),
        ({"type": "ExternalName"}, "selects no pods"),
        ({"publishNotReadyAddresses": True}, "publishNotReadyAddresses"),
        ({"selector": {"app": "web", "tier": "front"}}, "selects by the label tier"),
    ],
)
def test_a_service_that_cannot_be_narrowed_is_told(spec: dict[str, Any], said: str) -> None:
    check(own(), {"app": "web", "more": "x"})
    with pytest.raises(Unroutable, match=said):
        check(own(**spec), {"app": "web"})


def test_one_whose_selector_has_gone_since_is_not_narrowed() -> None:
    with pytest.raises(Unroutable, match="selects no pods any more"):
        narrowed(own(selector=None), "7db95c9fc5", Owner("web", "uid"), "12")


def test_a_name_is_a_label_however_long_its_service_is_called() -> None:
    assert service_name("a" * 63, "7db95c9fc5", "12") == "a" * 49 + "-7db95c9fc5-12"
    assert service_name("a" * 48 + "-b", "7db95c9fc5", "12") == "a" * 48 + "-7db95c9fc5-12"


def test_an_endpoint_counts_once_and_unless_it_says_that_it_is_not_ready() -> None:
    endpoints = [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"], "conditions": {"ready": False}}]
    assert ready_endpoints([{"endpoints": endpoints}, {"endpoints": endpoints[:1]}, {"endpoints": None}]) == {
        "10.0.0.1"
    }


def a_slice(*pods: str, ports: tuple[str, ...] | None = ("http",), family: str = "IPv4") -> dict[str, Any]:
    """As the server has it: `ports` is null where the controller finds none in the pods."""
    endpoints = [{"addresses": [f"{family}-of-{pod}"], "targetRef": {"uid": pod}} for pod in pods]
    told = None if ports is None else [{"name": name, "port": 8080} for name in ports]
    return {"addressType": family, "endpoints": endpoints, "ports": told}


@pytest.mark.parametrize(
    ("slices", "ready"),
    [
        ([a_slice("a", "b")], {"a", "b"}),
        ([a_slice("a"), a_slice("b", ports=None)], {"a"}),
        ([a_slice("a", ports=("other",))], set()),
        ([a_slice("a", ports=("http", "other"))], {"a"}),
        # Two families of addresses: no pod counts twice, nor before each family knows it; one that no pod has does not count.
        ([a_slice("a", "b"), a_slice("a", "b", family="IPv6")], {"a", "b"}),
        ([a_slice("a", "b"), a_slice("a", family="IPv6")], {"a"}),
        ([a_slice("a", "b"), a_slice(family="IPv6")], {"a", "b"}),
    ],
)
def test_a_pod_counts_once_and_where_it_is_reached_at_each_port(slices: list[dict[str, Any]], ready: set[str]) -> None:
    assert ready_endpoints(slices, frozenset({"http"})) == ready


def test_ports_are_those_of_any_slice_and_an_only_one_needs_no_name() -> None:
    assert ports_of([a_slice("a"), a_slice("b", ports=None), {"ports": [{"port": 80}]}]) == {"http", ""}


def template(*names: str, protocol: str = "TCP", sidecar: str = "") -> dict[str, Any]:
    ports = [{"name": name, "containerPort": 8080, "protocol": protocol} for name in names]
    beside = {"restartPolicy": "Always", "ports": [{"name": sidecar, "containerPort": 1}]} if sidecar else {}
    return {"spec": {"containers": [{"ports": ports}, {"name": "plain"}], "initContainers": [beside]}}


@pytest.mark.parametrize(
    ("target", "stable", "canary", "refused"),
    [
        ("http", template("http"), template("http"), False),
        ("http", template("http"), template("web"), True),
        ("http", template("http"), template(), True),
        ("http", template("http"), template("http", protocol="UDP"), True),
        ("http", template("http"), template(sidecar="http"), False),
        ("http", template(), template(), False),  # a webhook may add it to both
        ("http", template(), template("http"), False),
        (8080, template("http"), template(), False),
    ],
)
def test_a_named_port_that_only_the_stable_version_has_is_told(
    target: object, stable: dict[str, Any], canary: dict[str, Any], refused: bool
) -> None:
    service = own(ports=[{"name": "http", "port": 80, "targetPort": target, "protocol": "TCP"}])
    if not refused:
        check_ports(service, stable, canary)
        return
    with pytest.raises(Unroutable, match='container port "http"'):
        check_ports(service, stable, canary)


@given(st.integers(1, 200), st.fractions(0, 1, max_denominator=1000))
def test_the_pods_that_are_named_would_do_and_one_less_would_not(replicas: int, weight: Fraction) -> None:
    pods = pods_for(weight, replicas)
    assert canary_load(weight, replicas, pods) <= 1 and weight <= largest_weight(replicas, pods)
    if pods > 1:
        assert canary_load(weight, replicas, pods - 1) > 1 and weight > largest_weight(replicas, pods - 1)


@pytest.mark.parametrize(
    ("weight", "said"), [("1/20", "5"), ("1/1000", "0.1"), ("1/3", "33.333"), ("2/3", "66.666"), ("1", "100")]
)
def test_a_share_is_told_without_being_rounded_up(weight: str, said: str) -> None:
    assert per_cent(Fraction(weight)) == said
