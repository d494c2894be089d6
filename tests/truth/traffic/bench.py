# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a case is played on, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from math import sqrt
from typing import Any

from tests.cluster.gateway.server import Gateway
from tests.cluster.lab import Lab
from tests.gateways import gates
from tests.gateways.shop import Shop
from tests.gateways.unheard import settling
from tests.gateways.users import Tally

# Of users, requests in a second.
RATE = 200
# Traefik takes its backends in turn: a share is exact, but for the turn in which the counting begins and ends.
EXACT_TO = 1
# Envoy draws each request: of a thousand counts one is so many standard deviations off.
DEVIATIONS = 3.29


@dataclass
class Case:
    """One line of the report. `wrong`: what is not as it must be."""

    name: str
    must: str
    figures: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def told(self, figure: str, right: bool = True) -> None:
        self.figures.append(figure)
        if not right:
            self.wrong.append(figure)

    def none_failed(self, what: str, users: Tally, most: int = 0) -> None:
        right = users.sent > 0 and users.failed <= most
        self.told(f"{what}: {users.failed} of {users.sent} failed" + ("" if right else f" ({users.why})"), right)

    def own(self, shop: Shop) -> None:
        """Everything is the owner's again."""
        try:
            shop.assert_own()
        except AssertionError as error:
            self.wrong.append(f"not everything is as it was: {str(error)[:300]}")


@dataclass
class Bench:
    """A cluster whose pods answer, its gateway and what serves it, and by what kind of route users come. `draws`: the proxy draws each request.
    `settles`: after how many seconds what is stated counts as in force, where that is not as usual."""

    lab: Lab
    gateway: Gateway
    kind: type[Shop] = Shop
    draws: bool = False
    proxy: gates.Kind = gates.TRAEFIK
    settles: float | None = None

    @property
    def exact(self) -> str:
        return "within the interval of 99.9 %" if self.draws else f"exact to {EXACT_TO}"

    def is_exact(self, weight: Fraction, got: Tally) -> bool:
        off = DEVIATIONS * sqrt(got.sent * weight * (1 - weight)) if self.draws else EXACT_TO
        return abs(got.of("v2") - weight * got.sent) <= off

    @contextmanager
    def shop(self, gateway: Gateway | None = None, *, served: bool = True, **given: Any) -> Iterator[Shop]:
        """Its namespace is gone afterwards. `served`: once its users are answered."""
        namespace = self.lab.create_namespace("traffic")
        try:
            with settling(self.settles) if self.settles else nullcontext():
                shop = self.kind(self.lab, gateway or self.gateway, namespace, **given)
                yield shop.opened() if served else shop
        finally:
            self.lab.delete_namespace(namespace)
