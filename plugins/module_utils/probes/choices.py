# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may choose between where pods are asked. It imports nothing, so that options can name it at no cost.

This module is private to the collection.
"""

from __future__ import annotations

from enum import Enum


class Via(Enum):
    """proxy: through the API server, from anywhere. port_forward: also through it, where its proxy is blocked or not
    allowed. auto: the first of these two that reaches a stable pod. pod: straight to the pods' addresses. url: a Service
    or any URL, which tells the versions apart by headers."""

    PROXY = "proxy"
    PORT_FORWARD = "port_forward"
    AUTO = "auto"
    POD = "pod"
    URL = "url"

    @property
    def ways(self) -> tuple[Via, ...]:
        """What to try, one after the other."""
        return (Via.PROXY, Via.PORT_FORWARD) if self is Via.AUTO else (self,)


class Resource(Enum):
    CPU = "cpu"
    MEMORY = "memory"
