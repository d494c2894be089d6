# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program beside the cluster may do in it: each is a list of collections with a manifest, for objects.create."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Manifests = list[tuple[str, dict[str, Any]]]
_GROUP = "rbac.authorization.k8s.io"


def everything_for(user: str) -> Manifests:
    """Of an administrator."""
    return [_binding(user, "cluster-admin")]


def granted(user: str, rules: Sequence[dict[str, Any]], *others: dict[str, str]) -> Manifests:
    """A ClusterRole with these rules and the name of the user, for it and for these other subjects."""
    role = {"metadata": {"name": user}, "rules": list(rules)}
    return [(f"/apis/{_GROUP}/v1/clusterroles", role), _binding(user, user, *others)]


def _binding(user: str, role: str, *others: dict[str, str]) -> tuple[str, dict[str, Any]]:
    subjects = [{"apiGroup": _GROUP, "kind": "User", "name": user}, *others]
    of_role = {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role}
    binding = {"metadata": {"name": user}, "roleRef": of_role, "subjects": subjects}
    return f"/apis/{_GROUP}/v1/clusterrolebindings", binding
