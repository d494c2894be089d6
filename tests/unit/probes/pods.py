# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two versions of which a source is asked, and what an API server answers of their pods."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import formatdate
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import RawResponse
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    ProbedPod,
    Sides,
    Version,
)


def sides(canary: tuple[ProbedPod, ...], stable: tuple[ProbedPod, ...], evicted: tuple[ProbedPod, ...] = ()) -> Sides:
    return Sides("shop", Version("c", canary, evicted), Version("s", stable))


class FakeApi:
    """Answers a list as the API server would; only what goes wrong there is of interest here."""

    def __init__(self, answer: Mapping[str, Any], now: float = 1_000_000_000.0) -> None:
        self._answer = answer
        self._now = now

    def raw(self, method: str, path: str, **_: object) -> RawResponse:
        return RawResponse(200, {"Date": formatdate(self._now, usegmt=True)}, json.dumps(self._answer).encode())


def stamped(at: float) -> str:
    return f"{datetime.fromtimestamp(int(at), timezone.utc).strftime('%Y-%m-%dT%H:%M:%S')}.{int(at % 1 * 1e9):09d}Z"
