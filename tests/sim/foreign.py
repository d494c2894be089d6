# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other writers: every way in which kubectl, a GitOps tool, or a person with an editor changes what a release stands on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import Asked
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import NEVER_AVAILABLE_SECONDS
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import LIVE, RECORD
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import bare
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import REVISION

from .garbage import DEPENDENTS
from .history import Foreign
from .objects import (
    AUTOSCALER_NAME,
    CONTAINER,
    NAMESPACE,
    Json,
    changed,
    image,
    is_being_deleted,
    marked_deleted,
    owned,
    template,
)
from .patching import json_patch, merge_patch, strategic_merge
from .pods import APART
from .refusals import Refused
from .server import Server

# As whom others write.
SOMEBODY, GITOPS = FOREIGN = ("somebody", "gitops")
LOOP, LOOP_SECONDS = "a GitOps loop", 7.0
BESIDE = "delete without its pods, which stay in the way, and create"
AUTOSCALER = Asked("patch", "horizontalpodautoscalers.autoscaling", AUTOSCALER_NAME, NAMESPACE)


class Cascade(Enum):
    """What becomes of what belongs to a Deployment that is deleted."""

    BACKGROUND = "it goes a moment later"
    FOREGROUND = "it goes first"
    ORPHAN = "it stays, and whoever comes next with its labels takes it"


class Somebody:
    """Writes as another user. A write that the server refuses is given up, as a person would."""

    def __init__(self, server: Server, manifest: Json) -> None:
        self.server, self.manifest, self.is_making = server, manifest, False
        self.name = str(manifest["metadata"]["name"])
        self.asked = Asked("patch", "deployments.apps", self.name, NAMESPACE)

    def writes(self, foreign: Foreign) -> None:
        try:
            WRITES[foreign.what](self, foreign)
        except Refused:
            return

    def live(self) -> Json:
        found = self.server.store.get("deployments", self.name)
        if found is None:
            raise Refused(404, "NotFound", f'deployments.apps "{self.name}" not found')
        return found

    def strategic(self, patch: Mapping[str, Any], manager: str = "kubectl-edit") -> None:
        self.server.patch("deployments", self.asked, patch, strategic_merge, SOMEBODY, manager)

    def merge(self, patch: Mapping[str, Any]) -> None:
        self.server.patch("deployments", self.asked, patch, merge_patch, SOMEBODY, "kubectl-edit")

    def spec(self, **members: Any) -> None:
        self.strategic({"spec": members})

    def annotate(self, **annotations: str | None) -> None:
        self.merge({"metadata": {"annotations": annotations}})

    def delete(self, cascade: Cascade) -> None:
        """kubectl delete --cascade."""
        store, live = self.server.store, self.live()
        if cascade is not Cascade.BACKGROUND:
            store.put("deployments", marked_deleted(live, store.timeline.now), SOMEBODY)
        if cascade is Cascade.FOREGROUND:
            return
        if cascade is Cascade.ORPHAN:
            for kind in DEPENDENTS:
                for obj in list(owned(store.of(kind), live)):
                    store.put(kind, changed(obj, metadata={"ownerReferences": None}), "garbage-collector")
        store.remove("deployments", self.name, SOMEBODY)

    def create(self, manifest: Json, seconds: float) -> None:
        """After so long, and once the one before it is gone; where another has made it by then, it is that one."""
        timeline, self.is_making = self.server.store.timeline, True

        def create() -> None:
            found = self.server.store.get("deployments", self.name)
            if found is not None and is_being_deleted(found):
                timeline.after(1.0, create)
                return
            self.is_making = False
            if found is None:
                self.server.create("deployments", manifest, SOMEBODY, "kubectl-create")

        timeline.after(seconds, create)

    def set_apart(self) -> None:
        """ReplicaSets that are nobody's are so by their labels, too: the next one takes none, and they keep their pods and their names."""
        store = self.server.store
        for rs in list(store.of("replicasets").values()):
            if "ownerReferences" not in rs["metadata"]:
                store.put("replicasets", changed(rs, metadata={"labels": {APART: "true"}}), SOMEBODY)

    def manifest_of(self, version: str) -> Json:
        spec = {**self.manifest["spec"], "template": template(version or "v1")}
        return {**self.manifest, "spec": spec}


def _scale(by: Somebody, what: Foreign) -> None:
    by.strategic({"spec": {"replicas": what.number}}, "kubectl-scale")


def _scale_to_zero_and_back(by: Somebody, what: Foreign) -> None:
    replicas = by.live()["spec"]["replicas"]
    by.spec(replicas=0)

    def back() -> None:
        by.writes(Foreign(what.at, "kubectl scale", replicas))

    by.server.store.timeline.after(5.0, back)


def _set_image(by: Somebody, what: Foreign) -> None:
    containers = [{"name": CONTAINER, "image": image(what.version)}]
    by.strategic({"spec": {"template": {"spec": {"containers": containers}}}}, "kubectl-set")


def _restart(by: Somebody, what: Foreign) -> None:
    if by.live()["spec"].get("paused"):
        return
    note = {"kubectl.kubernetes.io/restartedAt": str(what.at)}
    by.strategic({"spec": {"template": {"metadata": {"annotations": note}}}}, "kubectl-rollout")


def _rollout_undo(by: Somebody, what: Foreign) -> None:
    """kubectl rollout undo: the template and the annotations of the revision before, by JSON patch."""
    live = by.live()
    sets = sorted(
        owned(by.server.store.of("replicasets"), live), key=lambda rs: int(rs["metadata"]["annotations"][REVISION])
    )
    if live["spec"].get("paused") or len(sets) < 2:
        return
    if bare(sets[-2]["spec"]["template"]) == bare(live["spec"]["template"]):
        return  # "skipped rollback (current template already matches revision)"
    skipped = ("deployment.kubernetes.io/", "kubectl.kubernetes.io/last-applied")
    mine = live["metadata"].get("annotations") or {}
    kept = {key: value for key, value in mine.items() if key.startswith(skipped)}
    theirs = sets[-2]["metadata"]["annotations"]
    annotations = {**kept, **{key: value for key, value in theirs.items() if not key.startswith(skipped)}}
    operations = [
        {"op": "replace", "path": "/spec/template", "value": bare(sets[-2]["spec"]["template"])},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
    ]
    by.server.patch("deployments", by.asked, operations, json_patch, SOMEBODY, "kubectl")


def _client_apply(by: Somebody, what: Foreign) -> None:
    """kubectl apply: three ways between the manifest, the one applied last (the same but for its version), and what is there."""
    by.strategic({"spec": by.manifest_of(what.version)["spec"]}, "kubectl-client-side-apply")


def _whole_manifest(by: Somebody, what: Foreign) -> None:
    """Every field as it was, by whoever has to repair by hand."""
    own = {"minReadySeconds": 0, "progressDeadlineSeconds": 600, "paused": False}
    by.strategic({"spec": {**own, **by.manifest_of(what.version)["spec"]}}, "kubectl-client-side-apply")


def _server_apply(force: bool) -> Callable[[Somebody, Foreign], None]:
    def apply(by: Somebody, what: Foreign) -> None:
        by.server.apply("deployments", by.manifest_of(what.version), GITOPS, "argocd-controller", force=force)

    return apply


def _loops(by: Somebody, what: Foreign) -> None:
    """A GitOps tool puts its manifest back again and again."""
    then = Foreign(what.at, "server-side apply by force", 0, what.version)
    for round_ in range(what.number):
        by.server.store.timeline.after(LOOP_SECONDS * round_, partial(by.writes, then))


def ends(what: Foreign) -> float:
    """The moment of its last write."""
    return what.at + (LOOP_SECONDS * max(0, what.number - 1) if what.what == LOOP else 0.0)


def _made_again(cascade: Cascade) -> Callable[[Somebody, Foreign], None]:
    def delete_and_create(by: Somebody, what: Foreign) -> None:
        by.live()
        by.delete(cascade)
        by.create(by.manifest_of(what.version), what.number / 2)

    return delete_and_create


def _made_again_beside(by: Somebody, what: Foreign) -> None:
    """What was there before stays, and in the way of the next one: its first ReplicaSet would have the same name."""
    by.live()
    by.delete(Cascade.ORPHAN)
    by.set_apart()
    by.create(by.manifest_of(what.version), what.number / 2)


def _made_again_from_a_copy(by: Somebody, what: Foreign) -> None:
    """As backups do it: with its annotations, in the midst of whatever went on."""
    live = by.live()
    kept = {
        key: live["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in live["metadata"]
    }
    by.delete(Cascade.BACKGROUND)
    by.create({**by.manifest, "metadata": kept, "spec": live["spec"]}, what.number / 2)


def _record_garbled(by: Somebody, what: Foreign) -> None:
    texts = ("{", "[]", '{"version":99}', json.dumps({"version": 1, "uid": 7}))
    if RECORD in (by.live()["metadata"].get("annotations") or {}):
        by.annotate(**{RECORD: texts[what.number % len(texts)]})


def _bounds(by: Somebody, what: Foreign) -> None:
    spec = {"minReplicas": max(1, what.number - 1), "maxReplicas": what.number + 2}
    by.server.patch("horizontalpodautoscalers", AUTOSCALER, {"spec": spec}, merge_patch, SOMEBODY, "kubectl-edit")


WRITES: dict[str, Callable[[Somebody, Foreign], None]] = {
    "kubectl scale": _scale,
    "kubectl scale to 0 and back": _scale_to_zero_and_back,
    "kubectl set image": _set_image,
    "kubectl rollout restart": _restart,
    "kubectl rollout undo": _rollout_undo,
    "kubectl rollout pause": lambda by, what: by.spec(paused=True),
    "kubectl rollout resume": lambda by, what: by.spec(paused=None),
    "kubectl apply": _client_apply,
    "the whole manifest": _whole_manifest,
    "server-side apply": _server_apply(force=False),
    "server-side apply by force": _server_apply(force=True),
    LOOP: _loops,
    "delete and create": _made_again(Cascade.BACKGROUND),
    "delete in the foreground and create": _made_again(Cascade.FOREGROUND),
    "delete without its pods and create": _made_again(Cascade.ORPHAN),
    "delete and create from a copy": _made_again_from_a_copy,
    BESIDE: _made_again_beside,
    "minReadySeconds put back": lambda by, what: by.spec(minReadySeconds=0),
    "minReadySeconds of a hold": lambda by, what: by.spec(
        minReadySeconds=NEVER_AVAILABLE_SECONDS, progressDeadlineSeconds=NEVER_AVAILABLE_SECONDS + 1
    ),
    "another strategy": lambda by, what: by.spec(
        strategy={"rollingUpdate": {"maxSurge": what.number, "maxUnavailable": 1}}
    ),
    "record lost": lambda by, what: by.annotate(**{RECORD: None}),
    "record garbled": _record_garbled,
    "label lost": lambda by, what: by.merge({"metadata": {"labels": {LIVE: None}}}),
    "label from nowhere": lambda by, what: by.merge({"metadata": {"labels": {LIVE: "true"}}}),
    "other annotation": lambda by, what: by.annotate(**{"example.org/note": str(what.at)}),
    "autoscaler edited": _bounds,
    "autoscaler deleted": lambda by, what: by.server.store.remove(
        "horizontalpodautoscalers", AUTOSCALER_NAME, SOMEBODY
    ),
}
