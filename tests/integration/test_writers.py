# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/writers.md on a real cluster: every other writer in every phase of a release, each with Deployments of its own, many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import product

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.beside import asked_for, under_way
from tests.integration.situations import old_pods, webs
from tests.sim import test_writers as simulated
from tests.sim.writers import PHASES, SCALED, WRITERS, running
from tests.situations import Json, Web
from tests.toolchain.writers import cells

Cell = tuple[str, str]

AT_ONCE = 14
CELLS: list[Cell] = [*product(PHASES, WRITERS)]
# What is played in `make test`, one for each thing that a server or a controller does there; the others are in `make slow`.
SHORT: dict[Cell, str] = {
    ("held", "kubectl set image"): "whoever takes the template from us is in managedFields with the time",
    ("held", "kubectl apply --server-side --force-conflicts"): "an apply by force is, too",
    ("between steps", "kubectl apply --server-side"): "an apply without force is refused while fields are ours",
    ("undoing", "kubectl apply --server-side"): "an apply of what is there already is not",
    ("promoting", "kubectl apply"): "a promotion does not go on under another template",
    ("undoing", "kubectl set image"): "of two versions beside a new one the older gives up its pods first",
    ("done", "kubectl apply --server-side"): "after the release no field is ours any more",
}
SCALES = ("kubectl scale", "a HorizontalPodAutoscaler")


def played(new: Callable[..., Web], phase: str, writer: str) -> None:
    """Looked at some seconds after the write; which pods the controller leaves where it races is not looked at."""

    def later(web: Web) -> None:
        cell = cells()[phase][writer]
        web.admin.clock.sleep(2.0)
        if writer in SCALES:
            web.until(lambda: web.spec["replicas"] == SCALED, f"scaled by {writer}")
        if not cell.get("left"):
            runs = cell.get("runs", "")
            web.until(lambda: running(web) == runs, f"{runs or 'nothing'} after {writer}")
        if phase == "done" and cell.get("runs"):
            web.settle()

    simulated.test_what_becomes_of_a_release_when_somebody_else_writes(
        phase, writer, new, later=later, ages=old_pods, races=True
    )


# How programs call themselves that give no name for the fields that they manage, and how those are called who run them.
PROGRAMS = {
    "k9s/v0.50.9 (linux/amd64) kubernetes/$Format": "a person with k9s",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "a person with a browser",
    "curl/8.14.1": "a person with curl",
    "HashiCorp/1.0 Terraform/1.13.0": "Terraform",
    "OpenAPI-Generator/33.1.0/python": "kubernetes.core or another client in Python",
}


def by_program(web: Web, spec: Json, *, program: str, kubeconfig: str) -> None:
    with connect(Connection(kubeconfig=kubeconfig), user_agent=program) as api:
        api.patch(web.path, {"spec": spec}, PatchKind.STRATEGIC, field_manager="")


def named(lab: Lab | ForeignCluster, new: Callable[..., Web], phase: str) -> None:
    others = [
        (partial(by_program, program=program, kubeconfig=str(lab.kubeconfig)), who) for program, who in PROGRAMS.items()
    ]
    simulated.test_whoever_wrote_last_is_named_with_what_and_when(phase, new, others)


@pytest.fixture(scope="module")
def ends(lab: Lab | ForeignCluster, request: pytest.FixtureRequest) -> Iterator[Callable[[str | Cell], None]]:
    """Those that were asked for are under way."""
    asked: list[str | Cell] = asked_for("case", request)
    with ExitStack() as held:
        # A namespace for each phase: whoever looks at a Deployment lists what is in its namespace.
        new = {phase: held.enter_context(webs(lab)) for phase in sorted({_phase(case) for case in asked})}
        cases = {
            case: partial(named, lab, new[case], case)
            if isinstance(case, str)
            else partial(played, new[case[0]], *case)
            for case in asked
        }
        with under_way(cases, AT_ONCE) as ends:
            yield ends


def _phase(case: str | Cell) -> str:
    return case if isinstance(case, str) else case[0]


def marked(cell: Cell) -> object:
    return pytest.param(cell, id="-".join(cell), marks=[] if cell in SHORT else [pytest.mark.slow])


@pytest.mark.parametrize("case", [marked(cell) for cell in CELLS])
def test_a_real_cluster_does_what_the_page_says(case: Cell, ends: Callable[[Cell], None]) -> None:
    ends(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", simulated.CHANGES)
def test_whoever_wrote_last_is_named_by_what_the_server_tells_of_him(case: str, ends: Callable[[str], None]) -> None:
    ends(case)
