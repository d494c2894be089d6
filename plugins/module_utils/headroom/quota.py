# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many more pods the namespace's quotas allow.

Three kinds of objects are charged for a release: its pods, what controllers make for each of them (claims of ephemeral volumes and
of resources, without which a pod stays Pending), and one ReplicaSet for a template that has none yet.

A quota refuses a pod when `status.used` plus the pod's own usage exceeds `status.hard` for any resource that the pod uses.
Source: `CheckRequest`, k8s.io/apiserver pkg/admission/plugin/resourcequota/controller.go, and the pod evaluator,
pkg/quota/v1/evaluator/core/pods.go; of claims persistent_volume_claims.go beside it, and of other objects apiserver's
pkg/quota/v1/generic/evaluator.go. Amounts are exact thousandths: quotas do not round.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterable, Mapping

from ..values import dataclass
from .pod_request import POD_LEVEL_COUNTS, is_pod_level_set, pod_limits, pod_requests
from .quantity import Amounts, amounts
from .selectors import Requirement

Object = Mapping[str, Any]
_ONE = 1000
_MUST_BE_SET = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
_FOR_PODS = (
    "count/pods",
    "pods",
    *(prefix + name for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory", "ephemeral-storage")),
)


@dataclass(frozen=True)
class Quota:
    """`hard` and `used` are what the API server enforces (its status); `wanted` is what its spec asks for."""

    name: str
    scopes: tuple[Requirement, ...]
    hard: Amounts
    used: Amounts
    wanted: Amounts

    @property
    def is_up_to_date(self) -> bool:
        """Whether the quota controller has caught up with the spec."""
        return self.hard == self.wanted


@dataclass(frozen=True)
class Allowance:
    """What one quota says about one resource. `most` is how many more pods of this kind it allows; amounts in thousandths."""

    quota: str
    resource: str
    used: int
    hard: int
    per_pod: int
    most: int


@dataclass(frozen=True)
class Allowed:
    """`most`: how many more pods all quotas together allow, None when no quota limits them. `refusals`: why not even one is allowed."""

    allowances: tuple[Allowance, ...]
    refusals: tuple[str, ...]
    unknown: frozenset[str]

    @property
    def most(self) -> int | None:
        if self.refusals:
            return 0
        return min((one.most for one in self.allowances), default=None)


def quota_view(raw: Object) -> Quota:
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    plain = [Requirement(scope, "Exists") for scope in spec.get("scopes") or ()]
    selected = [
        Requirement(one["scopeName"], one["operator"], frozenset(one.get("values") or ()))
        for one in (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    ]
    return Quota(
        name=raw["metadata"]["name"],
        scopes=(*plain, *selected),
        hard=amounts(status.get("hard")),
        used=amounts(status.get("used")),
        wanted=amounts(spec.get("hard")),
    )


def verdict(quotas: Iterable[Quota], pod: Object, minor: int, old: Object | None = None, old_gone: int = 0) -> Allowed:
    """What the quotas say about more pods like this one (an API object).

    `old_gone` pods like `old` will have left by then. They give back only what they hold of a quota: nothing of one that
    does not count them, such as a quota on the priority class that the new version moves to.
    """
    usage = pod_usage(pod, minor)
    held = {} if old is None else pod_usage(old, minor)
    claims, claims_held = claim_usage(pod), {} if old is None else claim_usage(old)
    allowances: list[Allowance] = []
    refusals: list[str] = []
    unknown: set[str] = set()
    for quota in quotas:
        if not quota.scopes:
            freed_claims = {name: amount * old_gone for name, amount in claims_held.items()}
            allowances.extend(_claim_allowances(quota, claims, freed_claims))
        if not _counts(quota, pod, minor):
            continue
        freed = old_gone if old is not None and _counts(quota, old, minor) else 0
        if not quota.is_up_to_date:
            unknown.add(f"quota_status_pending: {quota.name}")
        tracked = [name for name in quota.hard if _concerns_pods(name)]
        if not tracked:
            continue
        missing = _unset_resources(pod, tracked, minor)
        if missing:
            refusals.append(f"quota {quota.name}: every container must set {', '.join(missing)}")
        unread = sorted(name for name in tracked if name not in quota.used)
        if unread:
            refusals.append(f"quota {quota.name}: status unknown for {', '.join(unread)}")
            continue
        allowances.extend(
            _allowance(quota, name, usage[name], held.get(name, 0) * freed)
            for name in tracked
            if usage.get(name, 0) > 0
        )
    return Allowed(tuple(allowances), tuple(refusals), frozenset(unknown))


def charged(
    quotas: Iterable[Quota], pod: Object, minor: int, count: int, *, new_replica_set: bool
) -> tuple[Quota, ...]:
    """The quotas once so many more pods like this one are there, and a ReplicaSet where they need one of their own."""
    more: Amounts = {name: amount * count for name, amount in pod_usage(pod, minor).items()}
    unscoped = {name: amount * count for name, amount in claim_usage(pod).items()}
    if new_replica_set:
        unscoped[REPLICA_SETS] = _ONE
    found = []
    for quota in quotas:
        added = {**(more if _counts(quota, pod, minor) else {}), **({} if quota.scopes else unscoped)}
        used = {name: amount + added.get(name, 0) for name, amount in quota.used.items()}
        found.append(replace(quota, used=used))
    return tuple(found)


def pod_usage(pod: Object, minor: int) -> Amounts:
    """What a quota charges for a pod that does not exist yet, in quota's resource names and thousandths."""
    usage: Amounts = {"count/pods": _ONE, "pods": _ONE}
    for name, amount in pod_requests(pod, minor, running=False).items():
        if name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-"):
            usage[name] = usage[f"requests.{name}"] = amount
        elif "/" in name:
            usage[f"requests.{name}"] = amount
    for name, amount in pod_limits(pod, minor).items():
        if name in ("cpu", "memory", "ephemeral-storage"):
            usage[f"limits.{name}"] = amount
    return usage


def claim_usage(pod: Object) -> Amounts:
    """The same for what controllers make for a pod: a PersistentVolumeClaim for each ephemeral volume, a ResourceClaim for each
    template of one."""
    spec = pod.get("spec") or {}
    usage: Amounts = {}

    def charge(name: str, amount: int) -> None:
        usage[name] = usage.get(name, 0) + amount

    for volume in spec.get("volumes") or ():
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is None:
            continue
        claim = template.get("spec") or {}
        storage = amounts((claim.get("resources") or {}).get("requests")).get("storage", 0)
        of_class = (
            f"{claim['storageClassName']}.storageclass.storage.k8s.io/" if claim.get("storageClassName") else None
        )
        for prefix in ("", *((of_class,) if of_class else ())):
            charge(f"{prefix}persistentvolumeclaims", _ONE)
            charge(f"{prefix}requests.storage", storage)
        charge("count/persistentvolumeclaims", _ONE)
    for claimed in spec.get("resourceClaims") or ():
        if claimed.get("resourceClaimTemplateName"):
            charge("count/resourceclaims.resource.k8s.io", _ONE)
    return usage


def _claim_allowances(quota: Quota, claims: Amounts, freed: Amounts) -> Iterable[Allowance]:
    """None where the quota does not say yet what is used: then it refuses nothing that we know of."""
    for name, amount in claims.items():
        if amount > 0 and name in quota.hard and name in quota.used:
            yield _allowance(quota, name, amount, freed.get(name, 0))


REPLICA_SETS = "count/replicasets.apps"


def with_new_replica_set(quotas: Iterable[Quota], found: Allowed) -> Allowed:
    """The verdict where the new version has no ReplicaSet yet. A quota that counts them has to leave room for one."""
    full = []
    for quota in quotas:
        # Objects that are only counted are in no scope, so a quota with scopes counts none.
        if quota.scopes or REPLICA_SETS not in quota.hard:
            continue
        if REPLICA_SETS not in quota.used:
            full.append(f"quota {quota.name}: status unknown for {REPLICA_SETS}")
        elif quota.hard[REPLICA_SETS] - quota.used[REPLICA_SETS] < _ONE:
            used, hard = quota.used[REPLICA_SETS] // _ONE, quota.hard[REPLICA_SETS] // _ONE
            full.append(
                f"quota {quota.name}: {REPLICA_SETS} {used} of {hard} used, and the new version needs a ReplicaSet of its own; "
                "a smaller spec.revisionHistoryLimit lets old ones go"
            )
    return replace(found, refusals=(*found.refusals, *full))


def _allowance(quota: Quota, name: str, per_pod: int, freed: int) -> Allowance:
    used = max(0, quota.used[name] - freed)
    return Allowance(quota.name, name, used, quota.hard[name], per_pod, max(0, (quota.hard[name] - used) // per_pod))


def _concerns_pods(name: str) -> bool:
    """Source: `podEvaluator.MatchingResources`."""
    if name in _FOR_PODS or name.startswith(("hugepages-", "requests.hugepages-")):
        return True
    return name.startswith("requests.") and "/" in name


def _unset_resources(pod: Object, tracked: Iterable[str], minor: int) -> list[str]:
    """CPU and memory that the quota tracks and some container does not set (`podEvaluator.Constraints`)."""
    spec = pod.get("spec") or {}
    if minor >= POD_LEVEL_COUNTS and is_pod_level_set(spec.get("resources") or {}):
        return []
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    return sorted(
        name
        for name in set(tracked) & set(_MUST_BE_SET)
        if not all(_sets(container.get("resources") or {}, name) for container in containers)
    )


def _sets(resources: Object, quota_name: str) -> bool:
    side, _dot, name = quota_name.rpartition(".")
    return name in (resources.get("limits" if side == "limits" else "requests") or {})


def _counts(quota: Quota, pod: Object, minor: int) -> bool:
    """Whether the pod is in all scopes of the quota."""
    return all(_in_scope(scope, pod, minor) for scope in quota.scopes)


def _in_scope(scope: Requirement, pod: Object, minor: int) -> bool:
    """Source: `podMatchesScopeFunc`."""
    spec = pod.get("spec") or {}
    has_deadline = spec.get("activeDeadlineSeconds") is not None and spec["activeDeadlineSeconds"] >= 0
    if scope.key == "PriorityClass":
        name = spec.get("priorityClassName")
        return scope.holds({"PriorityClass": name} if name else {})
    return {
        "Terminating": has_deadline,
        "NotTerminating": not has_deadline,
        "BestEffort": is_best_effort(pod, minor),
        "NotBestEffort": not is_best_effort(pod, minor),
        "CrossNamespacePodAffinity": _crosses_namespaces(spec.get("affinity") or {}),
    }.get(scope.key, False)


def is_best_effort(pod: Object, minor: int) -> bool:
    """No container asks for or limits CPU or memory (`ComputePodQOS`)."""
    spec = pod.get("spec") or {}
    pod_level = spec.get("resources") or {}
    if minor >= POD_LEVEL_COUNTS and is_pod_level_set(pod_level):
        return _asks_nothing(pod_level)
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    return all(_asks_nothing(container.get("resources") or {}) for container in containers)


def _asks_nothing(resources: Object) -> bool:
    asked = (*amounts(resources.get("requests")).items(), *amounts(resources.get("limits")).items())
    return not any(amount > 0 for name, amount in asked if name in ("cpu", "memory"))


def _crosses_namespaces(affinity: Object) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        required = rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms = (*required, *(one["podAffinityTerm"] for one in preferred))
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False
