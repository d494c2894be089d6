# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of single verbs that users copy, as they are printed: in check mode, run, and run again; and the one that gives rights."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Forbidden, NotFound
from tests.cluster.lab import Lab
from tests.integration.access import wait_for_rules
from tests.integration.playbooks import ROOT, ansible_playbook
from tests.integration.situations import Web, webs
from tests.toolchain.rights import rules


def of_readme() -> str:
    """The tasks that it shows beside the role, as a play."""
    shown = re.findall(r"^```yaml\n(- coalmine.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (tasks,) = shown
    indented = "".join(f"    {line}" for line in tasks.splitlines(keepends=True))
    return f"- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n{indented}"


def of_examples() -> str:
    return (ROOT / "examples" / "release_by_verbs.yml").read_text()


def written(play: str, directory: Path, lab: Lab, namespace: str) -> Path:
    """The play, and what it includes, for a Deployment of this cluster."""
    here = {
        "registry.example/web:1.5": "lab.local/app:v2",
        "registry.example/web:{{ version }}": "lab.local/app:v2",
        "hosts: localhost": f"hosts: {directory.name}",
        "namespace: shop": f"namespace: {namespace}",
        "context: production": f"kubeconfig: {lab.kubeconfig}",
        ":8080/": f":{lab.port}/",
        "seconds: 600": "seconds: 2",
    }
    included = (ROOT / "examples" / "verify_http.yml").read_text()
    names = re.compile("|".join(map(re.escape, here)))
    for name, text in (("play.yml", play), ("verify_http.yml", included)):
        (directory / name).write_text(names.sub(lambda found: here[found[0]], text))
    return directory / "play.yml"


def changed(plays: Collection[Path], lab: Lab, *options: str) -> int:
    """Runs them, and says how many of their tasks changed something, or would."""
    hosts = ",".join(play.parent.name for play in plays)
    environment = {"K8S_AUTH_KUBECONFIG": str(lab.kubeconfig)}
    done = ansible_playbook("-i", hosts, *plays, *options, environment=environment)
    # Told after each playbook, of all hosts until then: the last one counts.
    recap = dict(re.findall(r"^(\w+) +: .*changed=(\d+).* rescued=0 ", done.output, re.MULTILINE))
    assert done.code == 0 and len(recap) == len(plays), done.output
    return sum(map(int, recap.values()))


def test_they_run_in_check_mode_and_twice(answering_lab: Lab, tmp_path: Path) -> None:
    plays: dict[Path, Web] = {}
    with ExitStack() as held:
        for play in (of_readme, of_examples):
            directory = tmp_path / play.__name__
            directory.mkdir()
            web = held.enter_context(webs(answering_lab))("web").make(4)
            plays[written(play(), directory, answering_lab, web.namespace)] = web
        before = {web.namespace: web.spec for web in plays.values()}
        with unchanged(plays.values()):
            assert changed(plays, answering_lab, "--check") == 2, "nothing but the starts would find something to do"
        assert changed(plays, answering_lab) == 4
        for web in plays.values():
            web.assert_clean(before[web.namespace], "v2")
        with unchanged(plays.values()):
            assert changed(plays, answering_lab) == 0


@contextmanager
def unchanged(several: Iterable[Web]) -> Iterator[None]:
    with ExitStack() as held:
        for web in several:
            held.enter_context(web.unchanged())
        yield


# What rbac.yml gives, to whoever may not get further with it.
BEYOND = (
    ("", "secrets", "get"),
    ("", "pods/exec", "create"),
    ("apps", "deployments", "create"),
    ("rbac.authorization.k8s.io", "rolebindings", "create"),
)


def reach(api: Api, namespace: str) -> set[tuple[str, str, str]]:
    """(verb, API group, resource) of all that it may do in a namespace."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    status = api.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)["status"]
    assert not status.get("evaluationError") and not status["incomplete"], status
    return {
        (verb, group, resource)
        for rule in status["resourceRules"]
        for verb, group, resource in product(rule["verbs"], rule["apiGroups"], rule["resources"])
    }


def as_account(lab: Lab, web: Web, name: str) -> Api:
    return connect(Connection(kubeconfig=str(lab.service_account_kubeconfig(web.namespace, name))))


def test_the_playbook_gives_an_operator_its_namespace_and_nothing_beyond_it(answering_lab: Lab) -> None:
    with webs(answering_lab) as new:
        web = new().make(4)
        environment = {"PATH": f"{answering_lab.binaries}:{os.environ['PATH']}"}
        arguments = ["coalmine.canary.rbac", "-e", f"canary_namespace={web.namespace}"]
        arguments += [
            "-e",
            f"canary_kubeconfig={answering_lab.kubeconfig}",
            "-e",
            '{"canary_rbac_roles": ["operator", "traffic", "checks"]}',
        ]
        account = f"/api/v1/namespaces/{web.namespace}/serviceaccounts/canary"
        planned = ansible_playbook(*arguments, "--check", environment=environment)
        assert (planned.code, planned.changed) == (0, 1), planned.output
        with pytest.raises(NotFound):
            web.admin.get(account)
        for changes in (1, 0):
            given = ansible_playbook(*arguments, environment=environment)
            assert (given.code, given.changed) == (0, changes), given.output
        given_rules = [rule for rule in rules() if rule.role in ("reader", "operator", "traffic", "checks")]
        wait_for_rules(
            web.admin,
            f"system:serviceaccount:{web.namespace}:canary",
            web.namespace,
            [
                {
                    "apiGroups": [given_rules[-1].group],
                    "resources": given_rules[-1].resources,
                    "verbs": given_rules[-1].verbs,
                }
            ],
        )
        with as_account(answering_lab, web, "canary") as operator, as_account(answering_lab, web, "default") as anybody:
            web.api = operator
            web.start("v2")
            web.promote()
            wanted = {
                (verb, rule.group, resource)
                for rule in given_rules
                for verb, resource in product(rule.verbs, rule.resources)
            }
            assert reach(operator, web.namespace) - reach(anybody, web.namespace) == wanted
            assert not {(verb, group, resource) for group, resource, verb in BEYOND} & wanted
            for elsewhere in ("default", "kube-system"):
                assert reach(operator, elsewhere) == reach(anybody, elsewhere)
            for path in ("/api/v1/nodes", "/apis/apps/v1/deployments", "/api/v1/namespaces/default/pods"):
                with pytest.raises(Forbidden):
                    operator.list(path)
