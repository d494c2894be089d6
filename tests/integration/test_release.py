# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_release on a real cluster: that its writes and its reasons are what the simulation (tests/sim/test_release.py) takes them for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import (
    Policies,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import LAST
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.site import Site
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.situations import webs
from tests.release_calls import asked, failed
from tests.situations import Web, image

REPLICAS = 4


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as factory:
        yield factory


@pytest.fixture
def web(new: Callable[..., Web]) -> Web:
    return new().make(REPLICAS)


def test_a_canary_that_cannot_become_ready_is_undone(web: Web) -> None:
    before = web.spec
    template = NewTemplate(
        images={"app": image("v2")}, patch={"metadata": {"annotations": {"lab.coalmine/waiting": "ImagePullBackOff"}}}
    )
    request = asked(web)
    failure, told = failed(web, replace(request, start=replace(request.start, template=template)))
    assert (failure.code, failure.changed, told.outcome.value) == ("stuck", True, "undone")
    web.assert_clean(before, "v1")
    last = json.loads(Site(web.api, web.call.target).deployment().annotations[LAST])
    assert "ImagePullBackOff" in last["reason"]
    # What is said of the log, which may hold secrets, stays with whoever ran it.
    assert " log " in f" {failure.message} " and "log" not in last["reason"].split()


def test_room_is_asked_for_before_anything_changes(web: Web) -> None:
    template = NewTemplate(
        patch={"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "1000"}}}]}},
        images={"app": image("v2")},
    )
    request = asked(web, policies=Policies())
    request = replace(
        request, start=replace(request.start, template=template), room=replace(request.room, template=template)
    )
    with web.unchanged():
        failure, told = failed(web, request)
    assert (failure.code, failure.changed, told.outcome.value) == ("no_room", False, "refused")
    assert "Insufficient cpu" in failure.message
