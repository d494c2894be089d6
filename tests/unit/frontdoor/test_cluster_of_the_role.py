# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role asks the cluster that its caller names, and no other, on each way of naming it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.probes.serving import send, serving

COLLECTIONS = Path(__file__).resolve().parents[3] / ".collections"
ENTRIES = ("main", "promote", "headroom", "undo", "rollback", "status")
RELEASING = ("main", "promote", "headroom")
VARIABLES = {"canary_name": "web", "canary_namespace": "shop", "canary_images": {"app": "web:2"}}
GROUP, OWN = "group/coalmine.canary.canary", "coalmine.canary.canary_release"
CURRENT, NAMED = "the current cluster", "the named cluster"  # which one was asked, it says itself


def refusing(name: str, request: BaseHTTPRequestHandler) -> None:
    """At once, and for good: what nobody answers is tried again for seconds."""
    status = {"kind": "Status", "apiVersion": "v1", "code": 422, "message": f"this is {name}", "reason": "Invalid"}
    send(request, json.dumps(status).encode(), 422)


def kubeconfig(path: Path, current: str, named: str) -> Path:
    ways = {"current": current, "named": named}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "current",
        "users": [],
        "clusters": [{"name": name, "cluster": {"server": server}} for name, server in ways.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": ""}} for name in ways],
    }
    path.write_text(json.dumps(config))
    return path


def entered(entry: str, defaults: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """One call of the role, which fails; what its first task said is kept as a fact."""
    role = {"name": "coalmine.canary.canary", "tasks_from": entry}
    keep = {
        "said": "{{ said | default([]) + [_canary_told.msg | default(ansible_failed_result.msg)] }}",
        "_canary_told": {},
    }
    return {
        "module_defaults": defaults,
        "block": [{"ansible.builtin.include_role": role, "vars": {**VARIABLES, **variables}}],
        "rescue": [{"ansible.builtin.set_fact": keep}],
    }


def played(home: Path, config: Path, tasks: list[dict[str, Any]]) -> list[str]:
    play, told = home / "play.yml", home / "told.json"
    tasks = [*tasks, {"ansible.builtin.copy": {"content": "{{ said }}", "dest": str(told)}}]
    play.write_text(
        yaml.safe_dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}])
    )
    done = run(home, config, str(play))
    assert done.returncode == 0, done.stdout + done.stderr
    said: list[str] = json.loads(told.read_text())
    return said


def run(home: Path, config: Path, *playbook: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "K8S", "KUBE"))}
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", *playbook],
        env={
            **environment,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "HOME": str(home),
            "KUBECONFIG": str(config),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """All calls in one run, each kind by its name."""
    own = {OWN: {"context": "named", "kubeconfig": "{{ omit }}", "name": "another", "namespace": "another"}}
    group = {GROUP: {"context": "current"}}
    calls = {
        "by variable": [entered(entry, {}, canary_context="named") for entry in ENTRIES],
        "by its own defaults": [entered(entry, own) for entry in RELEASING],
        "over the group": [entered("headroom", {**group, **own})],
        "two": [entered("undo", group, canary_context="named")],
        "null": [
            entered("promote", {}, canary_expect="{{ none }}"),
            entered("undo", {}, canary_run="{{ none }}"),
            entered("main", {}, canary_steps="{{ none }}"),
        ],
        "passed over": [entered("headroom", {}, canary_through="plan", canary_run="{{ '' }}", canary_held=False)],
    }
    home = tmp_path_factory.mktemp("role")
    with serving(partial(refusing, CURRENT)) as current, serving(partial(refusing, NAMED)) as named:
        told = played(home, kubeconfig(home / "config", current, named), list(chain.from_iterable(calls.values())))
    assert len(told) == sum(map(len, calls.values()))
    left = iter(told)
    return {name: list(islice(left, len(tasks))) for name, tasks in calls.items()}


@pytest.mark.parametrize("named", ["by variable", "by its own defaults", "over the group"])
def test_every_entry_point_asks_the_cluster_that_is_named(named: str, said: dict[str, list[str]]) -> None:
    assert [text for text in said[named] if NAMED not in text or CURRENT in text] == []


def test_two_that_are_named_are_refused(said: dict[str, list[str]]) -> None:
    assert said["two"] == [
        "module_defaults and canary_context name different clusters, each by its context: leave one of them out"
    ]


def test_what_is_null_is_not_just_any_release_nor_one_without_steps(said: dict[str, list[str]]) -> None:
    names_none = "is null, so it names no release: give what an earlier task returned, or leave it out. Nothing was asked of the cluster"
    says_none = "is null, so it says nothing that the canary is to stand: give one step or more, or leave it out"
    assert said["null"][:2] == [f"expect {names_none}", f"run {names_none}"]
    assert said["null"][2].startswith(f"steps {says_none}")


def test_a_role_that_would_pass_over_what_it_is_told_does_not_begin(said: dict[str, list[str]]) -> None:
    assert said["passed over"] == [
        "canary_through is no variable of the role: leave it out, or give through to a task of coalmine.canary.canary_release. "
        "This run changed nothing."
    ]


RELEASES = {"canary_releases": [{"name": "web", "images": {"app": "web:2"}}]}
# A playbook that calls no role, what it is given, and the name that it does not read, with the one that it does.
UNREAD: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "status": ("status", {"canary_namespaces": "shop"}, "canary_namespaces", "canary_namespace"),
    "watch": ("watch", {"canary_name": "web", "canary_watch_second": 5}, "canary_watch_second", "canary_watch_seconds"),
    "fleet": ("fleet", {**RELEASES, "canary_max_failure": 3}, "canary_max_failure", "canary_max_failures"),
}


# One that is given little, and the one that is given lists.
PLAYED = {"status", "fleet"}


@pytest.mark.parametrize(
    ("playbook", "given", "name", "close"),
    [pytest.param(*case, id=id_, marks=() if id_ in PLAYED else pytest.mark.slow) for id_, case in UNREAD.items()],
)
def test_a_playbook_asks_nothing_where_it_would_pass_over_a_variable(
    playbook: str, given: dict[str, Any], name: str, close: str, tmp_path: Path
) -> None:
    done = run(tmp_path, tmp_path / "none", f"coalmine.canary.{playbook}", "--extra-vars", json.dumps(given))
    assert done.returncode != 0
    said = f"nothing here reads {name}: write {close}, or leave it out. Nothing was asked of the cluster"
    assert said in done.stdout + done.stderr, done.stdout + done.stderr
