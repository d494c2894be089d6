# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what was decided: streams say when to look again, only a fresh read decides.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Callable, Protocol, Sequence

from ...cluster.clock import Clock
from ...cluster.errors import ApiError, ServerError, Timeout, TooManyRequests, Unreachable, UntrustedServer
from ...cluster.stream import WatchEvent
from ...cluster.watch import Streams, Watched
from ...display.pods import marks
from ...rollout.phase import Situation, diagnose
from ...rollout.progress import Done, Going, Progress, Stuck
from ...rollout.views import Deployment, Picture, Pod, ReplicaSet
from ...values import dataclass
from .explaining import Unmade
from .guarded import worth_another_look
from .outcome import Kind, News, Report
from .pacing import LONGEST_SILENCE, SOONEST_LOOK, Deadline, Looks, Patience, Roomless, Steps, Told
from .site import DEPLOYMENT, PODS, Site

# A server that is away for a while ends no wait: nothing is lost meanwhile, and the deadline still holds.
AWAY = (ServerError, Timeout, TooManyRequests, Unreachable)
AWAY_PAUSE = 1.0
# A stream that lives shorter was cut off (a gateway that lets no watch through): the next one waits, twice as long each time.
SHORT_LIFE = 2.0

Judge = Callable[[Situation], Progress]
Hint = Callable[[Situation], bool]
Advance = Callable[[Situation], "Picture | None"]


def pods_unknown(away: ApiError) -> str:
    """Why nothing can be said of the pods now, as the sentence that a judgement tells."""
    return f"the API server does not answer, so the pods cannot be seen ({away.message})"


@dataclass(frozen=True)
class Waited:
    """How a wait ended: `progress` is Done, Stuck, or the Going that ran out of time (`timed_out`)."""

    situation: Situation
    progress: Progress
    timed_out: bool = False


class Beside(Protocol):
    """Something else that a judgement looks at, and that streams tell of, too. `due`: when it is to be looked at next because of that, in
    seconds of the clock; inf where nothing was told."""

    @property
    def watched(self) -> Sequence[Watched]: ...

    @property
    def due(self) -> float: ...

    def heard(self, event: WatchEvent) -> None: ...


class Mirror:
    """One Deployment and its pods as the streams tell them, replaced by what is read afresh.

    The pods are as of one moment: those of a list, or those of the stream as soon as that is further. Never some of each: a stream that begins
    after the list tells nothing of what was deleted in between, and one that lags behind it tells of what is gone. And never some of
    what a stream begins with: that is told as ADDED, in the order of names (apiserver, storage/cacher/watch_cache_interval.go),
    and before whatever changes.
    """

    def __init__(self, site: Site, picture: Picture, kinds: Sequence[str], beside: Beside | None = None) -> None:
        self._site = site
        self._beside = beside
        self.clock = site.clock
        self.waiting = site.call.together if site.call else 1
        self._kinds = tuple(kinds)
        self.unmade = Unmade(site)
        self._listed: dict[str, Pod] = {pod.uid: pod for pod in picture.pods or ()}
        # As of which version of the cluster, as far as that is known.
        self._listed_at = max((pod.version for pod in self._listed.values()), default=0)
        # All that this stream has told; whether some of that is newer than the list; and whether something has changed since it began.
        self._told: dict[str, Pod] = {}
        self._is_newer, self._has_begun = False, False
        self._picture = picture
        self._streams = self._open()
        self._opened_at, self._pause = self.clock.monotonic(), SOONEST_LOOK
        # A stream ended and another began: what came in between is not known until the next look.
        self.stale = False
        self._seen: Situation | None = None
        self.heard = False

    def _open(self) -> Streams:
        return self._site.streams(self._picture.deployment, self._kinds, self._beside.watched if self._beside else ())

    @property
    def due(self) -> float:
        """When what is beside it is to be looked at."""
        return self._beside.due if self._beside else inf

    def close(self) -> None:
        self._streams.close()

    @property
    def picture(self) -> Picture:
        pods = self._told if self._is_ahead else self._listed
        return replace(self._picture, pods=tuple(pods.values()))

    @property
    def _is_ahead(self) -> bool:
        """The stream is further than the list, and has told all that it began with."""
        return self._is_newer and (self._has_begun or self._listed.keys() <= self._told.keys())

    @property
    def situation(self) -> Situation:
        """As it is told now: found out once, however many ask, until something more is told."""
        if self._seen is None:
            self._seen = diagnose(self.picture)
        return self._seen

    def adopt(self, picture: Picture) -> None:
        self._picture, self._seen = picture, None

    def listen(self, seconds: float) -> bool:
        """Takes in what the streams tell within that time; True when they told anything."""
        events = self._streams.batch(seconds)
        for kind, event in events:
            self._take(kind, event)
            self._seen = None
        self.heard = self.heard or bool(events)
        if self._streams.ended:
            self._reopen(seconds)
        return bool(events)

    def _reopen(self, seconds: float) -> None:
        self._streams.close()
        if self.clock.monotonic() - self._opened_at < SHORT_LIFE:
            self.clock.sleep(min(self._pause, seconds))
            self._pause = min(2 * self._pause, LONGEST_SILENCE)
        else:
            self._pause = SOONEST_LOOK
        self._told, self._is_newer, self._has_begun = {}, False, False
        self._seen = None
        self._streams, self._opened_at = self._open(), self.clock.monotonic()
        self.stale = True

    def _take(self, kind: str, event: WatchEvent) -> None:
        if kind == PODS:
            uid, version = Pod.moment(event.object)
            self._is_newer = self._is_newer or not 0 < version <= self._listed_at
            self._has_begun = self._has_begun or event.type != "ADDED"
            if event.type == "DELETED":
                self._told.pop(uid, None)
                return
            # A stream begins with all that there is, and most of that was listed a moment ago.
            known = self._listed.get(uid)
            is_known = known is not None and 0 < version == known.version
            self._told[uid] = known if known is not None and is_known else Pod.parse(event.object)
        elif kind == DEPLOYMENT and event.type != "DELETED":
            deployment = Deployment.parse(event.object)
            if deployment.generation >= self._picture.deployment.generation:
                self._picture = replace(self._picture, deployment=deployment)
        elif kind != DEPLOYMENT and self._beside is not None:
            self._beside.heard(event)

    def look(self, *, last: bool) -> Situation:
        """Reads afresh. Pods are listed where what the stream told does not agree with the ReplicaSets' own counts, after a stream has
        ended, and at the last look: counts do not tell of a restart, which a stream that has died in silence has not told either."""
        self._picture, self._seen = self._site.look(), None
        if not self._agrees() or ((last or self.stale) and PODS in self._kinds):
            self._listed_at, pods = self._site.pods_at(self._picture.deployment)
            self._listed, self._is_newer = {pod.uid: pod for pod in pods}, False
        self.stale = False
        return self.situation

    def _agrees(self) -> bool:
        if PODS not in self._kinds:
            return True
        picture = self.picture
        return all(_tells(picture, rs) for rs in picture.replica_sets)


def _tells(picture: Picture, rs: ReplicaSet) -> bool:
    """The pods are as its status says."""
    pods = picture.pods_of(rs)
    if rs.current or rs.active:
        return sum(pod.serving for pod in pods) == rs.ready
    return all(pod.terminating for pod in pods)


def wait(
    site: Site,
    picture: Picture,
    judge: Judge,
    hint: Hint,
    patience: Patience,
    report: Report,
    *,
    kinds: Sequence[str] = (PODS, DEPLOYMENT),
    advance: Advance | None = None,
    beside: Beside | None = None,
) -> Waited:
    """Waits until `judge` says Done or Stuck of a fresh picture, or time is over. A Deployment made again is another one.

    `hint` says of the streamed picture that a fresh look is worth its requests. `advance` may write the next step and
    returns the picture after it; a step that does not go through is tried again. The last look is after the deadline. `judge` also looks
    `beside`, and is asked as soon as that is due.
    """
    mirror = Mirror(site, picture, kinds, beside)
    try:
        return _Wait(mirror, judge, hint, patience, report, advance).run()
    finally:
        mirror.close()


class Housing:
    """A pod that finds no room is no reason to give up as long as some may come: of a new node, for which `patience` says how long, or of
    pods that end."""

    def __init__(self, clock: Clock, patience: Patience) -> None:
        self._clock, self._patience = clock, patience
        self._roomless = Roomless()

    def notice(self, situation: Situation, progress: Progress) -> None:
        roomless = isinstance(progress, Stuck) and (progress.needs_node or progress.of_quota)
        ending = bool(situation.picture.terminating)
        self._roomless = self._roomless.seen(self._clock.monotonic(), roomless=roomless, ending=ending)

    def housed(self, situation: Situation, progress: Progress, furthest: int = 0) -> Progress:
        self.notice(situation, progress)
        if not isinstance(progress, Stuck):
            return progress
        now = self._clock.monotonic()
        if progress.needs_node and self._roomless.may_find_node(now, self._patience):
            return Going(f"waiting for a node: {progress.why}", furthest)
        if progress.of_quota and self._roomless.may_find_quota(now):
            return Going(f"waiting for pods to end: {progress.why}", furthest)
        return progress


class _Wait:
    def __init__(
        self, mirror: Mirror, judge: Judge, hint: Hint, patience: Patience, report: Report, advance: Advance | None
    ) -> None:
        self._mirror, self._judge, self._hint, self._advance = mirror, judge, hint, advance
        self._report = report
        self._uid = mirror.picture.deployment.uid
        now = self._now()
        self._looks, self._steps, self._told, self._began = Looks.begin(now, mirror.waiting), Steps(), Told(now), now
        self._deadline = Deadline.begin(now, patience)
        self._housing = Housing(mirror.clock, patience)

    def _now(self) -> float:
        return self._mirror.clock.monotonic()

    def run(self) -> Waited:
        while True:
            told = self._mirror.situation
            if self._stepped(told):
                continue
            now = self._now()
            # Between two streams nobody knows the pods: nothing is told of them, and a look comes at once.
            hinted = not self._mirror.stale and self._worth_a_look(told)
            if hinted or self._mirror.stale or now >= min(self._looks.at, self._deadline.at):
                ended = self._look(over=now >= self._deadline.at)
                if ended is not None:
                    return ended
                self._looks = self._looks.looked(self._now(), hinted)
            if self._mirror.listen(max(0.0, self._until() - self._now())):
                self._looks = self._looks.heard(self._now(), hinted)

    def _until(self) -> float:
        """When something has to be done although nobody tells anything."""
        due = min(self._looks.at, self._deadline.at, self._mirror.due)
        return min(due, self._steps.at) if self._steps.refused else due

    def _stepped(self, told: Situation) -> bool:
        """The next step was written. One that did not go through is decided anew after a fresh look and a pause."""
        if self._advance is None or self._now() < self._steps.at:
            return False
        try:
            picture = self._advance(told)
        except ApiError as error:
            if isinstance(error, UntrustedServer) or not (worth_another_look(error) or isinstance(error, AWAY)):
                raise
            self._report(f"the next step did not go through, it is tried again: {error.message}")
            self._steps = self._steps.failed(self._now(), error.message)
            self._mirror.stale = True
            return False
        # Decided anew, nothing is refused any more; what is not to be written now is not waited for.
        self._steps = Steps()
        if picture is None:
            return False
        self._mirror.adopt(picture)
        return True

    def _look(self, over: bool) -> Waited | None:
        """One fresh look; None when the wait goes on. `over`: the time is up, and this is the last look."""
        try:
            situation = self._mirror.look(last=over)
        except AWAY as error:
            if over or isinstance(error, UntrustedServer):
                raise
            self._report(f"the API server does not answer, still waiting: {error.message}")
            self._mirror.clock.sleep(AWAY_PAUSE)
            return None
        made_again = situation.deployment.uid != self._uid
        progress = Stuck("the Deployment was deleted and made again") if made_again else self._judge(situation)
        if isinstance(progress, Going):
            progress = self._mirror.unmade(situation) or progress
        progress = self._housing.housed(situation, progress, self._deadline.furthest or 0)
        if not isinstance(progress, Going):
            return Waited(situation, progress)
        self._note(progress, tell=not over)
        if over and self._now() >= self._deadline.at:
            refused = self._steps.refused
            why = f"{progress.why}, and the next step did not go through ({refused})" if refused else progress.why
            return Waited(situation, replace(progress, why=why), timed_out=True)
        return None

    def _worth_a_look(self, situation: Situation) -> bool:
        """What the streams told hints at an end."""
        progress = self._judge(situation)
        self._housing.notice(situation, progress)
        if isinstance(progress, Going) and self._mirror.heard:
            self._note(progress)
        return self._hint(situation) or isinstance(progress, (Done, Stuck))

    def _note(self, progress: Going, *, tell: bool = True) -> None:
        """`tell`: not at the end, which is told by what comes of it."""
        now = self._now()
        self._deadline = self._deadline.progressed(now, progress.progress)
        if tell and self._told.due(now, progress.why):
            self._report(self._news(progress, now))
            self._told = Told(now, progress.why)

    def _news(self, progress: Going, now: float) -> News:
        situation = self._mirror.situation
        return News(
            progress.why,
            Kind.STATE,
            phase=situation.phase.value,
            pods=marks(situation),
            elapsed=now - self._began,
            total=None if self._deadline.patience.per_progress else self._deadline.at - self._began,
        )
