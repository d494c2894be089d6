# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Deployment in a namespace of its own, the playbooks that release it, and shops on a small cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.fakes import Capacity
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab, start_lab
from tests.gateways.unheard import await_no_proxy
from tests.integration.playbooks import Playbooks
from tests.integration.releases import REPLICAS, Release
from tests.integration.shipped_role import releaser
from tests.integration.shops import Shop
from tests.situations import until


@pytest.fixture
def playbooks(lab: Lab | ForeignCluster, namespace: str) -> Playbooks:
    return Playbooks(releaser(lab, namespace), namespace)


@pytest.fixture
def release(lab: Lab | ForeignCluster, namespace: str) -> Release:
    """Version v1 with its pods Ready; asked as the administrator."""
    return Release(connect(Connection(kubeconfig=str(lab.kubeconfig))), namespace).make(REPLICAS)


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """None takes what is written, so nothing but the time of the test depends on how long one would be waited for."""
    await_no_proxy(monkeypatch)


@pytest.fixture(scope="module")
def small() -> Iterator[Lab]:
    lab = start_lab(fake_nodes=2, capacity=Capacity(cpu="2", memory="4Gi", pods=20))
    with lab:
        yield lab


@pytest.fixture
def shop(small: Lab) -> Iterator[Shop]:
    name = small.create_namespace("shop")
    yield Shop(small, name)
    # The next test needs the room.
    small.vacate(name)
    until(lambda: not small.api.request("GET", f"/api/v1/namespaces/{name}/pods")["items"], "its pods are gone")
