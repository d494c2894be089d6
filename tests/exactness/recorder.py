# SPDX-License-Identifier: GPL-3.0-or-later
"""An onlooker: counts Ready pods by a watch of its own, apart from whatever the verbs believe."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.cluster.lab import Lab

STREAM_SECONDS = 3600
FIRST_EVENTS_SECONDS = 30


@dataclass
class Seen:
    """Pods of one namespace: who is Ready now, and the fewest Ready pods since the last `mark`."""

    ready: dict[str, bool] = field(default_factory=dict)
    fewest_ready: int = 0


class Recorder:
    """Watches all pods of the cluster in one stream, in the order of their changes; a terminating pod counts as gone."""

    def __init__(self, lab: Lab) -> None:
        self._seen: dict[str, Seen] = defaultdict(Seen)
        self._changed = threading.Condition()
        pki = lab.layout.pki
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        address = urlsplit(lab.server)
        self._connection = http.client.HTTPSConnection(
            str(address.hostname), int(address.port or 443), context=context, timeout=STREAM_SECONDS
        )
        self._connection.request("GET", f"/api/v1/pods?watch=1&timeoutSeconds={STREAM_SECONDS}")
        self._stream = self._connection.getresponse()
        self.ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stream:
            event = json.loads(line)
            with self._changed:
                self._take(event["type"], event["object"])
                self._changed.notify_all()
        self.ended = True

    def _take(self, kind: str, pod: dict) -> None:
        meta, status = pod["metadata"], pod.get("status") or {}
        seen = self._seen[meta["namespace"]]
        if kind == "DELETED" or meta.get("deletionTimestamp"):
            seen.ready.pop(meta["uid"], None)
        else:
            conditions = status.get("conditions") or ()
            seen.ready[meta["uid"]] = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        seen.fewest_ready = min(seen.fewest_ready, sum(seen.ready.values()))

    def mark(self, namespace: str, ready: int) -> None:
        """Begins anew, once the stream has told of that many Ready pods (it may be a moment behind)."""
        with self._changed:
            caught_up = self._changed.wait_for(
                lambda: sum(self._seen[namespace].ready.values()) == ready, FIRST_EVENTS_SECONDS
            )
            if not caught_up:
                raise TimeoutError(f"the onlooker never saw {ready} Ready pods in {namespace}")
            seen = self._seen[namespace]
            seen.fewest_ready = sum(seen.ready.values())

    def fewest_ready(self, namespace: str, now: int) -> int:
        """The fewest Ready pods since the mark, once the stream has told of `now` Ready pods."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: sum(self._seen[namespace].ready.values()) == now, FIRST_EVENTS_SECONDS
            ):
                raise TimeoutError(
                    f"{namespace}: {sum(self._seen[namespace].ready.values())} pods are Ready, {now} were promised"
                )
            return self._seen[namespace].fewest_ready

    def close(self) -> None:
        """Ends the stream; reading stops with it."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._connection.close()
