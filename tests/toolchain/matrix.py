# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The slice of the integration tests on other versions than those of .venv.

Each environment (tests/toolchain/venvs.py) runs `pytest -m slice` with its own ansible-core, Python and Kubernetes
client. One whose Python is not on this machine is named and left out.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.toolchain.venvs import ENVIRONMENTS, ROOT, Environment, make

OTHERS = ("client-24", "core-2.21")


def run_slice(environment: Environment) -> int:
    """The exit status of pytest in this environment."""
    path = os.pathsep.join([str(environment.path / "bin"), os.environ["PATH"]])
    slice_of_tests = [
        str(environment.python),
        "-m",
        "pytest",
        "-m",
        "slice",
        "-p",
        "no:cacheprovider",
        "tests/integration",
    ]
    return subprocess.run(slice_of_tests, cwd=ROOT, env={**os.environ, "PATH": path}, check=False).returncode


def main() -> int:
    status = 0
    for environment in map(ENVIRONMENTS.__getitem__, OTHERS):
        if make(environment):
            print(f"--- {environment.name}: requirements/{environment.name}.txt", flush=True)
            status = run_slice(environment) or status
        else:
            print(f"--- {environment.name}: left out, no Python {' or '.join(environment.pythons)} here", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
