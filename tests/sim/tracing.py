# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens in a history, line by line, for people."""

from __future__ import annotations

import re

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import UNNAMED

from .objects import Json, version_of
from .store import Change, Store

_RUN = re.compile(rf"{UNNAMED}[0-9a-f]{{32}}")


class Trace:
    """`lines` stay empty unless they were asked for. Runs that nobody has named, which have other names each time, are numbered."""

    def __init__(self, store: Store, *, wanted: bool) -> None:
        self.lines: list[str] = []
        self._runs: dict[str, str] = {}
        self._timeline, self._wanted = store.timeline, wanted
        if wanted:
            store.listen(self._changes)

    def add(self, who: str, line: str) -> None:
        if self._wanted:
            told = _RUN.sub(lambda run: self._runs.setdefault(run[0], f"{UNNAMED}{len(self._runs) + 1}"), line)
            self.lines.append(f"{self._timeline.now:9.3f}  {who:<24} {told}")

    def _changes(self, change: Change) -> None:
        self.add(change.by, f"{change.type.lower():<8} {change.kind} {change.name}: {_summary(change.object)}")


def _summary(obj: Json) -> str:
    """What a reader of a trace wants to know of an object."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    told = []
    if "template" in spec:
        rolling = (spec.get("strategy") or {}).get("rollingUpdate")
        told = [
            f"{version_of(spec['template'])} x {spec['replicas']}",
            f"minReady {spec.get('minReadySeconds', 0)}",
            *([f"{rolling['maxSurge']}/{rolling['maxUnavailable']}"] if rolling else []),
            *(["paused"] if spec.get("paused") else []),
            f"generation {status.get('observedGeneration')}/{meta.get('generation')}",
            f"pods {status.get('replicas', 0)} ready {status.get('readyReplicas', 0)}"
            f" available {status.get('availableReplicas', 0)}",
        ]
    elif obj["kind"] == "Pod":
        told = [str(spec["containers"][0]["image"]), *(f"{c['type']}={c['status']}" for c in status["conditions"])]
        told += ["terminating"] if "deletionTimestamp" in meta else []
    elif "maxReplicas" in spec:
        told = [f"{spec['minReplicas']}..{spec['maxReplicas']}"]
    elif "message" in obj:
        told = [obj["message"]]
    return ", ".join(told)
