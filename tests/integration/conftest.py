# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Deployment in a namespace of its own, and the playbooks that release it."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.gateways.unheard import await_no_proxy
from tests.integration.playbooks import Playbooks
from tests.integration.releases import REPLICAS, Release
from tests.integration.shipped_role import releaser


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
