# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several releases side by side in one run of a playbook: each a host with variables of its own, its name that of its Deployment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.playbooks import ansible_playbook
from tests.integration.releases import CONTAINER, Release, image
from tests.integration.shipped_role import releaser

REPLICAS = 4
V1, V2, V3 = image("v1"), image("v2"), image("v3")

Play = dict[str, Any]
THE_ROLE = {"name": "coalmine.canary.canary"}
WITH_THE_ROLE: Play = {"hosts": "all", "gather_facts": False, "roles": ["coalmine.canary.canary"]}


@dataclass(frozen=True)
class Ended:
    """How the run ended, and `canary_result` of each host that has one."""

    code: int
    output: str
    results: dict[str, dict[str, Any]]

    @property
    def told(self) -> str:
        """For a person who wonders why a test failed."""
        why = {host: [result["outcome"], result["why"], result["verdicts"]] for host, result in self.results.items()}
        return f"{json.dumps(why, indent=1)}\n{self.output[-4000:]}"

    @property
    def outcomes(self) -> dict[str, str]:
        return {host: str(result["outcome"]) for host, result in self.results.items()}

    @property
    def handed_on(self) -> dict[str, Any]:
        """`canary_results`, as jobs after this one see it."""
        found = re.search(r"^\tRUN: (\{.*\})\s*$", self.output, re.MULTILINE)
        assert found, self.output
        return dict(json.loads(found[1])["canary_results"])

    def verdicts(self, host: str) -> list[tuple[str, str]]:
        return [(one["of"], one["verdict"]) for one in self.results[host]["verdicts"]]

    def recap(self, host: str, what: str) -> int:
        found = re.search(rf"^{host} +: .*\b{what}=(\d+)", self.output, re.MULTILINE)
        assert found, self.output
        return int(found[1])


def run(
    kubeconfig: Path,
    namespace: str,
    directory: Path,
    hosts: Mapping[str, dict[str, Any]],
    strategy: str = "linear",
    *options: str,
    plays: list[Play] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """`hosts`: variables of each, those of the role without their prefix."""
    inventory = directory / "inventory.json"
    shared = {"ansible_connection": "local", "canary_namespace": namespace, "canary_images": {CONTAINER: V2}}
    variables = {
        host: {"canary_name": host, **{f"canary_{key}": value for key, value in given.items()}}
        for host, given in hosts.items()
    }
    inventory.write_text(json.dumps({"all": {"hosts": variables, "vars": shared}}))
    playbook = directory / "play.yml"
    playbook.write_text(json.dumps(plays or [WITH_THE_ROLE]))
    ours = {
        "K8S_AUTH_KUBECONFIG": str(kubeconfig),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_FORKS": str(len(hosts)),
        "ANSIBLE_SHOW_CUSTOM_STATS": "true",
        "ANSIBLE_STRATEGY": strategy,
    }
    done = ansible_playbook("-v", "-i", inventory, *options, playbook, environment={**ours, **(environment or {})})
    return Ended(done.code, done.output, dict(results_in(done.output)))


def results_in(output: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for found in re.finditer(
        r'^ok: \[([\w-]+)(?: -> [\w-]+)?\] => (?=\{\s*"ansible_facts": \{\s*"canary_result")', output, re.MULTILINE
    ):
        facts, _end = json.JSONDecoder().raw_decode(output, found.end())
        yield found[1], facts["ansible_facts"]["canary_result"]


def releases(api: Api, namespace: str, hosts: Mapping[str, Any], **fields: Any) -> dict[str, Release]:
    """Each at v1 with its pods Ready."""
    made = {host: Release(api, namespace, name=host) for host in hosts}
    for release in made.values():
        release.api.create(release.path.rpartition("/")[0], release.manifest(REPLICAS, **fields))
    for release in made.values():
        release.promote()
    return made


@dataclass(frozen=True)
class Played:
    """`before`: the spec that each Deployment had at v1, before anything was done with it."""

    it: Ended
    made: dict[str, Release]
    before: dict[str, Any]

    def why(self, host: str) -> list[str]:
        return list(self.it.results[host]["why"])


@contextmanager
def side_by_side(
    lab: Lab | ForeignCluster,
    directory: Path,
    hosts: Mapping[str, dict[str, Any]],
    begin: Callable[[str, Release], object] = lambda host, release: None,
    *options: str,
    strategy: str = "free",
    plays: list[Play] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Played]:
    """All hosts in one run, as the account that the collection ships, in a namespace of their own. None waits for another, unless another
    strategy says so. `begin`: what was done with each before the run."""
    namespace = lab.create_namespace()
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        made = releases(api, namespace, hosts)
        before = {host: release.deployment()["spec"] for host, release in made.items()}
        for host, release in made.items():
            begin(host, release)
        account = releaser(lab, namespace)
        it = run(account, namespace, directory, hosts, strategy, *options, plays=plays, environment=environment)
        yield Played(it, made, before)
    lab.vacate(namespace)
