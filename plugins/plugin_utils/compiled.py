# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports this collection's own code as Python imports any other: compiled once, and kept in __pycache__.

Ansible's loader of collections compiles every file anew in every process (`_AnsibleCollectionPkgLoaderBase.get_code`), which is
most of what a task of this collection would cost. Where nothing may be written beside the code, it is compiled as before.

This module is private to the collection.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

_OURS = tuple(f"{__name__.rsplit('.', 2)[0]}.{room}." for room in ("module_utils", "plugin_utils"))
# Ansible's finder, which would be asked (ansible/utils/collection_loader/_collection_finder.py).
_THEIRS = "_AnsibleCollectionFinder"


class _OwnCode(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_OURS):
            return None
        for directory in path or ():
            found = _finder(directory).find_spec(fullname)
            if found is not None and found.loader is not None:
                return found
        return None


@cache
def _finder(directory: str) -> FileFinder:
    """It keeps what it has found in the directory, until that changes."""
    return FileFinder(directory, (SourceFileLoader, SOURCE_SUFFIXES))


def keep_compiled() -> None:
    """From now on, for what Ansible's finder would be asked for. A second call changes nothing."""
    finders = [type(finder).__name__ for finder in sys.meta_path]
    if _THEIRS in finders and _OwnCode.__name__ not in finders:
        sys.meta_path.insert(finders.index(_THEIRS), _OwnCode())
