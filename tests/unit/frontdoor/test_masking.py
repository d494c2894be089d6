# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are found wherever they come from; names of things are not taken for secrets."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.masking import (
    secrets_of_connection,
    secrets_of_kubeconfig,
    secrets_of_source,
    shown,
)

KUBECONFIG = {
    "clusters": [{"name": "web", "cluster": {"server": "https://web", "certificate-authority-data": "public"}}],
    "contexts": [{"name": "web", "context": {"user": "app", "cluster": "web"}}],
    "users": [
        {"name": "app", "user": {"token": "s-token", "tokenFile": "/run/token", "password": "s-password"}},
        {
            "name": "cert",
            "user": {"client-certificate-data": "public", "client-key-data": "s-key", "client-key": "/key"},
        },
        {
            "name": "oidc",
            "user": {
                "auth-provider": {
                    "name": "oidc",
                    "config": {
                        "id-token": "s-id",
                        "refresh-token": "s-refresh",
                        "client-secret": "s-client",
                        "client-id": "x",
                    },
                }
            },
        },
        {
            "name": "exec",
            "user": {
                "exec": {
                    "command": "aws",
                    "env": [
                        {"name": "AWS_PROFILE", "value": "prod"},
                        {"name": "AWS_SECRET_ACCESS_KEY", "value": "s-aws"},
                    ],
                }
            },
        },
    ],
}


def test_only_the_secret_leaves_of_a_kubeconfig_are_masked() -> None:
    assert secrets_of_kubeconfig(KUBECONFIG) == {
        "s-token", "s-password", "s-key", "s-id", "s-refresh", "s-client", "s-aws",
    }  # fmt: skip


def test_a_path_of_a_kubeconfig_holds_no_secret() -> None:
    assert secrets_of_kubeconfig("/root/.kube/config") == frozenset()


@pytest.mark.parametrize(
    ("connection", "secrets"),
    [
        (Connection(api_key="s1", password="s2", username="ann"), {"s1", "s2"}),
        (Connection(proxy="http://ann:s3@proxy:3128", host="https://ann:s4@host"), {"s3", "s4"}),
        (
            Connection(proxy_headers={"basic_auth": "a:s5", "proxy_basic_auth": "a:s6", "user_agent": "x"}),
            {"a:s5", "a:s6"},
        ),
        (Connection(kubeconfig=KUBECONFIG["users"][0]), {"s-token", "s-password"}),  # type: ignore[index]
        (Connection(host="https://[broken"), set()),
    ],
)
def test_every_secret_of_a_connection_is_masked(connection: Connection, secrets: set[str]) -> None:
    assert secrets_of_connection(connection) == secrets


def test_secrets_from_the_environment_are_masked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_API_KEY", "s-environment")
    assert secrets_of_connection(Connection()) == {"s-environment"}


def test_whole_manifests_are_not_repeated_in_results() -> None:
    parameters = {"name": "web", "definition": {"spec": {}}, "pod_template_patch": None, "kubeconfig": "/path"}
    assert shown(parameters) == {**parameters, "definition": "(not shown)"}


def test_headers_of_a_source_of_prices_are_masked_as_those_of_checks() -> None:
    source = {"url": "http://prometheus:9090", "headers": {"Authorization": "Bearer s1", "X-Scope-OrgID": "shop"}}
    assert secrets_of_source(source) == {"Bearer s1", "s1"}
    assert shown({"price_metrics": source}) == {"price_metrics": "(not shown)"}
    assert secrets_of_source(None) == frozenset()
