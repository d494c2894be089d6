# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service account of docs/rbac.yaml in a namespace of a test: what is released with it has just these rights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab

MANIFEST = Path(__file__).parents[2] / "docs" / "rbac.yaml"
ACCOUNT = "canary"

Rules = list[dict[str, Any]]


def all_of_them(rules: Rules) -> Rules:
    return rules


def without(missing: tuple[str, str]) -> Callable[[Rules], Rules]:
    """All rules but what lets a verb be used on a resource: (resource, verb)."""

    def keep(rules: Rules) -> Rules:
        return [
            {**rule, "resources": [resource], "verbs": [verb]}
            for rule in rules
            for resource in rule["resources"]
            for verb in rule["verbs"]
            if (resource, verb) != missing
        ]

    return keep


def releaser(lab: Lab | ForeignCluster, namespace: str, keep: Callable[[Rules], Rules] = all_of_them) -> Path:
    """A kubeconfig of that account, with the rules of its Role that `keep` leaves."""
    documents = list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8").replace("shop", namespace)))
    for document in documents:
        if document["kind"] == "Role":
            document["rules"] = keep(document["rules"])
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    lab.kubectl("apply", "-f", "-", input=manifest)
    return lab.service_account_kubeconfig(namespace, ACCOUNT)
