# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = """
name: live
type: stdout
short_description: The default output, with releases drawn below it while they go on
version_added: 1.0.0
description:
  - Shows what P(ansible.builtin.default#callback) shows. Below it, while tasks of this collection work, each release is drawn again and again, with its
    pods, its step, its time and what was counted, several hosts at once.
  - Where there is no terminal, under an automation platform or in a CI job, it is P(ansible.builtin.default#callback), and releases are told in lines.
  - Use it with C(ANSIBLE_STDOUT_CALLBACK=coalmine.canary.live), or C(stdout_callback) in C(ansible.cfg).
author:
  - coalmine.canary contributors (@coalmine)
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout in configuration
"""

import atexit
import os
import shutil
import sys
import threading
import time
from typing import Any, Callable

from ansible.plugins.callback.default import CallbackModule as Default

from ansible_collections.coalmine.canary.plugins.module_utils import threads
from ansible_collections.coalmine.canary.plugins.module_utils.display.news import News
from ansible_collections.coalmine.canary.plugins.module_utils.display.screen import Going, block, drawable
from ansible_collections.coalmine.canary.plugins.plugin_utils.wire import WIRE

FRAME_SECONDS = 0.25
LOCALHOST = ("127.0.0.1", "localhost", "::1")
# Display's methods that write to the terminal, or read from it.
_METHODS = ("display", "prompt_until", "prompt", "do_var_prompt")


class Screen:
    """The block at the bottom of the terminal. Whatever else is written comes above it."""

    def __init__(self, display: Any) -> None:
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._going: dict[tuple[str, str], Going] = {}
        self._height = 0
        self._closed = False
        for method in _METHODS:
            setattr(display, method, self._above(getattr(display, method)))
        atexit.register(self.close)
        threads.begin(self._run, name="live view")

    def _above(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            # A worker is a copy of this process, and only hands on what it writes.
            if os.getpid() != self._pid:
                return write(*args, **options)
            with self._lock:
                self._erase()
                try:
                    return write(*args, **options)
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    self._draw()

        return wrapped

    def ended(self, host: str) -> None:
        """The task of this host is over, and what it told with it."""
        with self._lock:
            self._take()
            self._going = {key: one for key, one in self._going.items() if key[0] != host}
            self._erase()
            self._draw()

    def close(self) -> None:
        """The terminal is as if nothing had been drawn."""
        if os.getpid() == self._pid and not self._closed:
            with self._lock:
                self._closed = True
                self._erase()

    def _run(self) -> None:
        while not self._closed:
            time.sleep(FRAME_SECONDS)
            with self._lock:
                self._take()
                if self._going:
                    self._erase()
                    self._draw()

    def _take(self) -> None:
        for host, given in WIRE.received():
            news = News.from_json(given)
            shown = "" if host in LOCALHOST else host
            self._going[host, news.deployment] = Going(shown, news, time.monotonic())

    def _erase(self) -> None:
        if self._height:
            self._write("\r\x1b[2K" + "\x1b[1A\x1b[2K" * (self._height - 1))
            self._height = 0

    def _draw(self) -> None:
        if self._closed or not self._going:
            return
        size = shutil.get_terminal_size()
        lines = block(list(self._going.values()), time.monotonic(), size.columns, size.lines)
        self._write("\r\n".join(lines))
        self._height = len(lines)

    def _write(self, text: str) -> None:
        # Past Python's buffers, whose locks a worker that is forked meanwhile would inherit.
        data = text.encode()
        while data:
            data = data[os.write(1, data) :]


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "coalmine.canary.live"

    def __init__(self) -> None:
        super().__init__()
        self._screen: Screen | None = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        super().v2_playbook_on_start(playbook)
        if drawable(os.environ, sys.stdout.isatty() and sys.stderr.isatty()):
            WIRE.listen()
            self._screen = Screen(self._display)

    def _over(self, result: Any) -> None:
        if self._screen is not None:
            self._screen.ended(result.host.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        self._over(result)
        super().v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._over(result)
        super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._over(result)
        super().v2_runner_on_unreachable(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if self._screen is not None:
            self._screen.close()
        super().v2_playbook_on_stats(stats)
