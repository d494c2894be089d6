# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other door: a verb inside the process that ansible-playbook forked for the task.

What Ansible does around modules is done here for it: arguments are validated by the same spec with the same words, and
secrets are cut out of results, warnings and lines of progress.

This module is private to the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError

from .answer import Door, conduct
from .arguments import Verb
from .manifest import plain
from .masking import secrets_of_kubeconfig, shown


@dataclass(frozen=True)
class Surroundings:
    """What the task brings along: the action as the user called it, the two modes, and where words go.

    `deprecated` takes what `AnsibleModule.deprecate` takes.
    """

    action: str
    check: bool
    diff: bool
    tell: Callable[[str], None]
    warn: Callable[[str], None]
    deprecated: Callable[..., None]


def run_in_process(verb: Verb, arguments: Mapping[str, Any], around: Surroundings) -> dict[str, Any]:
    """The task's result, secrets cut out. `arguments` are of Python's own types."""
    spec = verb.arguments
    validator = ArgumentSpecValidator(
        spec.argument_spec,
        mutually_exclusive=spec.mutually_exclusive,
        required_one_of=spec.required_one_of,
    )
    validated = validator.validate(plain(arguments))
    parameters = validated.validated_parameters
    # The same private attributes as AnsibleModule reads: ansible-core has no public way to them.
    secrets: set[str] = {*validated._no_log_values, *secrets_of_kubeconfig(parameters.get("kubeconfig"))}
    _pass_on(validated, around)
    if validated.error_messages:
        refused = {"invocation": {"module_args": shown(parameters)}, "msg": _first_error(validated, around.action)}
        return remove_values({"failed": True, **refused}, secrets)

    door = Door(
        check=around.check,
        diff=around.diff,
        hide=secrets.update,
        tell=lambda line: around.tell(remove_values(line, secrets)),
    )
    answer = conduct(verb, parameters, door)
    for warning in answer.warnings:
        around.warn(remove_values(warning, secrets))
    failed = {"failed": True} if answer.failed else {}
    return remove_values({**answer.result, **failed}, secrets)


def _first_error(validated: ValidationResult, action: str) -> str:
    """In AnsibleModule's words (ansible/module_utils/basic.py)."""
    message = validated.errors.msg
    if isinstance(validated.errors[0], UnsupportedError):
        return f"Unsupported parameters for ({action}) module: {message}"
    return message


def _pass_on(validated: ValidationResult, around: Surroundings) -> None:
    for both in validated._warnings:
        around.warn(f"Both option {both['option']} and its alias {both['alias']} are set.")
    for old in validated._deprecations:
        around.deprecated(old["msg"], old.get("version"), date=old.get("date"), collection_name=old["collection_name"])
