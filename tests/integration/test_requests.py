# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and watches against a real API server: what arrives, what comes back, and how its refusals read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import FIELD_MANAGER, Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import (
    AdmissionDenied,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
)
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.stream import WatchEvent
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.watch import Streams, Watched
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.access import Access, own_namespace, read_access, service_account_token

# Far below what a failure would take, which is minutes, and far above what a busy machine takes.
SOON = 30.0
HOUR = 3600.0


@pytest.fixture(scope="module")
def access(lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory) -> Access:
    return read_access(lab.kubeconfig, tmp_path_factory.mktemp("access"))


@pytest.fixture(scope="module")
def namespace(access: Access) -> Iterator[str]:
    with access.admin() as admin, own_namespace(admin) as name:
        yield name


@pytest.fixture
def api(access: Access) -> Iterator[Api]:
    with access.admin() as api:
        yield api


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def config_map(api: Api, namespace: str) -> str:
    """The path of a ConfigMap with data a=1, b=2."""
    body = {"metadata": {"generateName": "map-"}, "data": {"a": "1", "b": "2"}}
    made = api.create(config_maps(namespace), body)
    return f"{config_maps(namespace)}/{made['metadata']['name']}"


def deployment(name: str, image: str = "lab.local/app:1") -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "app", "image": image, "env": [{"name": "KEPT", "value": "yes"}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }


def test_one_call_is_one_request_and_nothing_is_discovered(access: Access, config_map: str) -> None:
    with access.admin() as api:
        api.get(config_map)
        api.patch(config_map, {"data": {"a": "2"}}, PatchKind.MERGE)
        assert api.requests == 2


def test_a_json_patch_writes_as_our_field_manager(api: Api, config_map: str) -> None:
    after = api.patch(config_map, [{"op": "replace", "path": "/data/a", "value": "new"}], PatchKind.JSON)
    assert after["data"] == {"a": "new", "b": "2"}
    assert FIELD_MANAGER in [entry["manager"] for entry in after["metadata"]["managedFields"]]


def test_a_merge_patch_removes_with_null(api: Api, config_map: str) -> None:
    assert api.patch(config_map, {"data": {"b": None}}, PatchKind.MERGE)["data"] == {"a": "1"}


def test_a_strategic_patch_merges_lists_by_name(api: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api.create(path, deployment("strategic"))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "lab.local/app:2"}]}}}}
    after = api.patch(f"{path}/strategic", change, PatchKind.STRATEGIC)
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "lab.local/app:2"
    assert container["env"] == [{"name": "KEPT", "value": "yes"}]


def test_a_dry_run_answers_and_changes_nothing(api: Api, namespace: str, config_map: str) -> None:
    assert api.patch(config_map, {"data": {"a": "dry"}}, PatchKind.MERGE, dry_run=True)["data"]["a"] == "dry"
    assert api.get(config_map)["data"]["a"] == "1"
    api.create(config_maps(namespace), {"metadata": {"name": "never"}}, dry_run=True)
    with pytest.raises(NotFound):
        api.get(f"{config_maps(namespace)}/never")


def test_what_the_server_warns_of_is_kept_once(access: Access, namespace: str) -> None:
    body = deployment("warned")
    body["spec"]["template"]["spec"]["typo"] = 1
    with access.admin() as api:
        for _time in range(2):
            api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", body, dry_run=True)
        assert api.warnings == ['unknown field "spec.template.spec.typo"']


def test_a_list_is_one_request_however_long(access: Access) -> None:
    with access.admin() as api, own_namespace(api) as namespace:
        for number in range(25):
            api.create(config_maps(namespace), {"metadata": {"name": f"n{number:02}"}})
        before = api.requests
        names = [item["metadata"]["name"] for item in api.list(config_maps(namespace))["items"]]
        assert api.requests == before + 1
        pages = list(api.pages(config_maps(namespace), {"fieldSelector": "metadata.name!=n03"}, limit=10))
        paged = [item["metadata"]["name"] for page in pages for item in page["items"]]
    assert {f"n{number:02}" for number in range(25)} <= set(names)
    assert len(pages) == 3
    assert paged == [name for name in names if name != "n03"]


def test_a_text_is_read_no_further_than_asked(api: Api) -> None:
    assert len(api.text("/metrics", max_bytes=1000)) == 1000
    assert api.text("/livez", max_bytes=1000) == "ok"
    assert api.get("/version")["major"] == "1"


def test_a_raw_answer_keeps_status_headers_and_a_capped_body(api: Api) -> None:
    missing = api.raw("GET", "/api/v1/namespaces/default/pods/none")
    assert (missing.status, missing.headers["Content-Type"]) == (404, "application/json")
    start = api.raw("GET", "/metrics", max_bytes=100)
    assert (start.status, len(start.data), start.truncated) == (200, 100, True)
    whole = api.raw("GET", "/livez", query={"verbose": "1"}, headers={"Accept": "text/plain"})
    assert (whole.status, whole.truncated) == (200, False)
    assert b"livez check passed" in whole.data


# What is asked of the server -> the error, and what its text must say.
Asking = Callable[[Api, str, str], Any]
REFUSALS: dict[str, tuple[Asking, type[ApiError], str]] = {
    "no such object": (
        lambda api, ns, path: api.get(f"/apis/apps/v1/namespaces/{ns}/deployments/web"),
        NotFound,
        r'^cannot get deployments\.apps "web" in namespace "room-\w+": deployments\.apps "web" not found\.$',
    ),
    "no such API": (
        lambda api, ns, path: api.list("/apis/nobody.example/v1/things"),
        NotFound,
        r"^cannot list things\.nobody\.example: the server has no such API\.$",
    ),
    "the object is there already": (
        lambda api, ns, path: api.create(config_maps(ns), {"metadata": {"name": path.rpartition("/")[2]}}),
        Conflict,
        "already exists",
    ),
    "another resourceVersion": (
        lambda api, ns, path: api.patch(path, {"metadata": {"resourceVersion": "1"}}, PatchKind.MERGE),
        Conflict,
        "the object has been modified",
    ),
    "a field that is wrong": (
        lambda api, ns, path: api.create(f"/api/v1/namespaces/{ns}/pods", {"metadata": {"name": "x"}, "spec": {}}),
        Invalid,
        r"spec\.containers: Required value",
    ),
    "a body that is no patch": (
        lambda api, ns, path: api.patch(path, "text", PatchKind.MERGE),
        ApiError,
        "error decoding patch",
    ),
    "a path that is none": (
        lambda api, ns, path: api.get(f"{config_maps(ns)}/../secrets"),
        Invalid,
        r"'\.\.' cannot be part of a Kubernetes API path",
    ),
    "a name that is none": (lambda api, ns, path: api.get(f"{config_maps(ns)}/my app"), Invalid, "'my app' cannot be"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_each_refusal_says_what_was_asked_and_what_the_server_said(
    refusal: str, api: Api, namespace: str, config_map: str
) -> None:
    ask, error, text = REFUSALS[refusal]
    with pytest.raises(error, match=text) as raised:
        ask(api, namespace, config_map)
    assert type(raised.value) is error


def test_a_json_patch_whose_test_fails_is_bare_and_a_wrong_field_is_not(
    api: Api, namespace: str, config_map: str
) -> None:
    test = [{"op": "test", "path": "/metadata/uid", "value": "other"}, {"op": "remove", "path": "/data"}]
    with pytest.raises(Invalid) as failed_test:
        api.patch(config_map, test, PatchKind.JSON)
    with pytest.raises(Invalid) as wrong_field:
        api.patch(config_map, [{"op": "add", "path": "/data/..%2F", "value": "x"}], PatchKind.JSON)
    assert (failed_test.value.bare, wrong_field.value.bare) == (True, False)
    assert api.get(config_map)["data"] == {"a": "1", "b": "2"}


def test_a_missing_right_is_named_as_rbac_names_it(access: Access, api: Api, namespace: str) -> None:
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}]
    token = service_account_token(api, namespace, "reader", rules)
    with connect(Connection(host=access.server, api_key=token, ca_cert=access.ca)) as reader:
        scale = f"/apis/apps/v1/namespaces/{namespace}/deployments/web/scale"
        for ask, right in (
            (lambda: reader.list(f"/api/v1/namespaces/{namespace}/pods"), ("list", "pods", namespace)),
            (lambda: reader.list("/api/v1/nodes"), ("list", "nodes", None)),
            (lambda: reader.patch(scale, {}, PatchKind.MERGE), ("patch", "deployments.apps/scale", namespace)),
        ):
            with pytest.raises(Forbidden) as raised:
                ask()
            assert (raised.value.verb, raised.value.resource, raised.value.namespace) == right
            where = f"in namespace {namespace}" if right[2] else "in the whole cluster"
            assert f"Missing right: {right[0]} {right[1]} {where}; see docs/rights.md." in str(raised.value)


def test_a_missing_right_to_impersonate_is_named(access: Access, api: Api, namespace: str) -> None:
    token = service_account_token(api, namespace, "actor", [])
    options = Connection(host=access.server, api_key=token, ca_cert=access.ca, impersonate_user="ana")
    with pytest.raises(Forbidden, match=r"Missing right: impersonate"):
        connect(options).get("/api/v1/namespaces/default")


def test_pod_security_is_an_admission_refusal(api: Api) -> None:
    with own_namespace(api, {"pod-security.kubernetes.io/enforce": "restricted"}) as strict:
        pod = {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "x", "image": "x"}]}}
        with pytest.raises(AdmissionDenied, match=r'violates PodSecurity "restricted.*A rule of the cluster refused'):
            api.create(f"/api/v1/namespaces/{strict}/pods", pod)


def test_a_policy_is_an_admission_refusal(api: Api, namespace: str) -> None:
    kinds = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
    name = f"no-latest.{namespace}"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    check = {"expression": "false", "message": "no image tags called latest"}
    policy = {"matchConstraints": {"resourceRules": [rule], **here}, "validations": [check]}
    binding = {"policyName": name, "validationActions": ["Deny"]}
    api.create(f"{kinds}ies", {"metadata": {"name": name}, "spec": policy})
    api.create(f"{kinds}ybindings", {"metadata": {"name": name}, "spec": binding})
    deadline = time.monotonic() + SOON  # the server learns of its own policies by a watch
    with pytest.raises(AdmissionDenied, match="denied request: no image tags called latest"):
        while time.monotonic() < deadline:
            api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment("latest"), dry_run=True)
    api.raw("DELETE", f"{kinds}ybindings/{name}")
    api.raw("DELETE", f"{kinds}ies/{name}")


def events_until(streams: Streams, count: int) -> list[tuple[str, WatchEvent]]:
    events: list[tuple[str, WatchEvent]] = []
    deadline = time.monotonic() + SOON
    while len(events) < count and time.monotonic() < deadline:
        events += streams.batch(deadline - time.monotonic())
    return events


def test_a_watch_begins_with_what_exists_and_goes_on_with_what_happens(
    api: Api, namespace: str, config_map: str
) -> None:
    name = config_map.rpartition("/")[2]
    watched = Watched("map", config_maps(namespace), {"fieldSelector": f"metadata.name={name}"})
    with Streams(api, [watched]) as streams:
        first = events_until(streams, 1)
        after = api.patch(config_map, {"data": {"a": "2"}}, PatchKind.MERGE)
        second = events_until(streams, 1)
        api.raw("DELETE", config_map)
        third = events_until(streams, 1)
    assert [(key, event.type) for key, event in first + second + third] == [
        ("map", "ADDED"),
        ("map", "MODIFIED"),
        ("map", "DELETED"),
    ]
    assert second[0][1].object["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


def test_an_event_arrives_when_it_is_written(api: Api, namespace: str, config_map: str) -> None:
    name = config_map.rpartition("/")[2]
    watched = Watched("map", config_maps(namespace), {"fieldSelector": f"metadata.name={name}"})
    delays = []
    with Streams(api, [watched]) as streams:
        events_until(streams, 1)
        for number in range(30):
            api.patch(config_map, {"data": {"a": f"new {number}"}}, PatchKind.MERGE)
            answered = time.monotonic()
            assert events_until(streams, 1)
            delays.append(time.monotonic() - answered)
    # Not when a polling interval has passed. What it takes on a quiet machine is for `make bench`.
    assert sorted(delays)[len(delays) // 2] < 1.0


def test_what_came_meanwhile_comes_in_one_batch_in_order(api: Api, namespace: str, config_map: str) -> None:
    name = config_map.rpartition("/")[2]
    watched = Watched("map", config_maps(namespace), {"fieldSelector": f"metadata.name={name}"})
    with Streams(api, [watched]) as streams:
        events_until(streams, 1)
        for number in range(10):
            api.patch(config_map, {"data": {"a": f"new {number}"}}, PatchKind.MERGE)
        got = [event.object["data"]["a"] for _name, event in events_until(streams, 10)]
    assert got == [f"new {number}" for number in range(10)]


def test_streams_that_the_server_ends_are_named_and_not_before(api: Api, namespace: str) -> None:
    watches = [Watched("maps", config_maps(namespace), {}), Watched("pods", f"/api/v1/namespaces/{namespace}/pods", {})]
    with Streams(api, watches, seconds=3) as streams:
        streams.batch(0.0)
        assert streams.ended == frozenset()
        begun = time.monotonic()
        while streams.ended != {"maps", "pods"} and time.monotonic() < begun + SOON:
            streams.batch(SOON)
        assert streams.ended == {"maps", "pods"}
        begun = time.monotonic()
        assert streams.batch(HOUR) == [], "nothing can come any more"
        assert time.monotonic() - begun < SOON


@pytest.mark.parametrize(("token", "error"), [("", Forbidden), ("wrong", Unauthorized)])
def test_a_watch_that_is_refused_raises(access: Access, api: Api, namespace: str, token: str, error: type) -> None:
    token = token or service_account_token(api, namespace, "blind", [])
    stranger = connect(Connection(host=access.server, api_key=token, ca_cert=access.ca))
    watched = Watched("pods", f"/api/v1/namespaces/{namespace}/pods", {})
    with Streams(stranger, [watched]) as streams, pytest.raises(error, match="cannot watch pods in namespace"):
        while not streams.ended:
            streams.batch(SOON)


def test_closing_ends_quiet_streams_at_once(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    streams = Streams(api, [Watched(f"quiet {number}", path, {}) for number in range(3)])
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("watch quiet")]
    assert streams.batch(0.3) == []
    begun = time.monotonic()
    streams.close()
    assert time.monotonic() - begun < SOON, "not when the server ends them, minutes later"
    for thread in threads:
        thread.join(SOON)
    assert not [thread for thread in threads if thread.is_alive()]


def test_one_connection_carries_one_request_after_another(access: Access) -> None:
    with access.admin() as api:
        for _time in range(10):
            api.get("/version")
        assert api._session.pool.connection_from_url(api.server).num_connections == 1
