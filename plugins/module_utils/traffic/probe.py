# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request is that asks a proxy by which rules it goes, and no user ever sends. This module is private to the collection."""

from __future__ import annotations

from .exposure import Kept

PROBE_PATH, PROBE_HEADER = "/.coalmine-canary/", "x-coalmine-probe"
# RFC 2606: no such domain is ever anybody's.
MARK_DOMAIN = "canary.invalid"


def probe_of(kept: Kept, service: str, port: int) -> str:
    """What a probe asks for that is to reach this Service."""
    return f"{kept.token}-{service}-{port}"
