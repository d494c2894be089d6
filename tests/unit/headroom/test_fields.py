# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not named in fields.py is not decoded: so nothing else may be read, and views of the rest are those of the whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster import lists
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.lists import BY_ATTRIBUTE, BY_KEY, by_msgspec
from ansible_collections.coalmine.canary.plugins.module_utils.headroom import fields
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.fields import NodeFields, PodFields
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.quota import Quota, pod_usage, verdict
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.selectors import Requirement
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.views import (
    NodeViews,
    PodViews,
    is_over,
    node_view,
    pod_view,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.counting.headroom_reading import _seconds_to_ready
from tests.bench.headroom.crowd import Crowd
from tests.truth.headroom.clusters import make_cluster

Object = dict[str, Any]
MINORS = (32, 33, 35, 36, 37)
# Each scope of a quota but the one that a pod's whole affinity decides, which is taken from the template.
SCOPES = ("Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass")
HARD = {"pods": 9000}
QUOTAS = [Quota(scope, (Requirement(scope, "Exists"),), HARD, {"pods": 0}, HARD) for scope in SCOPES]


class Watched(dict[str, Any]):
    """An object that notes which of its fields were asked for, as paths."""

    def __init__(self, raw: Object, asked: set[str], path: str = "") -> None:
        super().__init__({key: _watched(value, asked, f"{path}.{key}") for key, value in raw.items()})
        self._asked = asked
        self._path = path

    def get(self, key: str, default: Any = None) -> Any:
        self._asked.add(f"{self._path}.{key}")
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self._asked.add(f"{self._path}.{key}")
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._asked.add(f"{self._path}.{key}")
        return super().__contains__(key)


def _watched(value: Any, asked: set[str], path: str) -> Any:
    if isinstance(value, dict):
        return Watched(value, asked, path)
    return [_watched(one, asked, path) for one in value] if isinstance(value, list) else value


def is_named(path: str, kind: Any) -> bool:
    """Whether this type decodes what is at the path."""
    if get_origin(kind) is not None and get_origin(kind) not in (list, dict):
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is list:
        return is_named(path, get_args(kind)[0])
    if not path or kind is Any or get_origin(kind) is dict:
        return True
    _, name, *rest = path.split(".", 2)
    hints = get_type_hints(kind) if is_typeddict(kind) else {}
    return name in hints and is_named("." + rest[0] if rest else "", hints[name])


def pods() -> Iterator[Object]:
    """Pods with every feature that decides where pods go, and with statuses that only kubelets write."""
    for seed in range(80):
        for one in make_cluster(seed).existing:
            meta = {**one.pod["metadata"], "creationTimestamp": "2026-01-01T00:00:00Z"}
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:07Z"}
            status = one.status or {}
            yield {
                **one.pod,
                "metadata": meta,
                "status": {**status, "conditions": [*status.get("conditions", []), ready]},
            }
    crowd = Crowd(9, 200)
    yield from (json.loads(crowd.pod(number)) for number in range(200))


def nodes() -> Iterator[Object]:
    for seed in range(100):
        yield from make_cluster(seed).nodes
    yield json.loads(Crowd(9, 1).node(3))
    yield {"metadata": {"name": "bare"}}
    yield {"metadata": {"name": "new"}, "status": {"declaredFeatures": ["UserNamespacesHostNetworkSupport"]}}


def decoded(raw: list[Object], wanted: type) -> list[Any]:
    return list(by_msgspec(wanted)(json.dumps({"items": raw}).encode()))


def test_nothing_of_a_pod_is_read_that_is_not_named() -> None:
    asked: set[str] = set()
    for raw in pods():
        for minor in MINORS:
            watched = Watched(raw, asked)
            is_over(watched), pod_view(watched, minor), PodViews(minor, BY_KEY).view(watched)
            pod_usage(watched, minor), _seconds_to_ready(watched)
    unnamed = {path for path in asked if not is_named(path, PodFields)}
    assert unnamed == set()
    assert len(asked) > 60


def test_nothing_of_a_node_is_read_that_is_not_named() -> None:
    asked: set[str] = set()
    for raw in nodes():
        node_view(Watched(raw, asked))
    assert {path for path in asked if not is_named(path, NodeFields)} == set()


def test_a_field_that_is_not_named_would_be_found() -> None:
    asked: set[str] = set()
    Watched({"spec": {"hostname": "x"}}, asked)["spec"].get("hostname")
    assert [path for path in sorted(asked) if not is_named(path, PodFields)] == [".spec.hostname"]


def scopes(raw: Object, minor: int) -> list[str]:
    return [one.quota for one in verdict(QUOTAS, raw, minor).allowances]


def test_the_scopes_of_a_pod_are_told_by_the_named_fields() -> None:
    spec = {"priorityClassName": "high", "activeDeadlineSeconds": 60, "containers": [{"name": "app"}]}
    raw: Object = {"metadata": {"name": "p", "namespace": "shop"}, "spec": spec}
    assert scopes(decoded([raw], PodFields)[0], 37) == ["Terminating", "BestEffort", "PriorityClass"]


@pytest.mark.parametrize("minor", MINORS)
def test_views_of_the_named_fields_are_those_of_the_whole_object(minor: int) -> None:
    raw = list(pods())
    views, by_key = PodViews(minor, BY_ATTRIBUTE), PodViews(minor, BY_KEY)
    for whole, part in zip(raw, decoded(raw, PodFields), strict=True):
        assert pod_view(part, minor) == pod_view(whole, minor)
        assert views.view(part) == by_key.view(whole) == (None if is_over(whole) else pod_view(whole, minor))
        assert pod_usage(part, minor) == pod_usage(whole, minor)
        assert scopes(part, minor) == scopes(whole, minor)
        assert (is_over(part), _seconds_to_ready(part)) == (is_over(whole), _seconds_to_ready(whole))


def test_nodes_too() -> None:
    raw = list(nodes())
    views = NodeViews()
    for whole, part in zip(raw, decoded(raw, NodeFields), strict=True):
        assert node_view(part) == node_view(whole) == views.view(part)


def test_a_neighbour_in_the_list_is_like_the_one_before_only_where_all_that_counts_is_equal() -> None:
    first: Object = {
        "metadata": {"name": "a", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
        "status": {"containerStatuses": [{"name": "c"}]},
    }
    changes: list[Object] = [
        {},
        {"metadata": {"name": "b", "namespace": "other", "labels": {"app": "web"}}},
        {"metadata": {**first["metadata"], "labels": {}}},
        {"metadata": {**first["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}},
        {"metadata": {**first["metadata"], "ownerReferences": [{"uid": "u", "kind": "Job", "controller": True}]}},
        {"spec": {"nodeName": "n2", "containers": [{"name": "c"}]}},
        {"spec": {**first["spec"], "priority": 5}},
        {"spec": {**first["spec"], "overhead": {"cpu": "1"}}},
        {"spec": {**first["spec"], "resources": {"requests": {"cpu": "3"}}}},
        {"spec": {**first["spec"], "initContainers": [{"name": "i", "resources": {"requests": {"cpu": "2"}}}]}},
        {"spec": {**first["spec"], "volumes": [{"persistentVolumeClaim": {"claimName": "x"}}]}},
        {"spec": {"containers": first["spec"]["containers"]}, "status": {"nominatedNodeName": "n3"}},
        {"status": {"containerStatuses": [{"name": "c", "allocatedResources": {"cpu": "2"}}]}},
        {"status": {"conditions": [{"type": "PodResizePending", "reason": "Infeasible"}]}},
        {"status": {"startTime": "2026-01-01T00:00:00Z"}},
    ]
    for change in changes:
        views = PodViews(37, BY_KEY)
        views.view(first)
        assert views.view({**first, **change}) == pod_view({**first, **change}, 37), change


def test_what_may_be_left_unread_is_marked_with_the_word_that_is_looked_for() -> None:
    assert fields.LATER == lists.LATER


def test_union_types_are_understood() -> None:
    assert is_named(".a", Union[dict[str, str], None])
