# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The slice of the integration tests on other versions than those of .venv.

Each environment (tests/toolchain/venvs.py) runs `pytest -m slice` with its own ansible-core, Python and Kubernetes
client, one after another in the same cluster. One whose Python is not on this machine is named and left out.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.cluster.foreign import for_other_programs
from tests.toolchain.venvs import ENVIRONMENTS, ROOT, Environment, make

# Where tests are marked so: to collect all the others, only to leave them out, would take each environment seconds.
CONNECTING, LIBRARY = "tests/integration/test_connection.py", "tests/integration/test_client_library.py"
BOTH_DOORS = "tests/integration/test_frontdoor.py"
KEYWORDS, LIVE = "tests/integration/test_role_keywords.py", "tests/integration/test_live_view.py"
# Environment -> what may differ there. Of the client library there is the version alone; to connect takes Python's ssl, which is strict from
# 3.13 on. Whom a keyword of the caller rescues, ends or lets go on is ansible-core's own, and so is what it tells a callback, which the oldest
# and the newest one show.
OTHERS = {
    "client-24": (LIBRARY,),
    "core-2.20": (BOTH_DOORS, KEYWORDS),
    "core-2.21": (CONNECTING, LIBRARY, BOTH_DOORS, KEYWORDS, LIVE),
}


def run_slice(environment: Environment, named: dict[str, str]) -> int:
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
        *OTHERS[environment.name],
    ]
    surroundings = {**os.environ, **named, "PATH": path}
    return subprocess.run(slice_of_tests, cwd=ROOT, env=surroundings, check=False).returncode


def main() -> int:
    status = 0
    with for_other_programs() as named:
        for environment in map(ENVIRONMENTS.__getitem__, OTHERS):
            if make(environment):
                print(f"--- {environment.name}: requirements/{environment.name}.txt", flush=True)
                status = run_slice(environment, named) or status
            else:
                missing = " or ".join(environment.pythons)
                print(f"--- {environment.name}: left out, no Python {missing} here", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
