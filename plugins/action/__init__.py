# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible imports this before the first action plugin, and before it forks its workers."""

from __future__ import annotations

from importlib import import_module

from ansible_collections.coalmine.canary.plugins.plugin_utils.compiled import keep_compiled
from ansible_collections.coalmine.canary.plugins.plugin_utils.kept import kept_for_good

keep_compiled()
with kept_for_good():
    # It brings along the verbs.
    import_module("ansible_collections.coalmine.canary.plugins.plugin_utils.action_door")
