# SPDX-License-Identifier: GPL-3.0-or-later
"""Flux for a cluster: its kustomize-controller as a process of this machine, with the rights that it has everywhere.

Nothing fetches from a Git server: `Repository` says of a folder what source-controller says of a repository that it has fetched.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..build import Say, tell
from ..construction import Construction
from ..controlplane import LOOPBACK
from ..locks import exclusive
from ..objects import MERGE_PATCH, Temporary, create, serve, until_it_holds
from ..rights import everything_for
from .program import GROUP, PROGRAM, definitions, ensure_flux

if TYPE_CHECKING:
    from ..lab import Lab

KUSTOMIZE = "kustomize.toolkit.fluxcd.io"
# By which the command line of Flux asks for a look at once (fluxcd.io/flux/components/kustomize/kustomizations, "Triggering a reconcile").
ASKED = "reconcile.fluxcd.io/requestedAt"


def add_flux(lab: Lab, say: Say = tell) -> None:
    """Runs it for every namespace of the cluster. A second call finds it there."""
    program = ensure_flux(say)
    place = lab.directory / PROGRAM
    with exclusive(lab.directory / f"{PROGRAM}.lock"):
        if (place / "started").exists():
            return
        serve(lab, definitions())
        # Those of the module's own config/rbac/cluster_role_binding.yaml.
        create(lab, everything_for(PROGRAM))
        place.mkdir(exist_ok=True)
        # What it finds of its kind in the directory of temporary files it removes when it begins.
        environment = {"KUBECONFIG": str(lab.client_for(PROGRAM)), "RUNTIME_NAMESPACE": "default", "TMPDIR": str(place)}
        command: list[str | Path] = [program, "--metrics-addr=0", "--health-addr=0", "--interval-jitter-percentage=0"]
        Construction(lab.layout, lab.binaries).run(PROGRAM, command, environment)
        (place / "started").touch()


class Repository:
    """A GitRepository of a namespace, as it was when `fetch` was called last: that is what source-controller does each minute.

    `url`: who sends anything there has it fetched, as `flux reconcile source git` does.
    """

    def __init__(self, lab: Lab, namespace: str, name: str, folder: Path) -> None:
        self._lab, self._folder, self._served = lab, folder, dict[str, bytes]()
        self._path = f"/apis/{GROUP}/v1/namespaces/{namespace}/gitrepositories"
        self._object = f"{self._path}/{name}"
        self._server = ThreadingHTTPServer((LOOPBACK, 0), type("Handler", (_Handler,), {"repository": self}))
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"
        kind = {"apiVersion": f"{GROUP}/v1", "kind": "GitRepository"}
        spec = {"interval": "1m", "url": "https://git.example/shop"}
        lab.api.request("POST", self._path, {**kind, "metadata": {"name": name}, "spec": spec})
        self.fetch()

    def __enter__(self) -> Repository:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fetch(self) -> str:
        """What the folder holds now is what Flux knows; returns the revision of it."""
        packed = _packed({path.name: path.read_bytes() for path in sorted(self._folder.iterdir())})
        digest = hashlib.sha256(packed).hexdigest()
        self._served[f"/{digest}.tar.gz"] = packed
        artifact = {
            "digest": f"sha256:{digest}",
            "lastUpdateTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "path": f"{digest}.tar.gz",
            "revision": (revision := f"main@sha1:{digest[:40]}"),
            "size": len(packed),
            "url": f"{self.url}/{digest}.tar.gz",
        }
        self._lab.api.request("PATCH", f"{self._object}/status", {"status": {"artifact": artifact}}, MERGE_PATCH)
        return revision

    def served(self, path: str) -> bytes | None:
        return self._served.get(path)


def _packed(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


class _Handler(BaseHTTPRequestHandler):
    repository: ClassVar[Repository]

    def do_GET(self) -> None:
        found = self.repository.served(self.path)
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")

    def do_POST(self) -> None:
        self.repository.fetch()
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is told."""


class Kustomization(Temporary):
    """One of a namespace, which is applied each second, and beside that when it is asked for. With it goes what it has applied."""

    def __init__(self, lab: Lab, namespace: str, name: str, **spec: Any) -> None:
        made = {
            "interval": "1s",
            "prune": True,
            "path": "./",
            "targetNamespace": namespace,
            "sourceRef": {"kind": "GitRepository", "name": name},
            **spec,
        }
        kind = {"apiVersion": f"{KUSTOMIZE}/v1", "kind": "Kustomization"}
        super().__init__(
            lab, f"/apis/{KUSTOMIZE}/v1/namespaces/{namespace}/kustomizations", name, {**kind, "spec": made}
        )

    @property
    def rounds(self) -> int:
        """How often it was applied, or was tried to be."""
        return sum(entry["totalReconciliations"] for entry in self.status.get("history") or ())

    @property
    def suspended(self) -> bool:
        return bool(self.spec.get("suspend"))

    def reconcile(self, revision: str = "") -> None:
        """One round more, from its beginning to its end, and of this revision where one is named."""
        asked = uuid.uuid4().hex
        self.annotate(**{ASKED: asked})
        until_it_holds(lambda: self._handled(asked, revision), "the Kustomization is reconciled")

    def _handled(self, asked: str, revision: str) -> bool:
        status = self.status
        ready = any((one["type"], one["status"]) == ("Ready", "True") for one in status.get("conditions") or ())
        return (
            ready and status.get("lastHandledReconcileAt") == asked and revision in ("", status["lastAppliedRevision"])
        )
