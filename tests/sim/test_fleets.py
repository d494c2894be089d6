# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets in simulated time: together or not at all, whatever fails, and whenever the process is killed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import Asked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Forbidden
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.processes import Processes
from ansible_collections.coalmine.canary.plugins.module_utils.display.news import news
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import (
    Gate,
    Headroom,
    OnInconclusive,
    Policies,
    WhenMissing,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    Call,
    LeaseAsked,
    NewTemplate,
    Size,
    Target,
    TrafficRequest,
    UndoRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.fleets.leases import Leases
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.fleets.orders import FleetRequest, Member
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.course import StepAsked
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.undo import undo
from tests.sim.faults import Fault, Faults, Planned
from tests.sim.fleets import Cluster, Crew, Sea
from tests.sim.gateway import make as make_gateway
from tests.sim.network import Network
from tests.sim.objects import NAME, NAMESPACE, deployment, version_of
from tests.sim.pods import Nature
from tests.sim.test_judging import CERTAIN
from tests.sim.timeline import Process
from tests.toolchain.sampled import sampled

TEN = 10
TIMED_OUT = "Timed out after 60 seconds"


def versions(sea: Sea) -> list[str]:
    return [cluster.version for cluster in sea.clusters]


def at_rest(sea: Sea) -> None:
    assert [cluster.phase for cluster in sea.clusters] == [Phase.NONE] * len(sea.clusters)
    assert [cluster.spec for cluster in sea.clusters] == sea.before


def outcomes(ended: Outcome | VerbFailure | None) -> list[str]:
    assert ended is not None
    return [row["outcome"] for row in ended.extra["fleet"]["releases"]]


def with_room(request: FleetRequest) -> FleetRequest:
    asks = Policies(headroom=Headroom.REPORT)
    members = (replace(one, request=replace(one.request, policies=asks)) for one in request.members)
    return replace(request, members=tuple(members))


def test_wave_after_wave_all_are_released_and_the_next_call_changes_nothing() -> None:
    sea = Sea(1, TEN)
    ended = sea.sails(sea.request())
    assert isinstance(ended, Outcome) and ended.changed, ended
    assert outcomes(ended) == ["released"] * TEN
    assert [row["wave"] for row in ended.extra["fleet"]["releases"]] == [1, 2, 2, *[3] * 7]
    assert versions(sea) == ["v2"] * TEN
    at_rest(sea)
    again = sea.sails(sea.request())
    assert isinstance(again, Outcome) and not again.changed
    assert again.extra["fleet"]["outcome"] == "already released"


def that_create(sea: Sea, clusters: tuple[int, ...]) -> FleetRequest:
    """Where no Deployment is there yet, each with a version of its own."""
    members = []
    for number, cluster in enumerate(clusters):
        manifest = deployment(2, version=f"v{number + 1}")
        asked = sea.request().members[0].request
        template = NewTemplate(definition=manifest)
        creates = replace(asked.policies, when_missing=WhenMissing.CREATE)
        request = replace(asked, start=replace(asked.start, template=template), policies=creates)
        members.append(Member(request, cluster, f"release {number}"))
    for one in sea.clusters:
        one.server.create("namespaces", {"metadata": {"name": NAMESPACE}}, "somebody", "kubectl-create")
        one.store.remove("deployments", NAME, "somebody")
    return replace(sea.request(), members=tuple(members), waves=((0,), (1,)))


def test_the_same_deployment_by_two_names_of_a_cluster_is_refused_where_it_would_be_created() -> None:
    sea = Sea(1, 2)
    request = that_create(sea, (0, 1))
    sea.clusters[1] = sea.clusters[0]
    ended = sea.sails(request)
    assert isinstance(ended, VerbFailure) and "the same Deployment" in ended.message
    assert sea.clusters[0].store.get("deployments", NAME) is None


def test_deployments_of_one_name_are_created_in_two_clusters_and_told_as_created() -> None:
    sea = Sea(1, 2)
    ended = sea.sails(that_create(sea, (0, 1)))
    assert outcomes(ended) == ["created"] * 2, ended
    assert versions(sea) == ["v1", "v2"]
    assert isinstance(ended, Outcome)
    assert not [row["why"] for row in ended.extra["fleet"]["releases"] if "would be" in " ".join(row["why"])]


@pytest.mark.parametrize(
    ("tolerated", "ended_as"),
    [(0, ["untouched", "untouched", "untouched", "refused"]), (1, ["released"] * 3 + ["refused"])],
)
def test_a_wrong_name_in_the_last_wave_is_told_before_the_first(tolerated: int, ended_as: list[str]) -> None:
    sea = Sea(1, 4)
    request = sea.request(tolerated=tolerated)
    *others, last = request.members
    call = replace(last.request.call, target=Target("nobody", NAMESPACE))
    ended = sea.sails(replace(request, members=(*others, replace(last, request=replace(last.request, call=call)))))
    assert isinstance(ended, VerbFailure) and outcomes(ended) == ended_as, ended
    assert ended.changed is (tolerated == 1)
    assert 'there is no Deployment "nobody"' in ended.message
    assert versions(sea) == [*["v2" if tolerated else "v1"] * 3, "v1"]
    at_rest(sea)


def test_a_deployment_of_another_shape_in_the_last_wave_is_left_to_its_wave() -> None:
    sea = Sea(1, 4)
    last = sea.clusters[3].store
    last._listeners.clear()  # neither its controllers nor who watches over it could read it
    last.put("deployments", {**sea.clusters[3].deployment, "spec": None}, "somebody")
    ended = sea.sails(sea.request(tolerated=1))
    assert isinstance(ended, VerbFailure) and outcomes(ended)[:3] == ["released"] * 3, ended
    assert "spec" in ended.extra["fleet"]["releases"][3]["why"][0]


def test_each_release_is_told_of_the_room_that_it_has() -> None:
    sea = Sea(3, 3)
    ended = sea.sails(with_room(sea.request(waves=("100%",))))
    assert outcomes(ended) == ["released"] * 3
    assert ended is not None
    rooms = [row["release"]["rooms"] for row in ended.extra["fleet"]["releases"]]
    assert [len(of_one) for of_one in rooms] == [2] * 3, "one for each step"
    # What it stands in, and what is read of the cluster for all: its own Deployment is known, because it was just planned from.
    assert [of_one[0]["read"]["requests"] for of_one in rooms] == [5] * 3


def test_nodes_that_make_no_sense_refuse_the_releases_of_their_cluster_and_what_is_out_is_told() -> None:
    sea = Sea(20, 2)
    node = {"kind": "Node", "metadata": {"name": "odd"}, "status": {"allocatable": {"cpu": "much"}}}
    sea.clusters[1].store.put("nodes", node, "somebody")
    ended = sea.sails(with_room(sea.request(waves=("1", "100%"))))
    assert isinstance(ended, VerbFailure) and ended.changed
    assert outcomes(ended) == ["released", "refused"]
    *_, why, aftermath = ended.extra["fleet"]["releases"][1]["release"]["why"]
    assert "makes no sense" in why and aftermath == "This run changed nothing."


def test_whatever_ends_a_fleet_it_tells_what_is_out() -> None:
    sea = Sea(21, 2)
    until = sea.timeline.now + 300.0

    def looks() -> str:
        if sea.timeline.now >= until:
            raise VerbFailure("nobody knows whether to go on", code="api_error")
        return ""

    ended = sea.sails(sea.request(waves=("1", "100%"), pause=600.0, cut_off=looks))
    assert isinstance(ended, VerbFailure) and ended.changed
    assert outcomes(ended) == ["released", "untouched"]
    assert ended.extra["fleet"]["why"] == ["nobody knows whether to go on."]


def test_one_that_fails_undoes_its_wave_and_none_of_that_is_ever_promoted() -> None:
    sea = Sea(2, TEN, bad=[4])
    ended = sea.sails(sea.request())
    assert isinstance(ended, VerbFailure) and ended.code == "fleet_failed"
    assert versions(sea) == ["v2"] * 3 + ["v1"] * 7
    assert not any(cluster.promoted for cluster in sea.clusters[3:])
    assert outcomes(ended) == ["released"] * 3 + ["undone"] * 7
    assert ended.extra["fleet"]["why"] == [next(w for w in ended.extra["fleet"]["why"] if w.startswith("c4/"))]
    at_rest(sea)


def test_one_that_fails_while_it_is_promoted_rolls_the_others_of_its_wave_back() -> None:
    sea = Sea(3, TEN, meddled=[4])
    ended = sea.sails(sea.request())
    assert isinstance(ended, VerbFailure)
    found = outcomes(ended)
    assert found[:3] == ["released"] * 3
    assert set(found[3:]) <= {"undone", "rolled back"} and "rolled back" in found, found
    assert versions(sea) == ["v2"] * 3 + ["v1"] * 7
    at_rest(sea)


@pytest.mark.parametrize(("policy", "reached"), [(Gate.NONE, 0), (Gate.STOP, 2)])
def test_what_its_own_release_froze_goes_with_its_wave_and_what_a_person_froze_stays(
    policy: Gate, reached: int
) -> None:
    sea = Sea(13, 3, bad=[2], how=Nature(never_ready=True))
    request = sea.request(waves=("100%",))
    undecided = request.members[1].request
    undecided = replace(
        undecided,
        judge=replace(undecided.judge, checks=() if reached else (CERTAIN,), duration=5.0, interval=1.0),
        policies=replace(undecided.policies, on_inconclusive=OnInconclusive.HOLD, gate=policy),
    )
    if reached:
        sea.timeline.after(55.0, sea.clusters[1].is_frozen)
    ended = sea.sails(replace(request, members=(request.members[0], Member(undecided, 1, "c1"), request.members[2])))
    assert ended is not None
    rows = ended.extra["fleet"]["releases"]
    assert rows[1]["release"]["reached"] == reached, "it waited for a person when the other failed"
    assert outcomes(ended) == ["undone", "failed" if reached else "undone", "undone"], ended
    assert sea.clusters[1].phase is (Phase.FROZEN if reached else Phase.NONE)


def test_a_later_wave_does_not_begin_after_a_failure() -> None:
    sea = Sea(4, TEN, bad=[0])
    ended = sea.sails(sea.request())
    assert outcomes(ended) == ["undone"] + ["untouched"] * 9
    writers = {change.by for cluster in sea.clusters[1:] for change in cluster.store.log}
    assert "fleet" not in writers


def test_so_many_may_fail() -> None:
    sea = Sea(5, TEN, bad=[2, 6])
    ended = sea.sails(sea.request(tolerated=2))
    assert isinstance(ended, VerbFailure), "a failure is never a success"
    assert [version == "v1" for version in versions(sea)] == [n in (2, 6) for n in range(TEN)]
    at_rest(sea)


def test_each_by_itself() -> None:
    sea = Sea(6, TEN, bad=[4])
    ended = sea.sails(sea.request(together=False))
    assert isinstance(ended, VerbFailure)
    assert versions(sea) == ["v2"] * 4 + ["v1"] + ["v2"] * 5, "those under way go on"
    at_rest(sea)


def test_it_stops_between_waves_and_the_next_call_goes_on() -> None:
    sea = Sea(7, TEN)
    for released in (1, 3, 10):
        ended = sea.sails(sea.request(stops=True))
        assert isinstance(ended, Outcome)
        assert versions(sea).count("v2") == released
    assert outcomes(ended) == ["already released"] * 3 + ["released"] * 7


def seconds_until_it_promotes(sea: Sea) -> float:
    """Of the first Deployment of a fleet of two waves."""
    began, promoted = sea.timeline.now, list[float]()
    first = sea.clusters[0]
    first.store.listen(lambda change: promoted.append(sea.timeline.now) if first.promoted else None)
    sea.sails(sea.request(waves=("1", "100%"), stops=True))
    return promoted[0] - began


@pytest.mark.parametrize("rests", [{"stops": True}, {"pause": 600.0}], ids=str)
def test_what_a_killed_call_had_begun_to_promote_is_finished_and_rested_after(rests: dict[str, Any]) -> None:
    sea = Sea(1, 2)
    request = sea.request(waves=("1", "100%"), **rests)
    sea.sails(request, killed=seconds_until_it_promotes(Sea(1, 2)) + 0.05)
    assert sea.clusters[0].phase is Phase.PROMOTING
    began = sea.timeline.now
    ended = sea.sails(request)
    assert outcomes(ended) == ["already released", "untouched" if "stops" in rests else "released"]
    assert "stops" in rests or sea.timeline.now - began > 600.0
    assert outcomes(sea.sails(request)) == ["already released", "released" if "stops" in rests else "already released"]


def test_a_wave_of_which_nothing_went_out_is_nothing_to_stop_after() -> None:
    sea = Sea(11, TEN, bad=[0])
    ended = sea.sails(sea.request(stops=True, tolerated=1))
    assert versions(sea).count("v2") == 2, "the second wave"
    assert ended is not None and ended.extra["fleet"]["outcome"] == "failed"


def test_a_check_plans_every_wave_and_rests_after_none() -> None:
    for rests in ({"stops": True}, {"pause": 600.0}):
        sea = Sea(12, TEN)
        began = sea.timeline.now
        ended = sea.sails(sea.request(check=True, **rests))
        assert outcomes(ended) == ["planned"] * TEN
        assert sea.timeline.now - began < 600.0


def test_who_waits_is_told_few_lines_and_how_many_are_done() -> None:
    sea = Sea(10, TEN)
    sea.sails(sea.request(waves=("100%",)))
    told = [str(line) for line in sea.told]
    assert any(line.startswith("wave 1 of 1: hold, 0 of 10 done; c") for line in told), told
    assert len(told) <= 6 * TEN, "lines for a release"


def test_few_at_once_end_the_same() -> None:
    sea = Sea(8, TEN)
    assert outcomes(sea.sails(sea.request(at_once=2))) == ["released"] * TEN


def test_check_mode_plans_every_wave_and_writes_nothing() -> None:
    sea = Sea(9, 3)
    request = sea.request(check=True)
    members = tuple(
        replace(member, request=replace(member.request, call=replace(member.request.call, check=True)))
        for member in request.members
    )
    ended = sea.sails(replace(request, members=members))
    assert outcomes(ended) == ["planned"] * 3
    assert "fleet" not in {change.by for cluster in sea.clusters for change in cluster.store.log}


def cut_off_after(sea: Sea, seconds: float) -> dict[str, Any]:
    """As the keyword `timeout` of a task does."""
    until = sea.timeline.now + seconds
    return {"cut_off": lambda: TIMED_OUT if sea.timeline.now >= until else ""}


@pytest.mark.parametrize("seed", sampled(range(10)))
def test_cut_off_at_any_time_each_wave_is_out_as_a_whole_or_not_at_all_and_nothing_is_left_held(seed: int) -> None:
    sea = Sea(seed, 4)
    request = sea.request(waves=("1", "100%"), pause=30.0, **cut_off_after(sea, 5.0 + 23.0 * seed))
    ended = sea.sails(request)
    first, *rest = versions(sea)
    assert len(set(rest)) == 1 and (first == "v2" or rest[0] == "v1"), versions(sea)
    at_rest(sea)
    if rest[0] == "v1":
        assert isinstance(ended, VerbFailure) and ended.extra["fleet"]["why"][0] == f"{TIMED_OUT}."
        assert ended.extra["fleet"]["outcome"] == "failed"
        assert outcomes(ended)[1:] in (["untouched"] * 3, ["undone"] * 3, ["rolled back"] * 3), ended
    again = sea.sails(sea.request())
    assert isinstance(again, Outcome) and versions(sea) == ["v2"] * 4


def test_cut_off_each_by_itself_what_is_out_stays() -> None:
    sea = Sea(14, 3)
    ended = sea.sails(sea.request(waves=("100%",), together=False, at_once=2, **cut_off_after(sea, 70.0)))
    assert sorted(outcomes(ended)) == ["released", "released", "undone"], ended
    at_rest(sea)


def test_a_rest_between_two_waves_ends_when_the_call_is_cut_off() -> None:
    sea = Sea(15, 2)
    began = sea.timeline.now
    ended = sea.sails(sea.request(waves=("1", "100%"), pause=3600.0, **cut_off_after(sea, 300.0)))
    assert sea.timeline.now - began < 400.0
    assert outcomes(ended) == ["released", "untouched"] and isinstance(ended, VerbFailure), ended


@pytest.mark.parametrize("seed", sampled(range(8)))
def test_killed_at_any_time_and_with_faults_the_next_calls_bring_it_to_its_end(seed: int) -> None:
    sea = Sea(seed, 4)
    told: list[Any] = [sea.sails(sea.request(), faults=0.03, killed=5.0 + 11.0 * seed)]
    while len(told) < 6 and not isinstance(told[-1], Outcome):
        told.append(sea.sails(sea.request()))
    assert versions(sea) == ["v2"] * 4, [one and getattr(one, "message", one) for one in told]
    at_rest(sea)


@pytest.mark.parametrize("seed", sampled(range(8)))
def test_killed_at_any_time_nothing_of_a_wave_that_fails_is_ever_out(seed: int) -> None:
    sea = Sea(seed, 4, bad=[3])
    request = sea.request(waves=("1", "100%"))
    sea.sails(request, faults=0.03, killed=5.0 + 9.0 * seed)
    for _ in range(3):
        sea.sails(request)
    assert versions(sea) == ["v2", "v1", "v1", "v1"]
    assert not any(cluster.promoted for cluster in sea.clusters[1:])
    at_rest(sea)


# A fleet of four makes about as many, in both of its waves.
REQUESTS = 150
KILLED = (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)
OUT, IN = {"released", "already released"}, {"undone", "rolled back", "untouched", "refused", "failed"}


def tells_the_truth(sea: Sea, ended: Outcome | VerbFailure | None) -> None:
    for told, cluster in zip(outcomes(ended), sea.clusters, strict=True):
        is_out = cluster.version == "v2" and cluster.phase is Phase.NONE
        assert told in (OUT if is_out else IN), (outcomes(ended), versions(sea))


@pytest.mark.parametrize(
    ("number", "kind"), sampled([(number, kind) for kind in KILLED for number in range(7, REQUESTS, 24)])
)
def test_killed_at_a_request_of_a_fleet_the_next_calls_bring_it_to_its_end(number: int, kind: Fault) -> None:
    sea = Sea(number, 4)
    told = [sea.sails(sea.request(), dies_at=Planned(number, kind))]
    assert told[0] is None, "it makes so many requests"
    while len(told) < 6 and not isinstance(told[-1], Outcome):
        told.append(sea.sails(sea.request()))
    assert versions(sea) == ["v2"] * 4, [getattr(one, "message", one) for one in told]
    tells_the_truth(sea, told[-1])
    at_rest(sea)


@pytest.mark.parametrize(
    ("number", "kind"), sampled([(number, kind) for kind in KILLED for number in range(3, 110, 24)])
)
def test_killed_at_a_request_nothing_of_a_wave_that_fails_is_ever_out(number: int, kind: Fault) -> None:
    sea = Sea(number, 4, bad=[3])
    request = sea.request(waves=("1", "100%"))
    assert sea.sails(request, dies_at=Planned(number, kind)) is None
    for _ in range(3):
        ended = sea.sails(request)
        tells_the_truth(sea, ended)
    assert versions(sea) == ["v2", "v1", "v1", "v1"]
    assert not any(cluster.promoted for cluster in sea.clusters[1:])
    at_rest(sea)


@pytest.mark.parametrize("moment", [0.0, 15.0, 40.0])
def test_a_cluster_that_nobody_reaches_any_more_fails_its_wave_and_is_told(moment: float) -> None:
    sea = Sea(16, 3)
    ended = sea.sails(sea.request(waves=("100%",)), away={1: moment})
    assert isinstance(ended, VerbFailure)
    found = outcomes(ended)
    assert found[1] in ("refused", "failed"), found
    assert {found[0], found[2]} <= {"untouched", "undone", "rolled back"}, found
    assert [versions(sea)[place] for place in (0, 2)] == ["v1", "v1"]
    assert "c1/" in ended.message and "cannot be reached" in ended.message, ended.message


@pytest.mark.parametrize(
    ("back", "ended_as", "phase"), [(109.0, "undone", Phase.NONE), (1e9, "failed", Phase.PROMOTING)]
)
def test_a_cluster_that_goes_away_while_it_is_promoted_is_taken_back_after_the_others_or_told(
    back: float, ended_as: str, phase: Phase
) -> None:
    sea = Sea(1, 4)
    ended = sea.sails(sea.request(waves=("100%",)), away={3: 44.0}, back=back)
    assert isinstance(ended, VerbFailure) and outcomes(ended) == ["rolled back"] * 3 + [ended_as], ended
    assert versions(sea)[:3] == ["v1"] * 3 and sea.clusters[3].phase is phase
    assert sum("wave 1 of 1: reclaim, 1 of 4 releases" in told for told in sea.told) == 1
    (line,) = (line for line in ended.extra["fleet"]["table"] if "c3/" in line)
    for row in ended.extra["fleet"]["releases"]:
        assert "reached" in row["why"][0] and "Check host" not in row["why"][0] and "run it again" not in row["why"][0]
    told = "cannot be reached" in line and "cannot be reached" in ended.message
    left = "the new version may be out" in line and "the new version may be out" in ended.message
    assert told and left is (ended_as == "failed"), (line, ended.message)


def test_clusters_that_nobody_reaches_are_waited_for_side_by_side_and_once() -> None:
    sea = Sea(1, 8)
    began = sea.timeline.now
    gone = dict.fromkeys(range(1, 8), 0.0)
    ended = sea.sails(sea.request(), away=gone)
    assert outcomes(ended) == ["untouched", *["refused"] * 7]
    alone = sea.timeline.now - began
    # Of each name there are two, and one of each is where nobody is reached.
    first, second, *_others = sea.request().members
    called = [replace(first.request.call, target=Target(name, NAMESPACE)) for name in ("web", "api", "db", "mq")]
    members = tuple(replace(one, request=replace(one.request, call=call)) for call in called for one in (first, second))
    began = sea.timeline.now
    ended = sea.sails(replace(sea.request(), members=members, waves=((0,), tuple(range(1, 8))), at_once=1), away=gone)
    assert ended is not None and outcomes(ended)[1::2] == ["refused"] * 4
    assert '"db"' in str(ended.extra["fleet"]["releases"][5]["why"])
    assert sea.timeline.now - began < 8.0 and alone < 8.0, (alone, sea.timeline.now - began)


def test_nobody_waits_for_the_leases_of_one_silent_cluster_after_the_other() -> None:
    sea = Sea(1, 7)
    first, *others = sea.request().members
    slow = replace(first.request, steps=(StepAsked(Size(1), bake=100.0),))
    request = replace(sea.request(waves=("100%",)), members=(replace(first, request=slow), *others))
    ended = sea.sails(request, away=dict.fromkeys(range(1, 7), 50.0), how=Fault.LATE)
    assert outcomes(ended) == ["undone", *["failed"] * 6]
    elapsed = [news(told).elapsed for told in sea.told if "wave 1 of 1: promote" in told]
    assert 100.0 < (elapsed[0] or 0.0) < 140.0, elapsed


def canary_turns(cluster: Cluster, ready: bool) -> None:
    """As kubelet tells it."""
    for pod in list(cluster.store.of("pods").values()):
        if version_of(pod) == "v2":
            since = {"status": str(ready), "lastTransitionTime": f"2026-01-01T00:0{1 + ready}:00Z"}
            ready_now = [{**one, **since} if one["type"] == "Ready" else one for one in pod["status"]["conditions"]]
            cluster.store.put("pods", {**pod, "status": {**pod["status"], "conditions": ready_now}}, "kubelet")


@pytest.mark.parametrize("back", [None, 400.0], ids=["for good", "until it is Ready again"])
@pytest.mark.parametrize("at_once", [1, 50])
def test_a_canary_that_has_stood_is_watched_as_long_as_its_siblings_are_worked_on(
    at_once: int, back: float | None
) -> None:
    sea = Sea(1, 3)
    members = [
        replace(one, request=replace(one.request, steps=(StepAsked(Size(1), bake=seconds),)))
        for one, seconds in zip(sea.request().members, (10.0, 600.0, 600.0), strict=True)
    ]
    began = sea.timeline.now
    sea.timeline.after(100.0, lambda: canary_turns(sea.clusters[0], False))
    if back:
        sea.timeline.after(back, lambda: canary_turns(sea.clusters[0], True))
    ended = sea.sails(sea.request(waves=("100%",), at_once=at_once, members=tuple(members)))
    assert outcomes(ended) == ["undone"] * (3 if at_once > 1 else 2) + ["untouched"] * (at_once == 1), ended
    assert sea.timeline.now - began < 200.0, "at once"
    assert not any(cluster.promoted for cluster in sea.clusters)
    at_rest(sea)


def test_of_a_wave_that_does_not_stand_any_more_none_is_promoted() -> None:
    """Between the last round and the promotion, which takes one after the other."""
    sea = Sea(1, 3)
    began = sea.timeline.now

    def breaks() -> None:
        if any("promote" in told for told in sea.told):
            canary_turns(sea.clusters[2], False)
        elif sea.timeline.now < began + 1000.0:
            sea.timeline.after(0.005, breaks)

    sea.timeline.after(0.0, breaks)
    ended = sea.sails(sea.request(waves=("100%",), at_once=1))
    assert outcomes(ended) == ["undone"] * 3, ended
    assert not any(cluster.promoted for cluster in sea.clusters)
    at_rest(sea)


@pytest.mark.parametrize("together", [True, False])
def test_a_release_that_could_not_be_rolled_back_with_its_wave_is_told_of(together: bool) -> None:
    sea = Sea(1, 2)
    sea.clusters[1].patched({"revisionHistoryLimit": 0})
    ended = sea.sails(sea.request(waves=("100%",), together=together))
    assert outcomes(ended) == ["released"] * 2 and ended is not None
    told = [warning for warning in ended.warnings if "no ReplicaSet to roll back to" in warning]
    assert [warning.partition(":")[0] for warning in told] == ["c1/shop/web"] * together
    assert any("no ReplicaSet to roll back to" in line for line in sea.told) is together


def test_what_a_person_is_to_decide_about_is_held_by_nobody() -> None:
    sea = Sea(1, 3)
    first, gated, last = sea.request().members
    stops = replace(gated.request, policies=replace(gated.request.policies, gate=Gate.STOP))
    ended = sea.sails(sea.request(waves=("100%",), members=(first, replace(gated, request=stops), last)))
    assert outcomes(ended) == ["held"] * 3
    assert [dict(cluster.store.of("leases")) for cluster in sea.clusters] == [{}] * 3


def test_leases_are_renewed_in_many_clusters_at_once_where_releases_go_one_by_one() -> None:
    sea = Sea(1, 7)

    def took(clusters: int) -> float:
        """Of clusters that are all silent."""
        began = sea.timeline.now

        def renews(crew: Crew) -> None:
            crew.away, crew.how = dict.fromkeys(range(clusters), 0.0), Fault.LATE
            request = sea.request(at_once=1)
            Leases(crew, request).prolong(request.members[:clusters])

        sea.works(renews)
        return sea.timeline.now - began

    alone = took(1)
    assert alone > 1.0 and took(7) < 1.5 * alone


def test_without_a_right_to_the_lease_of_one_release_the_others_of_its_cluster_are_renewed() -> None:
    sea, leases = Sea(1, 1), list[str]()
    request = sea.request()
    [member] = request.members
    call = member.request.call

    def may(asked: Asked, user: str) -> None:
        leases.append(asked.name)
        if asked.name.endswith("-a"):
            raise Forbidden(asked, "no right", status=403)

    sea.clusters[0].server.may = may  # type: ignore[method-assign]
    named = [replace(member.request, call=replace(call, target=replace(call.target, name=name))) for name in "abc"]
    request = replace(request, members=tuple(replace(member, request=one) for one in named))
    sea.works(lambda crew: Leases(crew, request).prolong(request.members))
    assert leases == [f"coalmine-canary-{name}" for name in "abc"]


def test_a_call_that_is_cut_off_asks_no_further_cluster_who_it_is() -> None:
    sea = Sea(1, 8)
    began = sea.timeline.now
    over = TIMED_OUT
    ended = sea.sails(
        sea.request(at_once=1, cut_off=lambda: over if sea.timeline.now > began + 5.0 else ""),
        away=dict.fromkeys(range(8), 0.0),
    )
    assert isinstance(ended, VerbFailure) and over in ended.message
    assert "untouched" in outcomes(ended) and sea.timeline.now - began < 15.0


def test_of_so_many_one_that_nobody_reaches_may_fail_and_the_others_are_released() -> None:
    sea = Sea(18, 4)
    ended = sea.sails(sea.request(tolerated=1), away={3: 0.0})
    assert outcomes(ended) == ["released"] * 3 + ["refused"], ended
    assert ended and ended.extra["fleet"]["releases"][3]["why"][-1] == "This run changed nothing."
    assert versions(sea) == ["v2"] * 3 + ["v1"]


def test_what_an_earlier_call_left_held_is_told_of_what_this_one_left_untouched() -> None:
    sea = Sea(19, 3, bad=[2], how=Nature(never_ready=True))
    request = sea.request(waves=("100%",))
    assert sea.sails(request, killed=15.0) is None
    sea.clusters[2].is_frozen()
    ended = sea.sails(request)
    assert outcomes(ended) == ["untouched", "untouched", "refused"] and ended is not None
    table = ended.extra["fleet"]["table"]
    assert table[0].startswith("refused")
    assert [line.partition(": ")[2] for line in table[1:]] == ["an earlier call left its canary held, with 1 Ready"] * 2


def test_without_one_that_failed_the_next_call_releases_the_others() -> None:
    sea = Sea(17, 4, bad=[2])
    request = sea.request(waves=("100%",))
    assert set(outcomes(sea.sails(request))) == {"undone"}
    others = tuple(member for place, member in enumerate(request.members) if place != 2)
    ended = sea.sails(replace(request, members=others, waves=((0, 1, 2),)))
    assert outcomes(ended) == ["released"] * 3 and versions(sea) == ["v2", "v2", "v1", "v2"]
    at_rest(sea)


@pytest.mark.parametrize("seconds", [None, 30], ids=["300 seconds", "30 seconds"])
def test_one_that_stands_is_kept_while_its_siblings_are_worked_on(seconds: int | None) -> None:
    """Each bakes for longer than a Lease lasts, one after the other."""
    sea = Sea(21, 3)
    request = sea.request(waves=("100%",), at_once=1)
    members = []
    for member in request.members:
        asks = member.request
        call = replace(asks.call, lease=LeaseAsked(seconds=seconds))
        members.append(replace(member, request=replace(asks, call=call, steps=(StepAsked(Size(1), bake=500.0),))))
    told: list[Outcome | VerbFailure] = []

    def interferes() -> None:
        network = Network(ben, sea.clusters[0].server, "ben", Faults(), sea.chance, Elsewhere())
        for _attempt in range(8):
            ben.sleep(100.0)
            try:
                told.append(undo(network, UndoRequest(Call(Target(NAME, NAMESPACE), actor="ben")), lambda line: None))
            except VerbFailure as failure:
                told.append(failure)

    ben = Process(sea.timeline, "ben", sea.timeline.now + 550.0, interferes, lambda: None)
    ended = sea.sails(replace(request, members=tuple(members)))
    assert [one.code if isinstance(one, VerbFailure) else one.message for one in told] == ["locked"] * 8
    assert isinstance(ended, Outcome), ended
    assert outcomes(ended) == ["released"] * 3
    assert not any(cluster.store.of("leases") for cluster in sea.clusters)


class Elsewhere(Processes):
    """On another machine, which knows of no process."""

    def this_process(self) -> str:
        return "elsewhere.1"

    def parent(self) -> str:
        return ""

    def has_ended(self, name: str) -> bool:
        return False


OTHER = "cart"


def with_routes(sea: Sea, *, shared: bool) -> None:
    """A second Deployment beside the first; both come by one route, or each by one of its own."""
    server, store = sea.clusters[0].server, sea.clusters[0].store
    make_gateway(server)
    labels = {"app": OTHER}
    beside = deployment(2, selector={"matchLabels": labels})
    beside["metadata"] = {**beside["metadata"], "name": OTHER}
    beside["spec"]["template"]["metadata"] = {"labels": labels}
    server.create("deployments", beside, "somebody", "kubectl-create")
    service, route = store.of("services")[NAME], store.of("httproutes")[NAME]
    named = {"metadata": {"namespace": NAMESPACE, "name": OTHER}}
    server.create("services", {**named, "spec": {**service["spec"], "selector": labels}}, "somebody", "kubectl-create")
    [first] = route["spec"]["rules"]
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/cart"}}],
        "backendRefs": [{**first["backendRefs"][0], "name": OTHER}],
    }
    if shared:
        store.put("httproutes", {**route, "spec": {**route["spec"], "rules": [first, rule]}}, "somebody")
    else:
        spec = {**route["spec"], "rules": [rule]}
        server.create("httproutes", {**named, "spec": spec}, "somebody", "kubectl-create")
    sea.director.sleep(20.0)


@pytest.mark.parametrize(
    ("shared", "waves", "tolerated", "ended_as"),
    [
        (True, ((0, 1),), 0, ["untouched", "refused"]),
        (True, ((0, 1),), 1, ["planned", "refused"]),
        (True, ((0,), (1,)), 0, ["planned", "planned"]),
        (False, ((0, 1),), 0, ["planned", "planned"]),
    ],
    ids=["in one wave", "in one wave of which one may fail", "in waves apart", "a route for each"],
)
def test_two_releases_of_a_wave_that_share_a_route_are_told_before_it_begins(
    shared: bool, waves: tuple[tuple[int, ...], ...], tolerated: int, ended_as: list[str]
) -> None:
    """One cluster, which is asked as two users."""
    sea = Sea(1, 2)
    sea.clusters[1] = sea.clusters[0]
    with_routes(sea, shared=shared)
    members = []
    for member, name in zip(sea.request().members, (NAME, OTHER), strict=True):
        asked = member.request
        call = replace(asked.call, target=Target(name, NAMESPACE), check=True)
        step = replace(asked.steps[0], traffic=TrafficRequest(weight=Fraction(1, 10)))
        request = replace(asked, call=call, start=replace(asked.start, call=call, surge=4), steps=(step,))
        members.append(replace(member, request=request))
    ended = sea.sails(FleetRequest(tuple(members), waves, tolerated=tolerated, check=True))
    assert outcomes(ended) == ended_as, ended
    if "refused" in ended_as:
        assert isinstance(ended, VerbFailure)
        assert f'HTTPRoute "{NAME}" is used by c0/shop/web in the same wave as by c1/shop/cart' in ended.message
