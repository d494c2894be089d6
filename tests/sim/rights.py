# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each verb and each option of it that needs rights of its own, done by somebody who may do just so much, and what it asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import Asked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import BoundCheck, RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import (
    Gate,
    Headroom,
    Policies,
    WhenMissing,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.identity import Meant
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    SERVICE_SELECTOR,
    AutoscalerPolicy,
    InfoRequest,
    NewTemplate,
    Size,
    StartRequest,
    Wait,
    WatchRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest, headroom
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    HttpAsked,
    LogsAsked,
    PodsAsked,
    Resource,
    ResourcesAsked,
    SourceAsked,
    VerifyRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.release import release
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.watch import watch
from tests.release_calls import asked as asked_for
from tests.sim import refusals
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End, Foreign, History, Script
from tests.sim.keda import scaled_object
from tests.sim.objects import NAMESPACE
from tests.sim.pods import Nature
from tests.sim.server import Server
from tests.sim.stage import Stage
from tests.sim.test_headroom import DEMANDING, POOL, Shop, asking
from tests.sim.world import World
from tests.situations import Web, image, silent

# Where it is to be had: in the namespace of the release, in the whole cluster, or in another namespace.
HERE, CLUSTER = "namespace", "cluster"


@dataclass(frozen=True, order=True)
class Right:
    """`resource` with its API group, as a message names it. `where`: HERE, CLUSTER, or the name of another namespace."""

    verb: str
    resource: str
    where: str = HERE

    @classmethod
    def of(cls, asked: Asked) -> Right:
        where = HERE if asked.namespace == NAMESPACE else asked.namespace or CLUSTER
        return cls(asked.verb, asked.resource, where)

    @property
    def told(self) -> str:
        """As a message names it."""
        place = NAMESPACE if self.where == HERE else self.where
        return (
            f"{self.verb} {self.resource} in {'the whole cluster' if self.where == CLUSTER else f'namespace {place}'}"
        )


@dataclass
class Done:
    """`asked`: all rights that were used or missed. `told`: messages, warnings and whatever else was said. `worked`: as it was to."""

    asked: set[Right] = field(default_factory=set)
    told: str = ""
    worked: bool = False


def watched(server: Server, name: str, granted: Iterable[Right] | None) -> Done:
    """From now on everybody whose name begins with `name` may do what is granted (None: everything) and nothing else."""
    done, allowed, before = Done(), None if granted is None else frozenset(granted), server.may

    def may(asked: Asked, user: str) -> None:
        if user.startswith(name) and not asked.resource.startswith("/"):
            right = Right.of(asked)
            done.asked.add(right)
            if allowed is not None and right not in allowed:
                raise refusals.forbidden(asked, user)
        before(asked, user)

    server.may = may  # type: ignore[method-assign]
    return done


# Things to do, each after what prepares it, which an administrator does.
LONG = Wait(timeout=120.0)
# By whose status of a route most is read.
OF_ISTIO = Lags(controller="istio.io/gateway-controller")
# In a history: when all that an administrator prepares is over.
LATER = 200.0
NEVER_READY = {"lab.coalmine/never-ready": "true"}
PATCH = NewTemplate(patch={"metadata": {"annotations": {"asked": "by-patch"}}})


@dataclass(frozen=True)
class Deed:
    """`verb` with `option` (empty: with none that needs more; several with a comma between), `prepared` by an administrator. `ends`: in
    the failure of this code. `lacks`: what it is about is that these are missing."""

    verb: str
    option: str
    does: Callable[[Web], object]
    prepared: Callable[[Web], object]
    ends: str = ""
    lacks: frozenset[Right] = frozenset()

    def done(self, granted: Iterable[Right] | None = None) -> Done:
        """By somebody who may do what is granted; None: everything."""
        stage = Stage()
        web = stage.web("web")
        Shop(stage, web).nodes()
        self.prepared(web)
        web.api = stage.api("releaser")
        done = watched(stage.server, "releaser", granted)
        try:
            result = self.does(web)
            warnings = result.warnings if isinstance(result, Outcome) else ()
            done.told, done.worked = f"{result} {' '.join(warnings)}", not self.ends
        except (VerbFailure, ApiError) as error:
            told = [*error.warnings, str(error.extra)] if isinstance(error, VerbFailure) else []
            done.told = " ".join([str(error), *told])
            done.worked = isinstance(error, VerbFailure) and error.code == self.ends
        return done


@dataclass(frozen=True)
class Routed:
    """As a Deed, of a release whose requests are split: `ask` of one who may do so much, after those of an administrator. `foreign`: what
    somebody else does meanwhile."""

    verb: str
    option: str
    ask: Ask
    prepared: tuple[Ask, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    ends: str = ""
    lacks: frozenset[Right] = frozenset()

    def done(self, granted: Iterable[Right] | None = None) -> Done:
        scripts = [Script("admin", 8.0, asks=self.prepared)] if self.prepared else []
        scripts.append(Script("releaser", LATER, asks=(self.ask,)))
        world = World(History(scripts=tuple(scripts), end=End.UNDO, gateway=OF_ISTIO, foreign=self.foreign))
        done = watched(world.server, "releaser", granted)
        (call,) = (call for call in world.play().calls if call.actor == "releaser")
        result = call.result
        warnings = result.warnings if isinstance(result, (Outcome, VerbFailure)) else ()
        done.told = " ".join([call.told(), *warnings])
        code = result.code if isinstance(result, VerbFailure) else ""
        done.worked = isinstance(result, (Outcome, VerbFailure)) and code == self.ends
        return done


def _start(web: Web, template: NewTemplate | None = None, **options: Any) -> Outcome:
    asked = template or NewTemplate(images={"app": image("v2")})
    policy = options.pop("autoscaler", AutoscalerPolicy.IGNORE)
    call = replace(web.call, wait=options.pop("wait", LONG))
    size = options.pop("size", Size(1))
    return start(web.api, StartRequest(call, asked, size, autoscaler=policy, **options), silent)


def _held(web: Web) -> None:
    _start(web)


def _scaled(web: Web) -> None:
    web.autoscaler(2, 6)


def _pins(web: Web) -> Outcome:
    return _start(web, autoscaler=AutoscalerPolicy.PIN)


def _pinned(web: Web) -> None:
    _scaled(web)
    _pins(web)


def _sized(web: Web) -> Outcome:
    return _start(web, NewTemplate(patch={"metadata": {"annotations": {"vpaUpdates": "container 0: cpu request"}}}))


def _stage(web: Web) -> Stage:
    stage = web.world
    assert isinstance(stage, Stage)
    return stage


def _scaled_by_keda(web: Web) -> None:
    stage = _stage(web)
    made = scaled_object("queue", 2, 6, web.name, autoscaler=f"{web.name}-hpa")
    web.admin.create(f"/apis/keda.sh/v1alpha1/namespaces/{web.namespace}/scaledobjects", made)
    web.until(lambda: stage.store.get("horizontalpodautoscalers", f"{web.name}-hpa"), "KEDA has made its autoscaler")


def _pinned_by_keda(web: Web) -> None:
    _scaled_by_keda(web)
    _pins(web)


def _promoted(web: Web) -> None:
    _held(web)
    web.promote()


def _from_now_on(version: str, nature: Nature) -> Callable[[Web], None]:
    """So are the pods of this version that come."""

    def are(web: Web) -> None:
        _stage(web).pods.natures = {version: nature}

    return are


def _failing(web: Web) -> None:
    _from_now_on("v2", Nature(restarts=True))(web)


def _reduced(web: Web) -> None:
    """Half of the stable pods are to come back."""
    _start(web, size=Size(2), surge=0, max_unavailable=2)


def _bakes_a_crash(web: Web) -> Outcome:
    stage = _stage(web)
    canary = next(pod for pod in stage.pods.pods.values() if pod.version == "v2")
    stage.timeline.after(20.0, lambda: stage.pods.crashes(canary, 5.0))
    return web.bake(200.0)


def _frozen(web: Web) -> None:
    _held(web)
    web.pause()


def _pauses_and_resumes(web: Web) -> Outcome:
    web.pause()
    return web.resume()


def _verified(web: Web, source: SourceAsked) -> Outcome:
    check = BoundCheck("it", maximum=9.0) if isinstance(source, ResourcesAsked) else RateCheck("it")
    asked = VerifyRequest(web.call, (CheckAsked(check, source),), 10.0, 2.0, inconclusive_ok=True)
    return verify(web.api, asked, silent)


def _room(web: Web, template: NewTemplate | None = None, **options: Any) -> Outcome:
    asked = template or NewTemplate(images={"app": image("v2")})
    return headroom(web.api, HeadroomRequest(web.call, asked, **options), silent)


def _room_of_manifest(web: Web) -> Outcome:
    return _room(web, NewTemplate(definition=web.manifest(2)))


def _released(web: Web, room: Headroom = Headroom.SKIP) -> Outcome:
    return release(web.api, asked_for(web, policies=Policies(headroom=room)), silent)


def _released_by_others(web: Web) -> Outcome:
    """It looks at its pods once more before somebody is asked."""
    policies = Policies(headroom=Headroom.SKIP, gate=Gate.STOP)
    return release(web.api, asked_for(web, policies=policies), silent)


def _created(web: Web) -> Outcome:
    asked = asked_for(web, policies=Policies(headroom=Headroom.SKIP, when_missing=WhenMissing.CREATE))
    template = NewTemplate(definition=web.manifest(2))
    return release(web.api, replace(asked, start=replace(asked.start, template=template)), silent)


def _two_steps(web: Web) -> Outcome:
    """The second goes on with what the first has kept for its run."""
    _start(web, run=NIGHT.run)
    return _start(web, size=Size(2), run=NIGHT.run)


def _crashes(web: Web) -> Outcome:
    return _start(web, NewTemplate(images={"app": image("crash")}))


def _too_slow(web: Web) -> Outcome:
    return _start(web, NewTemplate(patch={"metadata": {"annotations": NEVER_READY}}), wait=Wait(timeout=20.0))


# What rooms are counted in.


def _shop(web: Web) -> Shop:
    return Shop(_stage(web), web)


def _crowded(web: Web) -> None:
    """A third pod of this size fits on no node that is there."""
    _shop(web).deploy(3)


def _grows(web: Web) -> Outcome:
    return _room(web, asking("1700m"))


def _of_karpenter(web: Web) -> None:
    shop = _shop(web)
    shop.deploy(3).labelled(POOL)
    shop.put("nodepools", "np-a", spec={"limits": {"cpu": "15"}}, status={"resources": {"cpu": "4", "nodes": "2"}})


def _demands(web: Web) -> Outcome:
    return _room(web, NewTemplate(patch={"spec": DEMANDING}))


def _with_claim(web: Web) -> None:
    _shop(web).deploy().put("persistentvolumeclaims", "data", spec={"volumeName": "disk"})


def _classes(web: Web) -> None:
    shop = _shop(web).deploy()
    shop.put("runtimeclasses", "sandboxed", overhead={"podFixed": {"cpu": "100m"}})
    shop.put("priorityclasses", "urgent", value=7)


def _classed(web: Web) -> Outcome:
    """Where a pod may not be tried as a dry run, it has to work out what admission would fill in."""
    classes = {"spec": {"runtimeClassName": "sandboxed", "priorityClassName": "urgent"}}
    return _room(web, NewTemplate(images={"app": image("v2")}, patch=classes))


DRY_RUN = frozenset({Right("create", "pods")})
MIRRORED = Ask("start", share="0", mirror="5")
ROOMY = Headroom.REQUIRE_EXISTING_NODES


def _four(web: Web) -> None:
    web.make(4)


def _then(*prepares: Callable[[Web], object]) -> Callable[[Web], object]:
    def prepared(web: Web) -> None:
        for prepare in prepares:
            prepare(web)

    return prepared


def after(*prepares: Callable[[Web], object]) -> Callable[[Web], object]:
    return _then(_four, *prepares)


def _asks_info(name: str | None, namespace: str | None) -> Callable[[Web], Outcome]:
    return lambda web: info(web.api, InfoRequest(name, namespace))


def _looks_on(name: str | None, namespace: str | None) -> Callable[[Web], Outcome]:
    return lambda web: watch(web.api, WatchRequest(name, namespace, 10.0), silent)


KINDS = ("gateway_api", "ingress_nginx", "istio", "gateway_api_grpc", "alb", SERVICE_SELECTOR)
BAKE, VERIFY = Ask("bake", seconds=5.0), Ask("verify", seconds=6.0)
KEEP = Ask("promote", by="weights", keep=5.0)
DRAIN = Ask("pause", drain=True)
WATCH, JUDGE = Ask("bake", seconds=30.0), Ask("verify", seconds=30.0)
# After which the controller takes the pods of the canary away.
THIRD = (Foreign(LATER + 10.0, "kubectl set image", version="v3"),)
GOES = "of a canary that goes"


def _begins(kind: str) -> Ask:
    """Of as many pods as could bear all requests; users get it, or there would be nobody to take from it."""
    return Ask("start", pods=4, surge=4, share="100" if kind == SERVICE_SELECTOR else "5", kind=kind)


def _releases(kind: str) -> Ask:
    """Judged by pods, of which a moment says too little."""
    shares = ("0",) if kind == SERVICE_SELECTOR else ("5", "100")
    return Ask(
        "release",
        shares=shares,
        kind=kind,
        seconds=4.0,
        verdicts=("pods",),
        on_inconclusive="promote",
        autoscaler="refuse",
    )


def _of_kind(kind: str) -> Iterator[Routed]:
    option, begins = f"traffic: {kind}", _begins(kind)
    yield Routed("canary_start", option, begins)
    yield Routed("canary_release", option, _releases(kind))
    yield Routed("canary_info", option, Ask("info"), (begins,))
    yield Routed("canary_bake", option, BAKE, (begins,))
    yield Routed("canary_bake", f"{option}, {GOES}", WATCH, (begins,), THIRD, ends="stuck")
    yield Routed("canary_verify", option, VERIFY, (begins,), ends="judged_inconclusive")
    yield Routed("canary_verify", f"{option}, {GOES}", JUDGE, (begins,), THIRD, ends="judged_inconclusive")
    yield Routed("canary_pause", f"{option}, drain", DRAIN, (begins,))
    yield Routed("canary_resume", option, Ask("resume"), (begins, DRAIN))
    yield Routed("canary_promote", option, Ask("promote"), (begins,))
    yield Routed("canary_promote", f"{option}, keep", KEEP, (begins,))
    yield Routed("canary_undo", option, Ask("undo"), (begins,))


# What waits for pods of a version to come, and what is prepared for it.
COMING: dict[str, tuple[Callable[[Web], Outcome], Callable[[Web], object], str]] = {
    "canary_promote": (lambda web: web.promote(), after(_held), "v2"),
    "canary_undo": (lambda web: web.undo(), after(_reduced), "v1"),
    "canary_rollback": (lambda web: web.rollback(image("v1")), after(_promoted), "v1"),
    "canary_release": (_released, after(), "v2"),
}
# So late that a Lease is renewed meanwhile.
LATE = Nature(30.0, 35.0)


def _of_coming(verb: str) -> Iterator[Deed]:
    does, prepared, version = COMING[verb]
    for option, nature, seconds, ends in (
        ("", LATE, 300.0, ""),
        ("of pods that never get Ready", Nature(never_ready=True), 20.0, "timeout"),
    ):
        yield Deed(verb, option, _within(seconds, does), _then(prepared, _from_now_on(version, nature)), ends=ends)


# What a later task of a run asks for.
NIGHT = Meant(run="night")
IN_A_RUN: dict[str, Callable[[Web], Outcome]] = {
    "canary_bake": lambda web: web.bake(100.0),
    "canary_verify": lambda web: _verified(web, PodsAsked()),
    "canary_pause": lambda web: web.pause(),
    "canary_resume": _pauses_and_resumes,
    "canary_promote": lambda web: web.promote(),
    "canary_undo": lambda web: web.undo(),
}


def _of_a_run(verb: str) -> Deed:
    def begun(web: Web) -> None:
        _start(web, run=NIGHT.run)

    def does(web: Web) -> Outcome:
        web.meant = NIGHT
        return IN_A_RUN[verb](web)

    return Deed(verb, "of a run with a name", does, after(begun))


def _within(seconds: float, does: Callable[[Web], Outcome]) -> Callable[[Web], Outcome]:
    def waits(web: Web) -> Outcome:
        web.wait = Wait(timeout=seconds)
        return does(web)

    return waits


DEEDS: tuple[Deed | Routed, ...] = (
    *(deed for kind in KINDS for deed in _of_kind(kind)),
    *(deed for verb in COMING for deed in _of_coming(verb)),
    *map(_of_a_run, IN_A_RUN),
    Deed("canary_info", "", _asks_info("web", NAMESPACE), after(_held)),
    Deed("canary_info", "without a name", _asks_info(None, NAMESPACE), after(_held)),
    Deed("canary_info", "without a namespace", _asks_info(None, None), after(_held)),
    Deed("canary_watch", "", _looks_on("web", NAMESPACE), after(_held)),
    Deed("canary_watch", "without a namespace", _looks_on(None, None), after(_held)),
    Deed("canary_start", "", _start, after()),
    Deed("canary_start", "autoscaler: refuse", lambda web: _start(web, autoscaler=AutoscalerPolicy.REFUSE), after()),
    Deed("canary_start", "autoscaler: pin", _pins, after(_scaled)),
    Deed("canary_start", "autoscaler: pin, with KEDA", _pins, after(_scaled_by_keda)),
    Deed("canary_start", "beside a VerticalPodAutoscaler, pod_template_patch", _sized, after()),
    Deed("canary_start", "pod_template_patch", lambda web: _start(web, PATCH), after()),
    Deed("canary_start", "of a run with a name", _two_steps, after()),
    Deed("canary_start", "of a container that fails", _crashes, after(), ends="stuck"),
    Deed("canary_start", "of pods that never get Ready, pod_template_patch", _too_slow, after(), ends="timeout"),
    Routed("canary_start", "traffic: gateway_api, traffic.mirror", MIRRORED),
    Deed("canary_bake", "", lambda web: web.bake(200.0), after(_held)),
    Deed("canary_bake", "of a container that fails", _bakes_a_crash, after(_held), ends="stuck"),
    Deed("canary_pause", "", lambda web: web.pause(), after(_held)),
    Deed("canary_resume", "", lambda web: web.resume(), after(_frozen)),
    Deed("canary_promote", "autoscaler: pin", lambda web: web.promote(), after(_pinned)),
    Deed("canary_promote", "with KEDA", lambda web: web.promote(), after(_pinned_by_keda)),
    Deed("canary_undo", "with a reason", lambda web: web.undo("too slow"), after(_held)),
    Deed("canary_undo", "autoscaler: pin", lambda web: web.undo(), after(_pinned)),
    Deed("canary_undo", "with KEDA", lambda web: web.undo(), after(_pinned_by_keda)),
    Deed("canary_rollback", "with a reason", lambda web: web.rollback(image("v1"), "slow"), after(_promoted)),
    Deed("canary_verify", "pods", lambda web: _verified(web, PodsAsked()), after(_held)),
    Deed("canary_verify", "logs", lambda web: _verified(web, LogsAsked(pattern="started")), after(_held)),
    Deed("canary_verify", "http via: proxy", lambda web: _verified(web, HttpAsked()), after(_held)),
    Deed("canary_verify", "resources", lambda web: _verified(web, ResourcesAsked(Resource.CPU)), after(_held)),
    Deed("canary_headroom_info", "", _room, lambda web: _shop(web).deploy()),
    Deed("canary_headroom_info", "pod_template_patch", lambda web: _room(web, PATCH), lambda web: _shop(web).deploy()),
    Deed("canary_headroom_info", "definition", _room_of_manifest, lambda web: _shop(web).deploy()),
    Deed("canary_headroom_info", "assume_replicas: max", lambda web: _room(web, assume_replicas="max"), after(_scaled)),
    Deed("canary_headroom_info", "without a dry run, pod_template_patch", _classed, _classes, lacks=DRY_RUN),
    Deed("canary_headroom_info", "of a demanding pod, pod_template_patch", _demands, _with_claim),
    Deed("canary_headroom_info", "where nodes are missing, pod_template_patch", _grows, _crowded),
    Deed("canary_headroom_info", "where nodes are Karpenter's, pod_template_patch", _grows, _of_karpenter),
    Deed("canary_release", "", _released_by_others, after()),
    Deed("canary_release", "of a container that fails", _released, after(_failing), ends="stuck"),
    Deed("canary_release", "when_missing: create", _created, lambda web: None),
    Deed("canary_release", "headroom", lambda web: _released(web, ROOMY), lambda web: _shop(web).deploy()),
)
