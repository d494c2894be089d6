# SPDX-License-Identifier: GPL-3.0-or-later
"""Free loopback ports, so that several clusters can run at once."""

from __future__ import annotations

import random
import socket

# below Linux' ephemeral ports (32768 up) and Kubernetes' NodePorts (30000 up): nothing takes them by chance
FIRST, LAST = 20000, 29999


def free_ports(count: int) -> list[int]:
    """`count` different ports that can be bound on all addresses right now. Random, so that two starters rarely meet.

    Somebody else may still be faster: the caller starts again with other ports when a daemon says that its port is taken.
    """
    found: list[int] = []
    for port in random.sample(range(FIRST, LAST + 1), LAST + 1 - FIRST):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"fewer than {count} free ports between {FIRST} and {LAST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
