# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubernetes.core's connection options, and the environment variables that stand in for those that are not given.

This module is private to the collection.
"""

from __future__ import annotations

import os
from dataclasses import field, fields, replace
from typing import Any, Mapping
from urllib.parse import urlsplit

from ..values import dataclass

_FALSE = frozenset({"0", "false", "no", "off"})

# kubernetes.core reads each variable under the option's name and under the client library's.
_ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "kubeconfig": ("K8S_AUTH_KUBECONFIG",),
    "context": ("K8S_AUTH_CONTEXT",),
    "host": ("K8S_AUTH_HOST",),
    "api_key": ("K8S_AUTH_API_KEY",),
    "username": ("K8S_AUTH_USERNAME",),
    "password": ("K8S_AUTH_PASSWORD",),
    "validate_certs": ("K8S_AUTH_VALIDATE_CERTS", "K8S_AUTH_VERIFY_SSL"),
    "ca_cert": ("K8S_AUTH_CA_CERT", "K8S_AUTH_SSL_CA_CERT"),
    "client_cert": ("K8S_AUTH_CLIENT_CERT", "K8S_AUTH_CERT_FILE"),
    "client_key": ("K8S_AUTH_CLIENT_KEY", "K8S_AUTH_KEY_FILE"),
    "proxy": ("K8S_AUTH_PROXY",),
    "no_proxy": ("K8S_AUTH_NO_PROXY",),
    "persist_config": ("K8S_AUTH_PERSIST_CONFIG",),
    "impersonate_user": ("K8S_AUTH_IMPERSONATE_USER",),
    "impersonate_groups": ("K8S_AUTH_IMPERSONATE_GROUPS",),
}
_PROXY_HEADERS = ("proxy_basic_auth", "basic_auth", "user_agent")
_BOOLEANS = frozenset({"validate_certs", "persist_config"})
# What belongs to the server that the environment names.
_OF_THE_SERVER = frozenset(
    {"host", "api_key", "username", "password", "validate_certs", "ca_cert", "client_cert", "client_key"}
)
_PATHS = ("kubeconfig", "ca_cert", "client_cert", "client_key")


@dataclass(frozen=True)
class Connection:
    """kubernetes.core's connection options under the same names; None means "not given".

    `kubeconfig` is a path (several, separated as in KUBECONFIG, are merged) or the content as a dict.
    `proxy_headers` knows proxy_basic_auth, basic_auth and user_agent. Nothing secret shows in the repr.
    """

    kubeconfig: str | Mapping[str, Any] | None = field(default=None, repr=False)
    context: str | None = None
    host: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_cert: str | None = None
    client_key: str | None = None
    ca_cert: str | None = None
    validate_certs: bool | None = None
    proxy: str | None = field(default=None, repr=False)
    no_proxy: str | None = None
    proxy_headers: Mapping[str, str] | None = field(default=None, repr=False)
    persist_config: bool | None = None
    impersonate_user: str | None = None
    impersonate_groups: tuple[str, ...] | None = None


def is_content(kubeconfig: str) -> bool:
    """Whether this is the text of a kubeconfig rather than a path: it may hold secrets, so it must not be quoted as one."""
    return "\n" in kubeconfig.strip() or ": " in kubeconfig or kubeconfig.lstrip().startswith("{")


def with_environment(connection: Connection, environ: Mapping[str, str]) -> Connection:
    """`connection` with what was not given taken from K8S_AUTH_*; an empty variable counts as unset, and an empty option as not given.

    Where it names its cluster, and the environment names another by K8S_AUTH_HOST or K8S_AUTH_KUBECONFIG, that server is not asked, nor
    gets anybody else its credentials. A kubeconfig stays, for a host may be that of its server: client.py looks.
    """
    found: dict[str, Any] = {}
    left_aside = _OF_THE_SERVER if _is_elsewhere(connection, environ) else frozenset()
    if left_aside and connection.kubeconfig:
        left_aside |= {"context"}
    for name in _ENVIRONMENT.keys() - left_aside:
        text = next((environ[variable] for variable in _ENVIRONMENT[name] if environ.get(variable)), None)
        if text is not None and getattr(connection, name) in (None, ""):
            found[name] = _typed(name, text)
    if connection.proxy_headers is None:
        headers = {name: environ.get(f"K8S_AUTH_PROXY_HEADERS_{name.upper()}", "") for name in _PROXY_HEADERS}
        found["proxy_headers"] = {name: text for name, text in headers.items() if text} or None
    return _expanded(replace(connection, **found))


def _is_elsewhere(connection: Connection, environ: Mapping[str, str]) -> bool:
    """Whether this names another cluster than the environment does. A kubeconfig may name any, and so may a context beside a server."""
    host, kubeconfig = environ.get("K8S_AUTH_HOST", ""), environ.get("K8S_AUTH_KUBECONFIG", "")
    if connection.host:
        return bool(host or kubeconfig) and not is_same_server(connection.host, host)
    if connection.kubeconfig and kubeconfig and not host:
        return connection.kubeconfig != kubeconfig
    return bool(host and (connection.kubeconfig or connection.context))


def is_same_server(one: str, other: str) -> bool:
    return _where(one) == _where(other)


def _where(address: str) -> tuple[object, ...]:
    """Equal for two ways to write the same address: RFC 3986, section 6.2.3."""
    try:
        url = urlsplit(address.strip())
        return url.scheme, url.hostname, url.port or {"https": 443, "http": 80}.get(url.scheme), url.path.rstrip("/")
    except ValueError:
        return (address,)


def _typed(name: str, text: str) -> Any:
    if name in _BOOLEANS:
        return text.lower() not in _FALSE
    if name == "impersonate_groups":
        return tuple(group.strip() for group in text.split(",") if group.strip())
    return text


def _expanded(connection: Connection) -> Connection:
    values = {option.name: getattr(connection, option.name) for option in fields(connection)}
    found = {name: os.path.expanduser(values[name]) for name in _PATHS if isinstance(values[name], str)}
    return replace(connection, **found)
