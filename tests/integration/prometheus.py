# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Prometheus (Debian's package, unpacked into the cache and not installed) that scrapes the pods of a cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.locks import exclusive
from tests.cluster.paths import cache_root
from tests.cluster.ports import free_ports

# The first scrape of a target may come this late, whatever the interval.
STARTUP_SECONDS = 60.0


def program() -> Path:
    """From PATH, or from the cache, or from Debian's archive."""
    if installed := shutil.which("prometheus"):
        return Path(installed)
    directory = cache_root() / "prometheus"
    found = directory / "usr" / "bin" / "prometheus"
    with exclusive(cache_root() / "locks" / "prometheus"):
        if not found.exists():
            directory.mkdir(parents=True, exist_ok=True)
            subprocess.run(["apt-get", "download", "prometheus"], cwd=directory, check=True, capture_output=True)
            (package,) = directory.glob("prometheus_*.deb")
            subprocess.run(["dpkg", "-x", package, directory], check=True)
            package.unlink()
    return found


@dataclass(frozen=True)
class Prometheus:
    """Debian's build knows no Kubernetes: what it scrapes is written to files that it watches."""

    url: str
    targets: Path

    def scrape(self, pods: Iterable[Mapping[str, Any]], port: int, group: str = "all") -> None:
        """These pods, as the API lists them, from now on, in place of what the group was before; they are named by labels pod and
        namespace."""
        groups = [
            {
                "targets": [f"{pod['status']['podIP']}:{port}"],
                "labels": {"pod": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]},
            }
            for pod in pods
        ]
        written = self.targets / f"{group}.new"
        written.write_text(json.dumps(groups))
        written.rename(written.with_suffix(".json"))


@contextmanager
def running(directory: Path) -> Iterator[Prometheus]:
    """Scrapes every second."""
    targets = directory / "targets"
    targets.mkdir()
    discovery = {"files": [f"{targets}/*.json"], "refresh_interval": "1s"}
    job = {"job_name": "pods", "file_sd_configs": [discovery]}
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [
            program(),
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ],
    )
    try:
        yield Prometheus(f"http://127.0.0.1:{port}", targets)
    finally:
        process.terminate()
        process.wait(20)


def wait_for_series(url: str, query: str, least: int) -> None:
    """Until the query gives so many series."""
    deadline = time.monotonic() + STARTUP_SECONDS
    found = 0
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/api/v1/query?query={urllib.parse.quote(query)}", timeout=2) as answer:
                found = len(json.load(answer)["data"]["result"])
        except OSError:
            found = 0
        if found >= least:
            return
        time.sleep(0.2)
    raise AssertionError(f"{query} gave {found} series and not {least} within {STARTUP_SECONDS:g} s")
