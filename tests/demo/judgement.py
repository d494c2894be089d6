# SPDX-License-Identifier: GPL-3.0-or-later
"""By what the demonstration judges its canaries, and the version that only this catches."""

from __future__ import annotations

from typing import Any

from .workload import CONTAINER, PORT

ERROR_RATE = 0.1


def checks() -> list[dict[str, Any]]:
    """Requests to canary and stable in turn, through the API server. Looks are shorter than is wise where errors come in
    bursts: here they do not, and somebody watches."""
    return [
        {
            "name": "errors",
            "http": {"port": PORT, "rate": 80},
            "max_ratio": 1.5,
            "max_increase": 0.02,
            "bucket_seconds": 2,
        }
    ]


def erring() -> dict[str, Any]:
    """Variables of the release that errs."""
    variable = {"name": "ERROR_RATE", "value": str(ERROR_RATE)}
    return {"canary_pod_template_patch": {"spec": {"containers": [{"name": CONTAINER, "env": [variable]}]}}}
