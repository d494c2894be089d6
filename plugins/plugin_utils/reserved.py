# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of variables that the role and the playbooks make, and that nobody sets for them: whoever could would decide in their place.

Extra variables win over what a task registers or keeps as a fact, and so do those of an include. It is private to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible.playbook.task import Task

PUBLIC, PRIVATE = "canary_", "_canary_"
# What the tasks of others find by these names. Not among them: what a job hands on to those after it, which a workflow gives to each as
# extra variables (canary_result, canary_results, canary_room). Nothing here reads any of those.
GIVEN = frozenset(f"{PUBLIC}{name}" for name in ("found", "release", "result_here", "rolled_back", "undone", "watched"))


def reserved(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(PRIVATE) or name in GIVEN)


def above_the_role(task: Task) -> set[str]:
    """Names that win over what the role registers: of the command line, of an include, of a role's parameters."""
    manager = task.get_variable_manager()
    names = {*manager.extra_vars, *task.get_include_params()}
    return names | set(task._role.get_role_params()) if task._role else names


def taken(task: Task) -> str:
    """Why a task of the role, or of a playbook, is not to run: somebody has set what it makes. Empty: nobody has."""
    names = reserved(above_the_role(task))
    return (
        f"{', '.join(names)}: set from outside, and made by the collection itself, which would read yours in its place. Leave it out"
        if names
        else ""
    )
