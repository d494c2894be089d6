# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular expressions over foreign text, searched for in a process of its own, which can be ended.

Python's engine backtracks: an ordinary pattern such as `.*ERROR.*timeout` may take minutes over one long line, others for ever
over a short one. Meanwhile it lets no other thread run, not even one that minds the clock. Whoever wrote the text, a pod, would
decide when its judge goes on.

This module is private to the collection.
"""

from __future__ import annotations

import errno
import json
import os
import re
import select
import subprocess
import sys
import time
from typing import IO, Sequence

from .source import Misasked, NoAnswer

# So long a pattern may take over one text, in seconds of a processor: a machine that is busy does not count against a text.
LONGEST_SECONDS = 0.5
# So long a process may take to begin, and may be silent, however busy the machine is.
STUCK_SECONDS = 60.0
# Changes nothing of what is found, and makes the search as many times longer as a text has characters.
_IDLE = re.compile(r"(?:\.\*\??(?![*+?{]))+")
# So many texts are handed over at a time.
_BATCH = 1000
# Reads a pattern and how long it may take, and says that it is ready; then reads lists of texts, a line each, and writes a sign for each text as soon as it
# is known. The engine looks for signals while it searches.
_FOUND, _NOT_FOUND, _TOO_LONG = b"1", b"0", b"?"
_PROGRAM = f"""
import json, os, re, signal, sys
class TooLong(Exception):
    pass
def end(*given):
    raise TooLong
signal.signal(signal.SIGVTALRM, end)
pattern, seconds = json.loads(sys.stdin.readline())
pattern = re.compile(pattern)
os.write(1, b"!")
for line in sys.stdin:
    for text in json.loads(line):
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
            sign = {_FOUND!r} if pattern.search(text) else {_NOT_FOUND!r}
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except TooLong:
            sign = {_TOO_LONG!r}
        os.write(1, sign)
"""
_MEANING = {_FOUND[0]: True, _NOT_FOUND[0]: False, _TOO_LONG[0]: None}


def must_be_pattern(pattern: str, option: str) -> None:
    """Raises Misasked."""
    try:
        re.compile(pattern)
    except (OverflowError, RecursionError, re.error) as error:
        raise Misasked(f"{option} is not a regular expression: {error}") from None


class Matcher:
    """For one thread at a time."""

    def __init__(self, pattern: str) -> None:
        self._pattern = _IDLE.sub("", pattern, count=1) if _IDLE.match(pattern) else pattern
        self._process: subprocess.Popen[bytes] | None = None

    def found(self, texts: Sequence[str], seconds: float) -> list[bool | None]:
        """Whether each text holds the pattern; None where that took too long. Fewer than the texts when `seconds` were over. Raises
        NoAnswer when no process can be started."""
        deadline = time.monotonic() + seconds
        told: list[bool | None] = []
        while len(told) < len(texts) and time.monotonic() < deadline:
            told += self._batch(texts[len(told) : len(told) + _BATCH], deadline)
        return told

    def _batch(self, texts: Sequence[str], deadline: float) -> list[bool | None]:
        """Ends with the first None, or early at the deadline."""
        told: list[bool | None] = []
        try:
            process = self._running()
            _hand(process, texts)
            while len(told) < len(texts):
                signs = _answer(process, min(STUCK_SECONDS, deadline - time.monotonic()))
                if not signs:
                    self.close()
                    return told if time.monotonic() >= deadline else [*told, None]
                told += [_MEANING[sign] for sign in signs]
        except OSError as error:
            self.close()
            raise NoAnswer(f"no process can search for the pattern: {error.strerror}") from None
        return told

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable or "python3", "-I", "-S", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            _hand(self._process, (self._pattern, LONGEST_SECONDS))
            if not _answer(self._process, STUCK_SECONDS):
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        return self._process

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            # What it has not read any more is dropped with its pipes.
            process.communicate()


def _hand(process: subprocess.Popen[bytes], what: Sequence[str | float]) -> None:
    pipe = _there(process.stdin)
    pipe.write(json.dumps(what).encode() + b"\n")
    pipe.flush()


def _answer(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """What came next; nothing where nothing did in time, or the process is gone."""
    pipe = _there(process.stdout)
    ready = select.select([pipe], [], [], max(0.0, seconds))[0]
    return os.read(pipe.fileno(), _BATCH) if ready else b""


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    """Raises OSError."""
    if pipe is None:
        raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
    return pipe
