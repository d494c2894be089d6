# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials that change while somebody waits, and programs that give them."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster import connection as connection_module
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.client import Session
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.credentials import (
    FILE_SECONDS,
    Certificate,
    Credentials,
    Plugin,
    TokenFile,
)
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ConfigError, Unauthorized
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.kubeconfig import Server as Address
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.waiting import AWAY
from tests.cluster.certificates import Authority
from tests.unit.cluster_room.test_kubeconfig import V1, kubeconfig
from tests.unit.probes.serving import send, serving


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Server:
    """Knows one token. `asked`: method and token of each request."""

    def __init__(self, accepted: str) -> None:
        self.accepted = accepted
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        request.rfile.read(length)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.asked.append((request.command, token))
        if token == self.accepted:
            send(request, b"{}")
        else:
            send(request, json.dumps({"kind": "Status", "code": 401, "message": "Unauthorized"}).encode(), 401)


class Rotating(Credentials):
    found = Certificate("one", "key")

    def certificate(self) -> Certificate:
        return self.found


@dataclass
class Pool:
    """Notes by which certificate each request goes."""

    given: Certificate | None
    used: list[str]
    proxy: None = None

    def connection_from_url(self, url: str) -> Pool:
        return self

    def request(self, method: str, target: str) -> None:
        assert self.given is not None
        self.used.append(self.given.certificate)


class Interrupted(Session):
    """`meanwhile`: what another thread does as soon as this one has found its way to the server."""

    meanwhile: Callable[[], None] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "_straight" and self.meanwhile is not None:
            does, self.meanwhile = self.meanwhile, None
            does()


@contextmanager
def api_of(server: Server, user: dict[str, Any]) -> Iterator[Api]:
    with serving(server) as url, connect(Connection(kubeconfig=kubeconfig({"server": url}, user))) as api:
        yield api


class TestTokenFile:
    def test_it_is_read_again_about_once_a_minute(self, tmp_path: Path) -> None:
        path, time = tmp_path / "token", Time()
        path.write_text("one\n")
        file = TokenFile(str(path), clock=time)
        assert file.authorization() == "Bearer one"
        path.write_text("two")
        assert file.authorization() == "Bearer one"
        time.seconds += FILE_SECONDS
        assert file.authorization() == "Bearer two"

    def test_while_it_is_away_or_empty_what_was_read_counts(self, tmp_path: Path) -> None:
        path, time = tmp_path / "token", Time()
        path.write_text("one")
        file = TokenFile(str(path), clock=time)
        file.authorization()
        for change in (path.unlink, lambda: path.write_text(" \n"), lambda: path.write_bytes(b"\xff")):
            change()
            time.seconds += FILE_SECONDS
            assert file.authorization() == "Bearer one"
        path.write_text("two")
        assert file.authorization() == "Bearer two"

    @pytest.mark.parametrize(
        ("content", "says"), [(None, "No such file"), (b"", "it is empty"), (b"\xff", "it is no text")]
    )
    def test_one_that_was_never_there_is_told(self, content: bytes | None, says: str, tmp_path: Path) -> None:
        if content is not None:
            (tmp_path / "token").write_bytes(content)
        with pytest.raises(ConfigError, match=f"{tmp_path}/token cannot be used: {says}"):
            connect(
                Connection(kubeconfig=kubeconfig({"server": "http://127.0.0.1:1"}, {"tokenFile": f"{tmp_path}/token"}))
            )

    def test_after_a_401_it_is_read_at_once_and_the_request_sent_again(self, tmp_path: Path) -> None:
        path, server = tmp_path / "token", Server("one")
        path.write_text("one")
        with api_of(server, {"tokenFile": str(path)}) as api:
            api.get("/version")
            path.write_text("two")
            server.accepted = "two"
            api.patch("/api/v1/namespaces/x", {}, PatchKind.MERGE)
        assert server.asked == [("GET", "one"), ("PATCH", "one"), ("PATCH", "two")]

    def test_a_401_stays_one_where_there_is_nothing_newer(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("one")
        server = Server("other")
        with api_of(server, {"tokenFile": f"{tmp_path}/token"}) as api, pytest.raises(Unauthorized):
            api.get("/version")
        assert len(server.asked) == 1

    def test_a_watch_goes_on_with_the_newer_one(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("one")
        server = Server("two")
        with api_of(server, {"tokenFile": f"{tmp_path}/token"}) as api:
            api._session.headers()
            (tmp_path / "token").write_text("two")
            with api.watch("/api/v1/pods", seconds=1):
                pass
        assert server.asked == [("GET", "one"), ("GET", "two")]

    def test_that_of_a_pod_is_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Authority.create(tmp_path / "pki").certificate.rename(tmp_path / "ca.crt")
        (tmp_path / "token").write_text("of-the-pod")
        monkeypatch.setattr(connection_module, "SERVICE_ACCOUNT_TOKEN", str(tmp_path / "token"))
        monkeypatch.setattr(connection_module, "DEFAULT_KUBECONFIG", str(tmp_path / "none"))
        monkeypatch.delenv("KUBECONFIG", raising=False)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
        with connect(Connection()) as api:
            assert api.server == "https://[fd00::1]:6443"
            assert api._session.headers()["Authorization"] == "Bearer of-the-pod"
            assert isinstance(api._session._credentials, TokenFile)


NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
Given = Callable[..., dict[str, Any]]


@pytest.fixture
def plugin(tmp_path: Path) -> Given:
    """A user whose program writes what `answer` has, notes each run and what it was told, and says what `fails` has."""

    def make(status: Any = None, *, answer: Any = None, fails: str = "", **more: Any) -> dict[str, Any]:
        path = tmp_path / "get-token"
        credential = {"apiVersion": V1, "kind": "ExecCredential", "status": status} if answer is None else answer
        text = credential if isinstance(credential, str) else json.dumps(credential)
        (tmp_path / "answer").write_text(text)
        end = f"echo '{fails}' >&2; exit 3" if fails else f"cat {tmp_path}/answer"
        path.write_text(
            f'#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" >> {tmp_path}/told\necho "$MODE $*" >> {tmp_path}/runs\n{end}\n'
        )
        path.chmod(0o755)
        return {"exec": {"apiVersion": V1, "command": str(path), "interactiveMode": "Never", **more}}

    return make


def runs(directory: Path) -> int:
    return len((directory / "runs").read_text().splitlines())


class TestPlugin:
    def test_it_is_given_what_it_is_to_be_given(self, plugin: Given, tmp_path: Path) -> None:
        user = plugin({"token": "t"}, args=["a", "b"], env=[{"name": "MODE", "value": "m"}], provideClusterInfo=True)
        (tmp_path / "ca").write_text("PEM")
        cluster = {
            "server": "http://127.0.0.1:1",
            "certificate-authority": f"{tmp_path}/ca",
            "tls-server-name": "web",
            "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}],
        }
        with connect(Connection(kubeconfig=kubeconfig(cluster, user))):
            pass
        assert (tmp_path / "runs").read_text() == "m a b\n"
        assert json.loads((tmp_path / "told").read_text()) == {
            "kind": "ExecCredential",
            "apiVersion": V1,
            "spec": {
                "interactive": False,
                "cluster": {
                    "server": "http://127.0.0.1:1",
                    "tls-server-name": "web",
                    "certificate-authority-data": "UEVN",
                    "config": {"audience": "x"},
                },
            },
        }

    def test_it_is_told_nothing_of_the_cluster_unless_it_is_to_be(self, plugin: Given, tmp_path: Path) -> None:
        Plugin(plugin({"token": "t"})["exec"], {"server": "x"}).authorization()
        assert json.loads((tmp_path / "told").read_text())["spec"] == {"interactive": False}

    def test_it_is_run_again_when_what_it_gave_has_expired(self, plugin: Given, tmp_path: Path) -> None:
        moment = [NOW]
        spec = plugin({"token": "one", "expirationTimestamp": "2026-01-01T00:00:10.123456789Z"})["exec"]
        credentials = Plugin(spec, {}, now=lambda: moment[0])
        for seconds, number in ((0, 1), (10, 1), (11, 2), (12, 3)):
            moment[0] = NOW + timedelta(seconds=seconds)
            assert credentials.authorization() == "Bearer one"
            assert runs(tmp_path) == number

    def test_it_is_run_again_after_a_401(self, plugin: Given, tmp_path: Path) -> None:
        server = Server("two")
        user = plugin({"token": "one"})
        with api_of(server, user) as api:
            plugin({"token": "two"})
            api.get("/version")
        assert server.asked == [("GET", "one"), ("GET", "two")]
        assert runs(tmp_path) == 2

    def test_a_certificate_that_it_renews_is_used(self, plugin: Given, tmp_path: Path) -> None:
        authority = Authority.create(tmp_path / "pki")

        def status(name: str) -> dict[str, str]:
            pair = authority.client(name, name)
            return {"clientCertificateData": pair.certificate.read_text(), "clientKeyData": pair.key.read_text()}

        content = kubeconfig({"server": "https://127.0.0.1:1"}, plugin(status("one")))
        with connect(Connection(kubeconfig=content)) as api:
            first = api._session.pool
            assert api._session.pool is first
            plugin(status("two"))
            assert api._session.renew()
            assert api._session.pool is not first
            assert not api._session.renew()

    def test_a_request_goes_by_the_certificate_that_it_found_whatever_another_thread_finds(self) -> None:
        used: list[str] = []
        rotating = Rotating()
        session = Interrupted(Address("https://127.0.0.1:1"), rotating, {}, lambda found: Pool(found, used))

        def meanwhile() -> None:
            rotating.found = Certificate("two", "key")
            session.request("GET", "/version")

        session.meanwhile = meanwhile
        session.request("GET", "/version")
        assert used == ["two", "one"]

    @pytest.mark.parametrize(
        ("status", "more", "says"),
        [
            ({}, {}, "neither a token nor a certificate"),
            (None, {}, "it gave no status"),
            ({"clientCertificateData": "x"}, {}, "a certificate or a key, and not both"),
            ({"token": "s3cret-one", "expirationTimestamp": "soon"}, {}, "no time as in RFC 3339"),
            (None, {"answer": "s3cret-two"}, "no ExecCredential in JSON"),
            (None, {"answer": "[" * 100_000}, "no ExecCredential in JSON"),
            (None, {"answer": []}, "no ExecCredential in JSON"),
            (None, {"answer": {"kind": "ExecCredential", "apiVersion": "v0"}}, f"no ExecCredential of {V1}"),
            (None, {"fails": "log in again, s3cret-arg: s3cret-env"}, r"ended with 3: log in again, \*+: \*+"),
            (
                None,
                {"fails": "got token=s3cret-new, Authorization: Bearer s3cret-header"},
                r"got token=\*+, Authorization: \*+",
            ),
            (
                None,
                {"command": "no-such-plugin", "installHint": "run the installer"},
                "No such file.*; run the installer",
            ),
            (None, {"command": "a\0b"}, "cannot be run"),
        ],
    )
    def test_what_goes_wrong_is_told_without_secrets(self, status: Any, more: Any, says: str, plugin: Given) -> None:
        env = [{"name": "AWS_SECRET_ACCESS_KEY", "value": "s3cret-env"}]
        user = plugin(status, args=["s3cret-arg"], env=env, **more)
        with pytest.raises(ConfigError, match=f"failed: .*{says}.*Run it by hand") as raised:
            connect(Connection(kubeconfig=kubeconfig({"server": "http://127.0.0.1:1"}, user)))
        told = "".join(traceback.format_exception(raised.value)).partition("ConfigError")[2]
        assert "s3cret" not in told

    @pytest.mark.parametrize("refused", [False, True], ids=["expired", "refused by the server"])
    def test_where_it_fails_once_it_has_given_some_the_cluster_is_away_until_it_gives_others(
        self, refused: bool, plugin: Given
    ) -> None:
        server = Server("two" if refused else "one")
        lasts = {} if refused else {"expirationTimestamp": "2026-01-01T00:00:00Z"}
        with api_of(server, plugin({"token": "one", **lasts})) as api:
            plugin(fails="ThrottlingException")
            with pytest.raises(AWAY, match="failed: it ended with 3: ThrottlingException"):
                api.get("/version")
            plugin({"token": "two"})
            server.accepted = "two"
            api.get("/version")

    def test_an_option_comes_before_it(self, plugin: Given, tmp_path: Path) -> None:
        content = kubeconfig({"server": "http://127.0.0.1:1"}, plugin({"token": "t"}))
        with connect(Connection(kubeconfig=content, api_key="mine\n")) as api:
            assert api._session.headers()["Authorization"] == "Bearer mine"
        assert not (tmp_path / "runs").exists()
