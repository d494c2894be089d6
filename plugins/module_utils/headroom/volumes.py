# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that tie a pod to nodes: bound claims, zones, claims that only one pod may use.

Source: plugins/volumebinding, volumezone, volumerestrictions and nodevolumelimits of the scheduler.
What a client cannot know (where an unbound claim will be provisioned) is named in `unknown`, never guessed.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Mapping

from ..values import dataclass
from .selectors import Labels, NodeTerm, node_terms
from .views import Incoming, Node

Object = Mapping[str, Any]
_BOUND = "pv.kubernetes.io/bind-completed"
_ZONE_KEYS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region": "topology.kubernetes.io/region",
}
NODE_CONFLICT = "volume node affinity conflict"
ZONE_CONFLICT = "no available volume zone"


@dataclass(frozen=True)
class Storage:
    """What could be read: claims of the pod's namespace and volumes by name, drivers that limit volumes on some node.

    None means that it was not read, because it was not needed or not allowed.
    """

    claims: Mapping[str, Object] | None = None
    volumes: Mapping[str, Object] | None = None
    limited_drivers: frozenset[str] | None = None


@dataclass(frozen=True)
class VolumeRules:
    """What the volumes of a pod ask of a node. `blocked` is why no node will do; `single` are claims that one pod may use at a time."""

    affinities: tuple[tuple[NodeTerm, ...], ...] = ()
    zones: tuple[tuple[str, frozenset[str]], ...] = ()
    single: tuple[str, ...] = ()
    blocked: str = ""
    unknown: frozenset[str] = frozenset()

    def objection(self, node: Node) -> str | None:
        """Why this node will not do."""
        if any(not any(term.matches(node.labels, "") for term in terms) for terms in self.affinities):
            return NODE_CONFLICT
        if self.zones and any(key in node.labels for key in _ZONE_KEYS):
            for key, allowed in self.zones:
                if node.labels.get(key, node.labels.get(_ZONE_KEYS[key])) not in allowed:
                    return ZONE_CONFLICT
        return None


@dataclass
class _Gathered:
    affinities: list[tuple[NodeTerm, ...]] = field(default_factory=list)
    zones: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    single: list[str] = field(default_factory=list)
    blocked: str = ""
    unknown: set[str] = field(default_factory=set)


def volume_rules(pod: Incoming, storage: Storage) -> VolumeRules:
    """The rules of all volumes of the pod."""
    found = _Gathered()
    drivers = set(pod.inline_csi_drivers)
    if pod.ephemeral_claims:
        found.unknown.add("ephemeral_volume_topology")
    for name in dict.fromkeys(pod.claims):
        if storage.claims is None:
            found.unknown.add("volume_claims_not_readable")
            continue
        driver = _claim_rules(name, storage.claims.get(name), storage, found)
        if driver:
            drivers.add(driver)
    if drivers and (storage.limited_drivers is None or drivers & storage.limited_drivers):
        found.unknown.add("csi_volume_limits")
    return VolumeRules(
        tuple(found.affinities), tuple(found.zones), tuple(found.single), found.blocked, frozenset(found.unknown)
    )


def _claim_rules(name: str, claim: Object | None, storage: Storage, found: _Gathered) -> str:
    """Adds the rules of one claim; answers with the CSI driver of its volume, if any."""
    if claim is None:
        found.blocked = found.blocked or f'persistentvolumeclaim "{name}" not found'
        return ""
    spec, meta = claim.get("spec") or {}, claim["metadata"]
    if meta.get("deletionTimestamp"):
        found.blocked = found.blocked or f'persistentvolumeclaim "{name}" is being deleted'
        return ""
    if (claim.get("status") or {}).get("phase") == "Lost":
        found.blocked = found.blocked or f'persistentvolumeclaim "{name}" has lost its volume'
        return ""
    if "ReadWriteOncePod" in (spec.get("accessModes") or ()):
        found.single.append(name)
    if not spec.get("volumeName") or _BOUND not in (meta.get("annotations") or {}):
        found.unknown.add("unbound_volume_topology")
        return ""
    if storage.volumes is None:
        found.unknown.add("volumes_not_readable")
        return ""
    volume = storage.volumes.get(spec["volumeName"])
    if volume is None:
        found.blocked = found.blocked or f'persistentvolume "{spec["volumeName"]}" of claim "{name}" not found'
        return ""
    return _bound_volume_rules(volume, found)


def _bound_volume_rules(volume: Object, found: _Gathered) -> str:
    spec = volume.get("spec") or {}
    terms = node_terms((spec.get("nodeAffinity") or {}).get("required"))
    if terms is not None:
        found.affinities.append(terms)
    labels: Labels = volume["metadata"].get("labels") or {}
    for key in _ZONE_KEYS:
        if key in labels:
            found.zones.append((key, frozenset(labels[key].split("__"))))
    return (spec.get("csi") or {}).get("driver") or ""
