# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods over time, a line a moment: one mark a pod, in the order stable, canary, ending."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.display.news import State
from ansible_collections.coalmine.canary.plugins.module_utils.display.pods import SYMBOLS, state_of
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Pod

from .traffic import Answers
from .workload import CONTAINER

# How a pod looks, as in the lines of a release: its mark, and the colour of its version.
SERVING, STARTING, FAILING, ENDING = (SYMBOLS[state] for state in State)
PALETTE = ("34", "32", "35", "36", "33")
WIDTH = 20


@dataclass(frozen=True)
class Mark:
    """One pod at one moment."""

    version: str
    state: str


def marks(pods: Sequence[Mapping[str, Any]], versions: Sequence[str]) -> list[Mark]:
    """The pods (JSON of the API) of these versions, oldest version first, serving pods before others."""
    found = [Mark(_version(pod), _state(pod)) for pod in pods]
    states = (SERVING, STARTING, FAILING, ENDING)
    return sorted(found, key=lambda mark: (_place(versions, mark.version), states.index(mark.state)))


def _place(versions: Sequence[str], version: str) -> int:
    return versions.index(version) if version in versions else len(versions)


def _version(pod: Mapping[str, Any]) -> str:
    image = next(c["image"] for c in pod["spec"]["containers"] if c["name"] == CONTAINER)
    return str(image).rpartition(":")[2]


def _state(pod: Mapping[str, Any]) -> str:
    return SYMBOLS[state_of(Pod.parse(pod))]


class Picture:
    """Draws on a terminal, or plainly where there is none. A moment with the same pods as the one before,
    and answers of the same versions, is not drawn."""

    def __init__(self, versions: Sequence[str]) -> None:
        self._versions = versions
        self._colour = sys.stdout.isatty()
        self._drawn = ""

    def legend(self) -> str:
        colours = ", ".join(self._paint(version, SERVING + " " + version) for version in self._versions)
        return f"{colours}    {SERVING} Ready   {STARTING} starting   {FAILING} failing   {ENDING} ending"

    def draw(self, seconds: float, pods: list[Mark], answers: Answers | None) -> str | None:
        """The line for this moment, or None when nothing changed."""
        answering = sorted(answers.versions) if answers else []
        if (key := repr((pods, answering))) == self._drawn:
            return None
        self._drawn = key
        row = "".join(self._paint(mark.version, mark.state) for mark in pods) + " " * max(0, WIDTH - len(pods))
        ready = Counter(mark.version for mark in pods if mark.state == SERVING)
        counts = "  ".join(f"{version} {ready[version]:2d}" for version in self._versions if ready[version])
        return f"{seconds:6.1f} s  {row}  {counts:<14}  {_requests(answers)}".rstrip()

    def _paint(self, version: str, text: str) -> str:
        if not self._colour or version not in self._versions:
            return text
        return f"\033[{PALETTE[self._versions.index(version) % len(PALETTE)]}m{text}\033[0m"


def _requests(answers: Answers | None) -> str:
    if answers is None or not answers.sent:
        return ""
    shares = ", ".join(f"{version} {answers.share(version):.0f} %" for version in sorted(answers.versions))
    return f"{answers.sent} requests/s: {shares}, {answers.failed} failed"
