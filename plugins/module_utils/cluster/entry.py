# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request to a gateway's own address, as a user's would come in: to see what it does with it, not what its status says.

Each on a connection of its own, because a connection stays with one replica of a proxy. This module is private to the collection.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import field
from typing import Mapping

from ..values import dataclass
from .addresses import ClosedAddress, must_be_open

SECONDS = 2.0
# Of a header, in characters.
LONGEST = 300


@dataclass(frozen=True)
class Entry:
    """`address` is where to connect, `host` whose requests these are (the Host header, and the name in the certificate).
    `named`: by the task, and not by the status of a Gateway."""

    address: str
    port: int
    host: str
    tls: bool = False
    validate_certs: bool = True
    named: bool = False

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host} at {self.address}:{self.port}"


@dataclass(frozen=True)
class Knock:
    """A GET of `path` at the entry."""

    entry: Entry
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Knocked:
    """`status` is 0 where there was no answer, and `location` then says why. `cookies`: those that it set, as one text."""

    status: int
    location: str = ""
    cookies: str = ""


def knock(asked: Knock) -> Knocked:
    """Any answer, or none, is told and never raised."""
    entry = asked.entry
    try:
        connection = _connected(entry)
    except (OSError, ValueError) as error:
        return Knocked(0, _why(error))
    try:
        connection.request("GET", asked.path, headers={"Host": _host(entry), "Connection": "close", **asked.headers})
        answer = connection.getresponse()
        told = (answer.getheader(name) or "" for name in ("Location", "Set-Cookie"))
        return Knocked(answer.status, *(text[:LONGEST] for text in told))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Knocked(0, _why(error))
    finally:
        connection.close()


def _connected(entry: Entry) -> http.client.HTTPConnection:
    must_be_open(entry.address, named=entry.named)
    connection = http.client.HTTPConnection(entry.address, entry.port, timeout=SECONDS)
    connection.connect()
    try:
        must_be_open(entry.address, str(connection.sock.getpeername()[0]), named=entry.named)
    except ClosedAddress:
        connection.close()
        raise
    if entry.tls:
        context = ssl.create_default_context()
        if not entry.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        connection.sock = context.wrap_socket(connection.sock, server_hostname=entry.host)
    return connection


def _host(entry: Entry) -> str:
    return entry.host if entry.port == (443 if entry.tls else 80) else f"{entry.host}:{entry.port}"


def _why(error: Exception) -> str:
    if isinstance(error, ClosedAddress):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, (TimeoutError, socket.timeout)):
        return f"no answer within {SECONDS:g} s"
    return getattr(error, "strerror", None) or type(error).__name__
