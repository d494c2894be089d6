# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that run a verb and end in the middle of it, by a real signal."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import Exchange, Request
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.undo import undo
from tests.gateways.unheard import settling

# A process of its own that has imported everything, so that each victim is forked in a moment.
_READY = multiprocessing.get_context("forkserver")
_READY.set_forkserver_preload([__name__, "kubernetes.client"])
_VERBS: dict[str, Callable[..., Any]] = {"start": start, "promote": promote, "undo": undo}
END_SECONDS = 120.0


@dataclass(frozen=True)
class End:
    """A signal that the process gets as soon as its request of this number (from 1) is answered; `writes`: only those that change
    something are counted. `settles`: after how many seconds what is stated counts as in force, where that is not as usual."""

    after_request: int
    by: signal.Signals = signal.SIGKILL
    writes: bool = False
    settles: float | None = None


def run(kubeconfig: str, verb: str, request: Any, end: End | None = None) -> multiprocessing.process.BaseProcess:
    """A process that runs this verb with this request; it has been started."""
    process = _READY.Process(target=_live, args=(kubeconfig, verb, request, end))
    process.start()
    return process


def ended(process: multiprocessing.process.BaseProcess, seconds: float = END_SECONDS) -> int:
    """Its exit code: 0 when the verb came to its end, negative for a signal."""
    process.join(seconds)
    assert process.exitcode is not None, "the verb neither ended nor was killed"
    return process.exitcode


def _live(kubeconfig: str, verb: str, request: Any, end: End | None) -> None:
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # a traceback of Ctrl-C is what is asked for here
    api = connect(Connection(kubeconfig=kubeconfig))
    if end is not None:
        _doom(api, end)
    with settling(end.settles) if end is not None and end.settles else nullcontext():
        _VERBS[verb](api, request, lambda line: None)


def _doom(api: Api, end: End) -> None:
    send, written = api._send, 0

    def send_and_end(request: Request) -> Exchange:
        nonlocal written
        exchange = send(request)
        # Of the release: the Lease says only that a verb is at work.
        written += request.method != "GET" and "dryRun" not in request.target and "/leases" not in request.path
        if (written if end.writes else api.requests) >= end.after_request:
            os.kill(os.getpid(), end.by)
        return exchange

    api._send = send_and_end  # type: ignore[method-assign]
