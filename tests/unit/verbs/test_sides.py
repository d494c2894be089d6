# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods are compared while pods come and go."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import ProbedPod, Sides, Version
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Pod
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.sides import NOBODY, Served

Looks = list[dict[str, bool]]


def sides(canary: dict[str, bool]) -> Sides:
    """Canary pods by name, and whether they are Ready; one stable pod."""
    pods = tuple(ProbedPod(name, uid=name, ready=ready) for name, ready in canary.items())
    return Sides("shop", Version("7c6d", pods), Version("5d5f", (ProbedPod("s", "s"),)))


@pytest.mark.parametrize(
    ("case", "looks", "compared"),
    [
        ("a pod that is only starting has no users", [{"a": True}, {"a": True, "b": False}], ["a"]),
        ("once it was Ready it has", [{"a": True}, {"a": True, "b": True}], ["a", "b"]),
        ("one that served and then fails counts", [{"a": True, "b": True}, {"a": True, "b": False}], ["a", "b"]),
        ("one that is gone does not", [{"a": True, "b": True}, {"b": True}], ["b"]),
        ("where none is Ready at first, all are compared", [{"a": False}, {"a": False}], ["a"]),
        ("what replaces the only one is waited for", [{"a": True}, {"b": False}], []),
    ],
)
def test_pods_are_compared_from_when_they_were_ready(case: str, looks: Looks, compared: list[str]) -> None:
    served = Served(sides(looks[0]))
    seen = [served.of(sides(look)) for look in looks]
    assert list(seen[-1].canary.names) == compared
    assert seen[-1].stable.names == ("s",)


def test_containers_that_run_and_the_one_that_is_meant_are_known() -> None:
    obj = {
        "metadata": {"name": "a", "uid": "1", "annotations": {"kubectl.kubernetes.io/default-container": "app"}},
        "spec": {
            "initContainers": [{"name": "migrate"}, {"name": "mesh", "restartPolicy": "Always"}],
            "containers": [{"name": "logger"}, {"name": "app"}],
        },
    }
    pod = Pod.parse(obj)
    assert (pod.running_containers, pod.default_container) == (("logger", "app", "mesh"), "app")
    bare = Pod.parse({"metadata": {"name": "a", "uid": "1"}})
    assert (bare.running_containers, bare.default_container) == ((), "")


def test_nobody_is_nobody() -> None:
    alone = Sides("shop", Version("7c6d", (ProbedPod("a", "a"),)), NOBODY)
    assert Served(alone).of(alone).stable.names == ()
