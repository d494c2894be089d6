# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prices of nodes from a real Prometheus that scrapes what Karpenter and OpenCost expose."""

from __future__ import annotations

import json
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.groups import Group, groups
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.prices import Price, price_book, price_of
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import Web
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.counting.headroom_prices import (
    PriceMetrics,
    metric_prices,
)
from tests.integration.prometheus import running, wait_for_series
from tests.unit.headroom.clusters import node, scene
from tests.unit.probes.serving import serving

OFFERING = "karpenter_cloudprovider_instance_type_offering_price_estimate"
EXPOSED = f"""\
# TYPE {OFFERING} gauge
{OFFERING}{{instance_type="m6i.xlarge",capacity_type="spot",zone="z1"}} 0.077
{OFFERING}{{instance_type="m6i.xlarge",capacity_type="on-demand",zone="z1"}} 0.192
{OFFERING}{{instance_type="m6i.xlarge",capacity_type="spot",zone="z2"}} 0
{OFFERING}{{instance_type="m6idxlarge",capacity_type="spot",zone="z1"}} 9
{OFFERING}{{instance_type="u-24tb1.metal",capacity_type="spot",zone="z1"}} 1.797693134862315e308
{OFFERING}{{instance_type="c5.large",capacity_type="spot",zone="z1"}} NaN
# TYPE node_total_hourly_cost gauge
node_total_hourly_cost{{instance="t1",node="t1",instance_type="t3.large",region="r",provider_id="p",arch="amd64"}} 0.0832
node_total_hourly_cost{{instance="t9",node="t9",instance_type="t3.large",region="r",provider_id="p",arch="amd64"}} 0.5
node_cpu_hourly_cost{{instance="g1",node="g1",instance_type="g5.xlarge",region="r",provider_id="p",arch="amd64"}} 0.03
node_ram_hourly_cost{{instance="g1",node="g1",instance_type="g5.xlarge",region="r",provider_id="p",arch="amd64"}} 0.004
"""


def expose(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "text/plain; version=0.0.4")
    request.end_headers()
    request.wfile.write(EXPOSED.encode())


def kind(name: str, instance_type: str, zone: str = "z1") -> Group:
    labels = {"node.kubernetes.io/instance-type": instance_type, "karpenter.sh/capacity-type": "spot"}
    return groups(scene([node(name, zone=zone, labels=labels)]), {})[0]


def test_a_real_prometheus_prices_what_karpenter_offers_and_what_opencost_counts(tmp_path: Path) -> None:
    spot, burst, gpu = kind("n1", "m6i.xlarge"), kind("t1", "t3.large"), kind("g1", "g5.xlarge")
    unpriced = [kind("n2", "m6i.xlarge", "z2"), kind("u", "u-24tb1.metal"), kind("c", "c5.large"), kind("x", "x.y")]
    with serving(expose) as exporter, running(tmp_path) as prometheus:
        scraped = [{"targets": [urlsplit(exporter).netloc], "labels": {"job": "all"}}]
        (prometheus.targets / "all.json").write_text(json.dumps(scraped))
        wait_for_series(prometheus.url, "node_ram_hourly_cost", 1)
        metrics = PriceMetrics(Web(prometheus.url))
        found = metric_prices(metrics, price_book(None), [spot, burst, gpu, *unpriced])
    prices: list[Price] = [price_of(one, price_book(None), found.prices) for one in (spot, burst, gpu)]
    assert [(one.hourly, one.source) for one in prices] == [
        (Fraction("0.077"), "karpenter_metric"),
        (Fraction("0.0832"), "opencost_metric"),
        (4 * Fraction("0.03") + 8 * Fraction("0.004"), "opencost_metric"),
    ]
    assert all(price_of(one, price_book(None), found.prices).hourly is None for one in unpriced)
    assert len(found.unknown) == len(unpriced)
