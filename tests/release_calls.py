# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of canary_release about a Deployment, of a real or a simulated cluster, and what they end with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Headroom, Policies
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import ENDINGS, Release
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate, Size, StartRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import VerifyRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.course import ReleaseRequest, StepAsked
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.release import release
from tests.situations import Web, image


def asked(web: Web, version: str = "v2", pods: tuple[int, ...] = (1,), **options: Any) -> ReleaseRequest:
    template = NewTemplate(images={"app": image(version)})
    policies = options.pop("policies", Policies(headroom=Headroom.SKIP))
    return ReleaseRequest(
        call=web.call,
        start=StartRequest(web.call, template),
        judge=VerifyRequest(web.call, ()),
        room=HeadroomRequest(web.call, template),
        steps=tuple(StepAsked(Size(count)) for count in pods),
        policies=policies,
        **options,
    )


def released(web: Web, request: ReleaseRequest) -> tuple[Outcome, Release]:
    outcome = release(web.api, request, web.report)
    return outcome, _told(outcome.extra)


def failed(web: Web, request: ReleaseRequest) -> tuple[VerbFailure, Release]:
    with pytest.raises(VerbFailure) as raised:
        release(web.api, request, web.report)
    return raised.value, _told(raised.value.extra)


def _told(extra: Mapping[str, Any]) -> Release:
    told = Release.from_json(extra["release"])
    assert told.outcome in ENDINGS[told.stage], (told.stage, told.outcome)
    return told
