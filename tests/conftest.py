# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster that the tests run against: one for a whole run, shared by its workers, gone when the last one ends."""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Generator, Iterator
from subprocess import TimeoutExpired
from types import ModuleType

import pytest
from hypothesis import settings

from tests.cluster.build import VARIABLE, Say, minor_version, tell
from tests.cluster.contents import contents
from tests.cluster.fakes import Capacity
from tests.cluster.foreign import ForeignCluster
from tests.cluster.gateway.server import Gateway, add_gateway
from tests.cluster.kubectl import KubectlFailed
from tests.cluster.lab import Lab
from tests.cluster.realnodes.machine import RealNodesImpossible, expected
from tests.cluster.shared import join_or_start
from tests.toolchain.durations import MEASURED, file_of, longest_first
from tests.toolchain.limits import UNMEASURED, limit
from tests.toolchain.surroundings import clear

# Namespaces of tests that are over may take a while to go: their pods must not be in the way of others.
PODS_OF_A_RUN = 1000
# Fixtures of a cluster, and of the namespace in it that belongs to one test.
NAMESPACES = (("lab", "namespace"), ("real_lab", "real_namespace"), ("answering_lab", "answering_namespace"))

# Characters of one value in the name of a test.
GLANCE = 42

pytest_plugins = ["tests.toolchain.outcomes"]

# Properties hold however long a machine takes: with a deadline, an example slower than 200 ms would count as a failure.
# The same examples in every run of `make test`; others, and many more, in every run of `make slow`, which prints how to repeat a failure.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("random", deadline=None, print_blob=True, max_examples=1000)
# 13 verbs through two doors: 10,000 calls.
settings.register_profile("fuzz", deadline=None, print_blob=True, max_examples=400)
settings.load_profile("repeatable")


def pytest_make_parametrize_id(val: object) -> str | None:
    """As much of a text as is read at a glance, and of a module its own name; None leaves it to pytest."""
    if isinstance(val, ModuleType):
        return val.__name__.rpartition(".")[2]
    if isinstance(val, str) and len(val) > GLANCE:
        return ascii(val)[1 : GLANCE - 2] + "..."
    return None


def pytest_configure() -> None:
    clear(os.environ)
    # Until all is collected, nearly all of which stays.
    gc.disable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The order of the files, and how long each test may take."""
    places = longest_first((item.nodeid for item in items), config.stash[MEASURED])
    items.sort(key=lambda item: places[file_of(item.nodeid)])
    for item in items:
        marks = [mark.name for mark in item.iter_markers()]
        if "timeout" not in marks:
            item.add_marker(pytest.mark.timeout(limit(item.nodeid, marks), func_only=True))
        if item.nodeid.startswith(UNMEASURED):
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """What was imported and collected stays until the end: the collector of garbage need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What an older Kubernetes does not have is not looked for there."""
    for mark in item.iter_markers("since"):
        minor, reason = mark.args
        if minor_version() < tuple(map(int, minor.split("."))):
            pytest.skip(f"Kubernetes {minor}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the namespace of a test holds when it fails is shown with it."""
    report = yield
    given = getattr(item, "funcargs", {})
    for lab, namespace in NAMESPACES:
        if report.failed and report.when != "teardown" and {lab, namespace} <= given.keys():
            report.sections.append((f"namespace {given[namespace]}", _contents(given[lab], given[namespace])))
    return report


def _contents(lab: Lab | ForeignCluster, namespace: str) -> str:
    try:
        return contents(lab.kubectl, namespace)
    except (KubectlFailed, TimeoutExpired) as error:
        return f"cannot be read any more: {error}"


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
    if os.environ.get(VARIABLE):
        pytest.skip("real nodes are there for the newest Kubernetes alone")
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


@pytest.fixture(scope="session")
def gateway(answering_lab: Lab, say: Say) -> Gateway:
    """Traefik before the pods that answer."""
    return add_gateway(answering_lab, say)


def _fresh_namespace(lab: Lab | ForeignCluster) -> Iterator[str]:
    """For one test; the removal of what runs there is asked for and not waited for."""
    name = lab.create_namespace()
    yield name
    lab.vacate(name)


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
