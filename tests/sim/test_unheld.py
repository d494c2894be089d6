# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy of the cluster sets how Deployments roll out, or drops annotations: no canary is held by that, and no pod of the new version may come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.site import Site
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.writing import Replaced, ask
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.release import release
from tests.release_calls import asked
from tests.situations import Web

from .objects import Json, changed
from .server import Admission
from .stage import Stage
from .test_foreign_edits import just_before

QUARTER = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


def sets(**spec: object) -> Admission:
    return lambda kind, _before, after: changed(after, spec=spec) if kind == "deployments" else after


def drops(what: str) -> Admission:
    """Whatever others than Kubernetes and the test have written there."""

    def admit(kind: str, _before: Json | None, after: Json) -> Json:
        meta = after["metadata"]
        kept = {key: text for key, text in (meta.get(what) or {}).items() if not key.startswith("coalmine")}
        return {**after, "metadata": {**meta, what: kept}} if kind == "deployments" else after

    return admit


SLOW = sets(minReadySeconds=10, progressDeadlineSeconds=600)
# What the policy does, and what is told of it.
POLICIES = {
    "minReadySeconds": (SLOW, "sets spec.minReadySeconds to 10, sets spec.progressDeadlineSeconds to 600 "),
    "strategy": (sets(strategy=QUARTER), 'sets spec.strategy to {"type": "RollingUpdate", '),
    "paused": (sets(paused=True), "sets spec.paused to true "),
    "annotations": (drops("annotations"), "drops metadata.annotations[coalmine.canary/record] "),
    "labels": (drops("labels"), "drops metadata.labels[coalmine.canary/live] "),
}


@contextmanager
def in_force(stage: Stage, policy: Admission) -> Iterator[None]:
    stage.server.admission.append(policy)
    yield
    stage.server.admission.remove(policy)


def begins(stage: Stage, policy: Admission) -> Callable[[Web], object]:
    return lambda _web: stage.server.admission.append(policy)


@pytest.mark.parametrize("check", [True, False], ids=["check mode", "in earnest"])
@pytest.mark.parametrize("name", POLICIES)
def test_no_canary_is_begun_that_could_not_be_held(name: str, check: bool, stage: Stage) -> None:
    policy, told = POLICIES[name]
    web = stage.web().make(10)
    with in_force(stage, policy):
        message = web.refused(lambda: web.start(check=check), "admission")
        with web.unchanged(), pytest.raises(VerbFailure) as raised:
            release(web.api, asked(web), web.report)
    assert message.startswith(f"an admission webhook or policy {told}") and "Exempt this Deployment" in message
    assert (raised.value.extra["release"]["outcome"], raised.value.changed) == ("refused", False)
    assert web.start().changed and web.phase == "held"


def test_another_size_is_tried_as_it_would_be_written(stage: Stage) -> None:
    web = stage.web().make(4)
    with in_force(
        stage, sets(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}})
    ):
        web.refused(web.start, "admission")
        assert web.start(surge=0, max_unavailable=1).changed
    assert web.phase == "held" and web.split() == {"v1": 3, "v2": 1}


def test_what_is_out_already_needs_no_canary(stage: Stage) -> None:
    web = stage.web().make(4)
    with in_force(stage, SLOW):
        web.refused(lambda: web.start("v1"), "same_template")


@pytest.mark.parametrize("verb", [Web.pause, lambda web: web.start(pods=2)], ids=["pause", "grow"])
@pytest.mark.parametrize("name", ["minReadySeconds", "strategy", "annotations"])
def test_a_canary_that_is_held_stays_so(name: str, verb: Callable[[Web], object], stage: Stage) -> None:
    web = stage.web().make(10)
    web.start()
    with in_force(stage, POLICIES[name][0]):
        told = web.refused(lambda: verb(web), "admission")
        assert POLICIES[name][1] in told and "The canary stays held" in told
    web.undo()
    web.admin.clock.sleep(300)
    assert web.split() == {"v1": 10}


@pytest.mark.parametrize(("verb", "out"), [(Web.promote, "v2"), (Web.undo, "v1")], ids=["promote", "undo"])
def test_what_ends_the_hold_anyway_is_let_through(verb: Callable[[Web], object], out: str, stage: Stage) -> None:
    web = stage.web().make(4)
    web.start()
    with in_force(stage, sets(strategy=QUARTER, minReadySeconds=10, progressDeadlineSeconds=600)):
        verb(web)
    assert web.split() == {out: 4} and web.phase == "none"


def test_no_user_is_sent_elsewhere_for_a_write_that_would_end_the_hold(stage: Stage) -> None:
    web = stage.web().make(4)
    web.start()
    site = Site(web.api, web.call.target, web.call)
    seen = site.look()
    web.start(pods=2, surge=2)
    ask(site, seen)  # somebody was faster, and no policy is to blame
    assert not site.let_pass
    with in_force(stage, SLOW), pytest.raises(Replaced, match=r"sets spec\.minReadySeconds to 10"):
        ask(site, site.look())
    with in_force(stage, SLOW):
        ask(site, site.look(), ends_hold=True)


@pytest.mark.parametrize("name", ["minReadySeconds", "strategy"])
def test_what_comes_with_the_write_all_the_same_is_paused_at_once(name: str, stage: Stage) -> None:
    policy, told = POLICIES[name]
    web = stage.web().make(10)
    just_before(web, begins(stage, policy))
    with pytest.raises(VerbFailure) as raised:
        web.start()
    failure = raised.value
    assert (failure.code, failure.changed, failure.after["paused"]) == ("foreign", True, True)
    assert f"an admission webhook or policy {told}" in failure.message and "somebody" not in failure.message
    assert "the Deployment was paused at once" in failure.message
    web.admin.clock.sleep(300)
    # As many as that strategy lets come at once, before the controller has seen the stop.
    split = web.split()
    assert split["v1"] >= 7 and split.get("v2", 0) <= 3
    web.undo()
    assert web.split() == {"v1": 10} and not web.spec.get("paused")


def test_where_a_pause_keeps_no_stable_pod_the_error_says_to_undo(stage: Stage) -> None:
    told = {}
    for pods in (1, 2):
        web = stage.web().make(2)
        just_before(web, begins(stage, SLOW), pods)  # the write by which so many pods of the canary come
        with pytest.raises(VerbFailure, match="the Deployment was paused at once") as raised:
            web.start(pods=pods, surge=1)
        told[pods] = "run canary_undo now" in raised.value.message
        web.admin.clock.sleep(300)
        assert pods == 2 or web.split()["v1"]
        web.undo()
        assert web.split() == {"v1": 2} and not web.spec.get("paused")
        stage.server.admission.clear()
    assert told == {1: False, 2: True}


def test_a_pause_that_the_policy_takes_back_too_is_not_told_as_one(stage: Stage) -> None:
    web = stage.web().make(4)
    just_before(web, begins(stage, sets(minReadySeconds=10, progressDeadlineSeconds=600, paused=False)))
    with pytest.raises(VerbFailure, match="takes back that the Deployment is paused, too"):
        web.start()


def test_a_policy_that_leaves_nothing_of_a_release_is_paused_too(stage: Stage) -> None:
    web = stage.web().make(10)

    def admit(kind: str, before: Json | None, after: Json) -> Json:
        for policy in (SLOW, drops("annotations"), drops("labels")):
            after = policy(kind, before, after)
        return after

    just_before(web, begins(stage, admit))
    with pytest.raises(VerbFailure, match="the Deployment was paused at once"):
        web.start()
    assert web.spec["paused"]
    web.admin.clock.sleep(300)
    assert web.split()["v1"] >= 7


def test_a_release_takes_back_what_came_with_the_write(stage: Stage) -> None:
    web = stage.web().make(10)
    just_before(web, begins(stage, SLOW))
    with pytest.raises(VerbFailure) as raised:
        release(web.api, asked(web), web.report)
    assert raised.value.extra["release"]["outcome"] == "undone" and "somebody" not in raised.value.message
    web.admin.clock.sleep(300)
    assert web.split() == {"v1": 10}
