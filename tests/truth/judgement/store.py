# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results on disk, a line a chunk, so that a study that was stopped goes on where it was."""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from pathlib import Path

import numpy as np

from .cells import Cell

SEED = 20261123
CHUNK = 1_000


class Store:
    """`path`: JSON lines, each with the cell's name, the number of the chunk and what its runs gave (null: never)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chunks: dict[str, dict[int, list[float]]] = defaultdict(dict)
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self._chunks[row["cell"]][row["chunk"]] = [np.inf if n is None else n for n in row["stopped"]]

    def missing(self, cell: Cell) -> list[int]:
        return [chunk for chunk in range(cell.runs // CHUNK) if chunk not in self._chunks[cell.name]]

    def run(self, cell: Cell, chunk: int) -> None:
        rng = np.random.default_rng([SEED, zlib.crc32(cell.name.encode()), chunk])
        stopped = [float(n) for n in cell.run(rng, CHUNK)]
        self._chunks[cell.name][chunk] = stopped
        row = {"cell": cell.name, "chunk": chunk, "stopped": [int(n) if np.isfinite(n) else None for n in stopped]}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row, separators=(",", ":")) + "\n")

    def stopped(self, name: str) -> np.ndarray:
        chunks = self._chunks.get(name, {})
        return np.concatenate([chunks[number] for number in sorted(chunks)]) if chunks else np.array([])
