# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways from here to a pod: through the API server's proxy, by port-forward, straight, or by a URL.

This module is private to the collection.
"""

from __future__ import annotations

import json
from dataclasses import field, replace
from typing import Mapping
from urllib.parse import parse_qsl, quote

from ..cluster.api import Api
from ..cluster.asked import asked
from ..cluster.errors import ApiError, ConnectionLost, PodRefused, Timeout, from_answer
from ..cluster.secrets import secrets_in, without
from ..foreign import printable
from ..values import dataclass
from .choices import Via
from .forwarded import ask_forwarded
from .source import NoAnswer, ProbedPod
from .web import LONGEST_QUOTE, Web, WebAnswer, ask

LARGEST_BODY = 64 << 10
# Of a path, besides letters and digits (RFC 3986 section 3.3); % because it is escaped already.
_SAFE = "/%:@!$&'()*+,;=~-._"
# The API server's own refusals. Its 502, 503 and 504 say that it did not reach the pod, and count against the pod.
_OF_THE_SERVER = frozenset({401, 403, 404, 429})


class Blocked(Exception):
    """A request did not get as far as a pod. The text says why, and holds no secret."""


@dataclass(frozen=True)
class Aim:
    """Where and what to ask. `timeout`: seconds for the whole request. `web`: for Via.URL."""

    namespace: str
    path: str
    port: int
    scheme: str
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    web: Web | None = None


def ask_pod(api: Api, via: Via, aim: Aim, pod: ProbedPod) -> WebAnswer | None:
    """None when no answer came, which is the pod's own. Raises Blocked for what stands between us and the pods, which is
    nobody's bad event."""
    if via is Via.PROXY:
        return _through_proxy(api, aim, pod)
    if via is Via.PORT_FORWARD:
        return _by_port_forward(api, aim, pod)
    web = aim.web or Web(f"{aim.scheme}://{_host(pod.ip)}:{aim.port}", named=False)
    try:
        sent = replace(web, headers={**web.headers, **aim.headers}, timeout=aim.timeout)
        return ask(sent, encoded(aim.path), largest=LARGEST_BODY)
    except NoAnswer:
        return None


def _through_proxy(api: Api, aim: Aim, pod: ProbedPod) -> WebAnswer | None:
    scheme = "https:" if aim.scheme == "https" else ""
    path, _mark, query = aim.path.partition("?")
    target = f"/api/v1/namespaces/{aim.namespace}/pods/{scheme}{pod.name}:{aim.port}/proxy{quote(path, _SAFE)}"
    try:
        answer = api.raw(
            "GET",
            target,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=aim.headers,
            timeout=aim.timeout,
            max_bytes=LARGEST_BODY,
        )
    except Timeout:
        return None
    except ApiError as error:
        raise Blocked(f"the API server did not pass a request on: {error.why}") from None
    said = status_message(answer.data, aim.headers)
    if said and answer.status in _OF_THE_SERVER:
        why = from_answer(asked("GET", target), answer.status, {"message": said}).why
        raise Blocked(
            f"the API server did not pass a request on ({answer.status}): {why}; try via: port_forward or via: pod"
        )
    bytes_in = len(answer.data) + sum(len(name) + len(text) + 4 for name, text in answer.headers.items())
    bytes_out = len(target) + 16 + sum(len(name) + len(text) + 4 for name, text in aim.headers.items())
    return WebAnswer(answer.status, answer.data, answer.truncated, bytes_in, bytes_out)


def _by_port_forward(api: Api, aim: Aim, pod: ProbedPod) -> WebAnswer | None:
    """Each request has a connection of its own. Whatever goes wrong once it stands is the pod's."""
    opened = False
    try:
        with api.tunnel(aim.namespace, pod.name, aim.port, seconds=aim.timeout) as tunnel:
            opened = True
            return ask_forwarded(tunnel, aim.scheme == "https", encoded(aim.path), aim.headers, LARGEST_BODY)
    except (PodRefused, Timeout):
        return None
    except ConnectionLost as error:
        if opened:
            return None
        raise Blocked(f"no port could be forwarded: {error.why}") from None
    except ApiError as error:
        raise Blocked(f"no port could be forwarded: {error}") from None


def encoded(path: str) -> str:
    """With blanks and other characters that stand in no URL escaped; a query may follow the path."""
    return quote(path, f"{_SAFE}?")


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def status_message(body: bytes, sent: Mapping[str, str]) -> str:
    """The API server's own words, if these are; an application's answer is not quoted. As it may look like them, what it repeats of
    the credentials among the headers that were sent is cut out: the words may be kept in the cluster."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(parsed, dict) or parsed.get("kind") != "Status" or parsed.get("apiVersion") != "v1":
        return ""
    return printable(without(str(parsed.get("message")), secrets_in({"headers": sent})), LONGEST_QUOTE)
