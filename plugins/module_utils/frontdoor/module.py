# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module door: a verb in a Python process of its own, on whichever host Ansible chose.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import remove_values

from .answer import Door, conduct
from .arguments import Verb
from .masking import secrets_of_kubeconfig, shown


class VerbModule(AnsibleModule):
    """AnsibleModule, but for what it writes to the host's system log and shows when arguments are refused."""

    def _load_params(self) -> None:
        # Before validation, whose failure would show the arguments.
        super()._load_params()
        self.no_log_values.update(secrets_of_kubeconfig(self.params.get("kubeconfig")))

    def _log_invocation(self) -> None:
        # The arguments may carry whole manifests, environment values included: the system log gets the target only.
        self.log(f"Invoked for Deployment {self.params.get('namespace')}/{self.params.get('name')}")

    def fail_json(self, msg: str, **details: Any) -> None:
        # Refused arguments come here straight from AnsibleModule, which would repeat manifests in its result.
        super().fail_json(msg, **{"invocation": {"module_args": shown(self.params)}, **details})


def run_module(verb: Verb) -> None:
    """What a module's main() does."""
    arguments = verb.arguments
    module = VerbModule(
        argument_spec=arguments.argument_spec,
        mutually_exclusive=arguments.mutually_exclusive,
        required_one_of=arguments.required_one_of,
        supports_check_mode=True,
    )
    door = Door(check=module.check_mode, diff=module._diff, hide=module.no_log_values.update, tell=_quiet)
    answer = conduct(verb, module.params, door)
    for warning in answer.warnings:
        # AnsibleModule masks its result, but not its warnings.
        module.warn(remove_values(warning, module.no_log_values))
    leave: Any = module.fail_json if answer.failed else module.exit_json
    leave(**answer.result)


def _quiet(line: str) -> None:
    """A module's output is its result: progress is shown by the other door only, and kept for failures."""
