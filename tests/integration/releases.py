# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Deployment on fake nodes and the verbs that are asked of it, in-process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    Call,
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
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.pause import pause
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.resume import resume
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.rollback import rollback
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.undo import undo

CONTAINER = "app"
WAIT_SECONDS = 240.0
# Of the Deployment that the fixture `release` makes.
REPLICAS = 4


def silent(line: str) -> None:
    del line


def image(version: str) -> str:
    return f"lab.local/app:{version}"


def annotated(**behaviour: str) -> dict[str, Any]:
    """A patch of the pod template that makes fake pods behave so (tests/cluster/stages/pod-behaviour.yaml)."""
    annotations = {f"lab.coalmine/{key.replace('_', '-')}": value for key, value in behaviour.items()}
    return {"metadata": {"annotations": annotations}}


@dataclass
class Release:
    """A Deployment `name`, once it is made; every verb waits, with `terminated` also for pods that are ending."""

    api: Api
    namespace: str
    name: str = "web"
    terminated: bool = False
    call: Call = field(init=False)

    def __post_init__(self) -> None:
        self.call = Call(
            Target(self.name, self.namespace), Wait(timeout=WAIT_SECONDS, terminated=self.terminated), actor="tests"
        )

    @property
    def path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}"

    def make(self, replicas: int, **fields: Any) -> Release:
        """Version v1, all pods Ready. `fields` as of `manifest`."""
        self.api.create(self.path.rpartition("/")[0], self.manifest(replicas, **fields))
        self.promote()
        return self

    def manifest(
        self,
        replicas: int,
        template: Mapping[str, Any] | None = None,
        annotations: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """A pod `template` or, in the ordinary one, pod `annotations`; `fields` are of the Deployment's spec."""
        labels = {"app": self.name}
        spec = {"automountServiceAccountToken": False, "containers": [{"name": CONTAINER, "image": image("v1")}]}
        metadata = {"labels": labels, "annotations": dict(annotations or {})}
        template = {"metadata": metadata, "spec": spec} | dict(template or {})
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **fields},
        }

    def deployment(self) -> dict[str, Any]:
        return self.api.get(self.path)

    @property
    def image(self) -> str:
        """That of the pod template, as the Deployment is now."""
        return str(self.deployment()["spec"]["template"]["spec"]["containers"][0]["image"])

    @property
    def last(self) -> dict[str, Any]:
        """How the last release ended, as the Deployment keeps it."""
        return dict(json.loads(self.deployment()["metadata"]["annotations"]["coalmine.canary/last"]))

    def misbehave(self, version: str = "v2", **behaviour: str) -> None:
        """From this moment on the fake pods of a version do this; a delay in the template would race with the verb."""
        pods = f"/api/v1/namespaces/{self.namespace}/pods"
        for pod in self.api.list(pods)["items"]:
            if pod["spec"]["containers"][0]["image"] == image(version):
                self.api.patch(f"{pods}/{pod['metadata']['name']}", annotated(**behaviour), PatchKind.MERGE)

    def start(
        self, version: str = "v2", pods: int = 1, surge: int = 1, patch: Mapping[str, Any] | None = None
    ) -> Outcome:
        template = NewTemplate(images={CONTAINER: image(version)}, patch=patch)
        return start(self.api, StartRequest(self.call, template, Size(pods), surge=surge), silent)

    def promote(self) -> Outcome:
        return promote(self.api, PromoteRequest(self.call), silent)

    def undo(self, reason: str = "test") -> Outcome:
        return undo(self.api, UndoRequest(self.call, reason=reason), silent)

    def pause(self) -> Outcome:
        return pause(self.api, PauseRequest(self.call), silent)

    def resume(self) -> Outcome:
        return resume(self.api, ResumeRequest(self.call), silent)

    def rollback(self, to: str, reason: str = "") -> Outcome:
        return rollback(self.api, RollbackRequest(self.call, to=to, reason=reason), silent)


def begin(release: Release, verb: str) -> str:
    """The first of the two patches of a promotion or an undo, as a run leaves it that does not live to see the pods move."""
    release.call = type(release.call)(release.call.target, type(release.call.wait)(enabled=False), actor="tests")
    outcome = getattr(release, verb)()
    return str(outcome.canary["phase"])
