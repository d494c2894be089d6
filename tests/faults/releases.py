# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole releases on a real cluster, in which processes die, requests get lost and others write, and an onlooker who counts pods."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    NewTemplate,
    PromoteRequest,
    Size,
    StartRequest,
    UndoRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.cluster.lab import Lab
from tests.exactness.cells import STRATEGIES, own_max_unavailable
from tests.exactness.recorder import Recorder
from tests.faults.courses import FAULTS, Course, Foreign, Trouble
from tests.faults.proxy import FaultProxy, fault_proxy
from tests.integration.access import kubeconfig, read_access, service_account_token
from tests.integration.releases import CONTAINER, Release, image
from tests.integration.victims import End, ended, run

ROOT = Path(__file__).resolve().parents[2]
PLAY_SECONDS, PLAY_POLL = 300.0, 0.05
# A call waits four minutes at most for pods, and a busy machine takes its time.
LONGEST_CALL = 600.0
# Whoever comes after a call that died or failed does the same again.
TRIES = 4
OURS = ("coalmine.canary/record", "coalmine.canary/live")


@dataclass
class Site:
    """A Deployment with a namespace of its own, for one release after the other. `stable`: the version that it runs. `codes`: the exit
    codes of the processes that were to have trouble; some came to their end before it."""

    lab: Lab
    release: Release
    recorder: Recorder
    folder: Path
    replicas: int
    strategy: tuple[int | str, int | str]
    proxy: FaultProxy
    behind: Path
    stable: str = "v1"
    codes: Counter[int] = field(default_factory=Counter)

    @property
    def floor(self) -> int:
        """Ready pods while its own strategy rolls."""
        return self.replicas - own_max_unavailable(self.strategy, self.replicas)

    def plays(self, course: Course) -> list[str]:
        """What was broken: nothing, as it should be."""
        before = self._spec()
        version = f"v{course.number + 2}"
        broken = list(self._by_play(course, version) if course.play else self._by_verbs(course, version))
        self.stable = version if course.promoted or course.play else self.stable
        broken += self._left(before)
        return [f"release {course.number} ({course.told}): {one}" for one in broken]

    # By verbs.

    def _by_verbs(self, course: Course, version: str) -> Iterator[str]:
        call, template = self.release.call, NewTemplate(images={CONTAINER: image(version)})
        self.recorder.mark(self.release.namespace)
        start = StartRequest(call, template, Size(course.pods), surge=1)
        self._asked("start", start, course.start)
        self._again(lambda: self.release.start(version, course.pods))
        yield from self._counted(self.replicas, {version: course.pods})
        self._meddles(course.foreign, version)
        self.recorder.mark(self.release.namespace)
        lost = course.foreign is Foreign.DELETES
        if course.promoted and course.foreign is not Foreign.APPLIES:
            self._asked("promote", PromoteRequest(call), course.end)
            self._again(self.release.promote)
            yield from self._counted(self.floor - lost)
        else:
            self._asked("undo", UndoRequest(call, reason="trial"), course.end)
            self._again(self.release.undo)
            floor = 0 if course.foreign is Foreign.APPLIES else self.replicas - lost
            yield from self._counted(floor, {version: course.pods})
            if course.promoted:
                self._again(lambda: self.release.start(version, course.pods))
                self._again(self.release.promote)

    def _asked(self, verb: str, request: Any, trouble: Trouble) -> None:
        """By a process of its own, with that trouble; how it ends is for the next one to find out."""
        if trouble.by is not None:
            process = run(str(self.lab.kubeconfig), verb, request, End(trouble.after_request, trouble.by))
            self.codes[ended(process, LONGEST_CALL)] += 1
        elif trouble.fault:
            self.proxy.go_wrong(trouble.where, *[FAULTS[trouble.fault]] * trouble.times)
            self.codes[ended(run(str(self.behind), verb, request), LONGEST_CALL)] += 1
            self.proxy.forget()

    @staticmethod
    def _again(call: Callable[[], Any]) -> None:
        for left in reversed(range(TRIES)):
            try:
                call()
                return
            except (VerbFailure, ApiError):
                if not left:
                    raise

    def _meddles(self, what: Foreign, version: str) -> None:
        release, kubectl = self.release, self.lab.kubectl
        where = ("--namespace", release.namespace)
        if what is Foreign.ANNOTATES:
            note = {"metadata": {"annotations": {"team": version}}}
            release.api.patch(release.path, note, PatchKind.MERGE)
        elif what is Foreign.DELETES:
            pods = release.api.list(f"/api/v1/namespaces/{release.namespace}/pods")["items"]
            mine = [pod for pod in pods if pod["spec"]["containers"][0]["image"] == image(version)]
            release.api.raw("DELETE", f"/api/v1/namespaces/{release.namespace}/pods/{mine[0]['metadata']['name']}")
        elif what is Foreign.PAUSES:
            for verb in ("pause", "resume"):
                kubectl(*where, "rollout", verb, f"deployment/{release.name}")
        elif what is Foreign.APPLIES:
            kubectl(*where, "set", "image", f"deployment/{release.name}", f"{CONTAINER}={image(self.stable)}")

    # By a play.

    def _by_play(self, course: Course, version: str) -> Iterator[str]:
        task = {
            "name": self.release.name,
            "namespace": self.release.namespace,
            "images": {CONTAINER: image(version)},
            "steps": [{"pods": course.pods}],
            "surge": 1,
            "headroom": "skip",
            "on_failure": "hold",
            "wait_timeout": int(self.release.call.wait.timeout),
        }
        file = self.folder / "play.yml"
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False}
        file.write_text(json.dumps([{**play, "tasks": [{"coalmine.canary.canary_release": task}]}]))
        self.recorder.mark(self.release.namespace)
        self._killed(self._playing(file), course)
        told = ""
        for _time in range(TRIES):
            process = self._playing(file)
            told, _none = process.communicate(timeout=PLAY_SECONDS)
            if not process.returncode:
                break
        else:
            yield f"no play came to its end: {told[-1500:]}"
        yield from self._counted(self.floor)

    def _playing(self, file: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [Path(sys.executable).with_name("ansible-playbook"), file],
            cwd=ROOT,
            env={**os.environ, "KUBECONFIG": str(self.lab.kubeconfig), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _killed(self, process: subprocess.Popen[str], course: Course) -> None:
        """Or its worker is, and it goes on to its end by itself."""
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=course.after_seconds)
            return
        workers = _children(process.pid) if course.worker else []
        for pid in workers[:1] or [process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, course.start.by or signal.SIGKILL)
        try:
            process.communicate(timeout=PLAY_SECONDS)
            self.codes[process.returncode] += 1
        finally:
            # What it had started goes with it, as with a job that is cancelled.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    # What must hold.

    def _counted(self, floor: int, most: Mapping[str, int] | None = None) -> Iterator[str]:
        seen = self.recorder.since_mark(self.release.namespace)
        if seen.fewest < floor:
            yield f"{seen.fewest} Ready pods, promised were {floor}"
        for version, number in (most or {}).items():
            if seen.most[version] > number:
                yield f"{seen.most[version]} pods of the canary, asked for were {number}"

    def _left(self, before: Mapping[str, Any]) -> Iterator[str]:
        """After the release."""
        deployment = self.release.deployment()
        now, marks = deployment["spec"], deployment["metadata"].get("annotations", {})
        pods = {tag: count for tag, count in self.recorder.since_mark(self.release.namespace).versions.items() if count}
        if pods != {self.stable: self.replicas}:
            yield f"pods at the end: {pods}, and {self.stable} was to have all"
        if self.release.image != image(self.stable):
            yield f"the template at the end is {self.release.image}"
        changed = [key for key in {*before, *now} if key != "template" and before.get(key) != now.get(key)]
        if changed:
            yield f"not as they were: {', '.join(sorted(changed))}"
        if set(OURS) & {*marks, *deployment["metadata"].get("labels", {})}:
            yield "a mark of the release is left"

    def _spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.release.deployment()["spec"]
        return spec


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


@contextmanager
def site(lab: Lab, recorder: Recorder, number: int, folder: Path) -> Iterator[Site]:
    """The Deployment of that number, rolled out."""
    folder.mkdir(parents=True, exist_ok=True)
    replicas, strategy = 2 + number % 4, STRATEGIES[number % len(STRATEGIES)]
    with ExitStack() as held:
        access = read_access(lab.kubeconfig, folder)
        proxy = held.enter_context(fault_proxy(access.server, access.ca, folder))
        api = held.enter_context(connect(Connection(kubeconfig=str(lab.kubeconfig))))
        namespace = lab.create_namespace("faults")
        token = service_account_token(api, namespace, "release")
        behind = folder / "behind.conf"
        cluster = {"server": proxy.host, "certificate-authority": str(proxy.authority)}
        behind.write_text(yaml.safe_dump(kubeconfig(cluster, {"token": token})))
        surge, unavailable = strategy
        rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
        made = Release(api, namespace).make(replicas, annotations={"lab.coalmine/ready-after": "200"}, strategy=rolling)
        yield Site(lab, made, recorder, folder, replicas, strategy, proxy, behind)


def timed(plays: Callable[[], list[str]]) -> tuple[list[str], float]:
    began = time.monotonic()
    try:
        broken = plays()
    except Exception as error:  # noqa: BLE001 - whatever a release ends in is a finding of it, and the others go on
        broken = [f"{type(error).__name__}: {error}"]
    return broken, time.monotonic() - began
