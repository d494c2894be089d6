# SPDX-License-Identifier: GPL-3.0-or-later
"""The clusters of the molecule scenarios (extensions/molecule).

python -m tests.molecule test ARGUMENT...   # `molecule test ARGUMENT...` in a cluster that goes with this process, however that ends

What the playbooks call, also those of a `molecule` that somebody runs by hand, whose cluster stays until `molecule destroy`:

python -m tests.molecule up FILE     # starts a cluster, or joins the one that CANARY_TEST_KUBECONFIG names; describes it in FILE
python -m tests.molecule real FILE   # starts one with a real node and an application under load (loaded.py)
python -m tests.molecule down        # removes both, or the scenarios' namespaces from a cluster that was only joined
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cluster.build import tell
from tests.cluster.foreign import VARIABLE, ForeignCluster, for_other_programs
from tests.cluster.lab import Lab, start_lab
from tests.cluster.paths import own_lab_directory
from tests.cluster.teardown import tear_down

from . import loaded

NAME = "molecule"
NAMESPACES = f"{NAME}-"
# Where molecule writes down how far its scenarios are; without it, every checkout of the same name has the same folder.
STATE = "MOLECULE_EPHEMERAL_DIRECTORY"


def test(arguments: Sequence[str]) -> int:
    """The exit status of molecule, which knows nothing of what an earlier run wrote down or left behind."""
    with for_other_programs() as named:
        beside = Path(named[VARIABLE]).parent if named else None
        with TemporaryDirectory(prefix="molecule-", dir=beside) as folder:
            tell(f"what molecule writes down of this run: {folder}")
            surroundings = {**os.environ, **named, STATE: folder}
            return subprocess.run(["molecule", "test", *arguments], env=surroundings, check=False).returncode


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
    loaded.down()
    foreign = ForeignCluster.named()
    if foreign is None:
        tear_down(own_lab_directory(NAME))
        return
    for name in foreign.kubectl("get", "namespaces", "--output=name").splitlines():
        if name.startswith(f"namespace/{NAMESPACES}"):
            foreign.delete_namespace(name.removeprefix("namespace/"))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["test", *arguments]:
            sys.exit(test(arguments))
        case ["up", path]:
            up(Path(path))
        case ["real", path]:
            loaded.up(Path(path))
        case ["down"]:
            down()
        case dummy:
            sys.exit(f"usage: {__doc__}")
