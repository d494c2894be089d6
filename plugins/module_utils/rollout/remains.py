# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left in the cluster when a verb gives up, and what to do then. This module is private to the collection."""

from __future__ import annotations

from .phase import Phase

_HELD = "The canary stays held for you to look at: canary_info shows it, canary_undo brings the stable version back."
_BROKEN = "It was left as it is: canary_info shows it, canary_undo brings the stable version back."

# One end for each phase, so that no failure tells of a canary that is not there.
REMAINS = {
    Phase.NONE: "No release is live: canary_info shows what runs, canary_start begins a release.",
    Phase.STARTING: _HELD,
    Phase.STEPPING: _HELD,
    Phase.HELD: _HELD,
    Phase.FROZEN: "It stays paused: canary_resume lets it go on, canary_undo brings the stable version back.",
    Phase.PROMOTING: (
        "The promotion goes on in the cluster: run canary_promote again to wait for it, or canary_undo to take it back."
    ),
    Phase.UNDOING: "The undo goes on in the cluster: run canary_undo again to wait for it and to clean up.",
    Phase.FOREIGN: _BROKEN,
    Phase.DAMAGED: _BROKEN,
}
