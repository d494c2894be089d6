# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A held canary is judged by the logs that a real kubelet keeps, on a machine whose clock is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

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
from tests.integration.judging import BUCKETS, request
from tests.integration.releases import CONTAINER, Release, image, silent

pytestmark = pytest.mark.real

LONGEST_SECONDS = 90.0


@pytest.fixture
def release(real_lab: Lab, real_namespace: str) -> Iterator[Release]:
    """Two pods of v1 and a canary that logs an error every second."""
    with connect(Connection(kubeconfig=str(real_lab.kubeconfig))) as api:
        container = {"name": CONTAINER, "image": image("v1"), "imagePullPolicy": "IfNotPresent"}
        release = Release(api, real_namespace)
        labels = {"app": release.name}
        release.make(2, template={"metadata": {"labels": labels}, "spec": {"containers": [container]}})
        logging = {"name": CONTAINER, "env": [{"name": "LOG_ERRORS_PER_S", "value": "1"}]}
        release.start("v2", patch={"spec": {"containers": [logging]}})
        yield release


@pytest.mark.parametrize("ahead", [-3600.0, 5.0])
def test_a_canary_with_an_error_every_second_fails_whatever_our_clock_says(
    release: Release, ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    logs = CheckAsked(RateCheck("logs", Tolerance(2, 0.05), buckets=BUCKETS), LogsAsked("(?i)error"))
    with pytest.raises(VerbFailure, match="logs: the canary is worse than tolerated") as failed:
        verify(release.api, request(release, logs, duration=LONGEST_SECONDS, interval=1.0), silent)
    assert failed.value.code == "judged_fail"
