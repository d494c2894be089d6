# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of the user's own, used only when CANARY_TEST_KUBECONFIG names it: KUBECONFIG and ~/.kube are never read."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from .build import CONTROL_PLANE, ensure_built
from .certificates import write_kubeconfig
from .kubectl import kubectl
from .lab import start_lab

VARIABLE = "CANARY_TEST_KUBECONFIG"


class ForeignCluster:
    """Offers of a Lab what does not need to own the cluster: no client certificates, no nodes, no stopping."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig.resolve(strict=True)
        self.binaries = ensure_built(CONTROL_PLANE)

    @classmethod
    def named(cls) -> ForeignCluster | None:
        """The cluster that the environment names, None when it names none."""
        kubeconfig = os.environ.get(VARIABLE)
        return cls(Path(kubeconfig)) if kubeconfig else None

    def kubectl(self, *arguments: str | Path, input: str | None = None) -> str:
        return kubectl(self.binaries, self.kubeconfig, *arguments, input=input)

    def create_namespace(self, prefix: str = "test") -> str:
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.kubectl("create", "namespace", name)
        self.kubectl("wait", "--for=create", "--namespace", name, "serviceaccount/default", "--timeout=30s")
        return name

    def delete_namespace(self, name: str) -> None:
        self.kubectl("delete", "namespace", name, "--wait=false")

    def vacate(self, namespace: str) -> None:
        """It is its owner's: nothing of ours stays."""
        self.delete_namespace(namespace)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a token of an existing ServiceAccount; its file is the owner's only."""
        token = self.kubectl("create", "token", name, "--namespace", namespace, "--duration=1h").strip()
        cluster = json.loads(self.kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
        cluster = cluster["clusters"][0]["cluster"]
        directory = Path(mkdtemp(prefix="coalmine-token-"))
        return write_kubeconfig(directory / "kubeconfig", cluster, {"token": token})


@contextmanager
def for_other_programs() -> Iterator[dict[str, str]]:
    """The variable that names them a cluster: empty where the environment names one already, else of one that goes with this process,
    however that ends."""
    if VARIABLE in os.environ:
        yield {}
        return
    with start_lab() as lab:
        yield {VARIABLE: str(lab.kubeconfig)}
