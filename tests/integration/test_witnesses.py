# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""That the real API server and controllers do what the simulation assumes: simulated tests, as they are, in a real cluster.

Each row is what is assumed. How the server answers is compared at random as well, by test_simulation_against_cluster.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.situations import SINCE_POLICIES, webs
from tests.sim import test_check_mode as check_mode
from tests.sim import test_foreign_edits as foreign
from tests.sim import test_identity as identity
from tests.sim import test_ownership as ownership
from tests.sim import test_pins as pins
from tests.sim import test_refusals as refusals
from tests.sim import test_release as releasing
from tests.sim import test_repair as repair
from tests.sim import test_rights as rights
from tests.sim import test_waiting as waiting
from tests.situations import Web


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as make:
        yield make


@dataclass(frozen=True)
class Witness:
    """A simulated test and what it is called with. `around`: the fixture `web` of its file, where it takes that one."""

    test: Callable[..., None]
    arguments: dict[str, Any] = field(default_factory=dict)
    around: Callable[[Web], Any] | None = None


def four_scaled(web: Web) -> None:
    web.make(4).autoscaler(2, 9)


def healed(name: str) -> Witness:
    return Witness(repair.test_undo_heals_what_somebody_did_to_a_held_canary, {"case": repair.CASES[name]})


def refused(name: str) -> Witness:
    case = {**refusals.START, **refusals.OTHERS}[name]
    return Witness(refusals.test_a_refusal_says_what_is_wrong_and_what_to_do_and_changes_nothing, {"case": case})


def restored(fields: str, *, frozen: bool = False) -> Witness:
    arguments = {"fields": repair.SPECS[fields], "frozen": frozen}
    return Witness(repair.test_undo_brings_the_whole_spec_back, arguments)


def edited(test: Callable[..., None], **arguments: Any) -> Witness:
    return Witness(test, arguments, around=lambda web: web.make(4))


def scaled(test: Callable[..., None], **arguments: Any) -> Witness:
    return Witness(test, arguments, around=four_scaled)


def forbidden(resource: str, verb: str) -> Witness:
    missing = next(right for right in refusals.RIGHTS if right[1:] == (resource, verb))
    return Witness(refusals.test_a_missing_right_is_named_by_verb_and_resource, {"missing": missing})


def given_back(ending: str, owner: str = "server-side") -> Witness:
    return Witness(ownership.test_the_next_apply_needs_no_force_and_moves_no_pod, {"ending": ending, "owner": owner})


def foretold(case: str) -> Witness:
    return Witness(check_mode.test_check_mode_tells_what_the_call_does, {"case": case})


WITNESSES = {
    # Whole releases.
    "a release goes through, and once more there is nothing to do": edited(
        releasing.test_a_whole_release_in_one_call_and_nothing_to_do_in_the_next
    ),
    "a manifest makes a Deployment": Witness(releasing.test_a_first_version_is_created_where_there_is_no_deployment),
    # The Deployment and its ReplicaSets.
    "rollout undo brings the annotations of a ReplicaSet back with its template": healed("kubectl rollout undo"),
    "ReplicaSets keep what their Deployment was annotated with last":
        Witness(repair.test_a_record_of_an_earlier_release_says_nothing),
    "an apply changes the fields that its manifest names, and leaves the others": healed("kubectl apply of the old manifest"),
    "an apply of fields of a hold puts them back":
        healed("kubectl apply of an old manifest that names fields of the hold"),
    "a restart is another template": healed("kubectl rollout restart"),
    "scaled to 0 and back, every pod is of the newest template": healed("scaled to 0 and back"),
    "what a copy of the record on ReplicaSets is lost with": healed("the record deleted everywhere"),
    "a paused Deployment keeps its ReplicaSets as they are": healed("paused"),
    "the fields of a hold are valid, and all come back": restored("everything set"),
    "fields that are not set have defaults, and those come back": restored("nothing set"),
    "without history no ReplicaSet is kept that has no pods": restored("no history", frozen=True),
    "selectors of expressions select": restored("a selector of expressions"),
    "names are cut to what fits before a hash": Witness(repair.test_a_name_of_253_characters_goes_through_a_whole_release),
    "the cause of a change goes to the ReplicaSet":
        Witness(repair.test_the_change_cause_of_the_stable_version_comes_back_with_it),
    "a ReplicaSet that is deleted takes its pods with it": Witness(
        repair.test_a_stable_replica_set_that_is_gone_leaves_the_choice_to_a_manifest, {"version": "v1"}
    ),
    "a revision that is no number is left, with what is beside it": Witness(
        repair.test_a_hostile_record_is_told_as_damaged_and_keeps_no_other_canary_from_being_told, {"name": "a superscript"}
    ),
    "annotations have a size that may not be passed": Witness(repair.test_an_undo_does_not_fail_for_what_it_wants_to_note),
    "a template that came back while its pods move goes on from where they are":
        Witness(repair.test_kubectl_rollout_undo_while_the_pods_move_is_healed, {"step": "promote"}),
    "somebody's template ends a wait":
        Witness(waiting.test_somebody_who_interferes_ends_the_wait, {"what": "another image"}),
    "a Deployment that is deleted ends a wait":
        Witness(waiting.test_somebody_who_interferes_ends_the_wait, {"what": "deleted"}),
    "scaling while pods start is spread over both versions":
        Witness(waiting.test_scaling_while_a_start_waits_is_told_with_the_true_counts),
    # Pods.
    "a pod that is not Ready says why": refused("stable pods that do not get Ready"),
    "a pod that loses its readiness is counted at once": refused("an undo under way"),
    # The server.
    "a strategy of another type drops the parameters of the one before": refused("the strategy Recreate"),
    "who is not found is told from who has another kind":
        Witness(refusals.test_another_kind_of_that_name_is_told, {"kind": "StatefulSet"}),
    "a right that is missing is told, of a patch": forbidden("deployments", "patch"),
    "a right that is missing is told, of a watch": forbidden("pods", "watch"),
    "a right that is missing is told, of a list": forbidden("horizontalpodautoscalers", "list"),
    "these rights are enough": Witness(refusals.test_the_rights_of_the_table_suffice),
    "the Role that is shipped is enough": Witness(rights.test_the_shipped_role_suffices_for_a_release),
    "who may not read a log is told so": Witness(rights.test_who_may_not_read_logs_is_told_so),
    "a dry run goes as far as the write itself": foretold("start in steps"),
    "a dry run of a rollback finds the ReplicaSet": foretold("rollback"),
    "admission changes what a dry run answers": Witness(
        foreign.test_a_release_whose_images_a_policy_rewrites_is_the_same_release_the_second_time, {"how": "images"}
    ),
    "admission changes what a patch stores": Witness(
        foreign.test_a_policy_that_changes_the_stable_template_on_its_way_back_does_not_stop_the_undo
    ),
    "admission is asked of a template that a patch leaves as it is, and at a dry run":
        Witness(foreign.test_a_policy_that_would_come_with_the_promotion_lets_no_pod_go),
    "admission makes another ReplicaSet of an old template":
        Witness(foreign.test_a_rollback_ends_at_what_a_policy_makes_of_the_template),
    "who applies is a manager of fields": Witness(
        foreign.test_a_tool_that_manages_the_deployment_is_told_before_the_start, {"tool": "kubectl apply"}
    ),
    "who applies on the server is a manager of fields by his name": Witness(
        foreign.test_a_tool_that_manages_the_deployment_is_told_before_the_start, {"tool": "Argo CD, by its writes"}
    ),
    "who scales or sets an image once is none": Witness(foreign.test_hands_that_do_not_come_back_are_no_owners),
    # Who manages a field, when a patch takes an entry out of the list of managers.
    **{f"fields are given back: {ending}": given_back(ending) for ending in ownership.ENDINGS},
    **{f"fields are given back to {owner}": given_back("promoted", owner) for owner in ownership.OWNERS if owner != "server-side"},
    "what is held has a manager": Witness(
        ownership.test_while_a_canary_is_held_an_apply_without_force_is_refused
    ),
    "a manager has the time of its last write": Witness(ownership.test_whoever_changes_nothing_has_no_time),
    # A test in a patch that no longer holds.
    "a change of a label lets no test fail": edited(
        foreign.test_marks_of_others_survive_each_patch_of_a_release, name="a label", patch=1
    ),
    "a change of an annotation does, and is found": edited(
        foreign.test_marks_of_others_survive_each_patch_of_a_release, name="an annotation", patch=2
    ),
    "a change of the size does": edited(foreign.test_a_start_holds_the_split_of_the_size_that_it_finds),
    "a change of the template does": edited(foreign.test_a_promotion_does_not_promote_what_nobody_looked_at),
    "it does so each time": edited(foreign.test_who_is_never_let_through_says_who_to_look_for),
    "whatever happens between a look and a patch, one of two releases goes on":
        Witness(identity.test_what_somebody_does_right_before_the_patch_arrives, {"cell": "promote, another canary"}),
    "two who wait see each other's writes": Witness(identity.test_a_start_that_is_taken_over_while_it_waits_stops),
    # Autoscalers.
    "bounds that are one number keep the size": scaled(pins.test_the_controller_keeps_the_size_while_it_is_pinned),
    "the size moves into the bounds": Witness(pins.test_bounds_that_leave_replicas_outside_are_pinned_where_the_controller_puts_them),
    "the controller says which bounds it has seen": scaled(pins.test_a_pinned_autoscaler_is_given_back_after_the_release,
                                                           ending="promote"),
    "without minReplicas it is 1": Witness(pins.test_an_autoscaler_without_min_replicas_gets_the_default_back),
    "kinds are known in lower case":
        Witness(pins.test_an_autoscaler_that_writes_its_target_in_lower_case_scales_it_and_is_found),
    "it scales the ReplicaSets of both versions": scaled(pins.test_ignored_an_autoscaler_is_not_touched_and_its_scaling_is_told),
    "minReplicas may be 0 with another metric":
        Witness(pins.test_what_cannot_be_pinned_is_refused, {"what": "minReplicas 0"}),
}  # fmt: skip


# What is assumed there came with that version.
SINCE = {
    "names are cut to what fits before a hash": (
        "1.37",
        "a ReplicaSet has the whole name of its Deployment and a hash, or is refused",
    ),
    "admission changes what a dry run answers": SINCE_POLICIES,
    "admission changes what a patch stores": SINCE_POLICIES,
    "admission is asked of a template that a patch leaves as it is, and at a dry run": SINCE_POLICIES,
    "admission makes another ReplicaSet of an old template": SINCE_POLICIES,
    "minReplicas may be 0 with another metric": ("1.37", "HPAScaleToZero is off"),
}

# Another row shows as much of the server; or of the controller test_model_against_controller.py and test_exactness.py, of managers of fields
# test_writers.py, and of rights whatever asks as the account that is shipped.
MORE = [
    "these rights are enough",
    "a manager has the time of its last write",
    "a dry run of a rollback finds the ReplicaSet",
    "a template that came back while its pods move goes on from where they are",
    "who is not found is told from who has another kind",
    "a right that is missing is told, of a watch",
    "a right that is missing is told, of a list",
    "who scales or sets an image once is none",
    "it does so each time",
    *(f"fields are given back: {ending}" for ending in ownership.ENDINGS if ending not in ("promoted", "undone")),
    "a restart is another template",
    "a paused Deployment keeps its ReplicaSets as they are",
    "scaling while pods start is spread over both versions",
    "an apply of fields of a hold puts them back",
    "fields are given back to set image",
]


def marked(assumed: str) -> Any:
    marks = [pytest.mark.slow] if assumed in MORE else []
    return pytest.param(assumed, marks=[*marks, *([pytest.mark.since(*SINCE[assumed])] if assumed in SINCE else [])])


@pytest.mark.parametrize("assumed", [marked(each) for each in WITNESSES])
def test_a_real_cluster_does_so(assumed: str, new: Callable[..., Web]) -> None:
    witness = WITNESSES[assumed]
    if witness.around is None:
        witness.test(**witness.arguments, new=new)
        return
    web = new()
    witness.around(web)
    witness.test(**witness.arguments, web=web)
