# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/source/writers.yml is what happens: every other writer in every phase of a release."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import product

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Wait
from tests.sim.writers import PHASES, WRITERS, Told, told
from tests.situations import Json, Web, image
from tests.toolchain.writers import cells


def expected(phase: str, writer: str) -> Told:
    cell = cells()[phase][writer]
    texts = {name: cell.get(name, "") for name in ("runs", "seen", "by", "next", "back")}
    return Told(refused="refused" in cell, **texts)


def ten_seconds(web: Web) -> None:
    web.admin.clock.sleep(10.0)


@pytest.mark.parametrize(("phase", "writer"), [*product(PHASES, WRITERS)])
def test_what_becomes_of_a_release_when_somebody_else_writes(
    phase: str,
    writer: str,
    new: Callable[..., Web],
    later: Callable[[Web], object] = ten_seconds,
    ages: Callable[[Web], AbstractContextManager[object]] = nullcontext,
    races: bool = False,
) -> None:
    def patient() -> Web:
        web = new()
        web.wait = Wait(timeout=2000.0)
        return web

    found, wanted = told(patient, phase, writer, later, ages), expected(phase, writer)
    if races and (left := cells()[phase][writer].get("left")):
        assert found.runs in (wanted.runs, f"{wanted.runs} + {left}")
        found = replace(found, runs=wanted.runs)
    assert found == wanted


# Writes this spec to the Deployment.
Hand = Callable[[Web, Json], object]

# As whom tools write: the manager, whether it applies, and how it is called.
HANDS = (
    ("argocd-controller", True, "Argo CD"),
    ("argocd-application-controller", False, "Argo CD"),
    ("argocd-server", False, "Argo CD"),
    ("kustomize-controller", True, "Flux"),
    ("helm-controller", False, "Flux"),
    ("helm", False, "Helm"),
    ("Terraform", True, "Terraform"),
    ("pulumi-kubernetes", True, "Pulumi"),
    ("kubectl-client-side-apply", False, "kubectl apply"),
    ("kubectl", True, "kubectl apply --server-side"),
    ("kubectl", False, "kubectl"),
    ("kubectl-edit", False, "kubectl edit"),
    ("kubectl-patch", False, "kubectl patch"),
    ("kubectl-replace", False, "kubectl replace"),
    ("kubectl-set", False, "kubectl set"),
    ("kubectl-rollout", False, "kubectl rollout"),
    ("release-bot", False, '"release-bot"'),
)
# What they do, as it is called, by the phase that follows: each time something else.
CHANGES: dict[str, tuple[Callable[[int], Json], str]] = {
    "foreign": (
        lambda n: {"template": {"spec": {"containers": [{"name": "app", "image": image(f"v{3 + n}")}]}}},
        "replaced the pod template",
    ),
    "damaged": (lambda n: {"minReadySeconds": 1 + n}, "ended the hold by putting minReadySeconds back"),
}


def by_hand(web: Web, spec: Json, manager: str, applies: bool) -> None:
    if applies:
        manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": web.name}, "spec": spec}
        options = ("--server-side", "--force-conflicts", f"--field-manager={manager}")
        web.kubectl("apply", *options, "-f", "-", input=json.dumps(manifest))
    else:
        web.admin.patch(web.path, {"spec": spec}, PatchKind.STRATEGIC, field_manager=manager)


@pytest.mark.parametrize("phase", CHANGES)
def test_whoever_wrote_last_is_named_with_what_and_when(
    phase: str, new: Callable[..., Web], others: Sequence[tuple[Hand, str]] = ()
) -> None:
    """`others`: more who write, and how they are called."""
    known: list[tuple[Hand, str]] = [
        (partial(by_hand, manager=manager, applies=applies), who) for manager, applies, who in HANDS
    ]
    spec_of, what = CHANGES[phase]
    web, times = new().make(4), list[str]()
    web.start()
    for number, (writes, who) in enumerate((*known, *others)):
        # Times of writes are whole seconds.
        web.admin.clock.sleep(1.1)
        writes(web, spec_of(number))
        found = web.info()
        said, _at, time = found["why"].rpartition(" at ")
        assert (found["phase"], said) == (phase, f"{who} {what}")
        times.append(time)
    assert times == sorted(set(times))


def test_the_page_has_every_phase_and_every_writer() -> None:
    assert {phase: [*rows] for phase, rows in cells().items()} == {phase: [*WRITERS] for phase in PHASES}
