# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_fleet: many releases in one call, wave after wave.

What is done next is decided in release/fleet.py; each release is done by canary_release, up to the stage that its wave has come to.
This module is private to the collection.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

from ...cluster.api import Api
from ...cluster.crew import Crew, Meanwhile, Work
from ...cluster.errors import ApiError
from ...display.news import Kind, News, news
from ...release.fleet import FAILED, MOVES, Act, Standing, Wave, decide, ending_of, is_put_off
from ...release.fleet_result import Fleet, waves_of, with_its_wave
from ...release.policies import End, Headroom, Through
from ...release.result import Ending, Release
from ...release.room import Go
from ...release.rulings import NOTHING_CHANGED
from ...rollout.fields import Malformed
from ...rollout.refusal import Refusal
from ...wording import count_of, ended
from ..bake import LOOK_SECONDS
from ..call.orders import new_run
from ..call.outcome import Outcome, Report, VerbFailure
from ..call.waiting import AWAY
from ..releasing.course import WAVE_FAILED
from ..releasing.release import release, stands_still, withdraw
from .apart import must_be_different
from .kept import Kept
from .leases import CLUSTERS_AT_ONCE, Leases, of_fleet
from .looking import Looks
from .missing import not_there
from .orders import FleetRequest
from .room import ask_for_room
from .sharing import that_share

FLEET_FAILED = "fleet_failed"
# Who tells what is said of the fleet as a whole.
_FLEET = "fleet"
# Between two lines of how it stands.
STATE_SECONDS = 10.0
# At most, of those that stand.
LOOKS_A_SECOND = 5
NO_HISTORY = (
    "spec.revisionHistoryLimit is 0: once it is promoted there is no ReplicaSet to roll back to, should another release of its "
    "wave fail. Make it 1 or more"
)
# How soon a rest between two waves ends where the call is cut off.
REST_SECONDS = 1.0
_Call = Callable[[Api, Report], "Outcome | VerbFailure"]


def fleet(crew: Crew, request: FleetRequest, report: Report) -> Outcome:
    """Raises VerbFailure where a release failed; `fleet` in it tells how each of them ended."""
    looks = Looks(crew, request)
    unseen = must_be_different(looks, request.members)
    unfit: dict[int, ApiError | Malformed | Refusal] = {
        **that_share(crew, looks, request),
        **not_there(looks, request),
        **unseen,
    }
    asked = replace(request, run=request.run or new_run())
    return _Fleet(crew, asked, report, unfit).sail()


def _unsaid(told: str) -> None:
    """Of a reading that is the wave's nothing is told for each release."""


class _Fleet:
    def __init__(
        self, crew: Crew, request: FleetRequest, report: Report, unfit: Mapping[int, ApiError | Malformed | Refusal]
    ) -> None:
        self._crew, self._request, self._report = crew, request, report
        self._kept = [Kept(member) for member in request.members]
        self._leases = Leases(crew, request)
        self._waves = [[self._kept[place] for place in wave] for wave in request.waves]
        self._begun = crew.clock.monotonic()
        self._telling = threading.Lock()
        self._stopped, self._cut_off = False, ""
        # What is done now and with whom, for whoever waits.
        self._doing, self._under_way, self._state_at = "", frozenset[Kept](), 0.0
        self._looked_at = 0.0
        # Those that come in a wave after this one.
        self._later: list[Kept] = []
        # In the order in which they did.
        self._failed = [self._kept[place] for place in unfit]
        for kept, error in zip(self._failed, unfit.values(), strict=True):
            kept.release = Release(run=request.run, outcome=Ending.REFUSED, why=(str(error), NOTHING_CHANGED))
            kept.found = str(error) if isinstance(error, Malformed) else error.found

    # Wave after wave.

    def sail(self) -> Outcome:
        """What stands in the way of all ends it as a call that is cut off does: with its result."""
        try:
            self._goes_wave_after_wave()
        except VerbFailure as failure:
            self._cut_off = failure.message
        return self._ended()

    def _goes_wave_after_wave(self) -> None:
        number = 0
        while number < len(self._waves):
            wave = self._waves[number]
            if not self._comes_to_an_end(number, wave):
                break
            number += 1
            if number < len(self._waves) and self._released_of(wave) and not self._rests(number):
                break

    def _comes_to_an_end(self, number: int, wave: list[Kept]) -> bool:
        """False where no further wave begins."""
        while (act := decide(self._as_it_stands(wave))) not in (Act.NEXT_WAVE, Act.END):
            those = [kept for kept in wave if kept.standing in MOVES[act][0]]
            self._doing = f"wave {number + 1} of {len(self._waves)}: {act.value}"
            self._under_way = frozenset(those)
            self._tell(f"{self._doing}, {len(those)} of {len(wave)} releases")
            if act is Act.PROMOTE and not self._all_stand(those):
                continue
            meanwhile = Meanwhile(partial(self._keeps, wave), min(LOOK_SECONDS, self._leases.every))
            self._crew.all(self._works(act, those), self._request.at_once, meanwhile)
            if act is Act.PLAN:
                self._finds_room(number, wave)
        self._cut_off = self._request.cut_off() if act is Act.END else ""
        return act is Act.NEXT_WAVE

    def _finds_room(self, number: int, wave: list[Kept]) -> None:
        """Of those that may begin. Those that come later for want of room leave the wave."""
        # One cluster may be asked as several users: their pods go to the same nodes.
        by_cluster: dict[tuple[str, ...], list[Kept]] = defaultdict(list)
        for kept in wave:
            if kept.standing is Standing.PLANNED and kept.request.policies.headroom is not Headroom.SKIP:
                by_cluster[self._api(kept).cluster].append(kept)
        self._crew.all([partial(self._asks, those) for those in by_cluster.values()], self._request.at_once)
        later = [kept for kept in wave if kept in self._later]
        if later:
            self._later.clear()
            wave[:] = [kept for kept in wave if kept not in later]
            self._waves.insert(number + 1, later)
            self._tell(
                f"{count_of(len(later), 'release')} without room beside the others: to come in a wave of their own"
            )

    def _asks(self, those: Sequence[Kept]) -> None:
        """Each about its own Deployment as its own user, and about the cluster as the first of them, with what it was planned from, which need
        not be read again."""
        requests = [replace(kept.request, room=replace(kept.request.room, seen=kept.seen)) for kept in those]
        rooms = ask_for_room(self._api(those[0]), requests, _unsaid, partial(self._side_by_side, those))
        for kept, room in zip(those, rooms, strict=True):
            planned, kept.seen = replace(kept.planned, rooms=(), costs={}).asked_for(*room.rooms), None
            if isinstance(room.ruled, Go):
                kept.release = replace(planned, why=(*planned.why, *room.ruled.told))
            elif is_put_off(room.beside, self._request.when_crowded):
                kept.release = None
                self._later.append(kept)
            else:
                why = (*room.ruled.why, NOTHING_CHANGED)
                kept.release, kept.found = replace(planned, why=why, outcome=Ending.REFUSED), why[0]
                self._failed.append(kept)
                self._tell_ending(kept)

    def _api(self, kept: Kept) -> Api:
        return self._crew.api(kept.member.cluster)

    def _side_by_side(self, those: Sequence[Kept], works: Sequence[Callable[[Api], Any]]) -> list[Any]:
        found: dict[int, Any] = {}

        def done(number: int, work: Callable[[Api], Any]) -> None:
            found[number] = work(self._api(those[number]))

        self._crew.all([partial(done, *one) for one in enumerate(works)], self._request.at_once)
        return [found[number] for number in range(len(works))]

    def _rests(self, number: int) -> bool:
        """Between two waves; False where the call ends there."""
        if self._request.stops:
            self._stopped = True
            self._tell(f"stopped after wave {number} of {len(self._waves)}: run it again to go on")
        elif self._request.pause:
            self._tell(f"wave {number} of {len(self._waves)} is out; the next one begins in {self._request.pause:g} s")
            self._sleeps(self._request.pause)
        return not self._stopped

    def _sleeps(self, seconds: float) -> None:
        clock = self._crew.clock
        until = clock.monotonic() + seconds
        while not self._request.cut_off() and (left := until - clock.monotonic()) > 0:
            clock.sleep(min(REST_SECONDS, left))

    def _released_of(self, wave: Iterable[Kept]) -> bool:
        """A wave of which nothing went out in this call leaves nobody anything to look at before the next one. What a call that died
        had begun to promote, this one has seen to its end."""
        return any(kept.release is not None and kept.release.went_out for kept in wave)

    def _as_it_stands(self, wave: Iterable[Kept]) -> Wave:
        request = self._request
        standings = frozenset(kept.standing for kept in wave)
        cut_off = bool(request.cut_off())
        return Wave(standings, len(self._failed), request.tolerated, request.together, request.check, cut_off)

    # One release.

    def _foresees(self, kept: Kept) -> None:
        """Of one that was planned: what keeps it from being rolled back with its wave, once it is out."""
        if self._request.together and kept.seen is not None and kept.seen.deployment.revision_history_limit == 0:
            kept.warnings += (NO_HISTORY,)
            self._tell(f"{kept.label}: {NO_HISTORY}", kind=Kind.WARNING)

    def _works(self, act: Act, those: Iterable[Kept]) -> Iterator[Work]:
        """From the moment that the work about it is taken, nobody looks at a release besides."""
        for kept in those:
            kept.under_way = True
            yield partial(self._worked, act, kept)

    def _worked(self, act: Act, kept: Kept) -> None:
        try:
            self._is_worked_on(act, kept)
        finally:
            kept.under_way = False

    def _is_worked_on(self, act: Act, kept: Kept) -> None:
        """What has not begun when the wave fails does not begin."""
        if act in (Act.WITHDRAW, Act.RECLAIM):
            takes_back = self._withdraws(kept)
            kept.reclaimed = act is Act.RECLAIM
            self._does(kept, takes_back)
        elif not self._over():
            self._does(kept, self._goes(kept, act))
        if act is Act.PLAN:
            self._foresees(kept)
        if act is Act.HOLD and kept.stands and kept.seen is None:
            # It was judged last, which keeps nothing to compare with.
            self._look_at([kept], patiently=True)
        kept.done = self._doing
        if act is not Act.PLAN or kept.standing is not Standing.PLANNED:
            self._tell_ending(kept)

    def _goes(self, kept: Kept, act: Act) -> _Call:
        through = {Act.PLAN: Through(End.PLAN), Act.HOLD: Through(End.STEP, len(kept.request.steps))}
        asked = replace(
            kept.request,
            call=of_fleet(kept.request.call, self._together),
            through=through.get(act, Through()),
            previous=kept.release,
            run=self._request.run,
        )
        if act is Act.PLAN:
            # The wave asks for room as a whole.
            asked = replace(asked, policies=replace(asked.policies, headroom=Headroom.SKIP))
        return lambda api, report: release(api, asked, report, self._withdrawn)

    @property
    def _together(self) -> int:
        return min(len(self._under_way), self._request.at_once)

    def _withdraws(self, kept: Kept) -> _Call:
        """One that was left has failed for a reason of its own."""
        why = kept.found if kept.standing is Standing.LEFT else self._over()
        call = replace(kept.request.call, together=self._together)
        asked = replace(kept.request, call=call, previous=kept.release)
        return lambda api, report: withdraw(api, asked, report, why)

    def _does(self, kept: Kept, call: _Call) -> None:
        try:
            came = call(self._api(kept), self._summed_up(kept))
        except VerbFailure as failure:
            came = failure
        kept.takes(came)
        if kept.standing in FAILED and kept not in self._failed:
            self._failed.append(kept)
            kept.withdrawn = isinstance(came, VerbFailure) and came.code == WAVE_FAILED

    def _over(self) -> str:
        """Why nothing more begins; empty as long as the wave may go on."""
        cut_off = self._request.cut_off()
        if cut_off or len(self._failed) <= self._request.tolerated:
            return cut_off
        first = self._failed[0]
        return with_its_wave(": ".join(filter(None, (first.named, first.in_a_line(first.found)))))

    def _withdrawn(self) -> str:
        return self._over() if self._request.together else self._request.cut_off()

    # Those that stand, while their siblings are worked on.

    def _keeps(self, wave: Iterable[Kept]) -> None:
        """A look at each, and its Lease: one that does not stand any more fails its wave at once."""
        those = [kept for kept in wave if kept.stands and not kept.under_way]
        now, away = self._crew.clock.monotonic(), set[int]()
        if now >= self._looked_at + len(those) / LOOKS_A_SECOND:
            self._looked_at = now
            away = self._look_at(those, patiently=True)
        self._leases.prolong(kept.member for kept in those if kept.stands and kept.member.cluster not in away)

    def _all_stand(self, those: Sequence[Kept]) -> bool:
        """Right before the first of them is promoted."""
        self._look_at(those, patiently=False)
        return all(kept.stands for kept in those)

    def _look_at(self, those: Iterable[Kept], *, patiently: bool) -> set[int]:
        """Of a cluster that does not answer the rest is left, `patiently`, for the next round; those are returned."""
        away = set[int]()

        def look(kept: Kept) -> None:
            cluster = kept.member.cluster
            if cluster in away:
                return
            try:
                self._does(kept, self._looks(kept, patiently=patiently))
            except AWAY:
                away.add(cluster)
            if not kept.stands:
                self._tell_ending(kept)

        at_once = max(self._request.at_once, CLUSTERS_AT_ONCE)
        self._crew.all([partial(look, kept) for kept in those], at_once)
        return away

    def _looks(self, kept: Kept, *, patiently: bool) -> _Call:
        call = of_fleet(kept.request.call, self._together)
        asked = replace(kept.request, call=call, previous=kept.release, run=self._request.run)
        return lambda api, report: stands_still(api, asked, report, kept.seen, patiently=patiently)

    # What is told.

    def _summed_up(self, kept: Kept) -> Report:
        """Of what a release tells on its way few lines are for whoever watches a hundred: warnings, and now and then how it stands,
        beside how many are done."""

        def tell(told: str) -> None:
            heard = news(told)
            if heard.kind is Kind.WARNING:
                self._tell(f"{kept.label}: {heard.text}", kind=Kind.WARNING)
            elif heard.kind is Kind.STATE and self._crew.clock.monotonic() - self._state_at >= STATE_SECONDS:
                self._state_at = self._crew.clock.monotonic()
                done = sum(one.done == self._doing for one in self._under_way)
                told_of = f"{done} of {len(self._under_way)} done; {kept.label}: {heard.text}"
                self._tell(f"{self._doing}, {told_of}", kind=Kind.STATE)

        return tell

    def _tell(self, text: str, who: str = _FLEET, kind: Kind = Kind.EVENT) -> None:
        elapsed = self._crew.clock.monotonic() - self._begun
        with self._telling:
            self._report(News(text, kind=kind, deployment=who, elapsed=elapsed))

    def _tell_ending(self, kept: Kept) -> None:
        if kept.ending:
            self._tell(kept.ending, kept.label)

    def _ended(self) -> Outcome:
        if not self._request.check:
            # This run does not come back to what it leaves held.
            self._leases.give_up(kept.member for kept in self._kept if kept.standing in (Standing.HELD, Standing.WAITS))
        waves = waves_of(self._waves)
        standings = [kept.standing for kept in self._kept]
        result = Fleet(
            run=self._request.run,
            ending=ending_of(standings, stopped=self._stopped, cut_off=bool(self._cut_off)),
            why=self._why(),
            rows=tuple(kept.row(waves[kept]) for kept in self._kept),
            check=self._request.check,
        )
        warnings = tuple(f"{kept.label}: {text}" for kept in self._kept for text in kept.warnings)
        changed = any(kept.changed for kept in self._kept)
        extra = {"fleet": result.to_json()}
        if self._failed or self._cut_off:
            raise VerbFailure(result.message, code=FLEET_FAILED, changed=changed, warnings=warnings, extra=extra)
        return Outcome(changed=changed, message=result.message, warnings=warnings, extra=extra)

    def _why(self) -> tuple[str, ...]:
        """What others were taken back for is told once, where it began."""
        if self._failed or self._cut_off:
            own = [kept.told for kept in self._failed if not kept.withdrawn]
            return (*([ended(self._cut_off)] if self._cut_off else ()), *own)
        if self._stopped:
            return ("It stopped between two waves, as between says: run it again to go on.",)
        return tuple(kept.told for kept in self._kept if kept.standing is Standing.WAITS)
