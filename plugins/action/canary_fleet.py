# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.fleet import VERB
from ansible_collections.coalmine.canary.plugins.plugin_utils.action_door import VerbAction


class ActionModule(VerbAction):
    verb = VERB

    def _read_here(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Those of each release, and those that are given for all."""
        found = super()._read_here(arguments)
        if isinstance(found.get("defaults"), Mapping):
            found["defaults"] = super()._read_here(dict(found["defaults"]))
        if isinstance(found.get("releases"), list):
            found["releases"] = [
                super(ActionModule, self)._read_here(dict(one)) if isinstance(one, Mapping) else one
                for one in found["releases"]
            ]
        return found
