# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports this collection's own code out of the archive that Ansible makes of a module: compiled once, and seldom searched for garbage.

Python's zipimport compiles each file twice: `find_spec` asks for its name, and to tell that, `get_filename` compiles it. That was a third
of what a module of this collection costs. Python's collector passes over what is imported 70 times, and finds nothing.

This module is private to the collection.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from zipimport import ZipImportError, zipimporter

_OURS = f"{__name__.rsplit('.', 2)[0]}."
# More objects than a module imports, which is there to its end. Of garbage they are a few MiB.
_OBJECTS_BETWEEN_PASSES = 50_000


class _Archived(ExecutionLoader):
    """One file of an archive, whose name is known without a look into it."""

    def __init__(self, archive: zipimporter, place: str) -> None:
        self._archive, self._place = archive, place

    def is_package(self, fullname: str) -> bool:
        return self._archive.is_package(fullname)

    def get_source(self, fullname: str) -> str | None:
        return self._archive.get_source(fullname)

    def get_filename(self, fullname: str) -> str:
        name = fullname.rpartition(".")[2]
        return os.path.join(self._place, *((name, "__init__.py") if self.is_package(fullname) else (f"{name}.py",)))


class _OwnCode(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_OURS):
            return None
        for place in path or ():
            archive = _archive(place)
            if archive is not None:
                return _spec(fullname, _Archived(archive, place))
        return None


def _spec(fullname: str, loader: _Archived) -> ModuleSpec | None:
    try:
        return spec_from_loader(fullname, loader)
    except ZipImportError:
        return None  # it is no file of that archive


@cache
def _archive(place: str) -> zipimporter | None:
    """None: it is a directory."""
    try:
        return zipimporter(place)
    except ZipImportError:
        return None


def import_quickly() -> None:
    """From now on, where this file itself came out of an archive. A second call changes nothing."""
    is_archived = isinstance(getattr(__spec__, "loader", None), zipimporter)
    if is_archived and not any(isinstance(finder, _OwnCode) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OwnCode())
        gc.set_threshold(_OBJECTS_BETWEEN_PASSES)
