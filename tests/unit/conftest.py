# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties hold however long a machine takes: without this, an example slower than 200 ms counts as a failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
