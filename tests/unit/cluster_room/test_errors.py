# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a request and of a refusal, without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import Asked, asked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import (
    AdmissionDenied,
    ApiError,
    ConfigError,
    Conflict,
    ConnectionLost,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ServerError,
    Timeout,
    TooManyRequests,
    Unauthorized,
    Unreachable,
    from_answer,
    status_of,
)

CLUSTER_ROOM = "ansible_collections.coalmine.canary.plugins.module_utils.cluster"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
PATCH = asked("PATCH", f"{DEPLOYMENTS}/web")


@pytest.mark.parametrize(
    ("method", "path", "watch", "action"),
    [
        ("GET", f"{DEPLOYMENTS}/web", False, 'get deployments.apps "web" in namespace "shop"'),
        ("PATCH", f"{DEPLOYMENTS}/web", False, 'patch deployments.apps "web" in namespace "shop"'),
        ("PATCH", f"{DEPLOYMENTS}/web/scale", False, 'patch deployments.apps/scale "web" in namespace "shop"'),
        ("GET", DEPLOYMENTS, False, 'list deployments.apps in namespace "shop"'),
        ("GET", DEPLOYMENTS, True, 'watch deployments.apps in namespace "shop"'),
        ("GET", "/apis/apps/v1/deployments", False, "list deployments.apps"),
        ("POST", "/api/v1/namespaces/shop/pods", False, 'create pods in namespace "shop"'),
        ("GET", "/api/v1/namespaces/shop/pods/web-1/log", False, 'get pods/log "web-1" in namespace "shop"'),
        (
            "GET",
            "/api/v1/namespaces/shop/pods/web-1:80/proxy/a//b",
            False,
            'get pods/proxy "web-1:80" in namespace "shop"',
        ),
        ("GET", "/api/v1/nodes", False, "list nodes"),
        ("GET", "/api/v1/nodes/n1", False, 'get nodes "n1"'),
        ("GET", "/api/v1/namespaces", False, "list namespaces"),
        ("GET", "/api/v1/namespaces/shop", False, 'get namespaces "shop"'),
        ("DELETE", "/api/v1/namespaces/shop", False, 'delete namespaces "shop"'),
        ("GET", "/version", False, "get /version"),
        ("GET", "/apis", False, "get /apis"),
    ],
)
def test_a_path_says_what_is_asked_in_the_words_of_rbac(method: str, path: str, watch: bool, action: str) -> None:
    assert asked(method, path, watch=watch).action == action


@pytest.mark.parametrize(
    "path",
    [
        "",
        "no/slash",
        f"{DEPLOYMENTS}/",
        f"{DEPLOYMENTS}/a b",
        f"{DEPLOYMENTS}/web?x=1",
        f"{DEPLOYMENTS}/web#",
        f"{DEPLOYMENTS}/%2e%2e",
        f"{DEPLOYMENTS}/../secrets/x",
        f"{DEPLOYMENTS}/./web",
        "/apis/apps/v1/namespaces/proxy/deployments/../x",
        "/api/v1/namespaces/shop/pods/web:80/proxy/../../secrets/x",
        "/api/v1/namespaces/shop/pods/a b/proxy/x",
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of a Kubernetes API path"):
        asked("GET", path)


def answered(code: int, message: str = "", **more: object) -> ApiError:
    return from_answer(PATCH, code, {"kind": "Status", "message": message, **more})


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (400, "error decoding patch", ApiError),
        (400, 'admission webhook "x.example" denied the request: no', AdmissionDenied),
        (409, 'admission webhook "x.example" denied the request: no', AdmissionDenied),
        (429, 'admission webhook "x.example" denied the request: no', AdmissionDenied),
        (500, 'admission webhook "x.example" denied the request without explanation', AdmissionDenied),
        (500, 'Internal error occurred: failed calling webhook "x.example": Post "https://x.shop.svc": denied', ServerError),
        (413, "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", AdmissionDenied),
        (401, "Unauthorized", Unauthorized),
        (403, 'deployments.apps "web" is forbidden: User "ana" cannot patch resource "deployments" in API group "apps"'
         ' in the namespace "shop"', Forbidden),
        (403, 'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group ""', Unauthorized),
        (403, 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5', AdmissionDenied),
        (403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest": ...', AdmissionDenied),
        (403, 'pods "x" is forbidden: error looking up service account shop/none', AdmissionDenied),
        (403, "", Forbidden),
        (404, 'deployments.apps "web" not found', NotFound),
        (405, "the server does not allow this method", ApiError),
        (409, "the object has been modified", Conflict),
        (410, "too old", Gone),
        (413, "Request entity too large", ApiError),
        (422, 'Deployment.apps "web" is invalid: spec.replicas: Invalid value', Invalid),
        (422, "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request",
         AdmissionDenied),
        (429, "too many requests", TooManyRequests),
        (500, "etcdserver: no leader", ServerError),
        (503, "", ServerError),
        (504, "Timeout: request did not complete", Timeout),
    ],
)  # fmt: skip
def test_each_answer_has_its_error(code: int, message: str, error: type[ApiError]) -> None:
    found = answered(code, message)
    assert (type(found), found.status) == (error, code)
    assert str(found).startswith('cannot patch deployments.apps "web" in namespace "shop": ')


def test_forbidden_names_the_right_that_the_server_names() -> None:
    message = (
        'pods "web-1" is forbidden: User "ana" cannot get resource "pods/log" in API group "" in the namespace "other"'
    )
    found = answered(403, message)
    assert isinstance(found, Forbidden)
    assert (found.verb, found.resource, found.namespace) == ("get", "pods/log", "other")
    missing = "Missing right: get pods/log in namespace other; see docs/rights.md."
    assert str(found) == f'cannot patch deployments.apps "web" in namespace "shop": User "ana" may not. {missing}'
    because = answered(403, f'{message}: RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found')
    assert 'User "ana" may not (RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found). Missing' in str(because)


def test_forbidden_without_a_reason_names_what_was_asked() -> None:
    assert str(answered(403)).endswith("Missing right: patch deployments.apps in namespace shop; see docs/rights.md.")


@pytest.mark.parametrize("quoted", ["{" + "}" * 10**6, "map[" + "]}" * 500_000, '"{' + "\\" * 10**6, "[" * 10**6])
def test_a_long_refusal_keeps_nobody_busy(quoted: str) -> None:
    found = answered(422, f"spec.template: Invalid value: {quoted}: must not be like this")
    assert found.message.startswith("spec.template: Invalid value: (an object)")


@pytest.mark.parametrize(("details", "bare"), [({}, True), ({"causes": [{"field": "spec.replicas"}]}, False)])
def test_a_422_that_names_no_field_is_bare(details: dict[str, object], bare: bool) -> None:
    found = answered(422, "the server rejected our request", details=details)
    assert isinstance(found, Invalid)
    assert found.bare is bare


def test_gone_carries_the_token_to_go_on_with() -> None:
    found = answered(410, "too old", metadata={"continue": "abc"})
    assert isinstance(found, Gone)
    assert found.continue_token == "abc"


@pytest.mark.parametrize("verb", ["get", "list", "watch", "patch", "create"])
def test_only_a_write_may_have_been_made(verb: str) -> None:
    found = ServerError(Asked(verb, "pods"), "broken")
    assert ("Whether the change was made is not known" in str(found)) is (verb in ("patch", "create"))


def test_a_dry_run_changes_nothing_whatever_becomes_of_its_answer() -> None:
    found = ServerError(Asked("patch", "pods", dry_run=True), "broken")
    assert not found.may_have_written and "not known" not in str(found)


@pytest.mark.parametrize("body", [b"", b"<html>secret</html>", b"[]", b'{"kind": "Pod"}', b'"x"', b"\xff"])
def test_only_a_status_is_quoted(body: bytes) -> None:
    assert status_of(body) == {}


def test_a_status_is_read() -> None:
    assert status_of(json.dumps({"kind": "Status", "message": "no"}).encode())["message"] == "no"


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    rooms = "connection", "api", "watch", "errors"
    program = "import sys\n" + "".join(f"import {CLUSTER_ROOM}.{room}\n" for room in rooms)
    program += "print([name for name in ('kubernetes', 'urllib3', 'yaml') if name in sys.modules])"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("error", "is_silence"),
    [
        (Timeout(PATCH, "no answer in 5 s"), True),
        (ConnectionLost(PATCH, "the connection broke"), True),
        (Timeout(PATCH, "the server gave up", status=504), False),
        (Unreachable(PATCH, "a proxy refused", status=407), False),
        (ServerError(PATCH, "an answer that is none"), False),
        (ConfigError("no host"), False),
    ],
)
def test_a_cluster_is_silent_where_nothing_answered(error: ApiError, is_silence: bool) -> None:
    assert error.is_silence is is_silence


def test_what_was_found_is_told_without_what_to_do_about_it() -> None:
    error = Timeout(PATCH, "no answer in 5 s")
    assert error.found == 'cannot patch deployments.apps "web" in namespace "shop": no answer in 5 s.'
    assert error.advice.startswith("Whether the change was made is not known; read the object again. The server or")
    assert str(error) == f"{error.found} {error.advice}"
    assert str(Conflict(PATCH, "changed")) == Conflict(PATCH, "changed").found
