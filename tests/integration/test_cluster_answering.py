# SPDX-License-Identifier: GPL-3.0-or-later
"""The level between: fake pods that answer HTTP at their own addresses, as their image and environment say."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.answering import PORT
from tests.cluster.lab import Lab, start_lab

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="the pods' addresses need a route on lo: only root can add it"
)


@pytest.fixture(scope="module")
def answering() -> Iterator[Lab]:
    with start_lab(answering=True) as lab:
        yield lab


def pod(name: str, image: str, **environment: str) -> dict[str, object]:
    variables = [{"name": key, "value": value} for key, value in environment.items()]
    spec = {"containers": [{"name": "web", "image": image, "env": variables}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_each_fake_pod_answers_at_its_address_as_itself(answering: Lab) -> None:
    pods = [
        pod("good", "lab.local/app:v1"),
        pod("bad", "lab.local/app:bad"),
        pod("worse", "lab.local/app:v2", ERROR_RATE="1"),
    ]
    answering.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
    answering.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=20s")
    addresses = {
        each["metadata"]["name"]: each["status"]["podIP"]
        for each in json.loads(answering.kubectl("get", "pods", "-o", "json"))["items"]
    }
    reports = {name: load(answering, address) for name, address in addresses.items()}
    assert {name: report["versions"].keys() for name, report in reports.items()} == {
        "good": {"v1"}, "bad": {"bad"}, "worse": {"v2"},
    }  # fmt: skip
    assert reports["good"]["failed"] == 0
    assert reports["worse"]["failed"] == reports["worse"]["sent"]
    assert 0.3 < reports["bad"]["failed"] / reports["bad"]["sent"] < 0.7
    assert reports["good"]["pods"] == {"good": reports["good"]["sent"]}

    answering.kubectl("delete", "pod", "good", "--wait")
    gone = load(answering, addresses["good"])
    assert gone["sent"] == gone["failed"] == sum(gone["errors"].values())


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
