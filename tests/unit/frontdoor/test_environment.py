# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster is meant where both the task and the environment name one, and who gets the credentials of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster import connection as connecting
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import session
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.options import Connection, with_environment

AWX, TOKEN = "https://awx.example", "token of the environment"
OF_AWX = {
    "K8S_AUTH_HOST": AWX,
    "K8S_AUTH_API_KEY": TOKEN,
    "K8S_AUTH_VERIFY_SSL": "False",
    "K8S_AUTH_PROXY": "http://proxy",
}
OTHER = "https://other.example"


@pytest.mark.parametrize(
    "given, host",
    [
        (Connection(kubeconfig="/eu.yml"), None),
        (Connection(kubeconfig={"kind": "Config"}), None),
        (Connection(context="eu"), None),
        (Connection(host=OTHER), OTHER),
        (Connection(host=OTHER, kubeconfig="/eu.yml"), OTHER),
    ],
)
def test_who_names_another_cluster_takes_neither_server_nor_credentials_of_the_environment(
    given: Connection, host: str | None
) -> None:
    found = with_environment(given, OF_AWX)
    assert (found.host, found.api_key, found.validate_certs) == (host, None, None)
    assert found.proxy == "http://proxy"


@pytest.mark.parametrize("given", [Connection(), Connection(host=AWX), Connection(host=AWX, kubeconfig="/eu.yml")])
def test_who_names_none_or_the_same_takes_all_of_the_environment(given: Connection) -> None:
    found = with_environment(given, OF_AWX)
    assert (found.host, found.api_key, found.validate_certs) == (AWX, TOKEN, False)


@pytest.mark.parametrize("written", [f"{AWX}/", f"{AWX}:443", "https://AWX.example"])
def test_the_same_server_may_be_written_in_several_ways(written: str) -> None:
    assert with_environment(Connection(host=written), OF_AWX).api_key == TOKEN
    for other in (written.replace("https", "http"), f"{AWX}:6443", f"{AWX}/k8s/clusters/c-1", "https://[::1"):
        assert with_environment(Connection(host=other), OF_AWX).api_key is None


@pytest.mark.parametrize("name", ["host", "kubeconfig", "context", "api_key"])
def test_an_empty_option_is_a_variable_that_was_not_set(name: str) -> None:
    given: dict[str, Any] = {name: ""}
    found = with_environment(Connection(**given), OF_AWX)
    assert (found.host, found.api_key, found.validate_certs) == (AWX, TOKEN, False)


def test_credentials_that_belong_to_no_server_are_for_whichever_the_task_names() -> None:
    environ = {"K8S_AUTH_API_KEY": TOKEN}
    for given in (Connection(host=OTHER), Connection(kubeconfig="/eu.yml")):
        assert with_environment(given, environ).api_key == TOKEN


def test_credentials_beside_a_kubeconfig_of_the_environment_are_not_for_another() -> None:
    environ = {"K8S_AUTH_KUBECONFIG": "/prod.yml", "K8S_AUTH_API_KEY": TOKEN, "K8S_AUTH_CONTEXT": "prod"}
    for given in (Connection(host=OTHER), Connection(kubeconfig="/eu.yml")):
        assert with_environment(given, environ).api_key is None
    assert with_environment(Connection(kubeconfig="/eu.yml"), environ).context is None
    for given in (Connection(), Connection(kubeconfig="/prod.yml"), Connection(context="prod")):
        found = with_environment(given, environ)
        assert (found.kubeconfig, found.context, found.api_key) == ("/prod.yml", "prod", TOKEN)


PROD = "https://prod.example"


def _sent(**given: Any) -> tuple[str | None, int]:
    """To the server that the task names: which credentials, and how many warnings."""
    opened = session(Connection(**given))
    return opened.headers().get("Authorization"), len(opened.warnings)


@pytest.mark.parametrize("variable", ["K8S_AUTH_KUBECONFIG", "KUBECONFIG"])
def test_a_host_takes_nothing_of_a_kubeconfig_that_is_not_named_with_it_and_is_of_another_server(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "{apiVersion: v1, kind: Config, current-context: prod, contexts: [{name: prod, context: {cluster: prod, user: prod}}], "
        f"clusters: [{{name: prod, cluster: {{server: '{PROD}'}}}}], users: [{{name: prod, user: {{token: {TOKEN[:5]}}}}}]}}"
    )
    monkeypatch.setenv(variable, str(config))
    assert _sent(host=OTHER) == (None, 1)
    sent = "Bearer token", 0
    assert _sent() == _sent(host=f"{PROD}:443/") == sent
    assert _sent(host=OTHER, context="prod") == _sent(host=OTHER, kubeconfig=str(config)) == sent
    monkeypatch.setenv("K8S_AUTH_HOST", OTHER)
    assert _sent() == sent


def test_a_host_takes_the_account_of_a_pod_for_its_own_cluster_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("of-the-pod")
    monkeypatch.setattr(connecting, "SERVICE_ACCOUNT_TOKEN", str(tmp_path / "token"))
    for name, value in {"HOST": "10.0.0.1", "PORT": "443"}.items():
        monkeypatch.setenv(f"KUBERNETES_SERVICE_{name}", value)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    for own in ("https://10.0.0.1", "https://kubernetes.default.svc", "https://kubernetes.default.svc:443/"):
        assert _sent(host=own, validate_certs=False) == ("Bearer of-the-pod", 0)
    for other in (OTHER, "https://kubernetes.default.example", "http://kubernetes.default.svc"):
        assert _sent(host=other, validate_certs=False) == (None, 1)
