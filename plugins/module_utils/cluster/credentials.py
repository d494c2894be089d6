# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who we are, as the Authorization header and the client certificate say it, renewed as client-go renews them.

A token's file is read again about once a minute, a credential plugin is run again when what it gave has expired, and both
at once after a 401 (client-go: transport/token_source.go, plugin/pkg/client/auth/exec/exec.go). Not the `kubernetes`
library's way: it would go on without credentials where a plugin fails, and its versions differ.

This module is private to the collection.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..foreign import printable
from ..values import dataclass
from .errors import ConfigError, NotRenewed
from .secrets import named_file, secrets_in, texts_in, without

FILE_SECONDS = 50.0  # a minute, less the ten seconds for which client-go does not trust a token any more
PLUGIN_SECONDS = 120.0
PLUGIN_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_EXEC_INFO = "KUBERNETES_EXEC_INFO"


@dataclass(frozen=True)
class Certificate:
    """A client certificate and its key, both PEM, as texts."""

    certificate: str = field(repr=False)
    key: str = field(repr=False)


class Credentials:
    """What does not change: `authorization` is the header's value, "" for none."""

    def __init__(self, authorization: str = "") -> None:
        self._authorization = authorization

    def authorization(self) -> str:
        """Raises ConfigError, or NotRenewed where there were some before."""
        return self._authorization

    def certificate(self) -> Certificate | None:
        """One that belongs to what `authorization` has said last."""
        return None

    def renew(self) -> bool:
        """After the server has refused these: whether there are others now. Raises as `authorization`."""
        return False


class TokenFile(Credentials):
    """A file that somebody else writes anew, such as the kubelet. `token` counts until the file can be read."""

    def __init__(self, path: str, token: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(f"Bearer {token}" if token else "")
        self._path = path
        self._clock = clock
        self._next = clock()
        self._lock = threading.Lock()

    def authorization(self) -> str:
        with self._lock:
            if self._clock() >= self._next:
                self._read()
            return self._authorization

    def renew(self) -> bool:
        with self._lock:
            before = self._authorization
            self._read()
            return self._authorization != before

    def _read(self) -> None:
        """What was read once counts while the file is away, as it is for a moment while it is replaced."""
        try:
            token = Path(self._path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            token, why = "", getattr(error, "strerror", None) or "it is no text"
        else:
            why = "it is empty"
        if token:
            self._authorization = f"Bearer {token}"
            self._next = self._clock() + FILE_SECONDS
        elif not self._authorization:
            raise ConfigError(f"the token's {named_file(self._path)} cannot be used: {why}")


class Plugin(Credentials):
    """A program that gives a token, a certificate, or both. `spec` is a kubeconfig's exec, `cluster` what it may be told of it."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        cluster: Mapping[str, Any],
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        super().__init__()
        self._spec = spec
        self._cluster = cluster
        self._now = now
        self._expires: datetime | None = None
        self._certificate: Certificate | None = None
        self._is_known = False
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return printable(str(self._spec["command"]), 200)

    def authorization(self) -> str:
        with self._lock:
            if not self._is_known or (self._expires is not None and self._now() > self._expires):
                self._run()
            return self._authorization

    def certificate(self) -> Certificate | None:
        return self._certificate

    def renew(self) -> bool:
        with self._lock:
            before = self._authorization, self._certificate
            self._run()
            return (self._authorization, self._certificate) != before

    def _run(self) -> None:
        variables = {str(each["name"]): str(each.get("value", "")) for each in self._spec.get("env") or ()}
        told = {"interactive": False, **({"cluster": self._cluster} if self._spec.get("provideClusterInfo") else {})}
        asked = {"kind": "ExecCredential", "apiVersion": self._spec["apiVersion"], "spec": told}
        command = [str(self._spec["command"]), *map(str, self._spec.get("args") or ())]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **variables, _EXEC_INFO: json.dumps(asked)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PLUGIN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._failed(f"it did not end within {PLUGIN_SECONDS:g} seconds") from None
        except (OSError, ValueError) as error:
            hint = f"; {self._spec['installHint']}" if self._spec.get("installHint") else ""
            raise self._failed(f"{getattr(error, 'strerror', None) or 'it cannot be run'}{hint}") from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise self._failed(f"it ended with {done.returncode}: {self._without_secrets(said, variables)}")
        self._take(self._status(done.stdout))

    def _without_secrets(self, said: str, variables: Mapping[str, str]) -> str:
        """Its words may repeat what it was given, or tell what it got; arguments are its own business, and are cut out as well."""
        given = {text for text in (*texts_in(self._spec.get("args")), *variables.values()) if len(text) > 5}
        return str(without(said, given | secrets_in([self._spec, said])))

    def _status(self, output: bytes) -> Mapping[str, Any]:
        try:
            credential = json.loads(output)
            kind, version, status = (credential.get(name) for name in ("kind", "apiVersion", "status"))
        except (ValueError, AttributeError, RecursionError):
            raise self._failed("what it wrote is no ExecCredential in JSON") from None
        if kind != "ExecCredential" or version != self._spec["apiVersion"]:
            raise self._failed(f"what it wrote is no ExecCredential of {self._spec['apiVersion']}")
        if not isinstance(status, Mapping):
            raise self._failed("it gave no status")
        return status

    def _take(self, status: Mapping[str, Any]) -> None:
        token, certificate, key = (
            str(status.get(name) or "").strip() for name in ("token", "clientCertificateData", "clientKeyData")
        )
        if bool(certificate) is not bool(key):
            raise self._failed("it gave a certificate or a key, and not both")
        if not token and not certificate:
            raise self._failed("it gave neither a token nor a certificate")
        self._expires = self._moment(status.get("expirationTimestamp"))
        self._authorization = f"Bearer {token}" if token else ""
        pair = Certificate(certificate, key) if certificate else None
        self._certificate = self._certificate if pair == self._certificate else pair
        self._is_known = True

    def _moment(self, text: object) -> datetime | None:
        if text is None:
            return None
        try:
            # Python 3.10 reads neither Z nor every number of digits after the second, which matter little.
            moment = datetime.fromisoformat(re.sub(r"\.\d+", "", str(text)).replace("Z", "+00:00"))
        except ValueError:
            raise self._failed("its expirationTimestamp is no time as in RFC 3339") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)

    def _failed(self, why: str) -> ConfigError | NotRenewed:
        """What has given credentials once is configured well, and is waited for as the server is."""
        return (NotRenewed if self._is_known else ConfigError)(
            f'the kubeconfig\'s credential plugin "{self.name}" failed: {printable(why, 500)}. Run it by hand to see more'
        )


class Library(Credentials):
    """What the `kubernetes` library renews by itself: OIDC."""

    def __init__(self, configuration: Any) -> None:
        super().__init__()
        self._configuration = configuration
        self._lock = threading.Lock()

    def authorization(self) -> str:
        with self._lock:
            return str(self._configuration.auth_settings().get("BearerToken", {}).get("value") or "")
