# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many nodes autoscalers may still add: limits of Karpenter's NodePools, and what Cluster Autoscaler tells of its groups.

Cluster Autoscaler writes its state to a ConfigMap: sentences up to 1.29, YAML since 1.30 (clusterstate/api/types.go). It names groups
as its cloud does, which is not how nodes are labelled; so groups are matched by the conventions of the clouds, and what cannot be
matched is said.
This module is private to the collection.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping

from ..values import dataclass
from .groups import NODEPOOL, Group, Kind
from .quantity import THOUSAND, amounts, units

_OLD_HEAD = re.compile(r"Cluster-autoscaler status at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_OLD_NAME = re.compile(r"^[ \t]*Name:[ \t]+(\S+)[ \t\r]*$", re.MULTILINE)
_OLD_SIZES = re.compile(r"cloudProviderTarget=(\d{1,9}) \(minSize=\d{1,9}, maxSize=(\d{1,9})\)")
_OLD_BACKOFF = re.compile(r"^[ \t]*ScaleUp:[ \t]+Backoff\b", re.MULTILINE)
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
# Managed node groups of EKS are scaling groups called so.
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Labels by which other clouds name a group as Cluster Autoscaler does, such as doks.digitalocean.com/node-pool-id.
_NAMES_A_GROUP = re.compile(r"pool|group", re.IGNORECASE)
# What a scale set or managed instance group adds to its own name for a node's: 000001, -x1ab.
_OWN_PART = re.compile(r"-?[0-9a-z]+")
LONGEST_REASON = 200


class StatusError(ValueError):
    """The ConfigMap holds something else than the state of a Cluster Autoscaler."""


@dataclass(frozen=True)
class Scaled:
    """A node group of Cluster Autoscaler. `backoff`: why it adds no nodes to it for now, "" when it does."""

    name: str
    target: int
    largest: int
    backoff: str = ""

    @property
    def room(self) -> int:
        return max(0, self.largest - self.target)


@dataclass(frozen=True)
class AutoscalerState:
    """`written`: when, as "2026-11-25 20:30:59" UTC, None where it does not say."""

    groups: tuple[Scaled, ...]
    written: str | None


@dataclass(frozen=True)
class Rooms:
    """How many more nodes of each kind there may be. Kinds without a known limit are left out; `notes` are what was assumed."""

    by_kind: Mapping[Kind, int]
    notes: tuple[str, ...] = ()


def is_karpenters(group: Group) -> bool:
    return NODEPOOL in group.template.labels


def autoscaler_state(content: Any) -> AutoscalerState:
    """From the ConfigMap's `status`: its text, or the mapping that it holds as YAML. Raises StatusError."""
    return _from_text(content) if isinstance(content, str) else _from_yaml(content)


def _from_text(text: str) -> AutoscalerState:
    head = _OLD_HEAD.search(text)
    if head is None:
        raise StatusError("it is neither YAML nor the sentences of older versions")
    of_groups = text.partition("NodeGroups:")[2]
    names = list(_OLD_NAME.finditer(of_groups))
    ends = [*(one.start() for one in names), len(of_groups)][1:]
    found = []
    for name, end in zip(names, ends, strict=True):
        said = of_groups[name.end() : end]
        sizes = _OLD_SIZES.search(said)
        if sizes is None:
            raise StatusError(f"it does not say how large group {name[1]} may be")
        backoff = "it does not say why" if _OLD_BACKOFF.search(said) else ""
        found.append(Scaled(name[1], int(sizes[1]), int(sizes[2]), backoff))
    return AutoscalerState(tuple(found), head[1])


def _from_yaml(content: Any) -> AutoscalerState:
    if not isinstance(content, Mapping) or "autoscalerStatus" not in content:
        raise StatusError("it is neither YAML nor the sentences of older versions")
    time = _TIME.search(str(content.get("time") or ""))
    try:
        found = tuple(_scaled(one) for one in content.get("nodeGroups") or ())
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise StatusError(f"its nodeGroups cannot be read ({type(error).__name__})") from error
    return AutoscalerState(found, time[0] if time else None)


def _scaled(raw: Mapping[str, Any]) -> Scaled:
    health = raw["health"]
    up = raw.get("scaleUp") or {}
    info = up.get("backoffInfo") or {}
    why = ": ".join(str(info[key]) for key in ("errorCode", "errorMessage") if info.get(key)) or "it does not say why"
    backoff = why[:LONGEST_REASON] if up.get("status") == "Backoff" else ""
    return Scaled(str(raw["name"]), int(health.get("cloudProviderTarget") or 0), int(health["maxSize"]), backoff)


def rooms_of_autoscaler(groups: Iterable[Group], state: AutoscalerState) -> Rooms:
    """What Cluster Autoscaler may still add, and which of its groups, or of ours, have no counterpart.

    Several of its groups may be one of ours (one a zone, as on GKE): their rooms are added up. Where all of its groups were matched,
    a group that has none is one that it does not scale.
    """
    if not state.groups:
        return Rooms({}, ("cluster_autoscaler_names_no_groups",))
    ours = [group for group in groups if not is_karpenters(group)]
    matched = {one.kind: [each for each in state.groups if _is_part(each, one)] for one in ours}
    strangers = [one.name for one in state.groups if not any(one in found for found in matched.values())]
    by_kind = {kind: sum(one.room for one in found) for kind, found in matched.items() if found}
    unmatched = [kind for kind, found in matched.items() if not found]
    notes = [f"cluster_autoscaler_group_not_matched: {name}" for name in strangers]
    if strangers:
        notes.extend(f"limit_of_node_group_not_known: {kind[0]}" for kind in unmatched)
    else:
        by_kind.update(dict.fromkeys(unmatched, 0))
        notes.extend(f"not_scaled_by_cluster_autoscaler: {kind[0]}" for kind in unmatched)
    backing_off = {one for found in matched.values() for one in found if one.backoff}
    notes.extend(
        f"cluster_autoscaler_backs_off: {one.name} ({one.backoff})"
        for one in sorted(backing_off, key=lambda it: it.name)
    )
    return Rooms(by_kind, tuple(dict.fromkeys(notes)))


def _is_part(scaled: Scaled, group: Group) -> bool:
    """Whether Cluster Autoscaler's group is (a part of) ours, by its name or by the names of the nodes that it made."""
    labels, short = group.template.labels, scaled.name.rpartition("/")[2]
    named = {group.name, *(text for key, text in labels.items() if _NAMES_A_GROUP.search(key) and text)}
    if named & {scaled.name, short}:
        return True
    managed = labels.get("eks.amazonaws.com/nodegroup")
    if managed and re.fullmatch(f"eks-{re.escape(managed)}-{_UUID}", short):
        return True
    made_by_eksctl, cluster = labels.get("alpha.eksctl.io/nodegroup-name"), labels.get("alpha.eksctl.io/cluster-name")
    if made_by_eksctl and cluster and short.startswith(f"eksctl-{cluster}-nodegroup-{made_by_eksctl}-"):
        return True
    base = short[: -len("-grp")] if short.endswith("-grp") else short
    return any(node.startswith(base) and _OWN_PART.fullmatch(node[len(base) :]) for node in group.members)


def room_of_node_pool(pool: Mapping[str, Any], size: Mapping[str, int]) -> int | None:
    """How many more nodes of this size (thousandths, as a node's capacity) a NodePool's limits allow; None without limits for them.

    Karpenter adds a node only if its whole capacity is still within the limits (source: `filterByRemainingResources`,
    pkg/controllers/provisioning/scheduling). `nodes` limits their number.
    """
    limits = amounts((pool.get("spec") or {}).get("limits"))
    used = amounts((pool.get("status") or {}).get("resources"))
    each = {**size, "nodes": THOUSAND}
    rooms = [
        max(0, units(name, limit) - units(name, used.get(name, 0))) // units(name, each[name])
        for name, limit in limits.items()
        if each.get(name)
    ]
    return min(rooms, default=None)
