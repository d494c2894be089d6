# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What canary_info says in one sentence, and what it returns beside that."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.in_process import Surroundings, run_in_process
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.info import VERB
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import LIVE, LIVE_VALUE
from tests.unit.probes.serving import send, serving
from tests.unit.rollout.objects import UID, template

SPEC = {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template("v1")}


def deployment(name: str, **labels: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "shop", "uid": f"{UID}-{name}", "generation": 4, "labels": labels}
    return {"metadata": meta, "spec": SPEC, "status": {"observedGeneration": 4}}


PLAIN, LIVE_ONE, LIVE_TWO = deployment("web"), *(deployment(n, **{LIVE: LIVE_VALUE}) for n in ("web", "api"))


def asked(found: list[dict[str, Any]], check: bool, arguments: dict[str, str]) -> dict[str, Any]:
    def respond(request: BaseHTTPRequestHandler) -> None:
        path = request.path.split("?")[0]
        listed = {"items": found if path.endswith("/deployments") else []}
        send(request, json.dumps(found[0] if path.endswith("/deployments/web") else listed).encode())

    def quiet(*_: Any, **__: Any) -> None:
        pass

    with serving(respond) as url:
        given = {"host": url, "kubeconfig": {}, **arguments}
        return run_in_process(VERB, given, Surroundings("canary_info", check, False, quiet, quiet, quiet))


@pytest.mark.parametrize(
    ("found", "arguments", "says"),
    [
        ([PLAIN], {"name": "web", "namespace": "shop"}, 'no release of Deployment "web" in namespace "shop" is live'),
        (
            [LIVE_ONE],
            {"name": "web", "namespace": "shop"},
            'the release of Deployment "web" in namespace "shop" is in phase damaged (its label says so but its record is gone)',
        ),
        ([], {}, "no canary is live in the cluster"),
        ([LIVE_ONE], {"namespace": "shop"}, '1 canary is live in namespace "shop"'),
        ([LIVE_ONE, LIVE_TWO], {}, "2 canaries are live in the cluster"),
    ],
    ids=["none", "a release", "no canary", "one canary", "two canaries"],
)
def test_one_sentence_says_what_was_found(found: list[dict[str, Any]], arguments: dict[str, str], says: str) -> None:
    result = asked(found, False, arguments)
    assert (result["msg"], result["changed"], len(result["canaries"])) == (says, False, len(found))
    assert result.get("canary") == (result["canaries"][0] if "name" in arguments else None)


@pytest.mark.parametrize("check", [True, False])
def test_check_mode_is_told(check: bool) -> None:
    assert asked([PLAIN], check, {"name": "web"})["check_mode"] is check
