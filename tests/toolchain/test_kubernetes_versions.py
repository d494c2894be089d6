# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is reported of the versions of Kubernetes that were tried."""

from __future__ import annotations

from xml.etree import ElementTree

from tests.toolchain.venvs import ROOT
from tests.truth.kubernetes.__main__ import Tried, failures, read, report

HEADROOM = dict.fromkeys(("clusters", "exact", "depends", "unknown", "false_fits", "wrong", "preemption"), 0)


def tried(version: str, passed: int, *failed: str) -> Tried:
    return Tried(version, "2026-01-02, abc", passed, failed, [], {f"not in {version}": 2}, HEADROOM)


def test_what_was_tried_before_of_other_versions_stays_and_the_newest_are_last() -> None:
    before = report([tried("1.9.1", 10, "test_a: b"), tried("1.10.2", 20)])
    after = report([tried("1.10.4", 30), tried("1.8.0", 40)], before)
    told = [
        line.strip("|* ").split(" |")[0] for line in after.splitlines() if line.startswith(("| 1.", "* 1.", "* **1."))
    ]
    assert told == [
        "1.8.0",
        "1.9.1",
        "1.10.4",
        "1.8.0, 2 left out: not in 1.8.0",
        "1.9.1, 2 left out: not in 1.9.1",
        "1.9.1 failed: `test_a: b`",
        "1.10.4, 2 left out: not in 1.10.4",
    ]
    assert "| 1.9.1 | 2026-01-02, abc | 10 | 1 |" in after and "1.10.2" not in after
    assert "| 1.10.4 | 2026-01-02, abc | 30 | 0 |" in after


def test_what_failed_beside_others_alone_is_told_and_not_counted_as_failed() -> None:
    ended = {"good": "", "late": "<failure/>", "wrong": "<error/>", "other": '<skipped message="not here"/>'}
    case = '<testcase classname="tests.integration.test_a" name="{}">{}</testcase>'
    suites = ElementTree.fromstring(f"<suites>{''.join(case.format(*each) for each in ended.items())}</suites>")
    late, wrong = failures(suites)
    one = read("1.9.1", "2026-01-02, abc", suites, {wrong}, HEADROOM)
    assert (one.passed, one.failed, one.alone, one.skipped) == (2, [wrong], [late], {"not here": 1})
    assert "* 1.9.1, failed beside others and passed 3 times alone: `tests/integration/test_a.py::late`" in report(
        [one]
    )


def test_what_is_said_of_older_versions_is_what_the_program_says() -> None:
    page = (ROOT / "docs" / "kubernetes-versions.md").read_text(encoding="utf-8")
    assert report([], page) == page
