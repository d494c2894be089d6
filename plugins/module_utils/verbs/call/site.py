# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Deployment on one server: where its objects are, and how they are read together.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Mapping, Sequence

from ...cluster.api import FIELD_MANAGER, Api, PatchKind
from ...cluster.clock import stamp
from ...cluster.errors import Forbidden, NotFound
from ...foreign import printable
from ...rollout.fields import Fields, items, pod_template
from ...rollout.last import last_ended
from ...rollout.record import RECORD, Intent, Record, UnreadableRecord
from ...rollout.refusal import Code, Refusal
from ...rollout.template import bare
from ...rollout.vertical import VerticalAutoscaler
from ...rollout.views import (
    Autoscaler,
    Deployment,
    Event,
    Picture,
    Pod,
    ReplicaSet,
    ScaledObject,
    owned_replica_sets,
    scales,
    selector_query,
)
from ...values import dataclass
from .listing import listed, listed_at
from .orders import Call, Target, held_as

if TYPE_CHECKING:
    from ...cluster.watch import Streams, Watched
    from ...rollout.patches import Plan

PODS, DEPLOYMENT = "pods", "deployment"
# What the API server takes of an Event's message, and of a name that it completes (pkg/apis/core/validation/events.go).
EVENT_MESSAGE, EVENT_PREFIX = 1024, 58
# Kubernetes keeps them for an hour, and counts those that are alike in one.
EVENTS = 100


@dataclass(frozen=True)
class _Fate:
    """What became of the release of this call by the time that the Lease was taken, or of its last write where there is none. `ended`: the
    generation of the one that ended last, 0 where nobody had to look; `went_on`: somebody has changed its record. Not `is_known`: the Lease was
    taken since."""

    ended: int = 0
    went_on: bool = False
    is_known: bool = True


class Site:
    """Reads of one Deployment and of what belongs to it; every method is one request, unless it says otherwise.

    `call`: what it is for; None where nothing is written. `holding`: the Lease of its run, once that is known.
    """

    def __init__(self, api: Api, target: Target, call: Call | None = None) -> None:
        self.api = api
        self.clock = api.clock
        self.target = target
        self.call = call
        self.holding = call.holding if call else None
        self._uid = ""
        # As it was read or written last.
        self._record: str | None = None
        # Of what has been read or written of it: no list is to be older.
        self.version = 0
        self._fate = _Fate()
        # Requests are split for it, so that what is written stands on more than the Deployment tells.
        self.routed = False
        # What admission makes by now of the pod template that is there is known: that it keeps it, or else the other one is there.
        self.let_pass = False
        self._apps = f"/apis/apps/v1/namespaces/{target.namespace}"
        self._core = f"/api/v1/namespaces/{target.namespace}"
        self._vertical = f"/apis/autoscaling.k8s.io/v1/namespaces/{target.namespace}/verticalpodautoscalers"
        self._keda = f"/apis/keda.sh/v1alpha1/namespaces/{target.namespace}/scaledobjects"
        self._autoscaling = f"/apis/autoscaling/v2/namespaces/{target.namespace}/horizontalpodautoscalers"

    def look(self, *, pods: bool = False, autoscalers: bool = False, only_to_tell: bool = False) -> Picture:
        """The Deployment and its ReplicaSets (two requests), with one request more for each of the others.

        Raises Refusal where the Deployment is being deleted, unless that is `only_to_tell`; and where another run has taken it over.
        """
        self.keeps()
        deployment = self.deployment()
        if deployment.deleting and not only_to_tell:
            raise Refusal(
                Code.BEING_DELETED,
                f'Deployment "{deployment.name}" in namespace "{deployment.namespace}" is being deleted, and its pods with it',
                "Find out who deletes it; once it is gone, apply its manifest and run this again",
            )
        return Picture(
            deployment=deployment,
            replica_sets=self.replica_sets(deployment),
            pods=self.pods(deployment) if pods else None,
            autoscalers=self.autoscalers() if autoscalers else None,
        )

    def look_again(self, seen: Picture) -> Picture:
        """The Deployment; what belongs to it is as it was `seen`, where nobody has changed it since. One request, or as `look`."""
        found, known = self.deployment(), seen.deployment
        is_same = (found.uid, found.generation, found.deleting) == (known.uid, known.generation, False)
        return replace(seen, deployment=found) if is_same else self.look(pods=True)

    def goes_on_from(self, picture: Picture) -> Picture:
        """What another verb of this process has just read. No request."""
        self._known(picture.deployment)
        return picture

    def _known(self, deployment: Deployment) -> None:
        self._uid, self._record = deployment.uid, deployment.annotations.get(RECORD)
        self.version = max(self.version, deployment.version)

    def deployment(self) -> Deployment:
        """Raises Refusal that lists similar names when there is no such Deployment: requests more."""
        found = self.found()
        if found is None:
            raise self._no_such_deployment()
        return found

    def found(self) -> Deployment | None:
        """None where there is no such Deployment."""
        try:
            found = Deployment.parse(self.api.get(self.deployment_path))
        except NotFound:
            return None
        self._known(found)
        return found

    def mine(self) -> None:
        """Before a write: no other run writes to this Deployment meanwhile. No request where that is known; of a release with
        routes it is known for a moment only.

        Raises Refusal where another run holds it, and ApiError as Holding does: not in between an own write and its answer.
        """
        if self.holding is not None:
            self.holding.ensure(self._uid, surely=self.routed)

    def mine_for(self, release: int) -> None:
        """Before a write to what stands beside the Deployment, made for the release of this generation. Where the Lease is taken only for that,
        or there is none, another run may have gone on with the release since it was looked at, or ended it, and what is written for it would stay:
        a request more.

        Raises Refusal as `mine`, and from then on for every write for a release that is over.
        """
        if self.holding is not None and not self.holding.is_held:
            self._fate = replace(self._fate, is_known=False)
        self.mine()
        if not self._fate.is_known:
            known, ended = self._record, last_ended(self.deployment())
            # Without a Lease others may go on with it as well, and are in the way once they have decided about it.
            alone = self.holding is not None and self.holding.is_held
            went_on = self._record != known if alone else _intent(self._record) is not _intent(known)
            self._fate = _Fate(ended, went_on=self._fate.went_on or went_on)
        if self.is_over(release):
            raise self.ended() if self._fate.ended >= release else self.gone_on()

    def is_over(self, release: int) -> bool:
        """What is known of it, as far as a write for it has found out. No request."""
        return (self._fate.went_on or self._fate.ended >= release) and release > 0

    def has_ended(self, release: int) -> bool:
        """The release of this generation, or a later one, as the Deployment tells by now, whoever has the Lease. A request, by which nothing else is
        decided."""
        return last_ended(Deployment.parse(self.api.get(self.deployment_path))) >= release > 0

    def ended(self) -> Refusal:
        return Refusal(
            Code.BUSY,
            f'somebody ended the release of Deployment "{self.target.name}" while this call went on with it',
            "Look what became of it with canary_info",
        )

    def gone_on(self) -> Refusal:
        return Refusal(
            Code.BUSY,
            f'somebody went on with the release of Deployment "{self.target.name}" while this call was about to',
            "Look what became of it with canary_info, and run this again if it is still what you want",
        )

    def rehearses(self) -> None:
        """In its place where a write is only tried: tells of another run that holds it."""
        if self.holding is not None:
            self.holding.foresee(self._uid)

    def holds_for(self, run: str, *, returns: bool) -> None:
        """Whose the writes are. A call that is a part of a release has the Lease of that."""
        if self.call is not None and self.holding is None:
            self.holding = held_as(self.api, self.call, run, returns=returns)

    def rejoin(self) -> None:
        """For a verb that writes nothing and takes long: what its run holds is renewed meanwhile. Two requests, where a run is named."""
        call = self.call
        if self.holding is not None and call is not None and call.meant.run and not call.check and not call.holding:
            self.holding.rejoin(self._uid)

    def keeps(self) -> None:
        """What its run holds is renewed in time. Raises Refusal where another run has taken the Deployment over."""
        if self.holding is not None and self._uid:
            self.holding.keep(self._uid)

    def let_go(self, *, comes_back: bool) -> None:
        """At the end of a call that is no part of another."""
        if self.holding is not None and self.call is not None and self.call.holding is None:
            self.holding.let_go(comes_back=comes_back)

    @property
    def deployment_path(self) -> str:
        return f"{self._apps}/deployments/{self.target.name}"

    def _no_such_deployment(self) -> Refusal:
        other = self._other_kind()
        if other:
            return Refusal(
                Code.NOT_FOUND,
                f'"{self.target.name}" in namespace "{self.target.namespace}" is a {other}, not a Deployment',
                "Only Deployments are released: give the name of one",
            )
        from difflib import get_close_matches  # of use to nobody who spells right

        try:
            found = items(self.api.list(f"{self._apps}/deployments"), "Deployment")
        except Forbidden:
            found = []  # who may not list them is told no names
        names = [Fields(item, "Deployment").within("metadata").text("name") for item in found]
        alike = get_close_matches(self.target.name, names, n=3) or [
            name for name in names if self.target.name in name or name in self.target.name
        ]
        return Refusal(
            Code.NOT_FOUND,
            f'there is no Deployment "{self.target.name}" in namespace "{self.target.namespace}"',
            f"Did you mean {', '.join(alike)}?" if alike else "Check the name, the namespace and the cluster (context)",
        )

    def _other_kind(self) -> str | None:
        """What has this name instead; nothing where that may not be read."""
        for kind in ("StatefulSet", "DaemonSet"):
            try:
                self.api.get(f"{self._apps}/{kind.lower()}s/{self.target.name}")
            except (NotFound, Forbidden):
                continue
            return kind
        return None

    def replica_sets(self, deployment: Deployment) -> tuple[ReplicaSet, ...]:
        _version, found = self._listed(f"{self._apps}/replicasets", deployment, "ReplicaSet")
        return owned_replica_sets(found, deployment.uid)

    def pods(self, deployment: Deployment) -> tuple[Pod, ...]:
        return self.pods_at(deployment)[1]

    def pods_at(self, deployment: Deployment) -> tuple[int, tuple[Pod, ...]]:
        """Its pods, and the version of the cluster as of which they are; 0 where that cannot be compared."""
        version, found = self._listed(f"{self._core}/pods", deployment, "Pod")
        return version, tuple(map(Pod.parse, found))

    def _listed(self, path: str, deployment: Deployment, kind: str) -> tuple[int, list[Any]]:
        """What its selector selects, and as of which version."""
        version = max(self.version, deployment.version)
        return listed_at(self.api, path, kind, version, {"labelSelector": selector_query(deployment.selector)})

    def autoscalers(self) -> tuple[Autoscaler, ...]:
        found = listed(self.api, self._autoscaling, "HorizontalPodAutoscaler", self.version)
        return tuple(Autoscaler.parse(item) for item in found if scales(item, self.target.name))

    def autoscaler_path(self, name: str) -> str:
        return f"{self._autoscaling}/{name}"

    def autoscaler(self, name: str) -> Autoscaler:
        return Autoscaler.parse(self.api.get(self.autoscaler_path(name)))

    def vertical_autoscalers(self) -> tuple[VerticalAutoscaler, ...]:
        found = listed(self.api, self._vertical, "VerticalPodAutoscaler", self.version)
        return tuple(VerticalAutoscaler.parse(one) for one in found if scales(one, self.target.name, "targetRef"))

    def scaled_object_path(self, name: str) -> str:
        return f"{self._keda}/{name}"

    def scaled_object(self, name: str) -> ScaledObject:
        return ScaledObject.parse(self.api.get(self.scaled_object_path(name)))

    def now(self) -> str:
        """This moment, RFC 3339, UTC, whole seconds."""
        return stamp(self.clock.wall())

    def streams(self, deployment: Deployment, kinds: Sequence[str], beside: Sequence[Watched] = ()) -> Streams:
        """What changes, as it happens: its pods, the Deployment itself, and what is `beside` it. A request for each."""
        from ...cluster.watch import Watched  # of use to nobody who waits for nothing

        watched = {
            PODS: Watched(PODS, f"{self._core}/pods", {"labelSelector": selector_query(deployment.selector)}),
            DEPLOYMENT: Watched(
                DEPLOYMENT, f"{self._apps}/deployments", {"fieldSelector": f"metadata.name={self.target.name}"}
            ),
        }
        return self.api.streams([*(watched[kind] for kind in kinds), *beside])

    def apply(self, plan: Plan, *, dry_run: bool = False) -> Deployment:
        """Sends the plan. Raises Invalid with `bare`, or Conflict, when the Deployment is no longer what it was made for."""
        patched = self.api.patch(self.deployment_path, list(plan.operations), PatchKind.JSON, dry_run=dry_run)
        deployment = Deployment.parse(patched)
        if dry_run:
            self.version = max(self.version, deployment.version)
        else:
            self._known(deployment)
        return deployment

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Deployment:
        """Raises Conflict when somebody has created one of this name meanwhile."""
        return Deployment.parse(self.api.create(f"{self._apps}/deployments", manifest, dry_run=dry_run))

    def patch_autoscaler(
        self, name: str, operations: Sequence[Mapping[str, Any]], *, dry_run: bool = False
    ) -> Autoscaler:
        path = self.autoscaler_path(name)
        return Autoscaler.parse(self.api.patch(path, list(operations), PatchKind.JSON, dry_run=dry_run))

    def patch_scaled_object(
        self, name: str, operations: Sequence[Mapping[str, Any]], *, dry_run: bool = False
    ) -> ScaledObject:
        path = self.scaled_object_path(name)
        return ScaledObject.parse(self.api.patch(path, list(operations), PatchKind.JSON, dry_run=dry_run))

    def try_template(self, template: Mapping[str, Any]) -> Mapping[str, Any]:
        """The pod template of `try_deployment`."""
        return self.try_deployment(template).template

    def try_deployment(self, template: Mapping[str, Any], beside: Sequence[Mapping[str, Any]] = ()) -> Deployment:
        """The Deployment, were it given this pod template and what operations `beside` set, as the server would store it by now: with its
        defaults, and as admission makes it. Nothing is written."""
        body = [{"op": "replace", "path": "/spec/template", "value": bare(template)}, *beside]
        return Deployment.parse(self.api.try_patch(self.deployment_path, body, PatchKind.JSON))

    def try_patch(self, stable: ReplicaSet, patch: Mapping[str, Any]) -> Mapping[str, Any]:
        """The pod template that this strategic merge patch makes of the stable one; nothing is written.

        The ReplicaSet is patched and not the Deployment, which has the canary's template while it holds one.
        """
        path, body = f"{self._apps}/replicasets/{stable.name}", {"spec": {"template": patch}}
        return _pod_template(self.api.try_patch(path, body, PatchKind.STRATEGIC))

    def tell_event(self, deployment: Deployment, reason: str, message: str, at: str) -> None:
        """Leaves a Warning Event on the Deployment; `at` is RFC 3339."""
        about = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment.name, "uid": deployment.uid}
        body = {
            "metadata": {"generateName": f"{deployment.name[:EVENT_PREFIX]}.", "namespace": deployment.namespace},
            "involvedObject": {**about, "namespace": deployment.namespace},
            "reason": reason,
            "message": printable(message, EVENT_MESSAGE),
            "type": "Warning",
            "count": 1,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "reportingInstance": FIELD_MANAGER,
        }
        self.api.create(f"{self._core}/events", body)

    def warnings_about(self, uid: str, reason: str = "") -> tuple[Event, ...]:
        """The Warning Events about one object, the newest last; at most the first EVENTS of them are read."""
        chosen = {"involvedObject.uid": uid, "type": "Warning", **({"reason": reason} if reason else {})}
        query = {"fieldSelector": ",".join(f"{name}={value}" for name, value in chosen.items()), "limit": str(EVENTS)}
        found = (Event.parse(item) for item in items(self.api.list(f"{self._core}/events", query), "Event"))
        return tuple(sorted(found, key=lambda event: event.at))

    def log(self, pod: str, container: str, *, previous: bool, lines: int, max_bytes: int) -> str:
        query = {"container": container, "tailLines": str(lines), **({"previous": "true"} if previous else {})}
        return self.api.text(f"{self._core}/pods/{pod}/log", query, max_bytes=max_bytes)


def _intent(record: str | None) -> Intent | None:
    """What is done about a release, by its record; None where nothing tells."""
    try:
        return Record.decode(record).intent if record else None
    except UnreadableRecord:
        return None


def _pod_template(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return pod_template(Fields(answer, "the answer").required("spec").required("template"))
