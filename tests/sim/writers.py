# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every other writer in every phase of a release: what is noticed, what the run does next, and the way back.

What is expected is in docs/source/writers.yml, of which `make writers` makes docs/writers.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import NotFound
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.cluster.kubectl import KubectlFailed
from tests.sim.refusals import Refused
from tests.situations import Web

REPLICAS, SCALED = 4, 6
NO_WAIT = Wait(enabled=False)


# Who else writes. Manifests are the user's own, of the version before, without a field of a hold.


def _edits(web: Web) -> None:
    changed = {"spec": {"template": {"spec": {"containers": [{"name": "app", "env": [{"name": "A", "value": "b"}]}]}}}}
    web.admin.patch(web.path, changed, PatchKind.STRATEGIC, field_manager="kubectl-edit")


def _upgrades(web: Web) -> None:
    """Three ways, as kubectl apply: what its chart says, in a patch."""
    manifest = web.manifest(REPLICAS)
    patch = {part: manifest[part] for part in ("metadata", "spec")}
    web.admin.patch(web.path, patch, PatchKind.STRATEGIC, field_manager="helm")


def _applies_by_force(web: Web) -> None:
    web.apply("--server-side", "--force-conflicts", "--field-manager=argocd-controller", replicas=REPLICAS)


def _loops(web: Web) -> None:
    for _round in range(3):
        _applies_by_force(web)
        web.admin.clock.sleep(7.0)


def _applies(web: Web) -> None:
    web.apply("--server-side", "--field-manager=ci", replicas=REPLICAS)


def _replaces(web: Web) -> None:
    web.kubectl("replace", "-f", "-", input=json.dumps(web.manifest(REPLICAS)))


WRITERS: dict[str, Callable[[Web], object]] = {
    "kubectl set image": lambda web: web.set_image("v3"),
    "kubectl edit": _edits,
    "kubectl rollout restart": lambda web: web.rollout("restart"),
    "kubectl rollout undo": lambda web: web.rollout("undo"),
    "kubectl apply": lambda web: web.apply(replicas=REPLICAS),
    "kubectl replace": _replaces,
    "helm upgrade": _upgrades,
    "kubectl apply --server-side": _applies,
    "kubectl apply --server-side --force-conflicts": _applies_by_force,
    "a GitOps loop": _loops,
    "kubectl scale": lambda web: web.scale(SCALED),
    "a HorizontalPodAutoscaler": lambda web: web.autoscaler(SCALED, SCALED + 3),
    "kubectl rollout pause": lambda web: web.rollout("pause"),
    "kubectl rollout resume": lambda web: web.rollout("resume"),
    "kubectl delete": lambda web: web.kubectl("delete", f"deployment/{web.name}"),
}


# How a release gets into a phase. Where pods move, that is held where it is: those that come do not get available so soon.
SECONDS_READY = 500


def _held(web: Web) -> None:
    web.start(pods=1)


def _promoting(web: Web) -> None:
    web.patch({"spec": {"minReadySeconds": SECONDS_READY}})
    web.start(pods=1)
    replace(web, wait=NO_WAIT).promote()


def _undoing(web: Web) -> None:
    web.patch({"spec": {"minReadySeconds": SECONDS_READY}})
    web.start(pods=2, surge=0, max_unavailable=2)
    replace(web, wait=NO_WAIT).undo()


def _done(web: Web) -> None:
    web.start(pods=1)
    web.promote()


@dataclass(frozen=True)
class Phase:
    """`reached`: how a release gets there. `next`: what its run does then."""

    reached: Callable[[Web], object]
    next: Callable[[Web], object]


PHASES = {
    "held": Phase(_held, lambda web: web.promote()),
    "between steps": Phase(_held, lambda web: web.start(pods=3)),
    "promoting": Phase(_promoting, lambda web: web.promote()),
    "undoing": Phase(_undoing, lambda web: web.undo()),
    "done": Phase(_done, lambda web: web.start("v4")),
}


@dataclass(frozen=True)
class Told:
    """`refused`: nothing of it was written. `runs`: versions with pods some seconds later. `seen`: the phase that canary_info tells, or the
    failure code, and `by` whom it names. `next`: the failure code of what the run does then; empty where that goes on. `back`: the version
    that runs after canary_undo instead; empty for a Deployment that is gone."""

    refused: bool
    runs: str
    seen: str
    by: str
    next: str
    back: str


def told(
    new: Callable[[], Web],
    phase: str,
    writer: str,
    later: Callable[[Web], object],
    ages: Callable[[Web], AbstractContextManager[object]],
) -> Told:
    """What becomes of the release of a new Deployment. `later` waits for the moment at which that is looked at. Inside of `ages` its pods
    get old enough to be available; before, none does while pods move."""
    web = new()
    refused = _written(web, phase, writer, later)
    seen, by = _seen(web)
    runs = running(web)
    with ages(web):
        step = _code(lambda: PHASES[phase].next(web))
    if not step:
        web = new()
        _written(web, phase, writer, later)
    with ages(web):
        _code(web.undo)
    return Told(refused, runs, seen, by, step, _version(web))


def _written(web: Web, phase: str, writer: str, later: Callable[[Web], object]) -> bool:
    web.make(REPLICAS)
    # The controller sorts by the whole second in which a ReplicaSet was made, and times of writes are whole seconds, too.
    web.admin.clock.sleep(1.1)
    PHASES[phase].reached(web)
    web.admin.clock.sleep(2.0)
    refused = False
    try:
        WRITERS[writer](web)
    except (Refused, KubectlFailed):
        refused = True
    later(web)
    return refused


def _code(call: Callable[[], object]) -> str:
    try:
        call()
    except VerbFailure as failure:
        return failure.code
    return ""


def _seen(web: Web) -> tuple[str, str]:
    try:
        found = web.info()
    except VerbFailure as failure:
        return failure.code, ""
    named = re.match(r"(.+?) (?:replaced|ended|changed|wrote to) .*at ", found["why"].rpartition("; ")[2])
    return str(found["phase"]), named[1] if named else ""


def running(web: Web) -> str:
    """As Told.runs."""
    return " + ".join(sorted(web.split())) if _is_there(web) else ""


def _version(web: Web) -> str:
    if not _is_there(web):
        return ""
    return str(web.spec["template"]["spec"]["containers"][0]["image"].rpartition(":")[2])


def _is_there(web: Web) -> bool:
    try:
        web.get()
    except NotFound:
        return False
    return True
