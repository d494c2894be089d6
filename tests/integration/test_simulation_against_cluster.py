# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulation is true: what it tells of a history a real cluster tells of it, too. Many more: `make sim-truth`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.sim.truth import differences


@pytest.fixture(scope="module")
def api(lab: Lab | ForeignCluster) -> Iterator[Api]:
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        yield api


@pytest.mark.parametrize("seed", range(12))
def test_a_history_ends_in_the_same_words_phases_and_pods(seed: int, api: Api, namespace: str) -> None:
    found = differences(seed, api, namespace)
    assert not found, "\n".join(["", *found])
