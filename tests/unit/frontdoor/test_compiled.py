# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own code is compiled once, not by every process of Ansible, and no worker searches it for garbage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
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
# What a module does, in a process that finds the collection in an archive, as AnsiballZ sets it up; and what was compiled there for it.
ARCHIVED = """
import builtins, collections, json, sys
compiled, compiles = collections.Counter(), builtins.compile
def counted(source, name, *given, **named):
    compiled[str(name).removeprefix(sys.path[0])] += 1
    return compiles(source, name, *given, **named)
builtins.compile = counted
import ansible_collections.coalmine.canary.plugins.modules.canary_start as module
verb = sys.modules["ansible_collections.coalmine.canary.plugins.module_utils.verbs.start"]
print(json.dumps([compiled, verb.__file__, verb.__spec__.loader.get_source(verb.__name__)]))
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


def test_a_module_compiles_each_file_of_its_archive_once(tmp_path: Path) -> None:
    archive = tmp_path / "payload.zip"
    plugins = COLLECTIONS / "ansible_collections" / "coalmine" / "canary" / "plugins"
    with zipfile.ZipFile(archive, "w") as written:
        for package in (
            "",
            "coalmine/",
            "coalmine/canary/",
            "coalmine/canary/plugins/",
            "coalmine/canary/plugins/modules/",
        ):
            written.writestr(f"ansible_collections/{package}__init__.py", "")
        for path in (plugins / "modules" / "canary_start.py", *(plugins / "module_utils").rglob("*.py")):
            written.write(path, path.relative_to(COLLECTIONS))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    begun = f"import sys; sys.path.insert(0, {str(archive)!r})\n{ARCHIVED}"
    done = subprocess.run([sys.executable, "-c", begun], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    compiled, name, source = json.loads(done.stdout.splitlines()[-1])
    ours = {file: times for file, times in compiled.items() if "/module_utils/" in file}
    # Until the module has said so, its own first import is done as Python does it.
    first = {
        file for file in ours if file.endswith(("/module_utils/__init__.py", "/frontdoor/__init__.py", "/zipped.py"))
    }
    assert len(ours) > 50 and {ours[file] for file in ours.keys() - first} == {1}, ours
    # A traceback shows its lines.
    verb = plugins / "module_utils" / "verbs" / "start.py"
    assert name == str(archive / verb.relative_to(COLLECTIONS)) and source == verb.read_text()
