# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server is asked, and as whom, against a real API server; and what a person reads when that cannot work."""

from __future__ import annotations

import json
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster import connection as connection_module
from ansible_collections.coalmine.canary.plugins.module_utils.cluster import options as options_module
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import (
    ApiError,
    ConfigError,
    TlsFailed,
    Unauthorized,
    Unreachable,
    UntrustedServer,
)
from tests.cluster.certificates import Authority
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.access import Access, kubeconfig, own_namespace, read_access, service_account_token, whoami

ADMIN = "administrator"
ACCOUNT = "service account"
EXEC_API = "client.authentication.k8s.io/v1"


# What Python, its ssl and urllib3 have a say in, so that `make matrix` plays it on a newer one, too. How options are read is ours.
ELSEWHERE = {
    "kubeconfig: a path",
    "kubeconfig: a dictionary",
    "host and api_key",
    "host and client certificate",
    "AWX's variables without verification",
    "CA data that is not base64",
    "missing CA file",
    "key of another certificate",
    "host that is none",
    "plugin that fails",
    "wrong token",
    "wrong CA",
    "no CA",
    "dead port",
    "unknown host",
    "dead proxy",
    "host with a password",
    "proxy with a password",
}


def marked(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slice] if name in ELSEWHERE else []) for name in names]


@pytest.fixture(scope="module")
def access(lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory) -> Access:
    return read_access(lab.kubeconfig, tmp_path_factory.mktemp("access"))


@pytest.fixture(scope="module")
def administrator(access: Access) -> str:
    """The user name of the administrator's kubeconfig."""
    return str(whoami(access.admin())["username"])


@pytest.fixture(scope="module")
def token(access: Access) -> Iterator[str]:
    with access.admin() as admin, own_namespace(admin) as namespace:
        yield service_account_token(admin, namespace, "release")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of whoever runs the tests: no variables, an empty home."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    for names in options_module._ENVIRONMENT.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))


def token_file(access: Access, token: str, path: Path) -> str:
    path.write_text(yaml.safe_dump(access.with_user({"token": token})))
    return str(path)


# How a connection is described -> the options and the environment, and who the server then sees.
Described = Callable[[Access, str, Path], tuple[Connection, dict[str, str]]]
WAYS: dict[str, tuple[Described, str]] = {
    "kubeconfig: a path": (lambda a, t, d: (Connection(kubeconfig=a.kubeconfig), {}), ADMIN),
    "kubeconfig: a dictionary": (lambda a, t, d: (Connection(kubeconfig=a.content), {}), ADMIN),
    "kubeconfig and context": (lambda a, t, d: (Connection(kubeconfig=a.content, context="lab"), {}), ADMIN),
    "K8S_AUTH_KUBECONFIG": (lambda a, t, d: (Connection(), {"K8S_AUTH_KUBECONFIG": a.kubeconfig}), ADMIN),
    "KUBECONFIG": (lambda a, t, d: (Connection(), {"KUBECONFIG": a.kubeconfig}), ADMIN),
    "KUBECONFIG with a file that is missing": (
        lambda a, t, d: (Connection(), {"KUBECONFIG": f"{d}/missing:{a.kubeconfig}"}),
        ADMIN,
    ),
    "KUBECONFIG with a file that is empty": (
        lambda a, t, d: (Connection(), {"KUBECONFIG": f"{written(d, '').kubeconfig}:{a.kubeconfig}"}),
        ADMIN,
    ),
    "a token's file": (
        lambda a, t, d: (Connection(kubeconfig=a.with_user({"tokenFile": written(d, t).kubeconfig})), {}),
        ACCOUNT,
    ),
    "host and api_key with a line break": (
        lambda a, t, d: (Connection(host=a.server, api_key=f"{t}\n", ca_cert=a.ca), {}),
        ACCOUNT,
    ),
    "host and api_key": (lambda a, t, d: (Connection(host=a.server, api_key=t, ca_cert=a.ca), {}), ACCOUNT),
    "host with a slash": (lambda a, t, d: (Connection(host=a.server + "/", api_key=t, ca_cert=a.ca), {}), ACCOUNT),
    "host and client certificate": (
        lambda a, t, d: (
            Connection(host=a.server, client_cert=a.client_cert, client_key=a.client_key, ca_cert=a.ca),
            {},
        ),
        ADMIN,
    ),
    "AWX's variables": (
        lambda a, t, d: (
            Connection(),
            {
                "K8S_AUTH_HOST": a.server,
                "K8S_AUTH_API_KEY": t,
                "K8S_AUTH_SSL_CA_CERT": a.ca,
                "K8S_AUTH_VERIFY_SSL": "True",
            },
        ),
        ACCOUNT,
    ),
    "AWX's variables without verification": (
        lambda a, t, d: (
            Connection(),
            {"K8S_AUTH_HOST": a.server, "K8S_AUTH_API_KEY": t, "K8S_AUTH_VERIFY_SSL": "False"},
        ),
        ACCOUNT,
    ),
    "variables named like the options": (
        lambda a, t, d: (
            Connection(),
            {
                "K8S_AUTH_HOST": a.server,
                "K8S_AUTH_CLIENT_CERT": a.client_cert,
                "K8S_AUTH_CLIENT_KEY": a.client_key,
                "K8S_AUTH_CA_CERT": a.ca,
            },
        ),
        ADMIN,
    ),
    "variables named like the library's settings": (
        lambda a, t, d: (
            Connection(),
            {
                "K8S_AUTH_HOST": a.server,
                "K8S_AUTH_CERT_FILE": a.client_cert,
                "K8S_AUTH_KEY_FILE": a.client_key,
                "K8S_AUTH_SSL_CA_CERT": a.ca,
            },
        ),
        ADMIN,
    ),
    "an option before its variable": (
        lambda a, t, d: (
            Connection(kubeconfig=token_file(a, t, d / "token.conf")),
            {"K8S_AUTH_KUBECONFIG": a.kubeconfig},
        ),
        ACCOUNT,
    ),
    "K8S_AUTH_KUBECONFIG before KUBECONFIG": (
        lambda a, t, d: (
            Connection(),
            {"K8S_AUTH_KUBECONFIG": token_file(a, t, d / "token.conf"), "KUBECONFIG": a.kubeconfig},
        ),
        ACCOUNT,
    ),
    "host and api_key before any kubeconfig": (
        lambda a, t, d: (
            Connection(host=a.server, api_key=t, ca_cert=a.ca),
            {"K8S_AUTH_KUBECONFIG": a.kubeconfig, "KUBECONFIG": a.kubeconfig},
        ),
        ACCOUNT,
    ),
    "api_key over a kubeconfig's token": (
        lambda a, t, d: (Connection(kubeconfig=a.with_user({"token": "wrong"}), api_key=t), {}),
        ACCOUNT,
    ),
    "ca_cert over a kubeconfig's CA": (
        lambda a, t, d: (Connection(kubeconfig=kubeconfig({"server": a.server}, {"token": t}), ca_cert=a.ca), {}),
        ACCOUNT,
    ),
    "validate_certs over a kubeconfig": (
        lambda a, t, d: (
            Connection(kubeconfig=kubeconfig({"server": a.server}, {"token": t}), validate_certs=False),
            {},
        ),
        ACCOUNT,
    ),
    "an empty variable is none": (
        lambda a, t, d: (Connection(), {"K8S_AUTH_KUBECONFIG": a.kubeconfig, "K8S_AUTH_API_KEY": ""}),
        ADMIN,
    ),
}


@pytest.mark.parametrize("way", marked(WAYS))
def test_each_way_to_say_where_and_who(
    way: str, access: Access, administrator: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe, expected = WAYS[way]
    options, environment = describe(access, token, tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with connect(options) as api:
        username = whoami(api)["username"]
    assert username == administrator if expected == ADMIN else username.endswith(":release")


def test_the_file_in_the_home_directory_is_the_last_kubeconfig(access: Access, administrator: str) -> None:
    directory = Path("~/.kube").expanduser()
    directory.mkdir()
    (directory / "config").write_text(Path(access.kubeconfig).read_text())
    assert whoami(connect(Connection()))["username"] == administrator


@pytest.fixture
def in_pod(access: Access, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kubelet gives to every pod, at another place."""
    (tmp_path / "token").write_text(token)
    (tmp_path / "ca.crt").write_bytes(Path(access.ca).read_bytes())
    monkeypatch.setattr(connection_module, "SERVICE_ACCOUNT_TOKEN", str(tmp_path / "token"))
    host, _colon, port = access.server.removeprefix("https://").rpartition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)


@pytest.mark.usefixtures("in_pod")
def test_a_pod_uses_its_service_account_when_there_is_no_kubeconfig() -> None:
    assert whoami(connect(Connection()))["username"].endswith(":release")


@pytest.mark.usefixtures("in_pod")
def test_a_kubeconfig_comes_before_the_pods_service_account(
    access: Access, administrator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", access.kubeconfig)
    assert whoami(connect(Connection()))["username"] == administrator


@pytest.mark.usefixtures("in_pod")
def test_api_key_counts_more_than_the_pods_service_account() -> None:
    with pytest.raises(Unauthorized):
        whoami(connect(Connection(api_key="of-somebody-else")))


def test_impersonation_reaches_the_server(access: Access) -> None:
    options = Connection(kubeconfig=access.kubeconfig, impersonate_user="ana", impersonate_groups=("canary", "web"))
    user = whoami(connect(options))
    assert user["username"] == "ana"
    assert {"canary", "web"} <= set(user["groups"])


def test_impersonation_of_a_kubeconfig_reaches_the_server(access: Access) -> None:
    """Else a verb would act with more rights than its kubeconfig means to give."""
    user = {**access.content["users"][0]["user"], "as": "ana", "as-uid": "u-1", "as-groups": ["canary"]}
    user["as-user-extra"] = {"example.com/scopes": ["a", "b"]}
    seen = whoami(connect(Connection(kubeconfig=access.with_user(user))))
    assert (seen["username"], seen["uid"]) == ("ana", "u-1")
    assert "canary" in seen["groups"]
    assert seen["extra"]["example.com/scopes"] == ["a", "b"]


@pytest.mark.slice
def test_a_proxy_of_a_kubeconfig_is_not_gone_round(access: Access) -> None:
    content = access.content
    cluster = {**content["clusters"][0]["cluster"], "proxy-url": "http://127.0.0.1:1"}
    content = {**content, "clusters": [{"name": content["clusters"][0]["name"], "cluster": cluster}]}
    with pytest.raises(Unreachable, match=r"the proxy before https://.* does not let us through"):
        whoami(connect(Connection(kubeconfig=content)))


def plugin(path: Path, status: dict[str, Any], counter: Path) -> dict[str, Any]:
    """A kubeconfig's user whose credentials come from a program, as with `aws eks get-token`."""
    credential = {"apiVersion": EXEC_API, "kind": "ExecCredential", "status": status}
    path.write_text(f"#!/bin/sh\necho run >> {counter}\ncat <<'END'\n{json.dumps(credential)}\nEND\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": EXEC_API, "command": str(path), "interactiveMode": "Never"}}


def test_a_credential_plugin_is_run_once_for_a_token_that_lasts(access: Access, token: str, tmp_path: Path) -> None:
    counter = tmp_path / "runs"
    user = plugin(tmp_path / "get-token", {"token": token}, counter)
    with connect(Connection(kubeconfig=access.with_user(user))) as api:
        assert [whoami(api)["username"].endswith(":release") for _time in range(3)] == [True] * 3
    assert counter.read_text().splitlines() == ["run"]


def test_a_credential_plugin_is_asked_again_when_its_token_expires(access: Access, token: str, tmp_path: Path) -> None:
    counter = tmp_path / "runs"
    user = plugin(tmp_path / "get-token", {"token": token, "expirationTimestamp": "2020-01-01T00:00:00Z"}, counter)
    with connect(Connection(kubeconfig=access.with_user(user))) as api:
        whoami(api)
        whoami(api)
    assert counter.read_text().splitlines() == ["run"] * 3


@pytest.mark.slice
def test_a_credential_plugin_may_give_a_certificate(access: Access, administrator: str, tmp_path: Path) -> None:
    pair = {
        "clientCertificateData": Path(access.client_cert).read_text(),
        "clientKeyData": Path(access.client_key).read_text(),
    }
    user = plugin(tmp_path / "get-certificate", pair, tmp_path / "runs")
    assert whoami(connect(Connection(kubeconfig=access.with_user(user))))["username"] == administrator


def failing_plugin(access: Access, directory: Path) -> Connection:
    path = directory / "get-token"
    path.write_text("#!/bin/sh\necho 'session has ended: log in again' >&2\nexit 3\n")
    path.chmod(0o755)
    return Connection(kubeconfig=access.with_user({"exec": {"apiVersion": EXEC_API, "command": str(path)}}))


def written(directory: Path, text: str) -> Connection:
    (directory / "written.conf").write_text(text)
    return Connection(kubeconfig=str(directory / "written.conf"))


def foreign_ca(directory: Path) -> str:
    return str(Authority.create(directory / "foreign").certificate)


# What is wrong -> how it is described, the error, and what its text must say.
Wrong = Callable[[Access, Path], Connection]
MISTAKES: dict[str, tuple[Wrong, type[ApiError], str]] = {
    "nothing configured": (
        lambda a, d: Connection(),
        ConfigError,
        "no cluster is configured.*Give kubeconfig",
    ),
    "no such kubeconfig": (
        lambda a, d: Connection(kubeconfig=f"{d}/none"),
        ConfigError,
        "no kubeconfig at .*none",
    ),
    "context without kubeconfig": (lambda a, d: Connection(context="x"), ConfigError, "there is no kubeconfig at"),
    "unknown context": (
        lambda a, d: Connection(kubeconfig=a.content, context="prod"),
        ConfigError,
        'no context "prod": the kubeconfig .* has lab',
    ),
    "no current context": (
        lambda a, d: Connection(kubeconfig={**a.content, "current-context": ""}),
        ConfigError,
        "no current-context: give context .*has lab",
    ),
    "kubeconfig is not YAML": (lambda a, d: written(d, "a: [1\nb: {"), ConfigError, r"is not YAML \(line 2\)"),
    "kubeconfig is a list": (lambda a, d: written(d, "[1, 2]"), ConfigError, "has not the shape of a kubeconfig"),
    "kubeconfig is a directory": (lambda a, d: Connection(kubeconfig=str(d)), ConfigError, "cannot be read"),
    "kubeconfig without cluster": (
        lambda a, d: Connection(kubeconfig={**a.content, "clusters": []}),
        ConfigError,
        "is not usable: .*lab",
    ),
    "CA data that is not base64": (
        lambda a, d: Connection(kubeconfig=kubeconfig({"server": a.server, "certificate-authority-data": "A"}, {})),
        ConfigError,
        "not base64",
    ),
    "missing CA file": (
        lambda a, d: Connection(host=a.server, api_key="x", ca_cert=f"{d}/none.crt"),
        ConfigError,
        "CA file .*none.crt is not usable",
    ),
    "key of another certificate": (
        lambda a, d: Connection(
            host=a.server,
            ca_cert=a.ca,
            client_cert=a.client_cert,
            client_key=str(Authority.create(d / "pki").client("x", "x").key),
        ),
        ConfigError,
        "client certificate and its key are not usable",
    ),
    "host without scheme": (
        lambda a, d: Connection(host=a.server.removeprefix("https://"), api_key="x"),
        ConfigError,
        "must be https://NAME",
    ),
    "host that is none": (
        lambda a, d: Connection(host="https://[::1", api_key="x"),
        ConfigError,
        "must be https://NAME",
    ),
    "kubeconfig with a server that is none": (
        lambda a, d: Connection(kubeconfig=kubeconfig({"server": "nowhere"}, {})),
        ConfigError,
        "must be https://NAME",
    ),
    "plugin that fails": (failing_plugin, ConfigError, 'get-token" failed: .*session has ended: log in again'),
    "plugin that is missing": (
        lambda a, d: Connection(
            kubeconfig=a.with_user({"exec": {"apiVersion": EXEC_API, "command": "no-such-plugin"}})
        ),
        ConfigError,
        '"no-such-plugin" failed: .*No such file',
    ),
    "wrong token": (
        lambda a, d: Connection(host=a.server, api_key="wrong", ca_cert=a.ca),
        Unauthorized,
        "cannot list pods.*missing, wrong or expired",
    ),
    "user and password": (
        lambda a, d: Connection(host=a.server, username="admin", password="hunter2", ca_cert=a.ca),
        Unauthorized,
        "cannot list pods",
    ),
    "wrong CA": (
        lambda a, d: Connection(kubeconfig=a.kubeconfig, ca_cert=foreign_ca(d)),
        UntrustedServer,
        "TLS with https://.* failed: .*certificate verify failed.*Give the CA",
    ),
    "no CA": (
        lambda a, d: Connection(host=a.server, api_key="x"),
        UntrustedServer,
        "certificate verify failed.*Give the CA",
    ),
    "dead port": (
        lambda a, d: Connection(kubeconfig=a.kubeconfig, host="https://127.0.0.1:1"),
        Unreachable,
        "https://127.0.0.1:1 cannot be reached: Connection refused.*Check host",
    ),
    "unknown host": (
        lambda a, d: Connection(host="https://canary.invalid", api_key="x"),
        Unreachable,
        "https://canary.invalid cannot be reached: .*Check host",
    ),
    "dead proxy": (
        lambda a, d: Connection(kubeconfig=a.kubeconfig, proxy="http://127.0.0.1:1"),
        Unreachable,
        "the proxy before https://.* does not let us through: Connection refused",
    ),
}


@pytest.mark.parametrize("mistake", marked(MISTAKES))
def test_each_mistake_is_explained(mistake: str, access: Access, tmp_path: Path) -> None:
    describe, error, text = MISTAKES[mistake]
    with pytest.raises(error, match=text) as raised:
        connect(describe(access, tmp_path)).get("/api/v1/namespaces/default/pods")
    assert type(raised.value) is error


@pytest.mark.slice
def test_no_proxy_goes_around_the_proxy(access: Access, administrator: str) -> None:
    host = access.server.removeprefix("https://").rpartition(":")[0]
    options = Connection(kubeconfig=access.kubeconfig, proxy="http://127.0.0.1:1", no_proxy=host)
    assert whoami(connect(options))["username"] == administrator


@pytest.mark.slice
def test_keys_given_inline_are_not_left_on_the_disk(
    access: Access, administrator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    for _time in range(2):
        with connect(Connection(kubeconfig=access.content)) as api:
            assert list((tmp_path / "tmp").iterdir()) == []
            assert whoami(api)["username"] == administrator


SECRETS = ("s3cret-token", "s3cret-password", "s3cret-proxy", "s3cret-header")
SECRETIVE: dict[str, Callable[[Access], Connection]] = {
    "api_key": lambda a: Connection(host=a.server, ca_cert=a.ca, api_key=SECRETS[0]),
    "password": lambda a: Connection(host=a.server, ca_cert=a.ca, username="ana", password=SECRETS[1]),
    "kubeconfig token": lambda a: Connection(kubeconfig=a.with_user({"token": SECRETS[0]})),
    "host with a password": lambda a: Connection(
        host=a.server.replace("https://", f"https://ana:{SECRETS[1]}@"), ca_cert=a.ca, api_key=SECRETS[0]
    ),
    "dead host with a password": lambda a: Connection(host=f"https://ana:{SECRETS[1]}@127.0.0.1:1", api_key="x"),
    "proxy with a password": lambda a: Connection(
        kubeconfig=a.kubeconfig,
        proxy=f"http://ana:{SECRETS[2]}@127.0.0.1:1",
        proxy_headers={"proxy_basic_auth": f"ana:{SECRETS[3]}"},
    ),
    "broken kubeconfig": lambda a: Connection(kubeconfig={"current-context": "x", "users": [{"token": SECRETS[0]}]}),
}


@pytest.mark.parametrize("case", marked(SECRETIVE))
def test_secrets_show_in_no_text(case: str, access: Access) -> None:
    options = SECRETIVE[case](access)
    texts = [repr(options), str(options)]
    with pytest.raises(ApiError) as raised:
        api = connect(options)
        texts += [repr(api), repr(api._session)]
        api.get("/api/v1/namespaces/default/pods")
    texts += [str(raised.value), repr(raised.value), *traceback.format_exception(raised.value)]
    assert not [text for text in texts for secret in SECRETS if secret in text]


def test_a_broken_kubeconfig_file_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        connect(written(tmp_path, f"users:\n- user: {{token: {SECRETS[0]}\n: ["))
    assert SECRETS[0] not in "".join(traceback.format_exception(raised.value))


@pytest.mark.slice
def test_tls_is_verified_unless_somebody_says_otherwise(access: Access, tmp_path: Path) -> None:
    content = kubeconfig({"server": access.server}, {"token": "x"})
    with pytest.raises(TlsFailed):
        connect(Connection(kubeconfig=content)).get("/version")
