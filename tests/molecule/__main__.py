# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster of the molecule scenarios (extensions/molecule/default).

python -m tests.molecule up FILE     # starts it, or joins the one that CANARY_TEST_KUBECONFIG names; describes it in FILE
python -m tests.molecule real FILE   # likewise one with a real node and an application under load (loaded.py)
python -m tests.molecule down        # removes both, or the scenarios' namespaces from a cluster that it only joined
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab, start_lab
from tests.cluster.paths import own_lab_directory
from tests.cluster.teardown import tear_down

from . import loaded

NAME = "molecule"
NAMESPACES = f"{NAME}-"


def up(description: Path) -> None:
    cluster = ForeignCluster.named() or _started()
    facts = {"kubeconfig": str(cluster.kubeconfig), "kubectl": str(cluster.binaries / "kubectl")}
    description.write_text(json.dumps(facts), encoding="utf-8")


def _started() -> Lab:
    """A fresh one that outlives this process; what an earlier run left is removed first."""
    tear_down(own_lab_directory(NAME))
    lab = start_lab(own_lab_directory(NAME), kept=True)
    lab.leave()
    return lab


def down() -> None:
    foreign = ForeignCluster.named()
    if foreign is None:
        tear_down(own_lab_directory(NAME))
        loaded.down()
        return
    for name in foreign.kubectl("get", "namespaces", "--output=name").splitlines():
        if name.startswith(f"namespace/{NAMESPACES}"):
            foreign.delete_namespace(name.removeprefix("namespace/"))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["up", path]:
            up(Path(path))
        case ["real", path]:
            loaded.up(Path(path))
        case ["down"]:
            down()
        case dummy:
            sys.exit(f"usage: {__doc__}")
