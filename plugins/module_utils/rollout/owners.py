# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else writes to this Deployment: tools that may put their own manifest back while a canary is held, and whoever did.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping

from ..foreign import printable
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
_MARKS = {
    "argocd.argoproj.io/instance": "Argo CD",
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}
# A tool that reconciles by itself will end the canary; one that is run by hand only may.
_RECONCILES = frozenset({"Argo CD", "Flux"})

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


def foreign_owners(deployment: Deployment) -> tuple[str, ...]:
    """Warnings, one an owner: which tool manages fields that a hold changes, and what that means."""
    tools: dict[str, tuple[str, ...]] = {}
    if deployment.controller:
        tools[deployment.controller] = ()
    for entry in deployment.managed_fields:
        tool = _tool(entry)
        if tool:
            tools[tool] = (*tools.get(tool, ()), *(f for f in _owned(entry) if f not in tools.get(tool, ())))
    for key, tool in _MARKS.items():
        if key in deployment.labels or key in deployment.annotations:
            tools.setdefault(tool, ())
    if deployment.labels.get("app.kubernetes.io/managed-by") == "Helm":
        tools.setdefault("Helm", ())
    return tuple(_warning(deployment, tool, fields) for tool, fields in sorted(tools.items()))


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
        (str(entry.get("time")), str(entry.get("manager")))
        for entry in entries
        if entry.get("manager") not in (_WE, "", None) and _owned(entry) and begun and str(entry.get("time")) > begun
    ]
    at, manager = max(found, default=("", ""))
    return (_in_words(manager), at) if manager else ("", "")


def _in_words(manager: str) -> str:
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


def _warning(deployment: Deployment, tool: str, fields: tuple[str, ...]) -> str:
    what = f" ({', '.join(fields)})" if fields else ""
    by_itself = tool in _RECONCILES or tool == deployment.controller
    does = "will put its manifest back" if by_itself else "ends the canary if it is run"
    return (
        f'{tool} manages Deployment "{deployment.name}"{what} and {does} during the release: '
        "let it ignore these fields, or suspend it until the release has ended"
    )
