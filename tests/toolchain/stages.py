# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of `make test`: what is checked, how, and within what time.

    python -m tests.toolchain.stages                 # all of them, with a table of times at the end
    python -m tests.toolchain.stages lint unit       # some of them

Every stage runs, also after one has failed; but one that looks at nothing but files is not run again while these are the same
(unchanged.py). The groups run one after another. Stages of the same group, which need one core each and no quiet machine, run side
by side, and their output is shown when they end; a group of one is seen live. So is one that has only stages beside it that step back
(`nice`): these take what it leaves of the cores, two at a time and in the order of the table, and their output is shown after its own.

What is measured in seconds on a real cluster can miss them when several workers share two cores. So what failed in
`integration` is written down and told, with its reasons and the load of the machine, and then run alone, three times: a test
that is wrong now and then by itself hardly passes three times, one that only the others disturbed does. What passes then is
unstable: the table at the end names it, and with UNSTABLE_FAILS=true the stage has failed, unless tests/unstable.txt allows it
(docs/decisions/0008-unstable-tests.md).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

from tests.toolchain import outcomes, unchanged, unstable
from tests.toolchain.supervised import INTERRUPTED, LOWEST_PRIORITY, Lifeline
from tests.toolchain.venvs import ENVIRONMENTS, ROOT

# One more than there are cores: what waits for a cluster leaves its own to the others.
SIDE_BY_SIDE = 3
# Seconds that `make test` may take on two quiet cores, once what looks at nothing but files has passed: a row that asks for more takes it
# from another.
WARM = 420
# What failed has to pass so often alone: a test that is wrong in one run of three is let through in less than a third of them.
TIMES_ALONE = 3

Command = tuple[str, ...]
# Of what waits for a cluster of its own, of tests that have a limit each, and of what takes nothing but the cores.
A_LITTLE, HALF_WAY = 2, 10
# Ends what is under way with this process, however that ends.
LIFELINE = Lifeline()


@dataclass(frozen=True)
class Stage:
    """One row. `budget`: seconds on two cores with all programs and environments cached, beside the others of its `group`, which is empty
    where it runs alone; a quarter more than was measured, because the cores of continuous integration are slower. `nice`: how far it
    steps back there. `files_only`: what it finds depends on the files of the tree alone.

    `in_ci`: `make test` runs it in continuous integration only, or only elsewhere; in both, if None.

    `again`: what runs those tests that failed, which are its last arguments, when at most what steps back is still running; `outcomes`:
    where the commands write down how each test ended (tests/toolchain/outcomes.py).
    """

    name: str
    budget: float
    commands: tuple[Command, ...]
    group: str = ""
    nice: int = 0
    files_only: bool = False
    in_ci: bool | None = None
    again: Command | None = None
    outcomes: Path | None = None


@dataclass(frozen=True)
class Result:
    """`busy`: seconds of CPU, of all its processes but those that outlived it. `unstable`: the tests that passed only when they
    were run again; `refused`: those of them that may not. `unchanged`: it was not run, because it has passed on the same files."""

    stage: Stage
    passed: bool
    seconds: float
    busy: float
    output: str
    unstable: Sequence[str] = ()
    refused: Sequence[str] = ()
    unchanged: bool = False


# Tests themselves are run, not typed; what they stand on is typed.
TYPED = (
    "ansible_collections.coalmine.canary.plugins.module_utils",
    *(
        f"tests.{package}"
        for package in ("bench", "cluster", "demo", "exactness", "faults", "molecule", "sim", "toolchain")
    ),
    "tests.truth.headroom",
    "tests.truth.kubernetes",
    "tests.truth.releases",
)
SHELL_SCRIPTS = "git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck --severity=warning"

# The longest files are first, all beside each other: who is done with his share takes of the others'. As many as there are cores: each more
# takes four seconds to import and collect all tests, and while one waits other stages have something to do.
TWO_WORKERS = ("-n", "2", "--dist", "worksteal")
# A file is one worker's: what its tests start together is started once. Four on two cores, because many tests wait.
FOUR_WORKERS = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")
READ, WAITS = "what the tree says", "waits for clusters"
# One release that goes through, twice; the others are for `make slow`.
SCENARIOS = ("-s", "default", "-s", "steps")
WITHOUT_A_CLUSTER = ("-m", "not slow", "tests/unit", "tests/sim", "tests/toolchain")
OF_THE_TEST_CLUSTER = "tests/integration/test_cluster_*.py"
SHORT_ONES = ("-m", "not slow", "--ignore-glob", OF_THE_TEST_CLUSTER, "tests/integration", "tests/faults")
OUTPUT = ROOT / "tests" / "output"
OUTCOMES = OUTPUT / "integration.json"
WRITTEN_DOWN = ("--outcomes", str(OUTCOMES), f"--junitxml={OUTPUT / 'integration.xml'}")

STAGES = (
    Stage("sanity", 110, (("python", "-m", "tests.toolchain.sanity", "--skip-test", "import"),), READ, files_only=True),
    Stage("package", 60, (("python", "-m", "tests.toolchain.package"),), READ, files_only=True),
    Stage("ansible-lint", 65, (("ansible-lint", "--offline"),), READ, files_only=True),
    Stage(
        "docs",
        15,
        (("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."),),
        READ,
        files_only=True,
    ),
    Stage("changelog", 10, (("antsibull-changelog", "lint"),), READ),
    Stage("types", 20, (("mypy", *(argument for package in TYPED for argument in ("-p", package))),), READ),
    Stage("imports", 5, (("lint-imports", "--no-logo"),), READ),
    Stage(
        "lint",
        5,
        (
            ("ruff", "check", "."),
            ("ruff", "format", "--check", "."),
            ("yamllint", "."),
            ("sh", "-c", SHELL_SCRIPTS),
            ("python", "-m", "tests.toolchain.unstable"),
            ("python", "-m", "tests.toolchain.blocks", "--check"),
        ),
        READ,
    ),
    # The tests of `unit`. To measure what they cover takes as long again, and would leave the clusters' tests too little of the cores.
    Stage(
        "coverage",
        420,
        (
            ("pytest", *TWO_WORKERS, "--cov", "--cov-report=", *WITHOUT_A_CLUSTER),
            ("python", "-m", "tests.toolchain.floors"),
        ),
        in_ci=True,
    ),
    Stage(
        "integration",
        375,
        (("pytest", *FOUR_WORKERS, *WRITTEN_DOWN, *SHORT_ONES),),
        WAITS,
        outcomes=OUTCOMES,
        again=("pytest", "--exitfirst"),
    ),
    # Each that steps back a little starts a cluster and waits for it, so the cores have time for something else.
    Stage("molecule", 120, (("python", "-m", "tests.molecule", "test", *SCENARIOS),), WAITS, nice=A_LITTLE),
    # From the beginning beside those, whichever of them it is, so that none of their waiting is lost.
    Stage("unit", 405, (("pytest", *TWO_WORKERS, *WITHOUT_A_CLUSTER),), WAITS, nice=HALF_WAY, in_ci=False),
    Stage("matrix", 160, (("python", "-m", "tests.toolchain.matrix"),), WAITS, nice=A_LITTLE),
    # The last of those that take two cores all the time, so that none is idle at the end: it takes what even the unit tests leave.
    # Others with each change of what they are about, and only then: docs/decisions/0010-new-histories-for-each-change.md.
    Stage(
        "sim-slice",
        350,
        (("python", "-m", "tests.sim", "--releases", "2000", "--fresh"),),
        WAITS,
        nice=LOWEST_PRIORITY,
    ),
    # All else runs on the Python of .venv: what is left to show is that every file can be imported by another.
    Stage(
        "sanity-import",
        260,
        (("python", "-m", "tests.toolchain.sanity", "--newest", "--test", "import"),),
        WAITS,
        nice=LOWEST_PRIORITY,
        files_only=True,
    ),
    # How a cluster starts, behaves and ends. What is wrong with that shows in the other tests as well, and is of no user's concern.
    Stage(
        "test-cluster",
        90,
        (("sh", "-c", f"exec pytest {' '.join(FOUR_WORKERS)} -m 'not slow' {OF_THE_TEST_CLUSTER}"),),
        in_ci=True,
    ),
)


def environment() -> dict[str, str]:
    """Every tool comes from .venv, and every import of the collection goes through the link. What was compiled is kept: else every
    process of every stage would compile the tests again."""
    scripts = str(ENVIRONMENTS["main"].path / "bin")
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PATH": os.pathsep.join([scripts, os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / ".collections")]),
        "PYTHONUNBUFFERED": "1",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    }


def run(stage: Stage, seen_live: bool) -> Result:
    """Run every command of the stage, also after one has failed; what is not seen live is in the result."""
    started = time.monotonic()
    heard: list[str] = []
    busy: list[float] = []

    def passes(command: Command) -> bool:
        passed, seconds, output = run_command(command, seen_live, stage.nice)
        busy.append(seconds)
        heard.append(output)
        return passed

    def ended(passed: bool, unstable: Sequence[str] = (), refused: Sequence[str] = ()) -> Result:
        return Result(stage, passed, time.monotonic() - started, sum(busy), "".join(heard), unstable, refused)

    if stage.outcomes:
        stage.outcomes.unlink(missing_ok=True)
    every = [passes(command) for command in stage.commands]
    if all(every) or stage.again is None or LIFELINE.is_cut:
        return ended(all(every))
    failed = outcomes.failed(stage.outcomes) if stage.outcomes and stage.outcomes.exists() else {}
    if failed:
        print(unstable.told(failed, unstable.trace(failed, stage.name)), flush=True)
    if not (failed and all(passes((*stage.again, *failed)) for _time in range(TIMES_ALONE))):
        return ended(False)
    refused = unstable.not_allowed(failed, unstable.rows(unstable.LISTED.read_text())) if must_be_stable() else []
    return ended(not refused, unstable=list(failed), refused=refused)


def run_if_changed(stage: Stage, seen_live: bool) -> Result:
    """Run the stage, unless it looks at nothing but files, and has passed on these."""
    now = unchanged.digest(stage.commands) if stage.files_only else ""
    if now and unchanged.passed_before(stage.name, now):
        return Result(stage, True, 0.0, 0.0, "", unchanged=True)
    result = run(stage, seen_live)
    if now and result.passed:
        unchanged.remember(stage.name, now)
    return result


def run_command(command: Command, seen_live: bool, nice: int = 0) -> tuple[bool, float, str]:
    """Whether it passed, its seconds of CPU with those of its children, and its output unless that was seen live."""
    process = subprocess.Popen(
        LIFELINE.command(command, nice),
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=None if seen_live else subprocess.PIPE,
        stderr=None if seen_live else subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        pass_fds=[LIFELINE.far_end],
    )
    with process:
        output = process.stdout.read() if process.stdout else ""
        # Not Popen.wait, which does not tell what the process has used.
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode == 0, used.ru_utime + used.ru_stime, output


@contextmanager
def ended_early() -> Iterator[None]:
    """What is under way when this is left by an exception, such as Ctrl-C, ends with it."""
    try:
        yield
    except BaseException:
        LIFELINE.cut()
        raise


def end_with_make() -> None:
    """Who kills `make` means what it has started, too, and tells nobody."""
    make = os.getppid()

    def watch() -> None:
        while os.getppid() == make:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    if "MAKELEVEL" in os.environ:
        threading.Thread(target=watch, daemon=True).start()


def part_of_make_test(stage: Stage) -> bool:
    return stage.in_ci in (None, os.environ.get("CI") == "true")


def must_be_stable() -> bool:
    return os.environ.get("UNSTABLE_FAILS") == "true"


def headline(stage: Stage) -> str:
    return f"\n=== {stage.name}: {'; '.join(' '.join(command) for command in stage.commands)}"


def groups_of(stages: Iterable[Stage]) -> Iterator[list[Stage]]:
    for _group, members in groupby(stages, key=lambda stage: stage.group or stage.name):
        yield list(members)


def run_group(stages: Sequence[Stage], how: Callable[[Stage, bool], Result] = run) -> Iterator[Result]:
    """Of a stage that is alone, or is the only one that does not step back, the output is seen live, and that of the others after it."""
    live = stages if len(stages) == 1 else [stage for stage in stages if not stage.nice]
    live = live if len(live) == 1 else []
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool, ended_early():
        for stage in live:
            print(headline(stage), flush=True)
        seen = [pool.submit(how, stage, True) for stage in live]
        heard = [pool.submit(how, stage, False) for stage in stages if stage not in live]
        for future in seen:
            yield future.result()
        for future in as_completed(heard):
            result = future.result()
            print(headline(result.stage), result.output, sep="\n", flush=True)
            yield result


def told(result: Result) -> str:
    budget = f"{result.seconds:7.1f} s of {result.stage.budget:4.0f} s"
    return f"{result.stage.name:<14} {'passed' if result.passed else 'FAILED'} {budget}, {result.busy:5.0f} s of CPU"


def remark(result: Result) -> str:
    late = "  over budget" if result.seconds > result.stage.budget else ""
    late += "  before, and nothing that it looks at has changed" if result.unchanged else ""
    return late + "".join(f"\n    unstable: {test}{forbidden(test, result)}" for test in result.unstable)


def forbidden(test: str, result: Result) -> str:
    return ", which tests/unstable.txt does not allow" if test in result.refused else ""


def table(results: Sequence[Result], seconds: float) -> str:
    rows = [told(result) + remark(result) for result in results]
    failed = [result.stage.name for result in results if not result.passed]
    verdict = f"failed: {', '.join(failed)}" if failed else f"all {len(results)} stages passed"
    return "\n".join(
        ["", "=== times (budgets: two cores, everything cached)", *rows, f"{seconds:.0f} s in all; {verdict}"]
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="STAGE", help=", ".join(stage.name for stage in STAGES))
    names = parser.parse_args(arguments).names
    unknown = set(names) - {stage.name for stage in STAGES}
    if unknown:
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    wanted = [stage for stage in STAGES if (stage.name in names if names else part_of_make_test(stage))]
    # What is asked for by its name is run, whatever it found before.
    how = run if names else run_if_changed
    started, results = time.monotonic(), []
    for result in chain.from_iterable(run_group(group, how) for group in groups_of(wanted)):
        print(told(result), flush=True)
        results.append(result)
    print(table(results, time.monotonic() - started), flush=True)
    return 0 if all(result.passed for result in results) else 1


def run_from_the_command_line(arguments: Sequence[str]) -> None:
    """Exits with the status. SIGTERM is what Ctrl-C is: `make` passes it on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end_with_make()
    try:
        status = main(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted: what was under way has been ended", flush=True)
        status = INTERRUPTED
    sys.exit(status)


if __name__ == "__main__":
    run_from_the_command_line(sys.argv[1:])
