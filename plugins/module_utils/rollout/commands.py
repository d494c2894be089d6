# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubectl lines that end a release by hand, for the day this collection is not at hand.

They hold only numbers, names, percentages and the change-cause that the stable version had: its pod template, which may
hold secrets, is piped from its ReplicaSet into the patch by the command itself. Somebody will paste them into a shell: no
text of the cluster may be more there than a word, so every word is quoted.

And it may be in another cluster, or when another release is held: each line that writes does so only where the server finds the Deployment
and the record that were looked at, and promotes only the pod template of the canary that stood there. What comes after the record is gone is
written where the strategy is still the one that the line before it left. This module is private to the collection.
"""

from __future__ import annotations

import json
from dataclasses import replace
from shlex import quote
from typing import Any

from . import record as records
from .last import LAST, PROMOTED, UNDONE, Before, LastRelease, version_before
from .patches import coming_back, lacking, restored
from .phase import Phase, Situation
from .record import Originals, Record
from .views import HASH_LABEL, ReplicaSet, Strategy

_OURS = "app.kubernetes.io/managed-by=coalmine.canary,coalmine.canary/deployment={}"  # traffic/services.py
_SWITCHED = "service_selector"  # traffic/kinds.py
_RECORD = "/metadata/annotations/coalmine.canary~1record"
_LAST = f"/metadata/annotations/{LAST.replace('/', '~1')}"
_HASH = f"/spec/template/metadata/labels/{HASH_LABEL}"
# sed puts the template of a ReplicaSet, which kubectl prints as one line of JSON, where & stands.
_PUT = '{"op":"add","path":"/spec/template","value":&}'
_SAME = '{"op":"test","path":"/spec/template","value":&}'
Operations = tuple["dict[str, Any] | str", ...]
_PROMOTABLE = frozenset({Phase.STARTING, Phase.STEPPING, Phase.HELD, Phase.FROZEN, Phase.PROMOTING})


def by_hand(situation: Situation) -> dict[str, list[str]]:
    """{promote: [...], undo: [...]}: shell lines for each; empty where the release has nothing to promote or to undo."""
    record = situation.record
    if record is None or situation.stable is None:
        return {"promote": [], "undo": []}
    canary = situation.canary if situation.phase in _PROMOTABLE else None
    promote = _promote(situation, record, canary) if canary else []
    return {"promote": promote, "undo": _undo(situation, record, situation.stable)}


def _kubectl(situation: Situation) -> str:
    return f"kubectl -n {quote(situation.deployment.namespace)}"


def _patch(situation: Situation, operations: list[dict[str, Any]]) -> str:
    deployment = f"{_kubectl(situation)} patch deployment {quote(situation.deployment.name)}"
    return f"{deployment} --type=json -p {quote(_json(operations))}"


def _piped(situation: Situation, of: ReplicaSet, operations: Operations) -> str:
    """The same with the pod template of a ReplicaSet in _PUT or _SAME."""
    template = f"{_kubectl(situation)} get replicaset {quote(of.name)} -o jsonpath='{{.spec.template}}'"
    texts = (one if isinstance(one, str) else _for_sed(_json(one)) for one in operations)
    replacement = quote(f"s|.*|[{','.join(texts)}]|")
    patch = f"{_kubectl(situation)} patch deployment {quote(situation.deployment.name)}"
    return f"{template} | sed {replacement} | {patch} --type=json --patch-file=/dev/stdin"


def _promote(situation: Situation, record: Record, canary: ReplicaSet) -> list[str]:
    # A ReplicaSet's template has one label more than the Deployment's.
    looked_at: Operations = (*_of_release(situation), _add(_HASH, canary.hash), _SAME, _remove(_HASH))
    stays = Before(record.stable.hash, record.stable.digest)
    ended = _ended(situation, record, PROMOTED, canary.hash, stays)
    operations = _originals(record.originals, record.originals.strategy) + ended
    return [
        *_users(situation, record, None, _piped(situation, canary, looked_at)),
        _piped(situation, canary, (*looked_at, *operations)),
        *_afterwards(situation, record),
    ]


def _undo(situation: Situation, record: Record, stable: ReplicaSet) -> list[str]:
    back = Strategy("RollingUpdate", *coming_back(situation.hold, record, lacking(situation, stable)))
    known = {one.hash for one in situation.picture.replica_sets}
    before = version_before(situation.deployment, record.stable.hash)
    ended = _ended(situation, record, UNDONE, record.stable.hash, before if before.hash in known else Before())
    marks = _change_cause(situation, record) + ended
    looked_at = _of_release(situation)
    left = [_of_deployment(situation), _test(_RECORD, None), _test("/spec/strategy", back.to_json())]
    return [
        *_users(situation, record, record.stable.hash, _patch(situation, looked_at)),
        _piped(situation, stable, (*looked_at, _PUT, _remove(_HASH), *_originals(record.originals, back), *marks)),
        *_afterwards(situation, record),
        *_users(situation, record, None, _patch(situation, left)),
        _patch(situation, [*left, _add("/spec/strategy", record.originals.strategy.to_json())]),
    ]


def _of_deployment(situation: Situation) -> dict[str, Any]:
    return _test("/metadata/uid", situation.deployment.uid)


def _of_release(situation: Situation) -> list[dict[str, Any]]:
    """The server refuses what follows for any other release. A test of null holds where nothing is."""
    return [_of_deployment(situation), _test(_RECORD, situation.deployment.annotations.get(records.RECORD))]


def _users(situation: Situation, record: Record, of_hash: str | None, where: str) -> list[str]:
    """Whoever is sent to the Service of a version is served by this one; or by all pods (None), before those of one go. The routes stay as they
    are, and canary_undo or the next canary_start gives them back. `where`: a patch of tests alone, which changes nothing."""
    if record.traffic is None:
        return []
    kubectl, deployment = _kubectl(situation), situation.deployment
    patch = f"patch --type=merge -p {quote(_json({'spec': {'selector': {HASH_LABEL: of_hash}}}))}"
    ours = _OURS.format(deployment.name[:63].rstrip("-."))
    lines = [f"{where} && {kubectl} get service -l {quote(ours)} -o name | xargs -r -n 1 {kubectl} {patch}"]
    if record.traffic.kind == _SWITCHED:
        lines.append(f"{where} && {kubectl} {patch} service {quote(record.traffic.service)}")
    return lines


def _afterwards(situation: Situation, record: Record) -> list[str]:
    lines = [f"{_kubectl(situation)} rollout status deployment {quote(situation.deployment.name)}"]
    if record.pinned and record.pinned.kind.is_of_keda:
        path = f"{_kubectl(situation)} get scaledobject {quote(record.pinned.name)}"
        lines.append(
            f"{path} -o jsonpath='{{.metadata.annotations.coalmine\\.canary/scaled-object}}'  "
            "# prints the switches to put back with kubectl annotate scaledobject, each a name and its value, null for none"
        )
    elif record.autoscaler:
        what = "minReplicas and behavior" if record.may_scale_up else "minReplicas and maxReplicas"
        lines.append(
            f"{_kubectl(situation)} get hpa {quote(record.autoscaler)} "
            f"-o jsonpath='{{.metadata.annotations.coalmine\\.canary/autoscaler}}'  "
            f"# prints the {what} to put back with kubectl edit hpa"
        )
    return lines


def _originals(originals: Originals, strategy: Strategy) -> list[dict[str, Any]]:
    fields = restored(originals)
    return [
        _add("/spec/minReadySeconds", fields.min_ready_seconds),
        _add("/spec/progressDeadlineSeconds", fields.progress_deadline_seconds),
        _add("/spec/strategy", strategy.to_json()),
        _add("/spec/paused", False),
    ]


def _change_cause(situation: Situation, record: Record) -> list[dict[str, Any]]:
    """What the start replaced, lest the stable revision be told as the canary's."""
    path = "/metadata/annotations/kubernetes.io~1change-cause"
    if record.originals.change_cause is not None:
        return [_add(path, record.originals.change_cause)]
    return [_remove(path)] if records.CHANGE_CAUSE in situation.deployment.annotations else []


def _ended(situation: Situation, record: Record, outcome: str, version: str, before: Before) -> list[dict[str, Any]]:
    """Removal of the annotation and the label, where they are; and in their place how the release ended, which is otherwise told of the one
    before it. When, nobody knows yet."""
    last = LastRelease(outcome, {}, at="", by="hand", reason="", generation=record.generation)
    last = replace(last, version=version, before=before.hash, digest=before.digest)
    deployment = situation.deployment
    removals = [_add(_LAST, last.encode())]
    if records.RECORD in deployment.annotations:
        removals.append(_remove(_RECORD))
    if records.LIVE in deployment.labels:
        removals.append(_remove("/metadata/labels/coalmine.canary~1live"))
    return removals


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def _test(path: str, value: Any) -> dict[str, Any]:
    return {"op": "test", "path": path, "value": value}


def _remove(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}


def _for_sed(text: str) -> str:
    """JSON as it may stand between the bars of a replacement by sed."""
    for character in "&|":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.replace("\\", "\\\\")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
