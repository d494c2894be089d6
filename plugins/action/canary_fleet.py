# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.fleet import VERB
from ansible_collections.coalmine.canary.plugins.plugin_utils.action_door import VerbAction


class ActionModule(VerbAction):
    verb = VERB
