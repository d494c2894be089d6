# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How sentences are made. tests/unit/test_wording.py finds those that do it by themselves, and badly.

This module is private to the collection.
"""

from __future__ import annotations


def count_of(count: int, noun: str, one: str = "", more: str = "") -> str:
    """count_of(1, "new pod") = 1 new pod; count_of(2, "new pod", "is", "are") = 2 new pods are."""
    verb = one if count == 1 else more
    return f"{count} {noun}{'' if count == 1 else 's'}" + (f" {verb}" if verb else "")


def ended(sentence: str) -> str:
    """With one mark at its end."""
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."
