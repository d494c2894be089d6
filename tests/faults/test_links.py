# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole releases by both doors where the way to the API server is not the usual one: by IPv6 alone, and by a slow link."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.watch import Streams, Watched
from tests.cluster.controlplane import LOOPBACK_6
from tests.cluster.lab import Lab, start_lab
from tests.exactness.recorder import Recorder
from tests.faults.doors import Door, Line
from tests.integration.access import read_access
from tests.integration.situations import webs
from tests.integration.test_frontdoor import AS_MODULE, Stage, task
from tests.situations import Web, image

pytestmark = pytest.mark.slow

# As from a train: 300 ms each way, and 256 kbit/s.
SLOW = Line(delay=0.3, rate=32_000.0)
REPLICAS = 3
PATIENCE = 60.0


@dataclass(frozen=True)
class Link:
    """`kubeconfig` leads by it. `least`: seconds that a whole release takes by it at the very least."""

    lab: Lab
    kubeconfig: Path
    least: float


@contextmanager
def by_ipv6(folder: Path) -> Iterator[Link]:
    try:
        socket.create_server((LOOPBACK_6, 0), family=socket.AF_INET6).close()
    except OSError as why:
        pytest.skip(f"this machine has no IPv6: {why}")
    with start_lab(address=LOOPBACK_6) as lab:
        assert lab.server.startswith(f"https://[{LOOPBACK_6}]:")
        yield Link(lab, lab.kubeconfig, 0.0)


@contextmanager
def by_a_slow_link(folder: Path) -> Iterator[Link]:
    with start_lab() as lab:
        door, content = Door(lab.server, SLOW), read_access(lab.kubeconfig, folder).content
        content["clusters"][0]["cluster"]["server"] = door.address
        (folder / "config").write_text(yaml.safe_dump(content))
        # It cannot do with fewer than ten requests, one after the other.
        yield Link(lab, folder / "config", 10 * 2 * SLOW.delay)
        door.close()


@pytest.fixture(scope="module", params=[by_ipv6, by_a_slow_link], ids=["IPv6", "a slow link"])
def link(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    with request.param(tmp_path_factory.mktemp("link")) as found:
        yield found


@pytest.fixture
def new(link: Link) -> Iterator[Callable[..., Web]]:
    with webs(link.lab) as make:
        yield make


@pytest.fixture(scope="module")
def onlooker(link: Link) -> Iterator[Recorder]:
    recorder = Recorder(link.lab)
    yield recorder
    recorder.close()


@pytest.mark.parametrize("door", [{}, AS_MODULE], ids=["in ansible-playbook's own process", "as a module"])
def test_a_whole_release(
    door: dict[str, Any], link: Link, new: Callable[..., Web], onlooker: Recorder, tmp_path: Path
) -> None:
    web = new().make(REPLICAS, annotations={"lab.coalmine/ready-after": "1500"})
    before = web.spec
    onlooker.mark(web.namespace)
    asked = {"name": web.name, "namespace": web.namespace, "images": {"app": image("v2")}, "steps": [{"pods": 1}]}
    begun = time.monotonic()
    (result,) = Stage(tmp_path, link.kubeconfig, web.namespace).play({**task("release", **asked), **door}).results
    taken = time.monotonic() - begun
    assert result.get("release", {}).get("outcome") == "released", result
    web.assert_clean(before, "v2")
    assert onlooker.since_mark(web.namespace).fewest == REPLICAS
    assert taken > link.least


def test_streams_tell_at_once_what_happens(link: Link, new: Callable[..., Web]) -> None:
    web = new().make(1)
    pods = Watched("pods", f"/api/v1/namespaces/{web.namespace}/pods", {})
    with connect(Connection(kubeconfig=str(link.kubeconfig))) as api, Streams(api, [pods]) as streams:
        assert [event.type for _name, event in streams.batch(PATIENCE)] == ["ADDED"]
        web.scale(0)
        assert [event.type for _name, event in streams.batch(PATIENCE)][:1] == ["MODIFIED"]
        assert not streams.ended
