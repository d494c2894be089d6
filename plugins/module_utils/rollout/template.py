# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pod templates: which two are the same, what is in one, and what becomes of one.

Kubernetes finds the ReplicaSet of a template by comparing the whole template without the label `pod-template-hash`
(pkg/controller/deployment/util/deployment_util.go, EqualIgnoreHash); so do we, by `equality`. Templates are compared as
the server stored them: it has filled in every default by then. This module is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any, Mapping

from .equality import canonical
from .fields import MOST_AT_ONCE, Template
from .views import HASH_LABEL, ReplicaSet

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


class UnknownContainer(ValueError):
    """An image was given for a container that the template does not have. `known` lists those that it has."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f'the pod template has no container "{name}"; it has: {", ".join(known)}')
        self.name = name
        self.known = known


def bare(template: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without what a ReplicaSet adds to the template of its Deployment, and without null values: fit to be written.
    For comparing, take `canonical`."""
    result: dict[str, Any] = _without_nulls(dict(template))
    labels = (result.get("metadata") or {}).get("labels")
    if labels:
        labels.pop(HASH_LABEL, None)
    return result


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def digest(template: Mapping[str, Any]) -> str:
    """Says which template this is, without a word of what is in it: 'sha256:' and 32 hex digits of its canonical JSON.

    Two that Kubernetes takes for the same have the same digest, however their quantities are written.
    """
    if not isinstance(template, Template):
        return _digest(json.dumps(template))
    if not template.digest:
        template.digest = _digest(json.dumps(template))
    return template.digest


@lru_cache(maxsize=MOST_AT_ONCE)
def _digest(text: str) -> str:
    """Of a template as JSON. The same text comes again with every answer of the server."""
    canon = json.dumps(canonical(json.loads(text)), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(canon.encode()).hexdigest()[:32]


def same_version(running: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether nothing is `wanted` but what is `running`. That its pods were restarted (`kubectl rollout restart` leaves a mark) makes no
    other version of it; a mark that is wanted does: whoever asks for a restart by a canary gets one."""
    unrestarted = bare(running)
    unrestarted.get("metadata", {}).get("annotations", {}).pop(RESTARTED_AT, None)
    return canonical(wanted) in (canonical(running), canonical(unrestarted))


def _containers(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    spec = template.get("spec") or {}
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def images(template: Mapping[str, Any]) -> dict[str, str]:
    """{container: image}, init containers first."""
    return {c["name"]: c.get("image", "") for c in _containers(template)}


def with_images(template: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
    """A bare copy with other images. Raises UnknownContainer."""
    result = bare(template)
    by_name = {c["name"]: c for c in _containers(result)}
    for name, image in wanted.items():
        if name not in by_name:
            raise UnknownContainer(name, tuple(by_name))
        by_name[name]["image"] = image
    return result


def replica_set_of(template: Mapping[str, Any], replica_sets: tuple[ReplicaSet, ...]) -> ReplicaSet | None:
    """The ReplicaSet that Kubernetes takes for this template: the oldest whose template is the same."""
    wanted = digest(template)
    return min(
        (rs for rs in replica_sets if digest(rs.template) == wanted),
        key=lambda rs: (rs.created, rs.name),
        default=None,
    )


def changed_paths(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Where two templates differ, as paths without values (an environment value may be a secret)."""
    return tuple(sorted(_differences(canonical(before), canonical(after), "")))


def _differences(before: Any, after: Any, path: str) -> set[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = before.keys() | after.keys()
        return set().union(*(_differences(before.get(k), after.get(k), f"{path}.{k}".lstrip(".")) for k in keys))
    if isinstance(before, list) and isinstance(after, list) and _named(before) and _named(after):
        old, new = ({item["name"]: item for item in side} for side in (before, after))
        return set().union(*(_differences(old.get(n), new.get(n), f"{path}[{n}]") for n in old.keys() | new.keys()))
    return set() if before == after else {path}


def _named(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) and "name" in item for item in items)
