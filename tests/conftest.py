# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster that the tests run against: one for a whole run, shared by its workers, gone when the last one ends."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from tests.cluster.build import Say, tell
from tests.cluster.fakes import Capacity
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.cluster.realnodes.machine import RealNodesImpossible, expected
from tests.cluster.shared import join_or_start

# Namespaces of tests that are over may take a while to go: their pods must not be in the way of others.
PODS_OF_A_RUN = 1000
# What takes longest begins first: a worker that has it last keeps the others waiting.
LONGEST = (
    "test_role.py",
    "test_frontdoor.py",
    "test_waiting.py",
    "test_headroom.py",
    "test_verify_prometheus.py",
    "test_crash_safety.py",
    "test_verify.py",
    "test_repair.py",
    "test_model_against_controller.py",
    "test_headroom_truth.py",
    "test_judged_releases.py",
    "test_exactness.py",
    "test_commands.py",
    "test_verify_secrets.py",
    "test_role_promotes.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def lab(testrun: str, say: Say) -> Iterator[Lab | ForeignCluster]:
    """Fake nodes under a real control plane; or the cluster that CANARY_TEST_KUBECONFIG names."""
    if foreign := ForeignCluster.named():
        yield foreign
        return
    shared = join_or_start(f"pytest-{testrun}", say=say, capacity=Capacity(pods=PODS_OF_A_RUN))
    yield shared
    shared.leave()


@pytest.fixture(scope="session")
def real_lab(testrun: str, say: Say) -> Iterator[Lab]:
    """One real node that knows the images of tests/cluster/images.py. Skipped, with the reason, where none can run."""
    try:
        shared = join_or_start(f"pytest-real-{testrun}", say=say, real_nodes=1)
    except RealNodesImpossible as reason:
        if expected():
            raise
        pytest.skip(f"no real nodes on this machine: {str(reason).splitlines()[0]}")
    yield shared
    shared.leave()


@pytest.fixture(scope="session")
def answering_lab(testrun: str, say: Say) -> Iterator[Lab]:
    """Fake nodes whose pods answer HTTP at `answering_lab.port`."""
    if os.geteuid() != 0:
        pytest.skip("the pods' addresses need a route on lo: only root can add it")
    shared = join_or_start(
        f"pytest-answering-{testrun}", say=say, answering=True, capacity=Capacity(pods=PODS_OF_A_RUN)
    )
    yield shared
    shared.leave()


def _fresh_namespace(lab: Lab | ForeignCluster) -> Iterator[str]:
    """For one test; its removal is asked for and not waited for."""
    name = lab.create_namespace()
    yield name
    lab.delete_namespace(name)


@pytest.fixture
def namespace(lab: Lab | ForeignCluster) -> Iterator[str]:
    yield from _fresh_namespace(lab)


@pytest.fixture
def real_namespace(real_lab: Lab) -> Iterator[str]:
    """Like `namespace`, on the real node."""
    yield from _fresh_namespace(real_lab)


@pytest.fixture
def answering_namespace(answering_lab: Lab) -> Iterator[str]:
    """Like `namespace`, where pods answer."""
    yield from _fresh_namespace(answering_lab)


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Say:
    """Told at once, past pytest's capture: for whom a cluster waits, and what is being built."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None

    def aloud(line: str) -> None:
        with capture.global_and_fixture_disabled():
            tell(line)

    return aloud


@pytest.fixture(scope="session")
def testrun(request: pytest.FixtureRequest) -> str:
    """The same in all workers of one run (pytest-xdist), another one in every other run."""
    worker = getattr(request.config, "workerinput", None)
    return (str(worker["testrunuid"]) if worker else uuid.uuid4().hex)[:12]
