# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module door: a verb in a Python process of its own, on whichever host Ansible chose.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..wording import count_of
from .answer import REFUSED, Door, conduct
from .arguments import Verb
from .masking import Secrets, secrets_of, shown
from .shapes import misshapen

# Parameters that are ansible-core's and not the task's.
_INTERNAL = "_ansible_"


class VerbModule(AnsibleModule):
    """AnsibleModule, but for what it shows: in refusals, in its result, in the host's system log."""

    params: dict[str, Any]

    def __init__(self, verb: Verb) -> None:
        self.secrets = Secrets()
        self.refusal: str | None = None
        self.verb = verb
        arguments = verb.arguments
        super().__init__(
            argument_spec=arguments.argument_spec,
            mutually_exclusive=arguments.mutually_exclusive,
            required_one_of=arguments.required_one_of,
            supports_check_mode=True,
        )
        if self.refusal:
            self.fail_json(self.refusal)

    def _load_params(self) -> None:
        # Before ansible-core looks at them: its refusals quote what they are about, and some values break it.
        super()._load_params()
        params: dict[str, Any] = self.params
        self.given = {name: value for name, value in params.items() if not name.startswith(_INTERNAL)}
        self.secrets.add(secrets_of(self.given))
        self.refusal = misshapen(self.argument_spec, self.given)
        if self.refusal:
            self.params = {name: value for name, value in params.items() if name.startswith(_INTERNAL)}

    def _log_invocation(self) -> None:
        # The arguments may carry whole manifests, environment values included: the system log gets the target only.
        about = f"Deployment {self.params.get('namespace')}/{self.params.get('name')}"
        if "releases" in self.argument_spec:
            about = count_of(len(self.params["releases"]), "release")
        self.log(f"Invoked for {about}")

    def fail_json(self, msg: str, **details: Any) -> None:
        # Refused arguments come here straight from AnsibleModule, which would show them all.
        invocation = {"module_args": shown(self.given if self.refusal else self.params, self.argument_spec)}
        why = self.refusal or msg
        besides = self.verb.refused(why, self.given if self.refusal else self.params)
        super().fail_json(why, **{**REFUSED, **besides, "invocation": invocation, **details})

    def _return_formatted(self, kwargs: dict[str, Any]) -> None:
        super()._return_formatted(self.secrets.cut_from_result(kwargs))


def run_module(verb: Verb) -> None:
    """What a module's main() does."""
    module = VerbModule(verb)
    # A module's output is its result, which carries the lines: only the other door shows them while the verb works.
    door = Door(check=module.check_mode, diff=module._diff, hide=module.secrets.add, tell=None)
    with module.secrets.cut_from_errors():
        answer = conduct(verb, module.params, door)
    for warning in answer.warnings:
        # AnsibleModule masks its result, but not its warnings.
        module.warn(module.secrets.cut_from(warning))
    leave: Any = module.fail_json if answer.failed else module.exit_json
    leave(**answer.result)
