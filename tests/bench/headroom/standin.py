# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the API server of a large cluster: its lists, paged and packed as the real one does, and no more than headroom asks.

    python -m tests.bench.headroom.standin --nodes 5000 --pods 150000 --store build/crowd

A machine that builds this has no room for 150,000 pods in etcd. Pages are written once into files, gzip at level 1 in small chunks as
the real server sends them, and then only copied to the connection: its own time is as short as it can be. It prints its port.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .crowd import NAMESPACE, Crowd, deployment, replica_set

# What Go's HTTP server puts into one chunk.
CHUNK = 4096
# The real server compresses from 128 KiB on, at level 1 (k8s.io/apiserver, responsewriters/writers.go).
GZIP_LEVEL = 1
MOMENT = "912345678"
EVERYTHING = 1 << 31
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
HOME = f"/api/v1/namespaces/{NAMESPACE}"

Object = dict[str, Any]


@dataclass(frozen=True)
class Store:
    """Pages of a crowd as files, framed as they go over the wire."""

    crowd: Crowd
    directory: Path

    def page(self, kind: str, start: int, limit: int, moment: str = MOMENT) -> Path:
        """The page of these objects, written when it is asked for first."""
        path = self.directory / f"{kind}-{limit}-{start}-{moment}"
        if not path.exists():
            fresh = path.with_suffix(".part")
            fresh.write_bytes(chunked(packed(self._body(kind, start, limit, moment))))
            fresh.replace(path)
        return path

    def prepare(self, kind: str, limit: int) -> None:
        """Writes all pages of a list."""
        for start in range(0, self.count(kind), limit):
            self.page(kind, start, limit)

    def count(self, kind: str) -> int:
        return self.crowd.nodes if kind == "nodes" else self.crowd.pods

    def _body(self, kind: str, start: int, limit: int, moment: str) -> bytes:
        rest = max(0, self.count(kind) - start - limit)
        metadata: Object = {"resourceVersion": moment}
        if rest:
            metadata["continue"] = token(start + limit, moment)
        name = "NodeList" if kind == "nodes" else "PodList"
        head = json.dumps({"kind": name, "apiVersion": "v1", "metadata": metadata}, separators=(",", ":"))
        make = self.crowd.node if kind == "nodes" else self.crowd.pod
        body = b",".join(map(make, range(start, min(start + limit, self.count(kind)))))
        return head[:-1].encode() + b',"items":[' + body + b"]}\n"


def token(start: int, moment: str) -> str:
    """Where a list goes on, and at which resourceVersion; opaque to clients."""
    return base64.urlsafe_b64encode(json.dumps([start, moment]).encode()).decode()


def started(text: str) -> tuple[int, str]:
    start, moment = json.loads(base64.urlsafe_b64decode(text))
    return int(start), str(moment)


def packed(body: bytes) -> bytes:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(body) + packer.flush()


def chunked(body: bytes) -> bytes:
    """With the frames of HTTP's chunked encoding."""
    pieces = (body[at : at + CHUNK] for at in range(0, len(body), CHUNK))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def unframed(framed: bytes) -> bytes:
    """The body of `chunked`."""
    found: list[bytes] = []
    at = 0
    while True:
        size, _, _ = framed[at : at + 16].partition(b"\r\n")
        length, at = int(size, 16), at + len(size) + 2
        if not length:
            return b"".join(found)
        found.append(framed[at : at + length])
        at += length + 2


def small_answers() -> dict[str, Object]:
    """Everything else that headroom reads of this cluster, by path."""

    def listed(*objects: Object) -> Object:
        return {"metadata": {"resourceVersion": MOMENT}, "items": list(objects)}

    return {
        "/version": {"major": "1", "minor": "37"},
        f"{APPS}/deployments/web": deployment(),
        f"{APPS}/replicasets": listed(replica_set()),
        f"{HOME}/resourcequotas": listed(),
        f"{HOME}/limitranges": listed(),
        "/api/v1/namespaces": listed({"metadata": {"name": NAMESPACE, "labels": {}}}),
        "/apis/karpenter.sh/v1/nodepools": listed(),
    }


class StandIn(ThreadingHTTPServer):
    """Listens on a port of its own choice on this machine. `asked` are the targets of all requests.

    `moods` are the answers that the next turns of a page get instead of the page: status, headers, body.
    """

    daemon_threads = True

    def __init__(self, store: Store) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.store = store
        self.small = small_answers()
        self.asked: list[str] = []
        self.moods: list[tuple[int, dict[str, str], Object]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A head and the body after it would wait for each other's acknowledgement.
    disable_nagle_algorithm = True
    server: StandIn

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        target = urlsplit(self.path)
        kind = {"/api/v1/nodes": "nodes", "/api/v1/pods": "pods"}.get(target.path)
        if self.server.moods and "continue=" in target.query:
            status, headers, body = self.server.moods.pop(0)
            self._whole(status, body, headers)
        elif kind is not None:
            self._page(kind, {key: values[0] for key, values in parse_qs(target.query).items()})
        elif target.path in self.server.small:
            self._whole(200, self.server.small[target.path])
        else:
            self._whole(404, {"kind": "Status", "code": 404, "message": f"no {target.path} here"})

    def do_POST(self) -> None:
        """The dry run of a pod: admission changes nothing here."""
        self.server.asked.append(self.path)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._whole(201, {**asked, "spec": {**asked["spec"], "priority": 0}})

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent: a line a request would cost more than the request."""

    def _page(self, kind: str, query: dict[str, str]) -> None:
        start, moment = started(query["continue"]) if "continue" in query else (0, MOMENT)
        path = self.server.store.page(kind, start, int(query.get("limit", EVERYTHING)), moment)
        zipped = "gzip" in self.headers.get("Accept-Encoding", "")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if zipped:
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with path.open("rb") as file:
                shutil.copyfileobj(file, self.wfile, 1 << 20)
            return
        body = zlib.decompress(unframed(path.read_bytes()), zlib.MAX_WBITS | 16)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _whole(self, status: int, answer: Object, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--pods", type=int, required=True)
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--store", type=Path, required=True)
    given = parser.parse_args(arguments)
    given.store.mkdir(parents=True, exist_ok=True)
    store = Store(Crowd(given.nodes, given.pods), given.store)
    for kind in ("nodes", "pods"):
        store.prepare(kind, given.limit)
    server = StandIn(store)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
