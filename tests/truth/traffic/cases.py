# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is promised of traffic, each case on a real proxy: what was done, the figures, and whether they are as they must be."""

from __future__ import annotations

from collections.abc import Callable

from .bench import Bench, Case
from .effect import effect, effect_of_istio
from .shares import header, other_backends, shares, sticky
from .steady import blue_green, crashes, crashes_in_turn, races, releases, replicas, switched_service, vanishing
from .trouble import foreign_edits, never_programmed, unserved, without_a_grant

Cases = tuple[Callable[[Bench], Case], ...]

OF_TRAEFIK: Cases = (
    shares,
    other_backends,
    header,
    sticky,
    releases,
    vanishing,
    blue_green,
    switched_service,
    races,
    crashes,
    replicas,
    never_programmed,
    unserved,
    without_a_grant,
    foreign_edits,
    effect,
)
# Nothing of these is proven.
OF_INGRESSES: Cases = (shares, header, sticky, releases, crashes_in_turn, foreign_edits)

# What Traefik shows of verbs alone, whatever the proxy, is not shown again. Istio makes VirtualServices of HTTPRoutes.
OF_VIRTUAL_SERVICES: Cases = (
    shares,
    header,
    sticky,
    releases,
    blue_green,
    races,
    crashes,
    foreign_edits,
    effect_of_istio,
)
OF_ROUTES_OF_ISTIO: Cases = (
    shares,
    header,
    sticky,
    releases,
    blue_green,
    switched_service,
    crashes_in_turn,
    unserved,
    without_a_grant,
    foreign_edits,
    effect_of_istio,
)
