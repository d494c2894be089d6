# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads how many nodes autoscalers may still add. Only asked when new nodes are needed; a missing right is an unknown.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timezone
from typing import Any, Iterable, Mapping

from ...cluster.api import Api
from ...cluster.errors import Forbidden, NotFound
from ...cluster.yamltext import YamlError, read_yaml
from ...headroom.groups import NODEPOOL, Group, Kind
from ...headroom.limits import (
    AutoscalerState,
    StatusError,
    autoscaler_state,
    is_karpenters,
    room_of_node_pool,
    rooms_of_autoscaler,
)
from ...headroom.quantity import amounts
from ...rollout.quantity import QuantityError
from ...values import dataclass
from .headroom_reading import not_readable

STATUS = "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status"
NODE_POOLS = ("/apis/karpenter.sh/v1/nodepools", "/apis/karpenter.sh/v1beta1/nodepools")
# It writes every ten seconds; its own FAQ calls three minutes too long.
SILENT_AFTER_SECONDS = 600.0
PAGE = 500


@dataclass
class Limits:
    """What was found. `by_kind`: how many more nodes of each kind there may be, without those of which that is not known."""

    by_kind: dict[Kind, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)


def read_limits(api: Api, groups: Iterable[Group]) -> Limits:
    """One request for Cluster Autoscaler, and for Karpenter one and another for each of its kinds of nodes that has a limit."""
    found = Limits()
    groups = tuple(groups)
    karpenters = [one for one in groups if is_karpenters(one)]
    if karpenters:
        _read_node_pools(api, karpenters, found)
    if len(karpenters) < len(groups):
        _read_autoscaler(api, groups, found)
    return found


def _read_autoscaler(api: Api, groups: tuple[Group, ...], found: Limits) -> None:
    try:
        status = (api.get(STATUS).get("data") or {}).get("status")
        state = autoscaler_state(_content(str(status or "")))
    except Forbidden as error:
        found.unknown.append(not_readable("cluster_autoscaler_status", error))
    except NotFound:
        if not any(map(is_karpenters, groups)):
            found.assumptions.append("no_autoscaler_found: somebody has to add the nodes")
    except (StatusError, YamlError) as problem:
        found.unknown.append(f"cluster_autoscaler_status_not_understood: {problem}")
    else:
        rooms = rooms_of_autoscaler(groups, state)
        found.by_kind.update(rooms.by_kind)
        found.assumptions.extend([*_age(state, api.clock.wall()), *rooms.notes])


def _content(status: str) -> Any:
    """The sentences of older versions are no YAML."""
    return status if status.startswith("Cluster-autoscaler status at") else read_yaml(status)


def _age(state: AutoscalerState, now: float) -> list[str]:
    try:
        then = datetime.strptime(state.written or "", "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:  # it says nothing, or a day that no calendar has
        return []
    silent = now - then.timestamp() > SILENT_AFTER_SECONDS
    return [f"cluster_autoscaler_silent_since: {state.written} UTC"] if silent else []


def _read_node_pools(api: Api, groups: list[Group], found: Limits) -> None:
    try:
        pools = _node_pools(api)
    except Forbidden as error:
        found.unknown.append(not_readable("nodepools", error))
        return
    for group in groups:
        pool = pools.get(group.template.labels[NODEPOOL])
        if pool is None or not (pool.get("spec") or {}).get("limits"):
            continue
        try:
            room = room_of_node_pool(pool, _capacity(api, group))
        except QuantityError as problem:
            found.unknown.append(f"limits_of_nodepool_not_understood: {group.name}: {problem}")
        else:
            if room is not None:
                found.by_kind[group.kind] = room


def _node_pools(api: Api) -> dict[str, Mapping[str, Any]]:
    for path in NODE_POOLS:
        try:
            pages = list(api.pages(path, None, PAGE))
        except NotFound:
            continue
        return {one["metadata"]["name"]: one for page in pages for one in page.get("items") or ()}
    return {}


def _capacity(api: Api, group: Group) -> dict[str, int]:
    """All that such a node has, of which Karpenter counts more than what is left for pods."""
    path, query = "/api/v1/nodes", {"fieldSelector": f"metadata.name={group.template.name}"}
    items = api.get(path, query).get("items") or ()
    return amounts(((items[0] if items else {}).get("status") or {}).get("capacity"))
