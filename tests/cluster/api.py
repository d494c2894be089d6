# SPDX-License-Identifier: GPL-3.0-or-later
"""A few lines of HTTPS to the API server, for the cluster's own start: kubectl costs a process for each call."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from .certificates import KeyPair

REQUEST_TIMEOUT_SECONDS = 10


class ApiError(RuntimeError):
    """The API server refused a request."""

    def __init__(self, request: str, status: int, message: str) -> None:
        super().__init__(f"{request}: {status} {message}")
        self.status = status


class Api:
    """Requests as the holder of one client certificate; a new connection for each, so that threads can share it."""

    def __init__(self, server: str, authority: str, pair: KeyPair) -> None:
        self.server = server
        address = urlsplit(server)
        self._address = (str(address.hostname), int(address.port or 443))
        self._context = ssl.create_default_context(cafile=authority)
        self._context.load_cert_chain(pair.certificate, pair.key)

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """The decoded answer, or its text when it is no JSON. Raises ApiError, or OSError while nobody listens."""
        connection = http.client.HTTPSConnection(*self._address, timeout=REQUEST_TIMEOUT_SECONDS, context=self._context)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": content_type, "Accept": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        decoded = json.loads(text) if answer.headers.get_content_type() == "application/json" else text
        if answer.status >= 300:
            message = decoded.get("message", "") if isinstance(decoded, dict) else text.strip()
            raise ApiError(f"{method} {path}", answer.status, message)
        return decoded
