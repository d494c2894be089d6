# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C and the alarm of a task come to the main thread, whichever others there are: whoever waits hears of them at once."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The kernel prefers the main thread where that can take a signal; where it cannot, it takes any other that can.
BEGINS = """
import os, signal, threading, time
from ansible_collections.coalmine.canary.plugins.module_utils import threads
idle = threading.Event()
{begins}
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{name}])
signal.signal(signal.{name}, lambda *heard: None)
os.kill(os.getpid(), signal.{name})
time.sleep(0.1)
print(signal.{name} in signal.sigpending())
"""
WAYS = {
    "begin": ("threads.begin(idle.wait)", True),
    "a timer": (
        "timer = threading.Timer(60, print); timer.daemon = True; threads.start(timer)",
        True,
    ),
    "Python's own": ("threading.Thread(target=idle.wait, daemon=True).start()", False),
}
WAITS = """
import signal
from contextlib import contextmanager
from threading import Event
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.watch import Streams, Watched

class Silent:
    @contextmanager
    def watch(self, path, query=None, *, seconds):
        print("waits", flush=True)
        Event().wait()
        yield iter(())

# Where tests run in the background, children are born deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
Streams(Silent(), [Watched("pods", "/", {})]).batch(600.0)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGALRM"])
@pytest.mark.parametrize("way", WAYS)
def test_no_signal_is_given_to_a_thread_beside(way: str, name: str) -> None:
    begins, left = WAYS[way]
    program = BEGINS.format(begins=begins, name=name)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str(left), done.stderr


def test_whoever_waits_for_what_a_server_tells_ends_at_once_where_it_is_interrupted() -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as waits:
        assert waits.stdout is not None and waits.stdout.readline()
        time.sleep(0.2)
        waits.send_signal(signal.SIGINT)
        # Long before what it waits for, on a busy machine too.
        assert waits.wait(timeout=30) != 0


def started_elsewhere(path: Path) -> list[str]:
    """`thread.start()` in that file; a tunnel or an exchange is started with arguments."""
    text = path.read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)] if "threading" in text else []
    starts = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "start"]
    return [f"{path}:{call.lineno}" for call in starts if not call.args]


def test_every_thread_is_started_where_signals_are_blocked() -> None:
    files = [path for path in (ROOT / "plugins").rglob("*.py") if path.name != "threads.py"]
    assert [where for path in files for where in started_elsewhere(path)] == []
    assert started_elsewhere(ROOT / "plugins" / "module_utils" / "threads.py")
