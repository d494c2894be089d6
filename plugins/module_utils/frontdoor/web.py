# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which an HTTP server such as Prometheus is reached, wherever one is.

This module is private to the collection.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .arguments import ArgumentError, Options, Parameters, at_least

if TYPE_CHECKING:
    from ..verbs.judging.checks import Web

# RFC 9110, sections 5.1 and 5.5
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TEXT = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")

WEB: Options = {
    "url": {"type": "str", "required": True},
    "token": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "ca_cert": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "headers": {"type": "dict", "default": {}},
    "timeout": {"type": "float", "default": 10.0},
}


def web(given: Parameters) -> Web:
    """Raises Misasked."""
    from ..verbs.judging.checks import Web

    at_least(0, given, "timeout")
    return Web(
        url=given["url"],
        headers=headers(given, "headers"),
        token=given["token"] or "",
        username=given["username"] or "",
        password=given["password"] or "",
        ca_cert=given["ca_cert"] or "",
        validate_certs=given["validate_certs"],
        timeout=given["timeout"],
    )


def headers(given: Parameters, option: str) -> dict[str, str]:
    """Raises ArgumentError, which repeats neither names nor texts."""
    if not all(isinstance(text, str | int | float) for text in given[option].values()):
        raise ArgumentError(
            f"{option} must be names and texts: a header has a list, a dictionary or nothing for its text"
        )
    found = {str(name).strip(): str(text).strip() for name, text in given[option].items()}
    for name, text in found.items():
        if not _TOKEN.fullmatch(name) or not _TEXT.fullmatch(text):
            raise ArgumentError(
                f"{option} has one that HTTP cannot carry: a name must be one word of ASCII, and a text one line of Latin-1"
            )
    return found
