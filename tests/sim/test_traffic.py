# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases through a gateway whose proxy hears late, and of endpoints and routes in any order: no request of a user fails, and
nobody gets the canary who was not to get it."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import Asked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.entry import Knocked
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import RECORD
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import Kept
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing.proving import Prover
from tests.sim.faults import Fault, Planned, failing
from tests.sim.gateway import GATEWAY, HOST, RULES, Lags, Proxy
from tests.sim.history import Ask, Befalls, End, Foreign, History, Incident, Script
from tests.sim.objects import NAME, NAMESPACE, Json
from tests.sim.pods import Nature
from tests.sim.refusals import not_served
from tests.sim.store import Change
from tests.sim.telling import report
from tests.sim.world import Played, World
from tests.toolchain.sampled import sampled

DRAINING = {version: Nature(0.05, 2.0, ends_in=20.0) for version in ("v1", "v2", "v3")}
SWIFT = Lags()
START = Ask("start", share="5")
GROW = Ask("start", pods=3, surge=3, share="50", think=1.0)


def world(
    *asks: Ask,
    lags: Lags = SWIFT,
    end: End = End.UNDO,
    seed: int = 0,
    faults: tuple[Planned, ...] = (),
    again: bool = False,
) -> World:
    scripts = [Script("ana", 8.0, asks=asks, faults=faults)]
    if again:
        scripts.append(Script("again", 60.0, asks=asks))
    return World(History(seed=seed, natures=DRAINING, scripts=tuple(scripts), end=end, gateway=lags), traced=True)


def played(one: World) -> Played:
    found = one.play()
    assert not found.violations, "\n".join(["", *report(found)])
    return found


def told(found: Played) -> list[str]:
    return [call.told() for call in found.calls if call.actor != "last"]


def assert_as_before(one: World) -> None:
    """The user's route, and no Service but the user's."""
    route = one.store.get("httproutes", NAME)
    assert route is not None and route["spec"]["rules"] == RULES and not route["metadata"].get("annotations")
    assert list(one.store.of("services")) == [NAME]


def lose_record(one: World) -> None:
    """Somebody empties it."""
    deployment = one.store.get("deployments", NAME)
    assert deployment is not None
    meta = deployment["metadata"]
    changed = {**meta, "annotations": {**meta["annotations"], RECORD: "{}"}, "generation": meta["generation"] + 1}
    one.store.put("deployments", {**deployment, "metadata": changed}, "editor")


def largest(one: World, begins: float, ends: float) -> Fraction:
    assert one.proxy is not None
    return max((share for at, share in one.proxy.seen if begins <= at < ends), default=Fraction(0))


def assert_as_said(one: World, seen: str) -> None:
    """Of START, GROW, all pods, and a promotion: everybody got what was told, which was `seen` so."""
    found = played(one)
    assert told(found)[:2] == [
        f"changed: holding 1 canary beside 4 stable pods (20.0 % of all pods), which get 5 % of the requests ({seen})",
        f"changed: holding 3 canary beside 4 stable pods (42.9 % of all pods), which get 50 % of the requests ({seen})",
    ]
    first, second, third, _last = found.calls[:4]
    assert largest(one, 0.0, first.ended or 0.0) == Fraction(1, 20)
    assert largest(one, second.begun, third.ended or 0.0) == Fraction(1, 2)


@pytest.mark.parametrize("by", ["pods", "weights"])
def test_a_release_by_weights_gives_everybody_what_was_said_and_leaves_nothing(by: str) -> None:
    full = Ask("start", pods=4, surge=4, share="50", think=1.0)
    one = world(START, GROW, full, Ask("promote", by=by), end=End.PROMOTE)
    assert_as_said(one, "proven")
    assert_as_before(one)


def test_an_undo_gives_the_canary_nobody_more_where_a_stable_pod_is_not_ready() -> None:
    asks = (Script("ana", 8.0, asks=(START,)), Script("eve", 30.0, asks=(Ask("undo"),)))
    crash = Incident(29.0, Befalls.CRASH, "v1", seconds=20.0)
    one = World(History(natures=DRAINING, scripts=asks, end=End.UNDO, gateway=SWIFT, incidents=(crash,)))
    found = played(one)
    _start, undone = found.calls[:2]
    assert largest(one, undone.begun, undone.ended or 0.0) <= Fraction(1, 20)
    assert_as_before(one)


DRAIN, RESUME = Ask("pause", think=5.0, drain=True), Ask("resume", think=5.0)


@pytest.mark.parametrize("start", [START, replace(START, share="20", sticky=True)], ids=["each request", "sticky"])
def test_a_drained_canary_gets_nobody_until_it_is_resumed_and_then_what_it_got(start: Ask) -> None:
    one = world(start, DRAIN, DRAIN, replace(RESUME, check=True), RESUME, RESUME, Ask("undo", think=5.0))
    found = played(one)
    assert [line.partition(":")[0] for line in told(found)] == [
        "changed",
        "changed",
        "ok",
        "changed",
        "changed",
        "ok",
        "changed",
    ]
    _start, drained, again, _check, resumed, _ok, undone = found.calls[:7]
    share = Fraction(start.share or "0") / 100
    assert largest(one, drained.ended or 0.0, resumed.begun) == 0 and again.ended
    assert largest(one, resumed.begun, undone.begun) == share
    assert_as_before(one)


@pytest.mark.parametrize("number", sampled(range(24)))
def test_a_death_at_any_request_of_a_drain_and_a_resume_leaves_what_can_be_ended(number: int) -> None:
    end = End.PROMOTE if number % 2 else End.UNDO
    asks = (START, DRAIN, RESUME)
    one = world(*asks, seed=number, faults=(Planned(30 + number, Fault.KILLED_AFTER),), again=number % 3 == 0, end=end)
    played(one)
    assert_as_before(one)


def test_there_is_nothing_to_drain_where_services_alone_decide() -> None:
    found = played(world(replace(START, share=None), DRAIN))
    assert told(found)[1].startswith("failed (no_route)")


STICKY = replace(START, share="20", sticky=True)


def test_users_who_keep_their_version_are_promoted_by_weights_and_nothing_is_left() -> None:
    grow = replace(STICKY, share="50", pods=2, surge=2, think=1.0)
    one = world(
        STICKY, grow, Ask("promote", by="pods"), replace(grow, pods=4, surge=4), Ask("promote"), end=End.PROMOTE
    )
    found = played(one)
    assert [line.partition(" ")[0] for line in told(found)] == [
        "changed:",
        "changed:",
        "failed",
        "changed:",
        "changed:",
    ]
    assert "its users keep the version that they have seen" in told(found)[2]
    assert_as_before(one)


@pytest.mark.parametrize("number", sampled(range(0, 40, 2)))
def test_a_death_at_any_request_of_a_sticky_release_fails_no_request(number: int) -> None:
    grow = replace(STICKY, share="50", pods=4, surge=4, think=1.0)
    end = End.PROMOTE if number % 4 else End.UNDO
    asks = (STICKY, grow, Ask(end.value, think=1.0))
    one = world(*asks, seed=number, faults=(Planned(number, Fault.KILLED_AFTER),), again=number % 3 == 0, end=end)
    played(one)
    assert_as_before(one)


def test_a_gateway_that_keeps_nobody_by_a_cookie_is_refused_before_any_user_notices() -> None:
    one = world(STICKY, lags=Lags(plain=True))
    found = one.play()
    assert not found.violations and "failed (not_programmed, changed)" in told(found)[0]
    assert largest(one, 0.0, 1e9) == 0
    hidden = world(STICKY, lags=Lags(hidden=True)).play()
    assert "whether the gateway keeps users by a cookie" in told(hidden)[0] and "changed" not in told(hidden)[0]


RELEASE = Ask("release", shares=("5", "30", "50"))


@pytest.mark.parametrize("by", ["pods", "weights"])
def test_a_whole_release_goes_by_its_shares_with_as_many_pods_as_they_need(by: str) -> None:
    one = world(replace(RELEASE, by=by), end=End.PROMOTE)
    found = played(one)
    outcome = found.calls[0].result
    assert isinstance(outcome, Outcome)
    moments = outcome.extra["release"]["timeline"]
    shares = [(moment["share"], moment["counts"]["canary"]) for moment in moments if moment["what"] == "start"]
    assert shares == [(5.0, 1), (30.0, 2), (50.0, 2), *([(100.0, 4)] if by == "weights" else [])]
    assert moments[-1]["share"] is None and outcome.extra["release"]["outcome"] == "released"
    assert_as_before(one)


@pytest.mark.parametrize(("held", "gets"), [("20", Fraction(1, 5)), ("3", Fraction(1, 10))])
def test_a_canary_larger_than_the_first_step_gets_no_more_users_before_that_step_has_found_it_bad(
    held: str, gets: Fraction
) -> None:
    fails = replace(RELEASE, shares=("10", "30"), sizes=(1, 2), by="weights", verdicts=("bad", "good"), think=10.0)
    one = world(replace(START, share=held, pods=3, surge=4), fails)
    begun, judged = played(one).calls[:2]
    assert judged.told().startswith('failed (judged_fail, changed): canary of Deployment "web": fail')
    assert largest(one, begun.begun, judged.ended or 0.0) == gets


@pytest.mark.parametrize("kind", ["gateway_api", "istio", "alb"])
@pytest.mark.parametrize("seed", range(2))
def test_a_gateway_that_is_not_asked_has_time_to_hear_of_endpoints_before_users_are_sent_there(
    kind: str, seed: int
) -> None:
    """It hears of routes at once."""
    ask = Ask("start", share="25", kind=kind, proof="none")
    assert "(stated)" in told(played(world(ask, lags=Lags(0.1, 3.0), seed=seed)))[0]


ALL_AT_ONCE = ("0", "100")


@pytest.mark.parametrize(
    ("kind", "shares"),
    [
        ("gateway_api", ("5", "30")),
        ("gateway_api", ALL_AT_ONCE),
        ("service_selector", ALL_AT_ONCE),
        ("gateway_api", ()),
    ],
    ids=["a share", "blue/green by a route", "blue/green by a Service", "pods alone"],
)
def test_a_whole_release_whose_canary_fails_is_taken_back(kind: str, shares: tuple[str, ...]) -> None:
    one = world(Ask("release", shares=shares, kind=kind, verdicts=("bad",), on_failure="undo"))
    failure = played(one).calls[0].result
    assert isinstance(failure, VerbFailure) and failure.extra["release"]["outcome"] == "undone", failure
    assert_as_before(one)


@pytest.mark.parametrize("number", sampled(range(0, 96, 2)))
def test_a_whole_release_that_dies_at_any_request_is_ended_by_the_next_and_fails_no_request(number: int) -> None:
    kind = Fault.KILLED_BEFORE if number % 3 == 0 else Fault.KILLED_AFTER
    release = replace(RELEASE, shares=("5", "50"), by="weights" if number % 4 else "pods")
    end = End.PROMOTE if number % 8 > 3 else End.UNDO
    one = world(release, seed=number, faults=(Planned(number, kind),), again=number % 6 > 1, end=end)
    played(one)
    assert_as_before(one)


@pytest.mark.parametrize(
    "asks",
    [
        (Ask("start", pods=4, surge=4, share="0"), Ask("start", pods=4, surge=4, share="100"), Ask("promote")),
        (Ask("release", shares=("0", "100")),),
    ],
    ids=["verbs", "release"],
)
def test_users_who_are_all_on_the_new_version_never_see_the_old_one_again(asks: tuple[Ask, ...]) -> None:
    one = world(*(replace(ask, think=3.0) for ask in asks), end=End.PROMOTE)
    played(one)
    assert one.proxy is not None
    shares = [share for _at, share in one.proxy.seen]
    assert shares == sorted(shares) and shares[-1] == 1
    assert_as_before(one)


def test_a_release_that_died_with_all_requests_on_its_canary_is_gone_on_with_by_the_same_call_once_more() -> None:
    """Its steps say fewer pods than everybody needs; the last of them is judged again, as large as it is."""
    release = replace(RELEASE, shares=("5", "30"), sizes=(1, 2), by="weights", keep=60.0)
    one = world(release, faults=(Planned(115, Fault.KILLED_AFTER),), again=True, end=End.PROMOTE)
    found = played(one)
    outcome = found.calls[1].result
    assert isinstance(outcome, Outcome), found.calls[1].told()
    told = outcome.extra["release"]
    assert (told["outcome"], told["behind"], told["left_out"], told["reached"]) == ("released", [0, 1], 1, 2)
    assert_as_before(one)


@pytest.mark.parametrize(
    ("release", "ends", "left_out"),
    [
        (replace(RELEASE, by="weights", through="step 3"), (), 2),
        (replace(RELEASE, sizes=(2, 2, 2), by="weights", through="step 2"), (), 1),
        (replace(RELEASE, shares=("0", "100"), kind="service_selector", through="step 2"), (), 1),
        (replace(RELEASE, shares=("0",), kind="service_selector", keep=60.0), (Planned(80, Fault.KILLED_AFTER),), 0),
    ],
    ids=["shares", "the same size", "a Service", "keep"],
)
def test_users_whom_a_run_had_given_to_its_canary_stay_with_it_where_the_run_is_taken_up_again(
    release: Ask, ends: tuple[Planned, ...], left_out: int
) -> None:
    again = replace(release, through="promoted", takeover=True, think=200.0)
    one = world(release, faults=ends, end=End.PROMOTE)
    one = World(replace(one.history, scripts=(*one.history.scripts, Script("again", 60.0, asks=(again,)))), traced=True)
    outcome = played(one).calls[1].result
    assert isinstance(outcome, Outcome) and one.proxy is not None
    assert (outcome.extra["release"]["outcome"], outcome.extra["release"]["left_out"]) == ("released", left_out)
    shares = [share for _at, share in one.proxy.seen]
    assert shares == sorted(shares) and shares[-1] == 1
    assert_as_before(one)


@pytest.mark.parametrize("seed", sampled(range(20)))
def test_requests_of_a_whole_release_that_fail_fail_no_request_of_a_user(seed: int) -> None:
    chance = random.Random(seed)
    faults = failing(chance, 120)
    release = replace(RELEASE, by=chance.choice(("pods", "weights")))
    one = world(release, seed=seed, faults=faults, lags=Lags(2.0, 2.0), again=True, end=End.PROMOTE)
    played(one)
    assert_as_before(one)


def test_a_release_is_planned_with_its_routes_and_refused_before_anything_is_changed() -> None:
    found = played(world(replace(RELEASE, shares=("0", "100"), check=True), replace(RELEASE, shares=("5", "1"))))
    planned, backwards = found.calls[0].result, told(found)[1]
    assert isinstance(planned, Outcome) and [why.partition(":")[0] for why in planned.extra["release"]["why"]] == [
        "Step 1",
        "Step 2",
        "Promotion",
    ]
    assert re.search(r"web-canary-\d+ 1$", planned.after["web: rule 0"]) and not found.calls[0].writes
    assert found.calls[1].writes and backwards.startswith("changed: web")


def test_an_undo_takes_every_request_away_before_a_pod() -> None:
    one = world(START, Ask("undo", think=5.0))
    played(one)
    assert_as_before(one)


@pytest.mark.parametrize("seed", sampled(range(30)))
def test_a_proxy_that_hears_in_any_order_sends_nobody_to_nowhere(seed: int) -> None:
    chance = random.Random(seed)
    lags = Lags(chance.choice((0.1, 2.0, 5.0)), chance.choice((0.1, 2.0, 5.0)), forgets=seed % 2 == 1)
    end = chance.choice((End.PROMOTE, End.UNDO))
    one = world(START, GROW, Ask(end.value, think=1.0), lags=lags, seed=seed, end=end)
    played(one)
    assert_as_before(one)


@pytest.mark.parametrize("seed", sampled(range(20)))
def test_what_a_proxy_still_knows_of_the_release_before_proves_nothing_of_this_one(seed: int) -> None:
    """The next release begins before the proxy has heard that the Services of the last one are gone."""
    again = (Ask("undo"), START, Ask("undo"), START, Ask("promote"))
    one = world(START, *again, lags=Lags(0.2, 5.0), seed=seed, end=End.PROMOTE)
    played(one)
    assert_as_before(one)


@pytest.mark.parametrize("number", sampled(range(46)))
def test_a_death_at_any_request_fails_no_request_and_whoever_comes_next_ends_it(number: int) -> None:
    kind = Fault.KILLED_BEFORE if number % 4 == 3 else Fault.KILLED_AFTER
    asks = (START, Ask("promote" if number % 2 else "undo", think=1.0))
    one = world(
        *asks,
        seed=number,
        lags=Lags(forgets=number % 4 < 2),
        faults=(Planned(number, kind),),
        again=number % 3 == 0,
        end=End.PROMOTE if number % 2 else End.UNDO,
    )
    played(one)
    assert_as_before(one)


@pytest.mark.parametrize("seed", sampled(range(30)))
def test_requests_that_fail_are_tried_again_and_nothing_is_left(seed: int) -> None:
    chance = random.Random(seed)
    faults = failing(chance, 60)
    end = chance.choice((End.PROMOTE, End.UNDO))
    one = world(START, GROW, Ask(end.value, think=1.0), seed=seed, faults=faults, end=end)
    played(one)
    assert_as_before(one)


def test_a_gateway_that_hears_of_nothing_is_refused_before_any_user_notices() -> None:
    one = world(START, lags=Lags(deaf_from=6.0))
    found = one.play()
    assert not found.violations
    (start,) = [call for call in found.calls if call.ask.verb == "start"]
    assert (
        "failed (not_programmed, changed)" in start.told()
        and "http://shop.example at 10.0.0.1:80 answers" in start.told()
    )
    assert largest(one, 0.0, 1e9) == 0


def test_no_pod_gets_more_than_an_ordinary_one() -> None:
    found = played(world(Ask("start", share="30"), Ask("start", pods=3, share="50")))
    assert told(found)[:2] == [
        "failed (overloaded): 30 % of the requests for 1 canary pod is more for each than without a canary 4 pods get each. Ask for "
        "2 pods, or for at most 25 %.",
        "failed (overloaded): a surge of 1 is less than 3 canary pods, so that stable pods would go, and those are to carry all other "
        "requests. Set surge to 3.",
    ]


def test_check_mode_writes_nothing_and_tells_the_route() -> None:
    one = world(replace(START, check=True), START, Ask("promote", check=True), Ask("undo"))
    found = played(one)
    before, after = found.calls[0].result, found.calls[2].result
    assert isinstance(before, Outcome) and isinstance(after, Outcome)
    assert re.fullmatch(rf"web-{_hash(one)}-\d+ 19, web-canary-\d+ 1", before.after["web: rule 0"])
    assert after.after["web: rule 0"] == "web 1"


def _hash(one: World) -> str:
    return next(rs["metadata"]["labels"]["pod-template-hash"] for rs in one.store.of("replicasets").values())


def test_what_was_started_without_routes_gets_none_and_by_weights_needs_some() -> None:
    found = played(world(Ask("start"), START, Ask("promote", by="weights")))
    assert ["no_route" in line for line in told(found)] == [False, True, True]


def test_a_canary_without_pods_is_not_paused() -> None:
    asks = (START, Ask("pause"))
    one = world(*asks, lags=Lags(3.0, 3.0))
    other = replace(
        one.history,
        scripts=(Script("ana", 8.0, asks=(START,)), Script("ben", 10.0, asks=(Ask("pause"), Ask("resume")))),
    )
    found = World(other, traced=True).play()
    assert not found.violations
    assert [call.told().partition(":")[0] for call in found.calls if call.actor == "ben"] == ["failed (busy)"] * 2


def test_without_a_proof_users_are_sent_to_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of these histories bite."""
    monkeypatch.setattr(Prover, "await_in_force", lambda _prover, _written: None)
    played_ones = (world(START, Ask("undo", think=1.0), lags=Lags(5.0, 5.0), seed=seed).play() for seed in range(30))
    assert any(violation.rule == "no request fails" for found in played_ones for violation in found.violations)


def rewrite(
    one: World, rules: list[Json] | None = None, *, annotated: bool = True, by: str = "editor", name: str = NAME
) -> None:
    """As somebody with an editor does."""
    route = one.store.get("httproutes", name)
    assert route is not None
    meta = {**route["metadata"], "generation": route["metadata"]["generation"] + 1}
    if not annotated:
        meta.pop("annotations", None)
    spec = {**route["spec"], "rules": route["spec"]["rules"] if rules is None else rules}
    one.store.put("httproutes", {**route, "metadata": meta, "spec": spec}, by)


def put_back(one: World) -> None:
    """As a GitOps tool does: the rules, and not the annotation."""
    rewrite(one, RULES, by="argocd")


def test_a_route_that_somebody_put_back_gets_its_share_once_more() -> None:
    one = world(START, replace(START, think=30.0))
    one.timeline.at(30.0, lambda: put_back(one))
    found = played(one)
    again = found.calls[1].result
    assert (
        isinstance(again, Outcome) and again.changed and any("somebody else writes" in text for text in again.warnings)
    )
    assert_as_before(one)


def test_whoever_puts_a_route_back_each_time_is_named_and_no_request_fails() -> None:
    one = world(START, seed=1)

    def hear(change: Change) -> None:
        if change.kind == "httproutes" and change.by.startswith("ana"):
            one.timeline.after(0.2, lambda: put_back(one))

    one.store.listen(hear)
    found = one.play()
    assert not [violation for violation in found.violations if violation.rule == "no request fails"]
    assert "failed (contested" in told(found)[0]


def test_a_gateway_that_nobody_can_ask_is_believed_by_its_status_and_that_is_said() -> None:
    found = played(world(START, Ask("promote"), lags=Lags(hidden=True), end=End.PROMOTE))
    assert told(found)[0].endswith("which get 5 % of the requests (stated)")
    deaf = world(START, lags=Lags(hidden=True, deaf_from=6.0)).play()
    assert "failed (not_programmed" in told(deaf)[0] and not deaf.violations


@pytest.mark.parametrize("end", [End.UNDO, End.PROMOTE])
def test_a_route_that_has_lost_what_was_kept_on_it_is_given_back_all_the_same(end: End) -> None:
    one = world(START, Ask(end.value, think=40.0), end=end)
    one.timeline.at(30.0, lambda: rewrite(one, annotated=False))
    played(one)
    route = one.store.get("httproutes", NAME)
    assert route is not None and not route["metadata"].get("annotations")
    # Its weight is lost, and alone in its rule it has none to be compared with.
    (rule,) = route["spec"]["rules"]
    assert [ref["name"] for ref in rule["backendRefs"]] == [NAME] and list(one.store.of("services")) == [NAME]


@pytest.mark.parametrize(
    "last", [Ask("undo"), Ask("promote"), Ask("promote", by="weights")], ids=["undo", "pods", "weights"]
)
def test_services_of_the_two_versions_without_their_labels_are_still_of_their_release(last: Ask) -> None:
    full = replace(START, pods=4, surge=4, think=1.0)
    one = world(START, replace(full, think=30.0), replace(last, think=5.0))

    def strip() -> None:
        for name, item in list(one.store.of("services").items()):
            if name != NAME:
                meta = {key: value for key, value in item["metadata"].items() if key != "labels"}
                one.store.put("services", {**item, "metadata": meta}, "editor")

    one.timeline.at(25.0, strip)
    assert all(line.startswith("changed: ") for line in told(played(one)))
    assert_as_before(one)


@pytest.mark.parametrize("lags", [SWIFT, Lags(2.0, 2.0, forgets=True)], ids=["swift", "late"])
def test_routes_of_a_release_whose_record_is_lost_are_found_again_and_given_back(lags: Lags) -> None:
    one = world(GROW, Ask("info", think=40.0), lags=lags)

    one.timeline.at(30.0, lambda: lose_record(one))
    found = one.play()
    # Its other rules are those of a record.
    assert not [violation for violation in found.violations if violation.rule == "no request fails"]
    ways = [(call.ask.verb, call.restores is not None) for call in found.calls if call.actor == "last"]
    assert ("undo", True) in ways, ways
    assert_as_before(one)


# A judgement looks every two seconds.
@pytest.mark.parametrize(("watching", "within"), [("bake", 1.0), ("verify", 2.1)])
def test_a_canary_that_somebody_replaces_gets_no_users_within_seconds_while_a_verb_watches(
    watching: str, within: float
) -> None:
    one = world(GROW, Ask(watching, seconds=60.0, think=5.0))
    other = replace(one.history, foreign=(Foreign(40.0, "kubectl set image", 0, "v3"),))
    one = World(other, traced=True)
    written: list[float] = []

    def hear(change: Change) -> None:
        if change.kind == "httproutes" and change.by.startswith("ana") and change.at > 40.0:
            written.append(change.at)

    one.store.listen(hear)
    found = one.play()
    (watched,) = [call for call in found.calls if call.ask.verb == watching]
    assert watched.told().startswith("failed (") and "changed): " in watched.told()
    assert written and written[0] - 40.0 <= within
    assert_as_before(one)


class Lacking(World):
    """`lacked`: when a request of a user failed."""

    def _fails(self, service: str, told: str) -> None:
        self.lacked.append(self.timeline.now)

    @cached_property
    def lacked(self) -> list[float]:
        return []


@pytest.mark.parametrize(
    ("what", "version"),
    [
        ("kubectl rollout undo", "v1"),
        ("kubectl apply", "v1"),
        ("kubectl set image", "v3"),
        ("the whole manifest", "v3"),
        ("server-side apply by force", "v3"),
    ],
)
def test_whoever_was_sent_to_a_canary_that_is_taken_away_is_sent_to_pods_that_stay(what: str, version: str) -> None:
    one = world(GROW, Ask("bake", seconds=60.0, think=5.0))
    later = Script("later", 90.0, asks=(Ask("undo"),))
    scripts = (*one.history.scripts, later)
    one = Lacking(replace(one.history, foreign=(Foreign(40.0, what, 0, version),), scripts=scripts), traced=True)
    _began, watched = one.play().calls[:2]
    assert watched.told().startswith("failed (") and "changed): " in watched.told()
    assert not [at for at in one.lacked if at > 41.0]
    assert_as_before(one)


HALF = Ask("start", pods=2, surge=2, share="50", timeout=60.0)


@pytest.mark.parametrize("kind", ["gateway_api", "service_selector"])
@pytest.mark.parametrize("ask", ["drain", "less", "nobody"])
def test_nobody_is_sent_back_to_a_stable_version_without_ready_pods_by_whom_the_canary_serves(
    ask: str, kind: str
) -> None:
    everybody = replace(HALF, pods=1, surge=1, share="100", kind=kind)
    share = "0" if kind == "service_selector" or ask == "nobody" else "25"
    back = Ask("pause", drain=True) if ask == "drain" else replace(everybody, share=share)
    crashes = Incident(60.0, Befalls.CRASH, "v1", seconds=300.0)
    scripts = (Script("ana", 8.0, asks=(everybody,)), Script("eve", 90.0, asks=(back, replace(back, think=400.0))))
    one = Lacking(
        History(replicas=1, natures=DRAINING, scripts=scripts, end=End.UNDO, gateway=SWIFT, incidents=(crashes,))
    )
    refused, again = [call for call in one.play().calls if call.actor == "eve"]
    assert "failed (not_ready): no pod of the stable version is Ready" in refused.told()
    assert again.told().startswith("changed: ") and not one.lacked, (again.told(), one.lacked)


@pytest.mark.parametrize(("lost", "refused"), [(1, False), (3, True)])
def test_fewer_stable_pods_than_any_rollout_leaves_get_nobody_back_whom_the_canary_serves(
    lost: int, refused: bool
) -> None:
    everybody = replace(START, pods=4, surge=4, share="100")
    less = replace(everybody, share="10", think=60.0)
    drain, warned = Ask("pause", drain=True, think=1.0), replace(less, overload="warn", think=1.0)
    one = world(everybody, less, drain, warned, Ask("undo", think=1.0))

    def turns() -> None:
        for pod in [pod for pod in one.replica_sets.pods.values() if pod.version == "v1"][:lost]:
            one.replica_sets.is_unready(pod, 120.0)

    one.timeline.at(50.0, turns)
    calls = one.play().calls[1:5]
    said = [call.told() for call in calls]
    who = (
        " % of the requests for 1 Ready stable pod is more for each than 3 pods get each, as few as the Deployment's own "
        "strategy leaves"
    )
    at_once = f"the undo sends everybody back to the stable version at once: 100{who}"
    first, second = [
        said[number].startswith(f"failed (overloaded): {share}{who}") for number, share in enumerate((90, 100))
    ]
    agreed, undone = [getattr(call.result, "warnings", ()) for call in calls[2:]]
    assert first is second is (f"90{who}, and that was asked for" in agreed) is (at_once in undone) is refused, said
    assert said[2 if refused else 1].startswith("changed: ") and said[3].startswith("changed: undone: "), said


@pytest.mark.parametrize("share", [5, 60])
def test_a_few_more_users_for_stable_pods_that_are_too_few_already_keep_nobody_with_a_canary(share: int) -> None:
    begun = replace(START, pods=4, surge=4, share=str(share)) if share > 50 else START
    one = world(begun, Ask("pause", drain=True, think=60.0))

    def turns() -> None:
        for pod in [pod for pod in one.replica_sets.pods.values() if pod.version == "v1"][:3]:
            one.replica_sets.is_unready(pod, 120.0)

    one.timeline.at(50.0, turns)
    drained = one.play().calls[1]
    if share > 50:
        assert drained.told().startswith("failed (overloaded): 100 % of the requests for 1 Ready stable pod ")
    else:
        assert drained.told().startswith("changed: ")
        assert any("and 95 % they get already" in said for said in getattr(drained.result, "warnings", ()))


SLOW = {**DRAINING, "v2": Nature(40.0, 40.0, ends_in=20.0)}


@pytest.mark.parametrize(
    ("asks", "ends"),
    [
        ((Ask("release", shares=("25", "50"), by="pods", seconds=5.0),), "failed (stuck, changed): "),
        ((replace(START, timeout=60.0), replace(GROW, timeout=60.0)), "changed: holding 3 canary "),
    ],
    ids=["release", "start"],
)
def test_while_a_canary_grows_nobody_is_sent_to_pods_of_it_that_are_not_ready_any_more(
    asks: tuple[Ask, ...], ends: str
) -> None:
    """For so short a time that all are Ready in the end: a release does not take one that has stood no more for one that stood."""
    scripts = (Script("ana", 8.0, asks=asks),)
    one = World(History(natures=SLOW, scripts=scripts, end=End.UNDO, gateway=SWIFT), traced=True)

    def turns() -> None:
        (stood, *_coming) = [pod for pod in one.replica_sets.pods.values() if pod.version == "v2"]
        one.replica_sets.is_unready(stood, 15.0)

    written: list[float] = []

    def hear(change: Change) -> None:
        if change.kind == "httproutes" and change.by.startswith("ana") and change.at >= 70.0:
            written.append(change.at)

    one.timeline.at(70.0, turns)
    one.store.listen(hear)
    grown = one.play().calls[len(asks) - 1]
    assert grown.told().startswith(ends), grown.told()
    assert written and written[0] < 71.0
    assert_as_before(one)


def test_a_pod_that_has_stood_a_step_and_is_gone_before_the_next_one_does_fails_the_release() -> None:
    asks = (Ask("release", shares=("25", "50"), by="pods", seconds=5.0),)
    evicted = Incident(70.0, Befalls.EVICTION, "v2")
    one = World(
        History(
            natures=SLOW, scripts=(Script("ana", 8.0, asks=asks),), end=End.UNDO, gateway=SWIFT, incidents=(evicted,)
        )
    )
    released = one.play().calls[0]
    assert released.told().startswith("failed (stuck, changed): ") and "is gone" in released.told(), released.told()


def test_an_edit_beside_which_the_weight_cannot_be_said_is_in_the_way_of_nothing() -> None:
    one = world(replace(START, share="12.5", pods=3, surge=3), Ask("info", think=30.0), Ask("undo", think=20.0))

    def weigh(rule: Json) -> Json:
        own = {**RULES[0]["backendRefs"][0], "weight": 900_000}
        return {**rule, "backendRefs": [own, {**own, "name": "legacy", "weight": 100_000}]}

    def edit() -> None:
        route = one.store.get("httproutes", NAME)
        assert route is not None
        rewrite(one, [weigh(rule) if number == 0 else rule for number, rule in enumerate(route["spec"]["rules"])])

    one.timeline.at(30.0, edit)
    assert [line.split(" ")[0] for line in told(one.play())] == ["changed:", "ok:", "changed:"]
    route = one.store.get("httproutes", NAME)
    assert route is not None and route["spec"]["rules"][0]["backendRefs"][0]["weight"] == 900_000
    assert not route["metadata"].get("annotations") and list(one.store.of("services")) == [NAME]


@pytest.mark.parametrize(
    "start", [replace(START, share="0", header="x-canary"), replace(START, share="20", sticky=True)]
)
def test_a_rule_of_somebody_else_that_a_copy_would_win_over_is_refused_before_anything_is_written(start: Ask) -> None:
    one = world(start)
    (rule,) = RULES
    debug = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}, "headers": [{"name": "debug", "value": "1"}]}]}

    def make() -> None:
        meta = {"namespace": NAMESPACE, "name": "other", "creationTimestamp": "9999-01-01T00:00:00Z"}
        refs = [{**ref, "name": "legacy"} for ref in rule["backendRefs"]]
        spec = {"parentRefs": [{"name": GATEWAY}], "hostnames": [HOST], "rules": [{**debug, "backendRefs": refs}]}
        one.server.create("httproutes", {"metadata": meta, "spec": spec}, "somebody", "kubectl-create")

    one.timeline.at(4.0, make)
    (line,) = told(one.play())
    assert line.startswith("failed (no_route)") and 'rule 0 of HTTPRoute "other"' in line, line


def test_a_cluster_without_such_routes_is_told_so() -> None:
    one = world(START)
    before = one.server.may

    def may(asked: Asked, user: str) -> None:
        if asked.resource == "httproutes.gateway.networking.k8s.io":
            raise not_served()
        before(asked, user)

    one.server.may = may  # type: ignore[method-assign]
    assert told(one.play())[0] == (
        "failed (no_route): the cluster has no HTTPRoute of gateway.networking.k8s.io/v1. Install what brings it, or give traffic another kind."
    )


@pytest.mark.parametrize(("kind", "hinted"), [("gateway_api", True), ("istio", True), ("ingress_nginx", False)])
def test_whoever_has_no_route_here_is_told_that_one_of_another_namespace_is_not_read(kind: str, hinted: bool) -> None:
    one = world(replace(START, kind=kind))
    for routes in ("httproutes", "virtualservices", "ingresses"):
        if one.store.get(routes, NAME) is not None:
            one.store.remove(routes, NAME, "somebody")
    (line,) = told(one.play())
    assert line.startswith("failed (no_route)") and ("of another namespace is not read" in line) is hinted, line


def test_a_backend_that_says_its_own_namespace_is_refused_since_it_would_not_be_rewritten() -> None:
    one = world(START)
    (rule,) = RULES
    spelt = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
        "backendRefs": [{**ref, "namespace": NAMESPACE} for ref in rule["backendRefs"]],
    }
    one.timeline.at(4.0, lambda: rewrite(one, [rule, spelt]))
    (line,) = told(one.play())
    assert line.startswith("failed (no_route)") and "Leave the namespace out there" in line, line


@pytest.mark.parametrize("number", [1, 2])
def test_an_undo_whose_release_was_ended_by_another_writes_no_route_any_more(number: int) -> None:
    """It has found a route that somebody wrote over, which takes more than one write; the Services are gone since."""
    slow = Script("eve", 30.0, asks=(Ask("undo"),), faults=(Planned(number, Fault.SLOW, 60.0),))
    scripts = (Script("ana", 8.0, asks=(START,)), slow, Script("ben", 30.5, asks=(Ask("undo"),)))
    one = World(History(gateway=Lags(0.1, 0.1), scripts=scripts), traced=True)
    one.timeline.at(29.0, lambda: put_back(one))
    found = played(one)
    (eve,) = (call for call in found.calls if call.actor == "eve")
    assert eve.told().startswith("failed (busy): somebody ended the release"), eve.told()
    assert_as_before(one)


def test_a_route_that_keeps_users_of_a_held_canary_on_stable_does_so_where_another_one_fails() -> None:
    """The first start has not seen its pods Ready; then somebody puts the other route back, of which the gateway hears no more."""
    asks = (replace(START, timeout=5.0), replace(START, think=60.0))
    slow = {"v1": Nature(0.05, 0.1), "v2": Nature(20.0, 20.0)}
    lags = Lags(0.1, 0.1, hidden=True, deaf_from=45.0, deaf_to="other")
    one = World(History(natures=slow, scripts=(Script("ana", 8.0, asks=asks),), gateway=lags))
    route = one.store.get("httproutes", NAME)
    assert route is not None
    other = {**route, "metadata": {"namespace": NAMESPACE, "name": "other"}}
    one.server.create("httproutes", other, "somebody", "kubectl-create")
    one.timeline.at(44.0, lambda: rewrite(one, RULES, by="argocd", name="other"))
    given = set[str]()

    def hear(change: Change) -> None:
        ours = change.kind == "httproutes" and change.by.startswith("ana")
        if ours and change.after is not None and change.after["spec"]["rules"][0]["backendRefs"][0]["name"] == NAME:
            given.add(change.name)

    one.timeline.at(44.0, lambda: one.store.listen(hear))
    found = one.play()
    assert told(found)[1].startswith("failed (not_programmed, changed)"), told(found)
    assert given == {"other"}


def test_where_what_the_canary_got_has_no_room_any_more_users_stay_on_stable_and_the_cause_is_told() -> None:
    """A step is not proven, because the gateway hears of nothing more; meanwhile the owner has filled his route."""
    full = [
        *RULES,
        *(
            {"matches": [{"path": {"type": "Exact", "value": f"/{n}"}}], "backendRefs": RULES[0]["backendRefs"]}
            for n in range(15)
        ),
    ]
    start = replace(START, header="x-canary")
    one = world(start, replace(GROW, header="x-canary"), lags=Lags(0.1, 0.1, deaf_from=12.5))
    one.timeline.at(30.0, lambda: rewrite(one, full, by="argocd"))
    kept: list[Json] = []
    one.timeline.at(45.0, lambda: kept.append(one.store.get("httproutes", NAME) or {}))
    found = one.play()
    assert told(found)[1].startswith("failed (contested, changed): "), told(found)
    [route] = kept
    names = {ref["name"] for rule in route["spec"]["rules"] for ref in rule["backendRefs"]}
    assert len(names) == 1 and NAME not in names, names


def test_a_share_that_comes_back_after_a_step_has_a_mark_so_that_a_late_gateway_is_known_for_one() -> None:
    one = world(START, GROW, lags=Lags(0.1, 0.1, deaf_from=12.5))
    marks: list[int | None] = []
    one.timeline.at(47.0, lambda: marks.append(kept(one).wanted.mark))
    found = one.play()
    assert told(found)[1].startswith("failed (not_programmed, changed)"), told(found)
    assert all(marks) and len(marks) == 1, marks


def kept(one: World) -> Kept:
    route = one.store.get("httproutes", NAME) or {}
    return Kept.decode(route["metadata"]["annotations"][KEPT])


@pytest.mark.parametrize(
    "barred",
    [Knocked(302, "https://login.example/"), Knocked(200), Knocked(404), Knocked(503)],
    ids=["login", "a page for everybody", "another gateway", "outage"],
)
def test_what_answers_in_place_of_a_gateway_keeps_nobody_from_the_way_back(
    barred: Knocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    knock = Proxy.knock
    monkeypatch.setattr(Proxy, "knock", lambda proxy, asked: barred if proxy.timeline.now > 60 else knock(proxy, asked))
    one = world(START, Ask("undo", think=60.0), replace(START, think=5.0))
    undone, anew = told(played(one))[1:3]
    assert undone.startswith("changed: undone: "), undone
    assert "traffic.proof to none" in anew and anew.startswith("failed (not_programmed, changed): "), anew
    assert_as_before(one)


def test_copies_that_an_owner_makes_for_his_service_are_told() -> None:
    one = world(START)
    [rule] = RULES
    backend = {"group": "", "kind": "Service", "name": NAME, "port": 80}
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend}}
    old = {**rule, "matches": [{"path": {"type": "Exact", "value": "/old"}}], "filters": [mirror]}
    one.timeline.at(2.0, lambda: rewrite(one, [rule, old], by="somebody"))
    started = played(one).calls[0].result
    assert isinstance(started, Outcome)
    assert [warning.partition(" copies ")[0] for warning in started.warnings] == ['HTTPRoute "web"']


@pytest.mark.parametrize("kind", ["gateway_api", "service_selector"])
def test_a_service_with_endpoints_of_a_mesh_of_clusters_is_refused_before_anything_is_written(kind: str) -> None:
    """They have no version, and would get nobody any more."""
    one = world(replace(START, kind=kind, share="0"))
    labels = {
        "kubernetes.io/service-name": NAME,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-mesh-controller.cilium.io",
    }
    elsewhere = {
        "metadata": {"name": "web-elsewhere", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.9.0.1"], "conditions": {"ready": True}}],
        "ports": [{"name": "", "protocol": "TCP"}],
    }
    one.timeline.at(2.0, lambda: one.store.put("endpointslices", {"kind": "EndpointSlice", **elsewhere}, "clustermesh"))
    started = told(played(one))[0]
    assert started.startswith("failed (service): ") and "such as 10.9.0.1, which would get no" in started, started


def test_a_rule_without_room_for_one_backend_more_is_refused_before_anything_is_written() -> None:
    [rule] = RULES
    [own] = rule["backendRefs"]
    backends = [own, *({**own, "name": f"other-{n}", "weight": 0} for n in range(15))]
    one = world(START)
    one.timeline.at(2.0, lambda: rewrite(one, [{**rule, "backendRefs": backends}], by="somebody"))
    started = told(played(one))[0]
    assert started.startswith("failed (no_route): ") and "and such a route takes 16" in started, started


def test_a_promotion_that_finds_a_full_route_says_what_to_do_about_it() -> None:
    """A user of canary_promote gives it no routes."""
    one = world(replace(START, header="x-canary"), Ask("promote", by="pods", think=30.0), Ask("undo"))
    rule, *rest = RULES
    more = [{**rule, "matches": [{"path": {"type": "Exact", "value": f"/{n}"}}]} for n in range(15)]
    one.timeline.at(30.0, lambda: rewrite(one, [rule, *rest, *more], by="argocd"))
    promoted, undone = told(played(one))[1:3]
    assert promoted.startswith("failed (no_route)") and "and such a route takes 16" in promoted, promoted
    assert "Move some of its rules into a route of their own" in promoted and "traffic.routes" not in promoted
    assert undone.startswith("changed: "), undone


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ({"targetPort": 9999}, "has port http 80:8080/TCP instead of port http 80:9999/TCP"),
        (None, "has port http 80:8080/TCP instead of port http 80:8080/TCP, more 81:81/TCP"),
    ],
    ids=["another", "one more"],
)
def test_an_owner_who_edits_his_service_is_told_so_and_never_to_delete_one_with_users(
    port: Json | None, said: str
) -> None:
    one = world(START, replace(GROW, think=40.0), Ask("undo"))
    one.timeline.at(30.0, partial(edit_port, one, port))
    found = played(one)
    grown, undone = told(found)[1:3]
    assert grown.startswith("failed (service, changed)") and said in grown and "delete" not in grown, grown
    assert undone.startswith("changed: "), undone
    assert_as_before(one)


def edit_port(one: World, port: Json | None) -> None:
    """Of his Service, as its owner does. None: one more."""
    service = one.store.get("services", NAME)
    assert service is not None
    ports = service["spec"]["ports"]
    more = {"name": "more", "port": 81, "targetPort": 81, "protocol": "TCP"}
    ports = [{**ports[0], **port}] if port else [*ports, more]
    one.store.put("services", {**service, "spec": {**service["spec"], "ports": ports}}, "somebody")


@pytest.mark.parametrize("check", [False, True])
def test_a_drained_canary_whose_service_its_owner_has_edited_is_not_resumed(check: bool) -> None:
    one = world(START, DRAIN, replace(RESUME, think=40.0, check=check), Ask("undo"))
    one.timeline.at(40.0, partial(edit_port, one, {"targetPort": 9999}))
    found = played(one)
    resumed = told(found)[2]
    assert resumed.startswith("failed (service): ") and "has port http 80:8080/TCP instead of" in resumed, resumed
    failed = found.calls[2].result
    assert isinstance(failed, VerbFailure) and (failed.canary or {})["phase"] == "frozen"
    assert_as_before(one)


@pytest.mark.parametrize(
    ("verb", "hidden", "selects"),
    [("undo", False, {"app": "other"}), ("undo", True, None), ("promote", True, {"app": "other"})],
)
def test_nobody_is_given_back_to_a_service_that_lacks_the_pods_that_serve_him(
    verb: str, hidden: bool, selects: Json | None
) -> None:
    one = world(START, Ask(verb, think=30.0, by="pods" if verb == "promote" else ""), lags=Lags(hidden=hidden))
    own = one.store.get("services", NAME)
    assert own is not None

    def edit() -> None:
        if selects is None:
            one.store.remove("services", NAME, "somebody")
        else:
            one.store.put("services", {**own, "spec": {**own["spec"], "selector": selects}}, "somebody")

    one.timeline.at(40.0, edit)
    one.timeline.at(140.0, lambda: one.store.put("services", own, "somebody"))
    refused = told(played(one))[1]
    assert refused.startswith("failed (service"), refused
    assert ('there is no Service "web"' if selects is None else 'Service "web" lacks ') in refused, refused


@pytest.mark.parametrize(
    ("spec", "warned"),
    [({"type": "LoadBalancer"}, True), ({"externalIPs": ["192.0.2.1"]}, True), ({"type": "NodePort"}, False)],
    ids=["load balancer", "external address", "port of nodes"],
)
def test_a_service_with_an_address_of_its_own_is_another_way_to_both_versions(spec: Json, warned: bool) -> None:
    one = world(START)

    def edit() -> None:
        service = one.store.get("services", NAME)
        assert service is not None
        one.store.put("services", {**service, "spec": {**service["spec"], **spec}}, "somebody")

    one.timeline.at(2.0, edit)
    started = played(one).calls[0].result
    assert isinstance(started, Outcome)
    assert any("has an address of its own" in warning for warning in started.warnings) is warned
