# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration keeps its word: `make demo` on a real node, beside whatever real nodes the tests have."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.cluster.build import CONTROL_PLANE, NODE, ensure_built
from tests.cluster.images import ensure_programs
from tests.cluster.paths import REPOSITORY
from tests.cluster.realnodes.machine import RealNodesImpossible, expected, require_runtime
from tests.integration.test_cluster_cleanup import SANDBOX

pytestmark = [pytest.mark.real, pytest.mark.slow]

TIMEOUT_SECONDS = 400


def test_a_good_release_is_promoted_and_two_bad_ones_are_undone() -> None:
    try:
        require_runtime(print)
    except RealNodesImpossible as reason:
        assert not expected(), reason
        pytest.skip(str(reason))
    ensure_built(CONTROL_PLANE + NODE)
    ensure_programs()
    demonstration = [*SANDBOX, sys.executable, "-m", "tests.demo"]
    done = subprocess.run(
        demonstration, cwd=REPOSITORY, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    told = done.stdout.rpartition("What happened")[2]
    assert done.returncode == 0, told + done.stderr
    assert "WRONG" not in told
    assert re.search(r"undone for its error rate, after \d+ s: canary \d+ bad of \d+ \(\d", told), told
    assert re.search(r"[1-9]\d* of them got an error that bad answered while it was judged", told), told
    assert "0 failed otherwise" in told
