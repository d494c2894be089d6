# SPDX-License-Identifier: GPL-3.0-or-later
"""KEDA for a cluster: its operator as a process of this machine, with the rights that it has everywhere.

There is no metrics adapter: what an autoscaler of KEDA counts, a test says in its place.
"""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..build import Say, tell
from ..certificates import Authority
from ..construction import Construction
from ..controlplane import LOOPBACK
from ..locks import exclusive
from ..objects import create, serve
from ..rights import granted
from .program import PROGRAM, definitions, ensure_keda, rules

if TYPE_CHECKING:
    from ..lab import Lab

GROUP, VERSION = "keda.sh", "v1alpha1"
USER = "keda-operator"


def add_keda(lab: Lab, say: Say = tell) -> None:
    """Runs it for every namespace of the cluster. A second call finds it there."""
    program = ensure_keda(say)
    place = lab.directory / PROGRAM
    with exclusive(lab.directory / f"{PROGRAM}.lock"):
        if (place / "started").exists():
            return
        serve(lab, definitions())
        create(lab, granted(USER, rules()))
        place.mkdir(exist_ok=True)
        # For those who ask it for metrics; nobody does.
        pair = Authority(lab.layout.pki).server(PROGRAM, [f"IP:{LOOPBACK}"])
        for source, name in (
            (pair.certificate, "tls.crt"),
            (pair.key, "tls.key"),
            (lab.layout.pki / "ca.crt", "ca.crt"),
        ):
            shutil.copyfile(source, place / name)
        command: list[str | Path] = [
            program, "--enable-prometheus-metrics=false", "--health-probe-bind-address=0",
            f"--metrics-service-bind-address={LOOPBACK}:0", f"--cert-dir={place}", "--zap-encoder=console",
        ]  # fmt: skip
        environment = {
            "KUBECONFIG": str(lab.client_for(USER)),
            "WATCH_NAMESPACE": "",
            "POD_NAMESPACE": "default",
            "KEDA_CLUSTER_OBJECT_NAMESPACE": "default",
            # Milliseconds: a test decides when a trigger is answered.
            "KEDA_HTTP_DEFAULT_TIMEOUT": "60000",
        }
        Construction(lab.layout, lab.binaries).run(PROGRAM, command, environment)
        (place / "started").touch()


class Queue:
    """What a trigger of the type metrics-api reads. `asked`: how often it was; it waits for its answer until `answers` is set."""

    def __init__(self, length: int) -> None:
        self.length, self.asked, self.answers = length, 0, threading.Event()
        self.answers.set()
        self._server = ThreadingHTTPServer((LOOPBACK, 0), type("Handler", (_Handler,), {"queue": self}))

    def __enter__(self) -> Queue:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()

    def trigger(self, target: int, metric_type: str = "AverageValue") -> dict[str, Any]:
        url = f"http://{LOOPBACK}:{self._server.server_port}"
        said = {"url": url, "valueLocation": "length", "targetValue": str(target)}
        return {"type": "metrics-api", "metricType": metric_type, "metadata": said}


class _Handler(BaseHTTPRequestHandler):
    queue: ClassVar[Queue]

    def do_GET(self) -> None:
        self.queue.asked += 1
        self.queue.answers.wait()
        body = json.dumps({"length": self.queue.length}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is told."""
