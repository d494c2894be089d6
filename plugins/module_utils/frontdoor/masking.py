# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values must never be shown, beyond the options that the argument spec marks with no_log.

A kubeconfig given as a dictionary is not marked as a whole, because every string in it (a context called "web", say)
would then be cut out of unrelated results; only its secret leaves are (kubernetes.core issue 870).

This module is private to the collection.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..cluster.connection import Connection, with_environment

# Credentials of a kubeconfig (client-go: tools/clientcmd/api/v1/types.go), of auth providers, and variables of exec
# plugins that are named like credentials. Names of files and endpoints (tokenFile, token-url) are no secrets.
_SECRET_NAME = re.compile(
    r"(token|password|passwd|passphrase|secret|key[-_]data|api[-_]?key|access[-_]?key|secret[-_]?key|private[-_]?key)$",
    re.IGNORECASE,
)
_SECRET_HEADER = re.compile(r"auth|cookie|token|secret|key|password", re.IGNORECASE)
# Options that a user fills with what is the cluster's business, environment values included.
_NOT_SHOWN = ("definition", "pod_template_patch", "kubeconfig", "checks", "history", "price_metrics")


def secrets_of_kubeconfig(kubeconfig: object) -> frozenset[str]:
    """The secret leaves of a kubeconfig given as a dictionary; nothing of a path."""
    return frozenset(_leaves(kubeconfig)) if isinstance(kubeconfig, Mapping) else frozenset()


def _leaves(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        # An exec plugin's variable: {"name": ..., "value": ...}
        if isinstance(node.get("value"), str) and _SECRET_NAME.search(str(node.get("name", ""))):
            yield node["value"]
        for name, value in node.items():
            if isinstance(value, str):
                if value and _SECRET_NAME.search(str(name)):
                    yield value
            else:
                yield from _leaves(value)
    elif isinstance(node, list | tuple):
        for element in node:
            yield from _leaves(element)


def secrets_of_checks(checks: object) -> frozenset[str]:
    """Values of headers that are named like credentials, in what canary_verify is given; the scheme before them apart."""
    return frozenset(
        secret
        for check in (checks if isinstance(checks, list | tuple) else ())
        for source in (check.values() if isinstance(check, Mapping) else ())
        for secret in secrets_of_source(source)
    )


def secrets_of_source(source: object) -> frozenset[str]:
    """The same of one source, such as price_metrics of canary_headroom_info."""
    found = set()
    for headers in source.values() if isinstance(source, Mapping) else ():
        for name, text in headers.items() if isinstance(headers, Mapping) else ():
            if text and _SECRET_HEADER.search(str(name)):
                found |= {str(text), str(text).rpartition(" ")[2]}
    return frozenset(found)


def secrets_of_connection(connection: Connection) -> frozenset[str]:
    """All that is secret in a connection, what the environment adds to it included."""
    settings = with_environment(connection, os.environ)
    headers = settings.proxy_headers or {}
    candidates = {
        settings.api_key,
        settings.password,
        headers.get("proxy_basic_auth"),
        headers.get("basic_auth"),
        _password_in(settings.proxy),
        _password_in(settings.host),
    }
    return frozenset(text for text in candidates if text) | secrets_of_kubeconfig(settings.kubeconfig)


def _password_in(url: str | None) -> str | None:
    try:
        return urlsplit(url).password if url else None
    except ValueError:
        return None


def shown(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as a result's `invocation` may carry them: whole manifests are named, not repeated."""
    return {
        name: "(not shown)" if name in _NOT_SHOWN and isinstance(value, Mapping | list) else value
        for name, value in parameters.items()
    }
