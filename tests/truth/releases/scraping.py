# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One real Prometheus that scrapes the pods of all lanes, also those that come later."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from tests.cluster.lab import Lab
from tests.integration.prometheus import running

from .lane import LABEL, PORT

REFRESH_SECONDS = 1.0


@contextmanager
def scraping(lab: Lab, directory: Path) -> Iterator[str]:
    """Its URL."""
    ended = threading.Event()
    with running(directory) as prometheus, connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:

        def refresh() -> None:
            while not ended.wait(REFRESH_SECONDS):
                try:
                    pods = api.list("/api/v1/pods", {"labelSelector": f"{LABEL}=yes"})["items"]
                except ApiError:
                    continue  # the next second is soon enough
                prometheus.scrape((pod for pod in pods if pod["status"].get("podIP")), PORT)

        refresher = threading.Thread(target=refresh, daemon=True)
        refresher.start()
        try:
            yield prometheus.url
        finally:
            ended.set()
            refresher.join()
