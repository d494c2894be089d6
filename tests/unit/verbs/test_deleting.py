# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Deployment that is being deleted: every verb stops at once and writes nothing, and canary_info still tells of it."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor import (
    bake,
    headroom,
    info,
    pause,
    promote,
    resume,
    rollback,
    start,
    undo,
    verify,
)
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import Verb
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.in_process import Surroundings, run_in_process
from tests.unit.probes.serving import send, serving
from tests.unit.rollout.objects import UID, template

META = {"name": "web", "namespace": "shop", "uid": UID, "generation": 4, "deletionTimestamp": "2026-01-01T00:00:00Z"}
SPEC = {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template("v1")}
DEPLOYMENT = {"metadata": META, "spec": SPEC, "status": {"observedGeneration": 3}}

VERBS: dict[str, tuple[Verb, dict[str, Any]]] = {
    "start": (start.VERB, {"images": {"app": "app:v2"}, "pods": 1}),
    "bake": (bake.VERB, {"seconds": 0}),
    "verify": (verify.VERB, {"checks": [{"pods": {}}], "duration": 1}),
    "pause": (pause.VERB, {}),
    "resume": (resume.VERB, {}),
    "promote": (promote.VERB, {}),
    "undo": (undo.VERB, {}),
    "rollback": (rollback.VERB, {"to": "v1"}),
    "headroom": (headroom.VERB, {"images": {"app": "app:v2"}, "pods": 1}),
}


def answered(verb: Verb, more: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    written: list[str] = []

    def respond(request: BaseHTTPRequestHandler) -> None:
        if request.command != "GET":
            written.append(request.command)
        is_it = request.path.split("?")[0].endswith("/deployments/web")
        send(request, json.dumps(DEPLOYMENT if is_it else {"items": [], "major": "1", "minor": "37"}).encode())

    def quiet(*_: Any, **__: Any) -> None:
        pass

    with serving(respond) as url:
        arguments = {"host": url, "kubeconfig": {}, "name": "web", "namespace": "shop", **more}
        return run_in_process(verb, arguments, Surroundings("canary", False, False, quiet, quiet, quiet)), written


@pytest.mark.parametrize(("verb", "more"), [*VERBS.values()], ids=[*VERBS])
def test_every_verb_stops_at_once(verb: Verb, more: dict[str, Any]) -> None:
    result, written = answered(verb, more)
    assert (result["failure"], written) == ("being_deleted", []), result["msg"]
    assert 'Deployment "web" in namespace "shop" is being deleted' in result["msg"]


def test_info_still_tells() -> None:
    result, _written = answered(info.VERB, {})
    assert result["canary"]["why"] == "the Deployment is being deleted"
