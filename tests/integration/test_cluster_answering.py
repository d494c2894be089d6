# SPDX-License-Identifier: GPL-3.0-or-later
"""The level between: fake pods that answer HTTP at their own addresses, as their image and environment say."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from tests.cluster.lab import Lab, start_lab
from tests.situations import until


def pod(name: str, image: str, **environment: str) -> dict[str, object]:
    variables = [{"name": key, "value": value} for key, value in environment.items()]
    spec = {"containers": [{"name": "web", "image": image, "env": variables}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_each_fake_pod_answers_at_its_address_as_itself(answering_lab: Lab, answering_namespace: str) -> None:
    kubectl = partial(answering_lab.kubectl, "--namespace", answering_namespace)
    pods = [
        pod("good", "lab.local/app:v1"),
        pod("bad", "lab.local/app:bad"),
        pod("worse", "lab.local/app:v2", ERROR_RATE="1"),
    ]
    kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
    kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=20s")
    addresses = {
        each["metadata"]["name"]: each["status"]["podIP"]
        for each in json.loads(kubectl("get", "pods", "-o", "json"))["items"]
    }
    reports = {name: load(answering_lab, address) for name, address in addresses.items()}
    assert {name: report["versions"].keys() for name, report in reports.items()} == {
        "good": {"v1"}, "bad": {"bad"}, "worse": {"v2"},
    }  # fmt: skip
    assert reports["good"]["failed"] == 0
    assert reports["worse"]["failed"] == reports["worse"]["sent"]
    assert 0.3 < reports["bad"]["failed"] / reports["bad"]["sent"] < 0.7
    assert reports["good"]["pods"] == {"good": reports["good"]["sent"]}

    kubectl("delete", "pod", "good", "--wait")

    def nobody_answers_as_it() -> bool:
        gone = load(answering_lab, addresses["good"])
        return gone["sent"] > 0 and "good" not in gone["pods"]

    # Whoever answers for the pods hears of the end of one a moment later; and its address may be another pod's by then.
    until(nobody_answers_as_it, "the pod that is gone answers no more")


def test_the_pods_of_two_clusters_answer_side_by_side(answering_lab: Lab, answering_namespace: str) -> None:
    """Each cluster has its own addresses and its own port: nobody waits for a neighbour."""
    with start_lab(fake_nodes=1, answering=True) as other:
        reports = []
        for lab, namespace in ((answering_lab, answering_namespace), (other, other.create_namespace())):
            kubectl = partial(lab.kubectl, "--namespace", namespace)
            kubectl("apply", "-f", "-", input=json.dumps(pod("web", "lab.local/app:v1")))
            kubectl("wait", "--for=condition=Ready", "pod", "web", "--timeout=20s")
            reports.append(load(lab, json.loads(kubectl("get", "pod", "web", "-o", "json"))["status"]["podIP"]))
    assert answering_lab.port != other.port
    assert [(report["failed"], list(report["pods"])) for report in reports] == [(0, ["web"]), (0, ["web"])]


def load(lab: Lab, address: str) -> dict[str, Any]:
    command: list[str | Path] = [
        lab.programs / "load",
        "-url",
        f"http://{address}:{lab.port}/",
        "-rate",
        "200",
        "-duration",
        "500ms",
    ]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
