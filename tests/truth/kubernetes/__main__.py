# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make kubernetes-matrix`: the integration tests on every Kubernetes of tests/cluster/kubernetes/, and on the newest.

    python -m tests.truth.kubernetes --only 1.31 1.33 --report docs/kubernetes-versions.md

Each control plane is built from its own modules, once (13 minutes of a CPU). Then the integration tests run on it, and random
clusters are predicted and tried in that version's own scheduler. What failed among the others is run alone, as often as `make test`
does, and is told also where it passes then. What the report tells of other versions stays in it. Exits with 1 when something failed
anywhere.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.cluster.build import KUBERNETES, OTHERS, VARIABLE, minor_version, other_kubernetes, pinned_in, versions
from tests.toolchain.stages import FOUR_WORKERS, OUTPUT, TIMES_ALONE, environment
from tests.toolchain.unstable import commit, today
from tests.toolchain.venvs import ROOT
from tests.truth.headroom.run import recorded, summary

# What is about the test cluster itself, about real nodes, or about this tree, says nothing of another Kubernetes.
NOT_ABOUT_KUBERNETES = ("test_cluster_*.py", "test_demo.py", "test_real_traffic.py", "test_metrics.py")
FIRST_SEED = 200_000

REPORT = """\
# Every Kubernetes that people run

Written by `make kubernetes-matrix` (`python -m tests.truth.kubernetes`). Each row is a control plane of that version, as it was tried
last, built from its Go modules: API server, controller manager and scheduler, with fake nodes. On it run the integration tests: all
verbs, the sizes of canaries as an onlooker counts them, the model of the Deployment controller against the real one, repair,
autoscalers, rights, judgement, the role; and random clusters, of which is predicted whether the pods find room, and then tried in that scheduler.

| version | tried | tests passed | failed | not for this version | clusters | exactly | depends, and said so | said to fit and did not | wrong otherwise |
|---|---|---|---|---|---|---|---|---|---|
{rows}

{details}

The last column also counts clusters of which it was right whether the pods fit, and wrong how many preemption would make room for.

## What older versions do not have

* Before 1.37 an autoscaler has no generation, and nobody can ask whether its controller has seen what was written. So a verb that pins
  one waits for a sync period (20 seconds) before it goes on.
* Before 1.37 a Deployment whose name leaves no room for a hash gets no ReplicaSet at all, so there is nothing to release.
* Before 1.35 `autoscaler: hold` is refused where canary pods would count in an external metric: autoscalers have no tolerance there. `pin`
  works.
"""


@dataclass(frozen=True)
class Tried:
    """What one version did. `when`: the day and the commit. `failed`: IDs of tests; `alone`: of those that failed beside others, and
    passed each time they were run alone. `skipped`: reasons, with how many tests each left out."""

    version: str
    when: str
    passed: int
    failed: Sequence[str]
    alone: Sequence[str]
    skipped: Mapping[str, int]
    headroom: Mapping[str, Any]

    @property
    def is_right(self) -> bool:
        wrong = self.headroom["false_fits"] + self.headroom["wrong"]
        return self.passed > 0 and not self.failed and not wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    newest = ".".join(map(str, minor_version()))
    known = [*other_kubernetes(), newest]
    parser.add_argument("--only", nargs="+", choices=known, default=known, metavar="1.N", help="(default: %(default)s)")
    parser.add_argument("--clusters", type=int, default=500, help="to predict and try in each (default %(default)s)")
    parser.add_argument("--report", type=Path, help="also write the figures there")
    options = parser.parse_args()
    tried = []
    for minor in options.only:
        tried.append(try_version(minor, "" if minor == newest else minor, options.clusters))
        print(_row(tried[-1]), flush=True)
    before = options.report.read_text(encoding="utf-8") if options.report and options.report.exists() else ""
    text = report(tried, before)
    print(text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    return 0 if all(one.is_right for one in tried) else 1


def try_version(minor: str, chosen: str, clusters: int) -> Tried:
    """`chosen`: what names it to the test cluster; nothing for the newest."""
    surroundings = {**environment(), VARIABLE: chosen}
    results = OUTPUT / f"kubernetes-{minor}.xml"

    def run(*arguments: str) -> ElementTree.Element:
        results.unlink(missing_ok=True)
        subprocess.run(["pytest", f"--junitxml={results}", *arguments], cwd=ROOT, env=surroundings, check=False)
        return ElementTree.parse(results).getroot()

    ignored = [f"--ignore-glob=*/{pattern}" for pattern in NOT_ABOUT_KUBERNETES]
    suites = run(*FOUR_WORKERS, "-m", "not slow", *ignored, "tests/integration")
    failed = failures(suites)
    wrong = set[str]().union(*(failures(run(*failed)) for _time in range(TIMES_ALONE))) if failed else set()
    figures = ROOT / "build" / f"headroom-{minor}.jsonl"
    predicted = ["python", "-m", "tests.truth.headroom", "--first", str(FIRST_SEED), "--count", str(clusters)]
    written = ["--record", str(figures), "--report", str(figures.with_suffix(".md"))]
    subprocess.run([*predicted, *written], cwd=ROOT, env=surroundings, check=False)
    pinned = pinned_in(OTHERS / chosen / "go.mod")[KUBERNETES] if chosen else versions()[KUBERNETES]
    when = f"{today():%Y-%m-%d}, {commit()}"
    return read(pinned.removeprefix("v"), when, suites, wrong, summary(recorded(figures)))


def failures(suites: ElementTree.Element) -> list[str]:
    """IDs of the tests that failed, of what pytest wrote in the form of JUnit."""
    cases = suites.iter("testcase")
    return [_id(case) for case in cases if case.find("failure") is not None or case.find("error") is not None]


def _id(case: ElementTree.Element) -> str:
    return f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"


def read(
    version: str, when: str, suites: ElementTree.Element, wrong: Collection[str], headroom: Mapping[str, Any]
) -> Tried:
    """`suites`: what pytest wrote, in the form of JUnit. `wrong`: those of its tests that also failed alone. `headroom`: the figures of
    its clusters."""
    failed = failures(suites)
    reasons = [
        (left_out.get("message") or "").strip()
        for case in suites.iter("testcase")
        if (left_out := case.find("skipped")) is not None
    ]
    passed = sum(1 for _case in suites.iter("testcase")) - len(failed) - len(reasons)
    alone = [name for name in failed if name not in wrong]
    return Tried(
        version,
        when,
        passed + len(alone),
        [name for name in failed if name in wrong],
        alone,
        Counter(reasons),
        headroom,
    )


def report(tried: Sequence[Tried], before: str = "") -> str:
    """Beside what was tried now, what the report of `before` tells of other minor versions."""
    told = [(_minor(one.version), line) for one in tried for line in (_row(one), *_details(one))]
    now = {minor for minor, _line in told}
    found = [(_minor(of[1]), line) for line in before.splitlines() if (of := _TOLD_OF.match(line))]
    told += [(minor, line) for minor, line in found if minor not in now]
    lines = [line for _minor, line in sorted(told, key=itemgetter(0))]
    rows, details = ([line for line in lines if line.startswith(begins)] for begins in ("|", "*"))
    return REPORT.format(rows="\n".join(rows), details="\n".join(details))


# A row, or what is told of one.
_TOLD_OF = re.compile(r"(?:\| |\* \**)(\d+\.\d+\.\d+)")


def _minor(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")[:2]))


def _row(one: Tried) -> str:
    count = one.headroom
    cells = (
        one.version, one.when, one.passed, len(one.failed), sum(one.skipped.values()), count["clusters"], count["exact"],
        count["depends"] + count["unknown"], count["false_fits"], count["wrong"] + count["preemption"],
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _details(one: Tried) -> list[str]:
    left_out = [f"* {one.version}, {count} left out: {reason}" for reason, count in sorted(one.skipped.items())]
    alone = [
        f"* {one.version}, failed beside others and passed {TIMES_ALONE} times alone: `{name}`" for name in one.alone
    ]
    return [*left_out, *alone, *(f"* **{one.version} failed: `{name}`**" for name in one.failed)]


if __name__ == "__main__":
    os.environ.pop(VARIABLE, None)
    sys.exit(main())
