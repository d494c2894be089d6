# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of a real node of a running cluster: cut, and given back."""

from __future__ import annotations

from ..build import tell
from ..construction import Construction
from ..images import ensure_programs
from ..lab import Lab
from .machine import require_runtime
from .nodes import Preparation, files_of, switch_off, switch_on, wait_until_up


def cut(lab: Lab, number: int) -> None:
    """Node `real-NUMBER` is gone at once. Another one has to stay: with the last of them goes the claim on this machine."""
    switch_off(lab.layout, files_of(lab.layout, number))


def give_back(lab: Lab, number: int) -> None:
    """It boots with the disk that it had, and is in use again when this returns."""
    site, files = Construction(lab.layout, lab.binaries), files_of(lab.layout, number)
    images = ensure_programs() / "images.tar"
    switch_on(site, Preparation(lab.facts["real_nodes"], require_runtime(tell), images, {}), files)
    wait_until_up(site, lab.api, files)
