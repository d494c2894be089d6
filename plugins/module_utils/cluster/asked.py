# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request asks, in the words of Kubernetes' access rules, read off its method and path.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb

This module is private to the collection.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..values import dataclass

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_READING = frozenset({"get", "list", "watch", "connect"})
# One part of a path as Kubernetes writes it; names are DNS labels, save that RBAC allows more.
_SEGMENT = re.compile(r"[A-Za-z0-9._:~-]+")
# What follows belongs to the application behind the proxy, and may look as it likes.
_PROXIED = re.compile(r"/api/v1/namespaces/[^/]+/(?:pods|services)/[^/]+/proxy(?=/|$)")


@dataclass(frozen=True)
class Asked:
    """`resource` carries its API group ("deployments.apps", "pods/log"); `namespace` None: cluster-wide. `dry_run`: the server
    does all of it but keep the result."""

    verb: str
    resource: str = ""
    name: str = ""
    namespace: str | None = None
    dry_run: bool = False

    @classmethod
    def connection(cls) -> Asked:
        """The step before any request: finding out which server to ask."""
        return cls(verb="connect")

    @property
    def writes(self) -> bool:
        return self.verb not in _READING and not self.dry_run

    @property
    def action(self) -> str:
        """For a sentence that begins with "cannot": 'patch deployments.apps "web" in namespace "shop"'."""
        if self.verb == "connect":
            return "connect to the cluster"
        name = f' "{self.name}"' if self.name else ""
        namespace = f' in namespace "{self.namespace}"' if self.namespace else ""
        return f"{self.verb} {self.resource}{name}{namespace}"


@lru_cache(maxsize=4096)  # a fleet of hundreds has a few for every release
def asked(method: str, path: str, *, watch: bool = False) -> Asked:
    """Reads /api/v1/..., /apis/GROUP/VERSION/... and the rest ("non-resource" paths such as /version).

    Raises ValueError for a path with a part that cannot be a Kubernetes name: a "/", "?" or ".." that came in with
    somebody's name would address another object.
    """
    proxied = _PROXIED.match(path)
    parts = (proxied[0] if proxied else path).split("/")[1:]
    wrong = [part for part in parts if not _SEGMENT.fullmatch(part)]
    wrong += [part for part in path.split("/") if part in (".", "..")]
    if wrong or not parts or not path.startswith("/"):
        raise ValueError(f"{(wrong or [path])[0]!r} cannot be part of a Kubernetes API path")
    if parts[0] == "api" and len(parts) > 2:
        return _of_resource(method, "", parts[2:], watch)
    if parts[0] == "apis" and len(parts) > 3:
        return _of_resource(method, parts[1], parts[3:], watch)
    return Asked(verb=_VERBS.get(method, "get"), resource=path)


def _of_resource(method: str, group: str, parts: list[str], watch: bool) -> Asked:
    namespace = None
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    kind, name, subresource = (*parts[:3], "", "")[:3]
    resource = kind + (f".{group}" if group else "") + (f"/{subresource}" if subresource else "")
    reading = "watch" if watch else ("get" if name else "list")
    return Asked(verb=_VERBS.get(method, reading), resource=resource, name=name, namespace=namespace)
