# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_bake on fake nodes: witnesses of what tests/sim/test_bake.py takes for granted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.bake import bake
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import BakeRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.releases import Release, silent

# Far longer than any of these tests may take.
HOURS = 7200.0


@pytest.fixture
def release(lab: Lab | ForeignCluster, namespace: str) -> Release:
    return Release(connect(Connection(kubeconfig=str(lab.kubeconfig))), namespace).make(3)


def watched(release: Release, seconds: float, on_line: Callable[[str], None] = silent, **call: Any) -> Outcome:
    return bake(release.api, BakeRequest(replace(release.call, **call), seconds), on_line)


def test_a_canary_that_stays_as_it_is_stands_the_whole_time(release: Release) -> None:
    release.start()
    generation = release.deployment()["metadata"]["generation"]
    began = time.monotonic()
    outcome = watched(release, 2.0)
    assert time.monotonic() - began >= 2.0
    assert (outcome.changed, outcome.message) == (False, "1 canary pod Ready, none restarted, for 2 s")
    assert release.deployment()["metadata"]["generation"] == generation


def path_of_the_pod(release: Release) -> str:
    """Of the one that the canary has."""
    pods = f"/api/v1/namespaces/{release.namespace}/pods"
    canary = next(p for p in release.api.list(pods)["items"] if p["spec"]["containers"][0]["image"].endswith("v2"))
    return f"{pods}/{canary['metadata']['name']}"


def evict_the_pod(release: Release) -> None:
    path = path_of_the_pod(release)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": path.rpartition("/")[2]}}
    release.api.create(f"{path}/eviction", eviction)


def set_its_image(release: Release) -> None:
    """kubectl set image pod/..."""
    body = {"spec": {"containers": [{"name": "app", "image": "lab.local/app:hotfix"}]}}
    release.api.patch(path_of_the_pod(release), body, PatchKind.STRATEGIC, field_manager="kubectl-set")


HAPPENS: dict[str, tuple[Callable[[Release], object], str]] = {
    "a restart": (lambda release: release.misbehave(restart_after="0"), r"restarted 1 times?"),
    "readiness lost": (lambda release: release.misbehave(unready_after="0"), "is not Ready any more"),
    "an eviction": (evict_the_pod, "is gone"),
    "another image": (set_its_image, r'"kubectl-set" gave a container of pod \S+ another image since it was made'),
}


@pytest.mark.parametrize(("happens", "why"), HAPPENS.values(), ids=HAPPENS.keys())
def test_it_ends_at_once_at(release: Release, happens: Callable[[Release], object], why: str) -> None:
    assert ended_by(release, happens, why).code == "stuck"


def ended_by(release: Release, interfere: Callable[[Release], object], why: str) -> VerbFailure:
    """The end of a watch during which something happens to a canary that was well until then."""
    release.start()
    meddlers: list[threading.Thread] = []

    def meddle_once(line: str) -> None:
        # The second line tells what the watch has seen: from here on it is not the first look that finds it.
        del line
        meddlers.append(threading.Thread(target=interfere, args=(release,)))
        if len(meddlers) == 2:
            meddlers[1].start()

    with pytest.raises(VerbFailure, match=why) as failure:
        watched(release, HOURS, meddle_once)
    meddlers[1].join()
    return failure.value
