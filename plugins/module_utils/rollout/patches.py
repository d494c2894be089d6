# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patches that move a release on: each is one JSON patch, guarded by uid and generation.

The guard is the generation because every foreign change of the spec or of an annotation bumps it and status writes do
not: a resourceVersion would conflict with the controller's own counting. Scalars use `add`, which also replaces; `remove`
of an absent member would make the server refuse the patch without saying why.

Rules that the patches keep, each measured on a real controller (docs/decisions/0001-hold-by-availability.md):

* template, minReadySeconds and strategy change in one patch: each alone would move or stall the pods.
* freezing changes `paused` and nothing else: restoring a strategy while paused moves pods.
* a promotion is paused before it is taken back: see `halt`.
* the undo restores minReadySeconds together with the template: otherwise every stable pod counts as unavailable.
* whatever a later step looks for, each patch sets: the label and the record may have gone since, and a label that goes
  changes no generation. Only freezing leaves them alone.

This module is private to the collection.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import field, replace
from typing import Any, Callable, Iterable, Mapping

from ..foreign import printable
from ..values import dataclass
from ..wording import count_of
from . import ownership
from . import record as records
from .intstr import resolve_fenceposts
from .last import LAST, LastRelease
from .phase import NEVER_AVAILABLE_SECONDS, NO_PROGRESS_DEADLINE, Phase, Situation, current_pods, has_pods, ready_pods
from .record import Intent, Originals, Record
from .refusal import Code, Refusal
from .size import Hold
from .template import bare, images
from .views import Deployment, ReplicaSet, Strategy

Operation = dict[str, Any]

TEMPLATE = "/spec/template"
_LIVE = {records.LIVE: records.LIVE_VALUE}


@dataclass(frozen=True)
class Plan:
    """One write, and everything that is told about it: `changed`, the diff, check mode and the request come from here.

    `before` and `after` hold only the fields that the collection owns while it works. `warnings`: what had to be left out.
    `annotations` are those that it sets, with None for those that it takes away; `generation` is the one that it is for.
    """

    operations: tuple[Operation, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    why: str
    warnings: tuple[str, ...] = ()
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    generation: int = 0

    @property
    def keeps_template(self) -> bool:
        """The pod template is to stay as it is."""
        return all(operation["path"] != TEMPLATE for operation in self.operations)

    def is_overtaken_by(self, found: Deployment) -> bool:
        """Something was written since, by this plan or by somebody else. Until then it may still be on its way."""
        return found.generation > self.generation

    def is_ruled_out_by(self, found: Deployment) -> bool:
        """It can never have been carried out: where it was to begin a release, another one has begun."""
        return records.exclude_each_other(self.annotations, found.annotations)


@dataclass(frozen=True)
class Fields:
    """The members of a Deployment that a plan sets; None leaves one alone. Annotations and labels map to None to go."""

    template: Mapping[str, Any] | None = None
    min_ready_seconds: int | None = None
    progress_deadline_seconds: int | None = None
    strategy: Strategy | None = None
    paused: bool | None = None
    annotations: Mapping[str, str | None] | None = None
    labels: Mapping[str, str | None] | None = None


def plan(deployment: Deployment, fields: Fields, why: str, warnings: tuple[str, ...] = ()) -> Plan:
    """The guarded patch that sets these fields."""
    values = {
        TEMPLATE: None if fields.template is None else bare(fields.template),
        "/spec/minReadySeconds": fields.min_ready_seconds,
        "/spec/progressDeadlineSeconds": fields.progress_deadline_seconds,
        "/spec/strategy": None if fields.strategy is None else fields.strategy.to_json(),
        "/spec/paused": fields.paused,
    }
    operations: tuple[Operation, ...] = (
        {"op": "test", "path": "/metadata/uid", "value": deployment.uid},
        {"op": "test", "path": "/metadata/generation", "value": deployment.generation},
        *_same_record(deployment),
        *({"op": "add", "path": path, "value": value} for path, value in values.items() if value is not None),
        *_map_operations("/metadata/annotations", deployment.annotations, fields.annotations or {}),
        *_map_operations("/metadata/labels", deployment.labels, fields.labels or {}),
    )
    return Plan(
        operations, *_difference(deployment, fields), why, warnings, fields.annotations or {}, deployment.generation
    )


def _same_record(deployment: Deployment) -> Iterable[Operation]:
    """Nobody has taken the release over since it was read: that changes an annotation, which the generation does not count."""
    text = deployment.annotations.get(records.RECORD)
    if text is not None:
        yield {"op": "test", "path": f"/metadata/annotations/{_escaped(records.RECORD)}", "value": text}


# What the Deployment controller adds to the annotations that it copies to a ReplicaSet: sizes, the revision, and the history
# of revisions, of 2,000 bytes at most (pkg/controller/deployment/util, SetNewReplicaSetAnnotations).
CONTROLLERS_BYTES = 4096


def noted(
    deployment: Deployment, text: str, annotate: Callable[[str], Mapping[str, str | None]]
) -> tuple[Mapping[str, str | None], tuple[str, ...]]:
    """The annotations with as much of the text as an object can have beside all others, and a warning if that is not all.

    Nothing fails for what it wants to note.
    """

    def fits(kept: str) -> bool:
        return _bytes_too_many(deployment, annotate(kept)) <= 0

    if not text or fits(text):
        return annotate(text), ()
    # The most characters that fit, with the mark of a cut.
    length = bisect_left(range(len(text)), True, key=lambda count: not fits(text[:count] + CUT))
    kept = text[: length - 1] + CUT if length > 1 else ""
    how = f"shortened to {len(kept)} of {len(text)} characters" if kept else "left out"
    return annotate(kept), (f'the annotations of Deployment "{deployment.name}" are nearly full: the reason was {how}',)


CUT = "..."


def _bytes_too_many(deployment: Deployment, wanted: Mapping[str, str | None]) -> int:
    """By which all annotations would be longer than an object can have them, and the controller's copy with its own; 0 or less: they fit."""
    all_of_them = {**deployment.annotations, **wanted}
    size = sum(len(key.encode()) + len(value.encode()) for key, value in all_of_them.items() if value is not None)
    return size + CONTROLLERS_BYTES - records.ANNOTATIONS_BYTES


def _check_fits(deployment: Deployment, wanted: Mapping[str, str | None]) -> None:
    """Raises Refusal: without its record there is no release."""
    too_many = _bytes_too_many(deployment, wanted)
    if too_many > 0:
        longest = max(deployment.annotations, key=lambda name: len(deployment.annotations[name].encode()), default="")
        raise Refusal(
            Code.IMPOSSIBLE_SIZE,
            f'the annotations of Deployment "{deployment.name}" are nearly full, and the record of a release has no room in them '
            f"(an object has {records.ANNOTATIONS_BYTES} bytes for all)",
            f"Shorten them by {too_many} bytes or more: the longest is {printable(longest)}",
        )


def _map_operations(path: str, present: Mapping[str, str], wanted: Mapping[str, str | None]) -> Iterable[Operation]:
    values = {key: value for key, value in wanted.items() if value is not None}
    if values and not present:
        # Labels of others are not guarded by the generation: those that came since must not be replaced.
        yield {"op": "test", "path": path, "value": None}
        yield {"op": "add", "path": path, "value": values}
        return
    for key, value in wanted.items():
        member = f"{path}/{_escaped(key)}"
        if value is not None:
            yield {"op": "add", "path": member, "value": value}
        elif key in present:
            yield {"op": "remove", "path": member}


def _escaped(key: str) -> str:
    """As a part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _difference(deployment: Deployment, fields: Fields) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only what changes, in words that a person reads; of a template only its images."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}

    def differ(name: str, old: Any, new: Any) -> None:
        if new is not None and old != new:
            before[name], after[name] = old, new

    if fields.template is not None:
        differ("images", images(deployment.template), images(fields.template))
    differ("minReadySeconds", deployment.min_ready_seconds, fields.min_ready_seconds)
    differ("progressDeadlineSeconds", deployment.progress_deadline_seconds, fields.progress_deadline_seconds)
    if fields.strategy is not None:
        differ("strategy", deployment.strategy.to_json(), fields.strategy.to_json())
    differ("paused", deployment.paused, fields.paused)
    live = (fields.labels or {}).get(records.LIVE, deployment.labels.get(records.LIVE))
    was_live = records.LIVE in deployment.labels
    if (live is not None) != was_live:
        before["live"], after["live"] = was_live, live is not None
    return before, after


def hold(deployment: Deployment, template: Mapping[str, Any], step: Hold, record: Record) -> Plan:
    """START: new template and hold fields in one patch; the record appears with them."""
    cause = None
    if record.originals.change_cause is not None:
        # Kubernetes copies a cause that stays to the canary's ReplicaSet, and the history would tell it twice.
        cause = printable("canary of " + ", ".join(f"{name}={image}" for name, image in images(template).items()))
    annotations = {records.RECORD: record.encode(), **({records.CHANGE_CAUSE: cause} if cause else {})}
    _check_fits(deployment, annotations)
    return plan(
        deployment,
        replace(
            _fields_of(step),
            template=template,
            # Without a pod of the new version until the routes send nobody to it: a paused Deployment makes no ReplicaSet.
            paused=True if record.isolating else None,
            annotations=annotations,
        ),
        f"hold {step.canary(deployment.replicas)} canary beside {count_of(step.stable(deployment.replicas), 'stable pod')}",
    )


def tried(deployment: Deployment, step: Hold) -> Plan:
    """All that any `hold` of this size sets but its pod template, to be tried beside that: the record is none, and stays unwritten."""
    fields = replace(_fields_of(step), paused=False, annotations={records.RECORD: "{}"})
    return plan(deployment, fields, "try whether a canary could be held")


def _fields_of(step: Hold) -> Fields:
    return Fields(
        min_ready_seconds=NEVER_AVAILABLE_SECONDS,
        progress_deadline_seconds=NO_PROGRESS_DEADLINE,
        strategy=_held(step),
        labels=_LIVE,
    )


def _held(step: Hold) -> Strategy:
    return Strategy("RollingUpdate", max_surge=step.max_surge, max_unavailable=step.unavailable)


def grow(deployment: Deployment, step: Hold, record: Record) -> Plan:
    """STEP: the next size of a hold; the record carries the size that is asked for."""
    return plan(
        deployment,
        Fields(strategy=_held(step), annotations={records.RECORD: record.encode()}, labels=_LIVE),
        f"grow to {step.canary(deployment.replicas)} canary beside {count_of(step.stable(deployment.replicas), 'stable pod')}",
    )


def isolated(deployment: Deployment, record: Record) -> Plan:
    """The routes send nobody to the canary: its pods may come."""
    fields = Fields(paused=False, annotations={records.RECORD: record.encode()}, labels=_LIVE)
    return plan(deployment, fields, "let the canary's pods come")


def gone_on(deployment: Deployment, record: Record) -> Plan:
    """UNDO of what has its template already, of which there may be no ReplicaSet yet: what is left of that, under the strategy that it wrote."""
    annotations = {records.RECORD: record.with_isolating(False).encode()}
    fields = replace(restored(record.originals), strategy=None, annotations=annotations, labels=_LIVE)
    return plan(deployment, fields, "let the stable version's pods come back")


def freeze(deployment: Deployment, paused: bool) -> Plan:
    """FREEZE or UNFREEZE: `paused`, and nothing else."""
    return plan(deployment, Fields(paused=paused), "pause what is there" if paused else "take the pause back")


def restored(originals: Originals) -> Fields:
    """Every field that a hold replaces, as it was before, and nobody's pause."""
    return Fields(
        min_ready_seconds=originals.min_ready_seconds,
        # Where it was never set, `add` of null would not bring the server's default back.
        progress_deadline_seconds=originals.deadline,
        strategy=originals.strategy,
        paused=False,
    )


def promote(situation: Situation, record: Record) -> Plan:
    """PROMOTE: every original field at once. Canary pods turn Available and the rollout goes on by the Deployment's own
    strategy; held canary pods are kept."""
    annotations = {records.RECORD: record.with_intent(Intent.PROMOTE).encode()}
    fields = replace(restored(record.originals), annotations=annotations, labels=_LIVE)
    return plan(situation.deployment, fields, "let the canary become the stable version")


def halt(situation: Situation) -> Plan | None:
    """HALT: what comes before the UNDO of a promotion, which moves pods until it is stopped. None where no stable pod is left to be taken, or no
    history is kept: of a paused Deployment the controller cleans up ReplicaSets that it would keep otherwise, and that could take the stable
    version away.

    The controller may have taken stable pods a moment ago whose ReplicaSet still counts them as available, and no test of a
    patch guards what it does to ReplicaSets. An undo on top of such a count takes as many canary pods too many. A paused
    Deployment exchanges no pods; it is kept at replicas + maxSurge (pkg/controller/deployment/sync.go, scale), so maxSurge must
    not be less than what is there: otherwise pods would go by their ReplicaSets' sizes, whether others are Ready or not.
    """
    return None if situation.deployment.revision_history_limit == 0 else stop(situation)


def stop(situation: Situation) -> Plan | None:
    """As `halt`, whatever history is kept, of pods that nobody has looked at: going on would take the stable version away as well, only later. A
    ReplicaSet that has pods is not cleaned up."""
    deployment = situation.deployment
    if situation.stable is None or not situation.stable.active:
        return None
    rolling, replicas = deployment.strategy, deployment.replicas
    surge = resolve_fenceposts(rolling.max_surge or 0, rolling.max_unavailable or 0, replicas).surge
    beyond = sum(rs.replicas for rs in situation.picture.replica_sets) - replicas
    roomy = replace(rolling, max_surge=beyond) if rolling.type == "RollingUpdate" and beyond > surge else None
    return plan(deployment, Fields(paused=True, strategy=roomy), "stop the promotion before it is taken back")


def undo(situation: Situation, stable: ReplicaSet, record: Record, reason: str) -> Plan:
    """UNDO: stable template and original fields in one patch, with a strategy that keeps what was promised at the start.

    See `coming_back`. The original strategy follows in `finish`, after the last canary pod.
    """
    causes = _causes(situation.deployment, record)
    annotations, warnings = noted(
        situation.deployment,
        reason,
        lambda kept: {
            records.RECORD: record.with_intent(Intent.UNDO, kept).with_isolating(False).encode(),
            **causes,
        },
    )
    fields = replace(
        restored(record.originals),
        template=stable.template,
        strategy=Strategy("RollingUpdate", *coming_back(situation.hold, record, lacking(situation, stable))),
        annotations=annotations,
        labels=_LIVE,
    )
    return plan(situation.deployment, fields, "bring the stable version back", warnings)


def _causes(deployment: Deployment, record: Record) -> dict[str, str | None]:
    """That of the stable version, where that or another is there."""
    cause = record.originals.change_cause
    return {records.CHANGE_CAUSE: cause} if cause is not None or records.CHANGE_CAUSE in deployment.annotations else {}


def coming_back(hold: Hold | None, record: Record, lacking: int = 0) -> tuple[int, int]:
    """The maxSurge and maxUnavailable under which stable pods return: Ready never below replicas - max_unavailable - `lacking`, which is how many
    stable pods are not Ready for a reason of their own. Those keep no canary pod.

    With surge all missing stable pods come at once beside the canary pods (maxSurge s + u). Where quota or nodes have no
    room for them it goes on all the same, s pods at a time, because s canary pods may go first. Without surge canary pods
    make place for stable ones, max_unavailable at a time.
    """
    if record.surge == 0 and (hold is None or hold.surge == 0):
        return 0, max(1, record.max_unavailable) + lacking
    size = hold.pods if hold else record.pods
    return max(1, size), record.max_unavailable + lacking


def lacking(situation: Situation, stable: ReplicaSet) -> int:
    """How many pods of the stable version that are there are not Ready, before any is asked for by an undo. Where none is Ready and pods of the
    canary are, none counts: those alone serve."""
    picture = situation.picture
    ready = ready_pods(picture, stable)
    others_serve = any(ready_pods(picture, rs) for rs in picture.replica_sets if rs.uid != stable.uid)
    return 0 if others_serve and not ready else max(0, current_pods(picture, stable) - ready)


def make_way(situation: Situation, record: Record, stable: ReplicaSet) -> Plan | None:
    """Of an undo: no canary pod is kept for stable pods that are there and do not become Ready. None where none is kept. Pods that nobody has
    made yet are waited for, and so are those that a policy makes of the stable version by now: the controller would take the ones that it was
    of before first, which are older than the canary's."""
    deployment, picture, kept = situation.deployment, situation.picture, situation.deployment.strategy.max_unavailable
    beside = {rs.uid for rs in picture.replica_sets if rs.uid != stable.uid and has_pods(picture, rs)}
    _surge, may_lack = coming_back(None, record, lacking(situation, stable))
    if not beside or record.stable.uid in beside or not isinstance(kept, int) or may_lack <= kept:
        return None
    strategy = replace(deployment.strategy, max_unavailable=may_lack)
    return plan(deployment, Fields(strategy=strategy), "let the canary go before the stable pods that are not Ready")


def _coming_back(strategy: Strategy, record: Record) -> bool:
    """It is one that `coming_back` gives, for whatever size the canary had reached, which grows with a Deployment that is scaled up."""
    largest, promised = coming_back(None, record)
    surge, lacks = strategy.max_surge, strategy.max_unavailable
    if record.intent is not Intent.UNDO or not isinstance(surge, int) or not isinstance(lacks, int):
        return False
    return (surge <= largest or record.may_scale_up) and lacks >= promised


def corrected(deployment: Deployment, record: Record, why: str = "name the template that was stored") -> Plan:
    """The record alone: after admission changed what was written with it, or for another run. One that is `isolating` pauses: no pod is exchanged
    until `gone_on` takes that back. The strategy has room for what is there (see `halt`)."""
    paused = True if record.isolating else None
    fields = Fields(paused=paused, annotations={records.RECORD: record.encode()}, labels=_LIVE)
    return plan(deployment, fields, why)


def finish(situation: Situation, record: Record, last: LastRelease) -> Plan:
    """The second patch of promote and undo: what still differs from the originals, and the end of record and label.

    Where somebody has rolled out another template since, a strategy that is not the undo's own is theirs.
    """
    theirs = situation.phase is Phase.FOREIGN and not _coming_back(situation.deployment.strategy, record)
    annotations, warnings = noted(
        situation.deployment,
        last.reason,
        lambda kept: {records.RECORD: None, LAST: replace(last, reason=kept).encode()},
    )
    fields = Fields(
        strategy=None if theirs else record.originals.strategy,
        annotations=annotations,
        labels={records.LIVE: None},
    )
    return plan(situation.deployment, fields, "clean up", warnings)


def let_go(deployment: Deployment, record: Record, last: LastRelease | None = None) -> Plan:
    """What is left of a release whose stable version is gone: the original fields, under the pod template that is there, and `last`, if it is known
    that it was overtaken. Paused it stays so, unless by the undo itself: of a template that came while it was, a policy's too, there may be no pod
    yet, and nobody has looked at any."""
    ours = record.intent is Intent.UNDO and record.isolating
    annotations, warnings = noted(
        deployment,
        last.reason if last else "",
        lambda kept: {records.RECORD: None, **({LAST: replace(last, reason=kept).encode()} if last else {})},
    )
    paused = False if ours else None
    fields = replace(restored(record.originals), paused=paused, annotations=annotations, labels={records.LIVE: None})
    if deployment.paused and not ours:
        stays = f'Deployment "{deployment.name}" stays paused: canary_resume lets the pods of its pod template come'
        warnings = (*warnings, stays)
    return plan(deployment, fields, "remove what is left of a release, and keep the pod template", warnings)


def never_begun(deployment: Deployment, record: Record) -> Plan:
    """Of a hold that was stored with the stable template: everything is as it was before it."""
    annotations = {records.RECORD: None, **_causes(deployment, record)}
    fields = replace(restored(record.originals), annotations=annotations, labels={records.LIVE: None})
    return plan(deployment, fields, "give back the fields of a hold that has no canary")


def disown(deployment: Deployment, manager: str) -> Plan | None:
    """Gives the fields that `manager` has written back to whoever applies them: they are nobody's, so that an apply without force takes
    them. None where it has none."""
    gone = ownership.given_up(deployment.managed_fields, manager)
    if not gone:
        return None
    tests: list[Operation] = [
        {"op": "test", "path": "/metadata/uid", "value": deployment.uid},
        {"op": "test", "path": "/metadata/generation", "value": deployment.generation},
    ]
    return Plan((*tests, *gone), {}, {}, "give fields back to their owners", generation=deployment.generation)


def rollback(deployment: Deployment, to: ReplicaSet, last: LastRelease | None = None) -> Plan:
    """The template of another ReplicaSet: what `kubectl rollout undo` is used for. Nothing else changes, unless there is
    something to tell about the version that goes."""
    annotations, warnings = (
        noted(deployment, last.reason, lambda kept: {LAST: replace(last, reason=kept).encode()}) if last else ({}, ())
    )
    fields = Fields(template=to.template, annotations=annotations)
    return plan(deployment, fields, f"return to ReplicaSet {to.name}", warnings)
