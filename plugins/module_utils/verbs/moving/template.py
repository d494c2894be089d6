# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary's pod template, made from the stable one and from what was asked for.

It goes through a dry run of the server, so that it is what would be stored: with the server's defaults, and as admission
policies and webhooks make it. So a second run compares equal. This module is private to the collection.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Iterator, Mapping

from ...cluster.errors import AdmissionDenied, Invalid
from ...rollout import kept
from ...rollout.equality import same_template
from ...rollout.refusal import Code, Refusal
from ...rollout.slips import slips
from ...rollout.template import UnknownContainer, bare, changed_paths, same_version, with_images
from ...rollout.views import Deployment, ReplicaSet
from ...values import dataclass
from ..call.orders import API_VERSION, NewTemplate, Target
from ..call.site import Site

# A manifest that was written without quotes has many.
_SLIPS_TOLD = 5
# How policies answer for a template that is there already.
_DENIED = (AdmissionDenied, Invalid)


@dataclass(frozen=True)
class Candidate:
    """A pod template as it would be stored, and where admission changes what was asked for (paths without values; for a
    manifest, which lacks the server's defaults too, where it would change the stable template). `lost`: what it does so that no canary could be
    held. `no_way_back`: why the stable template would not be let in again, as far as that was seen."""

    template: Mapping[str, Any]
    changed: tuple[str, ...] = ()
    lost: str = ""
    no_way_back: str = ""


def candidate(
    site: Site, stable: ReplicaSet, asked: NewTemplate, held: Deployment | None = None, hold: kept.Tried | None = None
) -> Candidate:
    """`held`: the Deployment, if it runs a canary. `hold`: what a start would write beside the template. One request more than `wished` costs,
    and another one where that is no template which is there, and does not come back as it was asked for. Raises Refusal."""
    template = wished(site, stable, asked)
    if same_template(template, stable.template):
        return Candidate(template)  # what admission would change in it by now is no release that anybody asked for
    answer = site.try_deployment(template, hold.operations if hold else ())
    stored = answer.template
    if held is not None:
        if same_template(stored, held.template):
            site.let_pass = not kept.lost(kept.asked(held, None), answer)
            return Candidate(stored)
        with suppress(*_DENIED):
            if same_template(stored, site.try_template(held.template)):
                return Candidate(held.template)  # nor is what it would change in the canary
        return Candidate(stored)
    lost = kept.lost(hold.wanted, answer) if hold else ""
    changed = changed_paths(template, stored)
    if not changed or same_version(stable.template, stored):
        return Candidate(stored, lost=lost)
    try:
        by_now = site.try_template(stable.template)
    except _DENIED as denied:
        # Nobody has asked for that one, and what is asked for may be its mending.
        return Candidate(stored, changed if asked.definition is None else (), lost, denied.why)
    if same_version(by_now, stored):
        return Candidate(stable.template)  # nor in the stable version, asked for by a manifest
    return Candidate(stored, changed if asked.definition is None else changed_paths(stable.template, by_now), lost)


def wished(site: Site, stable: ReplicaSet, asked: NewTemplate) -> Mapping[str, Any]:
    """The bare pod template asked for: that of a manifest as it stands there, anything else as a change of the stable one,
    for which a patch costs one request. Raises Refusal."""
    if asked.definition is not None:
        check_definition(site.target, asked.definition)
        _check_slips("definition", {"spec": {"template": asked.definition["spec"]["template"]}})
        return bare(asked.definition["spec"]["template"])
    template: Mapping[str, Any] = bare(stable.template)
    if asked.patch is not None:
        _check_slips("pod_template_patch", asked.patch)
        template = bare(site.try_patch(stable, asked.patch))
    try:
        return with_images(template, asked.images)
    except UnknownContainer as error:
        raise Refusal(
            Code.UNKNOWN_CONTAINER, str(error), "Name one of them; to add a container use pod_template_patch"
        ) from error


def _check_slips(option: str, given: Mapping[str, Any]) -> None:
    if found := slips(given):
        raise Refusal(Code.INVALID, f"{option} cannot be used: {'; '.join(found[:_SLIPS_TOLD])}")


# Parts of a manifest that are read here, before an API server has looked at it.
_MAPPINGS = (
    "metadata", "spec", "spec.template", "spec.template.metadata", "spec.template.metadata.labels",
    "spec.template.metadata.annotations", "spec.template.spec",
)  # fmt: skip


def _at(value: Any, path: str) -> Any:
    """The part of a manifest at that path; an empty mapping where there is none."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else {}
        value = {} if value is None else value
    return value


def check_definition(target: Target, definition: Mapping[str, Any]) -> None:
    """Raises Refusal for a manifest that is not of this Deployment."""
    kind = definition.get("kind")
    if kind != "Deployment":
        raise Refusal(Code.INVALID, f"definition is a {kind or 'nameless kind'}, not a Deployment", "Give its manifest")
    if definition.get("apiVersion", API_VERSION) != API_VERSION:
        raise Refusal(
            Code.INVALID,
            f"definition is a Deployment of another API than {API_VERSION}, as its apiVersion says",
            f"Give the manifest of the Deployment itself, of {API_VERSION}",
        )
    for path in _MAPPINGS:
        if not isinstance(_at(definition, path), Mapping):
            raise Refusal(
                Code.INVALID,
                f"definition has a {path} that is not a mapping",
                "Give the manifest of the Deployment itself",
            )
    meta = definition.get("metadata") or {}
    for key, expected in (("name", target.name), ("namespace", target.namespace)):
        given = meta.get(key)
        if given is not None and given != expected:
            raise Refusal(
                Code.INVALID,
                f'definition has {key} "{given}", and this release is of "{expected}"',
                f"Give the manifest of the Deployment itself, or correct {key}",
            )
    if not isinstance((definition.get("spec") or {}).get("template"), Mapping):
        raise Refusal(Code.INVALID, "definition has no spec.template", "Give the whole manifest of the Deployment")


def check_whole(target: Target, definition: Mapping[str, Any]) -> None:
    """What is created from it is this Deployment, and nothing under another name. Raises Refusal."""
    check_definition(target, definition)
    if (definition.get("metadata") or {}).get("name") is None:
        raise Refusal(
            Code.INVALID,
            f'definition has no metadata.name, so that what is created would not be "{target.name}"',
            "Give the manifest its name",
        )


# What stands in a manifest that was read from a cluster, and is not anybody's wish.
_OF_THE_SERVER = frozenset({"kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"})
_DEFAULT_DEADLINE = 600


def not_applied(definition: Mapping[str, Any], deployment: Deployment) -> tuple[str, ...]:
    """A warning that names where the manifest differs from the Deployment outside of its pod template, if it does.

    Only what the manifest says is compared, as `kubectl apply` leaves alone what it does not say.
    """
    metadata = definition.get("metadata") or {}
    annotations = metadata.get("annotations")
    if isinstance(annotations, Mapping):
        annotations = {key: text for key, text in annotations.items() if key not in _OF_THE_SERVER}
    given = {
        "metadata": {"labels": metadata.get("labels"), "annotations": annotations},
        "spec": {key: value for key, value in definition["spec"].items() if key != "template"},
    }
    paths = sorted(_differing(given, _outside_of_the_template(deployment), ""))
    if not paths:
        return ()
    return (
        "only the pod template of the manifest is applied; these other fields differ from the Deployment and were ignored: "
        + ", ".join(paths),
    )


def _outside_of_the_template(deployment: Deployment) -> dict[str, Any]:
    """As the server shows it, what it has filled in included."""
    deadline, limit = deployment.progress_deadline_seconds, deployment.revision_history_limit
    return {
        "metadata": {"labels": deployment.labels, "annotations": deployment.annotations},
        "spec": {
            "replicas": deployment.replicas,
            "paused": deployment.paused,
            "minReadySeconds": deployment.min_ready_seconds,
            "progressDeadlineSeconds": _DEFAULT_DEADLINE if deadline is None else deadline,
            "revisionHistoryLimit": limit,
            "selector": deployment.selector,
            "strategy": deployment.strategy.to_json(),
        },
    }


def _differing(given: Any, live: Any, path: str) -> Iterator[str]:
    """Paths of what is given and not so. Nothing, an empty list and an empty mapping say nothing."""
    if given in (None, [], {}):
        return
    if isinstance(given, Mapping):
        for key, value in given.items():
            known = live.get(key) if isinstance(live, Mapping) else None
            yield from _differing(value, known, f"{path}.{key}".lstrip("."))
    elif given != live:
        yield path
