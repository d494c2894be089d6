# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every field of a kubeconfig does what it does with kubectl, or is refused; none is dropped in silence."""

from __future__ import annotations

import base64
import importlib.util
import re
import ssl
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import kubernetes
import kubernetes.client.rest
import kubernetes.config.kube_config
import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ConfigError, UntrustedServer
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.kubeconfig import (
    FIELDS,
    Impersonation,
    read_kubeconfig,
)
from tests.cluster.certificates import Authority
from tests.unit.probes.serving import send, serving

# The fields of each type in k8s.io/client-go v0.37.2, tools/clientcmd/api/v1/types.go, by their names in JSON.
FIELDS_OF_GO = {
    "Config": "kind apiVersion preferences clusters users contexts current-context extensions",
    "Preferences": "colors extensions",
    "Cluster": "server tls-server-name insecure-skip-tls-verify certificate-authority certificate-authority-data proxy-url"
    " disable-compression extensions",
    "AuthInfo": "client-certificate client-certificate-data client-key client-key-data token tokenFile as as-uid as-groups"
    " as-user-extra username password auth-provider exec extensions",
    "Context": "cluster user namespace extensions",
    "NamedCluster": "name cluster",
    "NamedContext": "name context",
    "NamedAuthInfo": "name user",
    "NamedExtension": "name extension",
    "AuthProviderConfig": "name config",
    "ExecConfig": "command args env apiVersion installHint provideClusterInfo interactiveMode",
    "ExecEnvVar": "name value",
}
GO_MODULES = "k8s.io/client-go@v0.37.2/tools/clientcmd/api/v1/types.go"
V1 = "client.authentication.k8s.io/v1"


def kubeconfig(cluster: Mapping[str, Any], user: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "current-context": "web",
        "clusters": [{"name": "web", "cluster": dict(cluster)}],
        "contexts": [{"name": "web", "context": {"cluster": "web", "user": "web"}}],
        "users": [{"name": "web", "user": dict(user or {})}],
        **more,
    }


def test_the_table_has_every_field_of_the_type() -> None:
    assert {kind: set(fields) for kind, fields in FIELDS.items()} == {
        kind: set(names.split()) for kind, names in FIELDS_OF_GO.items()
    }


def test_the_fields_are_those_of_the_source_where_it_is_here() -> None:
    """The module cache of Go, which the test cluster's programs are built from."""
    path = Path("~/go/pkg/mod").expanduser() / GO_MODULES
    if not path.exists():
        pytest.skip("client-go is not in Go's module cache")
    found = {
        name: set(re.findall(r'json:"([^",]+)', body))
        for name, body in re.findall(r"^type (\w+) struct \{(.*?)^\}", path.read_text(encoding="utf-8"), re.M | re.S)
    }
    assert found == {kind: set(names.split()) for kind, names in FIELDS_OF_GO.items()}


def headers_of(
    user: Mapping[str, Any], cluster: Mapping[str, Any] | None = None, **options: Any
) -> dict[str, list[str]]:
    """What the server gets, names in lower case."""
    got: dict[str, list[str]] = {}

    def answer(request: BaseHTTPRequestHandler) -> None:
        for name, text in request.headers.items():
            got.setdefault(name.lower(), []).append(text)
        send(request, b"{}")

    with serving(answer) as url:
        content = kubeconfig({"server": url, **(cluster or {})}, user)
        with connect(Connection(kubeconfig=content, **options)) as api:
            api.get("/version")
    return got


AS = {
    "as": "ana",
    "as-uid": "u-1",
    "as-groups": ["canary", "web"],
    "as-user-extra": {"Scopes": ["a", "b"], "example.com/a b": ["c"]},
}


def test_impersonation_reaches_the_server_with_all_that_belongs_to_it() -> None:
    got = headers_of({"token": "t", **AS})
    assert got["impersonate-user"] == ["ana"]
    assert got["impersonate-uid"] == ["u-1"]
    assert got["impersonate-group"] == ["canary", "web"]
    assert got["impersonate-extra-scopes"] == ["a", "b"]
    assert got["impersonate-extra-example.com%2fa%20b"] == ["c"]
    assert got["authorization"] == ["Bearer t"]


def test_whom_an_option_names_is_not_given_the_groups_of_the_file() -> None:
    got = headers_of(AS, impersonate_user="bob")
    assert got["impersonate-user"] == ["bob"]
    assert not {name for name in got if name.startswith("impersonate-")} - {"impersonate-user"}
    assert headers_of(AS, impersonate_groups=("only",))["impersonate-group"] == ["only"]


@pytest.mark.parametrize(
    ("user", "authorization"),
    [
        ({}, None),
        ({"token": "text"}, "Bearer text"),
        ({"token": "text\n"}, "Bearer text"),
        ({"tokenFile": "FILE"}, "Bearer of-file"),
        ({"token": "text", "tokenFile": "FILE"}, "Bearer of-file"),
        ({"token": "text", "tokenFile": "/nowhere"}, "Bearer text"),
        ({"username": "ann", "password": "p"}, "Basic YW5uOnA="),
        (
            {"token": "text", "exec": {"command": "/nowhere", "apiVersion": V1, "interactiveMode": "Never"}},
            "Bearer text",
        ),
    ],
)
def test_the_credentials_that_count_are_those_that_count_for_kubectl(
    user: dict[str, Any], authorization: str | None, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("of-file\n")
    given = {key: str(tmp_path / "token") if value == "FILE" else value for key, value in user.items()}
    assert headers_of(given).get("authorization", [None]) == [authorization]


def test_compression_is_not_asked_for_where_it_is_disabled() -> None:
    assert headers_of({})["accept-encoding"] == ["gzip"]
    assert headers_of({}, {"disable-compression": True}).get("accept-encoding", ["identity"]) == ["identity"]


def test_what_is_harmless_changes_nothing() -> None:
    more = {
        "preferences": {"colors": True},
        "extensions": [{"name": "x", "extension": {"a": 1}}],
        "kind": "Config",
        "apiVersion": "v1",
    }
    plain = kubeconfig({"server": "https://web"})
    context = {"cluster": "web", "user": "web", "namespace": "elsewhere", "extensions": []}
    rich = {**plain, **more, "contexts": [{"name": "web", "context": context}]}
    found, expected = read_kubeconfig(rich, None), read_kubeconfig(plain, None)
    assert (found.server, found.warnings) == (expected.server, ())


@pytest.mark.parametrize(
    ("cluster", "user", "more", "says"),
    [
        ({}, {"as-groups": ["a"]}, {}, "without as"),
        ({}, {"as-uid": "1"}, {}, "without as"),
        ({}, {"as-user-extra": {"a": ["b"]}}, {}, "without as"),
        ({}, {"as": "x", "as-groups": "system:masters"}, {}, "as-groups is no list"),
        ({}, {"as": "x", "as-user-extra": {"a": "b"}}, {}, "value that is no list"),
        ({}, {"as": ["x"]}, {}, "as is no text"),
        ({}, {"token": "s3cret", "password": "s3cret"}, {}, "a token and a password"),
        ({}, {"client-certificate-data": base64.b64encode(b"x").decode()}, {}, "without the key"),
        ({}, {"exec": {"command": "x", "apiVersion": V1}, "auth-provider": {"name": "oidc"}}, {}, "exec and auth-provider"),
        ({}, {"auth-provider": {"name": "gcp", "config": {}}}, {}, "none that is supported"),
        ({}, {"auth-provider": "s3cret"}, {}, "none that is supported"),
        ({}, {"auth-provider": {"name": "oidc", "config": "s3cret"}}, {}, "a config that is no dictionary"),
        ({}, {"auth-provider": {"name": "oidc", "config": [["s3cret", "x"]]}}, {}, "a config that is no dictionary"),
        ({}, {"tokenFile": "s3cret"}, {}, "its name is not shown"),
        ({}, {"tokenFile": "eyJhbGciOiJI.eyJpc3MiOiJrdWJl.s3cret"}, {}, "its name is not shown"),
        ({}, {"client-certificate": "/x.crt", "client-key": "-----BEGIN PRIVATE KEY-----\ns3cret"}, {}, "its name is not shown"),
        ({"certificate-authority": "-----BEGIN CERTIFICATE-----\ns3cret"}, {}, {}, "its name is not shown"),
        ({}, {"exec": {"apiVersion": V1}}, {}, "names no command"),
        ({}, {"exec": "s3cret"}, {}, "names no command"),
        ({}, {"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1alpha1"}}, {}, "must have apiVersion"),
        ({}, {"exec": {"command": "x", "apiVersion": V1, "interactiveMode": "Always"}}, {}, "somebody to type"),
        ({}, {"exec": {"command": "x", "apiVersion": V1, "interactiveMode": "Maybe"}}, {}, "interactiveMode that is none"),
        ({}, {"exec": {"command": "x", "apiVersion": V1, "env": [{"value": "s3cret"}]}}, {}, "variable without a name"),
        ({}, {"exec": {"command": "x", "apiVersion": V1, "args": "s3cret"}}, {}, "no list"),
        ({"insecure-skip-tls-verify": True, "certificate-authority": "/ca"}, {}, {}, "leave one out"),
        ({"insecure-skip-tls-verify": "true"}, {}, {}, "neither true nor false"),
        ({"certificate-authority-data": "s3cret!"}, {}, {}, "not base64"),
        ({"proxy-url": "proxy:3128"}, {}, {}, "must be http://NAME:PORT"),
        ({"proxy-url": "ftp://ann:s3cret@proxy"}, {}, {}, "must be http://NAME:PORT"),
        ({"proxy-url": "socks5://ann:s3cret@127.0.0.1:1"}, {}, {}, "needs PySocks"),
        ({"server": "https://a b"}, {}, {}, "must be https://NAME"),
        ({"server": "https://a/\ts3cret"}, {}, {}, "must be https://NAME"),
        ({}, {}, {"kind": "Secret"}, "no Config of v1"),
        ({}, {}, {"apiVersion": "v2"}, "no Config of v1"),
        ({}, {}, {"current-context": ["s3cret"]}, "current-context is no text"),
        ({}, {}, {"current-context": {"s3cret": 1}}, "current-context is no text"),
        ({}, {}, {"users": []}, 'names the user "web"'),
        ({}, {}, {"clusters": []}, 'names the cluster "web"'),
        ({}, {}, {"users": "s3cret"}, "has not the shape"),
        ({}, {}, {"users": ["s3cret"]}, "has not the shape"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_and_not_quoted(
    cluster: dict[str, Any], user: dict[str, Any], more: dict[str, Any], says: str
) -> None:
    if "PySocks" in says and importlib.util.find_spec("socks"):
        pytest.skip("PySocks is installed")
    with pytest.raises(ConfigError, match=says) as refused:
        connect(Connection(kubeconfig=kubeconfig({"server": "https://127.0.0.1:1", **cluster}, user, **more)))
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_field_that_no_type_has_is_told_and_a_secret_that_stands_for_one_is_not() -> None:
    with serving(lambda request: send(request, b"{}")) as url:
        content = kubeconfig(
            {"server": url, "insecure-skip-tls-verfy": True}, {"tokenfile": "/x", "s3cret 1": 1}, context="x"
        )
        with connect(Connection(kubeconfig=content)) as api:
            told = " ".join(api.warnings)
    assert 'the field "insecure-skip-tls-verfy", which no Cluster has' in told
    assert 'the field "tokenfile", which no AuthInfo has' in told
    assert 'the field "context", which no Config has' in told
    assert "s3cret" not in told


class TestSeveralFiles:
    """client-go, tools/clientcmd/loader.go."""

    def write(self, path: Path, content: Any) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    def test_missing_and_empty_ones_are_left_out(self, tmp_path: Path) -> None:
        empty = self.write(tmp_path / "empty", "")
        only = self.write(tmp_path / "only", kubeconfig({"server": "https://web"}))
        for paths in (
            (empty, only),
            (only, empty),
            (tmp_path / "missing", only),
            (only, tmp_path / "missing"),
            ("", only),
        ):
            assert read_kubeconfig(":".join(map(str, paths)), None).server.address == "https://web"

    def test_one_that_cannot_be_read_is_not(self, tmp_path: Path) -> None:
        only = self.write(tmp_path / "only", kubeconfig({"server": "https://web"}))
        broken = self.write(tmp_path / "broken", "users: [\n  token: s3cret\n {")
        odd = self.write(tmp_path / "odd", "users: [!!timestamp s3cret, !!bool s3cret]\n")
        for path, says in (
            (broken, r"broken is not YAML \(line"),
            (odd, "odd holds a value that YAML does not know"),
            (tmp_path, "cannot be read"),
        ):
            with pytest.raises(ConfigError, match=says) as refused:
                read_kubeconfig(f"{only}:{path}", None)
            assert "s3cret" not in str(refused.value)

    def test_none_at_all_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="there is no kubeconfig at"):
            read_kubeconfig(f"{tmp_path}/a:{tmp_path}/b", None)
        empty = self.write(tmp_path / "empty", "")
        with pytest.raises(ConfigError, match=r"no current-context: give context .*has none"):
            read_kubeconfig(str(empty), None)

    def test_the_first_counts_whole(self, tmp_path: Path) -> None:
        first = kubeconfig({"server": "https://first"}, {"token": "first"})
        second = kubeconfig({"server": "https://second", "proxy-url": "http://p:1"}, {"token": "second", "as": "root"})
        second["contexts"].append({"name": "other", "context": {"cluster": "web"}})
        second["current-context"] = "other"
        paths = ":".join(str(self.write(tmp_path / name, each)) for name, each in (("1", first), ("2", second)))
        found = read_kubeconfig(paths, None)
        assert (found.server.address, found.server.proxy) == ("https://first", "")
        assert (found.user.credentials.authorization(), found.user.impersonation) == ("Bearer first", Impersonation())
        assert read_kubeconfig(paths, "other").server.address == "https://first"

    def test_an_empty_current_context_gives_way_to_the_next(self, tmp_path: Path) -> None:
        first, second = {**kubeconfig({"server": "https://a"}), "current-context": ""}, {"current-context": "web"}
        paths = ":".join(str(self.write(tmp_path / name, each)) for name, each in (("1", first), ("2", second)))
        assert read_kubeconfig(paths, None).server.address == "https://a"

    def test_paths_are_relative_to_the_file_that_has_them(self, tmp_path: Path) -> None:
        (tmp_path / "here").mkdir()
        (tmp_path / "here" / "token").write_text("near")
        user = {"tokenFile": "token", "client-certificate": "crt", "client-key": "../key"}
        cluster = {"server": "https://web", "certificate-authority": "ca"}
        path = self.write(tmp_path / "here" / "config", kubeconfig(cluster, user))
        found = read_kubeconfig(f"{tmp_path}/missing:{path}", None)
        assert found.server.ca.path == f"{tmp_path}/here/ca"
        assert (found.user.certificate.path, found.user.key.path) == (f"{tmp_path}/here/crt", f"{tmp_path}/here/../key")
        assert found.user.credentials.authorization() == "Bearer near"

    def test_a_plugin_is_relative_only_where_it_is_a_path(self, tmp_path: Path) -> None:
        for command, expected in (("./get-token", f"{tmp_path}/./get-token"), ("get-token", "get-token")):
            user = {"exec": {"command": command, "apiVersion": V1}}
            path = self.write(tmp_path / "config", kubeconfig({"server": "https://web"}, user))
            assert read_kubeconfig(str(path), None).user.credentials.name == expected  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("pki") / "ca")


Tls = Callable[[Authority], tuple[dict[str, Any], dict[str, Any]]]


def text_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


@pytest.mark.parametrize(
    ("cluster", "options", "trusted"),
    [
        ({"certificate-authority": "CA", "tls-server-name": "web.example"}, {}, True),
        ({"certificate-authority-data": "DATA", "tls-server-name": "web.example"}, {}, True),
        (
            {"certificate-authority-data": "DATA", "certificate-authority": "/no", "tls-server-name": "web.example"},
            {},
            True,
        ),
        ({"certificate-authority": "CA"}, {}, False),
        ({"certificate-authority": "CA", "tls-server-name": "other.example"}, {}, False),
        ({"tls-server-name": "web.example"}, {}, False),
        ({"insecure-skip-tls-verify": True}, {}, True),
        ({"insecure-skip-tls-verify": True, "tls-server-name": "other.example"}, {}, True),
        ({"insecure-skip-tls-verify": True}, {"validate_certs": True}, False),
        ({"certificate-authority": "CA"}, {"validate_certs": False}, True),
    ],
)
def test_the_server_is_trusted_as_the_cluster_says(
    cluster: dict[str, Any], options: dict[str, Any], trusted: bool, authority: Authority
) -> None:
    pair = authority.server("web", ["DNS:web.example"])
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.sni_callback = lambda socket, name, context: names.append(name)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            send(self, b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    places = {"CA": str(authority.certificate), "DATA": text_of(authority.certificate)}
    given = {key: places.get(value, value) if isinstance(value, str) else value for key, value in cluster.items()}
    content = kubeconfig({"server": f"https://127.0.0.1:{server.server_port}", **given})
    try:
        with connect(Connection(kubeconfig=content, **options)) as api:
            if trusted:
                assert api.get("/version") == {}
            else:
                with pytest.raises(UntrustedServer):
                    api.get("/version")
        assert names[-1] == cluster.get("tls-server-name")
    finally:
        server.shutdown()
        server.server_close()


def test_keys_given_as_data_are_used_and_not_left_on_the_disk(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pair = authority.client("ann", "ann")
    user = {"client-certificate-data": text_of(pair.certificate), "client-key-data": text_of(pair.key)}
    with connect(Connection(kubeconfig=kubeconfig({"server": "https://127.0.0.1:1"}, user))):
        assert list(tmp_path.iterdir()) == []
    wrong = {**user, "client-key-data": text_of(authority.client("bob", "bob").key)}
    with pytest.raises(ConfigError, match="client certificate and its key are not usable"):
        connect(Connection(kubeconfig=kubeconfig({"server": "https://127.0.0.1:1"}, wrong)))


def test_the_library_decides_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its versions differ: 24.2 knows no proxy-url, 36 goes round it, none impersonates."""
    for module, name in (
        (kubernetes.config.kube_config, "KubeConfigLoader"),
        (kubernetes.client.rest, "RESTClientObject"),
    ):
        monkeypatch.setattr(module, name, None)
    content = kubeconfig({"server": "https://web", "proxy-url": "http://127.0.0.1:1"}, {"as": "ana"})
    with connect(Connection(kubeconfig=content)) as api:
        assert api._session.pool.proxy.url == "http://127.0.0.1:1"
        assert api._session.headers()["Impersonate-User"] == "ana"
