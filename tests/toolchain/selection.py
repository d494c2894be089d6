# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests that a change can break, by the imports of this repository: what `make quick` runs.

    python -m tests.toolchain.selection            # runs them
    python -m tests.toolchain.selection --list     # only names them
    python -m tests.toolchain.selection --base HEAD

What has changed is what differs from the branch `main` (`--base`), uncommitted and new files included. A test file is selected
when it is changed itself, when it imports, on whatever way, a file that is changed, or one that names a folder in which something is, or
when BEHIND says so.
`make test` stays the whole truth: a change of data, of a template or of a version is seen by no import.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from tests.toolchain.venvs import ROOT

COLLECTION = "ansible_collections.coalmine.canary"
# What is read, and not imported, by whoever names it: a folder, or a file in it.
FOLDERS = ("changelogs", "docs", "examples", "extensions", "playbooks", "requirements", "roles")
# Whoever runs this runs these.
PLAYS = "ansible-playbook"
PLAYED = ("plugins/action/", "plugins/callback/", "plugins/modules/", "plugins/plugin_utils/", "roles/", "playbooks/")
# What a file of tests reads by no name that it says: the documentation in each module.
BEHIND: Mapping[str, Sequence[str]] = {
    "tests/unit/frontdoor/test_documentation.py": ("plugins/modules/",),
    "tests/toolchain/test_blocks.py": ("plugins/modules/",),
    "tests/toolchain/test_docs.py": ("tests/README.md", "README.md", "CONTRIBUTING.md"),
}

Graph = Mapping[str, frozenset[str]]


def module_of(path: str) -> str:
    """As it is imported: the collection's files by their full name."""
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join((COLLECTION, *parts) if parts[0] == "plugins" else parts)


def imports(path: str, nodes: Iterable[ast.AST]) -> set[str]:
    """Modules that a file names in its imports, also those inside functions; some of the names may be no modules."""
    package = module_of(path) if path.endswith("__init__.py") else module_of(path).rpartition(".")[0]
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def places(nodes: Iterable[ast.AST]) -> set[str]:
    """Beginnings of the paths of what a file of tests reads or plays, by the texts in it."""
    said = {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    read = {f"{folder}/" for folder in FOLDERS if any(text == folder or text.startswith(f"{folder}/") for text in said)}
    return read | set(PLAYED if PLAYS in said else ())


def graph_of(sources: Mapping[str, str]) -> Graph:
    """File -> files that it imports, and places that it reads; `sources` are texts by path."""
    files = {module_of(path): path for path in sources}
    return {path: frozenset(_behind_it(path, list(ast.walk(ast.parse(text))), files)) for path, text in sources.items()}


def _behind_it(path: str, nodes: Sequence[ast.AST], files: Mapping[str, str]) -> set[str]:
    """`files`: by the name as which they are imported."""
    imported = {files[name] for name in imports(path, nodes) if name in files} - {path}
    return imported | (places(nodes) if path.startswith("tests/") else set())


def reached(graph: Graph, start: str) -> set[str]:
    """Everything that a file imports, on whatever way, and itself."""
    seen, to_do = {start}, [start]
    while to_do:
        for file in graph.get(to_do.pop(), frozenset()):
            if file not in seen:
                seen.add(file)
                to_do.append(file)
    return seen


def selected(graph: Graph, changed: Iterable[str]) -> list[str]:
    """The files of tests that can break."""
    changes = set(changed)
    touched = changes | {place for place in (*PLAYED, *(f"{folder}/" for folder in FOLDERS)) if _is_in(place, changes)}
    return [test for test in sorted(filter(is_test, graph)) if reached(graph, test) & touched or _behind(test, changes)]


def is_test(path: str) -> bool:
    return path.startswith("tests/") and PurePosixPath(path).name.startswith("test_")


def _behind(test: str, changes: set[str]) -> bool:
    return any(_is_in(place, changes) for place in BEHIND.get(test, ()))


def _is_in(place: str, changes: set[str]) -> bool:
    return any(change.startswith(place) for change in changes)


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line]


def changed_since(base: str) -> list[str]:
    since = _git("merge-base", base, "HEAD")[0]
    return sorted({*_git("diff", "--name-only", since), *_git("ls-files", "--others", "--exclude-standard")})


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="main", help="what the change is compared with (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="name the files and run nothing")
    given = parser.parse_args(arguments)
    changed = changed_since(given.base)
    files = _git("ls-files", "--cached", "--others", "--exclude-standard", "plugins/**.py", "tests/**.py")
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in files if (ROOT / path).exists()}
    tests = selected(graph_of(sources), changed)
    count = sum(map(is_test, sources))
    print(f"{len(changed)} files have changed: {len(tests)} of {count} test files", *tests, sep="\n  ", flush=True)
    if given.list or not tests:
        return 0
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "-m", "not slow", *tests]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
