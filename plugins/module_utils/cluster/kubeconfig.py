# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads kubeconfigs as kubectl does (client-go: tools/clientcmd), and says what is wrong with one without quoting it.

Every field of the type (tools/clientcmd/api/v1/types.go) is in `FIELDS`. The `kubernetes` library reads fewer of them, others
in each version, and goes on without those that it does not know: with more rights than somebody meant, or round a proxy.

This module is private to the collection.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from enum import Enum
from pathlib import Path
from typing import Any

from ..values import dataclass
from .credentials import PLUGIN_VERSIONS, Credentials, Plugin, TokenFile
from .errors import ConfigError
from .secrets import named_file
from .yamltext import OF_VALUES

Stanza = Mapping[str, Any]


class Treatment(Enum):
    """HARMLESS: whatever it says changes neither which server is asked, nor as whom, nor how."""

    HONOURED = "honoured"
    HARMLESS = "harmless"


_YES, _NO = Treatment.HONOURED, Treatment.HARMLESS
FIELDS: Mapping[str, Mapping[str, Treatment]] = {
    "Config": {
        "kind": _YES, "apiVersion": _YES, "clusters": _YES, "users": _YES, "contexts": _YES, "current-context": _YES,
        "preferences": _NO, "extensions": _NO,
    },
    "Preferences": {"colors": _NO, "extensions": _NO},
    "NamedCluster": {"name": _YES, "cluster": _YES},
    "NamedContext": {"name": _YES, "context": _YES},
    "NamedAuthInfo": {"name": _YES, "user": _YES},
    # Of a cluster, that of credential plugins is told to them.
    "NamedExtension": {"name": _YES, "extension": _YES},
    # The namespace of a module is an option of its own, with a default of its own.
    "Context": {"cluster": _YES, "user": _YES, "namespace": _NO, "extensions": _NO},
    "Cluster": {
        "server": _YES, "tls-server-name": _YES, "insecure-skip-tls-verify": _YES, "certificate-authority": _YES,
        "certificate-authority-data": _YES, "proxy-url": _YES, "disable-compression": _YES, "extensions": _YES,
    },
    "AuthInfo": {
        "client-certificate": _YES, "client-certificate-data": _YES, "client-key": _YES, "client-key-data": _YES,
        "token": _YES, "tokenFile": _YES, "as": _YES, "as-uid": _YES, "as-groups": _YES, "as-user-extra": _YES,
        "username": _YES, "password": _YES, "auth-provider": _YES, "exec": _YES, "extensions": _NO,
    },
    "AuthProviderConfig": {"name": _YES, "config": _YES},
    "ExecConfig": {
        "command": _YES, "args": _YES, "env": _YES, "apiVersion": _YES, "installHint": _YES, "provideClusterInfo": _YES,
        "interactiveMode": _YES,
    },
    "ExecEnvVar": {"name": _YES, "value": _YES},
}  # fmt: skip
_PLUGIN_EXTENSION = "client.authentication.k8s.io/exec"
_PROVIDERS = ("oidc",)
# Names that may be repeated; a field that is none may be a secret in the wrong place.
_NAME = re.compile(r"[A-Za-z-]{1,40}")


@dataclass(frozen=True)
class Impersonation:
    """As whom else we act. `extra`: values by key."""

    user: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pem:
    """PEM in a file, or as a text, which counts more; neither: none."""

    path: str = ""
    text: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.path or self.text)


@dataclass(frozen=True)
class Server:
    """Which server is asked, and how."""

    address: str = field(default="", repr=False)
    verify: bool = True
    ca: Pem = Pem()
    tls_name: str = ""
    proxy: str = field(default="", repr=False)
    compress: bool = True


@dataclass(frozen=True)
class User:
    """As whom it is asked. `provider`: an OIDC user, whose token the `kubernetes` library renews."""

    credentials: Credentials = field(default_factory=Credentials, repr=False)
    certificate: Pem = Pem()
    key: Pem = Pem()
    impersonation: Impersonation = Impersonation()
    provider: Stanza | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Kubeconfig:
    """One context of one or several files, by its name. `warnings`: fields that nobody knows."""

    server: Server
    user: User
    warnings: tuple[str, ...] = ()
    context: str = ""


def read_kubeconfig(kubeconfig: str | Mapping[str, Any], context: str | None) -> Kubeconfig:
    """`kubeconfig`: the content, or paths as in KUBECONFIG. Raises ConfigError."""
    name, content = _named_content(kubeconfig)
    context, chosen = _context(content, context, name)
    cluster_name, user_name = (_text(chosen, field_, name) for field_ in ("cluster", "user"))
    clusters, users = (
        _entries(content, kind, part, name) for kind, part in (("clusters", "cluster"), ("users", "user"))
    )
    if cluster_name not in clusters:
        raise _unusable(name, f'the context names the cluster "{cluster_name}", which is not in it')
    if user_name and user_name not in users:
        raise _unusable(name, f'the context names the user "{user_name}", which is not in it')
    reading = _Reading(name)
    cluster, user = clusters[cluster_name], users.get(user_name, {})
    warnings = [
        *_unknown("Config", content, name),
        *_unknown("Cluster", cluster, name),
        *_unknown("AuthInfo", user, name),
    ]
    warnings += [*_unknown("Context", chosen, name), *_unknown("ExecConfig", user.get("exec"), name)]
    return Kubeconfig(reading.server(cluster), reading.user(user, cluster), tuple(warnings), context)


def _named_content(kubeconfig: str | Mapping[str, Any]) -> tuple[str, Stanza]:
    if isinstance(kubeconfig, Mapping):
        return "given as a dictionary", kubeconfig
    return kubeconfig, _merged([path for path in kubeconfig.split(os.pathsep) if path], kubeconfig)


def _merged(paths: Sequence[str], name: str) -> Stanza:
    """client-go's rules (tools/clientcmd/loader.go): files that are not there are left out, and of entries with the same name,
    as of every other field, the first counts whole."""
    found = [content for path in dict.fromkeys(paths) if (content := _read(os.path.expanduser(path))) is not None]
    if not found:
        raise ConfigError(f"there is no kubeconfig at {name}")
    merged: dict[str, Any] = {}
    for content in found:
        for key, value in content.items():
            if key in ("clusters", "users", "contexts"):
                merged[key] = [*merged.get(key, ()), *_listed(value, name)]
            elif not merged.get(key):
                merged[key] = value
    return merged


def _read(path: str) -> Stanza | None:
    """None: there is no such file. Paths in it are relative to where it lies."""
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except yaml.YAMLError as error:
        # The error's own text would quote the file.
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"the kubeconfig {path} is not YAML" + (f" (line {mark.line + 1})" if mark else "")) from None
    except OSError as error:
        raise ConfigError(f"the kubeconfig {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"the kubeconfig {path} cannot be read: it is no text in UTF-8") from None
    except OF_VALUES:
        raise ConfigError(f"the kubeconfig {path} holds a value that YAML does not know") from None
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise _shapeless(path)
    _check_kind(content, path)
    return {**content, **_with_whole_paths(content, os.path.dirname(os.path.abspath(path)), path)}


def _check_kind(content: Stanza, name: str) -> None:
    kind, version = content.get("kind") or "Config", content.get("apiVersion") or "v1"
    if kind != "Config" or version != "v1":
        raise _unusable(name, "it is no Config of v1, which kind and apiVersion say")


_PATHS = {"cluster": ("certificate-authority",), "user": ("client-certificate", "client-key", "tokenFile")}


def _with_whole_paths(content: Stanza, directory: str, name: str) -> Stanza:
    """The clusters and users with every path absolute (tools/clientcmd/loader.go, ResolveLocalPaths)."""
    return {
        kind: [_resolved(entry, part, directory) for entry in _listed(content.get(kind), name)]
        for kind, part in (("clusters", "cluster"), ("users", "user"))
    }


def _resolved(entry: Any, part: str, directory: str) -> Any:
    stanza = entry.get(part) if isinstance(entry, Mapping) else None
    if not isinstance(stanza, Mapping):
        return entry
    whole: dict[str, Any] = {key: os.path.join(directory, str(stanza[key])) for key in _PATHS[part] if stanza.get(key)}
    plugin = stanza.get("exec")
    if isinstance(plugin, Mapping) and os.sep in str(plugin.get("command", "")):
        whole["exec"] = {**plugin, "command": os.path.join(directory, str(plugin["command"]))}
    return {**entry, part: {**stanza, **whole}}


def _listed(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise _shapeless(name)
    return list(value)


def _entries(content: Stanza, kind: str, part: str, name: str) -> dict[str, Stanza]:
    """Entries by their names; of two with one name the first counts."""
    found: dict[str, Stanza] = {}
    for entry in _listed(content.get(kind), name):
        if not isinstance(entry, Mapping) or not isinstance(entry.get(part) or {}, Mapping):
            raise _shapeless(name)
        found.setdefault(str(entry.get("name") or ""), entry.get(part) or {})
    return found


def _context(content: Stanza, wanted: str | None, name: str) -> tuple[str, Stanza]:
    """The context to use, and its name. Raises ConfigError that lists the known ones."""
    _check_kind(content, name)
    known = _entries(content, "contexts", "context", name)
    choices = f"the kubeconfig {name} has {', '.join(known) or 'none'}"
    context = wanted or _text(content, "current-context", name)
    if not context:
        raise ConfigError(f"the kubeconfig has no current-context: give context ({choices})")
    if context not in known:
        raise ConfigError(f'there is no context "{context}": {choices}')
    return context, known[context]


def _unknown(kind: str, stanza: object, name: str) -> Iterator[str]:
    for key in stanza if isinstance(stanza, Mapping) else ():
        if key not in FIELDS[kind]:
            named = f'the field "{key}"' if _NAME.fullmatch(str(key)) else "a field"
            yield f"the kubeconfig {name} has {named}, which no {kind} has, so it is ignored: is it misspelt?"


def _text(stanza: Stanza, key: str, name: str) -> str:
    value = stanza.get(key)
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple | bool):
        raise _unusable(name, f"{key} is no text")
    return str(value)


def _switch(stanza: Stanza, key: str, name: str) -> bool:
    value = stanza.get(key)
    if not isinstance(value, bool | None):
        raise _unusable(name, f"{key} is neither true nor false")
    return bool(value)


def _unusable(name: str, why: str) -> ConfigError:
    return ConfigError(f"the kubeconfig {name} is not usable: {why}")


def _shapeless(name: str) -> ConfigError:
    return ConfigError(f"the kubeconfig {name} has not the shape of a kubeconfig")


@dataclass(frozen=True)
class _Reading:
    """Makes values of stanzas. `name`: of the kubeconfig, for errors."""

    name: str

    def server(self, cluster: Stanza) -> Server:
        ca = self._pem(cluster, "certificate-authority")
        skip = _switch(cluster, "insecure-skip-tls-verify", self.name)
        if skip and ca:
            raise _unusable(
                self.name, "it names a certificate authority, and says insecure-skip-tls-verify: leave one out"
            )
        return Server(
            address=_text(cluster, "server", self.name),
            verify=not skip,
            ca=ca,
            tls_name=_text(cluster, "tls-server-name", self.name),
            proxy=_text(cluster, "proxy-url", self.name),
            compress=not _switch(cluster, "disable-compression", self.name),
        )

    def user(self, user: Stanza, cluster: Stanza) -> User:
        certificate, key = self._pem(user, "client-certificate"), self._pem(user, "client-key")
        if certificate and not key:
            raise _unusable(self.name, "its user has a client certificate without the key")
        return User(
            credentials=self._credentials(user, cluster),
            certificate=certificate,
            key=key,
            impersonation=self._impersonation(user),
            provider=self._provider(user),
        )

    def _credentials(self, user: Stanza, cluster: Stanza) -> Credentials:
        """A token counts more than a password or a plugin, and its file more than its text."""
        token, path, username, password = (
            _text(user, key, self.name) for key in ("token", "tokenFile", "username", "password")
        )
        if (token or path) and (username or password):
            raise _unusable(self.name, "its user has a token and a password: leave one out")
        plugin = user.get("exec")
        if plugin is not None and user.get("auth-provider") is not None:
            raise _unusable(self.name, "its user has exec and auth-provider: leave one out")
        if path:
            return TokenFile(path, token.strip())
        if token:
            return Credentials(f"Bearer {token.strip()}")
        if username or password:
            return Credentials("Basic " + base64.b64encode(f"{username}:{password}".encode()).decode())
        if plugin is None or self._pem(user, "client-certificate"):
            return Credentials()
        return Plugin(self._plugin(plugin), self._told(cluster))

    def _plugin(self, plugin: object) -> Stanza:
        if not isinstance(plugin, Mapping) or not _text(plugin, "command", self.name):
            raise _unusable(self.name, "its user's exec names no command")
        if plugin.get("apiVersion") not in PLUGIN_VERSIONS:
            raise _unusable(self.name, f"its user's exec must have apiVersion {' or '.join(PLUGIN_VERSIONS)}")
        mode = plugin.get("interactiveMode") or "IfAvailable"
        if mode == "Always":
            raise _unusable(
                self.name, "its user's exec wants somebody to type (interactiveMode: Always), and nobody is here"
            )
        if mode not in ("IfAvailable", "Never"):
            raise _unusable(self.name, "its user's exec has an interactiveMode that is none: give Never or IfAvailable")
        _switch(plugin, "provideClusterInfo", self.name)
        variables, arguments = plugin.get("env") or (), plugin.get("args") or ()
        if not isinstance(arguments, list | tuple) or not isinstance(variables, list | tuple):
            raise _unusable(self.name, "its user's exec has args or env that are no list")
        if not all(isinstance(each, Mapping) and each.get("name") for each in variables):
            raise _unusable(self.name, "its user's exec has a variable without a name")
        return plugin

    def _told(self, cluster: Stanza) -> Stanza:
        """What a plugin may be told (client-go: pkg/apis/clientauthentication/v1/types.go, Cluster)."""
        keys = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url", "disable-compression")
        told = {key: cluster[key] for key in keys if cluster.get(key)}
        ca = self._pem(cluster, "certificate-authority")
        if ca:
            text = ca.text or self._file(ca.path)
            told["certificate-authority-data"] = base64.b64encode(text.encode()).decode()
        for each in _listed(cluster.get("extensions"), self.name):
            if isinstance(each, Mapping) and each.get("name") == _PLUGIN_EXTENSION:
                told["config"] = each.get("extension")
        return told

    def _file(self, path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError):
            raise _unusable(self.name, f"the {named_file(path)} cannot be read") from None

    def _provider(self, user: Stanza) -> Stanza | None:
        provider = user.get("auth-provider")
        if provider is None:
            return None
        if not isinstance(provider, Mapping) or provider.get("name") not in _PROVIDERS:
            raise _unusable(
                self.name,
                "its user's auth-provider is none that is supported (oidc): kubectl has no others left, use exec",
            )
        if not isinstance(provider.get("config") or {}, Mapping):
            raise _unusable(self.name, "its user's auth-provider has a config that is no dictionary")
        return user

    def _impersonation(self, user: Stanza) -> Impersonation:
        groups, extra = user.get("as-groups") or (), user.get("as-user-extra") or {}
        if not isinstance(groups, list | tuple) or not isinstance(extra, Mapping):
            raise _unusable(self.name, "as-groups is no list, or as-user-extra no dictionary")
        if not all(isinstance(values, list | tuple) for values in extra.values()):
            raise _unusable(self.name, "as-user-extra has a value that is no list")
        found = Impersonation(
            user=_text(user, "as", self.name),
            uid=_text(user, "as-uid", self.name),
            groups=tuple(map(str, groups)),
            extra={str(key): tuple(map(str, values)) for key, values in extra.items()},
        )
        if found != Impersonation() and not found.user:
            raise _unusable(self.name, "it has as-uid, as-groups or as-user-extra without as: say who is impersonated")
        return found

    def _pem(self, stanza: Stanza, key: str) -> Pem:
        """What is given as data counts more than a file."""
        data = _text(stanza, f"{key}-data", self.name)
        if not data:
            return Pem(_text(stanza, key, self.name))
        try:
            return Pem(text=base64.b64decode("".join(data.split()), validate=True).decode())
        except (binascii.Error, ValueError):
            raise ConfigError(f"the kubeconfig {self.name} has a certificate or key that is not base64") from None
