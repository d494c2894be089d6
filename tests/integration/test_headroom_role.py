# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room as tasks and the shipped role ask for it, on a real cluster: the same answer through both doors, and what the role does about it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import yaml

from tests.integration.playbooks import FAILED, Playbooks, ansible_playbook
from tests.integration.shops import NEW, PATCH, Object, Shop, asking
from tests.integration.test_frontdoor import AS_MODULE, Stage
from tests.unit.probes.serving import serving

SECRETS = ("s3cr3t-t0ken", "s3cr3t-header")
# Room for it comes only by evicting pods of lower priority: beside three pods of 500m and the two that fill() adds.
URGENT = {
    "spec": {
        "priorityClassName": "system-cluster-critical",
        "containers": [{"name": "app", "resources": {"requests": {"cpu": "1"}}}],
    }
}
PRICES = {"currency": "EUR", "nodes": [{"instance_type": "m6i.xlarge", "hourly": 0.25}]}
BUY = {"canary_headroom": "allow_new_nodes"}
# What the role is asked, how it ends, and what it says of it.
SITUATIONS: dict[str, tuple[Object, str, str]] = {
    "no room": ({}, "refused", "headroom: allow_new_nodes would let an autoscaler add them."),
    "too dear": ({**BUY, "canary_prices": PRICES, "canary_max_hourly_cost": 0.2}, "refused", "max_hourly_cost allows 0.2 an hour."),
    "no price": (
        {**BUY, "canary_max_hourly_cost": 9, "canary_on_unknown": "fail"},
        "refused",
        "A price is not known, and max_hourly_cost is set.",
    ),
    "no price, warned": ({**BUY, "canary_max_hourly_cost": 9}, "planned", "price unknown"),
    "cheap enough": ({**BUY, "canary_prices": PRICES, "canary_max_hourly_cost": 9}, "planned", "would hold"),
    "only told": ({"canary_headroom": "report"}, "planned", "does not fit on the nodes that are there"),
    "not asked": ({"canary_headroom": "skip"}, "planned", "would hold"),
    "not known": ({"account": "least", "canary_on_unknown": "fail"}, "refused", "Unknown: nodes_not_readable"),
    "not known, warned": ({"account": "least"}, "planned", "Unknown: nodes_not_readable"),
    "evicts": ({"canary_pod_template_patch": URGENT, "canary_on_unknown": "fail"}, "refused", "on_unknown is fail."),
    "evicts, warned": ({**BUY, "canary_pod_template_patch": URGENT}, "planned", "pods of lower priority are evicted"),
}  # fmt: skip


def echo(request: BaseHTTPRequestHandler) -> None:
    """A server that is indiscreet with what it was sent."""
    told = json.dumps({"error": f"no: {request.headers['Authorization']} {request.headers['X-Api-Key']}"}).encode()
    request.send_response(422)
    request.end_headers()
    request.wfile.write(told)


# Of any option tests/unit/frontdoor/test_fuzz.py and test_secrecy.py show both, and test_frontdoor.py has the doors of other verbs here.
@pytest.mark.slow
def test_both_doors_give_the_same_answer_and_tell_no_secret(shop: Shop, tmp_path: Path) -> None:
    shop.deploy(replicas=3)
    stage = Stage(tmp_path, shop.lab.kubeconfig, shop.namespace)
    with serving(echo) as url, shop.labelled(**{"node.kubernetes.io/instance-type": "m6i.xlarge"}):
        arguments = {
            "name": "web",
            "namespace": shop.namespace,
            "images": NEW.images,
            "pod_template_patch": PATCH,
            "price_metrics": {"url": url, "token": SECRETS[0], "headers": {"X-Api-Key": SECRETS[1]}},
            "kubeconfig": str(shop.lab.kubeconfig),
        }
        task = {"coalmine.canary.canary_headroom_info": arguments}
        played = stage.play(task, {**task, **AS_MODULE}, {**task, "check_mode": True}, options=("-vvv",))
    results = played.results
    answers = [{**one["headroom"], "read": {}, "assumptions": []} for one in results]
    assert answers[0] == answers[1] == answers[2]
    assert [one["changed"] for one in results] == [False, False, False]
    assert results[0]["msg"] == results[0]["headroom"]["summary"][0]
    assert f"price: {url} answers 422" in answers[0]["unknown"]
    told = played.output + json.dumps(results)
    assert not any(secret in told for secret in SECRETS)


def released(shop: Shop, directory: Path, *names: str, options: tuple[str, ...] = ()) -> dict[str, Object]:
    """The role's results in these situations, one after another in one run."""
    accounts = {"admin": str(shop.lab.kubeconfig), "least": str(shop.account(("nodes", "list")))}
    asked = {"canary_name": "web", "canary_namespace": shop.namespace, "canary_pod_template_patch": PATCH}
    results, tasks = directory / "results.json", []
    for number, name in enumerate(names):
        given = {**asked, "canary_images": NEW.images, **SITUATIONS[name][0]}
        where = {"group/coalmine.canary.canary": {"kubeconfig": accounts[given.pop("account", "admin")]}}
        release = {"ansible.builtin.include_role": {"name": "coalmine.canary.canary"}, "vars": given}
        tasks.append(
            {
                "module_defaults": where,
                "block": [release],
                "rescue": [{"ansible.builtin.debug": {"msg": name}}],
                "always": [{"ansible.builtin.set_fact": {f"result_{number}": "{{ canary_result }}"}}],
            }
        )
    kept = "{{ [" + ", ".join(f"result_{number}" for number in range(len(names))) + "] | to_json }}"
    tasks.append({"ansible.builtin.copy": {"content": kept, "dest": str(results), "mode": "0600"}, "check_mode": False})
    playbook = directory / "role.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = ansible_playbook(*options, playbook, directory=directory)
    assert done.code == 0, done.output
    return dict(zip(names, json.loads(results.read_text()), strict=True))


def fill(shop: Shop) -> None:
    """Two pods of somebody else."""
    container = {"name": "app", "image": "none.invalid/app:1", "resources": {"requests": {"cpu": "500m"}}}
    pod = {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "other"}}, "template": pod}
    shop.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "other"}, "spec": spec})
    shop.lab.kubectl("-n", shop.namespace, "rollout", "status", "deployment/other", "--timeout=60s")


def test_the_role_refuses_what_does_not_fit_and_says_why(shop: Shop, tmp_path: Path) -> None:
    shop.deploy(replicas=3)
    fill(shop)
    with shop.labelled(**{"node.kubernetes.io/instance-type": "m6i.xlarge"}):
        results = released(shop, tmp_path, "no room")
    first, *reasons, aftermath = results["no room"]["why"]
    assert "does not fit on the nodes that are there; new nodes would hold it" in first
    assert SITUATIONS["no room"][2] in reasons
    assert len(reasons) <= 8
    assert any(line.startswith("Advice: ") or "No rolling update" in line for line in reasons)
    assert aftermath == "This run changed nothing."


def unschedulable(shop: Shop) -> list[str]:
    """What the scheduler says of each pod that it has found no node for."""
    pods = shop.lab.api.request("GET", f"/api/v1/namespaces/{shop.namespace}/pods")["items"]
    conditions = [one for pod in pods for one in pod.get("status", {}).get("conditions", ())]
    return [one["message"] for one in conditions if one.get("reason") == "Unschedulable"]


def test_the_role_goes_on_to_the_node_that_an_autoscaler_adds(shop: Shop) -> None:
    shop.deploy(replicas=3)
    fill(shop)
    playbooks = Playbooks(shop.lab.kubeconfig, shop.namespace)
    asked = {"images": NEW.images, "pod_template_patch": PATCH, "prices": PRICES}
    with ExitStack() as meanwhile:
        meanwhile.enter_context(shop.labelled(**{"node.kubernetes.io/instance-type": "m6i.xlarge"}))
        assert shop.ask(template=asking("1500m"))["verdict"] == "needs_nodes"

        def autoscaler() -> list[str]:
            """It sees a pod without a node, and that nothing else has been changed."""
            shop.wait_for(lambda: bool(unschedulable(shop)))
            said = unschedulable(shop)
            assert (shop.pods("Pending"), shop.status()["readyReplicas"]) == (1, 3)
            meanwhile.enter_context(shop.large_node(cpu="8"))
            return said

        with ThreadPoolExecutor(max_workers=1) as beside:
            said = beside.submit(autoscaler)
            run = playbooks.run("canary", **asked, headroom="allow_new_nodes", max_hourly_cost=9)
        assert "Insufficient cpu" in said.result()[0]
        assert (run.code, run.outcome) == (0, "released"), run.output
        on = shop.lab.kubectl("-n", shop.namespace, "get", "pods", "-l", "app=web", "-o", "jsonpath={..spec.nodeName}")
        assert len(on.split()) == 3
        assert "fake-2" in on.split()


@pytest.mark.slow
def test_the_role_begins_only_what_it_may_in_check_mode_as_in_a_real_run(shop: Shop, tmp_path: Path) -> None:
    shop.deploy(replicas=3)
    fill(shop)
    with shop.labelled(**{"node.kubernetes.io/instance-type": "m6i.xlarge"}):
        planned = released(shop, tmp_path, *SITUATIONS, options=("--check",))
        refused = [name for name, result in planned.items() if result["outcome"] == "refused"]
        real = released(shop, tmp_path, *refused)
    for name, (_given, outcome, words) in SITUATIONS.items():
        assert (planned[name]["outcome"], name) == (outcome, name)
        assert any(words in line for line in planned[name]["why"]), (name, planned[name]["why"])
    assert "fits only after pods of lower priority are evicted" in planned["evicts"]["why"][0]
    assert {name: result["why"] for name, result in real.items()} == {name: planned[name]["why"] for name in refused}
    assert not any("does not fit" in line for line in planned["not asked"]["why"])


def test_the_playbook_asks_alone_and_shows_what_was_counted(shop: Shop) -> None:
    shop.deploy(replicas=3)
    playbooks = Playbooks(shop.lab.kubeconfig, shop.namespace)
    version = ("-n", shop.namespace, "get", "deployment", "web", "-o", "jsonpath={.metadata.resourceVersion}")
    before = shop.lab.kubectl(*version)
    steps = {"autoscaler": "hold", "steps": [{"pods": 2}]}
    refused = playbooks.run("headroom", images=NEW.images, pod_template_patch=PATCH, **steps)
    assert (refused.code, refused.changed) == (FAILED, 0)
    assert "<- the Deployment's own" in refused.output
    assert "2 canary pods beside all 3 stable ones" in " ".join(refused.output.split())
    assert " of nodes like fake-0 would hold the rest: price unknown" in refused.output
    assert shop.lab.kubectl(*version) == before
