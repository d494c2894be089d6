# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_start: makes sure that a canary of this template is held at this size.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..cluster.api import Api
from ..rollout import owners, patches
from ..rollout import start as rollout_start
from ..rollout.autoscaler import companion
from ..rollout.identity import Meant
from ..rollout.phase import HOLDING, Phase, Situation, diagnose
from ..rollout.progress import Counts, Done, Going, Progress, Stuck, towards_hold
from ..rollout.refusal import Code, Refusal
from ..rollout.size import Hold, ImpossibleSize, Room, share
from ..rollout.size import patches as hold_patches
from ..rollout.start import Asker, Start, Wanted
from ..rollout.template import digest
from ..rollout.views import Autoscaler, Picture
from ..rollout.words import WORDS
from . import autoscaling
from .completion import finish_leftover
from .ending import Account, accounted
from .explaining import explained
from .outcome import Outcome, Report
from .pacing import Patience
from .pins import serve
from .requests import AutoscalerPolicy, StartRequest
from .site import DEPLOYMENT, PODS, Site
from .template import candidate, not_applied
from .waiting import wait
from .writing import rehearse, write


def start(api: Api, request: StartRequest, report: Report) -> Outcome:
    site = Site(api, request.call.target)
    with accounted(site, request.run) as account:
        return _Starting(account, request, report).run()


@dataclass
class _Starting:
    """One call of canary_start, step by step."""

    account: Account
    request: StartRequest
    report: Report

    @property
    def site(self) -> Site:
        return self.account.site

    def run(self) -> Outcome:
        room = self._room()
        picture = self._look()
        situation = self.account.looked(diagnose(picture))
        self.request.call.meant.check(situation)
        if situation.phase is not Phase.NONE:
            return self._asked(picture, self._wanted(situation, room))
        self._tell_beforehand(picture)
        if not self.request.call.check:
            autoscaling.release_orphans(self.account, picture, self.request.autoscaler)
        if not picture.replica_sets:
            # A Deployment that was just made: the controller has yet to see it.
            picture = self._settled(picture)
        to_pin = self._agreed(picture, room)
        if to_pin is None or self.request.call.check:
            picture = self._settled(picture)
            return self._asked(picture, self._wanted(diagnose(picture), room), to_pin)
        with autoscaling.given_back_unless_held(self.account, to_pin, picture):
            deployment = autoscaling.pin(
                self.account, to_pin, picture.deployment, self.request.call.wait.timeout, self.report
            )
            picture = self._settled(replace(picture, deployment=deployment))
            return self._asked(picture, self._wanted(diagnose(picture), room), to_pin)

    def _tell_beforehand(self, picture: Picture) -> None:
        """What a person may want to stop this for, told before anything is written."""
        told = list(owners.foreign_owners(picture.deployment))
        if ending := picture.deployment.status.terminating:
            told.append(
                f"{ending} pod(s) of an earlier rollout are still terminating, and take room until they have ended"
            )
        for warning in told:
            self.report(warning)
        self.account.warn(*told)

    def _room(self) -> Room:
        try:
            return Room.of(self.request.surge, self.request.max_unavailable)
        except ImpossibleSize as error:
            raise Refusal(Code.IMPOSSIBLE_SIZE, str(error), "Nothing was changed") from error

    def _look(self) -> Picture:
        asks_autoscalers = self.request.autoscaler is not AutoscalerPolicy.IGNORE
        picture = self.site.look(autoscalers=asks_autoscalers)
        if diagnose(picture).phase is Phase.NONE and len(picture.active) > 1:
            # Its ReplicaSets were read after it: what looks like an ordinary rollout may be a release that has just begun.
            picture = self.site.look(autoscalers=asks_autoscalers)
        self.request.call.meant.check(diagnose(picture))
        return finish_leftover(self.account, picture, self.request.call.actor, check=self.request.call.check)

    def _agreed(self, picture: Picture, room: Room) -> Autoscaler | None:
        """The autoscaler to pin, if any, once nothing speaks against the start: what is refused must pin none."""
        situation = diagnose(picture)
        rollout_start.stable_of(situation)
        to_pin = autoscaling.check(picture, self.request.autoscaler)
        if to_pin is not None:
            begun = rollout_start.decide(situation, self._wanted(situation, room), self._asker(to_pin))
            self._check_steps(begun, situation)
        return to_pin

    def _asker(self, pinned: Autoscaler | None) -> Asker:
        return Asker(
            name=self.request.call.actor,
            now=self.site.now(),
            companions=(companion(pinned),) if pinned else (),
            run=self.account.run,
            takes_over=bool(self.request.run),
        )

    def _asked(self, picture: Picture, wanted: Wanted, pinned: Autoscaler | None = None) -> Outcome:
        begin = self._rehearsed if self.request.call.check else self._begun
        return begin(picture, wanted, self._asker(pinned))

    def _settled(self, picture: Picture) -> Picture:
        """Waits for stable pods that are not Ready and for ReplicaSets that are still ending."""
        why, call = rollout_start.unsettled(picture), self.request.call
        if not why:
            return picture
        if call.check:
            self.account.warn(f"canary_start would wait first: {why}")
            return picture
        if not call.wait.enabled:
            raise _unsettled(self.site, why)

        def judge(situation: Situation) -> Progress:
            unsettled = rollout_start.unsettled(situation.picture)
            return Going(f"waiting before the start: {unsettled}") if unsettled else Done("settled")

        def hint(situation: Situation) -> bool:
            status = situation.deployment.status
            return situation.deployment.observed and status.ready == situation.deployment.replicas

        patience = Patience(call.wait.timeout)
        waited = wait(self.site, picture, judge, hint, patience, self.report, kinds=(DEPLOYMENT,))
        if waited.timed_out:
            reasons = explained(self.site, waited.situation)
            raise _unsettled(self.site, rollout_start.unsettled(waited.situation.picture), reasons)
        return replace(waited.situation.picture, pods=None, autoscalers=picture.autoscalers)

    def _wanted(self, situation: Situation, room: Room) -> Wanted:
        stable = rollout_start.stable_to_change(situation)
        asked = candidate(self.site, stable, self.request.template)
        if situation.phase is Phase.NONE:
            if asked.changed:
                self.account.warn(_changed_by_admission(f" ({', '.join(asked.changed)})"))
            if self.request.template.definition is not None:
                self.account.warn(*not_applied(self.request.template.definition, situation.deployment))
        return Wanted(asked.template, self.request.size.pods, self.request.size.weight, room)

    def _rehearsed(self, picture: Picture, wanted: Wanted, asker: Asker) -> Outcome:
        begun = rollout_start.decide(diagnose(picture), wanted, asker)
        self._check_steps(begun, diagnose(picture))
        self._tell_taken_over(diagnose(picture), begun)
        rehearsed = rehearse(self.site, picture, lambda _situation: begun.plan, foretold=self.account.changed)
        self.account.wrote(rehearsed.plan)
        self._tell_split(begun, picture)
        if begun.plan is None:
            return self.account.outcome(f"nothing to write: {_held(begun, picture)}")
        # The steps that follow end at the goal.
        self.account.wrote(patches.grow(picture.deployment, begun.goal, begun.record))
        count = len(hold_patches(begun.record.pods, picture.deployment.replicas, begun.room, diagnose(picture).hold))
        return self.account.outcome(f"would hold {_held(begun, picture)}, in {count} patch(es)")

    def _tell_split(self, begun: Start, picture: Picture) -> None:
        situation, replicas = diagnose(picture), picture.deployment.replicas
        if begun.plan is None:
            return
        self.account.before["pods"] = {
            "stable": situation.stable.replicas if situation.stable else 0,
            "canary": situation.canary.replicas if situation.canary else 0,
        }
        self.account.after["pods"] = {"stable": begun.goal.stable(replicas), "canary": begun.goal.canary(replicas)}
        self._warn_of_weight(begun.goal, replicas)

    def _warn_of_weight(self, goal: Hold, replicas: int) -> None:
        """A share that is more than twice what was asked for is another risk than the one that somebody wanted to take."""
        asked, held = self.request.size.weight, share(goal.canary(replicas), replicas, goal.surge)
        if asked is not None and held > 2 * asked:
            self.account.warn(
                f"weight {asked} was asked for, and the canary is {held:.1f} % of all pods, the least that is possible with "
                f"{replicas} replica(s): a smaller share needs more replicas"
            )

    def _begun(self, picture: Picture, wanted: Wanted, asker: Asker) -> Outcome:
        decided: list[tuple[Situation, Start]] = []
        base = diagnose(picture).stable

        def decide(situation: Situation) -> patches.Plan | None:
            self.request.call.meant.check(situation)
            begun = rollout_start.decide(situation, wanted, asker)
            if base is not None and begun.record.stable.uid != base.uid:
                raise _overtaken(self.site)
            self._check_steps(begun, situation)
            decided.append((situation, begun))
            return begun.plan

        written = write(self.site, picture, decide)
        before, begun = decided[-1]
        self.account.wrote(written.plan)
        self._tell_taken_over(before, begun)
        self.account.looked(written.situation)
        self._tell_split(begun, picture)
        begun, picture = self._as_stored(begun, written.picture)
        if begun.record.autoscaler is not None and self.request.autoscaler is AutoscalerPolicy.PIN:
            serve(self.account, begun.record.autoscaler, begun.record, picture.deployment.replicas)
        situation = self.account.looked(diagnose(picture))
        if begun.plan is None and situation.phase is Phase.HELD and situation.hold == begun.goal:
            picture = replace(picture, pods=self.site.pods(picture.deployment))
            self._warn_of_scaling(begun, diagnose(picture))
            return self.account.outcome(f"already holding {_held(begun, picture)}", diagnose(picture))
        if not self.request.call.wait.enabled:
            return self.account.outcome(f"holding {_held(begun, picture)}", situation)
        return self._held(begun, picture)

    def _tell_taken_over(self, before: Situation, begun: Start) -> None:
        was = before.record
        if was is not None and was.run != begun.record.run:
            whose = f"run {was.run}" if was.run else "a run without a name"
            self.account.warn(
                f"this takes over the canary of {whose}, which {was.started_by} started {was.started_at}: from now on it is of run "
                f"{begun.record.run}, and what that run still asks for it is refused"
            )

    def _check_steps(self, begun: Start, situation: Situation) -> None:
        """Without waiting nobody would write the steps after the first."""
        reached = rollout_start.first_hold(begun, situation)
        if not self.request.call.wait.enabled and reached != begun.goal:
            raise Refusal(
                Code.NEEDS_STEPS,
                f"{begun.record.pods} canary pods need several steps, each after the pods of the one before are Ready, "
                "and wait is false",
                f"Set wait to true, or ask for at most {reached.pods} canary pods, or allow a surge of {begun.record.pods}",
            )

    def _as_stored(self, begun: Start, picture: Picture) -> tuple[Start, Picture]:
        """Admission may answer a dry run otherwise than a write: the record must name what was stored."""
        stored = digest(picture.deployment.template)
        if stored == begun.record.canary or begun.plan is None:
            return begun, picture
        record = replace(begun.record, canary=stored)
        hold = diagnose(picture).hold or begun.goal
        self.account.warn(_changed_by_admission())

        def correct(situation: Situation) -> patches.Plan | None:
            if situation.record != begun.record or digest(situation.deployment.template) != stored:
                return None
            return patches.grow(situation.deployment, hold, record)

        written = write(self.site, picture, correct)
        return replace(begun, record=record), written.picture

    def _held(self, begun: Start, picture: Picture) -> Outcome:
        """Waits for the pods and writes the steps on the way."""
        self.account.tell_way_back(self.report)
        begun_at, mine = picture.deployment.replicas, _mine(begun)

        def judge(current: Situation) -> Progress:
            other = mine.differs(current) if current.phase in HOLDING else ""
            return Stuck(other) if other else towards_hold(current, begun.goal, begun.record, begun_at)

        waited = wait(
            self.site,
            picture,
            judge=judge,
            hint=lambda current: _all_ready(current, begun),
            patience=Patience(self.request.call.wait.timeout, nodes=self.request.call.wait.for_nodes),
            report=self.report,
            kinds=(PODS,),
            advance=lambda current: self._advance(current, begun),
        )
        if not isinstance(waited.progress, Done):
            if waited.situation.phase in HOLDING:
                mine.check(self.account.looked(waited.situation))
            raise self.account.unsuccessful(waited, WORDS[waited.situation.phase].remains)
        situation = self.account.looked(waited.situation)
        self._warn_of_scaling(begun, situation)
        return self.account.outcome(f"holding {_held(begun, situation.picture)}", situation)

    def _warn_of_scaling(self, begun: Start, situation: Situation) -> None:
        before, replicas = begun.record.replicas, situation.deployment.replicas
        if before != replicas:
            stable, canary = situation.stable, situation.canary
            self.account.warn(
                f"somebody scaled the Deployment from {before} to {replicas} replicas since the start, which spread over both "
                f"versions: {stable.replicas if stable else 0} stable and {canary.replicas if canary else 0} canary pods now"
            )

    def _advance(self, situation: Situation, begun: Start) -> Picture | None:
        """Writes the next step once the pods of the one before are Ready.

        What the streams tell suffices here: the patch is guarded by the generation, and pods that are Ready are proof that
        the controller has seen the patch before. Surplus stable pods that it has not taken yet must not count.
        """
        hold, replicas = situation.hold, situation.deployment.replicas
        if hold is None or hold == begun.goal or situation.phase not in HOLDING or _mine(begun).differs(situation):
            return None
        counts = Counts.of(situation.picture.pods or (), begun.record.stable.uid)
        if counts.canary < hold.canary(replicas):
            return None
        plan = rollout_start.step(situation, begun, min(counts.stable, hold.stable(replicas)) + counts.canary)
        if plan is None:
            return None
        deployment = self.site.apply(plan)
        self.account.wrote(plan)
        self.report(plan.why)
        return replace(situation.picture, deployment=deployment)


def _unsettled(site: Site, why: str, reasons: str = "") -> Refusal:
    return Refusal(
        Code.NOT_READY,
        f'Deployment "{site.target.name}" cannot begin a canary: {why}',
        f"{reasons}A canary is compared with a healthy stable version: look at its pods, or give it more time with wait_timeout",
    )


def _mine(begun: Start) -> Meant:
    """What this call began, or went on with: no other release, and nobody has taken it over since."""
    return Meant(run=begun.record.run, template=begun.record.canary)


def _changed_by_admission(where: str = "") -> str:
    return (
        f"an admission webhook or policy changes the pod template on its way{where}; if it does so to the stable template "
        "too, an undo will make a new ReplicaSet"
    )


def _overtaken(site: Site) -> Refusal:
    return Refusal(
        Code.BUSY,
        f'somebody gave Deployment "{site.target.name}" another pod template while this was decided',
        "Look whether that is the stable version that you mean, then run this again",
    )


def _all_ready(situation: Situation, begun: Start) -> bool:
    counts = Counts.of(situation.picture.pods or (), begun.record.stable.uid)
    return situation.hold == begun.goal and counts.canary >= begun.goal.canary(situation.deployment.replicas)


def _held(begun: Start, picture: Picture) -> str:
    replicas = picture.deployment.replicas
    canary, stable = begun.goal.canary(replicas), begun.goal.stable(replicas)
    return (
        f"{canary} canary beside {stable} stable pods ({share(canary, replicas, begun.goal.surge):.1f} % of all pods)"
    )
