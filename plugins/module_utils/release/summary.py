# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a release ended, as the few lines that a person reads. This module is private to the collection."""

from __future__ import annotations

from typing import Any, Mapping

from .result import Ending, Release, WaitsFor

_MORE = {
    Ending.PLANNED: "Bake, verification, gate and promotion do not run in check mode.",
    Ending.HELD: "To promote it: playbook coalmine.canary.promote; to take it back: playbook coalmine.canary.undo",
}


def summary(name: str, namespace: str, release: Release, canary: Mapping[str, Any]) -> list[str]:
    """The outcome, why, and each version with its pods. `canary`: the release as the verbs return it, or nothing.

    -> ["web in namespace shop: undone", "its image is missing.", "stable web-5d5f: 4 of 4 pods Ready, web:1.4"]
    """
    versions = {version: canary.get(version) for version in ("stable", "canary")}
    pods = [f"{version} {_told(it)}" for version, it in versions.items() if it]
    more = "" if release.waits_for is WaitsFor.CALLER else _MORE.get(release.outcome, "")
    head = f"{name} in namespace {namespace}: {release.outcome.value}"
    return [head, *(line for line in (*release.why, *pods, more) if line)]


def _told(it: Mapping[str, Any]) -> str:
    counts, images = it["counts"], ", ".join(it["images"].values())
    if it["replica_set"] is None:  # in check mode
        return f"would run {images}"
    return f"{it['replica_set']}: {counts['ready']} of {counts['desired']} pods Ready, {images}"
