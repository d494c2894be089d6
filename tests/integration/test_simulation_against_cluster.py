# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulation is true: what it tells of a history a real cluster tells of it, too. Many more: `make sim-truth`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.gateways.unheard import await_no_proxy
from tests.integration.beside import asked_for, under_way
from tests.sim.truth import differences

# For `make test` a Deployment that is made anew, a Service that is switched, a name that is taken, so that the controller counts a collision, a
# VirtualService, an HTTPRoute, and an autoscaler; of the last two somebody puts a field back to what is not stored, so that nobody manages it.
SHORT = (1, 99, 202, 214, 384, 598)
# The others are for `make slow`; an Ingress is among them. Of somebody else's image test_writers.py has more.
SEEDS = (0, 2, 4, 7, 8, 9, *SHORT)
AT_ONCE = 6


def found(lab: Lab | ForeignCluster, seed: int) -> list[str]:
    namespace = lab.create_namespace("truth")
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        differs = differences(seed, api, namespace)
    lab.vacate(namespace)
    return differs


@pytest.fixture(scope="module")
def histories(lab: Lab | ForeignCluster, request: pytest.FixtureRequest) -> Iterator[Callable[[int], list[str]]]:
    with pytest.MonkeyPatch.context() as patcher:
        await_no_proxy(patcher)
        with under_way({seed: partial(found, lab, seed) for seed in asked_for("seed", request)}, AT_ONCE) as differs:
            yield differs


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=() if seed in SHORT else pytest.mark.slow) for seed in SEEDS]
)
def test_a_history_ends_in_the_same_words_phases_and_pods(seed: int, histories: Callable[[int], list[str]]) -> None:
    assert not histories(seed), "\n".join(["", *histories(seed)])
