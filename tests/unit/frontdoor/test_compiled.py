# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own code is compiled once, not by every process of Ansible, and no worker searches it for garbage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

COLLECTIONS = Path(__file__).resolve().parents[3] / ".collections"
# What ansible-playbook does before it forks its workers, and how the verb of that task was imported then.
LOADED = """
import gc, json, sys
from ansible.plugins.loader import action_loader, init_plugin_loader
init_plugin_loader()
action_loader.get("coalmine.canary.canary_start", class_only=True)
spec = sys.modules["ansible_collections.coalmine.canary.plugins.module_utils.verbs.start"].__spec__
verb = sys.modules[spec.name]
collected = any(verb.__dict__ is each for each in gc.get_objects())
print(json.dumps([type(spec.loader).__name__, spec.cached, collected, gc.isenabled()]))
"""


def test_a_verb_is_imported_from_what_was_compiled_before_and_kept_for_good(tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")},
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "PYTHONPYCACHEPREFIX": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loader, cached, collected, goes_on = json.loads(done.stdout.splitlines()[-1])
    assert loader == "SourceFileLoader"
    assert cached.startswith(str(tmp_path)) and Path(cached).is_file()
    # A pass of the collector over it would cost each worker as much as a task.
    assert not collected and goes_on
