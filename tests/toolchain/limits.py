# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long one test may take, in seconds, before it fails with the stacks of all threads.

For tests that hang, not for tests that are slow: on a busy machine a test takes several times as long as on a quiet one.
Fixtures do not count: the first one that needs a cluster may build Kubernetes, or wait for a neighbour.
"""

from __future__ import annotations

from collections.abc import Iterable

# The longest beginning of the path decides.
BY_PATH = {
    "tests/": 60,
    "tests/unit/": 20,
    "tests/sim/": 120,
    # One playbook after another, of about 8 s each on a quiet machine.
    "tests/integration/test_commands.py": 240,
    "tests/integration/test_demo.py": 400,
    "tests/integration/test_role": 400,
    "tests/integration/test_frontdoor.py": 400,
    "tests/integration/test_verify_secrets.py": 240,
    # They wait for enough of what others send or measure.
    "tests/integration/test_verify": 180,
    "tests/integration/test_headroom": 180,
    # Random releases until the controller has come to rest.
    "tests/integration/test_model_against_controller.py": 180,
    "tests/integration/test_exactness.py": 240,
    "tests/integration/test_judged_releases.py": 400,
    # A whole cluster starts and ends.
    "tests/integration/test_cluster": 180,
    # Every moment of a release, each with a new one.
    "tests/integration/test_crash_safety.py": 180,
    "tests/integration/test_waiting.py": 120,
    # Builds and installs the collection, or makes Python environments.
    "tests/toolchain/": 180,
}
SLOW = 1800


def limit(test: str, marks: Iterable[str] = ()) -> int:
    """Of a test by its id."""
    if "slow" in marks:
        return SLOW
    return BY_PATH[max((path for path in BY_PATH if test.startswith(path)), key=len)]
