# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release whose routes are rewritten: its Services, and who writes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import Exposure, Versions

VERSIONS = Versions("web", "web-7db95c9fc5-12", "web-58d4cfb7fd-12")
BY = {"owner": "uid-of-web", "token": "9f2c"}


def giving(exposure: Exposure) -> Exposure:
    """The same with which somebody gets the canary: what stands in the way of that alone is in the way of no way back."""
    return replace(exposure, weight=Fraction(1, 2)) if exposure.nobody else exposure
