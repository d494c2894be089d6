# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in which a cluster can end. Prints, as JSON, what is left of it afterwards.

    python -m tests.integration.cluster_ends END LEVEL MOMENT

test_cluster_cleanup.py runs this in network, mount and pid namespaces of its own when it may: then nobody else's
cluster blurs the comparison, and nobody else's addresses are in the way.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.cluster.layout import Layout
from tests.cluster.paths import lab_directory
from tests.cluster.processes import Recorded, wait_gone
from tests.cluster.traces import Traces, take

TIMEOUT_SECONDS = 60
REMAINS_SECONDS = 30
LEVELS = {"fake": [], "gateway": ["--answering", "--gateway", "traefik"], "real": ["--real"]}


def cluster(command: str, name: str, *options: str) -> subprocess.Popen[bytes]:
    """python -m tests.cluster, in a process group of its own as a shell starts it: Ctrl-C reaches the group only."""
    arguments = [sys.executable, "-m", "tests.cluster", command, "--name", name, *options]
    return subprocess.Popen(arguments, stdout=sys.stderr, process_group=0)


def start(name: str, level: str, moment: str) -> subprocess.Popen[bytes]:
    """Starts a cluster; returns at the moment when the record of this process is there, or ("up") when all is up."""
    starter = cluster("up", name, *LEVELS[level])
    if moment == "up":
        assert starter.wait(TIMEOUT_SECONDS) == 0
    else:
        wait_for(Layout(lab_directory(name)).record(moment).exists)
    return starter


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def down(name: str) -> None:
    assert cluster("down", name).wait(TIMEOUT_SECONDS) == 0


def end_by_down(name: str, level: str, moment: str) -> None:
    """Somebody still holds the network namespaces of the nodes, as a process does that is slow to die."""
    start(name, level, moment)
    for record in Layout(lab_directory(name)).records():
        if record.stem.endswith("-init") and (node := Recorded.read(record)):
            os.open(f"/proc/{node.pid}/ns/net", os.O_RDONLY)  # until this process ends
    down(name)


def end_by_interrupt(name: str, level: str, moment: str) -> None:
    starter = start(name, level, moment)
    os.killpg(starter.pid, signal.SIGINT)
    assert starter.wait(TIMEOUT_SECONDS) == 130


def end_by_kill(name: str, level: str, moment: str) -> None:
    """Nobody but the watchdog is left to clean up."""
    starter = start(name, level, moment)
    starter.kill()
    starter.wait()
    wait_for(lambda: not lab_directory(name).exists())


def end_by_kill_of_all_who_care(name: str, level: str, moment: str) -> None:
    """The watchdog dies with the starter: what they left is for `down`."""
    kill_all_who_care(name, start(name, level, moment))
    down(name)


def kill_all_who_care(name: str, starter: subprocess.Popen[bytes]) -> None:
    watchdog = Recorded.read(Layout(lab_directory(name)).record("watchdog"))
    assert watchdog
    os.kill(watchdog.pid, signal.SIGKILL)
    starter.kill()
    starter.wait()
    wait_gone(watchdog, what="the watchdog")
    assert lab_directory(name).exists()


def end_by_kill_of_everything(name: str, level: str, moment: str) -> None:
    """As when a machine goes down: nobody is left to clean up, and the next cluster has to find its way clear."""
    kill_all_who_care(name, start(name, level, moment))
    records = [process for path in Layout(lab_directory(name)).records() if (process := Recorded.read(path))]
    for process in records:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for process in records:
        wait_gone(process, what="a process of the cluster")
    successor = start(f"{name}-next", level, moment)
    assert not lab_directory(name).exists()
    os.killpg(successor.pid, signal.SIGINT)
    assert successor.wait(TIMEOUT_SECONDS) == 130


ENDS = {
    "down": end_by_down,
    "interrupt": end_by_interrupt,
    "kill": end_by_kill,
    "kill-all": end_by_kill_of_all_who_care,
    "kill-everything": end_by_kill_of_everything,
}


def remains(directory: Path, before: Traces) -> dict[str, list[str]]:
    """What is left; a process may take a moment to vanish after the file that told of it."""
    deadline = time.monotonic() + REMAINS_SECONDS
    while (left := take(directory).beyond(before)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def main(end: str, level: str, moment: str) -> None:
    # Who is started in the background ignores Ctrl-C, and so would every process below it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    name = f"ends-{uuid.uuid4().hex[:8]}"
    before = take(lab_directory(name))
    ENDS[end](name, level, moment)
    print(json.dumps(remains(lab_directory(name), before)))


if __name__ == "__main__":
    main(*sys.argv[1:])
