# SPDX-License-Identifier: GPL-3.0-or-later
"""The last act: blue/green without any gateway. A whole second set of pods, and the Service itself is switched, back, and there again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from .traffic import Answers, none_failed

PLAYBOOK = Path(__file__).with_name("switch.yml")
# For how many seconds everybody is on one version, so that there are whole seconds to count.
MOMENT = 3


def options() -> dict[str, Any]:
    """Variables of the playbook beside those of every release."""
    return {"moment": MOMENT}


def facts(blue: str, green: str, seconds: Sequence[Answers], whole: Answers) -> list[tuple[str, bool]]:
    """What was counted at the Service, and whether it is as was said."""
    alone = [next(iter(second.versions)) for second in seconds if len(second.versions) == 1]
    turns = [version for version, _seconds in groupby(alone)]
    return [
        (f"everybody was on {', then on '.join(turns)}", turns == [blue, green, blue, green]),
        none_failed(whole, "while they were switched"),
    ]
