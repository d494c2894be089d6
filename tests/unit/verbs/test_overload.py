# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A share of requests that a canary pod is not to bear: refused, or told where somebody knows better."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.ending import Account
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Target, TrafficRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.site import Site
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing.bearing import agree_to_load

TOO_MUCH = "50 % of the requests for 1 canary pod is more for each than without a canary 10 pods get each"


def agreed(weight: Fraction, overload: str) -> list[str]:
    """The warnings."""
    with connect(Connection(host="http://127.0.0.1:1", kubeconfig={})) as api:
        account = Account(Site(api, Target("web", "shop")))
        agree_to_load(account, TrafficRequest(overload=overload), weight, replicas=10, pods=1)
        return account.warnings


def test_it_is_refused_unless_somebody_says_that_a_pod_bears_it() -> None:
    with pytest.raises(Refusal) as refused:
        agreed(Fraction(1, 2), "refuse")
    assert refused.value.what == TOO_MUCH
    assert agreed(Fraction(1, 2), "warn") == [f"{TOO_MUCH}, and that was asked for"]


@pytest.mark.parametrize("overload", ["refuse", "warn"])
def test_what_a_pod_bears_is_told_to_nobody(overload: str) -> None:
    assert agreed(Fraction(1, 10), overload) == []
