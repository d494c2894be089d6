# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are looked for in as much text as an object can hold: in time that grows with it, and to its end."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.secrets import confided_in, secrets_in

MOST = 256 * 1024
LONG = {
    "a word": "x" * MOST,
    "names": "token " * (MOST // 6),
    "a name and blanks": "token" + " " * MOST,
    "addresses": "://" * (MOST // 3),
    "quotes that stay open": 'token="' * (MOST // 7),
    "brackets": "{" * MOST,
}


@pytest.mark.parametrize("text", [*LONG.values()], ids=[*LONG])
def test_a_long_text_is_looked_through_to_its_end(text: str) -> None:
    said = f"{text}\npassword: hunter2-hunter2"
    assert "hunter2-hunter2" in secrets_in([said])
    assert "hunter2-hunter2" in secrets_in({"any": {"note": said}})
    assert said in confided_in({"annotations": {"note": said}})
