# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which room may import what: a contract type for import-linter.

import-linter's own contracts say what is forbidden, so a package that nobody thought of is allowed. Here the table in
pyproject.toml says what is allowed, and everything else is not: another room, a library, and in the pure rooms a
module of the standard library that has a clock or does I/O.
"""

from __future__ import annotations

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class Doors(Contract):
    """Each door is "ROOMS -> TARGETS", comma-separated; a row counts for its rooms and everything inside them.

    A target is `.room` or `.room.module` of `package`, a library, `stdlib`, or `pure` for the modules listed in `pure`.
    """

    type_name = "doors"

    package = fields.StringField()
    doors = fields.ListField(subfield=fields.StringField())
    pure = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        doors = [door for row in self.doors for door in self._parsed(row)]  # type: ignore[attr-defined]
        broken: list[tuple[str, str, list[int]]] = []
        homeless: list[str] = []
        for importer in sorted(module for module in graph.modules if _inside(module, str(self.package))):
            targets = graph.find_modules_directly_imported_by(importer)
            allowed = [name for room, target in doors if _inside(importer, room) for name in (room, target)]
            if targets and not allowed:
                homeless.append(importer)
                continue
            for imported in sorted(targets):
                if not any(_inside(imported, name) for name in allowed):
                    details = graph.get_import_details(importer=importer, imported=imported)
                    broken.append((importer, imported, [detail["line_number"] for detail in details]))
        return ContractCheck(kept=not broken and not homeless, metadata={"broken": broken, "homeless": homeless})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, imported, lines in check.metadata["broken"]:
            where = ", ".join(f"line {line}" for line in lines)
            output.print_error(f"{self._short(importer)} may not import {self._short(imported)} ({where})")
        for module in check.metadata["homeless"]:
            output.print_error(f"{self._short(module)} is in no room that pyproject.toml knows: give it doors there")

    def _parsed(self, row: str) -> list[tuple[str, str]]:
        """The pairs of full names (room, target) of one row."""
        rooms, targets = (part.replace(" ", "").split(",") for part in row.split("->"))
        return [
            (f"{self.package}.{room}", name) for room in rooms for target in targets for name in self._names(target)
        ]

    def _names(self, target: str) -> list[str]:
        if target == "stdlib":
            return sorted(sys.stdlib_module_names)
        if target == "pure":
            return list(self.pure)  # type: ignore[call-overload]
        return [f"{self.package}{target}" if target.startswith(".") else target]

    def _short(self, module: str) -> str:
        return module.removeprefix(f"{self.package}.")


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")
