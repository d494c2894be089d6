# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes client library, of any version: it is imported only where it has to renew a token, and asked as it is."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect, preload
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ConfigError
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.access import Access, own_namespace, read_access, service_account_token, whoami

pytestmark = pytest.mark.slice


@pytest.fixture(scope="module")
def access(lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory) -> Access:
    return read_access(lab.kubeconfig, tmp_path_factory.mktemp("access"))


def test_an_oidc_token_that_lasts_is_used_as_it_is(access: Access) -> None:
    with access.admin() as admin, own_namespace(admin) as namespace:
        token = service_account_token(admin, namespace, "release")
        oidc = {"id-token": token, "client-id": "canary", "idp-issuer-url": "https://issuer.invalid"}
        user = {"auth-provider": {"name": "oidc", "config": oidc}}
        assert whoami(connect(Connection(kubeconfig=access.with_user(user))))["username"].endswith(":release")


def test_a_missing_library_is_named(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3", None)
    assert preload() is False
    with pytest.raises(ConfigError, match=r"urllib3, .*cannot be imported: install kubernetes >= 24\.2"):
        connect(Connection(kubeconfig=access.kubeconfig))


def with_provider(access: Access) -> Connection:
    """Of a user whose token only the library can renew."""
    return Connection(kubeconfig=access.with_user({"auth-provider": {"name": "oidc", "config": {}}}))


def test_the_library_is_imported_for_auth_provider_alone(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    connect(Connection(kubeconfig=access.kubeconfig))
    with pytest.raises(ConfigError, match=r"kubernetes, which cannot be imported .*install kubernetes >= 24\.2"):
        connect(with_provider(access))


@pytest.mark.parametrize(
    ("version", "accepted"),
    [("12.0.1", False), ("24.1.0b1", False), ("24.2.0", True), ("36.0.0+snapshot", True), ("37.0.2", True)],
)
def test_only_an_old_library_is_refused(
    version: str, accepted: bool, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kubernetes

    monkeypatch.setattr(kubernetes, "__version__", version)
    with pytest.raises(ConfigError) as refused:
        connect(with_provider(access))
    assert (f"{version}, which is too old: install" in str(refused.value)) is not accepted


def test_preload_imports_what_requests_need() -> None:
    assert preload() is True
