# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of canary_verify about one release, in-process."""

from __future__ import annotations

from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.buckets import BucketRule
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    HttpAsked,
    RateCheck,
    Tolerance,
    VerifyRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.integration.releases import Release, silent

# Shorter than the default, so that enough of them to decide are full in a few seconds.
BUCKETS = BucketRule(1.0, 1.0)
TOLERANCE = Tolerance(max_ratio=1.5, max_increase=0.05)


def http(port: int, **options: Any) -> CheckAsked:
    """Of pods that listen there."""
    asked = HttpAsked(**{"rate": 150.0, "timeout": 2.0, "most": 20_000, "port": port, **options})
    return CheckAsked(RateCheck("http", TOLERANCE, buckets=BUCKETS), asked)


def request(release: Release, *checks: CheckAsked, **options: Any) -> VerifyRequest:
    return VerifyRequest(release.call, checks, **{"duration": 60.0, "interval": 0.5, **options})


def judged(release: Release, *checks: CheckAsked, **options: Any) -> dict[str, Any]:
    """The verdict of a run that may be inconclusive."""
    outcome = verify(release.api, request(release, *checks, inconclusive_ok=True, **options), silent)
    assert not outcome.changed
    return dict(outcome.extra["verify"])
