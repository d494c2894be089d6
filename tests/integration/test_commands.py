# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubectl lines that a release carries for the day this collection is not at hand: a shell runs them as they are."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import LAST
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import CHANGE_CAUSE, LIVE, RECORD
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab

from .beside import under_way
from .releases import CONTAINER, Release, image

LINES_SECONDS = 120
# A value that a shell, sed, JSON and YAML each read in their own way.
TRICKY = 'it\'s "quoted" | piped & \\1 $HOME\nsecond line \t s3cret'
CAUSE = 'it\'s "release 1" | of \\1 & more\nsecond line, für $HOME'
FIELDS: dict[str, Any] = {
    "minReadySeconds": 1,
    "progressDeadlineSeconds": 321,
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 1}},
}
STANDING: dict[str, Callable[[Release], Any]] = {
    "held": lambda release: release.start(pods=1),
    "stepped": lambda release: release.start(pods=3),
    "frozen": lambda release: (release.start(pods=2), release.pause())[1],
}


def make(api: Api, namespace: str, name: str) -> Release:
    release = Release(api, namespace, name)
    container = {"name": CONTAINER, "image": image("v1"), "env": [{"name": "TRICKY", "value": TRICKY}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    release.make(4, template=template, **FIELDS)
    api.patch(release.path, {"metadata": {"annotations": {CHANGE_CAUSE: CAUSE}}}, PatchKind.MERGE)
    return release


def run(lab: Lab | ForeignCluster, lines: list[str]) -> None:
    """Each line by a shell of its own, as somebody would paste them one after the other."""
    environment = {
        "PATH": f"{lab.binaries}{os.pathsep}{os.environ['PATH']}",
        "KUBECONFIG": str(lab.kubeconfig),
        "HOME": "/nonexistent",
    }
    for line in lines:
        done = subprocess.run(
            ["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=LINES_SECONDS, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def left(release: Release) -> dict[str, Any]:
    """What a release leaves: the Deployment's own fields, its marks, and how many pods each version is to have."""
    deployment = release.deployment()
    query = {"labelSelector": f"app={release.name}"}
    replica_sets = release.api.list(release.path.rpartition("/deployments")[0] + "/replicasets", query)["items"]
    annotations = deployment["metadata"]["annotations"]
    ended = json.loads(annotations[LAST])
    text = json.dumps(deployment["spec"]).replace(f'"{release.name}"', '"NAME"')
    return {
        "spec": json.loads(text),
        "marks": sorted({RECORD, LIVE} & {*annotations, *deployment["metadata"].get("labels", {})}),
        "annotations": {key: value for key, value in annotations.items() if key != LAST},
        "ended": (ended["outcome"], "before" in ended, ended["generation"] > 0),
        "pods": sorted((rs["spec"]["template"]["spec"]["containers"][0]["image"], rs["spec"]["replicas"],
                        rs["metadata"]["annotations"].get(CHANGE_CAUSE, "")) for rs in replica_sets),
    }  # fmt: skip


def ended(lab: Lab | ForeignCluster, standing: str, end: str) -> None:
    namespace = lab.create_namespace("commands")
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        by_hand, by_verb = make(api, namespace, "hand"), make(api, namespace, "verb")
        lines = STANDING[standing](by_hand).canary["commands"][end]
        assert lines and "s3cret" not in "".join(lines)
        STANDING[standing](by_verb)
        run(lab, lines)
        {"promote": by_verb.promote, "undo": by_verb.undo}[end]()
        assert left(by_hand) == left(by_verb)
        assert left(by_hand)["marks"] == []
        assert by_hand.deployment()["status"]["readyReplicas"] == 4
        # And nothing of the release is left for the next verb to trip over.
        assert not by_hand.undo().changed
    lab.vacate(namespace)


# The lines of a canary that has grown are those of one that has not, with another size.
CASES = tuple(product(STANDING, ("promote", "undo")))
SHORT = tuple(case for case in CASES if case[0] != "stepped")


@pytest.fixture(scope="module")
def ends(lab: Lab | ForeignCluster) -> Iterator[Callable[[tuple[str, str]], None]]:
    with under_way({case: partial(ended, lab, *case) for case in SHORT}, len(SHORT)) as ends:
        yield ends


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case not in SHORT], ids="-".join)
def test_the_lines_of_a_canary_that_has_grown_do_so_too(case: tuple[str, str], lab: Lab | ForeignCluster) -> None:
    ended(lab, *case)


@pytest.mark.parametrize("case", SHORT, ids="-".join)
def test_the_lines_do_by_hand_what_the_verb_does(
    case: tuple[str, str], ends: Callable[[tuple[str, str]], None]
) -> None:
    ends(case)
