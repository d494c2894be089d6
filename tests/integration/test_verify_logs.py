# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A held canary is judged by the logs that a real kubelet keeps, on a machine whose clock is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import SystemClock
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    LogsAsked,
    RateCheck,
    Tolerance,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.cluster.lab import Lab
from tests.integration.beside import under_way
from tests.integration.judging import BUCKETS, request
from tests.integration.releases import CONTAINER, Release, image, silent

pytestmark = pytest.mark.real

LONGEST_SECONDS = 90.0


class Wrong(SystemClock):
    """A machine's clock that is so many seconds ahead."""

    def __init__(self, ahead: float) -> None:
        self._ahead = ahead

    def wall(self) -> float:
        return super().wall() + self._ahead


@pytest.fixture(scope="module")
def release(real_lab: Lab) -> Iterator[Release]:
    """Two pods of v1 and a canary that logs an error every second."""
    namespace = real_lab.create_namespace()
    with connect(Connection(kubeconfig=str(real_lab.kubeconfig))) as api:
        container = {"name": CONTAINER, "image": image("v1"), "imagePullPolicy": "IfNotPresent"}
        release = Release(api, namespace)
        labels = {"app": release.name}
        release.make(2, template={"metadata": {"labels": labels}, "spec": {"containers": [container]}})
        logging = {"name": CONTAINER, "env": [{"name": "LOG_ERRORS_PER_S", "value": "1"}]}
        release.start("v2", patch={"spec": {"containers": [logging]}})
        yield release
    real_lab.vacate(namespace)


def judged(lab: Lab, release: Release, ahead: float) -> str:
    logs = CheckAsked(RateCheck("logs", Tolerance(2, 0.05), buckets=BUCKETS), LogsAsked("(?i)error"))
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        api.clock = Wrong(ahead)
        with pytest.raises(VerbFailure, match="logs: the canary is worse than tolerated") as failed:
            verify(api, request(release, logs, duration=LONGEST_SECONDS, interval=1.0), silent)
    return failed.value.code


AHEAD = (-3600.0, 5.0)


@pytest.fixture(scope="module")
def verdicts(real_lab: Lab, release: Release) -> Iterator[Callable[[float], str]]:
    with under_way({ahead: partial(judged, real_lab, release, ahead) for ahead in AHEAD}, len(AHEAD)) as verdicts:
        yield verdicts


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_canary_with_an_error_every_second_fails_whatever_our_clock_says(
    ahead: float, verdicts: Callable[[float], str]
) -> None:
    assert verdicts(ahead) == "judged_fail"
