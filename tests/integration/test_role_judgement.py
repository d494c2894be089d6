# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role judges: several releases side by side in one run of a playbook, each a host with variables of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.playbooks import FAILED
from tests.integration.plays import V1, V2, Ended, releases, run, side_by_side
from tests.integration.releases import CONTAINER, Release, begin

pytestmark = pytest.mark.slow  # test_role.py has the short of it


def events(release: Release) -> list[tuple[str, str]]:
    """Reasons and messages of those that are ours."""
    found = release.api.list(f"/api/v1/namespaces/{release.namespace}/events")["items"]
    return [
        (event["reason"], event["message"])
        for event in found
        if event["involvedObject"]["name"] == release.name and event["reason"].startswith("Canary")
    ]


def samples(canary: int, stable: int, rows: int = 5) -> list[dict[str, Any]]:
    """Bad of 1000 in each row."""
    return [
        {"time": 10 * row, "canary": {"bad": canary, "total": 1000}, "stable": {"bad": stable, "total": 1000}}
        for row in range(1, rows + 1)
    ]


def own(canary: int, stable: int = 5, rows: int = 5) -> dict[str, Any]:
    return {"name": "own", "samples": samples(canary, stable, rows), "max_ratio": 1.5, "max_increase": 0.01}


UNDECIDED: dict[str, Any] = {"checks": [own(5, rows=1)], "check_duration": 3, "check_interval": 1}


def judged(port: int) -> dict[str, Any]:
    """Held, judged and guarded by requests to the pods."""
    http = {"http": {"via": "pod", "rate": 60, "port": port}}
    tolerated = {"max_ratio": 1.5, "max_increase": 0.05, "bucket_seconds": 2}
    return {"checks": [http | tolerated, {"pods": {}}], "check_duration": 120, "check_interval": 1, "guard": 60}


class TestVerdicts:
    """By counts of the user's own, which decide at once; as the account that the collection ships. Hosts whose steps differ
    run side by side."""

    @pytest.fixture(scope="class")
    @staticmethod
    def ended(lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ended, Any]]:
        directory = tmp_path_factory.mktemp("role")
        tasks = directory / "count.yml"
        tasks.write_text(
            '- {name: Count, ansible.builtin.set_fact: {my_samples: "{{ canary_my_counts[canary_release.step - 1] }}"}}\n'
        )
        of_my_own = {"samples": "{{ my_samples | default([]) }}", "max_ratio": 1.5, "max_increase": 0.01}
        hosts: dict[str, dict[str, Any]] = {
            "fails": {"checks": [own(28)]},
            "surer": {**UNDECIDED, "checks": [own(28)], "confidence": 0.9999, "on_inconclusive": "promote"},
            "colder": {**UNDECIDED, "checks": [own(28)], "check_warmup": 60, "on_inconclusive": "promote"},
            "left": {"checks": [own(60)], "on_failure": "hold"},
            "waits": dict(UNDECIDED),
            "careful": {**UNDECIDED, "on_inconclusive": "undo"},
            "bold": {**UNDECIDED, "on_inconclusive": "promote"},
            "late": {"steps": [{"pods": 1, "checks": [own(5)]}, {"pods": 2}], "checks": [own(60)]},
            "counts": {
                "steps": [{"pods": 1}, {"pods": 2}],
                "checks": [{"name": "mine", **of_my_own}, {"pods": {}}],
                "verify_tasks": str(tasks),
                "my_counts": [samples(5, 5), samples(6, 5)],
                "guard": 3,
                "check_interval": 1,
            },
            "resumed": {"checks": [own(5), {"pods": {}}], "guard": 3, "check_interval": 1},
        }

        def broken_off(host: str, release: Release) -> None:
            if host == "resumed":
                release.start("v2")
                begin(release, "promote")

        with side_by_side(lab, directory, hosts, broken_off, strategy="linear") as played:
            yield played.it, played.made

    def test_all_of_them_ended(self, ended: tuple[Ended, Any]) -> None:
        it, _made = ended
        assert it.code == FAILED
        assert {host: result["outcome"] for host, result in it.results.items()} == {
            "fails": "undone",
            "surer": "released",
            "colder": "released",
            "left": "failed",
            "waits": "held",
            "careful": "undone",
            "bold": "released",
            "late": "undone",
            "counts": "released",
            "resumed": "already released",
        }, it.told

    def test_the_verdict_is_the_reason_of_the_undo_wherever_one_looks(self, ended: tuple[Ended, Any]) -> None:
        it, made = ended
        says = "own: the canary is worse than tolerated"
        result = it.results["fails"]
        assert says in result["why"][0] and result["why"][1] == "The stable version is back."
        assert it.verdicts("fails") == [("step 1", "fail")] and says in result["verdicts"][0]["reason"]
        assert says in made["fails"].last["reason"] and made["fails"].last["outcome"] == "undone"
        (event,) = events(made["fails"])
        assert event[0] == "CanaryUndone" and f"canary of {V2} was undone: canary of Deployment" in event[1]
        assert says in event[1]
        assert made["fails"].image == V1

    def test_on_failure_hold_leaves_a_canary_that_evidence_is_against(self, ended: tuple[Ended, Any]) -> None:
        it, made = ended
        assert it.results["left"]["canary"]["phase"] == "held"
        assert "It was left as it is, because on_failure is hold." in it.results["left"]["why"]
        assert made["left"].image == V2 and not events(made["left"])

    def test_what_is_undecided_waits_for_a_person_or_is_undone_or_promoted(self, ended: tuple[Ended, Any]) -> None:
        it, made = ended
        assert it.results["waits"]["canary"]["phase"] == "frozen"
        assert "inconclusive" in it.results["waits"]["why"][0] and made["waits"].deployment()["spec"]["paused"]
        assert "inconclusive" in made["careful"].last["reason"]
        assert [it.verdicts(host) for host in ("waits", "careful", "bold")] == [[("step 1", "inconclusive")]] * 3
        assert made["bold"].image == V2 and made["bold"].last["outcome"] == "promoted"

    def test_confidence_and_warmup_reach_the_judgement(self, ended: tuple[Ended, Any]) -> None:
        """The counts that undo a canary by default are not enough for a higher confidence, and not counted while warm."""
        it, _made = ended
        assert it.verdicts("surer") == it.verdicts("colder") == [("step 1", "inconclusive")]
        assert "where 1e+04 decides" in it.results["surer"]["verdicts"][0]["reason"]
        assert "only during the warmup" in it.results["colder"]["verdicts"][0]["reason"]

    def test_a_step_may_have_checks_of_its_own(self, ended: tuple[Ended, Any]) -> None:
        it, _made = ended
        assert it.verdicts("late") == [("step 1", "pass"), ("step 2", "fail")]

    def test_counts_of_tasks_of_ones_own_are_judged_at_each_step_and_the_guard_goes_on(
        self, ended: tuple[Ended, Any]
    ) -> None:
        it, _made = ended
        assert [of for of, _verdict in it.verdicts("counts")] == ["step 1", "step 2", "promotion", "new version alone"]
        assert [verdict for _of, verdict in it.verdicts("counts")][:2] == ["pass", "pass"]
        assert it.verdicts("counts")[3][1] == "pass"
        alone = it.results["counts"]["verdicts"][3]["reason"]
        assert "without a promise about errors: pass. pods: 0 bad events" in alone

    def test_a_guarded_promotion_that_was_broken_off_is_finished_under_guard(self, ended: tuple[Ended, Any]) -> None:
        it, made = ended
        assert it.verdicts("resumed")[-1] == ("new version alone", "pass"), (
            "as pods move, it was guarded before, or not"
        )
        assert made["resumed"].last["outcome"] == "promoted"


class TestGuard:
    """Canaries that are good while they are judged, and what becomes of them then; fake pods answer for real."""

    def test_a_canary_that_turns_bad_is_undone_while_it_is_promoted_and_rolled_back_after_it(
        self, answering_lab: Lab, answering_namespace: str, tmp_path: Path
    ) -> None:
        errors = [{"name": "ERROR_RATE", "value": "0.9"}, {"name": "ERROR_AFTER_MS", "value": "30000"}]
        asked = judged(answering_lab.port)
        hosts: dict[str, dict[str, Any]] = {
            "stays-good": asked,
            "bad-during": {
                **asked,
                "pod_template_patch": {"spec": {"containers": [{"name": CONTAINER, "env": errors}]}},
            },
            "bad-after": {
                **asked,
                "pod_template_patch": {"metadata": {"annotations": {"lab.coalmine/restart-after": "40000"}}},
            },
        }
        with connect(Connection(kubeconfig=str(answering_lab.kubeconfig))) as api:
            made = releases(api, answering_namespace, hosts)
            # Where the new version is to turn bad during the promotion, that takes a while; elsewhere it does not.
            one_by_one = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
            slow = {"spec": {"minReadySeconds": 15, "strategy": one_by_one}}
            api.patch(made["bad-during"].path, slow, PatchKind.MERGE)
            made["bad-during"].promote()
            # None waits for the others: what turns bad does so at its own time.
            it = run(answering_lab.kubeconfig, answering_namespace, tmp_path, hosts, strategy="free")
        assert {host: result["outcome"] for host, result in it.results.items()} == {
            "stays-good": "released",
            "bad-during": "undone",
            "bad-after": "rolled back",
        }, it.told
        assert it.verdicts("stays-good")[-1] == ("new version alone", "pass")
        assert it.verdicts("bad-during") == [("step 1", "pass"), ("promotion", "fail")]
        assert it.verdicts("bad-after")[-1] == ("new version alone", "fail")
        assert {host: release.image for host, release in made.items()} == {
            "stays-good": V2,
            "bad-during": V1,
            "bad-after": V1,
        }
        says = "http: the canary is worse than tolerated"
        assert says in made["bad-during"].last["reason"] and made["bad-during"].last["outcome"] == "undone"
        assert "bad events in" in made["bad-after"].last["reason"]
        assert made["bad-after"].last["outcome"] == "rolled back"
        assert [reason for reason, _message in events(made["bad-after"])] == ["CanaryRolledBack"]
        assert it.results["bad-after"]["why"][1] == "The version before it is back."
