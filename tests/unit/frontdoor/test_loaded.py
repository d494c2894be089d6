# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module loads is compiled anew by each task, so that it loads nothing of what its verb does not do."""

from __future__ import annotations

import subprocess
import sys

import pytest

PLUGINS = "ansible_collections.coalmine.canary.plugins"
SHOWN = "import sys; print(*(name for name in sys.modules if name.startswith('{0}')))"


@pytest.mark.parametrize("verb", ["info", "watch", "verify", "headroom_info"])
def test_a_verb_that_writes_no_route_loads_no_kind_of_route(verb: str) -> None:
    room = f"{PLUGINS}.module_utils.traffic."
    code = f"import {PLUGINS}.modules.canary_{verb}; {SHOWN.format(room)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.removeprefix(room) for name in done.stdout.split()} == {"exposure", "kinds", "load"}
