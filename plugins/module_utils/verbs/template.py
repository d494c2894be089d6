# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary's pod template, made from the stable one and from what was asked for.

It goes through a dry run of the server, so that it is what would be stored: with the server's defaults, and as admission
policies and webhooks make it. So a second run compares equal. This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from ..rollout.equality import same_template
from ..rollout.refusal import Code, Refusal
from ..rollout.template import UnknownContainer, bare, changed_paths, with_images
from ..rollout.views import Deployment, ReplicaSet
from .requests import NewTemplate
from .site import Site


@dataclass(frozen=True)
class Candidate:
    """A bare pod template as it would be stored, and where admission changes what was asked for (paths without values; of a
    manifest that is not known, because it lacks the server's defaults too)."""

    template: Mapping[str, Any]
    changed: tuple[str, ...] = ()


def candidate(site: Site, stable: ReplicaSet, asked: NewTemplate) -> Candidate:
    """One request more than `wished`. Raises Refusal."""
    template = wished(site, stable, asked)
    if same_template(template, stable.template):
        return Candidate(template)  # what admission would change in it by now is no release that anybody asked for
    stored = bare(site.try_template(template))
    return Candidate(stored, () if asked.definition is not None else changed_paths(template, stored))


def wished(site: Site, stable: ReplicaSet, asked: NewTemplate) -> Mapping[str, Any]:
    """The bare pod template asked for: that of a manifest as it stands there, anything else as a change of the stable one,
    for which a patch costs one request. Raises Refusal."""
    if asked.definition is not None:
        check_definition(site, asked.definition)
        return bare(asked.definition["spec"]["template"])
    template: Mapping[str, Any] = bare(stable.template)
    if asked.patch is not None:
        template = bare(site.try_patch(stable, asked.patch))
    try:
        return with_images(template, asked.images)
    except UnknownContainer as error:
        raise Refusal(
            Code.UNKNOWN_CONTAINER, str(error), "Name one of them; to add a container use pod_template_patch"
        ) from error


def check_definition(site: Site, definition: Mapping[str, Any]) -> None:
    """Raises Refusal for a manifest that is not of this Deployment."""
    kind = definition.get("kind")
    if kind != "Deployment":
        raise Refusal(Code.INVALID, f"definition is a {kind or 'nameless kind'}, not a Deployment", "Give its manifest")
    meta = definition.get("metadata") or {}
    for key, expected in (("name", site.target.name), ("namespace", site.target.namespace)):
        given = meta.get(key)
        if given is not None and given != expected:
            raise Refusal(
                Code.INVALID,
                f'definition has {key} "{given}", and this release is of "{expected}"',
                f"Give the manifest of the Deployment itself, or correct {key}",
            )
    if not isinstance((definition.get("spec") or {}).get("template"), Mapping):
        raise Refusal(Code.INVALID, "definition has no spec.template", "Give the whole manifest of the Deployment")


# What a manifest may say that a release takes from it, or that says nothing about the Deployment.
_NOT_COMPARED = frozenset({"apiVersion", "kind", "metadata.name", "metadata.namespace", "spec.template"})


def not_applied(definition: Mapping[str, Any], deployment: Deployment) -> tuple[str, ...]:
    """Warnings: paths where the manifest differs from the Deployment outside of its pod template."""
    live: dict[str, Any] = {
        "spec.replicas": deployment.replicas,
        "spec.paused": deployment.paused,
        "spec.minReadySeconds": deployment.min_ready_seconds,
        "spec.progressDeadlineSeconds": deployment.progress_deadline_seconds,
        "spec.selector": deployment.selector,
        "spec.strategy": deployment.strategy.to_json(),
        **{f"metadata.labels.{key}": value for key, value in deployment.labels.items()},
        **{f"metadata.annotations.{key}": value for key, value in deployment.annotations.items()},
    }
    given = {path: value for path, value in _flat(definition) if path not in _NOT_COMPARED}
    paths = sorted(
        path for path, value in given.items() if path != "spec.revisionHistoryLimit" and live.get(path) != value
    )
    if not paths:
        return ()
    return (
        "only the pod template of the manifest is applied; these other fields differ from the Deployment and were ignored: "
        + ", ".join(paths),
    )


def _flat(definition: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for part in ("metadata", "spec"):
        for key, value in (definition.get(part) or {}).items():
            if part == "metadata" and key in ("labels", "annotations"):
                pairs.extend((f"metadata.{key}.{name}", text) for name, text in (value or {}).items())
            else:
                pairs.append((f"{part}.{key}", value))
    return pairs
