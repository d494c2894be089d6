# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What canary_headroom_info is asked, without what counts.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Mapping

from ...rollout.phase import Situation
from ...values import dataclass
from ..call.orders import Call, NewTemplate, Size

if TYPE_CHECKING:
    from ...probes.web import Web


@dataclass(frozen=True)
class PriceMetrics:
    """Where the metrics are, and in which currency they count, "" where the user does not say."""

    web: Web
    currency: str = ""


@dataclass(frozen=True)
class HeadroomRequest:
    """The same release as canary_start would be asked for. `assume_replicas`: current, max (an HPA's), or a number.

    `surge`: None for as many as canary pods. `steps`: several sizes instead of one, each to be answered as if it were asked for alone.
    `others`: releases at the same time, which are counted as placed. `seen`: what whoever asks has just read of its
    Deployment, in place of a look.
    """

    call: Call
    template: NewTemplate
    size: Size = field(default_factory=Size)
    steps: tuple[Size, ...] = ()
    surge: int | None = 1
    max_unavailable: int | None = None
    assume_replicas: str | int = "current"
    prices: Mapping[str, Any] | None = None
    price_metrics: PriceMetrics | None = None
    node_group_label: str | None = None
    others: tuple[HeadroomRequest, ...] = ()
    seen: Situation | None = None
