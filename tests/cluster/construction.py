# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster while it is being built: the daemons that have been started, and waits that notice when one of them ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import TypeVar

from . import processes
from .api import ApiError
from .layout import Layout
from .locks import shared
from .teardown import tear_down

READY_TIMEOUT_SECONDS = 60
PORT_ATTEMPTS = 5
POLL_SECONDS = 0.02
LOG_LINES = 20
Started = TypeVar("Started")


class StartFailed(RuntimeError):
    """Something of the cluster did not come up; the message ends with the last lines of the logs."""


class PortTaken(StartFailed):
    """Somebody else bound a port between our look and the daemon's; another port will do."""


@dataclass(frozen=True)
class Construction:
    """Where the cluster is built, from which binaries, and the daemons that are this program's children."""

    layout: Layout
    binaries: Path
    children: dict[str, Popen[bytes]] = field(default_factory=dict)

    def run(
        self,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        inherited: Sequence[int] = (),
    ) -> Popen[bytes]:
        """Starts one daemon, recorded and logged under `name`; the rest is as in processes.start."""
        record, log = self.layout.record(name), self.layout.log(name)
        with shared(self.layout.alive) as alive:
            child = processes.start(record, command, log=log, environment=environment, inherited=[*inherited, alive])
        self.children[name] = child
        return child

    def wait_until(self, condition: Callable[[], bool], what: str, *, timeout: float = READY_TIMEOUT_SECONDS) -> None:
        """Polls until `condition` holds. A refused or unanswered request means "not yet"; a daemon that ended, "never"."""
        deadline = time.monotonic() + timeout
        while not _holds(condition):
            self._raise_if_ended()
            if time.monotonic() > deadline:
                raise StartFailed(f"waited {timeout:g} s for {what}\n{self.layout.log_tails(self.children)}")
            time.sleep(POLL_SECONDS)

    def end(self) -> None:
        """Ends the daemons that have been started here. What else the cluster has goes on."""
        for child in self.children.values():
            child.kill()
        for name, child in self.children.items():
            child.wait()
            self.layout.record(name).unlink(missing_ok=True)

    def abandon(self) -> None:
        """Removes all that has been started, after an error or an interrupt."""
        tear_down(self.layout.directory)
        for child in self.children.values():
            child.wait()

    def _raise_if_ended(self) -> None:
        for name, child in self.children.items():
            if child.poll() is not None:
                text = self.layout.log_tails([name], LOG_LINES)
                kind = PortTaken if "address already in use" in text else StartFailed
                raise kind(f"{name} ended with status {child.returncode}\n{text}")


def started(layout: Layout, binaries: Path, start: Callable[[Construction, int, ExitStack], Started]) -> Started:
    """What `start` returns. However else it ends, the daemons that it has begun have ended by then.

    It is called with the number of the attempt, for names, and with a stack for whatever else has to be taken back then; again, to choose
    other ports, where one was taken meanwhile. Raises what it raises.
    """
    for attempt in range(1, PORT_ATTEMPTS + 1):
        with ExitStack() as taking_back:
            site = Construction(layout, binaries)
            taking_back.callback(site.end)
            try:
                found = start(site, attempt, taking_back)
            except PortTaken as error:
                taken = error
                continue
            taking_back.pop_all()
            return found
    raise taken


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (ApiError, OSError):
        return False
