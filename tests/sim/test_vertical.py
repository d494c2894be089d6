# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VerticalPodAutoscaler beside a release: it is read where a pod says that it is one of its own, and told of where it evicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim.stage import Stage
from tests.situations import Web

# As its admission writes it; fake pods take their annotations from the template.
OBSERVED = {"vpaObservedContainers": "app"}
MODES = {
    None: "evicts pods,",
    "Auto": "evicts pods,",
    "Recreate": "evicts pods,",
    "InPlaceOrRecreate": "evicts pods that it cannot resize in place,",
    "InPlace": "",
    "Initial": "",
    "Off": "",
}


def sized(web: Web, mode: str | None, target: str = "") -> None:
    policy: dict[str, Any] = {} if mode is None else {"updatePolicy": {"updateMode": mode}}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target or web.name}
    body = {"metadata": {"name": "web-vpa"}, "spec": {"targetRef": reference, **policy}}
    web.admin.create(f"/apis/autoscaling.k8s.io/v1/namespaces/{web.namespace}/verticalpodautoscalers", body)


def told(outcome: Outcome) -> list[str]:
    return [warning for warning in outcome.warnings if "VerticalPodAutoscaler" in warning]


@pytest.mark.parametrize(("mode", "does"), MODES.items())
def test_one_that_evicts_is_told_of(mode: str | None, does: str, new: Callable[..., Web]) -> None:
    web = new().make(3)
    sized(web, mode)
    found = told(web.start(annotations=OBSERVED))
    if not does:
        assert found == []
        return
    assert len(found) == 1 and does in found[0] and f"(updateMode {mode or 'Auto'})" in found[0]
    assert "Set updateMode to Initial or Off until the release has ended" in found[0]


def test_one_of_another_deployment_is_nobodys_business(new: Callable[..., Web]) -> None:
    web = new().make(3)
    sized(web, "Recreate", target="db")
    assert told(web.start(annotations=OBSERVED)) == []


def test_without_such_a_pod_nobody_asks(new: Callable[..., Web]) -> None:
    web = new().make(3)
    sized(web, "Recreate")
    assert told(web.start()) == []


def test_who_may_not_read_it_is_told_that_and_goes_on(new: Callable[..., Web]) -> None:
    web = new().make(3)
    sized(web, "Recreate")
    stage = web.world
    assert isinstance(stage, Stage)
    web.api = stage.api("releaser")
    stage.server.forbidden["releaser"] = frozenset({("list", "verticalpodautoscalers.autoscaling.k8s.io")})
    (found,) = told(web.start(annotations=OBSERVED))
    assert "whether it evicts them is not known" in found and "verticalpodautoscalers.autoscaling.k8s.io" in found
