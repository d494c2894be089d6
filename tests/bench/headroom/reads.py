# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One reading of a cluster in a process of its own, so that its memory is its own: `python -m tests.bench.headroom.reads --help`.

It prints one line of JSON: what was found, the seconds from the first request to the answer, and the peak of resident memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect, preload
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, NewTemplate, Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest, headroom

from .crowd import NAME, NAMESPACE

MIB = 1024.0


def verb(host: str) -> dict[str, Any]:
    """canary_headroom_info as a module runs it."""
    with connect(Connection(host=host, api_key="none")) as api:
        call = Call(Target(NAME, NAMESPACE))
        outcome = headroom(api, HeadroomRequest(call, NewTemplate(images={"app": "app:2"})), lambda line: None)
    return dict(outcome.extra["headroom"])


def without_msgspec(host: str) -> dict[str, Any]:
    """The same where msgspec is not installed."""
    sys.modules["msgspec"] = None  # type: ignore[assignment]
    return verb(host)


def typed_client(host: str) -> dict[str, Any]:
    """All pods by the client library's own models, as most scripts read them."""
    from kubernetes import client

    core = client.CoreV1Api(client.ApiClient(client.Configuration(host=host)))
    pods: list[Any] = []
    position = None
    while position is None or position:
        page = core.list_pod_for_all_namespaces(limit=500, _continue=position)
        pods.extend(page.items)
        position = page.metadata._continue or ""
    return {"read": {"pods": len(pods)}}


WAYS: dict[str, Callable[[str], dict[str, Any]]] = {
    "msgspec": verb,
    "json": without_msgspec,
    "typed": typed_client,
}


def peak_mib() -> float:
    """The most memory that this process ever had resident."""
    with open("/proc/self/status") as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return kib / MIB


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("host", help="http://127.0.0.1:PORT of the stand-in")
    given = parser.parse_args(arguments)
    preload()
    began, cpu = time.monotonic(), time.process_time()
    found = WAYS[given.way](given.host)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mib": peak_mib(), "found": found}))


if __name__ == "__main__":
    main(sys.argv[1:])
