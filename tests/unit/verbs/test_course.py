# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release of several calls tells: each thing in one of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.display.news import Kind, News
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Release
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Stage
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    Call,
    NewTemplate,
    StartRequest,
    Target,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import VerifyRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.course import Course, ReleaseRequest

CALL = Call(Target("web", "shop"))
REQUEST = ReleaseRequest(
    CALL, StartRequest(CALL, NewTemplate()), VerifyRequest(CALL, ()), HeadroomRequest(CALL, NewTemplate())
)
TOLD = (News("Helm manages it", Kind.WARNING), News("take it back so", Kind.HINT), News("held"))
PLANNED, HELD = Release("run"), Release("run", Stage.HELD)


@pytest.mark.parametrize(
    ("previous", "told"),
    [
        (None, ["Helm manages it", "take it back so", "held"]),
        (PLANNED, ["take it back so", "held"]),
        (HELD, ["Helm manages it", "held"]),
    ],
)
def test_what_an_earlier_call_has_told_is_not_told_again(previous: Release | None, told: list[str]) -> None:
    said: list[str] = []
    with connect(Connection(host="http://127.0.0.1:1", kubeconfig={})) as api:
        course = Course.begin(api, replace(REQUEST, previous=previous), said.append)
        course.step = (1, 2)
        for one in TOLD:
            course.report(one)
    assert said == told
    assert all(isinstance(one, News) and (one.deployment, one.step) == ("web", (1, 2)) for one in said)
