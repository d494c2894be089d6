# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that canary_verify was given in confidence is shown, by the module or by the role, whatever goes wrong."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.lab import Lab
from tests.integration.playbooks import FAILED, LONGEST_SECONDS, PLAYBOOK, ROOT
from tests.integration.releases import Release
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


def all_that_is_shown(playbook: Path, *options: str, code: int = FAILED) -> str:
    """Of a run that ends with this code, with as much shown as can be; a failure is the canary's."""
    command = [str(PLAYBOOK), "-vvvv", *options, str(playbook)]
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "true"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    if code == FAILED:
        assert "fail after" in output and "the canary is worse than tolerated" in output, output
    return output


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
        output = all_that_is_shown(playbook)
    assert "judged_fail" in output
    assert not shown_secrets(output)


def test_a_release_by_the_role_shows_no_secret_however_much_is_shown(
    release: Release, answering_lab: Lab, tmp_path: Path
) -> None:
    """The same check, run inside ansible-playbook; also where its steps are skipped, in check mode and for what is out already."""
    with serving(echo) as url:
        variables = {
            "canary_name": release.name,
            "canary_namespace": release.namespace,
            "canary_images": {"app": "lab.local/app:bad"},
            "canary_checks": checks_with_secrets(url, answering_lab.port),
            "canary_check_interval": 1,
            "canary_check_duration": 60,
            "canary_headroom": "skip",
            "canary_steps": [{"pods": 1, "checks": checks_with_secrets(url, answering_lab.port)}],
        }
        given = tmp_path / "variables.json"
        given.write_text(json.dumps(variables))
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("K8S_AUTH_KUBECONFIG", str(answering_lab.kubeconfig))
            run = partial(all_that_is_shown, ROOT / "playbooks" / "canary.yml", "-e", f"@{given}")
            output, planned = run(), run("--check", code=0)
            given.write_text(json.dumps({**variables, "canary_images": {"app": "lab.local/app:v1"}}))
            out_already = run(code=0)
    assert not shown_secrets(output + planned + out_already)
    assert "already released" in out_already
