# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Deployment of one container, the verbs asked of it in-process, and what others may do to it meanwhile.

The same tests run in a simulated cluster (tests/sim/stage.py) and, as witnesses, in a real one (tests/integration/situations.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import SYSTEM, Clock
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import LAST
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import LIVE, RECORD
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.undo import Restore
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.bake import bake
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    BakeRequest,
    Call,
    InfoRequest,
    LeaseAsked,
    Meant,
    NewTemplate,
    PauseRequest,
    PromoteRequest,
    ResumeRequest,
    RollbackRequest,
    Size,
    StartRequest,
    Target,
    UndoRequest,
    Wait,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.pause import pause
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.resume import resume
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.rollback import rollback
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.undo import undo

# Long enough for a machine with far too much to do; nothing here waits for it to pass.
PATIENCE_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 0.05

Json = dict[str, Any]


# Whoever it was, in a message: named where the server's times tell that it wrote after us.
WHOEVER = r'(?:somebody|"somebody"|kubectl [\w -]+)'


def silent(line: str) -> None:
    del line


def image(version: str) -> str:
    return f"lab.local/app:{version}"


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS, clock: Clock = SYSTEM) -> Any:
    """What the condition returns as soon as it is true."""
    deadline = clock.monotonic() + seconds
    while not (found := condition()):
        assert clock.monotonic() < deadline, f"not within {seconds} s: {what}"
        clock.sleep(LOOK_AGAIN_SECONDS)
    return found


# What a user may do: API group, resource, verb.
Right = tuple[str, str, str]


class Policy(Enum):
    """What admission does to the pod template of every Deployment."""

    MARKS = "gives it an annotation"
    # As mirrors of registries are put into force.
    REWRITES_IMAGES = "puts the name of a mirror before each image"


MARK, MIRROR = "was-here", "mirror.test/"


class World(Protocol):
    """What a Deployment lives in: a simulated cluster, or a real one."""

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """What it prints. Options: `input`."""

    def account(self, web: Web, rights: Sequence[Right]) -> Api:
        """Of a new user who may do this in the Deployment's namespace, and nothing else."""

    def right_before(self, web: Web, edits: Sequence[Callable[[], object]]) -> Api:
        """A way to the server on which these happen one after the other, each right before a patch of a Deployment arrives."""

    def meanwhile(self, web: Web, doing: Callable[[Web], object]) -> AbstractContextManager[None]:
        """Somebody else does this beside whoever is inside, with a way to the server of his own; at the end he is waited for."""

    def admission(self, web: Web, policy: Policy) -> AbstractContextManager[None]:
        """The policy is in force in the Deployment's namespace."""


@dataclass
class Web:
    """One Deployment. `api` is who asks the verbs, `admin` who looks on and interferes. `takeover`: whoever holds it."""

    admin: Api
    namespace: str
    name: str
    world: World
    api: Api = field(init=False)
    report: Callable[[str], None] = silent
    wait: Wait = field(default_factory=lambda: Wait(timeout=PATIENCE_SECONDS))
    checking: bool = False
    meant: Meant = field(default_factory=Meant)
    takeover: bool = False

    def __post_init__(self) -> None:
        self.api = self.admin

    @property
    def call(self) -> Call:
        target = Target(self.name, self.namespace)
        lease = LeaseAsked(takeover=self.takeover)
        return Call(target, self.wait, check=self.checking, actor="tests", meant=self.meant, lease=lease)

    @property
    def apps(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}"

    @property
    def path(self) -> str:
        return f"{self.apps}/deployments/{self.name}"

    @property
    def autoscalers(self) -> str:
        return f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers"

    # What there is.

    def manifest(self, replicas: int = 4, annotations: Mapping[str, str] | None = None, **spec: Any) -> Json:
        labels = {"app": self.name[:63]}
        template = {
            "metadata": {"labels": labels, "annotations": dict(annotations or {})},
            "spec": {"containers": [{"name": "app", "image": image("v1")}]},
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec},
        }

    def make(self, replicas: int = 4, *, settled: bool = True, **fields: Any) -> Web:
        self.admin.create(f"{self.apps}/deployments", self.manifest(replicas, **fields))
        if settled:
            self.settle()
        return self

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """What the condition returns as soon as it is true."""
        return until(condition, what, clock=self.admin.clock)

    def settle(self) -> None:
        def rolled_out() -> bool:
            deployment = self.get()
            status, replicas = deployment["status"], deployment["spec"]["replicas"]
            counts = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")}
            return counts == {replicas} and status.get("observedGeneration") == deployment["metadata"]["generation"]

        self.until(rolled_out, f"{self.name} is rolled out")

    def get(self) -> Json:
        return self.admin.get(self.path)

    @property
    def generation(self) -> int:
        return int(self.get()["metadata"]["generation"])

    @property
    def spec(self) -> Json:
        return dict(self.get()["spec"])

    @property
    def annotations(self) -> Json:
        return dict(self.get()["metadata"].get("annotations") or {})

    def replica_sets(self) -> list[Json]:
        uid = self.get()["metadata"]["uid"]
        items = self.admin.list(f"{self.apps}/replicasets")["items"]
        return [rs for rs in items if rs["metadata"]["ownerReferences"][0]["uid"] == uid]

    def split(self) -> dict[str, int]:
        """{version: pods that its ReplicaSets ask for}, those without pods left out."""
        found: dict[str, int] = {}
        for rs in self.replica_sets():
            tag = rs["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]
            if rs["spec"]["replicas"]:
                found[tag] = found.get(tag, 0) + rs["spec"]["replicas"]
        return found

    def pods(self) -> list[Json]:
        mine = {rs["metadata"]["uid"] for rs in self.replica_sets()}
        items = self.admin.list(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return [pod for pod in items if pod["metadata"]["ownerReferences"][0]["uid"] in mine]

    @property
    def phase(self) -> str:
        return str(self.info()["phase"])

    def info(self) -> Mapping[str, Any]:
        return info(self.admin, InfoRequest(self.name, self.namespace)).extra["canaries"][0]

    # The verbs.

    def start(
        self,
        version: str = "v2",
        pods: int | None = 1,
        *,
        weight: int | None = None,
        surge: int = 1,
        max_unavailable: int | None = None,
        patch: Mapping[str, Any] | None = None,
        annotations: Mapping[str, str] | None = None,
        template: NewTemplate | None = None,
        autoscaler: AutoscalerPolicy = AutoscalerPolicy.REFUSE,
        check: bool = False,
        run: str = "",
    ) -> Outcome:
        patch = {"metadata": {"annotations": dict(annotations)}} if annotations else patch
        asked = template or NewTemplate(images={"app": image(version)}, patch=patch)
        call = replace(self.call, check=check or self.checking)
        request = StartRequest(call, asked, Size(pods, weight), surge, max_unavailable, autoscaler, run)
        return start(self.api, request, self.report)

    def promote(self) -> Outcome:
        return promote(self.api, PromoteRequest(self.call), self.report)

    def undo(self, reason: str = "", restore: Restore | None = None) -> Outcome:
        return undo(self.api, UndoRequest(self.call, reason, restore), self.report)

    def pause(self) -> Outcome:
        return pause(self.api, PauseRequest(self.call), self.report)

    def resume(self) -> Outcome:
        return resume(self.api, ResumeRequest(self.call), self.report)

    def bake(self, seconds: float = 0) -> Outcome:
        return bake(self.api, BakeRequest(self.call, seconds), self.report)

    def rollback(self, to: str, reason: str = "") -> Outcome:
        return rollback(self.api, RollbackRequest(self.call, to, reason), self.report)

    # What others do.

    def patch(self, body: Any, kind: PatchKind = PatchKind.STRATEGIC) -> Json:
        return self.admin.patch(self.path, body, kind, field_manager="somebody")

    def kubectl(self, *arguments: str, **options: Any) -> str:
        return self.world.kubectl("--namespace", self.namespace, *arguments, **options)

    def set_image(self, version: str) -> None:
        self.kubectl("set", "image", f"deployment/{self.name}", f"app={image(version)}")

    def rollout(self, verb: str) -> None:
        self.kubectl("rollout", verb, f"deployment/{self.name}")

    def apply(self, *options: str, **fields: Any) -> None:
        """Its manifest of v1, as a pipeline applies it again."""
        self.kubectl("apply", *options, "-f", "-", input=json.dumps(self.manifest(**fields)))

    def misbehave(self, version: str, **behaviour: str) -> None:
        """From this moment on the fake pods of a version do this (docs/contributing/test-cluster.md)."""
        notes = {f"lab.coalmine/{key.replace('_', '-')}": value for key, value in behaviour.items()}
        for pod in self.pods():
            if pod["spec"]["containers"][0]["image"] == image(version):
                path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"
                self.admin.patch(path, {"metadata": {"annotations": notes}}, PatchKind.MERGE)

    def scale(self, replicas: int) -> None:
        self.kubectl("scale", f"deployment/{self.name}", f"--replicas={replicas}")

    def autoscaler(self, minimum: int | None = 2, maximum: int = 9, name: str = "", **metadata: Any) -> str:
        """A HorizontalPodAutoscaler of this Deployment; there are no metrics, so that it only keeps its bounds."""
        metric = {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
        }
        if minimum == 0:
            target = {"type": "AverageValue", "averageValue": "10"}
            metric = {"type": "External", "external": {"metric": {"name": "queue"}, "target": target}}
        name = name or f"{self.name}-hpa"
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name}
        spec = {"scaleTargetRef": reference, "maxReplicas": maximum, "metrics": [metric]}
        spec |= {} if minimum is None else {"minReplicas": minimum}
        self.admin.create(self.autoscalers, {"metadata": {"name": name, **metadata}, "spec": spec})
        return name

    def bounds(self, name: str = "") -> tuple[int, int]:
        spec = self.admin.get(f"{self.autoscalers}/{name or self.name + '-hpa'}")["spec"]
        return spec["minReplicas"], spec["maxReplicas"]

    # What must hold.

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        before = self.generation
        yield
        assert self.generation == before, "something was changed"

    def refused(self, call: Callable[[], Any], code: str, *, changed: bool = False) -> str:
        """The message of a verb that refuses with this code and changes nothing."""
        with self.unchanged(), pytest.raises(VerbFailure) as raised:
            call()
        assert (raised.value.code, raised.value.changed) == (code, changed), raised.value.message
        return raised.value.message

    def assert_clean(self, before: Mapping[str, Any], version: str) -> None:
        """Every field as in `before` except the template, which is of that version; no mark is left but how it ended."""
        self.assert_kept(before, version)
        assert LAST in self.annotations

    def assert_kept(self, before: Mapping[str, Any], version: str) -> None:
        now = self.get()
        assert {**now["spec"], "template": None} == {**before, "template": None}
        assert self.split() == ({version: before["replicas"]} if before["replicas"] else {})
        marks = {*now["metadata"].get("annotations", {}), *now["metadata"].get("labels", {})}
        assert not marks & {RECORD, LIVE}
