# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from functools import partial
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.fleet import VERB
from ansible_collections.coalmine.canary.plugins.plugin_utils import inventory, role_door
from ansible_collections.coalmine.canary.plugins.plugin_utils.action_door import VerbAction
from ansible_collections.coalmine.canary.plugins.plugin_utils.timeouts import TimedOut, timed_out


class ActionModule(VerbAction):
    """canary_fleet, which takes its canaries back before the keyword `timeout` of its task ends it."""

    verb = VERB
    _time = TimedOut()

    def _cut_off(self) -> str:
        return timed_out(self._task.timeout) if self._time.is_over else ""

    def _refuses_unread(self, variables: dict[str, Any]) -> None:
        """And what the playbook would make no releases of."""
        objection = inventory.objection(variables) if role_door.is_of_a_playbook(self._task) else ""
        if objection:
            raise AnsibleActionFail(f"{objection}. Nothing was asked of the cluster")
        super()._refuses_unread(variables)

    def _given(self, variables: dict[str, Any]) -> dict[str, Any]:
        said = inventory.of_the_fleet(variables) if role_door.is_of_a_playbook(self._task) else {}
        return {**said, **super()._given(variables)}

    def _in_process(self, arguments: dict[str, Any], host: str) -> dict[str, Any]:
        self._time = TimedOut()
        return self._time.heeded(partial(super()._in_process, arguments, host))
