# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Deployment cannot tell by itself while a canary is held, kept in one annotation of that Deployment.

The record holds no pod template and so no environment value: the stable template is read from its ReplicaSet, which
always has pods, and digests say which template is meant. Kubernetes copies annotations of a Deployment to its current
ReplicaSet and `kubectl rollout undo` copies them back, so a record can outlive its release or come back from the dead:
`phase` decides which one counts.

The law of its shape: `version` is that of the lowest reader that can finish this release, so a writer writes the lowest
version that has all the members which it set. A reader refuses members that it does not know, and versions above its own:
it would drop them when it writes the record again. This module is private to the collection.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from enum import Enum
from functools import lru_cache
from typing import Any, Iterable, Mapping

from ..values import dataclass
from .fields import MAX_INT64, MOST_AT_ONCE, NAME, is_integer
from .views import Deployment, ReplicaSet, Strategy

RECORD = "coalmine.canary/record"
AUTOSCALER = "coalmine.canary/autoscaler"
SCALED_OBJECT = "coalmine.canary/scaled-object"
LIVE = "coalmine.canary/live"
LIVE_VALUE = "true"
CHANGE_CAUSE = "kubernetes.io/change-cause"

# Kinds of traffic: what is rewritten, as traffic/routers.py has it. A record that names none has the first.
GATEWAY_API = "gateway_api"
KINDS = (GATEWAY_API, "service_selector", "ingress_nginx", "istio", "alb", "gateway_api_grpc")

# The highest version that is read here, and the members that came after version 1, each with the version that brought it.
VERSION = 5
SINCE: Mapping[str, int] = {"traffic": 2, "trafficKind": 3, "step": 4, "exposure": 5}

# What an API server takes for all annotations of an object together (apimachinery, pkg/api/validation/objectmeta.go).
ANNOTATIONS_BYTES = 256 * 1024
MAX_INT32 = 2**31 - 1
# pkg/apis/apps/v1/defaults.go, SetDefaults_Deployment
DEFAULT_PROGRESS_DEADLINE_SECONDS = 600


class Intent(Enum):
    """What the last verb wanted: to hold the canary, to finish it, or to take it back."""

    HOLD = "hold"
    PROMOTE = "promote"
    UNDO = "undo"


class UnreadableRecord(ValueError):
    """The annotation is there but is not a record that this version writes; the text says what is wrong with it."""


@dataclass(frozen=True)
class Originals:
    """The Deployment's own fields that a hold replaces. `change_cause` is None where the annotation was unset."""

    min_ready_seconds: int
    progress_deadline_seconds: int | None
    strategy: Strategy
    change_cause: str | None

    @property
    def deadline(self) -> int:
        """A progress deadline that was never set is the server's default."""
        seconds = self.progress_deadline_seconds
        return DEFAULT_PROGRESS_DEADLINE_SECONDS if seconds is None else seconds

    @classmethod
    def of(cls, deployment: Deployment) -> Originals:
        return cls(
            min_ready_seconds=deployment.min_ready_seconds,
            progress_deadline_seconds=deployment.progress_deadline_seconds,
            strategy=deployment.strategy,
            change_cause=deployment.annotations.get(CHANGE_CAUSE),
        )


@dataclass(frozen=True)
class StableIdentity:
    """The ReplicaSet to come back to, and the digest of its template."""

    replica_set: str
    uid: str
    hash: str
    digest: str


class Kind(Enum):
    """What else of the cluster a release changes, and has to put back at its end."""

    AUTOSCALER = "HorizontalPodAutoscaler"
    # One that was not pinned, and keeps only from scaling down.
    HELD_AUTOSCALER = "HorizontalPodAutoscaler that may scale up"
    # KEDA's, of which an autoscaler is made.
    SCALED_OBJECT = "ScaledObject"
    HELD_SCALED_OBJECT = "ScaledObject that may scale up"

    @property
    def is_of_keda(self) -> bool:
        return self in (Kind.SCALED_OBJECT, Kind.HELD_SCALED_OBJECT)


@dataclass(frozen=True)
class Companion:
    """An object that belongs to the release; `uid` is empty where it is not known."""

    kind: Kind
    name: str
    uid: str = ""


@dataclass(frozen=True)
class RouteRef:
    """What is rewritten in the Deployment's namespace (traffic/routers.py), or the Service itself whose selector is switched."""

    name: str
    uid: str


@dataclass(frozen=True)
class Traffic:
    """The routes that the release rewrites, and the Service whose backends they are. Everything else stands on the routes. `kind`: what
    they are (traffic/routers.py).

    `isolating`: the start has paused the Deployment until the routes send everybody to the stable version, or the undo until they
    send nobody to pods that go. `seconds`: how long
    a write may take to be in force. `proof`: whether a gateway is asked for that, as the start was told; `url`, at `address`, is where
    that is asked (empty: as the routes and their Gateways say), and `verify` whether its certificate is.
    """

    service: str
    routes: tuple[RouteRef, ...]
    isolating: bool = False
    seconds: int = 30
    proof: str = "prefer"
    url: str = ""
    address: str = ""
    verify: bool = True
    kind: str = GATEWAY_API


@dataclass(frozen=True)
class Record:
    """`uid` is the Deployment's, and `generation` the one that it had when the release began: the later of two releases of
    a Deployment has the higher one, whatever the clocks of those who began them said (0: not known).

    `asked` is the digest of the template as it was asked for, `canary` as the server stored it (an admission webhook may
    have changed it). `pods`, `surge` and `max_unavailable` are the size asked for, `replicas` the Deployment's when it was.
    `started_at` is UTC in RFC 3339, told and never compared. `companions` are the other objects that the release changed.
    `run` names the run that began the release or took it over (empty: not known), and `step` its step, of how many.
    `exposure`: what the canary was last given of the requests, as traffic/exposure.py encodes it (empty: not known). Others write to
    routes, too, and what is kept there comes back with them; here nobody else does.
    """

    uid: str
    intent: Intent
    originals: Originals
    stable: StableIdentity
    asked: str
    canary: str
    pods: int
    surge: int
    max_unavailable: int
    replicas: int
    started_at: str
    started_by: str
    generation: int = 0
    companions: tuple[Companion, ...] = ()
    run: str = ""
    reason: str = ""
    traffic: Traffic | None = None
    step: tuple[int, int] | None = None
    exposure: str = ""

    @property
    def pinned(self) -> Companion | None:
        """What was pinned, or held: an autoscaler, or the ScaledObject of one."""
        return next((one for one in self.companions if one.kind in Kind), None)

    @property
    def autoscaler(self) -> str | None:
        """That, by its name."""
        pinned = self.pinned
        if pinned is None:
            return None
        return f"ScaledObject/{pinned.name}" if pinned.kind.is_of_keda else pinned.name

    @property
    def may_scale_up(self) -> bool:
        return any(one.kind in (Kind.HELD_AUTOSCALER, Kind.HELD_SCALED_OBJECT) for one in self.companions)

    @property
    def isolating(self) -> bool:
        return self.traffic is not None and self.traffic.isolating

    def with_isolating(self, isolating: bool) -> Record:
        """The same where there is no traffic: then there is nobody to wait for."""
        return replace(self, traffic=self.traffic and replace(self.traffic, isolating=isolating))

    def with_intent(self, intent: Intent, reason: str = "") -> Record:
        return replace(self, intent=intent, reason=reason)

    def with_size(self, pods: int, surge: int, max_unavailable: int, replicas: int) -> Record:
        return replace(self, pods=pods, surge=surge, max_unavailable=max_unavailable, replicas=replicas)

    def encode(self) -> str:
        """One line of JSON with sorted keys: the same record is always the same text."""
        members = self._to_json()
        version = max((SINCE.get(member, 1) for member in members), default=1)
        return json.dumps({"version": version, **members}, sort_keys=True, separators=(",", ":"))

    def _to_json(self) -> dict[str, Any]:
        originals = self.originals
        members = {
            "uid": self.uid,
            "intent": self.intent.value,
            "originals": {
                "minReadySeconds": originals.min_ready_seconds,
                "progressDeadlineSeconds": originals.progress_deadline_seconds,
                "strategy": originals.strategy.to_json(),
                "changeCause": originals.change_cause,
            },
            "stable": {
                "replicaSet": self.stable.replica_set,
                "uid": self.stable.uid,
                "hash": self.stable.hash,
                "digest": self.stable.digest,
            },
            "asked": self.asked,
            "canary": self.canary,
            "size": {
                "pods": self.pods,
                "surge": self.surge,
                "maxUnavailable": self.max_unavailable,
                "replicas": self.replicas,
            },
            "startedAt": self.started_at,
            "startedBy": whole(self.started_by),
        }
        companions = [{"kind": one.kind.value, "name": one.name, "uid": one.uid} for one in self.companions]
        kind = self.traffic.kind if self.traffic else GATEWAY_API
        unset = {
            "generation": self.generation,
            "companions": companions,
            "run": whole(self.run),
            "reason": whole(self.reason),
            "traffic": _traffic_to_json(self.traffic),
            "trafficKind": kind if kind != GATEWAY_API else "",
            "step": list(self.step or ()),
            "exposure": json.loads(self.exposure or "{}"),
        }
        return {**members, **{member: value for member, value in unset.items() if value}}

    @classmethod
    @lru_cache(maxsize=MOST_AT_ONCE)  # a wait reads the same few again and again, at every event
    def decode(cls, text: str) -> Record:
        """Raises UnreadableRecord: a record is never guessed at."""
        if len(text) > ANNOTATIONS_BYTES:
            raise UnreadableRecord(f"it is {len(text)} characters long, which no server stores")
        try:
            data = json.loads(text)
        except RecursionError:
            raise UnreadableRecord("it is nested too deeply") from None
        except ValueError as error:
            raise UnreadableRecord(f"it is not JSON ({error})") from error
        if not isinstance(data, dict):
            raise UnreadableRecord("it is not a JSON object")
        version = data.get("version")
        if not is_integer(version) or not 1 <= version <= VERSION:
            raise UnreadableRecord(
                f"it has version {ascii(version)[:40]}, and this release of coalmine.canary reads version {VERSION}: "
                "use the release that wrote it, or a later one"
            )
        return cls._from_json(_object(data, "the record", _MEMBERS, optional=_OPTIONAL))

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> Record:
        stable = _object(data["stable"], "stable", ("replicaSet", "uid", "hash", "digest"))
        size = _object(data["size"], "size", ("pods", "surge", "maxUnavailable", "replicas"))
        record = cls(
            uid=_text(data["uid"], "uid"),
            intent=_intent(data["intent"]),
            originals=_originals(data["originals"]),
            stable=StableIdentity(
                replica_set=_name(stable["replicaSet"], "stable.replicaSet"),
                uid=_text(stable["uid"], "stable.uid"),
                hash=_text(stable["hash"], "stable.hash"),
                digest=_text(stable["digest"], "stable.digest"),
            ),
            asked=_text(data["asked"], "asked"),
            canary=_text(data["canary"], "canary"),
            pods=_count(size["pods"], "size.pods", least=1),
            surge=_count(size["surge"], "size.surge"),
            max_unavailable=_count(size["maxUnavailable"], "size.maxUnavailable"),
            replicas=_count(size["replicas"], "size.replicas"),
            started_at=_moment(data["startedAt"], "startedAt"),
            started_by=_text(data["startedBy"], "startedBy"),
            generation=_count(data.get("generation", 0), "generation", most=MAX_INT64),
            companions=_companions(data),
            run=_text(data.get("run", ""), "run"),
            reason=_text(data.get("reason", ""), "reason"),
            traffic=_traffic(data["traffic"], data.get("trafficKind", GATEWAY_API)) if "traffic" in data else None,
            step=_step(data["step"]) if "step" in data else None,
            exposure=_exposure(data["exposure"]) if "exposure" in data else "",
        )
        if record.surge == record.max_unavailable == 0:
            raise UnreadableRecord("size.surge and size.maxUnavailable are both 0, and so no pod could ever move")
        return record


_MEMBERS = ("version", "uid", "intent", "originals", "stable", "asked", "canary", "size", "startedAt", "startedBy")
# `autoscaler`: a name or null, as records had it before they had companions.
_OPTIONAL = ("generation", "companions", "run", "reason", "traffic", "trafficKind", "step", "exposure", "autoscaler")

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_PERCENT = re.compile(r"[0-9]{1,9}%")


def _object(value: Any, name: str, members: tuple[str, ...], optional: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """A JSON object that has these members and no others."""
    if not isinstance(value, dict):
        raise UnreadableRecord(f"{name} is {_shown(value)}, which is not an object")
    if unknown := sorted(value.keys() - {*members, *optional}):
        raise UnreadableRecord(
            f"{name} has {_shown(unknown[0])}, which this release of coalmine.canary does not know: "
            "use the release that wrote it, or a later one"
        )
    if missing := [member for member in members if member not in value]:
        raise UnreadableRecord(f"{name} lacks {', '.join(missing)}")
    return value


def _originals(value: Any) -> Originals:
    """As the server validates these fields (pkg/apis/apps/validation, ValidateDeploymentSpec)."""
    data = _object(value, "originals", ("minReadySeconds", "progressDeadlineSeconds", "strategy", "changeCause"))
    deadline, cause = data["progressDeadlineSeconds"], data["changeCause"]
    found = Originals(
        min_ready_seconds=_count(data["minReadySeconds"], "minReadySeconds"),
        progress_deadline_seconds=None if deadline is None else _count(deadline, "progressDeadlineSeconds"),
        strategy=_strategy(data["strategy"]),
        change_cause=None if cause is None else _text(cause, "changeCause"),
    )
    if found.deadline <= found.min_ready_seconds:
        raise UnreadableRecord(
            f"progressDeadlineSeconds {found.deadline} is not above minReadySeconds {found.min_ready_seconds}, as the server asks"
        )
    return found


def _strategy(value: Any) -> Strategy:
    """Of the type RollingUpdate, because no hold is begun on another."""
    data = _object(value, "strategy", ("type",), optional=("rollingUpdate",))
    if data["type"] != "RollingUpdate":
        raise UnreadableRecord(
            f"strategy.type is {_shown(data['type'])}, and no release begins on another than RollingUpdate"
        )
    rolling = _object(data.get("rollingUpdate", {}), "rollingUpdate", (), optional=("maxSurge", "maxUnavailable"))
    surge, unavailable = (_share(rolling.get(member), member) for member in ("maxSurge", "maxUnavailable"))
    if _is_nothing(surge) and _is_nothing(unavailable):
        raise UnreadableRecord("maxSurge and maxUnavailable are both 0, which the server refuses")
    if isinstance(unavailable, str) and int(unavailable[:-1]) > 100:
        raise UnreadableRecord(f"maxUnavailable is {unavailable}, and the server takes at most 100%")
    return Strategy("RollingUpdate", surge, unavailable)


def _share(value: Any, name: str) -> int | str | None:
    if value is None:
        return None
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return value
    return _count(value, name)


def _is_nothing(share: int | str | None) -> bool:
    """Unset is the server's default, 25 %."""
    return share == 0 or (isinstance(share, str) and int(share[:-1]) == 0)


def _companions(data: Mapping[str, Any]) -> tuple[Companion, ...]:
    if data.get("autoscaler") is not None:
        if "companions" in data:
            raise UnreadableRecord("it has both autoscaler and companions")
        return (Companion(Kind.AUTOSCALER, _name(data["autoscaler"], "autoscaler")),)
    found = data.get("companions", [])
    if not isinstance(found, list):
        raise UnreadableRecord(f"companions is {_shown(found)}, which is not a list")
    return tuple(_companion(one) for one in found)


def _companion(value: Any) -> Companion:
    data = _object(value, "a companion", ("kind", "name", "uid"))
    kinds = {kind.value: kind for kind in Kind}
    kind = _text(data["kind"], "kind")
    if kind not in kinds:
        raise UnreadableRecord(
            f"a companion has the kind {_shown(kind)}, which this release of coalmine.canary does not know: "
            "use the release that wrote it, or a later one"
        )
    return Companion(kinds[kind], _name(data["name"], f"name of {kind}"), _text(data["uid"], f"uid of {kind}"))


PROOFS = ("require", "prefer", "none")


def _traffic_to_json(traffic: Traffic | None) -> dict[str, Any] | None:
    if traffic is None:
        return None
    return {
        "service": traffic.service,
        "routes": [{"name": one.name, "uid": one.uid} for one in traffic.routes],
        "isolating": traffic.isolating,
        "seconds": traffic.seconds,
        "proof": traffic.proof,
        "url": traffic.url,
        "address": traffic.address,
        "verify": traffic.verify,
    }


def _traffic(value: Any, kind: Any) -> Traffic:
    data = _object(value, "traffic", ("service", "routes", "isolating", "seconds", "proof", "url", "address", "verify"))
    routes, proof = data["routes"], data["proof"]
    if kind not in KINDS:
        raise UnreadableRecord(
            f"trafficKind is {_shown(kind)}, which this release of coalmine.canary does not know: use the release that wrote it, or a "
            "later one"
        )
    if not isinstance(routes, list) or not routes:
        raise UnreadableRecord(f"traffic.routes is {_shown(routes)}, which is not a list of routes")
    for flag in ("isolating", "verify"):
        if not isinstance(data[flag], bool):
            raise UnreadableRecord(f"traffic.{flag} is {_shown(data[flag])}, which is not true or false")
    if proof not in PROOFS:
        raise UnreadableRecord(f"traffic.proof is {_shown(proof)}, and not one of {', '.join(PROOFS)}")
    found = [_object(one, "a route", ("name", "uid")) for one in routes]
    return Traffic(
        service=_name(data["service"], "traffic.service"),
        routes=tuple(
            RouteRef(_name(one["name"], "name of a route"), _text(one["uid"], "uid of a route")) for one in found
        ),
        isolating=data["isolating"],
        seconds=_count(data["seconds"], "traffic.seconds", least=1),
        proof=proof,
        url=_text(data["url"], "traffic.url"),
        address=_text(data["address"], "traffic.address"),
        verify=data["verify"],
        kind=kind,
    )


def _step(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise UnreadableRecord(f"step is {_shown(value)}, which is not a number and how many there are")
    steps = _count(value[1], "step[1]", least=1)
    return _count(value[0], "step[0]", least=1, most=steps), steps


def _exposure(value: Any) -> str:
    if not isinstance(value, dict):
        raise UnreadableRecord(f"exposure is {_shown(value)}, which is not an object")
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _intent(value: Any) -> Intent:
    for intent in Intent:
        if intent.value == value:
            return intent
    raise UnreadableRecord(f"intent is {_shown(value)}, and not one of {', '.join(one.value for one in Intent)}")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise UnreadableRecord(f"{name} is {_shown(value)}, which is not text")
    if value != whole(value):
        raise UnreadableRecord(f"{name} has half a character (a surrogate) in it")
    return value


def _name(value: Any, name: str) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise UnreadableRecord(f"{name} is {_shown(value)}, which no object can be called")
    return value


def _moment(value: Any, name: str) -> str:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise UnreadableRecord(f"{name} is {_shown(value)}, which is not a time in UTC (RFC 3339)")
    return value


def _count(value: Any, name: str, least: int = 0, most: int = MAX_INT32) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UnreadableRecord(f"{name} is {_shown(value)}, which is not a number from {least} to {most}")
    return value


def whole(text: str) -> str:
    """Halves of characters, which a command line or JSON can hold and UTF-8 cannot, become question marks."""
    return text.encode("utf-8", "replace").decode()


def _shown(value: Any) -> str:
    """For a sentence: ASCII on one line, and short."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read(annotations: Mapping[str, str]) -> Record | None:
    """The record among these annotations; None where there is none. Raises UnreadableRecord."""
    text = annotations.get(RECORD)
    return None if text is None else Record.decode(text)


def same_release(one: Record | None, other: Record) -> bool:
    """Whatever became of it since, and whoever took it over: only one release begins at a generation of a Deployment."""
    if one is None:
        return False
    mine, theirs = ((r.uid, r.generation or (r.stable.uid, r.canary, r.started_by)) for r in (one, other))
    return mine == theirs


def exclude_each_other(some: Mapping[str, str | None], others: Mapping[str, str]) -> bool:
    """The records among these annotations were begun by different calls at one generation, which can be only one's."""
    text = some.get(RECORD)
    try:
        mine, theirs = None if text is None else Record.decode(text), read(others)
    except UnreadableRecord:
        return False
    if mine is None or theirs is None or not same_release(mine, theirs):
        return False
    begun, they = ((one.started_by, one.started_at, one.asked) for one in (mine, theirs))
    return begun != they


def newest(found: Iterable[Record]) -> Record | None:
    """The record of the latest release; among equals the first."""
    return max(found, key=lambda record: record.generation, default=None)


def copies(deployment: Deployment, replica_sets: tuple[ReplicaSet, ...]) -> tuple[Record, ...]:
    """The readable records of this Deployment that Kubernetes copied to its ReplicaSets, in their order."""
    found = []
    for replica_set in replica_sets:
        try:
            record = read(replica_set.annotations)
        except UnreadableRecord:
            continue  # a copy is only a second chance: an unreadable one is as good as none
        if record is not None and record.uid == deployment.uid and record.generation <= deployment.generation:
            found.append(record)
    return tuple(found)
