# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs as the front door has them, by the names of their modules; one that is added is here without being written down."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from ansible_collections.coalmine.canary.plugins.module_utils import frontdoor
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import Verb

_ROOMS = [import_module(f"{frontdoor.__name__}.{found.name}") for found in pkgutil.iter_modules(frontdoor.__path__)]
VERBS: dict[str, Verb] = {room.VERB.name: room.VERB for room in _ROOMS if hasattr(room, "VERB")}
