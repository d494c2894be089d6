# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of others: no way of telling goes round its door."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.foreign import LONGEST, LONGEST_TOLD, printable, told
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor import (
    bake,
    info,
    pause,
    promote,
    start,
    undo,
    verify,
)
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import Verb
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.in_process import Surroundings, run_in_process
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import LIVE, RECORD, StableIdentity
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import digest
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import REVISION

from .probes.serving import send, serving
from .rollout.objects import OWN, UID, record, template

PRINTABLE = [
    ("as it is", "as it is"),
    ("  two  blanks  ", "two  blanks"),
    ("two\nlines\r\nand\ta tab", "two lines and a tab"),
    ("\x1b[31mred\x1b[0m", "[31mred [0m"),
    ("\x9b31mred", "31mred"),
    ("a\u202eb\u2066c", "a b c"),
    ("ze\u200bro\ufeff w\u00adidth", "ze ro w idth"),
    ("fill\u3164ed\u2800 up\ufe0f", "fill ed up"),
    ("\ud800 alone", "alone"),
    ("a\u2028b\x00c\x7f", "a b c"),
    ("Zürich, 東京, é, 👍", "Zürich, 東京, é, 👍"),
    ("{{ 1 + 1 }} {% raw %}", "{{ 1 + 1 }} {% raw %}"),
]


@pytest.mark.parametrize(("text", "shown"), PRINTABLE)
def test_a_text_is_made_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text() | st.text(alphabet="ab \n\x1b", min_size=50), st.integers(50, 80))
def test_what_is_printable_stays_so_and_is_one_capped_line(text: str, longest: int) -> None:
    line = printable(text, longest)
    assert len(line) <= longest
    assert line.isprintable()
    assert printable(line, longest) == line


def test_what_is_cut_says_so_and_is_cut_between_words() -> None:
    cut = printable("Back-off pulling " + "x" * 703_613)
    assert cut == "Back-off pulling ... (cut, of 703630 characters)"
    assert printable("word " * 1000).startswith("word word") and len(printable("word " * 1000)) <= LONGEST
    assert printable("x" * 5000).startswith("x" * 900)
    assert printable("\n" * 10_000_000) == "... (cut, of 10000000 characters)"


def test_all_of_a_result_is_told_printably_with_the_names_of_its_members() -> None:
    result = {"a\x1b": ["\x1b[1m", ("b\n", 1, None, 0.5, True)], "c": {"d": "e"}}
    assert told(result) == {"a": ["[1m", ["b", 1, None, 0.5, True]], "c": {"d": "e"}}


ROOT = Path(__file__).resolve().parents[2]
# What everything that a server says may hold: it drives a terminal, turns the writing, is a template, and is long.
EVIL = "\x1b[2J\x9b1m\u202e\u200b{{ 1 + 1 }}\r\n" + "evil " * 4000
# Members that say what an object is and whose, without which there is nothing to tell of it.
STRUCTURE = frozenset(
    {"uid", "kind", "name", "namespace", "apiVersion", "status", "type", "phase", "reason", LIVE, REVISION}
    | {"app", "pod-template-hash", "maxSurge", "deletionTimestamp"}
)


def planted(value: Any, name: str = "") -> Any:
    """The same object with EVIL in every text that a server lets anybody choose."""
    if isinstance(value, Mapping):
        return {key: planted(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [planted(member, name) for member in value]
    return value + EVIL if isinstance(value, str) and name not in STRUCTURE else value


class HostileServer:
    """One Deployment with a held canary that crashes, told with EVIL in it; every write is refused with EVIL."""

    def __init__(self, *, canary_is_well: bool, takes_writes: bool = False) -> None:
        self.takes_writes = takes_writes
        self.written: list[Any] = []
        shown = {version: planted(template(version)) for version in ("v1", "v2")}
        digests = {version: digest(of) for version, of in shown.items()}
        stable = StableIdentity("web-v1", "uid-v1", "v1", digests["v1"])
        note = replace(
            record(started_by="ana\x1b[2J {{ 1 + 1 }}", originals=replace(OWN, min_ready_seconds=0)),
            asked=digests["v2"],
            canary=digests["v2"],
            stable=stable,
        ).encode()
        held = {"minReadySeconds": 2**31 - 2, "progressDeadlineSeconds": 2**31 - 1}
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        meta = {"name": "web", "namespace": "shop", "uid": UID, "generation": 3, "labels": {LIVE: "true"}}
        self.deployment: dict[str, Any] = {
            "metadata": {**meta, "annotations": {RECORD: note, "note": EVIL}},
            "spec": {**held, "replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "strategy": strategy}
            | {"template": shown["v2"]},
            "status": {"observedGeneration": 3, "conditions": [condition("Progressing")]},
        }
        self.replica_sets = [replica_set("v1", 4, shown["v1"]), replica_set("v2", 1, shown["v2"])]
        self.pods = [pod(f"web-v1-{n}", "v1", ready=True) for n in range(4)] + [
            pod("web-v2", "v2", ready=canary_is_well)
        ]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = urlsplit(request.path).path
        if request.command != "GET":
            self.written.append(json.loads(request.rfile.read(int(request.headers["Content-Length"]))))
        if request.command != "GET" and not (self.takes_writes and path.endswith("/deployments/web")):
            refusal = {"kind": "Status", "apiVersion": "v1", "code": 403, "reason": "Forbidden"}
            message = f'admission webhook "no" denied the request: {EVIL}'
            return send(request, json.dumps({**refusal, "message": message}).encode(), 403)
        if request.command == "PATCH":
            self._take(self.written[-1])
        if "watch=1" in request.path:
            return send(request, b"")
        if path.endswith("/log"):
            return send(request, (EVIL * 3).encode("utf-8", "surrogatepass"), kind="text/plain")
        lists = {"replicasets": self.replica_sets, "pods": self.pods, "horizontalpodautoscalers": [], "events": []}
        body = {"items": lists[path.rsplit("/", 1)[1]]} if path.rsplit("/", 1)[1] in lists else self.deployment
        return send(request, json.dumps(body).encode())

    def _take(self, operations: list[dict[str, Any]]) -> None:
        """A JSON patch, as far as the verbs make use of them."""
        for operation in operations:
            *way, last = (step.replace("~1", "/") for step in operation["path"].split("/")[1:])
            parent: Any = self.deployment
            for step in way:
                parent = parent[step]
            if operation["op"] == "add":
                parent[last] = operation["value"]
            elif operation["op"] == "remove":
                del parent[last]
        self.deployment["metadata"]["generation"] += 1
        self.deployment["status"]["observedGeneration"] += 1


def condition(kind: str) -> dict[str, Any]:
    return {"type": kind, "status": "False", "reason": f"Bad{EVIL}", "message": EVIL}


def replica_set(version: str, pods: int, shown: Any) -> dict[str, Any]:
    labels = {"pod-template-hash": version}
    meta = {"name": f"web-{version}", "uid": f"uid-{version}", "labels": labels, "annotations": {REVISION: "1"}}
    owner = {"controller": True, "uid": UID}
    status = {"replicas": pods, "readyReplicas": pods, "conditions": [condition("ReplicaFailure")]}
    return {
        "metadata": {**meta, "ownerReferences": [owner]},
        "spec": {"replicas": pods, "template": shown},
        "status": status,
    }


def pod(name: str, version: str, *, ready: bool) -> dict[str, Any]:
    waiting = {"reason": "CrashLoopBackOff", "message": EVIL}
    last = {"terminated": {"reason": f"OOMKilled{EVIL}", "exitCode": 137, "message": EVIL}}
    crashing = {"name": "app", "image": EVIL, "restartCount": 3, "state": {"waiting": waiting}, "lastState": last}
    conditions = [{"type": "Ready", "status": str(ready), "reason": EVIL, "message": EVIL}]
    status = {"phase": "Running", "conditions": conditions, "containerStatuses": [] if ready else [crashing]}
    owner = {"controller": True, "uid": f"uid-{version}"}
    meta = {"name": name, "uid": name, "labels": {"pod-template-hash": version}, "ownerReferences": [owner]}
    return {"metadata": meta, "spec": {"nodeName": EVIL}, "status": {**status, "podIP": EVIL, "reason": EVIL}}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from texts(list(value))
        yield from texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for member in value:
            yield from texts(member)


ASKED: dict[str, tuple[Verb, dict[str, Any], bool]] = {
    "info": (info.VERB, {}, False),
    "bake of a canary that crashes": (bake.VERB, {"seconds": 1}, False),
    "start of the same": (start.VERB, {"images": {"app": f"app:v3{EVIL}"}, "pods": 1}, False),
    "promote": (promote.VERB, {"wait_timeout": 1}, True),
    "pause": (pause.VERB, {}, True),
    "undo": (undo.VERB, {"reason": EVIL, "wait_timeout": 1}, True),
    "verify": (verify.VERB, {"checks": [{"pods": {}}], "duration": 1}, True),
}


@pytest.mark.parametrize("takes_writes", [False, True], ids=["refuses", "takes"])
@pytest.mark.parametrize(("verb", "more", "canary_is_well"), [*ASKED.values()], ids=[*ASKED])
def test_nothing_that_a_server_says_is_told_as_it_stands(
    verb: Verb, more: dict[str, Any], canary_is_well: bool, takes_writes: bool
) -> None:
    server = HostileServer(canary_is_well=canary_is_well, takes_writes=takes_writes)
    said: list[str] = []
    with serving(server.answer) as url:
        arguments = {"host": url, "name": "web", "namespace": "shop", "kubeconfig": {}, **more}
        around = Surroundings("canary", False, True, said.append, said.append, lambda *_, **__: None)
        result = run_in_process(verb, arguments, around)
    result.pop("invocation")
    diff = result.pop("diff", {})
    assert "evil" in json.dumps(result)  # something of it was told, so the test has looked at it
    for text in (*texts(result), *said, *diff.get("before", "").splitlines(), *diff.get("after", "").splitlines()):
        assert text.isprintable() and len(text) <= LONGEST_TOLD, text[:200]
    for text in texts([operation for body in server.written for operation in _ours(body)]):
        assert printable(text, LONGEST_TOLD) == text


def _ours(body: Any) -> list[Any]:
    """Of what was written: whole Events, and of patches the annotations. A pod template is put back exactly as it was."""
    return [operation for operation in body if "annotations" in operation["path"]] if isinstance(body, list) else [body]


PLAY = """
- hosts: localhost
  gather_facts: false
  roles:
    - role: coalmine.canary.canary
      canary_name: web
      canary_namespace: shop
      canary_images: {app: "app:v3"}
      canary_headroom: skip
"""


def test_the_role_tells_a_template_that_others_wrote_as_it_stands(tmp_path: Path) -> None:
    """In results, in the reasons that the role makes of them, in its summary, in set_stats: nobody runs it."""
    play = tmp_path / "play.yml"
    play.write_text(PLAY)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "K8S", "KUBE"))},
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_SHOW_CUSTOM_STATS": "1",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
    }
    with serving(HostileServer(canary_is_well=True).answer) as url:
        run = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", play],
            env={**environment, "K8S_AUTH_HOST": url, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert run.returncode == 2, run.stdout[-2000:] + run.stderr[-2000:]
    told_by = [*run.stdout.split("TASK [coalmine.canary.canary : "), run.stdout.split("CUSTOM STATS")[1]]
    # Lines of a task, such as the summary at its end.
    assert "{{ 1 + 1 }}" in " ".join(run.stderr.partition("web in namespace shop: ")[2].split())
    for task in ("Fail, because the version was not released", ": ***"):
        (text,) = (each for each in told_by if each.startswith(task))
        assert "{{ 1 + 1 }}" in " ".join(text.split()), task
    assert all(line.isprintable() for line in (run.stdout + run.stderr).replace("\t", " ").splitlines())
