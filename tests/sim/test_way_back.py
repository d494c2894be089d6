# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever somebody has made of the routes of a release, it can be taken back: nothing that stands in the way of them keeps an undo from the
pods, and no rule of ours from users."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim import refusals
from tests.sim.history import Ask
from tests.sim.objects import NAME, Json
from tests.sim.test_traffic import told, world
from tests.sim.world import World

# Where what splits users is an object of these.
ROUTES = {
    "gateway_api": "httproutes",
    "gateway_api_grpc": "grpcroutes",
    "istio": "virtualservices",
    "alb": "ingresses",
    "ingress_nginx": "ingresses",
    "service_selector": "services",
}
EACH_KIND = pytest.mark.parametrize("kind", ROUTES)


def held(kind: str, *then: Ask) -> World:
    """A canary with users, and what comes after it."""
    start = Ask("start", share="100" if kind == "service_selector" else "50", kind=kind, pods=4, surge=4)
    return world(start, *then)


def warnings(call: object) -> str:
    assert isinstance(call, Outcome), call
    return " ".join(call.warnings)


DENIALS = {
    "a webhook": refusals.denied("policy.example", "no routes on Fridays"),
    "a webhook with a code of its own": refusals.Refused(
        500, "InternalError", 'admission webhook "policy.example" denied the request: no routes on Fridays'
    ),
    "a rule of the API": refusals.Refused(
        422,
        "Invalid",
        '"web" is invalid: spec.rules: no routes on Fridays',
        details={"causes": [{"field": "spec.rules"}]},
    ),
}


@EACH_KIND
@pytest.mark.parametrize("denial", DENIALS)
def test_a_write_of_a_route_that_is_denied_keeps_an_undo_from_nothing_else(kind: str, denial: str) -> None:
    one = held(kind, Ask("info", think=60.0), Ask("undo"), Ask("undo", think=120.0))

    def deny(of: str, _before: Json | None, after: Json) -> Json:
        if of == ROUTES[kind] and after["metadata"]["name"].startswith(NAME) and 50.0 < one.timeline.now < 150.0:
            raise DENIALS[denial]
        return after

    one.server.admission.append(deny)
    found = one.play()
    _start, _info, undo, again = told(found)
    assert "no routes on Fridays" in undo
    taken = next(change.at for call in found.calls[2:3] for change in call.writes if change.kind == "deployments")
    assert 50.0 < taken < 150.0
    assert again.startswith("changed: "), again
    assert list(one.store.of("services")) == [NAME]
