# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that canary_verify was given in confidence is shown, by the module or by the role, whatever goes wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.lab import Lab
from tests.integration.playbooks import FAILED, ansible_playbook
from tests.integration.plays import THE_ROLE, releases, run
from tests.integration.releases import CONTAINER, Release, image
from tests.unit.probes.serving import send, serving


@pytest.fixture
def release(answering_lab: Lab, answering_namespace: str) -> Iterator[Release]:
    with connect(Connection(kubeconfig=str(answering_lab.kubeconfig))) as api:
        yield Release(api, answering_namespace).make(4)


# One for each place that can hold one.
SECRETS = {
    place: f"s3cret-of-{place}"
    for place in ("http-header", "canary-header", "token", "prometheus-header", "password", "loki-token", "loki-header")
}


def echo(request: BaseHTTPRequestHandler) -> None:
    """A server that is angry, and repeats in every way that is quoted whatever it was sent."""
    body = json.dumps({"status": "error", "error": f"bad request: {request.headers}"}).encode()
    kind = "application/json"
    if "loki" in request.path:
        body, kind = f"bad request: {request.headers} {' '.join(SECRETS.values())}".encode(), "text/plain"
    send(request, body, 400, kind)


def checks_with_secrets(url: str, port: int) -> list[dict[str, Any]]:
    """`url` of the servers that are asked, `port` of the pods."""
    return [
        {
            "http": {
                "port": port,
                "rate": 100,
                "headers": {"X-Auth-Token": f"Bearer {SECRETS['http-header']}"},
                "canary_headers": {"X-Key": SECRETS["canary-header"]},
            },
            "max_increase": 0.05,
            "bucket_seconds": 1,
        },
        {
            "name": "by token",
            "prometheus": {
                "url": url,
                "token": SECRETS["token"],
                "headers": {"X-Key": SECRETS["prometheus-header"]},
                "query": "up",
            },
            "max": 1,
        },
        {
            "name": "by password",
            "prometheus": {"url": url, "username": "me", "password": SECRETS["password"], "query": "up"},
            "max": 1,
        },
        {
            "name": "loki",
            "logs": {
                "url": url,
                "token": SECRETS["loki-token"],
                "headers": {"X-Scope-OrgID": SECRETS["loki-header"]},
                "query": '{pod=~"<pods>"}',
            },
            "max_ratio": 2,
        },
    ]


def shown_secrets(output: str) -> list[str]:
    """Places whose secret can be read, plain or as basic authentication sends it."""
    basic = base64.b64encode(f"me:{SECRETS['password']}".encode()).decode()
    return [place for place, secret in SECRETS.items() if secret in output] + ["basic"] * (basic in output)


def test_the_module_judges_and_shows_no_secret_however_much_is_shown(
    release: Release, answering_lab: Lab, tmp_path: Path
) -> None:
    release.start("bad")
    with serving(echo) as url:
        task = {
            "coalmine.canary.canary_verify": {
                "name": release.name,
                "namespace": release.namespace,
                "kubeconfig": str(answering_lab.kubeconfig),
                "duration": 60,
                "interval": 1,
                "checks": checks_with_secrets(url, answering_lab.port),
            },
            # What the task has of its own keeps it from being run inside ansible-playbook.
            "environment": {"ANY": "thing"},
        }
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
        done = ansible_playbook("-vvvv", playbook)
    assert done.code == FAILED and "judged_fail" in done.output, done.output
    assert "fail after" in done.output and "the canary is worse than tolerated" in done.output, done.output
    assert not shown_secrets(done.output)


def test_a_release_by_the_role_shows_no_secret_however_much_is_shown(
    answering_lab: Lab, answering_namespace: str, tmp_path: Path
) -> None:
    """The same check, run inside ansible-playbook; also where its steps are skipped, in check mode and for what is out already."""
    block = {"check_mode": "{{ inventory_hostname == 'planned' }}", "block": [{"include_role": THE_ROLE}]}
    play = {"hosts": "all", "gather_facts": False, "tasks": [block]}
    bad, good = {"images": {CONTAINER: image("bad")}}, {"images": {CONTAINER: image("v1")}}
    with serving(echo) as url, connect(Connection(kubeconfig=str(answering_lab.kubeconfig))) as api:
        checks = checks_with_secrets(url, answering_lab.port)
        judged = {"checks": checks, "check_interval": 1, "check_duration": 60, "steps": [{"pods": 1, "checks": checks}]}
        common = judged | {"headroom": "skip"}
        hosts = {"judged": common | bad, "planned": common | bad, "out": common | good}
        releases(api, answering_namespace, hosts)
        it = run(answering_lab.kubeconfig, answering_namespace, tmp_path, hosts, "free", "-vvvv", plays=[play])
    assert it.outcomes == {"judged": "undone", "planned": "planned", "out": "already released"}, it.told
    assert "the canary is worse than tolerated" in it.results["judged"]["why"][0], it.told
    assert not shown_secrets(it.output)
