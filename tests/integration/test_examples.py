# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules in examples/prometheus, checked and run by Prometheus' own promtool on traffic that is made up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.prometheus import program

RULES = Path(__file__).parents[2] / "examples" / "prometheus" / "canary.rules.yml"
LABELS = {"namespace": "shop", "deployment": "web"}
STABLE, CANARY = "5d5f", "7c6d"


def promtool(*arguments: str | Path) -> str:
    tool = program().with_name("promtool")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def series(version: str, code: str, a_minute: float) -> dict[str, str]:
    """A counter that grows so much a minute for half an hour."""
    labels = {**LABELS, "pod_template_hash": version, "pod": f"web-{version}-a", "code": code}
    text = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return {"series": f"http_requests_total{{{text}}}", "values": f"0+{a_minute:g}x30"}


def test_promtool_takes_the_rules() -> None:
    assert "5 rules found" in promtool("check", "rules", RULES)


# Requests a minute, good and bad (None: there is no series of errors), of stable and of the canary.
@pytest.mark.parametrize(
    ("case", "stable", "canary", "alerts"),
    [
        ("a bad canary", (950, 5), (90, 10), True),
        ("a bad canary beside a stable without any error", (950, None), (90, 10), True),
        ("a good canary", (950, 5), (99, 1), False),
        ("nothing errs", (950, None), (100, None), False),
        ("stable errs far more than the canary", (800, 150), (100, None), False),
        ("one version alone errs", (800, 150), None, False),
    ],
)
def test_the_alert_fires_for_a_canary_that_errs_far_more(
    tmp_path: Path,
    case: str,
    stable: tuple[float, float | None],
    canary: tuple[float, float | None] | None,
    alerts: bool,
) -> None:
    given = []
    for version, traffic in ((STABLE, stable), (CANARY, canary)):
        good, bad = traffic or (None, None)
        given += [] if good is None else [series(version, "200", good)]
        given += [] if bad is None else [series(version, "500", bad)]
    fired: dict[str, Any] = {
        "exp_labels": {**LABELS, "pod_template_hash": CANARY, "canary": "undo"},
        "exp_annotations": {
            "summary": f"version {CANARY} of web in shop fails in 10% of its requests, far more than the other one"
        },
    }
    asked = {"eval_time": "15m", "alertname": "CanaryErrors", "exp_alerts": [fired] if alerts else []}
    trial = tmp_path / "trial.yml"
    test = {"interval": "1m", "input_series": given, "alert_rule_test": [asked]}
    trial.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", trial)
