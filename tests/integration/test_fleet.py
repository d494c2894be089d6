# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_fleet on fake nodes: what the simulation promises, seen on a real cluster."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.crew import Threads
from ansible_collections.coalmine.canary.plugins.module_utils.release.fleet import WhenCrowded
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Headroom, Policies
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.fleets.fleet import fleet
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.fleets.orders import FleetRequest, Member
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.playbooks import PLAYBOOK, ROOT, Run, ansible_playbook
from tests.integration.releases import image
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


# What waves do is played in tests/sim/test_fleets.py, and the playbook below has some on this cluster.
@pytest.mark.slow
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


@pytest.mark.slow
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


# To find out that there is no room is the same question for both.
@pytest.mark.parametrize("when", [WhenCrowded.SMALLER, pytest.param(WhenCrowded.REFUSE, marks=pytest.mark.slow)])
def test_two_that_fit_alone_and_not_together(lab: Lab | ForeignCluster, crowded: list[Web], when: WhenCrowded) -> None:
    policies = Policies(headroom=Headroom.REQUIRE_EXISTING_NODES)
    # Each by a way of its own to the one server.
    members = [Member(asked(web, policies=policies), number) for number, web in enumerate(crowded)]
    ended = sails(lab, members, when_crowded=when)
    if when is WhenCrowded.REFUSE:
        assert outcomes(ended) == ["untouched", "refused"]
        assert (
            "Counted as placed: 1 release of its wave in the same cluster."
            in ended.extra["fleet"]["releases"][1]["why"]
        )
        assert [web.split() for web in crowded] == [{"v1": REPLICAS}] * 2
    else:
        assert outcomes(ended) == ["released"] * 2, ended
        assert [row["wave"] for row in ended.extra["fleet"]["releases"]] == [1, 2]
        assert [web.split() for web in crowded] == [{"v2": REPLICAS}] * 2


def inventory(webs_: list[Web], kubeconfig: str) -> dict[str, Any]:
    services = {
        f"s{number}": {
            "canary_name": web.name,
            "canary_namespace": web.namespace,
            "canary_images": {"app": image("v2")},
        }
        for number, web in enumerate(webs_)
    }
    return {
        "all": {
            "vars": {"canary_headroom": "skip"},
            "children": {
                "canary_services": {"hosts": services},
                "canary_clusters": {"hosts": {"one": {"canary_kubeconfig": kubeconfig}}},
            },
        }
    }


def plays(directory: Path, *options: str, book: Path = ROOT / "playbooks" / "fleet.yml") -> Run:
    return ansible_playbook(book, *options, environment={"ANSIBLE_SHOW_CUSTOM_STATS": "true"}, directory=directory)


# The next one has more: clusters beside services.
@pytest.mark.slow
def test_the_playbook_releases_what_the_inventory_says_and_the_limit_leaves(
    lab: Lab | ForeignCluster, three: list[Web], tmp_path: Path
) -> None:
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps(inventory(three, str(lab.kubeconfig))), encoding="utf-8")
    played = plays(tmp_path, "-i", str(file), "--limit", "s1")
    assert played.code == 0, played.output
    assert [web.split() for web in three] == [{"v1": REPLICAS}, {"v2": REPLICAS}, {"v1": REPLICAS}]
    played = plays(tmp_path, "-i", str(file), "-e", json.dumps({"canary_waves": ["one"]}))
    assert played.code == 0, played.output
    assert [web.split() for web in three] == [{"v2": REPLICAS}] * 3
    assert len(re.findall(r"^ *- .*(already )?released +wave 1", played.output, re.MULTILINE)) == 3, played.output


def test_the_playbook_releases_each_service_in_its_clusters_and_the_limit_names_both(
    lab: Lab | ForeignCluster, three: list[Web], tmp_path: Path
) -> None:
    """Two contexts: each of them is a cluster, as far as the playbook knows."""
    kubeconfig = yaml.safe_load(Path(lab.kubeconfig).read_text(encoding="utf-8"))
    context = kubeconfig["contexts"][0]["context"]
    kubeconfig["contexts"] = [{"name": name, "context": context} for name in ("eu", "us")]
    ways = tmp_path / "kubeconfig.json"
    ways.write_text(json.dumps(kubeconfig), encoding="utf-8")
    given = inventory(three, str(ways))
    children = given["all"]["children"]
    clusters = {name: {"canary_kubeconfig": str(ways), "canary_context": name} for name in ("eu", "us")}
    children["canary_clusters"]["hosts"] = clusters
    for service, where in (("s0", "eu"), ("s1", "us"), ("s2", "us")):
        children["canary_services"]["hosts"][service]["canary_clusters"] = [where]
    given["all"]["vars"]["canary_waves"] = ["eu", "us"]
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps(given), encoding="utf-8")
    played = plays(tmp_path, "-i", str(file), "--limit", "s0,us")
    assert played.code == 2 and "releases is empty" in played.output, played.output
    played = plays(tmp_path, "-i", str(file), "--limit", "s1,us")
    assert played.code == 0, played.output
    assert [web.split() for web in three] == [{"v1": REPLICAS}, {"v2": REPLICAS}, {"v1": REPLICAS}]
    played = plays(tmp_path, "-i", str(file))
    assert played.code == 0, played.output
    assert [web.split() for web in three] == [{"v2": REPLICAS}] * 3
    rows = re.findall(r"^ *- .*?(already released|released) +wave (\d) +(\w+)/", played.output, re.MULTILINE)
    assert sorted(rows) == [("already released", "2", "us"), ("released", "1", "eu"), ("released", "2", "us")]


def test_the_playbook_releases_a_list_and_fails_with_its_table(
    lab: Lab | ForeignCluster, three: list[Web], tmp_path: Path
) -> None:
    one = {"namespace": three[0].namespace, "kubeconfig": str(lab.kubeconfig), "images": {"app": image("v2")}}
    releases = [{**one, "name": three[0].name}, {**one, "name": "nobody"}]
    given = json.dumps({"canary_releases": releases, "canary_waves": ["100%"]})
    played = plays(tmp_path, "-e", given)
    assert played.code == 2, played.output
    assert re.search(r"refused +wave 1 +\S+/nobody: there is no Deployment", played.output), played.output
    assert "timeline" not in played.output, "the story of each release is not for the terminal"
    assert "failed: 1 untouched, 1 refused, of 2 releases." in " ".join(played.output.split()), played.output
    stats = " ".join(played.output.rpartition("canary_results:")[2].split())
    for name, outcome in ((three[0].name, "untouched"), ("nobody", "refused")):
        assert re.search(rf"/{name}: changed: false cluster: '' name: {name} namespace: \S+ outcome: {outcome} ", stats)


def test_the_playbook_refuses_to_release_nothing(tmp_path: Path) -> None:
    played = plays(tmp_path)
    assert played.code == 2 and "There is nothing to release" in played.output, played.output


def test_the_playbook_refuses_a_cluster_that_the_inventory_does_not_have(tmp_path: Path) -> None:
    """Its services would be released in the others alone, and nothing would say so."""
    services = {"web": {"canary_clusters": ["eu", "eux"]}, "basket": {"canary_clusters": "usa"}}
    children = {"canary_services": {"hosts": services}, "canary_clusters": {"hosts": {"eu": {}}}}
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps({"all": {"children": children}}), encoding="utf-8")
    played = plays(tmp_path, "-i", str(file))
    assert played.code == 2 and "canary_clusters is called eux, usa" in " ".join(played.output.split()), played.output


# What ansible-core does to a task whose time is up is in test_role_keywords.py; what a fleet does then, at any time, in tests/sim.
@pytest.mark.slow
def test_cut_off_by_the_tasks_own_timeout_it_takes_its_canaries_back_and_tells_of_each(
    lab: Lab | ForeignCluster, three: list[Web], tmp_path: Path
) -> None:
    defaults = {
        "namespace": three[0].namespace,
        "kubeconfig": str(lab.kubeconfig),
        "images": {"app": image("v2")},
        "headroom": "skip",
        "steps": [{"pods": 1, "bake": 600}],
    }
    releases = [{"name": web.name} for web in three]
    task = {
        "coalmine.canary.canary_fleet": {"releases": releases, "defaults": defaults, "waves": ["100%"]},
        "timeout": 15,
        "register": "found",
    }
    told = {"ansible.builtin.debug": {"var": "found.fleet.table"}}
    block = [{"block": [task], "always": [told]}]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": block}
    book = tmp_path / "fleet.json"
    book.write_text(json.dumps([play]), encoding="utf-8")
    played = plays(tmp_path, book=book)
    assert played.code == 2, played.output
    table = " ".join(played.output.rpartition("found.fleet.table")[2].split())
    assert len(re.findall(r"undone wave 1 \S+: Timed out after 15 seconds, which", table)) == 3, played.output
    assert {web.phase for web in three} == {"none"}
    assert [web.split() for web in three] == [{"v1": REPLICAS}] * 3


def test_interrupted_it_ends_at_once_and_the_next_call_goes_on(
    lab: Lab | ForeignCluster, three: list[Web], tmp_path: Path
) -> None:
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps(inventory(three, str(lab.kubeconfig))), encoding="utf-8")
    command = [
        str(PLAYBOOK),
        str(ROOT / "playbooks" / "fleet.yml"),
        "-i",
        str(file),
        "-e",
        '{"canary_waves": ["100%"]}',
    ]
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PYTHONUNBUFFERED": "1"}
    baking = ["-e", json.dumps({"canary_steps": [{"pods": 1, "bake": 600}]})]
    with subprocess.Popen(
        [*command, *baking], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as running:
        until(lambda: {web.phase for web in three} == {"held"}, "all are held")
        # While lines are shown.
        os.killpg(running.pid, signal.SIGINT)
        try:
            running.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            raise
    assert [web.split() for web in three] == [{"v1": REPLICAS, "v2": 1}] * 3, "they stay held"
    played = plays(tmp_path, "-i", str(file), "-e", '{"canary_waves": ["100%"]}')
    assert played.code == 0, played.output
    assert [web.split() for web in three] == [{"v2": REPLICAS}] * 3
