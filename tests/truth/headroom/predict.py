# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we say about a cluster, what naive formulas say, and how both compare with what happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.lists import BY_ATTRIBUTE, by_msgspec
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.admission import admitted_locally
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.board import Board
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.fields import NodeFields, PodFields
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.placement import Fit, Method, fit
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.pod_request import pod_requests
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.preemption import after_preemption
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.quantity import amounts, units
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.quota import quota_view, verdict
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.scene import SceneBuilder, relevance
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.views import (
    NodeViews,
    PodViews,
    incoming_view,
    is_over,
)
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.volumes import Storage, volume_rules
from tests.cluster.build import minor_version

from .clusters import NAMESPACES, Cluster, Object
from .oracle import Happened, Reading

MINOR = minor_version()[1]


@dataclass(frozen=True)
class Prediction:
    """`allowed`: copies that admission lets through; `least` to `most` of them get a node, `rescued` more after preemption."""

    allowed: int
    least: int
    most: int
    method: str
    rescued: int
    unknown: tuple[str, ...]

    def says_fits(self, copies: int) -> bool:
        return not self.unknown and self.allowed >= copies and self.least >= copies


def predict(cluster: Cluster, reading: Reading, *, drop_status: bool = False) -> Prediction:
    """Our answer. `drop_status` makes it ignore resizes, as a naive formula does."""
    pod = reading.admitted
    refused = pod is None
    if pod is None:
        pod, _ = admitted_locally(cluster.pod, reading.limit_ranges, MINOR)
    incoming = incoming_view(pod, MINOR)
    quotas = verdict([quota_view(raw) for raw in reading.quotas], pod, MINOR)
    allowed = 0 if refused else cluster.copies if quotas.most is None else min(cluster.copies, quotas.most)
    builder = SceneBuilder(map(NodeViews().view, _decoded(reading.nodes, NodeFields)), relevance(incoming, ()))
    views = PodViews(MINOR, BY_ATTRIBUTE)
    pods = [{**raw, "status": {}} if drop_status else raw for raw in reading.pods if not is_over(raw)]
    for placed in map(views.view, _decoded(pods, PodFields)):
        if placed is not None:
            builder.add(placed)
    scene = builder.scene(
        {name: {**labels, "kubernetes.io/metadata.name": name} for name, labels in NAMESPACES.items()}
    )
    storage = Storage(
        claims={one["metadata"]["name"]: one for one in reading.claims},
        volumes={one["metadata"]["name"]: one for one in reading.volumes},
        limited_drivers=frozenset(),
    )
    rules = volume_rules(incoming, storage)
    board = Board(scene, incoming, rules)
    answer: Fit = fit(board, allowed)
    rescued = 0
    if answer.most < allowed and incoming.may_preempt:
        rescued = after_preemption(scene, incoming, rules, allowed)
    least, most = min(allowed, answer.least), min(allowed, answer.most)
    return Prediction(allowed, least, most, answer.method.value, rescued, tuple(sorted(rules.unknown | quotas.unknown)))


def _decoded(objects: list[Object], wanted: type) -> Iterator[Any]:
    """As they are read from a large cluster: no more of them than headroom looks at."""
    return by_msgspec(wanted)(json.dumps({"items": objects}).encode())


class Agreement:
    """The kinds of outcome of one comparison."""

    EXACT = "exact"
    DEPENDS = "depends"
    UNKNOWN = "unknown"
    FALSE_FITS = "false_fits"
    WRONG = "wrong"
    PREEMPTION = "preemption"


def compare(cluster: Cluster, prediction: Prediction, happened: Happened) -> str:
    """How the prediction and the truth relate."""
    if prediction.unknown:
        return Agreement.UNKNOWN
    if prediction.says_fits(cluster.copies) and happened.placed < cluster.copies:
        return Agreement.FALSE_FITS
    if prediction.allowed != happened.created or happened.placed < prediction.least:
        return Agreement.WRONG
    # A victim that somebody else's finalizer holds keeps its node from the pod it is promised to.
    if prediction.rescued and prediction.rescued != happened.placed + happened.promised:
        # What fits without eviction was right; whom the scheduler evicts for the others is only approximated.
        return Agreement.PREEMPTION
    if not prediction.rescued and happened.placed > prediction.most:
        return Agreement.WRONG
    return (
        Agreement.EXACT
        if prediction.least == prediction.most and prediction.method != Method.SAMPLED.value
        else Agreement.DEPENDS
    )


# Naive formulas: each must be caught by this test, or the test does not bite.


def _free(reading: Reading, weigh: Callable[[Object, bool], dict[str, int]]) -> dict[str, dict[str, int]]:
    free = {}
    for raw in reading.nodes:
        allocatable = {name: units(name, amount) for name, amount in amounts(raw["status"]["allocatable"]).items()}
        free[raw["metadata"]["name"]] = allocatable
    for raw in reading.pods:
        node = raw["spec"].get("nodeName")
        if node in free and not is_over(raw):
            for name, amount in weigh(raw, True).items():
                free[node][name] = free[node].get(name, 0) - units(name, amount)
            free[node]["pods"] = free[node].get("pods", 0) - 1
    return free


def _whole(raw: Object, running: bool) -> dict[str, int]:
    return pod_requests(raw, MINOR, running=running)


def _containers_only(raw: Object, running: bool) -> dict[str, int]:
    return pod_requests({"spec": {"containers": raw["spec"]["containers"]}, "status": {}}, MINOR, running=False)


def _no_sidecars(raw: Object, running: bool) -> dict[str, int]:
    plain = [{**one, "restartPolicy": None} for one in raw["spec"].get("initContainers") or ()]
    return pod_requests(
        {**raw, "spec": {**raw["spec"], "initContainers": plain, "resources": {}}}, MINOR, running=False
    )


def summed_free(reading: Reading, pod: Object, copies: int) -> bool:
    """What all nodes have left together, as a dashboard would add it up."""
    total: dict[str, int] = {}
    for free in _free(reading, _whole).values():
        for name, amount in free.items():
            total[name] = total.get(name, 0) + amount
    return all(units(name, wanted) * copies <= total.get(name, 0) for name, wanted in _whole(pod, False).items())


def _by_node(reading: Reading, pod: Object, copies: int, weigh: Callable[[Object, bool], dict[str, int]]) -> bool:
    wanted = {name: units(name, amount) for name, amount in weigh(pod, False).items() if amount > 0}
    count = 0
    for free in _free(reading, weigh).values():
        count += max(0, min([free.get("pods", 0), *(free.get(name, 0) // amount for name, amount in wanted.items())]))
    return count >= copies


NAIVE: dict[str, Callable[[Reading, Object, int], bool]] = {
    "summed free capacity": summed_free,
    "resources by node, nothing else": lambda reading, pod, copies: _by_node(reading, pod, copies, _whole),
    "containers only": lambda reading, pod, copies: _by_node(reading, pod, copies, _containers_only),
    "no sidecars, no pod level": lambda reading, pod, copies: _by_node(reading, pod, copies, _no_sidecars),
}


def naive_answers(cluster: Cluster, reading: Reading) -> dict[str, bool]:
    """What each naive formula answers to "do all copies fit?"."""
    pod: Any = reading.admitted or cluster.pod
    answers = {name: formula(reading, pod, cluster.copies) for name, formula in NAIVE.items()}
    answers["no resize status"] = predict(cluster, reading, drop_status=True).says_fits(cluster.copies)
    answers["containers only, all other rules exact"] = _exact_but(cluster, reading, _containers_only)
    answers["no sidecars, all other rules exact"] = _exact_but(cluster, reading, _no_sidecars)
    return answers


def _exact_but(cluster: Cluster, reading: Reading, weigh: Callable[[Object, bool], dict[str, int]]) -> bool:
    """Our own answer about pods whose request is what the naive formula makes of it."""

    def flattened(raw: Object) -> Object:
        request = {name: f"{amount}m" for name, amount in weigh(raw, False).items()}
        first = {**raw["spec"]["containers"][0], "resources": {"requests": request}}
        spec = {**raw["spec"], "containers": [first], "initContainers": [], "resources": {}, "overhead": {}}
        return {
            **raw,
            "spec": spec,
            "status": {name: value for name, value in raw["status"].items() if name != "containerStatuses"},
        }

    pods = [flattened(raw) for raw in reading.pods]
    pod = None if reading.admitted is None else flattened(reading.admitted)
    changed = Reading(
        reading.nodes, pods, reading.claims, reading.volumes, reading.quotas, reading.limit_ranges, pod, reading.refusal
    )
    return predict(cluster, changed).says_fits(cluster.copies)
