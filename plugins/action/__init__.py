# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible imports this before the first action plugin."""

from __future__ import annotations

from ansible_collections.coalmine.canary.plugins.plugin_utils.compiled import keep_compiled

keep_compiled()
