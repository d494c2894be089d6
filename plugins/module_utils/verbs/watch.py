# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_watch: every live release that is asked for, as it goes, until it has ended. It changes nothing.

One stream tells of all Deployments, and one a namespace of their pods; what is shown is what they told, corrected by a list
whenever a stream ends. This module is private to the collection.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from dataclasses import field
from datetime import datetime, timezone
from itertools import chain
from typing import Any, Iterator

from ..cluster.api import Api
from ..cluster.errors import ApiError, NotFound, UntrustedServer
from ..cluster.stream import WatchEvent
from ..cluster.watch import Streams, Watched
from ..display.pods import marks
from ..display.tree import headline, tree
from ..foreign import printable
from ..rollout.fields import Malformed, items
from ..rollout.last import last_ended, last_outcome
from ..rollout.phase import HOLDING, Phase, Situation, diagnose
from ..rollout.record import LIVE
from ..rollout.template import images
from ..rollout.views import Deployment, Picture, Pod, controller_uid, owned_replica_sets
from ..values import dataclass
from .call.orders import WatchRequest
from .call.outcome import API_ERROR, Kind, News, Outcome, Report, VerbFailure
from .call.sharing import described, share_of
from .call.waiting import AWAY

# Changes come in bursts: one look at what they amount to.
SETTLED_SECONDS = 0.5
# A server that is away ends nothing: it is asked again after so long.
AWAY_SECONDS = 2.0

Key = tuple[str, str]  # namespace, name


def watch(api: Api, request: WatchRequest, report: Report) -> Outcome:
    """Raises VerbFailure where the server's answers make no sense. In check mode it looks once."""
    try:
        return _Watch(api, request, report).run()
    except Malformed as error:
        raise VerbFailure(
            f"the API server's answer makes no sense: {error}. Look at the server", code=API_ERROR
        ) from error


@dataclass
class _Seen:
    """What is known of the releases: `deployments` by namespace and name, the rest by namespace."""

    deployments: dict[Key, Deployment] = field(default_factory=dict)
    replica_sets: dict[str, list[Any]] = field(default_factory=dict)
    pods: dict[str, dict[str, Pod]] = field(default_factory=dict)

    @property
    def namespaces(self) -> list[str]:
        return sorted({namespace for namespace, _name in self.deployments})

    def situations(self) -> Iterator[tuple[Key, Situation]]:
        """Each from its own ReplicaSets and pods, so that many in one namespace cost no more than as many in several. A pod whose
        ReplicaSet is gone may be of any."""
        owned, pods = defaultdict[str, list[Any]](list), defaultdict[str, list[Pod]](list)
        for item in chain.from_iterable(self.replica_sets.values()):
            owned[controller_uid(item, "ReplicaSet")].append(item)
        for pod in chain.from_iterable(each.values() for each in self.pods.values()):
            pods[pod.owner_uid].append(pod)
        sets = {uid: owned_replica_sets(items, uid) for uid, items in owned.items()}
        known = {one.uid for each in sets.values() for one in each}
        lost = [pod for owner, each in pods.items() if owner not in known for pod in each]
        for key, deployment in sorted(self.deployments.items()):
            own = sets.get(deployment.uid, ())
            theirs = chain(*(pods.get(one.uid, ()) for one in own), lost)
            yield key, diagnose(Picture(deployment, own, tuple(theirs)))


class _Watch:
    def __init__(self, api: Api, request: WatchRequest, report: Report) -> None:
        self._api, self._request, self._report = api, request, report
        self._clock = api.clock
        self._began = self._clock.monotonic()
        self._seen = _Seen()
        self._phases: dict[Key, Phase] = {}
        self._situations: dict[Key, Situation] = {}
        self._ended: dict[Key, str] = {}

    def run(self) -> Outcome:
        self._read()
        self._tell()
        while self._phases and not self._request.check and not self._over():
            try:
                with closing(self._streams()) as streams:
                    self._follow(streams)
                self._read()
            except AWAY as error:
                if isinstance(error, UntrustedServer):
                    raise
                self._report(f"the API server does not answer, still watching: {error.message}")
                self._clock.sleep(AWAY_SECONDS)
            self._tell()
        return self._outcome()

    def _now(self) -> float:
        return self._clock.monotonic() - self._began

    def _over(self) -> bool:
        return self._now() >= self._request.timeout

    def _apps(self, namespace: str | None) -> str:
        return f"/apis/apps/v1/namespaces/{namespace}" if namespace else "/apis/apps/v1"

    def _read(self) -> None:
        """Everything afresh: the live Deployments, and of their namespaces ReplicaSets and pods."""
        seen = _Seen({(one.namespace, one.name): one for one in self._live()})
        for namespace in seen.namespaces:
            seen.replica_sets[namespace] = self._replica_sets(namespace)
            pods = (
                Pod.parse(item)
                for page in self._api.pages(f"/api/v1/namespaces/{namespace}/pods")
                for item in items(page, "Pod")
            )
            seen.pods[namespace] = {pod.uid: pod for pod in pods}
        self._seen = seen

    def _live(self) -> Iterator[Deployment]:
        name, path = self._request.name, f"{self._apps(self._request.namespace)}/deployments"
        for page in self._api.pages(path, {"labelSelector": LIVE}):
            for item in items(page, "Deployment"):
                deployment = Deployment.parse(item)
                if name is None or deployment.name == name:
                    yield deployment

    def _replica_sets(self, namespace: str) -> list[Any]:
        return [
            item
            for page in self._api.pages(f"{self._apps(namespace)}/replicasets")
            for item in items(page, "ReplicaSet")
        ]

    def _streams(self) -> Streams:
        name = {"fieldSelector": f"metadata.name={self._request.name}"} if self._request.name else {}
        watches = [Watched("", f"{self._apps(self._request.namespace)}/deployments", {"labelSelector": LIVE, **name})]
        watches += [
            Watched(namespace, f"/api/v1/namespaces/{namespace}/pods", {}) for namespace in self._seen.namespaces
        ]
        return self._api.streams(watches)

    def _follow(self, streams: Streams) -> None:
        """Tells what the streams tell, until one of them ends, or there is another Deployment to look at than before."""
        due, asked_for = float("inf"), set(self._seen.deployments)
        while not streams.ended and not self._over():
            left = min(due, self._request.timeout) - self._now()
            events = streams.batch(max(0.0, min(left, 1.0)))
            for namespace, event in events:
                self._take(namespace, event)
            if events:
                due = min(due, self._now() + SETTLED_SECONDS)
            if set(self._seen.deployments) != asked_for:
                return
            if self._now() >= due:
                due = float("inf")
                for namespace in self._seen.namespaces:
                    self._seen.replica_sets[namespace] = self._replica_sets(namespace)
                self._tell()

    def _take(self, namespace: str, event: WatchEvent) -> None:
        gone = event.type == "DELETED"
        if namespace:
            pod, pods = Pod.parse(event.object), self._seen.pods.setdefault(namespace, {})
            pods.pop(pod.uid, None) if gone else pods.update({pod.uid: pod})
            return
        deployment = Deployment.parse(event.object)
        key = deployment.namespace, deployment.name
        if gone:
            self._seen.deployments.pop(key, None)
        else:
            self._seen.deployments[key] = deployment

    def _tell(self) -> None:
        now = self._now()
        situations = dict(self._seen.situations())
        for key in [key for key in self._phases if key not in situations]:
            self._end(key)
        for key, situation in situations.items():
            turned = self._phases.get(key) is not situation.phase
            self._phases[key], self._situations[key] = situation.phase, situation
            self._report(
                News(
                    headline(situation, share_of(situation)),
                    Kind.EVENT if turned else Kind.STATE,
                    deployment=self._name(key),
                    step=situation.record.step if situation.record and situation.phase in HOLDING else None,
                    phase=situation.phase.value,
                    pods=marks(situation),
                    elapsed=now,
                    details=tuple(tree(situation, self._age)),
                )
            )

    def _name(self, key: Key) -> str:
        return key[1] if self._request.namespace else f"{key[0]}/{key[1]}"

    def _end(self, key: Key) -> None:
        del self._phases[key]
        self._ended[key] = self._how(key)
        self._report(News(self._ended[key], deployment=self._name(key), elapsed=self._now()))

    def _how(self, key: Key) -> str:
        namespace, name = key
        try:
            deployment = Deployment.parse(self._api.get(f"{self._apps(namespace)}/deployments/{name}"))
        except NotFound:
            return "the Deployment was deleted"
        except ApiError as error:
            return f"its release has ended, and how cannot be read: {error.why}"
        record = self._situations[key].record
        told = last_outcome(deployment) if record and record.generation == last_ended(deployment) else ""
        runs = ", ".join(f"{container}={image}" for container, image in images(deployment.template).items())
        return told or f"its release has ended, and nothing says how; the Deployment asks for {printable(runs)}"

    def _age(self, moment: str) -> float | None:
        try:
            since = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        except ValueError:
            return None
        return self._clock.wall() - since.timestamp()

    def _outcome(self) -> Outcome:
        told = [f"{self._name(key)}: {how}" for key, how in sorted(self._ended.items())]
        told += [f"{self._name(key)}: still {phase.value}" for key, phase in sorted(self._phases.items())]
        still = {key: situation for key, situation in self._situations.items() if key in self._phases}
        return Outcome(
            changed=False,
            message="; ".join(told) or "no release is live",
            extra={
                "canaries": [described(situation) for _key, situation in sorted(still.items())],
                "ended": [
                    {"namespace": namespace, "name": name, "how": how}
                    for (namespace, name), how in sorted(self._ended.items())
                ],
            },
        )
