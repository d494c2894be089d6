# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated server takes of a route what the definition of Gateway API takes. A real one: tests/integration/test_traffic.py."""

from __future__ import annotations

import pytest

from tests.sim.gateway import GATEWAY
from tests.sim.objects import NAMESPACE, Json
from tests.sim.odd_routes import REFUSED, TAKEN
from tests.sim.refusals import Refused
from tests.sim.server import Server
from tests.sim.store import Store
from tests.sim.timeline import Timeline


def _made(rules: list[Json]) -> Json:
    timeline = Timeline()
    server = Server(timeline, Store(timeline))
    route = {
        "metadata": {"namespace": NAMESPACE, "name": "web"},
        "spec": {"parentRefs": [{"name": GATEWAY}], "rules": rules},
    }
    return server.create("httproutes", route, "somebody", "kubectl-create")


@pytest.mark.parametrize("name", TAKEN)
def test_what_the_api_takes_is_taken(name: str) -> None:
    assert len(_made(TAKEN[name])["spec"]["rules"]) == len(TAKEN[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_api_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        _made(REFUSED[name])
    assert refused.value.status == 422
