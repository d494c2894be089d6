# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody else may do to a release at any moment, whatever it finds, and whoever holds the Deployment.

    python -m tests.integration.interference KUBECONFIG NAMESPACE

acts as each line of its input says: a list of pairs in JSON, [name of a Deployment, act]. When all is done, it tells in a line what was
refused: a list of texts in JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    LeaseAsked,
    NewTemplate,
    Size,
    StartRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from tests.integration.releases import CONTAINER, Release, image, silent

SOMEBODY = "somebody"


def taking(release: Release) -> Release:
    """The same, from whichever run has it."""
    taker = replace(release)
    taker.call = replace(release.call, lease=LeaseAsked(takeover=True))
    return taker


def swap(release: Release) -> None:
    """Takes back what is held, and holds v3."""
    undo(release)
    call = taking(release).call
    asked = StartRequest(call, NewTemplate(images={CONTAINER: image("v3")}), Size(1), run=SOMEBODY)
    start(release.api, asked, silent)


def undo(release: Release) -> None:
    taking(release).undo("somebody else's")


def promote(release: Release) -> None:
    taking(release).promote()


def pause(release: Release) -> None:
    taking(release).pause()


def scale(release: Release) -> None:
    release.api.patch(release.path, {"spec": {"replicas": 5}}, PatchKind.MERGE)


def nothing(release: Release) -> None:
    del release


ACTS: dict[str, Callable[[Release], None]] = {
    "swap": swap,
    "undo": undo,
    "promote": promote,
    "pause": pause,
    "scale": scale,
    "nothing": nothing,
}


def main(kubeconfig: str, namespace: str) -> None:
    def act(one: tuple[str, str]) -> str:
        name, what = one
        try:
            with connect(Connection(kubeconfig=kubeconfig)) as api:
                ACTS[what](Release(api, namespace, name=name))
        except (VerbFailure, ApiError) as refused:
            return f"{name}: {what}: {refused}"
        return ""

    for line in sys.stdin:
        due = json.loads(line)
        with ThreadPoolExecutor(len(due)) as threads:
            print(json.dumps(list(filter(None, threads.map(act, due)))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
