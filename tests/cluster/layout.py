# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of one cluster. Everything that `down` needs is here, so that it also works for a cluster whose starter died."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .journal import Journal


@dataclass(frozen=True)
class Layout:
    """The directory of one cluster and what lies where in it."""

    directory: Path

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.directory / "admin.conf"

    @property
    def identity(self) -> str:
        """Eight characters that only this cluster has: part of the name of whatever it makes outside its directory."""
        return hashlib.sha256(str(self.directory).encode()).hexdigest()[:8]

    @property
    def journal(self) -> Journal:
        """What has been changed on the machine."""
        return Journal(self.directory / "journal")

    @property
    def users(self) -> Path:
        """Whoever uses the cluster holds a shared lock on this file; the watchdog waits for the last one to let go."""
        return self.directory / "users.lock"

    @property
    def alive(self) -> Path:
        """Every process of the cluster holds a shared lock on this file for as long as it lives."""
        return self.directory / "alive.lock"

    @property
    def kept(self) -> Path:
        """Exists when the cluster is to outlive its starter (`python -m tests.cluster up`)."""
        return self.directory / "kept"

    @property
    def description(self) -> Path:
        """What was started, written when the cluster is ready."""
        return self.directory / "lab.json"

    def record(self, name: str) -> Path:
        """Who the process called `name` is; see processes.py."""
        return self.directory / "run" / f"{name}.pid"

    def records(self) -> list[Path]:
        return sorted((self.directory / "run").glob("*.pid"))

    def log(self, name: str) -> Path:
        (self.directory / "logs").mkdir(exist_ok=True)
        return self.directory / "logs" / f"{name}.log"

    def log_tails(self, names: Iterable[str], lines: int = 5) -> str:
        """The last lines of some logs, for an error that has to explain itself after the directory is gone."""
        tails = []
        for name in names:
            if self.log(name).exists():
                last = self.log(name).read_text(errors="replace").splitlines()[-lines:]
                tails.append("\n".join([f"--- {name}", *last]))
        return "\n".join(tails)

    def describe(self, **facts: Any) -> None:
        """Writes the description in one step: whoever sees the file sees all of it."""
        partial = self.description.with_suffix(".partial")
        partial.write_text(json.dumps(facts, indent=1))
        partial.rename(self.description)

    def described(self) -> dict[str, Any] | None:
        """The description, None while the cluster is not ready."""
        try:
            facts: dict[str, Any] = json.loads(self.description.read_text())
            return facts
        except FileNotFoundError:
            return None
