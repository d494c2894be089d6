# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot succeed ends the wait at once, in the words of a real scheduler, quota, kubelet and container; the canary stays.

Witnesses of what tests/sim/test_waiting.py takes for granted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.cluster.fakes import Capacity
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.beside import under_way
from tests.integration.situations import webs
from tests.situations import Web, until

# Far below the timeout that the wait was given: it ended because of what it saw. Generous for a machine with much to do.
AT_ONCE_SECONDS = 45.0
LONG = Wait(timeout=600.0)
NEVER_READY = {"lab.coalmine/never-ready": "true"}
NEXT = r"The canary stays held for you to look at: canary_info shows it, canary_undo brings the stable version back\.$"


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as make:
        yield make


def fails_at_once(call: Callable[[], Any], code: str = "stuck") -> VerbFailure:
    begun = time.monotonic()
    with pytest.raises(VerbFailure) as raised:
        call()
    assert raised.value.code == code, raised.value.message
    assert time.monotonic() - begun < AT_ONCE_SECONDS
    return raised.value


def patient(web: Web) -> Web:
    return replace(web, wait=LONG)


REASONS = {
    "ImagePullBackOff": r"is in ImagePullBackOff: Back-off pulling image",
    "CrashLoopBackOff": r"restarted 1 times?, last with Error \(exit code 3\)",
}


# Real containers, below, say as much.
@pytest.mark.slow
@pytest.mark.parametrize("reason", REASONS)
def test_a_container_that_cannot_run_is_named_with_its_reason(reason: str, new: Callable[..., Web]) -> None:
    web = new().make(3)
    failure = fails_at_once(lambda: patient(web).start(annotations={"lab.coalmine/waiting": reason}))
    said = rf'^Deployment "{web.name}" in namespace "{web.namespace}": container app of pod {web.name}\S+ {REASONS[reason]}'
    assert re.search(said, failure.message), failure.message
    assert re.search(NEXT, failure.message) and failure.changed
    assert web.split() == {"v1": 3, "v2": 1} and web.phase == "starting"
    assert web.undo().changed and web.split() == {"v1": 3}


def test_a_pod_that_no_node_takes_is_told_in_the_schedulers_words(new: Callable[..., Web]) -> None:
    web = new().make(2)
    failure = fails_at_once(lambda: patient(web).start(patch={"spec": {"nodeSelector": {"disk": "diamond"}}}))
    assert re.search(
        r"pod \S+ cannot be scheduled: 0/\d+ nodes are available: .*didn't match Pod's node affinity/selector",
        failure.message,
    )
    assert re.search(NEXT, failure.message) and web.split() == {"v1": 2, "v2": 1}


def test_a_pod_that_no_node_takes_is_waited_for_where_a_node_may_come(
    lab: Lab | ForeignCluster, new: Callable[..., Web]
) -> None:
    web = new().make(2)
    here = {"node-of": web.name}

    def add_node(told: str) -> None:
        if isinstance(lab, ForeignCluster):
            pytest.skip("nodes are added to a test cluster only")
        if "waiting for a node" in told and not added:
            taint = {"key": "node-of", "value": web.name, "effect": "NoSchedule"}
            added.append(lab.add_fake_node(int(web.name[-4:], 16), Capacity(), labels=here, taints=[taint]))

    added: list[str] = []
    web = replace(web, report=add_node, wait=Wait(timeout=60.0, for_nodes=60.0))
    try:
        web.start(patch={"spec": {"nodeSelector": here, "tolerations": [{"key": "node-of", "operator": "Exists"}]}})
        assert web.phase == "held"
    finally:  # other tests count on the nodes that they know
        for name in added:
            web.world.kubectl("delete", "node", name)


def test_a_pod_waits_for_the_room_of_one_that_ends_until_the_scheduler_has_tried_again(
    lab: Lab | ForeignCluster,
) -> None:
    """As many nodes as pods, the canary's counted: each further pod is without one for as long as an old pod takes to end."""
    if isinstance(lab, ForeignCluster):
        pytest.skip("nodes are added to a test cluster only")
    with webs(lab) as new:
        web = new()
        here, taint = {"room-of": web.name}, {"key": "room-of", "value": web.name, "effect": "NoSchedule"}
        first = int(web.name[-4:], 16)
        nodes = [lab.add_fake_node(first + n, Capacity(pods=1), labels=here, taints=[taint]) for n in range(4)]
        try:
            template = web.manifest(annotations={"lab.coalmine/end-after": "2500"})["spec"]["template"]
            template["spec"] |= {"nodeSelector": here, "tolerations": [{"key": "room-of", "operator": "Exists"}]}
            web.make(3, template=template)
            web.start()
            assert web.promote().message.startswith("promoted: 3 pods run the new version")
            assert web.split() == {"v2": 3}
        finally:
            web.world.kubectl("delete", "node", *nodes)


def test_a_quota_that_refuses_the_pods_is_told_in_its_words(lab: Lab | ForeignCluster) -> None:
    with webs(lab) as new:
        web = new().make(2)
        quota = {"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}}
        path = f"/api/v1/namespaces/{web.namespace}/resourcequotas"
        web.admin.create(path, quota)
        until(lambda: web.admin.get(f"{path}/two").get("status", {}).get("used", {}).get("pods") == "2", "counted")
        failure = fails_at_once(patient(web).start)
        assert re.search(
            r"pods of ReplicaSet \S+ are refused: .*exceeded quota: two, .*limited: pods=2", failure.message
        )
        assert re.search(NEXT, failure.message)
        assert web.undo().changed and web.split() == {"v1": 2}


def test_a_quota_that_refuses_the_replica_set_is_told_in_its_words(lab: Lab | ForeignCluster) -> None:
    counted = "count/replicasets.apps"
    with webs(lab) as new:
        web = new()
        path = f"/api/v1/namespaces/{web.namespace}/resourcequotas"
        web.admin.create(path, {"metadata": {"name": "one"}, "spec": {"hard": {counted: "1"}}})
        until(lambda: web.admin.get(f"{path}/one").get("status", {}).get("hard"), "in force")
        web.make(2)
        failure = fails_at_once(patient(web).start)
        assert re.search(
            r"no ReplicaSet can be made .*exceeded quota: one, .*limited: count/replicasets", failure.message
        )
        assert re.search(NEXT, failure.message)
        assert web.undo().changed and web.split() == {"v1": 2}


# On a real node: real containers, real log lines.


@dataclass(frozen=True)
class Broken:
    patch: Mapping[str, Any]
    message: str


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "app", **fields}]}}


REAL = {
    "crash": Broken(
        # Without a probe a container counts as Ready as soon as it runs, however shortly.
        container(image="lab.local/app:crash", readinessProbe={"httpGet": {"path": "/healthz", "port": 8080}}),
        r"container app of pod \S+ (restarted \d+ times?, last with Error \(exit code 3\)|is in CrashLoopBackOff).*"
        r"Its last log lines: fatal: cannot start: CRASH is set\. ",
    ),
    "killed for its memory": Broken(
        container(
            image="lab.local/app:v2",
            env=[{"name": "MEMORY_MB_PER_S", "value": "100"}, {"name": "STARTUP_MS", "value": "60000"}],
            resources={"limits": {"memory": "64Mi"}},
            readinessProbe={"httpGet": {"path": "/healthz", "port": 8080}},
        ),
        r"container app of pod \S+ (restarted \d+ times?|is in CrashLoopBackOff), last with OOMKilled \(exit code 137\)",
    ),
    "never pull": Broken(
        container(image="lab.local/app:missing", imagePullPolicy="Never"), r"is in ErrImageNeverPull: .*lab\.local/app:missing"
    ),
    "no such image": Broken(container(image="lab.local/app:missing"), r"is in ImagePullBackOff: .*lab\.local/app:missing"),
    "no image name": Broken(container(image="lab.local/app:NOT A TAG"), r"is in InvalidImageName: "),
    "no such config": Broken(
        container(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "nothing", "key": "a"}}}]),
        r'is in CreateContainerConfigError: configmap "nothing" not found',
    ),
}  # fmt: skip


def fails(lab: Lab, broken: Broken) -> None:
    with webs(lab) as new:
        web = new().make(2)
        with pytest.raises(VerbFailure) as raised:
            patient(web).start(template=NewTemplate(patch=broken.patch))
        assert re.search(broken.message, raised.value.message), raised.value.message
        assert re.search(NEXT, raised.value.message)
        assert raised.value.message.isprintable() and web.phase == "starting"
        web.undo()
        assert web.split() == {"v1": 2}


@pytest.fixture(scope="module")
def failures(real_lab: Lab) -> Iterator[Callable[[str], None]]:
    with under_way({name: partial(fails, real_lab, broken) for name, broken in REAL.items()}, len(REAL)) as failures:
        yield failures


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_a_real_container_that_fails_is_told_with_its_reason_and_last_lines(
    name: str, failures: Callable[[str], None]
) -> None:
    failures(name)
