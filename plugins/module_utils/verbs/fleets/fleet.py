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
from dataclasses import field, replace
from functools import partial
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

from ...cluster.api import Api
from ...cluster.crew import Crew, Meanwhile, Work
from ...cluster.errors import ApiError
from ...display.news import Kind, News, news
from ...release.fleet import FAILED, MOVES, Act, Standing, Wave, decide, ending_of, is_put_off, standing
from ...release.fleet_result import Fleet, Row, in_a_line, waves_of, why_in_a_line, with_its_wave
from ...release.policies import End, Headroom, Through
from ...release.result import Ending, Release
from ...release.room import Go
from ...release.rulings import NOTHING_CHANGED
from ...rollout.fields import Malformed
from ...rollout.phase import Situation
from ...rollout.refusal import Refusal
from ...values import dataclass
from ...wording import count_of, ended
from ..bake import LOOK_SECONDS
from ..call.orders import new_run
from ..call.outcome import Outcome, Report, VerbFailure
from ..call.waiting import AWAY
from ..releasing.course import WAVE_FAILED, ReleaseRequest
from ..releasing.release import release, stands_still, withdraw
from .apart import must_be_different
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


@dataclass
class _Kept:
    """How one release went so far. Only the work that is about it writes here. `done`: what was done with it last, in words. `under_way`:
    it is worked on. `reclaimed`: it was taken back once more, or was not. `found`: why it failed, without what to do about it, for those
    that are told of it. `seen`: what it was planned from, for the question whether there is room; of one that stands, how it stood at its
    last step, for the question whether it does so still."""

    release: Release | None = None
    changed: bool = False
    warnings: tuple[str, ...] = ()
    canary: Mapping[str, Any] = field(default_factory=dict)
    withdrawn: bool = False
    done: str = ""
    under_way: bool = False
    reclaimed: bool = False
    found: str = ""
    seen: Situation | None = None

    def planned(self) -> Release:
        """Of one that was planned, which alone is asked for room."""
        if self.release is None:
            raise LookupError("a release that was not planned has none")
        return self.release


class _Fleet:
    def __init__(
        self, crew: Crew, request: FleetRequest, report: Report, unfit: Mapping[int, ApiError | Malformed | Refusal]
    ) -> None:
        self._crew, self._request, self._report = crew, request, report
        self._kept = [_Kept() for _member in request.members]
        self._leases = Leases(crew, request)
        self._waves = [list(wave) for wave in request.waves]
        self._begun = crew.clock.monotonic()
        self._telling = threading.Lock()
        self._stopped, self._cut_off = False, ""
        # What is done now and with whom, for whoever waits.
        self._doing, self._under_way, self._state_at = "", frozenset[int](), 0.0
        self._looked_at = 0.0
        # Those that come in a wave after this one.
        self._later: list[int] = []
        # In the order in which they did.
        self._failed: list[int] = list(unfit)
        for place, error in unfit.items():
            release = Release(run=request.run, outcome=Ending.REFUSED, why=(str(error), NOTHING_CHANGED))
            self._kept[place].release = release
            self._kept[place].found = str(error) if isinstance(error, Malformed) else error.found

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

    def _comes_to_an_end(self, number: int, wave: list[int]) -> bool:
        """False where no further wave begins."""
        while (act := decide(self._as_it_stands(wave))) not in (Act.NEXT_WAVE, Act.END):
            places = [place for place in wave if self._standing(place) in MOVES[act][0]]
            self._doing = f"wave {number + 1} of {len(self._waves)}: {act.value}"
            self._under_way = frozenset(places)
            self._tell(f"{self._doing}, {len(places)} of {len(wave)} releases")
            if act is Act.PROMOTE and not self._all_stand(places):
                continue
            meanwhile = Meanwhile(partial(self._keeps, wave), min(LOOK_SECONDS, self._leases.every))
            self._crew.all(self._works(act, places), self._request.at_once, meanwhile)
            if act is Act.PLAN:
                self._finds_room(number, wave)
        self._cut_off = self._request.cut_off() if act is Act.END else ""
        return act is Act.NEXT_WAVE

    def _finds_room(self, number: int, wave: list[int]) -> None:
        """Of those that may begin. Those that come later for want of room leave the wave."""
        # One cluster may be asked as several users: their pods go to the same nodes.
        by_cluster: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place in wave:
            member = self._request.members[place]
            if self._standing(place) is Standing.PLANNED and member.request.policies.headroom is not Headroom.SKIP:
                by_cluster[self._api(place).cluster].append(place)
        self._crew.all([partial(self._asks, places) for places in by_cluster.values()], self._request.at_once)
        later = [place for place in wave if place in self._later]
        if later:
            self._later.clear()
            wave[:] = [place for place in wave if place not in later]
            self._waves.insert(number + 1, later)
            self._tell(
                f"{count_of(len(later), 'release')} without room beside the others: to come in a wave of their own"
            )

    def _asks(self, places: Sequence[int]) -> None:
        """Each about its own Deployment as its own user, and about the cluster as the first of them."""
        requests = [self._as_planned(place) for place in places]
        rooms = ask_for_room(self._api(places[0]), requests, _unsaid, partial(self._side_by_side, places))
        for place, room in zip(places, rooms, strict=True):
            kept = self._kept[place]
            planned, kept.seen = replace(kept.planned(), rooms=(), costs={}).asked_for(*room.rooms), None
            if isinstance(room.ruled, Go):
                kept.release = replace(planned, why=(*planned.why, *room.ruled.told))
            elif is_put_off(room.beside, self._request.when_crowded):
                kept.release = None
                self._later.append(place)
            else:
                why = (*room.ruled.why, NOTHING_CHANGED)
                kept.release, kept.found = replace(planned, why=why, outcome=Ending.REFUSED), why[0]
                self._failed.append(place)
                self._tell(": ".join((Ending.REFUSED.value, *self._reason(place))), self._request.members[place].label)

    def _as_planned(self, place: int) -> ReleaseRequest:
        """Asked for room with what it was planned from, which need not be read again."""
        request = self._request.members[place].request
        return replace(request, room=replace(request.room, seen=self._kept[place].seen))

    def _api(self, place: int) -> Api:
        return self._crew.api(self._request.members[place].cluster)

    def _side_by_side(self, places: Sequence[int], works: Sequence[Callable[[Api], Any]]) -> list[Any]:
        found: dict[int, Any] = {}

        def done(number: int, work: Callable[[Api], Any]) -> None:
            found[number] = work(self._api(places[number]))

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

    def _released_of(self, wave: Iterable[int]) -> bool:
        """A wave of which nothing went out in this call leaves nobody anything to look at before the next one. What a call that died
        had begun to promote, this one has seen to its end."""
        kept = [self._kept[place].release for place in wave]
        return any(release is not None and release.went_out for release in kept)

    def _changed_by(self, wave: Iterable[int]) -> bool:
        return any(self._kept[place].changed for place in wave)

    def _as_it_stands(self, wave: Iterable[int]) -> Wave:
        request = self._request
        standings = frozenset(map(self._standing, wave))
        cut_off = bool(request.cut_off())
        return Wave(standings, len(self._failed), request.tolerated, request.together, request.check, cut_off)

    def _standing(self, place: int) -> Standing:
        asked = self._request.members[place].request
        kept = self._kept[place]
        stands = standing(kept.release, len(asked.steps), asked.policies.gate)
        return Standing.FAILED if stands is Standing.LEFT and kept.reclaimed else stands

    # One release.

    def _foresees(self, place: int) -> None:
        """Of one that was planned: what keeps it from being rolled back with its wave, once it is out."""
        kept, asked = self._kept[place], self._request
        if asked.together and kept.seen is not None and kept.seen.deployment.revision_history_limit == 0:
            kept.warnings += (NO_HISTORY,)
            self._tell(f"{asked.members[place].label}: {NO_HISTORY}", kind=Kind.WARNING)

    def _works(self, act: Act, places: Iterable[int]) -> Iterator[Work]:
        """From the moment that the work about it is taken, nobody looks at a release besides."""
        for place in places:
            self._kept[place].under_way = True
            yield partial(self._worked, act, place)

    def _worked(self, act: Act, place: int) -> None:
        try:
            self._is_worked_on(act, place)
        finally:
            self._kept[place].under_way = False

    def _is_worked_on(self, act: Act, place: int) -> None:
        """What has not begun when the wave fails does not begin."""
        if act in (Act.WITHDRAW, Act.RECLAIM):
            takes_back = self._withdraws(place)
            self._kept[place].reclaimed = act is Act.RECLAIM
            self._does(place, takes_back)
        elif not self._over():
            self._does(place, self._goes(place, act))
        if act is Act.PLAN:
            self._foresees(place)
        if act is Act.HOLD and self._stands(place) and self._kept[place].seen is None:
            # It was judged last, which keeps nothing to compare with.
            self._look_at([place], patiently=True)
        self._kept[place].done = self._doing
        if act is not Act.PLAN or self._standing(place) is not Standing.PLANNED:
            self._tell_ending(place)

    def _goes(self, place: int, act: Act) -> _Call:
        member = self._request.members[place]
        through = {Act.PLAN: Through(End.PLAN), Act.HOLD: Through(End.STEP, len(member.request.steps))}
        asked = replace(
            member.request,
            call=of_fleet(member.request.call, self._together),
            through=through.get(act, Through()),
            previous=self._kept[place].release,
            run=self._request.run,
        )
        if act is Act.PLAN:
            # The wave asks for room as a whole.
            asked = replace(asked, policies=replace(asked.policies, headroom=Headroom.SKIP))
        return lambda api, report: release(api, asked, report, self._withdrawn)

    @property
    def _together(self) -> int:
        return min(len(self._under_way), self._request.at_once)

    def _withdraws(self, place: int) -> _Call:
        """One that was left has failed for a reason of its own."""
        given, before = self._request.members[place].request, self._kept[place].release
        why = self._kept[place].found if self._standing(place) is Standing.LEFT else self._over()
        asked = replace(given, call=replace(given.call, together=self._together), previous=before)
        return lambda api, report: withdraw(api, asked, report, why)

    def _does(self, place: int, call: _Call) -> None:
        kept = self._kept[place]
        try:
            came = call(self._api(place), self._summed_up(place))
        except VerbFailure as failure:
            came = failure
        kept.changed = kept.changed or came.changed
        kept.canary = came.canary or kept.canary
        kept.seen = None if isinstance(came, VerbFailure) else came.seen
        kept.found = came.found if isinstance(came, VerbFailure) else ""
        kept.warnings = tuple(dict.fromkeys((*kept.warnings, *came.warnings)))
        # Last: whoever looks how it stands sees the rest, too.
        kept.release = Release.from_json(came.extra["release"])
        if self._standing(place) in FAILED and place not in self._failed:
            self._failed.append(place)
            kept.withdrawn = isinstance(came, VerbFailure) and came.code == WAVE_FAILED

    def _over(self) -> str:
        """Why nothing more begins; empty as long as the wave may go on."""
        cut_off = self._request.cut_off()
        if cut_off or len(self._failed) <= self._request.tolerated:
            return cut_off
        first = self._failed[0]
        return with_its_wave(
            ": ".join(filter(None, (self._named(first), self._in_a_line(first, self._kept[first].found))))
        )

    def _withdrawn(self) -> str:
        return self._over() if self._request.together else self._request.cut_off()

    # Those that stand, while their siblings are worked on.

    def _keeps(self, wave: Iterable[int]) -> None:
        """A look at each, and its Lease: one that does not stand any more fails its wave at once."""
        places = [place for place in wave if self._stands(place) and not self._kept[place].under_way]
        now, away = self._crew.clock.monotonic(), set[int]()
        if now >= self._looked_at + len(places) / LOOKS_A_SECOND:
            self._looked_at = now
            away = self._look_at(places, patiently=True)
        self._leases.prolong(
            place for place in places if self._stands(place) and self._request.members[place].cluster not in away
        )

    def _stands(self, place: int) -> bool:
        """It has stood all its steps, and waits for its wave, or for a person once that stands."""
        kept, asked = self._kept[place].release, self._request.members[place].request
        waits = self._standing(place) in (Standing.HELD, Standing.WAITS)
        return waits and kept is not None and kept.reached >= len(asked.steps)

    def _all_stand(self, places: Sequence[int]) -> bool:
        """Right before the first of them is promoted."""
        self._look_at(places, patiently=False)
        return all(self._stands(place) for place in places)

    def _look_at(self, places: Iterable[int], *, patiently: bool) -> set[int]:
        """Of a cluster that does not answer the rest is left, `patiently`, for the next round; those are returned."""
        away = set[int]()

        def look(place: int) -> None:
            cluster = self._request.members[place].cluster
            if cluster in away:
                return
            try:
                self._does(place, self._looks(place, patiently=patiently))
            except AWAY:
                away.add(cluster)
            if not self._stands(place):
                self._tell_ending(place)

        at_once = max(self._request.at_once, CLUSTERS_AT_ONCE)
        self._crew.all([partial(look, place) for place in places], at_once)
        return away

    def _looks(self, place: int, *, patiently: bool) -> _Call:
        kept, given = self._kept[place], self._request.members[place].request
        call = of_fleet(given.call, self._together)
        asked = replace(given, call=call, previous=kept.release, run=self._request.run)
        return lambda api, report: stands_still(api, asked, report, kept.seen, patiently=patiently)

    # What is told.

    def _summed_up(self, place: int) -> Report:
        """Of what a release tells on its way few lines are for whoever watches a hundred: warnings, and now and then how it stands,
        beside how many are done."""
        label = self._request.members[place].label

        def tell(told: str) -> None:
            heard = news(told)
            if heard.kind is Kind.WARNING:
                self._tell(f"{label}: {heard.text}", kind=Kind.WARNING)
            elif heard.kind is Kind.STATE and self._crew.clock.monotonic() - self._state_at >= STATE_SECONDS:
                self._state_at = self._crew.clock.monotonic()
                done = sum(self._kept[one].done == self._doing for one in self._under_way)
                told_of = f"{done} of {len(self._under_way)} done; {label}: {heard.text}"
                self._tell(f"{self._doing}, {told_of}", kind=Kind.STATE)

        return tell

    def _tell(self, text: str, who: str = _FLEET, kind: Kind = Kind.EVENT) -> None:
        elapsed = self._crew.clock.monotonic() - self._begun
        with self._telling:
            self._report(News(text, kind=kind, deployment=who, elapsed=elapsed))

    def _tell_ending(self, place: int) -> None:
        kept = self._kept[place].release
        if kept is not None:
            self._tell(": ".join((kept.outcome.value, *self._reason(place))), self._request.members[place].label)

    def _told_of(self, place: int) -> str:
        kept, target = self._kept[place].release, self._request.members[place].request.call.target
        why = why_in_a_line(kept, target.name, target.namespace) if kept else ""
        return f"{self._named(place)}: {why}" if why else f"{self._request.members[place].label}."

    def _named(self, place: int) -> str:
        kept, label = self._kept[place].release, self._request.members[place].label
        return f"{label} {kept.outcome.value}" if kept else label

    def _reason(self, place: int) -> list[str]:
        """The first one, for a line that begins with the release; none where there is none."""
        kept = self._kept[place].release
        return [self._in_a_line(place, why) for why in (kept.why[:1] if kept else ())]

    def _in_a_line(self, place: int, why: str) -> str:
        target = self._request.members[place].request.call.target
        return in_a_line(why, target.name, target.namespace)

    def _ended(self) -> Outcome:
        standings = [self._standing(place) for place in range(len(self._kept))]
        if not self._request.check:
            # This run does not come back to what it leaves held.
            self._leases.give_up(
                place for place, stands in enumerate(standings) if stands in (Standing.HELD, Standing.WAITS)
            )
        result = Fleet(
            run=self._request.run,
            ending=ending_of(standings, stopped=self._stopped, cut_off=bool(self._cut_off)),
            why=self._why(standings),
            rows=tuple(self._rows()),
            check=self._request.check,
        )
        warnings = tuple(
            f"{member.label}: {text}"
            for member, kept in zip(self._request.members, self._kept, strict=True)
            for text in kept.warnings
        )
        changed = self._changed_by(range(len(self._kept)))
        extra = {"fleet": result.to_json()}
        if self._failed or self._cut_off:
            raise VerbFailure(result.message, code=FLEET_FAILED, changed=changed, warnings=warnings, extra=extra)
        return Outcome(changed=changed, message=result.message, warnings=warnings, extra=extra)

    def _why(self, standings: Sequence[Standing]) -> tuple[str, ...]:
        """What others were taken back for is told once, where it began."""
        own = [place for place in self._failed if not self._kept[place].withdrawn]
        if self._failed or self._cut_off:
            return (*([ended(self._cut_off)] if self._cut_off else ()), *map(self._told_of, own))
        if self._stopped:
            return ("It stopped between two waves, as between says: run it again to go on.",)
        return tuple(self._told_of(place) for place, stands in enumerate(standings) if stands is Standing.WAITS)

    def _rows(self) -> Iterable[Row]:
        waves = waves_of(self._waves)
        for place, (member, kept) in enumerate(zip(self._request.members, self._kept, strict=True)):
            target = member.request.call.target
            yield Row(
                name=target.name,
                namespace=target.namespace,
                cluster=member.where,
                wave=waves[place],
                release=kept.release,
                changed=kept.changed,
                pods=_ready(kept.canary),
            )


def _ready(canary: Mapping[str, Any]) -> dict[str, int]:
    versions = {name: canary.get(name) for name in ("stable", "canary")}
    return {name: version["counts"]["ready"] for name, version in versions.items() if version}
