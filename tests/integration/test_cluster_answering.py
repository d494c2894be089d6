# SPDX-License-Identifier: GPL-3.0-or-later
"""The level between: fake pods that answer HTTP at their own addresses, as their image and environment say."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from tests.cluster.answering import PORT
from tests.cluster.lab import Lab


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
    gone = load(answering_lab, addresses["good"])
    assert gone["sent"] > 0 and "good" not in gone["pods"], "its address may be another pod's by now"


def load(lab: Lab, address: str) -> dict[str, Any]:
    command: list[str | Path] = [
        lab.programs / "load",
        "-url",
        f"http://{address}:{PORT}/",
        "-rate",
        "200",
        "-duration",
        "500ms",
    ]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
