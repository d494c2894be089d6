# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real nodes that are lost, rebooted or drained in the middle of a release."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from tests.cluster.kubectl import KubectlFailed
from tests.cluster.lab import Lab, start_lab
from tests.cluster.realnodes import power
from tests.faults.test_trouble import after
from tests.integration.situations import webs
from tests.situations import Json, Web, image

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.timeout(600)]

REPLICAS, HELD = 4, 2
OTHER, NUMBER = "real-1", 2
NODE = f"real-{NUMBER}"
# A node is lost after so long, and its pods are let go after so much more: four times a kubelet's heartbeat, and a moment.
NODE_GRACE_SECONDS, TOLERATED_SECONDS = 40, 3
PATIENCE_SECONDS = 180.0


@pytest.fixture(scope="module")
def two() -> Iterator[Lab]:
    with start_lab(
        real_nodes=2, controller_manager_flags=[f"--node-monitor-grace-period={NODE_GRACE_SECONDS}s"]
    ) as lab:
        yield lab


@pytest.fixture
def made(two: Lab) -> Iterator[Web]:
    """On each node half of its pods."""
    with webs(two) as new:
        made = replace(new(), wait=Wait(timeout=PATIENCE_SECONDS))
        labels = {"app": made.name}
        spread = {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels},
            "matchLabelKeys": ["pod-template-hash"],
        }
        gone = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATED_SECONDS}
        spec = {
            "containers": [{"name": "app", "image": image("v1")}],
            "terminationGracePeriodSeconds": 1,
            "topologySpreadConstraints": [spread],
            "tolerations": [{"key": f"node.kubernetes.io/{key}", **gone} for key in ("not-ready", "unreachable")],
        }
        yield made.make(REPLICAS, template={"metadata": {"labels": labels}, "spec": spec})


@pytest.fixture
def before(made: Web) -> Json:
    """Its spec, before there was a canary."""
    return made.spec


@pytest.fixture
def web(made: Web, before: Json) -> Web:
    """Two canary pods are held, one on each node."""
    made.start(pods=HELD)
    return made


def nodes_of(web: Web, version: str) -> list[str]:
    pods = [pod for pod in web.pods() if pod["spec"]["containers"][0]["image"] == image(version)]
    return sorted(pod["spec"].get("nodeName", "") for pod in pods if "deletionTimestamp" not in pod["metadata"])


def watched(web: Web, happens: Callable[[], object]) -> str:
    """What whoever watches the canary is told while this happens."""
    with after(1.0, happens), pytest.raises(VerbFailure) as raised:
        web.bake(PATIENCE_SECONDS)
    assert raised.value.code == "stuck", raised.value.message
    return raised.value.message


def comes_back(web: Web) -> None:
    """As many pods of each version are Ready as were held."""

    def is_back() -> bool:
        told = web.info()
        ready = tuple(told[version]["counts"]["ready"] for version in ("stable", "canary"))
        return bool(ready == (REPLICAS - HELD + 1, HELD) and told["phase"] == "held")

    web.until(is_back, "the canary is held as it was")


ENDS: dict[str, tuple[Callable[[Web], Outcome], str]] = {"promote": (Web.promote, "v2"), "undo": (Web.undo, "v1")}


@pytest.mark.parametrize("end", ENDS)
def test_the_pods_of_a_lost_node_are_made_again_elsewhere_and_either_end_is_open(end: str, two: Lab, web: Web) -> None:
    assert nodes_of(web, "v2") == [OTHER, NODE]
    try:
        assert "is not Ready any more" in watched(web, lambda: power.cut(two, NUMBER))
        web.until(lambda: nodes_of(web, "v2") == [OTHER] * HELD, "other pods take the place of those that are lost")
        comes_back(web)
        assert "2 canary pods Ready" in web.bake(0).message
        ends, version = ENDS[end]
        # Nobody tells of the pods on a lost node that they have ended: they stay, and hold nobody up.
        assert re.search(r"\d pods? (is|are) still terminating", ends(web).message)
        assert web.split() == {version: REPLICAS} and nodes_of(web, version) == [OTHER] * REPLICAS
    finally:
        power.give_back(two, NUMBER)
    web.until(lambda: len(web.pods()) == REPLICAS, "the node that is back ends the pods that it had")


def test_a_node_that_reboots_has_restarted_the_canary_until_its_pod_is_made_again(
    two: Lab, web: Web, before: Json
) -> None:
    def reboots() -> None:
        power.cut(two, NUMBER)
        power.give_back(two, NUMBER)

    watched(web, reboots)
    comes_back(web)
    restarted = web.refused(lambda: web.bake(0), "stuck")
    found = re.search(r"container app of pod (\S+) restarted 1 time, last with Unknown \(exit code 255\)", restarted)
    assert found, restarted
    web.kubectl("delete", "pod", found[1])
    comes_back(web)
    web.bake(0)
    web.promote()
    web.assert_clean(before, "v2")


@pytest.mark.parametrize(
    ("least", "said"), [(REPLICAS, ""), (REPLICAS + 1, "Cannot evict pod")], ids=["one at a time", "blocked"]
)
def test_a_node_is_drained_as_its_disruption_budget_allows(
    least: int, said: str, two: Lab, web: Web, before: Json
) -> None:
    """A surge makes room for one pod, where a budget wants as many as the Deployment has replicas."""
    spec = {"minAvailable": least, "selector": {"matchLabels": {"app": web.name}}}
    budgets = f"/apis/policy/v1/namespaces/{web.namespace}/poddisruptionbudgets"
    web.admin.create(budgets, {"metadata": {"name": "least"}, "spec": spec})
    drain = ("drain", NODE, "--ignore-daemonsets")
    try:
        if said:
            with pytest.raises(KubectlFailed, match=said):
                two.kubectl(*drain, "--timeout=5s")
            assert "2 canary pods Ready" in web.bake(0).message
        else:
            told = watched(web, lambda: two.kubectl(*drain))
            assert re.search(r"canary pod \S+ is gone \(EvictionByEvictionAPI: .+\)", told), told
            comes_back(web)
            assert nodes_of(web, "v1") + nodes_of(web, "v2") == [OTHER] * (REPLICAS + 1)
        web.promote()
        web.assert_clean(before, "v2")
    finally:
        two.kubectl("uncordon", NODE)
