# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_fleet on fake nodes: what the simulation promises, seen on a real cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.crew import Threads
from ansible_collections.coalmine.canary.plugins.module_utils.release.fleet import WhenCrowded
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Headroom, Policies
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.fleets.fleet import fleet
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.fleets.orders import FleetRequest, Member
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.situations import Web, until, webs
from tests.integration.test_release import asked

REPLICAS = 2


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as factory:
        yield factory


@pytest.fixture
def three(new: Callable[..., Web]) -> list[Web]:
    return [new().make(REPLICAS) for _ in range(3)]


def sails(lab: Lab | ForeignCluster, members: list[Member], **options: Any) -> Outcome | VerbFailure:
    request = FleetRequest(tuple(members), options.pop("waves", (tuple(range(len(members))),)), **options)
    kubeconfig = Connection(kubeconfig=str(lab.kubeconfig))
    # Two ways to the same server, so that only uids tell Deployments apart.
    with Threads([connect(kubeconfig), connect(kubeconfig)]) as crew:
        try:
            return fleet(crew, request, lambda told: None)
        except VerbFailure as failure:
            return failure


def outcomes(ended: Outcome | VerbFailure) -> list[str]:
    return [row["outcome"] for row in ended.extra["fleet"]["releases"]]


def test_wave_after_wave_and_nothing_to_do_in_the_next_call(lab: Lab | ForeignCluster, three: list[Web]) -> None:
    before = [web.spec for web in three]
    members = [Member(asked(web)) for web in three]
    ended = sails(lab, members, waves=((0,), (1, 2)))
    assert outcomes(ended) == ["released"] * 3, ended
    for web, spec in zip(three, before, strict=True):
        web.assert_clean(spec, "v2")
    again = sails(lab, members)
    assert isinstance(again, Outcome) and not again.changed
    assert outcomes(again) == ["already released"] * 3


def test_one_that_fails_takes_its_wave_with_it(lab: Lab | ForeignCluster, three: list[Web]) -> None:
    before = [web.spec for web in three]
    members = [Member(asked(web)) for web in three]
    broken = {"metadata": {"annotations": {"lab.coalmine/waiting": "ImagePullBackOff"}}}
    start = members[1].request.start
    start = replace(start, template=replace(start.template, patch=broken))
    members[1] = replace(members[1], request=replace(members[1].request, start=start))
    ended = sails(lab, members)
    assert isinstance(ended, VerbFailure) and ended.changed
    assert outcomes(ended) == ["undone"] * 3
    assert len(ended.extra["fleet"]["why"]) == 1 and three[1].name in ended.extra["fleet"]["why"][0]
    for web, spec in zip(three, before, strict=True):
        web.assert_clean(spec, "v1")


def test_the_same_deployment_by_two_ways_is_refused(lab: Lab | ForeignCluster, three: list[Web]) -> None:
    one = asked(three[0])
    with three[0].unchanged():
        ended = sails(lab, [Member(one, 0, "a"), Member(one, 1, "b")])
    assert isinstance(ended, VerbFailure) and "the same Deployment" in ended.message


@pytest.fixture
def crowded(lab: Lab | ForeignCluster) -> Iterator[list[Web]]:
    """Two Deployments in a namespace whose quota has room for one more pod."""
    with webs(lab) as factory:
        two = [factory().make(REPLICAS) for _ in range(2)]
        quota = f"/api/v1/namespaces/{two[0].namespace}/resourcequotas"
        most = {"pods": str(2 * REPLICAS + 1)}
        two[0].admin.create(quota, {"metadata": {"name": "q"}, "spec": {"hard": most}})
        until(
            lambda: two[0].admin.get(f"{quota}/q").get("status", {}).get("used") == {"pods": str(2 * REPLICAS)},
            "the quota has counted the pods",
        )
        yield two


@pytest.mark.parametrize("when", WhenCrowded)
def test_two_that_fit_alone_and_not_together(lab: Lab | ForeignCluster, crowded: list[Web], when: WhenCrowded) -> None:
    members = [Member(asked(web, policies=Policies(headroom=Headroom.REQUIRE_EXISTING_NODES))) for web in crowded]
    ended = sails(lab, members, when_crowded=when)
    if when is WhenCrowded.REFUSE:
        assert outcomes(ended) == ["untouched", "refused"]
        assert (
            "1 releases of its wave in the same cluster are counted as placed."
            in ended.extra["fleet"]["releases"][1]["why"]
        )
        assert [web.split() for web in crowded] == [{"v1": REPLICAS}] * 2
    else:
        assert outcomes(ended) == ["released"] * 2, ended
        assert [row["wave"] for row in ended.extra["fleet"]["releases"]] == [1, 2]
        assert [web.split() for web in crowded] == [{"v2": REPLICAS}] * 2
