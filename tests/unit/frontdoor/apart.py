# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a process of its own, for what stays in a process until its end: warnings, logging, the controller's side of ansible-core.

It is forked from a process without threads, and not from this one. A lock that another thread holds at that moment, of OpenSSL for example,
is never opened again in the copy.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.threads import undisturbed

# Less than the limit of a test (tests/toolchain/limits.py): who stands still tells where, and ends.
SECONDS = 150
# What is imported once, and not again in each process.
PRELOADED = ("tests.unit.frontdoor.every_verb", "kubernetes.client", "kubernetes.config")

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(list(PRELOADED))


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """What `work` returns there. It goes there by its name, and what is given by its value."""
    here, there = _FORKS.Pipe()
    process = _FORKS.Process(target=_told, args=(there, work, given), daemon=True)
    process.start()
    # So that a process that ends without an answer ends the wait for it.
    there.close()
    try:
        return here.recv()
    except EOFError:
        process.join()
        raise AssertionError(f"{work.__name__} ended without an answer, with {process.exitcode}") from None
    finally:
        here.close()
        process.kill()
        process.join()


def _told(there: Connection, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    # Its thread takes no signal once it runs, and on a busy machine that may be later than the work sends one.
    with undisturbed():
        faulthandler.dump_traceback_later(SECONDS, exit=True)
    there.send(work(*given))
