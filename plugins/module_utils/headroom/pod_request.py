# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a pod requests, exactly as the scheduler and the quota controller of the server's own version count it.

Source: `PodRequests` and `PodLimits` in k8s.io/component-helpers `resource/helpers.go`. The formula changed with the minor version:

| minor    | a running pod                                                                   | pod-level requests |
|----------|---------------------------------------------------------------------------------|--------------------|
| to 1.32  | its spec                                                                        | ignored            |
| 1.33     | for each container the greatest of spec, allocated and actuated                 | ignored            |
| 1.34, 35 | the same                                                                        | replace            |
| 1.36     | the same                                                                        | replace; running: greatest of spec and status |
| 1.37     | three sums over the whole pod (spec, allocated, actuated), then the greatest    | the same           |

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping

from ..values import dataclass
from .quantity import Amounts, add, amounts, greatest, raise_to

NEWEST_KNOWN_MINOR = 37
STATUS_COUNTS = 33
POD_LEVEL_COUNTS = 34
_POD_LEVEL_STATUS_COUNTS = 36
_GREATEST_OF_SUMS = 37
RESIZE_PENDING = "PodResizePending"

Object = Mapping[str, Any]
_Chosen = Callable[[Object], Mapping[str, int]]


@dataclass(frozen=True)
class Parts:
    """Where a pod's request comes from; each in thousandths. `total` is what counts."""

    containers: Amounts
    sidecars: Amounts
    init_peak: Amounts
    pod_level: Amounts
    overhead: Amounts
    total: Amounts


def pod_requests(pod: Object, minor: int, *, running: bool) -> Amounts:
    """The pod's whole request in thousandths.

    `running` counts a resize that is under way, as the scheduler does for pods on nodes; a pod to be placed counts by its spec alone.
    """
    spec = pod.get("spec") or {}
    running = running and minor >= STATUS_COUNTS and has_resize_status(pod)
    total = _aggregate_running(pod, minor) if running else _aggregate(spec, _spec_requests)
    if minor >= POD_LEVEL_COUNTS:
        for name, amount in _pod_level_requests(pod, running and minor >= _POD_LEVEL_STATUS_COUNTS).items():
            total[name] = amount
    add(total, amounts(spec.get("overhead")))
    return total


def pod_limits(pod: Object, minor: int) -> Amounts:
    """The limits of a pod to be created, in thousandths, as a quota counts them."""
    spec = pod.get("spec") or {}
    total = _aggregate(spec, lambda container: amounts((container.get("resources") or {}).get("limits")))
    pod_level = spec.get("resources") or {}
    if minor >= POD_LEVEL_COUNTS and is_pod_level_set(pod_level):
        total.update(_supported(amounts(pod_level.get("limits"))))
    for name, amount in amounts(spec.get("overhead")).items():
        if total.get(name):
            total[name] += amount
    return total


def request_parts(pod: Object, minor: int) -> Parts:
    """The request of a pod to be placed, taken apart for people."""
    spec = pod.get("spec") or {}
    containers: Amounts = {}
    sidecars: Amounts = {}
    for container in spec.get("containers") or ():
        add(containers, _spec_requests(container))
    for container in spec.get("initContainers") or ():
        if is_sidecar(container):
            add(sidecars, _spec_requests(container))
    return Parts(
        containers=containers,
        sidecars=sidecars,
        init_peak=_init_peak(spec.get("initContainers") or (), _spec_requests)[0],
        pod_level=_pod_level_requests(pod, False) if minor >= POD_LEVEL_COUNTS else {},
        overhead=amounts(spec.get("overhead")),
        total=pod_requests(pod, minor, running=False),
    )


def is_sidecar(container: Object) -> bool:
    """A restartable init container runs beside the others for the pod's whole life (KEP 753)."""
    return container.get("restartPolicy") == "Always"


def is_pod_level_set(resources: Object) -> bool:
    """Whether pod-level resources name a resource that pods support there (`IsPodLevelResourcesSet`)."""
    return any(_supported(resources.get(side) or {}) for side in ("requests", "limits"))


def has_resize_status(pod: Object) -> bool:
    """Whether the status says anything about resources that the spec does not say in the same words.

    Most pods are as their spec wants them; for those the spec alone is counted, which is the same and faster.
    """
    status = pod.get("status") or {}
    if status.get("resources") or status.get("allocatedResources") or is_resize_infeasible(pod):
        return True
    spec = pod.get("spec") or {}
    wanted = {
        one["name"]: (one.get("resources") or {}).get("requests") or {}
        for one in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    }
    for one in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        in_spec = wanted.get(one["name"], {})
        if one.get("allocatedResources", in_spec) != in_spec:
            return True
        if (one.get("resources") or {}).get("requests", in_spec) != in_spec:
            return True
    return False


def is_resize_infeasible(pod: Object) -> bool:
    """The node can never grant the size in the spec (`IsPodResizeInfeasible`: the first PodResizePending condition decides)."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == RESIZE_PENDING:
            return condition.get("reason") == "Infeasible"
    return False


def _supported(resources: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in resources.items() if name in ("cpu", "memory") or name.startswith("hugepages-")
    }


def _spec_requests(container: Object) -> Amounts:
    return amounts((container.get("resources") or {}).get("requests"))


def _init_peak(containers: Iterable[Object], chosen: _Chosen) -> tuple[Amounts, Amounts]:
    """The greatest need of any step of the start, and the sum of all sidecars."""
    peak: Amounts = {}
    beside: Amounts = {}
    for container in containers:
        own = chosen(container)
        if is_sidecar(container):
            add(beside, own)
            raise_to(peak, beside)
            continue
        step = dict(own)
        add(step, beside)
        raise_to(peak, step)
    return peak, beside


def _aggregate(spec: Object, chosen: _Chosen) -> Amounts:
    """All containers and sidecars at once, or the greatest step of the start, whichever is more (KEP 753)."""
    total: Amounts = {}
    for container in spec.get("containers") or ():
        add(total, chosen(container))
    init_containers = spec.get("initContainers")
    if init_containers:
        peak, beside = _init_peak(init_containers, chosen)
        add(total, beside)
        raise_to(total, peak)
    return total


def _aggregate_running(pod: Object, minor: int) -> Amounts:
    spec = pod.get("spec") or {}
    status = pod.get("status") or {}
    statuses = {one["name"]: one for one in status.get("initContainerStatuses") or ()}
    statuses.update({one["name"]: one for one in status.get("containerStatuses") or ()})
    infeasible = is_resize_infeasible(pod)
    if minor < _GREATEST_OF_SUMS:
        return _aggregate(spec, lambda container: _greatest_of_container(container, statuses, infeasible))
    whole_actuated = (status.get("resources") or {}).get("requests")
    whole_allocated = status.get("allocatedResources")
    if whole_allocated is not None and whole_actuated is not None:
        sums = [amounts(whole_actuated), amounts(whole_allocated)]
    else:
        sums = [
            _aggregate(spec, lambda container: _actuated(container, statuses, infeasible)),
            _aggregate(spec, lambda container: _allocated(container, statuses, infeasible)),
        ]
    if not infeasible:
        sums.append(_aggregate(spec, _spec_requests))
    return greatest(*sums)


def _greatest_of_container(container: Object, statuses: Mapping[str, Object], infeasible: bool) -> Amounts:
    """Up to 1.36 (`determineContainerReqs`); an ordinary init container always counts by its spec."""
    status = statuses.get(container["name"]) or {}
    in_spec = _spec_requests(container)
    if status.get("resources") is None:
        return in_spec
    granted = [amounts(status["resources"].get("requests")), amounts(status.get("allocatedResources"))]
    return greatest(*granted) if infeasible else greatest(in_spec, *granted)


def _allocated(container: Object, statuses: Mapping[str, Object], infeasible: bool) -> Amounts:
    allocated = (statuses.get(container["name"]) or {}).get("allocatedResources")
    if allocated is not None:
        return amounts(allocated)
    return {} if infeasible else _spec_requests(container)


def _actuated(container: Object, statuses: Mapping[str, Object], infeasible: bool) -> Amounts:
    actuated = ((statuses.get(container["name"]) or {}).get("resources") or {}).get("requests")
    if actuated is not None:
        return amounts(actuated)
    return _allocated(container, statuses, infeasible)


def _pod_level_requests(pod: Object, with_status: bool) -> Amounts:
    """Pod-level requests replace the sum of the containers where they are set (`applyPodLevelResources`)."""
    in_spec = _supported(amounts(((pod.get("spec") or {}).get("resources") or {}).get("requests")))
    status = pod.get("status") or {}
    if not in_spec or not with_status or status.get("resources") is None:
        return in_spec
    granted = [amounts(status["resources"].get("requests")), amounts(status.get("allocatedResources"))]
    return _supported(greatest(*granted) if is_resize_infeasible(pod) else greatest(in_spec, *granted))
