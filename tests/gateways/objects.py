# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the Services of a namespace are, and what splits their users: an HTTPRoute `web`, unless a class says otherwise."""

from __future__ import annotations

from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api

Json = dict[str, Any]


class RoutedObjects:
    group, plural = "gateway.networking.k8s.io/v1", "httproutes"

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace

    @property
    def services(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/services"

    @property
    def routes(self) -> str:
        return f"/apis/{self.group}/namespaces/{self.namespace}/{self.plural}"

    def route(self, name: str = "web") -> Json:
        return self.api.get(f"{self.routes}/{name}")
