# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server: requests in, JSON out, as cluster/exchange.py would have brought them over the network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cache
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import Asked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import Request

from . import managed, refusals
from .governing import Governed
from .managed import Writer
from .objects import NAMESPACE, Json, changed, moment
from .patching import PatchFailed, json_patch, merge_patch, strategic_merge
from .refusals import Refused
from .store import Store
from .timeline import EPOCH, Timeline
from .validation import defaulted, faults

_PATCHES: Mapping[str, Callable[[Any, Any], Any]] = {
    "application/json-patch+json": json_patch,
    "application/merge-patch+json": merge_patch,
    "application/strategic-merge-patch+json": strategic_merge,
}
# Of the Kubernetes that this server stands for.
MINOR = "37"
# An admission hook: gets kind, old object (None: it is made) and new one; returns the new one, changed or not, or raises Refused.
Admission = Callable[[str, "Json | None", Json], Json]
# Whatever changes one of these makes another generation: k8s.io/kubernetes/pkg/registry/apps/deployment/strategy.go.
_COUNTED = {
    "deployments": ("spec", "annotations"),
    "replicasets": ("spec",),
    "horizontalpodautoscalers": ("spec",),
    # Of a custom resource only the spec: apiextensions-apiserver, customresource/strategy.go.
    "httproutes": ("spec",),
    "scaledobjects": ("spec",),
    "ingresses": ("spec",),
    "grpcroutes": ("spec",),
    "virtualservices": ("spec",),
}
# Of every container.
LOG = "starting\nstarted\n"


@dataclass(frozen=True)
class Answer:
    """`content`: JSON, or the text of a log."""

    status: int
    content: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Server:
    """`forbidden`: what each user may not do, as (verb, resource); `granted`: all that some users may do."""

    def __init__(self, timeline: Timeline, store: Store) -> None:
        self.store = store
        self.admission: list[Admission] = []
        self.governed: Governed | None = None
        self.forbidden: dict[str, frozenset[tuple[str, str]]] = {}
        self.granted: dict[str, frozenset[tuple[str, str]]] = {}
        # The uids that each user was shown.
        self.shown: dict[str, set[str]] = {}
        # When each user has tried a write of a Deployment last.
        self.tried: dict[str, float] = {}
        self.says_the_time = True
        self._timeline = timeline

    def answer(self, request: Request, user: str, stale_by: float = 0.0) -> Answer:
        """`stale_by`: seconds that a list lags behind."""
        date = {"Date": _date(int(self._timeline.now))} if self.says_the_time else {}
        try:
            return Answer(200, self._handled(request, user, stale_by), date)
        except Refused as refused:
            return Answer(refused.status, refused.body, {**date, **refused.headers})

    def may(self, asked: Asked, user: str) -> None:
        right = (asked.verb, asked.resource)
        granted = self.granted.get(user)
        # What is no resource, such as the version, is everybody's to read.
        refused = granted is not None and right not in granted and not asked.resource.startswith("/")
        if refused or right in self.forbidden.get(user, ()):
            raise refusals.forbidden(asked, user)

    def _handled(self, request: Request, user: str, stale_by: float) -> Any:
        asked = request.asked
        self.may(asked, user)
        if asked.resource == "/version":
            return {"major": "1", "minor": MINOR}
        kind, _slash, subresource = asked.resource.partition(".")[0].partition("/")
        if not self.store.serves(kind):
            raise refusals.not_served()
        if subresource == "log":
            return LOG
        if request.method == "GET" and not asked.name:
            return self._listed(kind, request.query, user, stale_by)
        if request.method == "GET":
            found = self._there(kind, asked)
            self.shown.setdefault(user, set()).add(found["metadata"]["uid"])
            return found
        body = json.loads(request.body or b"null")
        if request.method == "DELETE":
            return self._deleted(kind, asked, body, user)
        dry_run = "dryRun" in request.query
        manager = request.query.get("fieldManager", user)
        if request.method == "POST":
            made = self.create(kind, body, user, manager, asked, dry_run=dry_run)
            self.shown.setdefault(user, set()).add(made["metadata"].get("uid", ""))
            return made
        patch = _PATCHES[request.headers["Content-Type"]]
        return self.patch(kind, asked, body, patch, user, manager, dry_run=dry_run)

    def _deleted(self, kind: str, asked: Asked, body: Json, user: str) -> Json:
        found = self._there(kind, asked)
        meta, wanted = found["metadata"], body["preconditions"]
        if meta["uid"] != wanted["uid"] or wanted.get("resourceVersion") not in (None, meta["resourceVersion"]):
            raise refusals.conflict(asked)
        self.store.remove(kind, asked.name, user)
        return found

    def _there(self, kind: str, asked: Asked) -> Json:
        found = self.store.get(kind, asked.name)
        if found is None:
            raise refusals.not_found(asked)
        return found

    # Lists.

    def _listed(self, kind: str, query: Mapping[str, str], user: str, stale_by: float) -> Json:
        begun, _colon, after = query.get("continue", "").partition(":")
        try:
            then = float(begun) if begun else self._timeline.now - stale_by
        except ValueError:
            raise refusals.bad_token() from None
        if begun and self._timeline.now - then > 300:
            raise refusals.expired()
        objects = self.store.as_of(kind, then) if begun or stale_by else self.store.of(kind)
        found = [obj for name, obj in sorted(objects.items()) if name > after and selects(query, obj)]
        limit = int(query.get("limit", "0")) or len(found)
        token = f"{then}:{found[limit - 1]['metadata']['name']}" if len(found) > limit else ""
        revision = self.store.revision_at(then) if stale_by else self.store.revision
        meta = {"resourceVersion": str(revision), "continue": token}
        self.shown.setdefault(user, set()).update(obj["metadata"]["uid"] for obj in found)
        return {"kind": "List", "metadata": meta, "items": found[:limit]}

    # Writes.

    def create(
        self, kind: str, obj: Json, user: str, manager: str, asked: Asked | None = None, *, dry_run: bool = False
    ) -> Json:
        asked = asked or Asked("create", _resource(kind), namespace=NAMESPACE)
        meta = obj["metadata"]
        name = meta.get("name") or f"{meta['generateName']}{self.store.revision:x}"
        if self.store.get(kind, name) is not None:
            raise refusals.already_exists(asked, name)
        where = {"namespace": asked.namespace or NAMESPACE, "name": name, "generation": 1}
        named = {"kind": _KINDS.get(kind, kind), "status": {}, **obj, "metadata": {**meta, **where}}
        return self._kept(kind, asked, None, named, user, Writer(manager), dry_run)

    def patch(
        self,
        kind: str,
        asked: Asked,
        body: Any,
        patch: Callable[[Any, Any], Any],
        user: str,
        manager: str,
        *,
        dry_run: bool = False,
    ) -> Json:
        before = self._there(kind, asked)
        try:
            after = patch(before, body)
        except PatchFailed:
            raise refusals.patch_failed() from None
        if after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
            raise refusals.conflict(asked)
        return self._kept(kind, asked, before, after, user, Writer(manager), dry_run)

    def delete(self, kind: str, asked: Asked, user: str) -> Json:
        """What belongs to it is left to its controllers, as by --cascade=background; a pod takes its time to end."""
        found = self._there(kind, asked)
        if kind == "pods":
            self.store.put(kind, changed(found, metadata={"deletionTimestamp": moment(self._timeline.now)}), user)
        else:
            self.store.remove(kind, asked.name, user)
        return found

    def apply(self, kind: str, manifest: Json, user: str, manager: str, *, force: bool) -> Json:
        """Server-side apply."""
        asked = Asked("patch", _resource(kind), manifest["metadata"]["name"], NAMESPACE)
        before = self._there(kind, asked)
        after = strategic_merge(before, manifest)
        conflicts = managed.others(before, defaulted(kind, after), manager)
        if conflicts and not force:
            raise refusals.apply_conflict(conflicts)
        writer = Writer(manager, applies=frozenset(manifest["spec"]))
        return self._kept(kind, asked, before, after, user, writer, False)

    def _kept(
        self,
        kind: str,
        asked: Asked,
        before: Json | None,
        after: Json,
        user: str,
        writer: Writer,
        dry_run: bool,
    ) -> Json:
        for admit in self.admission:
            after = admit(kind, before, after)
        if self.governed is not None:
            after = self.governed.admit(self._timeline, kind, after, dry_run=dry_run)
        after = defaulted(kind, after)
        if wrong := faults(kind, after):
            raise refusals.invalid(asked, after["metadata"]["name"], wrong)
        after = managed.written(kind, before, after, writer, self._timeline.now)
        if before is not None:
            # The status belongs to its controller alone.
            after = {**after, "status": before.get("status", {})}
            after = {**after, "metadata": {**after["metadata"], "generation": _generation(kind, before, after)}}
        if dry_run and kind == "deployments":
            self.tried[user] = self._timeline.now
        if dry_run or after == before:
            return after
        return self.store.put(kind, after, user)


@cache
def _date(second: int) -> str:
    return formatdate(EPOCH + second, usegmt=True)


_KINDS = {
    "deployments": "Deployment",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "pods": "Pod",
    "horizontalpodautoscalers": "HorizontalPodAutoscaler",
    "scaledobjects": "ScaledObject",
    "verticalpodautoscalers": "VerticalPodAutoscaler",
    "events": "Event",
    "leases": "Lease",
    "resourcequotas": "ResourceQuota",
    "services": "Service",
    "gateways": "Gateway",
    "gatewayclasses": "GatewayClass",
    "httproutes": "HTTPRoute",
    "ingresses": "Ingress",
    "grpcroutes": "GRPCRoute",
    "virtualservices": "VirtualService",
}


def _resource(kind: str) -> str:
    groups = {"deployments": ".apps", "replicasets": ".apps", "horizontalpodautoscalers": ".autoscaling"}
    return kind + groups.get(kind, "")


def _generation(kind: str, before: Json, after: Json) -> int:
    def counted(obj: Json) -> list[Any]:
        parts = {"spec": obj.get("spec"), "annotations": obj["metadata"].get("annotations") or {}}
        return [parts[part] for part in _COUNTED.get(kind, ())]

    return int(before["metadata"].get("generation", 1)) + (counted(before) != counted(after))


def selects(query: Mapping[str, str], obj: Json) -> bool:
    """By what verbs ask for: labels by equality, by sets, or by being there; fields by equality."""
    if wanted := query.get("labelSelector"):
        labels = obj["metadata"].get("labels") or {}
        for holds in _of_labels(wanted):
            if not holds(labels):
                return False
    if wanted := query.get("fieldSelector"):
        return all((_member(obj, path) == value) is same for path, same, value in _of_fields(wanted))
    return True


@cache
def _of_labels(text: str) -> tuple[Callable[[Mapping[str, str]], bool], ...]:
    return tuple(_requirement(requirement.strip()) for requirement in _requirements(text))


def _requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    """k8s.io/apimachinery/pkg/labels/selector.go."""
    if text.startswith("!"):
        return lambda labels: text[1:] not in labels
    if found := _OF_A_SET.fullmatch(text):
        name, inside, values = found[1], found[2] == "in", {value.strip() for value in found[3].split(",")}
        return lambda labels: (labels.get(name) in values) is inside
    key, equals, value = text.partition("=")
    return (lambda labels: labels.get(key) == value) if equals else (lambda labels: key in labels)


@cache
def _of_fields(text: str) -> tuple[tuple[str, bool, str], ...]:
    """Paths, whether they are to be the same, and as what."""
    parts = (requirement.partition("=") for requirement in _requirements(text))
    return tuple((path.removesuffix("!"), not path.endswith("!"), value) for path, _is, value in parts)


def _member(obj: Json, path: str) -> Any:
    for part in path.split("."):
        obj = obj.get(part) or {}
    return obj


# A comma between two of them, and none inside a set.
_COMMA = re.compile(r",(?![^(]*\))")
_OF_A_SET = re.compile(r"(\S+) (in|notin) \(([^)]*)\)")


def _requirements(text: str) -> Iterable[str]:
    return filter(None, _COMMA.split(text))
