# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases beside Flux itself, which applies what Git says each second: with each setting of docs/gitops.md, and with none."""

from __future__ import annotations

import json
import shlex
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.build import Say
from tests.cluster.flux.server import ASKED, KUSTOMIZE, Kustomization, Repository, add_flux
from tests.cluster.lab import Lab
from tests.integration.gitops import REPLICAS, SOME_ROUNDS, FromGit, committed, documented, good_and_bad, manifest
from tests.integration.situations import webs

pytestmark = pytest.mark.slow

SHOP, FLUX = "shop", "kustomize-controller"
LEFT = f"{KUSTOMIZE}/reconcile"
MADE_ONCE = {f"{KUSTOMIZE}/ssa": "IfNotPresent"}
WARNED = "Flux manages Deployment"


@dataclass(frozen=True)
class Flux(FromGit):
    """`repository`: what Flux has fetched of main. `shop` is what applies that."""

    repository: Repository
    shop: Kustomization

    def looks(self) -> None:
        self.shop.reconcile(self.repository.fetch())

    def away(self) -> None:
        """It is suspended, and the round that was under way is over."""
        self.shop.set(suspend=True)
        self.shop.reconcile()

    def goes_on(self) -> None:
        """Some rounds more, also of one that was suspended."""
        self.shop.set(suspend=False)
        before = self.shop.rounds
        self.web.until(
            lambda: self.shop.rounds >= before + SOME_ROUNDS, "Flux has applied what Git says, again and again"
        )

    # Its commands, each as what it writes to the cluster and waits for.

    def patched(self, **spec: Any) -> list[str]:
        """flux suspend, flux resume."""
        return self._kubectl("patch", *self._shop, "--type=merge", "-p", json.dumps({"spec": spec}))

    @property
    def fetching(self) -> list[str]:
        """flux reconcile source git."""
        return [sys.executable, "-c", f"import urllib.request as r; r.urlopen({self.repository.url!r}, b'')"]

    @property
    def syncing(self) -> list[str]:
        """flux reconcile kustomization --with-source."""
        asked = uuid.uuid4().hex
        handled = f"--for=jsonpath={{.status.lastHandledReconcileAt}}={asked}"
        annotate = self._kubectl("annotate", "--overwrite", *self._shop, f"{ASKED}={asked}")
        wait = self._kubectl("wait", handled, *self._shop, "--timeout=60s")
        return ["sh", "-c", " && ".join(map(shlex.join, (self.fetching, annotate, wait)))]

    @property
    def _shop(self) -> tuple[str, str]:
        return "kustomization", self.shop.name

    def _kubectl(self, *arguments: str) -> list[str]:
        place = f"--kubeconfig={self.lab.kubeconfig}", f"-n={self.web.namespace}"
        return [str(self.lab.binaries / "kubectl"), *place, *arguments]


@pytest.fixture
def flux(answering_lab: Lab, tmp_path: Path, say: Say, request: pytest.FixtureRequest) -> Iterator[Flux]:
    """Main says v1, which runs. The metadata of its manifest: `request.param`."""
    add_flux(answering_lab, say)
    with webs(answering_lab) as new:
        web = new("web")
        committed(tmp_path / "main", manifest(web, "v1"), **getattr(request, "param", {}))
        with (
            Repository(answering_lab, web.namespace, SHOP, tmp_path / "main") as repository,
            Kustomization(answering_lab, web.namespace, SHOP) as shop,
        ):
            shop.reconcile()
            web.settle()
            yield Flux(answering_lab, web, tmp_path, repository, shop)


def ignored() -> list[dict[str, Any]]:
    """What docs/gitops.md tells Flux to ignore."""
    return documented("ignore", having="paths")


def test_where_nothing_is_arranged_flux_puts_its_manifest_back_and_nothing_is_promoted(flux: Flux) -> None:
    web = flux.web
    before = web.spec
    # It comes in the middle of a start as well, and in its last second, which is told as somebody's.
    flux.away()
    assert any(WARNED in warning for warning in web.start().warnings)
    web.admin.clock.sleep(1.1)
    flux.goes_on()
    found = web.info()
    assert found["phase"] == "damaged" and "; Flux wrote to it at " in found["why"], found
    assert "Flux" in web.refused(web.promote, "damaged")
    web.undo()
    flux.goes_on()
    web.assert_clean(before, "v1")
    assert flux.managers() == {FLUX}


def test_what_flux_ignores_is_the_releases_and_a_merge_in_the_middle_of_it_moves_no_pod(flux: Flux) -> None:
    """Git first, with a setting for good."""
    web = flux.web
    flux.shop.set(ignore=ignored())
    with flux.no_pod_moves("v1"):
        flux.merge("v2")
        flux.goes_on()
    web.start()
    flux.goes_on()
    assert (web.phase, web.split()) == ("held", {"v1": REPLICAS, "v2": 1})
    # What is not ignored is applied, and with it what is: as it stands.
    made = manifest(web, "v2")
    made["spec"]["minReadySeconds"] = 3
    flux.commit(made, labels={"team": "shop"})
    flux.looks()
    assert web.get()["metadata"]["labels"]["team"] == "shop"
    assert (web.phase, web.split()) == ("held", {"v1": REPLICAS, "v2": 1})
    web.promote()
    with flux.no_pod_moves("v2"):
        flux.goes_on()
        assert flux.managers() == {FLUX} and "minReadySeconds" not in web.spec
        flux.shop.set(ignore=[])
        flux.goes_on()
    assert web.spec["minReadySeconds"] == 3


def test_what_is_ignored_and_undone_stays_undone(flux: Flux) -> None:
    web = flux.web
    flux.shop.set(ignore=ignored())
    before = web.spec
    flux.merge("v2")
    web.start()
    flux.merge("v2", labels={"team": "shop"})
    web.undo()
    with flux.no_pod_moves("v1"):
        flux.merge("v1")
        flux.goes_on()
    web.assert_clean(before, "v1")
    flux.shop.set(ignore=[])
    with flux.no_pod_moves("v1"):
        flux.shop.reconcile()


def test_one_object_that_is_disabled_is_left_alone_until_it_is_not(flux: Flux) -> None:
    web = flux.web
    web.kubectl("annotate", "deployment", web.name, f"{LEFT}=disabled")
    assert not web.start().warnings
    flux.goes_on()
    web.promote()
    flux.merge("v2")
    web.kubectl("annotate", "deployment", web.name, f"{LEFT}-")
    with flux.no_pod_moves("v2"):
        flux.goes_on()
    assert flux.managers() == {FLUX}


@pytest.mark.parametrize("flux", [{"annotations": MADE_ONCE}], indirect=True)
def test_what_is_made_once_is_left_alone_for_good(flux: Flux) -> None:
    web = flux.web
    flux.merge("v2", annotations=MADE_ONCE)
    assert web.split() == {"v1": REPLICAS} and not web.start().warnings
    flux.goes_on()
    web.promote()
    with flux.no_pod_moves("v2"):
        flux.goes_on()


def test_what_git_says_so_of_only_later_is_left_alone_and_warned_of(flux: Flux) -> None:
    """It is never written to a Deployment that was there already."""
    web = flux.web
    flux.merge("v2", annotations=MADE_ONCE)
    assert web.split() == {"v1": REPLICAS}
    assert any(WARNED in warning for warning in web.start().warnings)
    flux.goes_on()
    web.promote()
    with flux.no_pod_moves("v2"):
        flux.goes_on()
    assert not MADE_ONCE.keys() & web.get()["metadata"]["annotations"].keys()


def test_what_says_so_in_the_cluster_alone_is_put_back_and_warned_of(flux: Flux) -> None:
    web = flux.web
    web.kubectl("annotate", "deployment", web.name, f"{KUSTOMIZE}/ssa=IfNotPresent")
    flux.away()
    assert any(WARNED in warning for warning in web.start().warnings)
    flux.goes_on()
    assert web.phase == "damaged"


def test_a_field_that_git_drops_after_a_release_stays_until_another_change_has_made_it_the_tools(flux: Flux) -> None:
    web = flux.web
    environment = [{"name": "MODE", "value": "new"}]
    made = manifest(web, "v2")
    made["spec"]["template"]["spec"]["containers"][0]["env"] = environment

    def runs() -> Any:
        return web.spec["template"]["spec"]["containers"][0].get("env")

    flux.away()
    web.start(patch={"spec": {"containers": [{"name": "app", "env": environment}]}})
    web.promote()
    flux.commit(made)
    flux.repository.fetch()
    flux.shop.set(suspend=False)
    for labels, left in (({}, environment), ({"team": "shop"}, None)):
        flux.commit(made, labels=labels)
        flux.looks()
        flux.merge("v2", labels=labels)
        assert runs() == left


def test_a_tool_that_goes_on_with_what_it_had_fetched_before_brings_the_version_before_back(flux: Flux) -> None:
    """Which is why the example has it fetched first."""
    web = flux.web
    flux.away()
    web.start()
    web.promote()
    flux.commit(manifest(web, "v2"))
    flux.shop.set(suspend=False)
    web.until(lambda: web.split() == {"v1": REPLICAS}, "Flux has applied what it had fetched")
    flux.merge("v2")
    web.until(lambda: web.split() == {"v2": REPLICAS}, "Flux has applied what was merged")


@good_and_bad
def test_cluster_first_by_the_example_with_the_commands_of_flux(good: bool, flux: Flux) -> None:
    committed(flux.folder / "branch", manifest(flux.web, "v2", good=good))
    commands = {
        "suspend": flux.patched(suspend=True),
        "merge": flux.copying("branch", "main"),
        "fetch": flux.fetching,
        "resume": flux.patched(suspend=False),
    }
    run = flux.played("gitops_cluster_first.yml", commands, "branch", good=good)
    assert not flux.shop.suspended, run.output
    flux.assert_as_git_says("v2" if good else "v1")


@good_and_bad
def test_git_first_by_the_example_with_the_commands_of_flux(good: bool, flux: Flux) -> None:
    """It ignores what is the release's, for good."""
    committed(flux.folder / "before", manifest(flux.web, "v1"))
    flux.shop.set(ignore=ignored())
    flux.commit(manifest(flux.web, "v2", good=good))
    flux.looks()
    commands = {"sync": flux.syncing, "revert": flux.copying("before", "main")}
    flux.played("gitops_git_first.yml", commands, "main", good=good)
    flux.looks()
    flux.assert_as_git_says("v2" if good else "v1")
    flux.shop.set(ignore=[])
    flux.assert_as_git_says("v2" if good else "v1")
