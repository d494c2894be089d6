# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases beside Argo CD itself, which compares with Git each second: with each setting of docs/gitops.md, and with none."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import FIELD_MANAGER, PatchKind
from tests.cluster.argocd.server import Application, ArgoCD, Repository, add_argo_cd
from tests.cluster.build import Say
from tests.cluster.gateway.server import define
from tests.cluster.lab import Lab
from tests.integration.gitops import REPLICAS, SOME_ROUNDS, FromGit, committed, documented, good_and_bad, manifest
from tests.integration.playbooks import ROOT
from tests.integration.situations import webs
from tests.pages import blocks

pytestmark = pytest.mark.slow

ARGO = "argocd-controller"
WARNED = "Argo CD manages Deployment"
AUTOMATED = {"automated": {"selfHeal": True, "prune": True}}
IGNORED = "ignoreDifferences"
SYNCED, HELD = ("Synced", "Healthy"), "Progressing"
RESPECT, ON_THE_SERVER = "RespectIgnoreDifferences=true", "ServerSideApply=true"


@dataclass(frozen=True)
class Argo(FromGit):
    """Main is a repository of its own. `shop` is what syncs it. `options`: those of each sync."""

    repository: Repository
    shop: Application
    program: ArgoCD
    options: tuple[str, ...]

    def commit(self, made: Mapping[str, Any], **metadata: Any) -> None:
        super().commit(made, **metadata)
        self.repository.commit()

    def looks(self) -> None:
        self.shop.refresh()
        self.rounds()

    def rounds(self) -> None:
        """It has compared, and synced what it syncs by itself, again and again."""
        for _round in range(SOME_ROUNDS):
            before = self.shop.status["reconciledAt"]
            self.web.until(partial(self._compared_since, before), "Argo CD has compared")
        self.web.until(lambda: self.phase == "Succeeded", "no sync is under way")

    def _compared_since(self, moment: str) -> bool:
        return bool(self.shop.status["reconciledAt"] != moment)

    @property
    def phase(self) -> str:
        """Of the last sync."""
        return str((self.shop.status.get("operationState") or {}).get("phase", ""))

    @property
    def shown(self) -> tuple[str, str]:
        """As people see it."""
        status = self.shop.status
        return status["sync"]["status"], status["health"]["status"]

    def app(self, verb: str, *rest: str) -> list[str]:
        """`argocd app VERB shop ...`, for this one."""
        return self.program.command("app", verb, self.shop.name, *rest)

    # The commands of docs/gitops.md.

    @property
    def suspending(self) -> list[str]:
        return ["sh", "-c", " && ".join(map(shlex.join, self._shown()))]

    @property
    def fetching(self) -> list[str]:
        _patch, refresh, _wait = self._shown()
        return refresh

    @property
    def resuming(self) -> list[str]:
        patch, _refresh, _wait = self._shown()
        return [word.replace("false", "true") for word in patch]

    def _shown(self) -> list[list[str]]:
        """The three by which it is suspended, for this one."""
        (block,) = (text for text in blocks(ROOT / "docs/gitops.md", "sh") if text.startswith("argocd app patch shop "))
        of_app = [shlex.split(line.removeprefix("argocd app ")) for line in block.splitlines()]
        return [self.app(verb, *rest) for verb, _shop, *rest in of_app]

    def merging(self, branch: str) -> list[str]:
        return ["sh", "-c", f"{shlex.join(self.copying(branch, 'main'))} && {shlex.join(self.repository.committing)}"]

    def away(self) -> None:
        run(self.suspending)

    def goes_on(self) -> None:
        run(self.resuming)
        self.rounds()

    def let(self, *, ignored: list[dict[str, Any]]) -> None:
        """It leaves these alone, as docs/gitops.md says."""
        options = [*self.options, RESPECT]
        self.shop.set(ignoreDifferences=ignored, syncPolicy={**AUTOMATED, "syncOptions": options})
        self.rounds()


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(params=[(), (ON_THE_SERVER,)], ids=["client", "server"])
def argo(answering_lab: Lab, tmp_path: Path, say: Say, request: pytest.FixtureRequest) -> Iterator[Argo]:
    """Main says v1, which runs; Argo CD syncs by itself, and applies on this side."""
    program = add_argo_cd(answering_lab, say)
    options = request.param
    with webs(answering_lab) as new:
        web = new("web")
        committed(tmp_path / "main", manifest(web, "v1"))
        repository = Repository(tmp_path / "main")
        repository.commit()
        policy = {**AUTOMATED, "syncOptions": list(options)}
        with Application(answering_lab, web.namespace, repository, syncPolicy=policy) as shop:
            argo = Argo(answering_lab, web, tmp_path, repository, shop, program, options)
            web.until(lambda: argo.phase == "Succeeded", "Argo CD has synced for the first time")
            web.settle()
            yield argo


only_one_side = pytest.mark.parametrize("argo", [()], indirect=True, ids=["client"])


def test_where_nothing_is_arranged_argo_cd_puts_its_manifest_back_and_nothing_is_promoted(argo: Argo) -> None:
    web = argo.web
    before = web.spec
    # It comes in the middle of a start as well, and in its last second, which is told as somebody's.
    argo.away()
    assert any(WARNED in warning for warning in web.start().warnings)
    argo.rounds()
    assert (web.phase, argo.shown) == ("held", ("OutOfSync", HELD))
    web.admin.clock.sleep(1.1)
    argo.goes_on()
    found = web.info()
    assert found["phase"] == "damaged" and "; Argo CD wrote to it at " in found["why"], found
    assert "Argo CD" in web.refused(web.promote, "damaged")
    web.undo()
    argo.rounds()
    web.assert_clean(before, "v1")
    assert argo.shown == SYNCED and argo.managers() == {ARGO}


def test_what_argo_cd_ignores_is_the_releases_and_a_merge_in_the_middle_of_it_moves_no_pod(argo: Argo) -> None:
    """Git first, with a setting for good."""
    web = argo.web
    argo.let(ignored=documented(IGNORED, having="jsonPointers"))
    with argo.no_pod_moves("v1"):
        argo.merge("v2")
        assert argo.shown == SYNCED
    web.start()
    argo.looks()
    held = "held", {"v1": REPLICAS, "v2": 1}, ("Synced", HELD)
    assert (web.phase, web.split(), argo.shown) == held
    # What is not ignored is synced, and with it what is: as it stands.
    made = manifest(web, "v2")
    made["spec"]["minReadySeconds"] = 3
    argo.commit(made, labels={"team": "shop"})
    argo.looks()
    assert web.get()["metadata"]["labels"]["team"] == "shop"
    assert (web.phase, web.split(), argo.shown) == held
    web.promote()
    with argo.no_pod_moves("v2"):
        argo.looks()
        assert argo.shown == SYNCED and argo.managers() == {ARGO} and "minReadySeconds" not in web.spec
        argo.let(ignored=[])
        argo.looks()
    assert web.spec["minReadySeconds"] == 3


def test_what_is_ignored_and_undone_stays_undone(argo: Argo) -> None:
    web = argo.web
    argo.let(ignored=documented(IGNORED, having="jsonPointers"))
    before = web.spec
    argo.merge("v2")
    web.start()
    argo.merge("v2", labels={"team": "shop"})
    web.undo()
    with argo.no_pod_moves("v1"):
        argo.merge("v1")
    web.assert_clean(before, "v1")
    argo.let(ignored=[])
    with argo.no_pod_moves("v1"):
        argo.looks()


def test_what_is_ours_is_ignored_as_long_as_it_is(argo: Argo) -> None:
    """Merged between the canary and its promotion."""
    web = argo.web
    argo.let(ignored=documented(IGNORED, having="managedFieldsManagers"))
    web.start()
    argo.looks()
    held = "held", {"v1": REPLICAS, "v2": 1}, ("Synced", HELD)
    assert (web.phase, web.split(), argo.shown) == held
    argo.merge("v2")
    assert (web.phase, web.split(), argo.shown) == held
    web.promote()
    with argo.no_pod_moves("v2"):
        argo.looks()
    assert argo.shown == SYNCED and argo.managers() == {ARGO}


def test_what_was_ours_and_is_not_merged_is_put_back(argo: Argo) -> None:
    web = argo.web
    argo.let(ignored=documented(IGNORED, having="managedFieldsManagers"))
    web.start()
    web.promote()
    web.until(lambda: web.split() == {"v1": REPLICAS}, "Argo CD has applied what Git says")


def test_a_field_that_git_drops_after_a_release_stays_until_another_change_has_made_it_the_tools(argo: Argo) -> None:
    web = argo.web
    environment = [{"name": "MODE", "value": "new"}]
    made = manifest(web, "v2")
    made["spec"]["template"]["spec"]["containers"][0]["env"] = environment

    def runs() -> Any:
        return web.spec["template"]["spec"]["containers"][0].get("env")

    argo.away()
    web.start(patch={"spec": {"containers": [{"name": "app", "env": environment}]}})
    web.promote()
    argo.commit(made)
    argo.looks()
    assert argo.shown == SYNCED
    argo.goes_on()
    for labels, left in (({}, environment), ({"team": "shop"}, None)):
        argo.commit(made, labels=labels)
        argo.looks()
        argo.merge("v2", labels=labels)
        assert (runs(), argo.shown[0]) == (left, "Synced")


@only_one_side
def test_a_tool_that_goes_on_with_what_it_had_fetched_before_brings_the_version_before_back(argo: Argo) -> None:
    """Which is why the example has it fetched first. Its own command line has it look at Git in any case."""
    web = argo.web
    argo.away()
    web.start()
    web.promote()
    argo.rounds()
    assert argo.shown == ("OutOfSync", "Healthy")
    argo.commit(manifest(web, "v2"))
    argo.shop.set(syncPolicy={"automated": {"enabled": True}})
    web.until(lambda: web.split() == {"v1": REPLICAS}, "Argo CD has synced what it had fetched")
    argo.looks()
    web.until(lambda: web.split() == {"v2": REPLICAS}, "Argo CD has synced what was merged")


@good_and_bad
def test_cluster_first_by_the_example_with_the_commands_of_argo_cd(good: bool, argo: Argo) -> None:
    committed(argo.folder / "branch", manifest(argo.web, "v2", good=good))
    commands = {
        "suspend": argo.suspending,
        "merge": argo.merging("branch"),
        "fetch": argo.fetching,
        "resume": argo.resuming,
    }
    play = argo.played("gitops_cluster_first.yml", commands, "branch", good=good)
    assert argo.shop.spec["syncPolicy"]["automated"] == {**AUTOMATED["automated"], "enabled": True}, play.output
    argo.assert_as_git_says("v2" if good else "v1")
    assert argo.shown == SYNCED


@good_and_bad
def test_git_first_by_the_example_with_the_commands_of_argo_cd(good: bool, argo: Argo) -> None:
    """It syncs when it is asked."""
    committed(argo.folder / "before", manifest(argo.web, "v1"))
    argo.away()
    argo.commit(manifest(argo.web, "v2", good=good))
    commands = {"sync": argo.app("sync"), "revert": argo.merging("before")}
    argo.played("gitops_git_first.yml", commands, "main", good=good)
    with argo.no_pod_moves("v2" if good else "v1"):
        argo.looks()
        assert argo.shown == SYNCED
    argo.assert_as_git_says("v2" if good else "v1")


@only_one_side
def test_a_sync_policy_that_is_taken_away_takes_its_settings_along_and_all_are_brought_back(argo: Argo) -> None:
    web, settings = argo.web, {"selfHeal": True, "prune": True, "allowEmpty": True}
    argo.shop.set(syncPolicy={"automated": settings})
    run(argo.app("set", "--sync-policy", "none"))
    assert "automated" not in argo.shop.spec.get("syncPolicy", {})
    for command in (argo.fetching, argo.app("wait", "--operation")):
        run(command)
    web.start()
    argo.commit(manifest(web, "v2"))
    web.promote()
    run(argo.fetching)
    run(argo.app("set", "--sync-policy", "automated", "--self-heal", "--auto-prune", "--allow-empty"))
    assert argo.shop.spec["syncPolicy"]["automated"] == settings
    with argo.no_pod_moves("v2"):
        argo.rounds()


@only_one_side
def test_what_is_ignored_and_not_respected_is_only_not_shown(argo: Argo) -> None:
    web = argo.web
    argo.shop.set(ignoreDifferences=documented(IGNORED, having="jsonPointers"))
    argo.rounds()
    web.start()
    argo.looks()
    assert (web.phase, argo.shown) == ("held", ("Synced", HELD))
    argo.merge("v1", labels={"team": "shop"})
    assert web.phase == "damaged"


@only_one_side
def test_what_is_ignored_and_is_not_there_is_made_as_a_whole(argo: Argo) -> None:
    web = argo.web
    argo.let(ignored=documented(IGNORED, having="jsonPointers"))
    argo.merge("v2")
    assert web.split() == {"v1": REPLICAS}
    web.kubectl("delete", "deployment", web.name)
    web.kubectl("wait", "--for=create", f"deployment/{web.name}", "--timeout=60s")
    web.until(lambda: web.split() == {"v2": REPLICAS}, "Argo CD has made what Git says")


def test_the_rules_of_a_route_are_left_alone_as_long_as_it_is_told_so(argo: Argo) -> None:
    """What docs/traffic.md says of Argo CD, and a write of a route as a release makes it."""
    web = argo.web
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{web.namespace}/httproutes/web"
    split = {"rules": [{"backendRefs": [{"name": name, "port": 80} for name in ("web-stable", "web-canary")]}]}
    kept = {"annotations": {"coalmine.canary/route": "what it was"}}

    def commit(**metadata: Any) -> None:
        spec = {"parentRefs": [{"name": "shop"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}
        kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
        route = {**kind, "metadata": {"name": "web", **metadata}, "spec": spec}
        (argo.folder / "main/route.json").write_text(json.dumps(route))
        argo.repository.commit()
        argo.looks()

    def backends() -> list[str]:
        return [one["name"] for one in web.admin.get(path)["spec"]["rules"][0]["backendRefs"]]

    define(argo.lab)
    argo.let(ignored=documented(IGNORED, having="jqPathExpressions", page="traffic"))
    commit()
    web.admin.patch(path, {"metadata": kept, "spec": split}, PatchKind.MERGE, field_manager=FIELD_MANAGER)
    argo.rounds()
    assert backends() == ["web-stable", "web-canary"]
    commit(labels={"team": "shop"})
    assert web.admin.get(path)["metadata"]["labels"]["team"] == "shop"
    assert backends() == ["web-stable", "web-canary"]
    argo.let(ignored=[])
    web.until(lambda: backends() == ["web"], "Argo CD has put the route back")
