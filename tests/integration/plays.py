# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several releases side by side in one run of a playbook: each a host with variables of its own, its name that of its Deployment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from tests.integration.playbooks import ansible_playbook
from tests.integration.releases import CONTAINER, Release, image

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
