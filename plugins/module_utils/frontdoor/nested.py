# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of another verb inside an option of this one, checked as if they were the task's own.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .arguments import ArgumentError, Options
from .shapes import misshapen


def validated(name: str, options: Options, given: Any) -> Any:
    """`given` for the option `name` of those options, with types and defaults. Raises ArgumentError."""
    spec = {name: dict(options[name])}
    problem = misshapen(spec, {name: given})
    if problem:
        raise ArgumentError(problem)
    result = ArgumentSpecValidator(spec).validate({name: given})
    if result.error_messages:
        raise ArgumentError(result.errors.msg)
    return result.validated_parameters[name]
