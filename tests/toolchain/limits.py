# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long one test may take, in seconds, before it fails with the stacks of all threads; and what is too long to be measured.

The limits are for tests that hang, not for tests that are slow: on a busy machine a test takes several times as long as on a quiet one.
Fixtures do not count: the first one that needs a cluster may build Kubernetes, or wait for a neighbour.
"""

from __future__ import annotations

from collections.abc import Iterable

# The longest beginning of the path decides.
BY_PATH = {
    "tests/": 180,
    # One playbook after another, of about 8 s each on a quiet machine.
    "tests/integration/test_commands.py": 240,
    "tests/integration/test_demo.py": 400,
    "tests/integration/test_role": 240,
    "tests/integration/test_frontdoor.py": 400,
    "tests/integration/test_verify_secrets.py": 240,
    "tests/integration/test_playbooks_of_verbs.py": 240,
    "tests/integration/test_fleet.py": 240,
    "tests/integration/test_live_view.py": 240,
    "tests/integration/test_watch.py": 240,
    "tests/integration/test_alb.py": 240,
    "tests/integration/test_gateway.py": 240,
    # Whole releases of a dozen Deployments; thousands of steps of a model; a playbook for each way.
    "tests/integration/test_exactness.py": 400,
    "tests/integration/test_model_against_controller.py": 300,
    "tests/integration/test_cost_of_a_release.py": 240,
    "tests/integration/test_headroom_truth.py": 240,
    # Twenty runs at once.
    "tests/integration/test_one_run.py": 240,
    "tests/integration/test_judged_releases.py": 400,
    # Whole releases beside each other, each with processes that die and requests that are tried again.
    "tests/faults/test_releases.py": 240,
}
SLOW, EXHAUSTIVE = 1800, 300

# Thousands of cases of what other tests run once. Measuring what they cover would take longer than all others together.
UNMEASURED = (
    "tests/sim/test_courses.py::test_a_promotion_by_pods_that_stops_before_a_pod_moves",
    "tests/sim/test_courses.py::test_a_promotion_that_is_taken_back_at_any_moment",
    "tests/sim/test_courses.py::test_a_route_that_is_put_back_after_stable_was_reached",
    "tests/sim/test_courses.py::test_what_it_got_is_not_forgotten_where_the_call_that_writes_it_once_more_dies",
    "tests/sim/test_fleets.py::test_cut_off_at_any_time",
    "tests/sim/test_fleets.py::test_killed_at_a_request",
    "tests/sim/test_alb.py::test_a_death_at_any_request",
    "tests/sim/test_alb.py::test_a_load_balancer_that_hears_in_any_order",
    "tests/sim/test_api_trouble.py::test_from_any_request_on",
    "tests/sim/test_fleets.py::test_killed_at_any_time",
    "tests/sim/test_found.py::",
    "tests/sim/test_leases.py::test_a_lease_that_another_run_has_left_is_taken_whatever_becomes_of_a_request",
    "tests/sim/test_leases.py::test_of_runs_at_once_one_writes_at_a_time",
    "tests/sim/test_grpc.py::test_a_death_at_any_request",
    "tests/sim/test_ingress.py::test_a_death_at_any_request",
    "tests/sim/test_ingress.py::test_requests_that_fail_are_tried_again",
    "tests/sim/test_istio.py::test_a_death_at_any_request",
    "tests/sim/test_istio.py::test_a_proxy_that_hears_in_any_order",
    "tests/sim/test_model.py::TestHold::test_rests_where_predicted_without_overshoot_for_every_small_size",
    "tests/sim/test_model.py::TestPromote::test_ends_with_the_canary_alone",
    "tests/sim/test_model.py::TestStep::test_rests_where_predicted",
    "tests/sim/test_model.py::TestUndo::test_with_surge_ends_with_the_stable_version_alone",
    "tests/sim/test_model.py::TestUndo::test_without_surge_ends_within_replicas_pods",
    "tests/sim/test_odd_answers.py::test_no_answer_makes_a_verb_end_in_an_error_of_its_own",
    "tests/sim/test_ownership.py::test_also_where_whoever_gave_it_back_died_of_it",
    "tests/sim/test_rights.py::test_with_each_right_less_the_right_is_named",
    "tests/sim/test_scaling_up.py::test_however_far_it_is_scaled_up",
    "tests/sim/test_scaling_up.py::test_in_whichever_moment_it_wants_more",
    "tests/sim/test_scaling_up.py::test_whoever_dies_leaves_an_autoscaler",
    "tests/sim/test_simulation.py::",
    "tests/sim/test_switch.py::test_a_death_at_any_request",
    "tests/sim/test_traffic.py::test_a_death_at_any_request",
    "tests/sim/test_traffic.py::test_a_proxy_that_hears_in_any_order",
    "tests/sim/test_traffic.py::test_a_whole_release_that_dies_at_any_request",
    "tests/sim/test_traffic.py::test_requests_of_a_whole_release_that_fail",
    "tests/sim/test_traffic.py::test_requests_that_fail_are_tried_again",
    "tests/sim/test_traffic.py::test_what_a_proxy_still_knows_of_the_release_before",
    "tests/sim/test_writers.py::test_what_becomes_of_a_release_when_somebody_else_writes",
    "tests/unit/cluster_room/test_lists.py::test_both_libraries_make_the_same_objects_of_the_same_bytes",
    "tests/unit/cluster_room/test_lists.py::test_whatever_is_in_them_and_however_it_is_spaced",
    "tests/unit/frontdoor/test_fuzz.py::test_every_option_that_is_a_number_refuses_what_is_none",
    "tests/unit/frontdoor/test_secrecy.py::test_nothing_secret_is_shown_whatever_is_given",
    "tests/unit/headroom/test_check.py::test_a_question_for_one_size_leaves_nothing_behind",
    "tests/unit/headroom/test_check.py::test_the_same_survey_serves_whatever_nodes_may_be_added",
    "tests/unit/headroom/test_crowd.py::test_one_node_stands_for_all_that_are_like_it",
    "tests/unit/headroom/test_fields.py::test_nothing_of_a_pod_is_read_that_is_not_named",
    "tests/unit/headroom/test_fields.py::test_views_of_the_named_fields_are_those_of_the_whole_object",
    "tests/unit/headroom/test_waves.py::test_what_fits_for_certain_never_gets_stuck",
    "tests/unit/judgement/test_evidence.py::TestFigures::",
    "tests/unit/judgement/test_trial.py::TestSteps::test_whatever_was_put_in_its_place_it_is_taken_or_refused",
    "tests/unit/probes/test_total.py::test_it_is_counted_or_no_data",
    "tests/unit/rollout/test_fields.py::test_nor_in_the_place_of_several",
    "tests/unit/rollout/test_fields.py::test_whatever_stands_in_the_place_of_any_one_field",
    "tests/unit/rollout/test_record.py::test_a_record_that_lacks_a_part_is_unreadable",
    "tests/unit/rollout/test_record.py::test_any_other_text_is_unreadable_and_nothing_else_is_raised",
    "tests/unit/rollout/test_record.py::test_what_is_written_is_read",
    "tests/unit/rollout/test_size.py::test_on_the_way_to_a_hold_the_controller_never_goes_below",
    "tests/unit/rollout/test_template.py::test_a_bare_template_is_bare_already",
    "tests/unit/test_foreign.py::test_nothing_that_a_server_says_is_told_as_it_stands",
    "tests/unit/test_foreign.py::test_the_role_tells_a_template_that_others_wrote_as_it_stands",
    "tests/unit/traffic/test_httproute.py::test_every_other_backend_keeps_its_share",
    "tests/unit/traffic/test_httproute.py::test_what_was_wanted_is_so",
    "tests/unit/traffic/test_httproute.py::test_whatever_was_written_the_owners_route_comes_back",
    "tests/unit/traffic/test_precedence.py::test_what_is_not_refused_takes_no_request_from_anybody",
)


def limit(test: str, marks: Iterable[str] = ()) -> int:
    """Of a test by its id."""
    if "slow" in marks:
        return SLOW
    if test.startswith(UNMEASURED):
        return EXHAUSTIVE
    return BY_PATH[max((path for path in BY_PATH if test.startswith(path)), key=len)]
