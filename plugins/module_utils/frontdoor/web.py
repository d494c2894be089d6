# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which an HTTP server such as Prometheus is reached, wherever one is.

This module is private to the collection.
"""

from __future__ import annotations

from ..verbs.checks import Web
from .arguments import Options, Parameters

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
    return Web(
        url=given["url"],
        headers=headers(given["headers"]),
        token=given["token"] or "",
        username=given["username"] or "",
        password=given["password"] or "",
        ca_cert=given["ca_cert"] or "",
        validate_certs=given["validate_certs"],
        timeout=given["timeout"],
    )


def headers(given: Parameters) -> dict[str, str]:
    return {str(name): str(text) for name, text in given.items()}
