# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of our own over forwarded ports, through a real kubelet, with the rights that the collection ships."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import PodRefused
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    BucketRule,
    CheckAsked,
    HttpAsked,
    RateCheck,
    Tolerance,
    VerifyRequest,
    Via,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.cluster.lab import Lab
from tests.integration.releases import CONTAINER, Release, image, silent
from tests.integration.shipped_role import Rules, releaser, without

pytestmark = pytest.mark.real

PORT = 8080


@pytest.fixture(scope="module")
def release(real_lab: Lab) -> Iterator[Release]:
    """Two pods of v1 and a canary that errs in half of its answers."""
    namespace = real_lab.create_namespace()
    with connect(Connection(kubeconfig=str(real_lab.kubeconfig))) as api:
        container = {
            "name": CONTAINER,
            "image": image("v1"),
            "imagePullPolicy": "IfNotPresent",
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 1},
        }
        release = Release(api, namespace)
        labels = {"app": release.name}
        release.make(2, template={"metadata": {"labels": labels}, "spec": {"containers": [container]}})
        release.start("bad")
        yield release
    real_lab.vacate(namespace)


def no_proxy(rules: Rules) -> Rules:
    return without(("pods/proxy", "get"))(rules)


def no_create(rules: Rules) -> Rules:
    return without(("pods/portforward", "create"))(no_proxy(rules))


def asked(release: Release, via: Via, *, check: bool = False) -> VerifyRequest:
    http = CheckAsked(
        RateCheck("http", Tolerance(max_ratio=1.5, max_increase=0.05), buckets=BucketRule(1.0, 1.0, 1.0)),
        HttpAsked(via=via, rate=60.0, timeout=2.0, port=PORT),
    )
    return VerifyRequest(replace(release.call, check=check), (http,), duration=30.0, interval=1.0)


def reached(release: Release, kubeconfig: Path, via: Via) -> dict[str, Any]:
    """What check mode says: every source is reached once."""
    with connect(Connection(kubeconfig=str(kubeconfig))) as api:
        told = verify(api, asked(release, via, check=True), silent).extra["verify"]
    return dict(told)


def test_where_the_proxy_is_not_allowed_a_forwarded_port_catches_a_bad_canary(real_lab: Lab, release: Release) -> None:
    kubeconfig = releaser(real_lab, release.namespace, no_proxy)
    with connect(Connection(kubeconfig=str(kubeconfig))) as api, pytest.raises(VerbFailure) as failed:
        verify(api, asked(release, Via.AUTO), silent)
    told = failed.value.extra["verify"]
    assert told["verdict"] == "fail", failed.value.message
    assert told["costs"]["http"]["via"] == "port_forward"
    (stream,) = told["checks"][0]["streams"]
    assert 0.2 < stream["canary"]["rate"] < 0.8 and stream["stable"]["bad"] == 0


def test_the_shipped_rights_suffice_for_every_way(real_lab: Lab, release: Release) -> None:
    kubeconfig = releaser(real_lab, release.namespace)
    for via in (Via.PROXY, Via.PORT_FORWARD, Via.AUTO):
        assert reached(release, kubeconfig, via)["reached"] == ["http"], via


NOT_PASSED_ON = r"did not pass a request on \(403\)"
NO_RIGHT = "Missing right: create pods/portforward"


def test_a_way_that_is_not_allowed_is_told_before_anybody_waits(real_lab: Lab, release: Release) -> None:
    kubeconfig = releaser(real_lab, release.namespace, no_create)
    for via, says in (
        (Via.PROXY, f"{NOT_PASSED_ON}.*try via: port_forward"),
        (Via.PORT_FORWARD, NO_RIGHT),
        (Via.AUTO, f"{NOT_PASSED_ON}.*{NO_RIGHT}"),
    ):
        told = reached(release, kubeconfig, via)
        assert not told["reached"] and re.search(says, told["unreached"]["http"]), told["unreached"]


def test_a_port_where_nobody_listens_is_told_in_the_kubelets_words(release: Release) -> None:
    path = f"/api/v1/namespaces/{release.namespace}/pods"
    pod = release.api.list(path)["items"][0]["metadata"]["name"]
    with (
        pytest.raises(PodRefused, match="port 9 to pod") as refused,
        release.api.tunnel(release.namespace, pod, 9, seconds=5.0) as tunnel,
    ):
        tunnel.receive()
    assert "refused" in str(refused.value)
