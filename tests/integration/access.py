# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the connection need to know of a cluster: its address, its CA, and identities with their rights."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect

PATIENCE_SECONDS = 30
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Access:
    """The administrator's kubeconfig, and the same as single files."""

    kubeconfig: str
    server: str
    ca: str
    client_cert: str
    client_key: str

    @property
    def content(self) -> dict[str, Any]:
        """A kubeconfig with everything inline."""
        cluster = {"server": self.server, "certificate-authority-data": _inline(self.ca)}
        user = {"client-certificate-data": _inline(self.client_cert), "client-key-data": _inline(self.client_key)}
        return kubeconfig(cluster, user)

    def with_user(self, user: dict[str, Any]) -> dict[str, Any]:
        """A kubeconfig for this cluster and another user."""
        return kubeconfig({"server": self.server, "certificate-authority-data": _inline(self.ca)}, user)

    def admin(self) -> Api:
        return connect(Connection(kubeconfig=self.kubeconfig))


def kubeconfig(cluster: dict[str, Any], user: dict[str, Any], name: str = "lab") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def read_access(path: str | Path, directory: Path) -> Access:
    """Reads the kubeconfig at `path`; certificates that it holds inline become files in `directory`."""
    content = yaml.safe_load(Path(path).read_text())
    cluster = content["clusters"][0]["cluster"]
    user = content["users"][0]["user"]
    return Access(
        kubeconfig=str(path),
        server=cluster["server"],
        ca=_file(cluster, "certificate-authority", directory),
        client_cert=_file(user, "client-certificate", directory),
        client_key=_file(user, "client-key", directory),
    )


def _file(entry: dict[str, str], name: str, directory: Path) -> str:
    if name in entry:
        return entry[name]
    path = directory / name
    path.write_bytes(base64.b64decode(entry[f"{name}-data"]))
    return str(path)


def _inline(path: str) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode()


def whoami(api: Api) -> dict[str, Any]:
    """The user as the server sees us: {"username": ..., "groups": [...]}."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    user: dict[str, Any] = answer["status"]["userInfo"]
    return user


@contextmanager
def own_namespace(admin: Api, labels: dict[str, str] | None = None) -> Iterator[str]:
    """A new namespace that goes away afterwards, with the rights that were given to its ServiceAccounts."""
    made = admin.create("/api/v1/namespaces", {"metadata": {"generateName": "room-", "labels": labels or {}}})
    name: str = made["metadata"]["name"]
    try:
        yield name
    finally:
        admin.raw("DELETE", f"{RBAC}/clusterrolebindings", query={"labelSelector": f"namespace={name}"})
        admin.raw("DELETE", f"/api/v1/namespaces/{name}")


# Of what cluster-admin may do.
EVERYTHING = ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},)


def wait_for_rules(admin: Api, user: str, namespace: str, rules: Sequence[Mapping[str, Any]]) -> None:
    """Until the API server, whose authorizer learns of a Role and its binding a moment later, lets `user` do what they say."""
    (group, *_), (resource, *_), (verb, *_) = (rules[0][of] for of in ("apiGroups", "resources", "verbs"))
    asked = {"namespace": namespace, "group": group, "resource": resource, "verb": verb}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": asked},
    }
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not admin.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]:
        assert time.monotonic() < deadline, f"{user} may not {verb} {resource} in {namespace}"
        time.sleep(0.05)


def service_account_token(admin: Api, namespace: str, name: str, rules: list[dict[str, Any]] | None = None) -> str:
    """A token of a new ServiceAccount that may do what `rules` of a Role say (None: everything, as cluster-admin)."""
    admin.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    metadata = {"name": f"{namespace}-{name}", "labels": {"namespace": namespace}}
    binding = {"metadata": metadata, "subjects": [subject], "roleRef": role}
    if rules is None:
        role |= {"kind": "ClusterRole", "name": "cluster-admin"}
        admin.create(f"{RBAC}/clusterrolebindings", binding)
    else:
        admin.create(f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": name}, "rules": rules})
        admin.create(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)
    if rules != []:
        wait_for_rules(admin, f"system:serviceaccount:{namespace}:{name}", namespace, rules or EVERYTHING)
    request = {"spec": {"expirationSeconds": 3600}}
    made = admin.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)
    token: str = made["status"]["token"]
    return token
