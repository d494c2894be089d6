# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Kubernetes' own code, built from the modules that go.mod pins, what it makes of pod templates and manifests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..build import go_build

Json = dict[str, Any]


@dataclass(frozen=True)
class Semantics:
    """`program` is main.go, built."""

    program: Path

    @classmethod
    def built(cls, directory: Path) -> Semantics:
        go_build("./semantics", directory / "semantics", "-s -w")
        return cls(directory / "semantics")

    def same(self, pairs: Iterable[tuple[Json, Json]]) -> list[bool]:
        """For each pair of pod templates, whether the Deployment controller takes the two for the same."""
        return self._lines("same", ({"one": one, "other": other} for one, other in pairs))

    def schema(self) -> dict[str, list[str]]:
        """`quantities`, `texts`, `numbers` and `empty`: see main.go."""
        return dict(self._lines("schema", ())[0])

    def objects(self, texts: Iterable[str]) -> list[list[Any] | None]:
        """For each text the objects that kubectl reads in it; None where it refuses it."""
        return self._lines("yaml", texts)

    def _lines(self, mode: str, asked: Iterable[Any]) -> list[Any]:
        given = "".join(json.dumps(one) + "\n" for one in asked)
        said = subprocess.run([self.program, mode], input=given, capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in said.splitlines()]
