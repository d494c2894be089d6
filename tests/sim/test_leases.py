# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time: whoever else comes is refused and told by whom, and nobody is locked out by a run that has died."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Unreachable
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import Exchange, Request
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.processes import Processes
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Through
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.lease import HOLDER
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.holding import (
    CALL_SECONDS,
    SURE_SECONDS,
    Holding,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    SECONDS_OF_NAMED,
    UNNAMED,
    LeaseAsked,
    Meant,
    NewTemplate,
    Size,
    StartRequest,
    held_as,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from tests.release_calls import asked, failed, released
from tests.sim.calls import Called
from tests.sim.faults import Fault, Faults, Planned
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End, Foreign, History, Script
from tests.sim.network import Network
from tests.sim.objects import NAME, NAMESPACE
from tests.sim.pods import Nature
from tests.sim.stage import Stage
from tests.sim.world import REST, Played, World
from tests.situations import Web, image
from tests.toolchain.sampled import sampled

AT = 8.0
START, GROW, UNDO = Ask("start"), Ask("start", pods=2), Ask("undo")
# Its pods take a minute each, so that there is time to come in between.
SLOW = {"v2": Nature(60.0, 60.0), "v3": Nature(1.0, 1.0)}
ANA = Script("ana", AT, asks=(START,), machine="there")


def play(*scripts: Script) -> Played:
    played = World(History(natures=SLOW, scripts=scripts, end=End.UNDO)).play()
    assert not played.violations, played.violations
    return played


def of(played: Played, actor: str) -> list[Called]:
    return [call for call in played.calls if call.actor == actor]


def refused(call: Called) -> str:
    assert isinstance(call.result, VerbFailure) and call.result.code == "locked", call.told()
    assert not call.result.changed
    return call.result.message


def warned(call: Called) -> str:
    assert isinstance(call.result, Outcome), call.told()
    return " ".join(call.result.warnings)


@pytest.mark.parametrize("ask", [GROW, UNDO, Ask("pause"), Ask("release")], ids=lambda ask: ask.verb)
def test_whoever_comes_while_a_run_is_at_work_is_told_who_that_is_since_when_and_until_when(ask: Ask) -> None:
    played = play(ANA, Script("ben", AT + 20.0, asks=(ask,)))
    (ana,), (ben,) = of(played, "ana"), of(played, "ben")
    assert ana.told().startswith("changed: holding 1 canary")
    message = refused(ben)
    assert 'Deployment "web" in namespace "shop" is held by another run: run ' in message
    assert "of ana, since 2026-01-01T00:00:08" in message and "renews that before 2026-01-01T00:02:08Z" in message
    assert "takeover" in message


@pytest.mark.parametrize("skew", [0.0, 4000.0, -4000.0])
def test_the_clocks_of_two_machines_do_not_matter(skew: float) -> None:
    dies = replace(ANA, faults=(Planned(6, Fault.KILLED_AFTER),), skew=-skew)
    soon, late = (Script(name, at, asks=(UNDO,), skew=skew) for name, at in (("ben", 60.0), ("eve", 400.0)))
    played = play(dies, soon, late)
    refused(of(played, "ben")[0])
    (eve,) = of(played, "eve")
    assert eve.told().startswith("changed: undone")


@pytest.mark.parametrize(
    ("machine", "waits"),
    [("here", 0.0), ("there", CALL_SECONDS + 20.0)],
    ids=["on the same machine, at once", "on another machine, once its time is over"],
)
def test_who_has_died_locks_nobody_out_for_long(machine: str, waits: float) -> None:
    dies = replace(ANA, machine=machine, faults=(Planned(6, Fault.KILLED_AFTER),))
    played = play(dies, Script("ben", AT + 5.0 + waits, asks=(GROW, UNDO)))
    assert [call.told().partition(":")[0] for call in of(played, "ben")] == ["changed", "changed"]


def test_the_same_run_begun_again_goes_on_at_once() -> None:
    dies = replace(ANA, names="run", faults=(Planned(6, Fault.KILLED_AFTER),))
    again = replace(ANA, name="ana", begins=AT + 5.0, machine="here", names="run")
    world = World(
        History(natures=SLOW, scripts=(dies, replace(again, asks=(GROW, Ask("promote", think=1.0)))), end=End.UNDO)
    )
    played = world.play()
    assert not played.violations, played.violations
    assert [call.told().partition(":")[0] for call in of(played, "ana")[1:]] == ["changed", "changed"]


@pytest.mark.parametrize(
    ("comes_back", "over", "waits"),
    [(False, False, SURE_SECONDS), (False, True, 0.0), (True, False, 0.0)],
    ids=["which may be at work", "which has ended", "which is away between two calls"],
)
@pytest.mark.parametrize("again", ["ensure", "rejoin"])
def test_the_same_run_in_another_process_waits_until_the_first_is_sure_of_nothing(
    stage: Stage, new: Callable[..., Web], again: str, comes_back: bool, over: bool, waits: float
) -> None:
    web, ended = new().make(3), set[str]()
    networks = [through(stage, name, ended) for name in ("one", "two")]
    first, second = (held_as(network, web.call, "awx-42", returns=True) for network in networks)
    uid, _ = (network.get(web.path)["metadata"]["uid"] for network in networks)
    first.ensure(uid)
    if comes_back:
        first.let_go(comes_back=True)
    if over:
        ended.add("here.worker-of-one")
    begins = stage.test.monotonic()
    getattr(second, again)(uid)
    assert second.is_held and waits <= stage.test.monotonic() - begins < waits + SURE_SECONDS / 2


def test_a_run_that_is_taken_over_is_told_by_whom_and_so_is_who_takes() -> None:
    taker = Script("ben", AT + 20.0, asks=(replace(UNDO, takeover=True),))
    played = play(replace(ANA, names="run", asks=(Ask("start", pods=3), Ask("promote"))), taker)
    (ben,) = of(played, "ben")
    assert "is held by another run: run ana of ana" in warned(ben) and "taken over" in warned(ben)
    started, *_later = of(played, "ana")
    assert isinstance(started.result, VerbFailure), started.told()


def test_a_run_that_was_taken_over_while_it_was_away_is_told_by_whom() -> None:
    swift = {"v2": Nature(1.0, 1.0)}
    ana = Script("ana", AT, names="run", asks=(START, Ask("promote", think=200.0)))
    ben = Script("ben", AT + 100.0, asks=(replace(UNDO, takeover=True, reason="too slow"),))
    played = World(History(natures=swift, scripts=(ana, ben), end=End.UNDO)).play()
    assert not played.violations
    result = of(played, "ana")[-1].result
    assert isinstance(result, VerbFailure) and result.code == "other_release"
    assert "the last one was undone by ben at 2026-01-01T00:01:4" in result.message, result.message


@pytest.mark.parametrize(
    ("takes", "canary"),
    [
        (lambda eve: eve.start(pods=3), 3),
        (lambda eve: eve.start(pods=1), 1),
        (lambda eve: (eve.pause(), eve.resume()), 1),
    ],
    ids=["lets it grow", "finds it as it is to be", "freezes it for a while"],
)
def test_a_release_goes_on_with_nothing_that_was_taken_over_between_two_of_its_calls(
    new: Callable[..., Web], takes: Callable[[Web], object], canary: int
) -> None:
    web = new().make(4)
    _, told = released(web, asked(web, through=Through.parse("step 1")))
    eve = replace(web)
    eve.takeover = True
    takes(eve)
    failure, after = failed(web, asked(web, previous=told))
    assert (failure.code, after.outcome.value) == ("other_release", "failed")
    assert (web.split()["v2"], web.phase) == (canary, "held")


@pytest.mark.parametrize("about", ["the canary", "the stable version"])
def test_an_alert_takes_a_canary_from_the_job_that_bakes_it_and_leaves_alone_what_it_is_not_about(
    about: str, stage: Stage, new: Callable[..., Web]
) -> None:
    """As the rulebooks ask for it: by the version that errs, whoever holds the Deployment."""
    web = new().make(4)
    stable = web.info()["stable"]["hash"]

    def alert(other: Web) -> None:
        other.admin.clock.sleep(600.0)
        errs = other.info()["canary"]["hash"] if about == "the canary" else stable
        before = dict(stage.store.of("leases"))
        undo = replace(other, meant=Meant(errs), takeover=True).undo
        if about == "the canary":
            assert undo().changed
        else:
            assert "was expected" in other.refused(undo, "other_release")
            assert dict(stage.store.of("leases")) == before

    request = asked(web)
    request = replace(request, steps=(replace(request.steps[0], bake=3600.0),))
    with web.world.meanwhile(web, alert):
        if about == "the canary":
            failure, told = failed(web, request)
            assert told.outcome.value == "failed" and "the canary is being taken back" in failure.message
        else:
            assert released(web, request)[1].outcome.value == "released"
    assert web.split() == ({"v1": 4} if about == "the canary" else {"v2": 4})


def test_a_run_that_waits_finds_out_in_time_that_it_was_taken_over() -> None:
    pinned = Ask("start", pods=1, timeout=600.0)
    endless = {"v2": Nature(never_ready=True)}
    ana = replace(ANA, asks=(pinned,))
    ben = Script("ben", AT + 20.0, names="run", asks=(replace(START, takeover=True, wait=False),))
    played = World(History(natures=endless, scripts=(ana, ben), end=End.UNDO)).play()
    assert not played.violations
    (call,) = of(played, "ana")
    assert isinstance(call.result, VerbFailure) and call.ended is not None
    assert "of run ben" in call.result.message or "run ben of ben" in call.result.message, call.told()
    assert call.ended < AT + 20.0 + CALL_SECONDS


def test_a_run_whose_lease_is_gone_again_is_told_that_it_was_taken_over() -> None:
    """Whoever took it over has given it back before the run that lost it looks."""
    endless = {"v2": Nature(never_ready=True)}
    world = World(
        History(natures=endless, scripts=(replace(ANA, asks=(Ask("start", pods=1, timeout=600.0),)),), end=End.UNDO)
    )

    def gone() -> None:
        for lease in list(world.store.of("leases")):
            world.store.remove("leases", lease, "somebody")

    world.timeline.at(AT + 20.0, gone)
    played = world.play()
    assert not played.violations
    (call,) = of(played, "ana")
    assert isinstance(call.result, VerbFailure) and call.ended is not None
    assert (
        call.result.code == "locked" and "was taken over by another run, which has ended since" in call.result.message
    )
    assert call.ended < AT + 20.0 + CALL_SECONDS


def test_a_run_that_has_a_name_keeps_the_deployment_between_its_tasks_and_gives_it_back_at_the_end() -> None:
    swift = {"v2": Nature(1.0, 1.0), "v3": Nature(1.0, 1.0)}
    ana = Script("ana", AT, names="run", asks=(START, Ask("promote", think=200.0)))
    between, after = (Script(name, at, asks=(UNDO,)) for name, at in (("ben", 100.0), ("eve", 300.0)))
    played = World(History(natures=swift, scripts=(ana, between, after), end=End.UNDO)).play()
    assert not played.violations
    assert "will be back by 2026-01-01T00:05:" in refused(of(played, "ben")[0])
    assert all(call.told().startswith("changed") for call in of(played, "ana"))
    assert of(played, "eve")[0].told().startswith("ok: no canary is held: nothing to undo")


def test_a_run_that_does_not_come_back_in_time_has_it_no_longer() -> None:
    swift = {"v2": Nature(1.0, 1.0)}
    ana = Script("ana", AT, names="run", asks=(START,))
    ben = Script("ben", AT + SECONDS_OF_NAMED + 30.0, asks=(UNDO,))
    played = World(History(natures=swift, scripts=(ana, ben), end=End.UNDO)).play()
    assert not played.violations and of(played, "ben")[0].told().startswith("changed: undone")


@pytest.mark.parametrize("verb", ["bake", "verify"])
def test_a_long_look_keeps_what_its_run_holds(verb: str) -> None:
    swift = {"v2": Nature(1.0, 1.0)}
    ana = Script("ana", AT, names="run", asks=(START, Ask(verb, seconds=1200.0), Ask("promote")))
    ben = Script("ben", AT + 900.0, asks=(UNDO,))
    played = World(History(natures=swift, scripts=(ana, ben), end=End.UNDO)).play()
    assert not played.violations, played.violations
    refused(of(played, "ben")[0])
    assert of(played, "ana")[-1].told().startswith("changed: promoted")


def test_whoever_only_looks_takes_none() -> None:
    asks = (
        Ask("info"),
        Ask("bake", seconds=5.0),
        Ask("promote"),
        Ask("undo"),
        replace(START, check=True),
        Ask("headroom"),
    )
    world = World(History(natures=SLOW, scripts=(Script("ana", AT, asks=asks),), end=End.UNDO))
    assert not world.play().violations
    assert not [change for change in world.store.log if change.kind == "leases"]


def test_a_release_costs_two_requests_more_and_leaves_no_lease() -> None:
    swift = {"v2": Nature(1.0, 1.0)}
    ana, looks = Script("ana", AT, asks=(Ask("release", pods=2),)), Script("eve", 300.0, asks=(Ask("info"),))
    world = World(History(natures=swift, scripts=(ana, looks), end=End.UNDO))
    assert not world.play().violations
    written = [(change.type, change.by) for change in world.store.log if change.kind == "leases"]
    assert written == [("ADDED", "ana/0"), ("DELETED", "ana/0")]


def test_check_mode_tells_who_holds_it() -> None:
    played = play(ANA, Script("ben", AT + 20.0, asks=(Ask("start", pods=2, check=True), Ask("info"))))
    check, look = of(played, "ben")
    assert "is held by another run" in warned(check) and "nothing would be written" in warned(check)
    assert isinstance(look.result, Outcome)
    held = look.result.extra["holder"]
    assert (held["by"], held["until"]) == ("ana", "2026-01-01T00:02:08Z")


@pytest.mark.parametrize(
    ("number", "kind"), sampled([(number, kind) for kind in Fault if "KILLED" not in kind.name for number in range(12)])
)
def test_a_lease_that_another_run_has_left_is_taken_whatever_becomes_of_a_request(number: int, kind: Fault) -> None:
    left = replace(ANA, machine="here", faults=(Planned(6, Fault.KILLED_AFTER),))
    ben = Script("ben", AT + 5.0, asks=(START, UNDO), faults=(Planned(number, kind),))
    played = play(left, ben)
    assert of(played, "ben")[-1].told().startswith("changed: undone"), of(played, "ben")


class Away(Network):
    """What is asked about Leases gets no answer for a while."""

    away = False

    def _send(self, request: Request) -> Exchange:
        if self.away and "/leases" in request.path:
            raise Unreachable(request.asked, "Connection refused")
        return super()._send(request)


def test_a_lease_that_cannot_be_renewed_ends_no_wait_and_lets_no_write_through(
    stage: Stage, new: Callable[..., Web]
) -> None:
    web = new().make(3)
    network = Away(stage.test, stage.server, "ana", Faults(), random.Random(0), web.api.processes)
    uid = network.get(web.path)["metadata"]["uid"]
    held = held_as(network, web.call, "ours", returns=False)
    held.ensure(uid)
    stage.test.sleep(CALL_SECONDS - 20.0)
    network.away = True
    held.keep(uid)
    for _attempt in range(2):
        with pytest.raises(Unreachable):
            held.ensure(uid)
        stage.test.sleep(1.0)
    network.away = False
    held.ensure(uid)
    held.let_go(comes_back=False)
    assert not stage.store.of("leases") and not held.warnings


def test_a_lease_is_asked_for_again_by_a_machine_that_was_suspended(stage: Stage, new: Callable[..., Web]) -> None:
    web = new().make(3)
    network = through(stage, "ana", set())
    uid = network.get(web.path)["metadata"]["uid"]
    held = held_as(network, web.call, "ours", returns=False)
    held.ensure(uid)
    stage.test.suspended = 10 * CALL_SECONDS
    stage.test.sleep(stage.test.suspended)
    (before,) = stage.store.of("leases").values()
    held.ensure(uid)
    (after,) = stage.store.of("leases").values()
    assert before["spec"]["renewTime"] < after["spec"]["renewTime"]


def test_a_lease_that_makes_no_sense_is_told_and_kills_no_release(new: Callable[..., Web]) -> None:
    web = new().make(4)
    server = web.world.server  # type: ignore[attr-defined]
    _, told = released(web, replace(asked(web), through=Through.parse("step 1"), run="ours"))
    (lease,) = server.store.of("leases").values()
    server.store.put("leases", {**lease, "spec": {**lease["spec"], "holderIdentity": 7}}, "somebody")
    failure, _told = failed(web, replace(asked(web), previous=told))
    assert "makes no sense" in failure.message and "holderIdentity" in failure.message


def test_without_a_date_there_is_no_lease_and_it_is_said(new: Callable[..., Web]) -> None:
    web = new().make(3)
    server = web.world.server  # type: ignore[attr-defined]
    server.says_the_time = False
    started = web.start()
    assert started.changed and "does not say what time it is" in " ".join(started.warnings)
    assert not server.store.of("leases")


def test_a_deployment_that_was_made_again_is_nobodys(new: Callable[..., Web]) -> None:
    web = new().make(3)
    web.start(run="ours")
    server = web.world.server  # type: ignore[attr-defined]
    (lease,) = server.store.of("leases").values()
    owner = {**lease["metadata"]["ownerReferences"][0], "uid": "of-the-one-before"}
    server.store.put("leases", {**lease, "metadata": {**lease["metadata"], "ownerReferences": [owner]}}, "somebody")
    assert web.undo().changed


@dataclass(frozen=True)
class Plays(Processes):
    """Those of one machine: a worker of a playbook. `over`: who has ended."""

    name: str
    over: set[str]

    def this_process(self) -> str:
        return f"here.worker-of-{self.name}"

    def parent(self) -> str:
        return f"here.{self.name}"

    def has_ended(self, name: str) -> bool:
        return name in self.over


def test_a_lease_of_a_deployment_that_is_gone_is_none_of_the_next_one_whoever_had_it() -> None:
    world = World(History())
    api = Network(world.director, world.server, "ana", world.no_faults(), random.Random(0), world.machine("ana"))
    holding = Holding(api, NAMESPACE, NAME, "run-1")
    world.director.sleep(REST)
    api.get("/version")  # whoever writes has looked before, and knows what time it is
    uids = []
    for _time in range(2):
        uid = world.store.of("deployments")[NAME]["metadata"]["uid"]
        holding.ensure(uid)
        (lease,) = world.store.of("leases").values()
        assert lease["metadata"]["ownerReferences"][0]["uid"] == uid
        uids.append(uid)
        world.somebody.writes(Foreign(0.0, "delete and create", 0, "v1"))
        world.director.sleep(REST)
        assert not world.store.of("leases")
    assert len(set(uids)) == 2


def through(stage: Stage, name: str, over: set[str]) -> Network:
    return Network(stage.test, stage.server, name, Faults(), random.Random(0), Plays(name, over))


def left(stage: Stage) -> tuple[int, dict[str, str]]:
    """For how long the Lease is kept, and what is noted in it."""
    (lease,) = stage.store.of("leases").values()
    return lease["spec"]["leaseDurationSeconds"], json.loads(lease["metadata"]["annotations"][HOLDER])


@pytest.mark.parametrize(
    ("run", "locked"), [(f"{UNNAMED}1", False), ("awx-42", True)], ids=["that nobody has named", "that has a name"]
)
def test_a_run_between_two_tasks_is_over_with_its_playbook_unless_it_has_a_name(
    run: str, locked: bool, stage: Stage, new: Callable[..., Web]
) -> None:
    web, over = new().make(4), set[str]()
    ana = replace(web, admin=through(stage, "ana", over))
    released(ana, replace(asked(ana), through=Through.parse("step 1"), run=run))
    assert left(stage)[0] == SECONDS_OF_NAMED
    ben = replace(web, admin=through(stage, "ben", over))
    assert "will be back by" in ben.refused(ben.undo, "locked")
    over.add("here.worker-of-ana")
    ben.refused(ben.undo, "locked")
    over.add("here.ana")
    if locked:
        ben.refused(ben.undo, "locked")
    else:
        assert ben.undo().changed


@pytest.mark.parametrize("run", [f"{UNNAMED}1", "awx-42"])
def test_what_a_run_has_said_of_how_it_is_kept_holds_until_it_says_something_else(
    run: str, stage: Stage, new: Callable[..., Web]
) -> None:
    web = new().make(4)
    ana = replace(web, admin=through(stage, "ana", set()))
    asks = asked(ana, pods=(1, 2))
    long = replace(asks, call=replace(asks.call, lease=LeaseAsked(seconds=1800)))
    _, told = released(ana, replace(long, through=Through.parse("step 1"), run=run))
    before = left(stage)
    assert before[0] == 1800
    named = replace(ana, meant=Meant(run=run))
    for looks in (lambda: named.bake(150.0), lambda: named.start("v2", 1, run=run)):
        looks()
        assert left(stage) == before
    released(ana, replace(asks, previous=told, through=Through.parse("step 2")))
    assert left(stage) == before
    short = replace(named.call, lease=LeaseAsked(seconds=60))
    start(ana.api, StartRequest(short, NewTemplate(images={"app": image("v2")}), Size(3), run=run), ana.report)
    assert left(stage) == (60, {**before[1], "between": "60"})


@pytest.mark.parametrize("comes_back", [True, False])
@pytest.mark.parametrize("labels", [1, 2])
def test_a_lease_that_somebody_has_labelled_is_given_back(
    comes_back: bool, labels: int, stage: Stage, new: Callable[..., Web]
) -> None:
    web = new().make(4)
    network = Labelled(stage.test, stage.server, "ana", Faults(), random.Random(0), web.api.processes)
    held = held_as(network, web.call, "ours", returns=True)
    held.ensure(network.get(web.path)["metadata"]["uid"])
    network.labels = labels
    held.let_go(comes_back=comes_back)
    assert not network.labels
    assert left(stage)[0] == SECONDS_OF_NAMED if comes_back else not stage.store.of("leases")


def test_a_lease_that_was_taken_over_is_not_given_back(stage: Stage, new: Callable[..., Web]) -> None:
    web = new().make(4)
    held = held_as(web.api, web.call, "ours", returns=True)
    held.ensure(web.get()["metadata"]["uid"])
    replace(web, takeover=True).start(run="theirs")
    held.let_go(comes_back=False)
    (lease,) = stage.store.of("leases").values()
    assert lease["spec"]["holderIdentity"] == "theirs"


class Labelled(Network):
    """Somebody labels the Lease right before it is written, so many times."""

    labels = 0

    def _send(self, request: Request) -> Exchange:
        if self.labels and "/leases" in request.path and request.method in ("PATCH", "DELETE"):
            self.labels -= 1
            (lease,) = self._server.store.of("leases").values()
            labelled = {**lease["metadata"], "labels": {"seen": str(self.labels)}}
            self._server.store.put("leases", {**lease, "metadata": labelled}, "somebody")
        return super()._send(request)


VERBS = ("start", "start", "start", "promote", "undo", "pause", "resume", "release")
RUNS = 150


def runs_at_once(seed: int) -> History:
    """Of one Deployment, with routes or without: other versions, other verbs, one of them dies, or takes over, and their clocks differ."""
    chance = random.Random(seed)
    routed = chance.random() < 0.5
    scripts = []
    for name in ("ana", "ben", "eve", "vic")[: chance.choice((2, 2, 3, 4))]:
        version, takes = chance.choice(("v2", "v2", "v3")), chance.random() < 0.15
        asks = []
        for _ask in range(chance.randint(1, 3)):
            verb, pods = chance.choice(VERBS), chance.randint(1, 3)
            asks.append(Ask(verb, chance.choice((0.0, 1.0, 5.0)), version, pods, takeover=takes))
        if routed:
            asks = [replace(ask, shares=("5", "25")) if ask.verb == "release" else ask for ask in asks]
            asks = [replace(ask, share="25", surge=3) if ask.verb == "start" else ask for ask in asks]
        dies = Planned(chance.randrange(30), chance.choice((Fault.KILLED_BEFORE, Fault.KILLED_AFTER)))
        scripts.append(
            Script(
                name,
                AT + chance.choice((0.0, 0.0, 0.1, chance.uniform(0.0, 20.0))),
                asks=tuple(asks),
                machine=chance.choice(("here", "there")),
                names=chance.choice(("", "run", "both")),
                faults=(dies,) if chance.random() < 0.25 else (),
                skew=chance.choice((0.0, -4000.0, 4000.0)),
            )
        )
    pace = chance.choice((0.1, 1.0, 10.0))
    natures = {version: Nature(pace, pace + 1.0) for version in ("v2", "v3")}
    end = chance.choice((End.PROMOTE, End.UNDO))
    return History(seed, natures=natures, scripts=tuple(scripts), end=end, gateway=Lags() if routed else None)


@pytest.mark.parametrize("first", sampled(range(0, RUNS, 10)))
def test_of_runs_at_once_one_writes_at_a_time_and_nothing_is_promoted_that_it_did_not_judge(first: int) -> None:
    for seed in range(first, first + 10):
        played = World(runs_at_once(seed)).play()
        assert not played.violations, (seed, played.violations)
