# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority for one cluster, by openssl: no Python package needed.

Python 3.13 verifies strictly (ssl.VERIFY_X509_STRICT): the authority needs a critical basicConstraints and keyUsage, and
every certificate names the key that signed it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

VALID_DAYS = "365"

_OPENSSL_CONF = """\
[req]
distinguished_name = subject
prompt = no
[subject]
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign,digitalSignature
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${ENV::SUBJECT_ALT_NAME}
[client]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True)
class KeyPair:
    """PEM files of a certificate and its private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """A CA whose files live in `directory`; every key is P-256 and readable by its owner only."""

    directory: Path

    @classmethod
    def create(cls, directory: Path) -> Authority:
        directory.mkdir(mode=0o700, parents=True)
        authority = cls(directory)
        (directory / "openssl.cnf").write_text(_OPENSSL_CONF)
        authority._request("ca", "/CN=coalmine-lab-ca", "authority", signed=False)
        return authority

    @property
    def certificate(self) -> Path:
        return self.directory / "ca.crt"

    def server(self, name: str, alternative_names: Iterable[str]) -> KeyPair:
        """A server certificate; alternative names as openssl writes them (`IP:127.0.0.1`, `DNS:localhost`)."""
        return self._request(name, f"/CN={name}", "server", alternative_names=",".join(alternative_names))

    def client(self, name: str, user: str, groups: Iterable[str] = ()) -> KeyPair:
        """A client certificate: Kubernetes reads the user from CN and the groups from O."""
        organisations = "".join(f"/O={_escaped(group)}" for group in groups)
        return self._request(name, f"{organisations}/CN={_escaped(user)}", "client")

    def signing_key(self, name: str) -> KeyPair:
        """A private key and its bare public key, for service account tokens."""
        pair = KeyPair(self.directory / f"{name}.pub", self.directory / f"{name}.key")
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(pair.key))
        _openssl("pkey", "-in", str(pair.key), "-pubout", "-out", str(pair.certificate))
        return pair

    def _request(
        self, name: str, subject: str, extensions: str, *, signed: bool = True, alternative_names: str = "DNS:none"
    ) -> KeyPair:
        pair = KeyPair(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        signer = ["-CA", str(self.certificate), "-CAkey", str(self.directory / "ca.key")] if signed else []
        _openssl(
            "req", "-x509", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
            "-config", str(self.directory / "openssl.cnf"), "-extensions", extensions, "-subj", subject,
            "-days", VALID_DAYS, *signer, "-keyout", str(pair.key), "-out", str(pair.certificate),
            alternative_names=alternative_names,
        )  # fmt: skip
        return pair


def write_kubeconfig(path: Path, cluster: Mapping[str, str], user: Mapping[str, str]) -> Path:
    """A kubeconfig with one context; JSON, which is YAML too. `cluster` and `user` hold kubeconfig's own field names."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": dict(cluster)}],
        "users": [{"name": "lab", "user": dict(user)}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        "current-context": "lab",
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(config, file, indent=1)
    return path


def cluster_entry(server: str, authority: Path) -> dict[str, str]:
    return {"server": server, "certificate-authority": str(authority)}


def certificate_user(pair: KeyPair) -> dict[str, str]:
    return {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+")


def _openssl(*arguments: str, alternative_names: str = "DNS:none") -> None:
    environment = {"PATH": os.environ.get("PATH", ""), "SUBJECT_ALT_NAME": alternative_names}
    try:
        subprocess.run(
            ["openssl", *arguments], env=environment, check=True, capture_output=True, text=True, umask=0o077
        )
    except FileNotFoundError as error:
        raise RuntimeError("openssl is not installed: the test cluster makes its certificates with it") from error
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"openssl {arguments[0]} failed: {error.stderr.strip()}") from error
