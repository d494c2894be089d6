# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which API server is asked, and as whom: options, environment, kubeconfig, in-cluster, in this order.

Names and environment variables are those of kubernetes.core (and so of AWX credentials). One thing differs on purpose:
kubernetes.core prefers the ServiceAccount of the pod that it runs in to a default kubeconfig; here a kubeconfig that
exists wins, as with kubectl.

This module is private to the collection.
"""

from __future__ import annotations

import os
from typing import Any, Mapping

from .api import Api
from .client import Session, Source, open_session, preload
from .errors import ConfigError
from .kubeconfig import read_kubeconfig
from .options import Connection, is_content, with_environment

__all__ = ["Connection", "connect", "is_content", "preload", "session", "with_environment"]

DEFAULT_KUBECONFIG = "~/.kube/config"
SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
CONTENT = (
    "kubeconfig is the text of a kubeconfig and no path: give its path, or the content as a dictionary, "
    "which the filter from_yaml makes of text"
)
_USER_AGENT = "coalmine.canary"


def connect(connection: Connection, *, user_agent: str = _USER_AGENT) -> Api:
    """Finds the server and the credentials, and sends nothing yet. Raises ConfigError."""
    return Api(session(connection, user_agent=user_agent))


def session(connection: Connection, *, user_agent: str = _USER_AGENT) -> Session:
    settings = with_environment(connection, os.environ)
    source, kubeconfig = choose_source(settings, os.environ, SERVICE_ACCOUNT_TOKEN)
    only_host = bool(connection.host and not connection.kubeconfig and not connection.context)
    return open_session(settings, source, kubeconfig, user_agent, only_host=only_host)


def is_unnamed(connection: Connection, context: str) -> bool:
    """Whether the current context of a kubeconfig says which cluster it is, and that kubeconfig knows `context`, too."""
    settings = with_environment(connection, os.environ)
    if settings.host or settings.context:
        return False
    try:
        source, kubeconfig = choose_source(settings, os.environ, SERVICE_ACCOUNT_TOKEN)
        if source is Source.KUBECONFIG and kubeconfig is not None:
            read_kubeconfig(kubeconfig, context)
            return True
    except ConfigError:
        pass  # whoever connects tells
    return False


def choose_source(
    settings: Connection, environ: Mapping[str, str], token: str
) -> tuple[Source, str | Mapping[str, Any] | None]:
    """Where server and credentials come from, and the kubeconfig if it is that. Raises ConfigError.

    Host and credentials given together need no file. `token` is where a pod finds its ServiceAccount's token.
    """
    if settings.host and (settings.api_key or (settings.username and settings.password)):
        return Source.OPTIONS, None
    default = environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG
    paths = [os.path.expanduser(path) for path in default.split(os.pathsep) if path]
    if isinstance(settings.kubeconfig, str) and is_content(settings.kubeconfig):
        raise ConfigError(CONTENT)
    if settings.kubeconfig:
        return Source.KUBECONFIG, settings.kubeconfig
    if settings.context or any(os.path.exists(path) for path in paths):
        return Source.KUBECONFIG, os.pathsep.join(paths)
    if environ.get("KUBERNETES_SERVICE_HOST") and os.path.exists(token):
        return Source.IN_CLUSTER, token
    if settings.host:
        return Source.OPTIONS, None
    raise ConfigError(
        f"no cluster is configured: there is no kubeconfig at {default}, and this is not a pod of a cluster. Give "
        "kubeconfig, or host and api_key, or set K8S_AUTH_KUBECONFIG, K8S_AUTH_HOST and K8S_AUTH_API_KEY, or KUBECONFIG"
    )
