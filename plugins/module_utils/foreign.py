# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that others wrote, as it may be told: statuses of pods, messages of servers, log lines, annotations.

Whoever writes it must neither drive the reader's terminal nor bury what else is told. `printable` is used where such a text
comes in, and `told` once more on everything that leaves.

This module is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

# Characters of one foreign text, and of a whole message that quotes several.
LONGEST, LONGEST_TOLD = 1000, 4000

# Letters and marks without a glyph (Default_Ignorable_Code_Point of DerivedCoreProperties.txt), which str.isprintable lets
# through. What else is invisible or changes the order of writing is of the categories that it does not: Cc, Cf, Zl, Zp.
_INVISIBLE = frozenset(
    map(
        chr,
        chain(
            (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0),
            range(0xFE00, 0xFE10),
            range(0xE0100, 0xE01F0),
        ),
    )
)


def printable(text: str, longest: int = LONGEST) -> str:
    """`text` on one line of at most `longest` characters, without any that move the cursor, hide or turn the writing.

    What is cut ends with a note that says so. It is cut between words where it can be, so that no half of a secret stays that
    is masked as a whole.
    """
    if not text:
        return text
    if len(text) <= longest and text.isascii() and text.isprintable():
        return text.strip()
    begun = text[: 8 * longest]  # enough, whatever is left out of it
    shown = "".join(each if each.isprintable() and each not in _INVISIBLE else "\n" for each in begun)
    line = " ".join(piece.strip() for piece in shown.split("\n") if piece.strip())
    if len(line) <= longest and len(begun) == len(text):
        return line
    note = f" ... (cut, of {len(text)} characters)"
    head = line[: longest - len(note)]
    if len(head) < len(line):
        head = head.rpartition(" ")[0] or head
    return (head.rstrip() + note).lstrip()


def told(value: Any) -> Any:
    """A copy of `value` (mappings, lists and tuples of anything) with every text in it printable, names of members too."""
    if isinstance(value, str):
        return printable(value, LONGEST_TOLD)
    if isinstance(value, Mapping):
        return {printable(key) if isinstance(key, str) else key: told(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [told(member) for member in value]
    return value
