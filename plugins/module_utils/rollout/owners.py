# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else writes to this Deployment: tools that may put their own manifest back while a canary is held, and whoever did.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping

from ..foreign import printable
from ..values import dataclass
from .refusal import Code, Refusal
from .views import Deployment

# As whom we write ourselves.
_WE = "coalmine.canary"
# metadata.managedFields[].manager of well-known appliers, and what to do about each while a canary is held.
_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "helm": "Helm",
    "Terraform": "Terraform",
    "pulumi-kubernetes": "Pulumi",
    "kubectl-client-side-apply": "kubectl apply",
    "kubectl": "kubectl apply --server-side",
}
# Labels and annotations by which a tool knows what is its own.
_MARKS = {
    "argocd.argoproj.io/instance": "Argo CD",
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
    "configsync.gke.io/resource-id": "Config Sync",
    "objectset.rio.cattle.io/id": "Rancher Fleet",
    "kapp.k14s.io/app": "kapp",
}
# A tool that reconciles by itself will end the canary; one that is run by hand only may.
_RECONCILES = frozenset({"Argo CD", "Flux", "Config Sync", "Rancher Fleet"})
# A command has nobody who could suspend it: it is told of, and never a reason to refuse.
_COMMANDS = frozenset({"kubectl apply", "kubectl apply --server-side"})
# What keeps Flux' kustomize-controller from an object, whoever wrote it there, in capital or small letters; and what does so in its manifest
# alone (github.com/fluxcd/pkg, ssa/manager_apply.go, shouldSkipApply).
_KUSTOMIZE = "kustomize-controller"
_SSA = "kustomize.toolkit.fluxcd.io/ssa"
_LEFT_BY_FLUX = (("kustomize.toolkit.fluxcd.io/reconcile", "disabled"), (_SSA, "ignore"))
_MADE_ONCE = (_SSA, "ifnotpresent")
_OF_KUSTOMIZE = (_KUSTOMIZE, "kustomize.toolkit.fluxcd.io/name")

# Other names that writers have there: what they call themselves, or the first word of their user agent.
_HANDS = {
    "argocd-server": "Argo CD",
    "OpenAPI-Generator": "kubernetes.core or another client in Python",
    "k9s": "a person with k9s",
    "OpenLens": "a person with Lens",
    "Lens": "a person with Lens",
    "freelens": "a person with Freelens",
    "headlamp": "a person with Headlamp",
    "dashboard": "a person with Kubernetes Dashboard",
    "rancher": "a person with Rancher",
    "Mozilla": "a person with a browser",
    "curl": "a person with curl",
    "HashiCorp": "Terraform",
    "helmfile": "Helm",
    "kube-controller-manager": "a controller of Kubernetes",
}
_OURS = ("f:template", "f:strategy", "f:minReadySeconds", "f:progressDeadlineSeconds", "f:paused")


@dataclass(frozen=True)
class Owner:
    """A tool that manages a Deployment. `fields`: which of those that a hold changes. `seen`: by what it is known, in words.
    `returns`: it puts its manifest back by itself."""

    tool: str
    fields: tuple[str, ...]
    seen: tuple[str, ...]
    returns: bool

    @property
    def refuses(self) -> bool:
        """With owner_check=fail."""
        return self.tool not in _COMMANDS

    def warning(self, deployment: Deployment) -> str:
        what = f" ({', '.join(self.fields)})" if self.fields else ""
        does = "will put its manifest back" if self.returns else "ends the canary if it is run"
        return (
            f'{self.tool} manages Deployment "{deployment.name}"{what} and {does} during the release: '
            "let it ignore these fields, or suspend it until the release has ended"
        )

    def against_rollback(self, deployment: Deployment) -> str:
        does = (
            "will bring the version that was left back"
            if self.returns
            else "brings the version that was left back if it is run"
        )
        return f'{self.tool} manages Deployment "{deployment.name}" and {does}: change its manifest to the version that runs now'


def owners(deployment: Deployment) -> tuple[Owner, ...]:
    """Every tool that manages fields which a hold changes, by name."""
    signs = _signs(deployment)
    return tuple(
        Owner(
            tool,
            fields=tuple(dict.fromkeys(field for _seen, fields in found for field in fields)),
            seen=tuple(dict.fromkeys(seen for seen, _fields in found)),
            returns=tool in _RECONCILES or tool == deployment.controller,
        )
        for tool, found in sorted(signs.items())
    )


def refuse(deployment: Deployment, found: tuple[Owner, ...]) -> None:
    """With owner_check=fail. Raises Refusal where one of these is a tool that somebody can suspend."""
    named = [f"{owner.tool} (seen by {', '.join(owner.seen)})" for owner in found if owner.refuses]
    if named:
        raise Refusal(
            Code.OWNED,
            f'Deployment "{deployment.name}" in namespace "{deployment.namespace}" is managed by {" and ".join(named)}, and owner_check is fail',
            "Let that tool ignore the pod template and the strategy, or suspend it until the release has ended; then say so with "
            "owner_check=warn or ignore",
        )


def _signs(deployment: Deployment) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Of each tool by what it is known, and which fields that shows it to manage."""
    signs: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    left = _is_left_by_flux(deployment)
    if deployment.controller:
        signs[deployment.controller] = [("its owner reference", ())]
    for entry in deployment.managed_fields:
        tool = _tool(entry)
        if tool and not (left and entry.get("manager") in _OF_KUSTOMIZE):
            seen = f'the field manager "{printable(str(entry.get("manager")), 100)}"'
            signs.setdefault(tool, []).append((seen, _owned(entry)))
    for where, marks in (("label", deployment.labels), ("annotation", deployment.annotations)):
        for key, tool in _MARKS.items():
            if key in marks and not (left and key in _OF_KUSTOMIZE):
                signs.setdefault(tool, []).append((f"the {where} {key}", ()))
    if deployment.labels.get("app.kubernetes.io/managed-by") == "Helm":
        signs.setdefault("Helm", []).append(("the label app.kubernetes.io/managed-by", ()))
    return signs


def _is_left_by_flux(deployment: Deployment) -> bool:
    said = {
        (key, value.lower()) for marks in (deployment.labels, deployment.annotations) for key, value in marks.items()
    }
    return not said.isdisjoint(_LEFT_BY_FLUX) or (_MADE_ONCE in said and _has_written(deployment, _KUSTOMIZE, _SSA))


def _has_written(deployment: Deployment, manager: str, mark: str) -> bool:
    """Whether that label or annotation is of the manifest of this manager."""
    return any(
        f"f:{mark}" in ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get(marks, {})
        for entry in deployment.managed_fields
        for marks in ("f:labels", "f:annotations")
        if entry.get("manager") == manager
    )


def last_writer(deployment: Deployment, since: str) -> tuple[str, str]:
    """Who else has written fields of ours last, and when (RFC 3339), since we did, or since that moment where managedFields has no entry
    of ours left; two empty texts where nobody is named.

    A write that takes a field from us makes the time of its writer's entry new (apimachinery, managedfields/internal/
    managedfieldsupdater.go). Times are whole seconds: of those within the second of ours nobody knows whether they came before.
    """
    entries = [entry for entry in deployment.managed_fields if not entry.get("subresource")]
    ours = [str(entry.get("time")) for entry in entries if entry.get("manager") == _WE and _owned(entry)]
    begun = max(ours, default=since)
    found = [
        (str(entry.get("time")), _in_words(entry))
        for entry in entries
        if entry.get("manager") not in (_WE, "", None) and _owned(entry) and begun and str(entry.get("time")) > begun
    ]
    at, who = max(found, default=("", ""))
    return who, at


def _in_words(entry: Mapping[str, Any]) -> str:
    manager = str(entry.get("manager"))
    if manager == "kubectl" and entry.get("operation") != "Apply":
        # What names no manager of its own, as kubectl rollout undo, writes by the name of the program.
        return manager
    if manager.startswith("kubectl-") and manager not in _MANAGERS:
        return manager.replace("-", " ", 1)
    named = _MANAGERS.get(manager) or _HANDS.get(manager)
    return named or f'"{printable(manager, 100)}"'


def _tool(entry: Mapping[str, Any]) -> str | None:
    """kubectl scale and others write as "kubectl" too: only an apply comes back with its manifest."""
    manager = entry.get("manager", "")
    applies = entry.get("operation") == "Apply"
    if entry.get("subresource") or (manager == "kubectl" and not applies):
        return None
    # Whoever applies on the server's side comes back with a manifest, whatever its name.
    return _MANAGERS.get(manager) or (f'"{manager}"' if applies and _owned(entry) else None)


def _owned(entry: Mapping[str, Any]) -> tuple[str, ...]:
    spec = (entry.get("fieldsV1") or {}).get("f:spec") or {}
    return tuple(field[2:] for field in _OURS if field in spec)
