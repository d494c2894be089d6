# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server is reached through a proxy, and through which: option, kubeconfig, environment, in this order.

As with kubectl, what the kubeconfig names is not bypassed by the environment's no_proxy, and the environment's proxy is not
used for this machine itself (golang.org/x/net/http/httpproxy).

This module is private to the collection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import unquote, urlsplit

from ..values import dataclass
from .errors import ConfigError
from .kubeconfig import Server
from .options import Connection

_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True)
class Proxy:
    """`headers` are for the proxy, what `url` says of a user included."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_socks(self) -> bool:
        return self.url.startswith("socks")


def proxy_for(server: Server, settings: Connection, environ: Mapping[str, str]) -> Proxy | None:
    """Raises ConfigError, which does not repeat the address: it may hold a password."""
    url = urlsplit(server.address)
    host, scheme = (url.hostname or "").lower(), url.scheme
    from_environment = _variable(environ, f"{scheme}_proxy")
    no_proxy = settings.no_proxy or _variable(environ, "no_proxy")
    if settings.proxy:
        address = settings.proxy.strip()
    elif server.proxy:
        address, no_proxy = server.proxy, settings.no_proxy or ""
    elif _is_this_machine(host):
        return None
    else:
        address = from_environment if "://" in from_environment else f"http://{from_environment}"
        if not from_environment:
            return None
    return None if _is_bypassed(host, url.port, no_proxy) else _proxy(address, settings.proxy_headers or {})


def _variable(environ: Mapping[str, str], name: str) -> str:
    """Go takes both ways to write it."""
    return environ.get(name.upper()) or environ.get(name) or ""


def _proxy(address: str, options: Mapping[str, str]) -> Proxy:
    from urllib3.util import make_headers

    try:
        url = urlsplit(address)
        usable = url.scheme in _SCHEMES and bool(url.hostname) and url.port != 0
        usable = usable and not any(ord(character) <= 32 for character in address)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("the proxy's address (proxy, or proxy-url in the kubeconfig) must be http://NAME:PORT")
    given = {name: options.get(name, "").strip() for name in ("proxy_basic_auth", "basic_auth", "user_agent")}
    if any(not text.isprintable() or any(character > "\xff" for character in text) for text in given.values()):
        raise ConfigError("proxy_headers has a text that HTTP cannot carry: it must be one line of Latin-1")
    if url.username is not None and not given["proxy_basic_auth"]:
        given["proxy_basic_auth"] = f"{unquote(url.username)}:{unquote(url.password or '')}"
    headers = make_headers(
        proxy_basic_auth=given["proxy_basic_auth"] or None,
        basic_auth=given["basic_auth"] or None,
        user_agent=given["user_agent"] or None,
    )
    return Proxy(address, headers)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_bypassed(host: str, port: int | None, no_proxy: str) -> bool:
    return any(_covers(entry.strip().lower(), host, port) for entry in no_proxy.split(",") if entry.strip())


def _covers(entry: str, host: str, port: int | None) -> bool:
    """A name covers itself and what is below it, a network its addresses; a port narrows it down."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass  # one of them is a name
    name, colon, number = entry.rpartition(":")
    if colon and number.isascii() and number.isdigit():
        return port == int(number) and _covers(name, host, None)
    entry = entry.removeprefix("*").removeprefix(".")
    return host == entry or host.endswith(f".{entry}")
