# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which proxy is used, if any, and what it is told."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ConfigError
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.kubeconfig import Server
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.proxies import proxy_for
from tests.unit.cluster_room.test_kubeconfig import kubeconfig
from tests.unit.probes.serving import send, serving

WEB, FILE = "https://web.example:6443", "http://file:1"


@pytest.mark.parametrize(
    ("server", "options", "environ", "expected"),
    [
        (Server(WEB), {}, {}, None),
        (Server(WEB), {"proxy": "http://option:1"}, {"HTTPS_PROXY": "http://env:1"}, "http://option:1"),
        (Server(WEB, proxy=FILE), {"proxy": "http://option:1"}, {}, "http://option:1"),
        (Server(WEB, proxy=FILE), {}, {"HTTPS_PROXY": "http://env:1", "NO_PROXY": "*"}, FILE),
        (Server(WEB, proxy=FILE), {"no_proxy": "example"}, {}, None),
        (Server(WEB), {}, {"HTTPS_PROXY": "http://env:1"}, "http://env:1"),
        (Server(WEB), {}, {"https_proxy": "env:1"}, "http://env:1"),
        (Server(WEB), {}, {"HTTP_PROXY": "http://env:1"}, None),
        (Server("http://web"), {}, {"HTTP_PROXY": "http://env:1"}, "http://env:1"),
        (Server(WEB), {}, {"HTTPS_PROXY": "http://env:1", "no_proxy": "a, .example"}, None),
        (Server(WEB), {"proxy": "http://option:1"}, {"NO_PROXY": "web.example:6443"}, None),
        (Server(WEB), {"proxy": "http://option:1"}, {"NO_PROXY": "web.example:443,eb.example"}, "http://option:1"),
        (Server("https://10.1.2.3"), {"proxy": "http://option:1", "no_proxy": "10.0.0.0/8"}, {}, None),
        (Server("https://11.1.2.3"), {"proxy": "http://option:1", "no_proxy": "10.0.0.0/8"}, {}, "http://option:1"),
        (Server("https://127.0.0.1:1"), {}, {"HTTPS_PROXY": "http://env:1"}, None),
        (Server("https://127.0.0.1:1", proxy=FILE), {}, {}, FILE),
        (Server(WEB, proxy="socks5://file:1"), {}, {}, "socks5://file:1"),
    ],
)
def test_the_nearest_word_counts(server: Server, options: Any, environ: dict[str, str], expected: str | None) -> None:
    found = proxy_for(server, Connection(**options), environ)
    assert (found and found.url) == expected


def test_clusters_behind_one_address_are_told_apart_and_users_of_one_are_not() -> None:
    """By a path, as those of Rancher, by a name in TLS, as those of Teleport, or by the proxy before them."""
    address = "https://clusters.example"
    different = [
        {"server": address},
        {"server": f"{address}/k8s/clusters/eu"},
        {"server": f"{address}/k8s/clusters/us"},
        {"server": address, "tls-server-name": "eu.example"},
        {"server": address, "proxy-url": "http://eu:3128"},
    ]
    ana, ben = ([connect(Connection(kubeconfig=kubeconfig(one, {"token": of}))) for one in different] for of in "ab")
    assert len({api.cluster for api in ana}) == len(different)
    assert [api.cluster for api in ana] == [api.cluster for api in ben]
    assert {api.server for api in ana} == {address}


@pytest.mark.parametrize(
    "address",
    [
        "proxy:3128",
        "proxy",
        "//proxy",
        "http://",
        "http://a b",
        "http://[",
        "http://p:0",
        "http://p:99999",
        "\n",
        "ftp://p",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(ConfigError, match="must be http://NAME:PORT"):
        proxy_for(Server(WEB), Connection(proxy=address), {})


@pytest.mark.parametrize("text", ["a\nb", "日本", "a\0"])
def test_headers_that_cannot_be_sent_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="HTTP cannot carry"):
        proxy_for(Server(WEB), Connection(proxy="http://p", proxy_headers={"user_agent": text}), {})


def test_a_proxy_of_the_kubeconfig_is_used_and_told_its_user() -> None:
    got: list[tuple[str, str]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        got.append((request.path, request.headers.get("Proxy-Authorization", "")))
        send(request, b"{}")

    with serving(answer) as proxy:
        cluster = {"server": "http://web.invalid", "proxy-url": proxy.replace("//", "//ann:p%40ss@")}
        with connect(Connection(kubeconfig=kubeconfig(cluster))) as api:
            api.get("/version")
    assert got == [("http://web.invalid/version", "Basic YW5uOnBAc3M=")]
