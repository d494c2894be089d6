# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What canary_undo does in each situation: bring the stable version back, or remove what is left of a release.

A record is data and no authority: fields that the user gives (`restore`) always win over it, and over its being unreadable.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ..values import dataclass
from . import patches
from . import record as records
from .last import OVERTAKEN, LastRelease
from .patches import Fields, Plan
from .phase import Phase, Situation, holds, without_record
from .record import Intent, Originals, Record, StableIdentity, Traffic, UnreadableRecord
from .refusal import Code, Refusal
from .template import digest, images
from .views import Deployment, ReplicaSet, Strategy

_ONLY_ONE = (
    "no version beside {} has pods, and no record says whether that is the stable version or a canary: it stays, and only its "
    "fields are put back"
)


@dataclass(frozen=True)
class Restore:
    """The Deployment's own fields as the user knows them.

    None means "not given": what the record says, if there is one. The strategy fields are counts or percentages as
    Kubernetes writes them.
    """

    min_ready_seconds: int | None = None
    progress_deadline_seconds: int | None = None
    max_surge: int | str | None = None
    max_unavailable: int | str | None = None

    def over(self, known: Originals) -> Originals:
        """These fields, and what is known where one is not given."""

        def given(name: str, otherwise: int | str | None) -> int | str | None:
            value: int | str | None = getattr(self, name)
            return otherwise if value is None else value

        surge = given("max_surge", known.strategy.max_surge)
        unavailable = given("max_unavailable", known.strategy.max_unavailable)
        seconds, deadline = self.min_ready_seconds, self.progress_deadline_seconds
        return replace(
            known,
            min_ready_seconds=known.min_ready_seconds if seconds is None else seconds,
            progress_deadline_seconds=known.progress_deadline_seconds if deadline is None else deadline,
            strategy=Strategy("RollingUpdate", surge, unavailable),
        )


@dataclass(frozen=True)
class Undoing:
    """Who undoes, when (RFC 3339, UTC), why, and the fields that they want back whatever the record says. `traffic`: what the routes
    themselves still tell where no record does. `run`: as which they undo."""

    name: str
    now: str
    reason: str = ""
    restore: Restore | None = None
    traffic: Traffic | None = None
    run: str = ""


def decide(situation: Situation, asked: Undoing) -> Plan | None:
    """The first patch of an undo; None where it is under way already. Raises Refusal."""
    known, deployment = situation.record, situation.deployment
    if known is not None and known.intent is Intent.UNDO and situation.phase in (Phase.UNDOING, Phase.FROZEN):
        wanted = _restored(known, asked)
        if situation.phase is Phase.UNDOING and not known.isolating and wanted == known:
            return None
        if known.isolating or situation.stable is None:
            return patches.gone_on(deployment, wanted)
    if situation.phase is Phase.DAMAGED and known is None and not holds(deployment):
        return _forget(situation, asked)
    stable = situation.stable
    if stable is None and asked.restore is not None:
        stable = _beside(without_record(situation.picture, situation.why), known)
    record = _record_of_user(situation, stable, asked) if known is None else _restored(known, asked)
    if stable is not None:
        undone = patches.undo(situation, stable, record, asked.reason)
        nobody_knows = known is None and digest(stable.template) == digest(deployment.template)
        return replace(undone, warnings=(*undone.warnings, _ONLY_ONE.format(stable.name))) if nobody_knows else undone
    if digest(deployment.template) != record.canary:
        return patches.let_go(deployment, record, _overtaken(deployment, record, asked))
    raise Refusal(
        Code.NO_STABLE,
        f'the stable ReplicaSet "{record.stable.replica_set}" of Deployment "{deployment.name}" is gone, '
        "and with it the pod template to come back to",
        "Keep the canary with canary_promote, or apply the manifest of the version that you want and then run canary_undo "
        "again to clean up",
    )


def _overtaken(deployment: Deployment, record: Record, asked: Undoing) -> LastRelease:
    """Neither promoted nor undone: another pod template is there, and stays."""
    run = record.run if record.run == asked.run else ""
    shown = images(deployment.template)
    return LastRelease(OVERTAKEN, shown, asked.now, asked.name, asked.reason, record.generation, run=run)


def _beside(seen: Situation, known: Record | None) -> ReplicaSet | None:
    """The stable ReplicaSet by what the objects alone say; never the one that a record calls the canary's."""
    stable = seen.stable
    return None if stable and known and digest(stable.template) == known.canary else stable


def restore_over(situation: Situation, asked: Undoing) -> Plan:
    """The fields that the user wants, under the pod template that is there, where the pods of a release have moved already."""
    deployment = situation.deployment
    record = _record_of_user(situation, None, asked) if situation.record is None else situation.record
    return patches.let_go(deployment, _restored(record, asked), _overtaken(deployment, record, asked))


def damaged(situation: Situation) -> Refusal:
    found = situation.deployment.annotations.get(records.RECORD)
    return Refusal(
        Code.DAMAGED,
        f'Deployment "{situation.deployment.name}" is left with parts of a hold, and {situation.why}',
        "Run canary_undo with restore: min_ready_seconds, progress_deadline_seconds, max_surge and max_unavailable as the "
        "Deployment had them" + (f" (the annotation {records.RECORD} may still show them to you)" if found else ""),
    )


def _restored(record: Record, asked: Undoing) -> Record:
    if asked.restore is None:
        return record
    return _readable(replace(record, originals=asked.restore.over(record.originals)))


def _forget(situation: Situation, asked: Undoing) -> Plan:
    """No pod is held and no record counts: the marks go. A record that is there all the same may hide a strategy."""
    deployment = situation.deployment
    try:
        found = records.read(deployment.annotations)
        doubtful = found is not None and found.uid == deployment.uid
    except UnreadableRecord:
        found, doubtful = None, True
    if asked.restore is None:
        if doubtful:
            raise damaged(situation)
        fields = Fields(annotations={records.RECORD: None}, labels={records.LIVE: None})
        return patches.plan(deployment, fields, "remove what is left of a release")
    record = _record_of_user(situation, situation.stable, asked)
    if found is not None and doubtful and situation.stable is not None:
        return patches.undo(situation, situation.stable, record, asked.reason)
    return patches.let_go(deployment, record)


def _record_of_user(situation: Situation, stable: ReplicaSet | None, asked: Undoing) -> Record:
    """Where no record counts, only the user knows the Deployment's own fields."""
    restore, deployment, hold = asked.restore, situation.deployment, situation.hold
    if restore is None:
        raise damaged(situation)
    if stable is None and holds(deployment):
        raise Refusal(
            Code.DAMAGED,
            f'no ReplicaSet of Deployment "{deployment.name}" shows which version was the stable one, and {situation.why}',
            "Apply the manifest of the version that you want, with its own minReadySeconds, progressDeadlineSeconds and strategy, "
            "then run canary_undo again to clean up",
        )
    missing = [name for name, value in vars(restore).items() if value is None]
    if missing:
        raise Refusal(
            Code.DAMAGED,
            f"restore lacks {', '.join(missing)}, and no record says what they were",
            "Give all of them; Kubernetes' own defaults are min_ready_seconds 0, progress_deadline_seconds 600, "
            "max_surge 25%, max_unavailable 25%",
        )
    current = digest(deployment.template)
    return _readable(
        Record(
            uid=deployment.uid,
            intent=Intent.UNDO,
            originals=restore.over(Originals.of(deployment)),
            stable=_identity(stable) if stable else StableIdentity(deployment.name, "", "", current),
            asked=current,
            canary=current,
            pods=max(1, hold.pods) if hold else 1,
            surge=hold.surge if hold else 1,
            max_unavailable=0 if hold is None or hold.surge else 1,
            replicas=deployment.replicas,
            started_at=asked.now,
            started_by=asked.name,
            generation=deployment.generation,
            traffic=asked.traffic,
        )
    )


def _identity(stable: ReplicaSet) -> StableIdentity:
    return StableIdentity(stable.name, stable.uid, stable.hash, digest(stable.template))


def _readable(record: Record) -> Record:
    """Nothing is written that could not be read again. Raises Refusal for fields that no server takes."""
    try:
        return Record.decode(record.encode())
    except UnreadableRecord as error:
        raise Refusal(
            Code.INVALID,
            f"restore cannot be: {error}",
            "Give the fields as the Deployment had them; nothing was changed",
        ) from error
