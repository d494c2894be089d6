# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Deployment and its pods, from the patch that starts a hold to the one that cleans up."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import inf

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.intstr import resolve_fenceposts
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import LAST
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import CHANGE_CAUSE, LIVE, RECORD
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import REVISION

from .calls import Called
from .faults import Fault
from .governing import Hook, annotated
from .ledger import Ledger
from .objects import NAME, Json, owned
from .pictures import Pictures
from .promises import Release, is_hold, is_marked, may_lack, most_pods
from .releasing import Releasing

_OURS = (RECORD, LAST, LIVE, REVISION)
# Seconds by which the controllers have counted a pod that is Ready.
_COUNTED = 1.0
_HOLDING = frozenset({Phase.STARTING, Phase.STEPPING, Phase.HELD})


class Moving:
    """`pictures`: what verbs would see."""

    def __init__(self, ledger: Ledger, pictures: Pictures, releasing: Releasing) -> None:
        self._ledger = ledger
        self._pictures = pictures
        self._releasing = releasing
        # The template that each process was told last that it holds.
        self._held: dict[str, str] = {}

    def changes(self, before: Json, after: Json, call: Called | None) -> None:
        """The Deployment was one, and is the other now, by a call or by somebody else."""
        held, holds = is_hold(before), is_hold(after)
        old, new = (self._ledger.keys.of(side["spec"]["template"]) for side in (before, after))
        if not held and holds:
            assert call is not None, "in a quiet history only a start makes a hold"
            self._ledger.releases += 1
            self._ledger.release = self._ledger.latest = self._begun(before, after, old, new, call)
        release = self._ledger.release
        if release is None:
            return
        undoes = call is not None and release.going == "undo"
        release.paused_by_verb = bool(after["spec"].get("paused")) and (
            release.paused_by_verb or (undoes and not before["spec"].get("paused"))
        )
        if old == release.canary and new == release.canary_by_policy != old:
            self._meddles(release, before, after, call)
        elif (
            old == new == release.canary_by_policy != release.canary
            and before["spec"].get("paused")
            and not after["spec"].get("paused")
        ):
            told = f"{call.ask.verb if call else 'somebody'} let pods of a policy's template come"
            self._ledger.violated("only what was held is promoted", told)
        if held and holds and call is not None and call.ask.begins:
            replicas = after["spec"]["replicas"]
            # A whole release has a name of its own, whether its caller gave one or not.
            release.actor = call.actor if call.run or call.ask.verb == "release" else release.actor
            release.floor = min(release.floor, replicas - may_lack(call.ask))
            release.most = max(release.most, most_pods(call.ask, replicas))
        self._promises_less(release, before, after, call)
        if held and not holds:
            release.going = "undo" if release.is_stable(new) else "promote"
            self._comes_back(release, new, call)
            # Where no stable pod serves, users stay with the canary until one does.
            cuts = release.going == "undo" and release.splits and self._served(release, call)
            release.share = Fraction(0) if cuts else None
            if release.going == "promote":
                self._promotes(release, new, after, call)
        elif release.going == "promote" and release.is_stable(new):
            release.going = "undo"
            self._comes_back(release, new, call)
            if after["spec"]["revisionHistoryLimit"] == 0:
                # Nothing stops such a promotion before it is taken back: that could take the stable version away.
                release.floor = 0
        if is_marked(before) and not is_marked(after):
            self._is_over(release, after, new)
            self._ledger.release = None

    def _promises_less(self, release: Release, before: Json, after: Json, call: Called | None) -> None:
        """An autoscaler scales down, which is given back before the clean-up. And no canary pod is kept for a stable one that is not Ready for a
        reason of its own when an undo begins, while others are, or that does not become so at all."""
        scaled_down = before["spec"]["replicas"] - after["spec"]["replicas"]
        if release.going != "hold" and scaled_down > 0:
            release.floor -= scaled_down
        old, new = (self._ledger.keys.of(side["spec"]["template"]) for side in (before, after))
        if not release.is_stable(new) or not is_marked(after):
            return
        # As far as a look tells, which was before, and may have been at the status of the ReplicaSet, then or later.
        since = _begun(call)
        ready = [pod.ready and pod.ready_since <= since for pod in self._ledger.pods_of(release.stable)]
        store = self._ledger.store
        sets = (*store.as_of("replicasets", since).values(), *store.of("replicasets").values())
        told = [one["status"] for one in sets if self._ledger.keys.of(one["spec"]["template"]) == release.stable]
        lacking = max(ready.count(False), *(one.get("replicas", 0) - one.get("readyReplicas", 0) for one in told), 0)
        others = (pod for pod in self._ledger.pods.pods.values() if self._ledger.key(pod) != release.stable)
        served = any(pod.active and pod.ready and pod.ready_since <= since - _COUNTED for pod in others)
        if served and not self._may_have_served(release, call) and not any(one.get("readyReplicas") for one in told):
            lacking = 0  # those of the canary alone serve
        if not release.is_stable(old):
            release.lacking = lacking
            release.floor -= lacking
        elif before["spec"]["strategy"] != after["spec"]["strategy"] and lacking > release.lacking:
            release.floor -= lacking - release.lacking
            release.lacking = lacking

    def _served(self, release: Release, call: Called | None) -> bool:
        """A stable pod has been Ready since before this call looked."""
        return any(pod.ready and pod.ready_since <= _begun(call) for pod in self._ledger.pods_of(release.stable))

    def _may_have_served(self, release: Release, call: Called | None) -> bool:
        """One was, or may have been, when this call looked."""
        return any(pod.ready or pod.ready_since > _begun(call) for pod in self._ledger.pods_of(release.stable))

    def _comes_back(self, release: Release, new: str, call: Called | None) -> None:
        """The stable version, or what a policy makes of it."""
        if new != release.stable_by_policy or new == release.stable:
            return
        if self._ledger.history.incidents:
            release.floor = 0  # what they took of its pods no ReplicaSet gives back

    def _is_told(self, call: Called | None) -> bool:
        """A try tells what the policy makes of a write, and this call has tried it since the policy began, or never."""
        governed = self._ledger.history.governed
        assert governed is not None
        at, hit = (self._ledger.tried.get(call.user, inf), call.hit) if call is not None else (inf, [])
        return governed.hook is Hook.ANNOTATES and at >= governed.begins and Fault.LATE not in hit

    def _promotes(self, release: Release, new: str, after: Json, call: Called | None) -> None:
        if call is not None:
            self._releasing.promotes(call)
        if call is not None and call.meant.hash and self._held.get(call.actor) != new and not release.meddled:
            self._ledger.violated("only what was named is promoted", f"{call.actor} meant another version")
        if call is not None and call.meant.run and release.actor != call.actor:
            self._ledger.violated("only what was named is promoted", f"{call.actor} meant a release of its own")
        if new != release.canary and not release.meddled:
            told = "another template than the one that was held is promoted"
            self._ledger.violated("only what was held is promoted", told)
        if not release.was_ready:
            self._ledger.violated("only what was held is promoted", "no canary pod was ever Ready")
        rolling, replicas = release.before["spec"]["strategy"]["rollingUpdate"], after["spec"]["replicas"]
        posts = resolve_fenceposts(rolling["maxSurge"], rolling["maxUnavailable"], replicas)
        release.floor = min(release.floor, replicas - posts.unavailable)

    def _is_over(self, release: Release, after: Json, new: str) -> None:
        """The clean-up: everything is back as it was, but for the template and the story of it."""
        wanted = {"undo": {release.stable, release.stable_by_policy}, "promote": {release.canary}}.get(
            release.going, set()
        )
        wanted |= {release.canary_by_policy} if release.meddled and release.going == "promote" else set()
        if new not in wanted:
            told = f"after {release.going} another template is there"
            self._ledger.violated("a release ends in what was asked for", told)
        for name, (was, now) in _differences(release.before, after):
            if name == f"annotations.{CHANGE_CAUSE}" and release.going == "promote":
                continue  # it is the cause of the revision that is there now
            if name == "spec.replicas" and self._ledger.history.bounds:
                continue  # the autoscaler is given back first, and may scale at once
            if name == "spec.paused" and new == release.canary_by_policy and release.meddled:
                continue  # nobody has looked at its pods, and no stable version is left to come back
            self._ledger.violated("original fields are exactly back", f"{name} was {was!r} and is {now!r}")
        # What comes with the clean-up may be another stable version, by a policy: that is no canary.
        wanted |= {release.canary_by_policy} if release.meddled else set()
        left = [
            pod.name for pod in self._ledger.pods.pods.values() if pod.active and self._ledger.key(pod) not in wanted
        ]
        if left:
            self._ledger.violated("a release ends when its pods have moved", f"{', '.join(left)} are still there")

    def count(self, release: Release) -> None:
        """The pods of each version, at this moment."""
        deployment, pods = self._ledger.store.of("deployments")[NAME], self._ledger.pods
        mine = {rs["metadata"]["uid"] for rs in owned(self._ledger.store.of("replicasets"), deployment)}
        active = [pod for pod in pods.pods.values() if pod.active and pod.owner_uid in mine]
        serving = sum(pod.ready for pod in active)
        owed = sum(pod.owed for pod in active) + sum(pods.owed.values())
        # What is adrift is given back once as many are Ready as were promised, whichever they are.
        pods.adrift = min(pods.adrift, max(0, release.floor - serving - owed))
        owed += pods.adrift
        if serving + owed < release.floor:
            told = f"{serving} Ready (incidents took {owed}), {release.floor} promised"
            self._ledger.violated("Ready pods as promised", told)
        keys = [self._ledger.key(pod) for pod in active]
        # Admission may have made the stable version of it: that is no canary.
        is_another = release.canary != release.stable
        canary = [pod for pod, key in zip(active, keys, strict=True) if key == release.canary and is_another]
        release.was_ready = release.was_ready or any(pod.ready for pod in canary)
        if not any(pod.ready for pod in canary):
            # Whoever watches sends its users to stable.
            release.testers, release.cookie = False, ""
        spec, before = deployment["spec"], release.before["spec"]["replicas"]
        replicas = spec["replicas"]
        # Scaled up, both versions get of it in proportion.
        most = max(release.most, _shared(release.most, replicas + release.most, before + release.most))
        if isinstance((spec["strategy"].get("rollingUpdate") or {}).get("maxSurge"), str) and before:
            # A share of replicas stays one, and the controller's own rounding may give the canary a pod of the stable version's.
            most = max(most, _shared(release.most, replicas, before) + 1)
        if release.going == "hold" and len(canary) > most:
            self._ledger.violated("canary pods never more than asked", f"{len(canary)} of {most}")
        others = {*keys} - {release.stable, release.canary, release.stable_by_policy}
        if release.meddled:
            others -= {release.canary_by_policy}
        if others:
            self._ledger.violated("two templates at most", f"{len(others)} more than stable and canary")
        if release.pinned and release.going == "hold" and replicas != before:
            self._ledger.violated("a pinned Deployment is not scaled", f"from {before} to {replicas} replicas")

    def _is_of_a_policy(self, release: Release) -> bool:
        current = self._ledger.keys.of(self._ledger.store.of("deployments")[NAME]["spec"]["template"])
        made = {release.stable_by_policy, release.canary_by_policy if release.meddled else ""}
        return current in made - {release.stable, *({release.canary} - made)}

    def is_told_truthfully(self) -> None:
        """The phase that verbs read off the Deployment is the one it is in."""
        seen = self._pictures.situation()
        assert seen is not None
        release, phase = self._ledger.release, seen.phase
        if release is None:
            wanted = frozenset({Phase.NONE})
        elif seen.deployment.paused and not release.paused_by_verb:
            wanted = frozenset({Phase.FROZEN})
        else:
            wanted = {
                "hold": frozenset({Phase.STARTING}) if seen.deployment.paused else _HOLDING,
                "promote": frozenset({Phase.PROMOTING}),
                "undo": frozenset({Phase.UNDOING}),
            }[release.going]
        governed = self._ledger.history.governed
        if governed is not None and governed.hook is Hook.ANNOTATES_IN_EARNEST and self._ledger.release is not None:
            # Until the record names the template that admission has made of the one that was asked for, it is a stranger's; and where that is
            # the stable one, nobody else could have put it there.
            wanted |= {Phase.FOREIGN if release is None or release.canary != release.stable else Phase.DAMAGED}
        if release is not None and self._is_of_a_policy(release):
            # The record names what was asked for, until it is told what was stored; of the canary nobody tells it.
            wanted |= {Phase.FOREIGN}
        if phase not in wanted:
            told = ", ".join(sorted(one.value for one in wanted))
            self._ledger.violated("every state is told truthfully", f"{phase.value} ({seen.why}) in place of {told}")

    def _begun(self, before: Json, after: Json, stable: str, canary: str, call: Called) -> Release:
        replicas = after["spec"]["replicas"]
        floor, most = replicas - may_lack(call.ask), most_pods(call.ask, replicas)
        release = Release(before, stable, canary, floor, most, call.ask.autoscaler == "pin", call.actor)
        release.paused_by_verb = bool(after["spec"].get("paused"))
        release.splits = call.ask.share is not None or bool(call.ask.shares)
        governed = self._ledger.history.governed
        if governed is not None and governed.comes_later:
            release.stable_by_policy, by_policy = (
                self._ledger.keys.of(annotated(side["spec"]["template"])) for side in (before, after)
            )
            # Where the stable version was stored as the policy makes it, that is what it makes of the canary, too.
            release.canary_by_policy = "" if by_policy == stable else by_policy
            release.meddled = canary == release.canary_by_policy and not self._is_told(call)
        return release

    def _meddles(self, release: Release, before: Json, after: Json, call: Called | None) -> None:
        """A write that was to keep the canary's template has brought what a policy makes of it. Nobody could have known: it began after this call
        had tried that, or tells nothing of itself; or it stops pods, or takes them back, whatever comes with it."""
        release.meddled, is_told = True, self._is_told(call)
        self._ledger.surprised = self._ledger.surprised or not is_told
        # The controller takes pods of a hold first that are of neither version.
        release.floor = 0 if release.going == "hold" else release.floor
        stops = after["spec"].get("paused") and not (before["spec"].get("paused") or is_hold(before))
        if is_told and not stops and call is not None and call.ask.verb != "undo":
            told = f"{call.ask.verb}: {_differing(before, after)}"
            self._ledger.violated("admission is asked before a template is written again", told)

    def is_held_by(self, actor: str) -> None:
        """A start of this process has told it so."""
        if self._ledger.release is not None:
            self._held[actor] = self._ledger.release.canary


def _begun(call: Called | None) -> float:
    """When it began to look."""
    return call.begun if call is not None else inf


def _differing(before: Json, after: Json) -> str:
    return ", ".join(f"{name} from {was!r} to {now!r}" for name, (was, now) in _differences(before, after))


def _differences(before: Json, after: Json) -> Iterator[tuple[str, tuple[object, object]]]:
    def fields(obj: Json) -> dict[str, object]:
        spec = {f"spec.{key}": value for key, value in obj["spec"].items() if key != "template"}
        for part in ("annotations", "labels"):
            found = obj["metadata"].get(part) or {}
            spec.update({f"{part}.{key}": value for key, value in found.items() if key not in _OURS})
        return spec

    was, now = fields(before), fields(after)
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            yield name, (was.get(name), now.get(name))


def _shared(pods: int, now: int, before: int) -> int:
    """As large a part of what is there `now` as so many pods were of what was there `before`, rounded up."""
    return -(-pods * now // before)
