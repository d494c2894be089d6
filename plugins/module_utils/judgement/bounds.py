# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain bounds: so many readings outside in a row fail, so many inside pass. No evidence, and no promise about errors.

This module is private to the collection.
"""

from __future__ import annotations

from .checks import BoundCheck
from .gaps import Gaps
from .samples import NoData, Reading
from .verdicts import BoundFigures, CheckVerdict, Rule, Verdict


class BoundTrial:
    """Counts readings in a row. A gap in the data starts the count again, since nobody knows what happened in it. `warmup`: for so many
    seconds after the run's begin and after each step readings tell nothing, neither good nor bad."""

    def __init__(self, check: BoundCheck, warmup: float) -> None:
        self._check = check
        self._warmup = self._warm_at = warmup
        self._readings: list[Reading] = []
        self._inside = self._outside = 0
        self._gaps = Gaps()
        self._decided_after: float | None = None

    def add(self, reading: Reading) -> None:
        self._gaps.answered()
        if reading.at < self._warm_at:
            return
        inside = self._check.contains(reading.value)
        self._inside = self._inside + 1 if inside else 0
        self._outside = 0 if inside else self._outside + 1
        self._readings.append(reading)

    def miss(self, gap: NoData) -> None:
        self._inside = self._outside = 0
        self._gaps.miss(gap)

    def begin_step(self, at: float) -> None:
        self._inside = self._outside = 0
        self._decided_after = None
        self._warm_at = at + self._warmup

    @property
    def fails(self) -> bool:
        return self._outside >= self._check.in_a_row

    @property
    def passes(self) -> bool:
        return self._inside >= self._check.in_a_row

    @property
    def stands_in_no_way(self) -> bool:
        return self.passes

    def look(self, at: float) -> None:
        decided = self.fails or self.passes
        if not decided:
            self._decided_after = None
        elif self._decided_after is None:
            self._decided_after = at

    @property
    def so_far(self) -> str:
        """The last reading beside what it has to be: "p99: 0.3, tolerated at most 0.5"; empty before any."""
        if not self._readings:
            return ""
        return f"{self._check.name}: {self._readings[-1].value:g}, tolerated {self._bounds()}"

    def report(self) -> CheckVerdict:
        verdict, rule, reason = self._verdict()
        return CheckVerdict(
            name=self._check.name,
            verdict=verdict,
            rule=rule,
            reason=reason,
            decided_after=self._decided_after,
            bound=BoundFigures(self._check.minimum, self._check.maximum, tuple(self._readings)),
            gaps=self._gaps.count,
            last_gap=self._gaps.last_reason,
        )

    def _verdict(self) -> tuple[Verdict, Rule, str]:
        if self._gaps.silent or not self._readings:
            return Verdict.INCONCLUSIVE, Rule.NO_DATA, self._gaps.sentence
        last, wanted = self._readings[-1].value, self._bounds()
        if self.fails:
            return Verdict.FAIL, Rule.BOUND, f"{_in_a_row(self._outside)} outside {wanted}, the last {last:g}"
        if self.passes:
            return Verdict.PASS, Rule.BOUND, f"{_in_a_row(self._inside)} inside {wanted}, the last {last:g}"
        in_a_row = f"neither {self._check.in_a_row} inside nor {self._check.in_a_row} outside {wanted} in a row"
        return Verdict.INCONCLUSIVE, Rule.WINDOW_ENDED, f"{in_a_row}, the last {last:g}"

    def _bounds(self) -> str:
        low = "" if self._check.minimum is None else f"at least {self._check.minimum:g}"
        high = "" if self._check.maximum is None else f"at most {self._check.maximum:g}"
        return " and ".join(bound for bound in (low, high) if bound)


def _in_a_row(readings: int) -> str:
    return "1 reading" if readings == 1 else f"{readings} readings in a row"
