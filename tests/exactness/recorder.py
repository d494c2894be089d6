# SPDX-License-Identifier: GPL-3.0-or-later
"""An onlooker: counts Ready pods by a watch of its own, apart from whatever the verbs believe."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tests.cluster.lab import Lab

STREAM_SECONDS = 7200
CATCH_UP_SECONDS = 30.0
LIST_AGAIN_SECONDS = 1.0
_Used = TypeVar("_Used")


class Blind(RuntimeError):
    """The stream ended, or fell behind for long: nothing that was counted since then is worth anything."""


@dataclass
class Seen:
    """Pods of one namespace: the Ready ones now (uid: version), and what was the case since the last `mark`: the fewest
    Ready pods, and the most of each version. `appeared` and `latest`: when the youngest pod was first seen, and when a
    pod last became Ready (monotonic clock)."""

    ready: dict[str, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    fewest: int = 0
    most: Counter[str] = field(default_factory=Counter)
    appeared: float = 0.0
    latest: float = 0.0

    @property
    def versions(self) -> Counter[str]:
        return Counter(self.ready.values())

    def take(self, event: str, pod: Mapping[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self.known:
            self.known.add(uid)
            self.appeared = time.monotonic()
        if event == "DELETED" or not is_ready(pod):
            self.ready.pop(uid, None)
        elif uid not in self.ready:
            self.ready[uid] = version(pod)
            self.latest = time.monotonic()
        self.note()

    def note(self) -> None:
        self.fewest = min(self.fewest, len(self.ready))
        self.most |= self.versions

    def mark(self) -> None:
        self.fewest, self.most = len(self.ready), self.versions


def is_ready(pod: Mapping[str, Any]) -> bool:
    """As a Service counts: a terminating pod is gone."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def version(pod: Mapping[str, Any]) -> str:
    """The tag of its first container's image."""
    return str(pod["spec"]["containers"][0]["image"]).rpartition(":")[2]


class Recorder:
    """Watches all pods of the cluster in one stream, in the order of their changes, over a connection of its own."""

    def __init__(self, lab: Lab) -> None:
        self._api = lab.api
        self._seen: dict[str, Seen] = defaultdict(Seen)
        self._changed = threading.Condition()
        self._ended = False
        pki = lab.layout.pki
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        address = urlsplit(lab.server)
        connection = http.client.HTTPSConnection(
            str(address.hostname), int(address.port or 443), context=context, timeout=STREAM_SECONDS
        )
        connection.request("GET", f"/api/v1/pods?watch=1&timeoutSeconds={STREAM_SECONDS}")
        self._wire: socket.socket = connection.sock
        self._stream = connection.getresponse()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            for line in self._stream:
                if not line.endswith(b"\n"):
                    break  # cut in the middle of an event
                event = json.loads(line)
                with self._changed:
                    self._seen[event["object"]["metadata"]["namespace"]].take(event["type"], event["object"])
                    self._changed.notify_all()
        except (OSError, http.client.HTTPException):
            pass  # an end like any other: whoever asks from now on is told
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def mark(self, namespace: str) -> None:
        """Begins anew, once the stream has told all that a list of the pods tells."""
        self._when_caught_up(namespace, Seen.mark)

    def since_mark(self, namespace: str) -> Seen:
        """What was seen since the mark, once the stream has told all that a list of the pods tells."""
        return self._when_caught_up(namespace, deepcopy)

    def _when_caught_up(self, namespace: str, use: Callable[[Seen], _Used]) -> _Used:
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while time.monotonic() < deadline:
            listed = self._listed(namespace)
            with self._changed:
                seen = self._seen[namespace]
                self._changed.wait_for(partial(self._agrees, seen, listed), LIST_AGAIN_SECONDS)
                if self._ended:
                    raise Blind("the onlooker's stream ended")
                if self._agrees(seen, listed):
                    return use(seen)
        raise Blind(f"the onlooker's stream of {namespace} is {CATCH_UP_SECONDS:.0f} s behind")

    def _agrees(self, seen: Seen, listed: set[str]) -> bool:
        return self._ended or seen.ready.keys() == listed

    def _listed(self, namespace: str) -> set[str]:
        pods = self._api.request("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
        return {pod["metadata"]["uid"] for pod in pods if is_ready(pod)}

    def close(self) -> None:
        """Ends the stream; reading stops with it."""
        with suppress(OSError):  # it may have ended by itself
            # Not SSLSocket's own shutdown, which pulls the TLS state from under the reader.
            socket.socket.shutdown(self._wire, socket.SHUT_RDWR)
        self._reader.join()
        self._stream.close()
