# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_release on fake nodes: whole releases in one call, and up to a stage of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import (
    Gate,
    Headroom,
    OnFailure,
    Policies,
    Through,
    WhenMissing,
)
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Release
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import LAST
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate, Size, StartRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.site import Site
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import VerifyRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.course import ReleaseRequest, StepAsked
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.release import release
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.situations import webs
from tests.situations import Web, image

REPLICAS = 4


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as factory:
        yield factory


@pytest.fixture
def web(new: Callable[..., Web]) -> Web:
    return new().make(REPLICAS)


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
    return outcome, Release.from_json(outcome.extra["release"])


def failed(web: Web, request: ReleaseRequest) -> tuple[VerbFailure, Release]:
    with pytest.raises(VerbFailure) as raised:
        release(web.api, request, web.report)
    return raised.value, Release.from_json(raised.value.extra["release"])


def test_a_whole_release_in_one_call_and_nothing_to_do_in_the_next(web: Web) -> None:
    before = web.spec
    outcome, told = released(web, asked(web, pods=(1, 3)))
    assert (outcome.changed, told.outcome.value, told.reached) == (True, "released", 2)
    web.assert_clean(before, "v2")
    assert [moment.what for moment in told.timeline] == ["start", "bake", "start", "bake", "look", "promote"]
    with web.unchanged():
        outcome, told = released(web, asked(web, pods=(1, 3)))
    assert (outcome.changed, told.outcome.value) == (False, "already released")


def test_check_mode_plans_every_step_and_changes_nothing(web: Web) -> None:
    web.checking = True
    with web.unchanged():
        outcome, told = released(web, asked(web, pods=(1, 3)))
    assert (outcome.changed, told.outcome.value, len(told.why)) == (True, "planned", 2)


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


def test_each_stage_is_taken_up_by_the_next_call(web: Web) -> None:
    before = web.spec
    request = asked(web, pods=(1, 3))
    told = None
    for through, outcome, split in (
        ("plan", "planned", {"v1": 4}),
        ("step 1", "held", {"v1": 4, "v2": 1}),
        ("step 2", "held", {"v1": 2, "v2": 3}),
        ("promoted", "released", {"v2": 4}),
    ):
        _, told = released(web, replace(request, through=Through.parse(through), previous=told))
        assert (told.outcome.value, web.split()) == (outcome, split)
    web.assert_clean(before, "v2")


def test_what_the_caller_rejects_is_undone(web: Web) -> None:
    before = web.spec
    request = asked(web)
    _, told = released(web, replace(request, through=Through.parse("step 1")))
    failure, told = failed(web, replace(request, previous=told, reject="its page is empty"))
    assert (failure.code, told.outcome.value, told.why[0]) == ("rejected", "undone", "its page is empty.")
    web.assert_clean(before, "v1")


def test_a_gate_leaves_it_held(web: Web) -> None:
    _, told = released(web, asked(web, policies=Policies(headroom=Headroom.SKIP, gate=Gate.STOP)))
    assert (told.outcome.value, web.phase) == ("held", "held")


def swap(web: Web) -> None:
    web.undo()
    web.start("v3")


@pytest.mark.parametrize(
    ("interferes", "outcome", "split"),
    [
        (swap, "failed", {"v1": 4, "v3": 1}),
        (Web.undo, "failed", {"v1": 4}),
        (Web.pause, "failed", {"v1": 4, "v2": 1}),
    ],
    ids=["swap", "undo", "pause"],
)
def test_nothing_but_what_was_judged_is_promoted_or_taken_back(
    web: Web, interferes: Callable[[Web], Any], outcome: str, split: dict[str, int]
) -> None:
    request = asked(web)
    _, told = released(web, replace(request, through=Through.parse("step 1")))
    interferes(web)
    _, told = failed(web, replace(request, previous=told))
    assert (told.outcome.value, web.split()) == (outcome, split)


def test_a_failed_canary_is_left_where_the_policy_says_so(web: Web) -> None:
    request = asked(web, policies=Policies(headroom=Headroom.SKIP, on_failure=OnFailure.HOLD))
    _, told = released(web, replace(request, through=Through.parse("step 1")))
    _, told = failed(web, replace(request, previous=told, reject="no"))
    assert (told.outcome.value, web.phase) == ("failed", "held")


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


def test_a_first_version_is_created_where_there_is_no_deployment(new: Callable[..., Web]) -> None:
    web = new()
    manifest = web.manifest(2)
    request = asked(web)
    request = replace(request, start=replace(request.start, template=NewTemplate(definition=manifest)))
    failure, told = failed(web, request)
    assert (failure.code, told.outcome.value) == ("not_found", "refused")
    creates = replace(request, policies=replace(request.policies, when_missing=WhenMissing.CREATE))
    outcome, told = released(web, creates)
    assert (outcome.changed, told.outcome.value, web.split()) == (True, "created", {"v1": 2})
    assert released(web, creates)[1].outcome.value == "already released"
