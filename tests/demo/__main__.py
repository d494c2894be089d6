# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job, shown: a real Kubernetes, an application under load, a good release promoted, and two bad ones undone: one
that crashes, and one that errs now and then, which only its error rate gives away. Then one by shares of requests, through a real gateway, and one that
switches everybody to a second set of pods, and back.

    python -m tests.demo [--fake]

It exits with 1 when a release did not end as it should, or when a request failed that no bad version answered.
"""

from __future__ import annotations

import argparse
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.cluster.build import tell
from tests.cluster.construction import StartFailed
from tests.cluster.lab import Lab, start_lab
from tests.cluster.realnodes.machine import RealNodesImpossible, expected

from . import gateway, switch
from .judgement import ERROR_RATE, checks, erring
from .picture import SERVING, marks
from .release import Ended, Stage, release, watch_until
from .traffic import Answers, Traffic
from .workload import NAME, NAMESPACE, REPLICAS, image, manifests

STABLE, GOOD, CRASHING, ERRING, NEXT, GREEN = "v1", "v2", "crash", "bad", "v3", "v4"
READY_SECONDS = 120
ANSWERS_IN_A_ROW = 30
VERIFY = "tests/demo/verify.yml"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fake", action="store_true", help="fake nodes: pods are objects, and no request is sent")
    fake = parser.parse_args(arguments).fake
    try:
        lab = start_lab(real_nodes=0 if fake else 1)
    except RealNodesImpossible as error:
        if expected():
            raise
        tell(f"no real nodes on this machine, so pods are objects only: {error}")
        fake, lab = True, start_lab()
    except StartFailed as error:
        tell(str(error))
        return 1
    with lab:
        return _play(lab, fake)


def _play(lab: Lab, fake: bool) -> int:
    _headline(f"{NAME}: {REPLICAS} pods of {STABLE} on {'fake nodes' if fake else 'a real node'}")
    lab.kubectl("apply", "-f", "-", input=manifests(STABLE))
    stage = Stage(lab, None, (STABLE, GOOD, CRASHING, ERRING, NEXT, GREEN), time.monotonic())
    watch_until(stage, _all_ready, READY_SECONDS)
    traffic = None if fake else _traffic(lab)
    stage = Stage(lab, traffic, stage.versions, stage.started)
    options: dict[str, Any] = {"canary_bake": 3}
    if not fake:
        options |= {"canary_verify_tasks": str(VERIFY), "canary_checks": checks(), "canary_check_interval": 1}

    _headline(f"A good release: {GOOD}. One pod is held beside ten, judged, then promoted")
    good = release(stage, GOOD, options)
    _headline(f"A bad release: {CRASHING}. Its pod crashes; it gets no traffic, and is undone")
    crashing = release(stage, CRASHING, options)
    errs = None
    if traffic:
        _headline(f"A worse one: {ERRING}. Its pod is Ready and errs in {100 * ERROR_RATE:g} % of its answers")
        errs = release(stage, ERRING, {**options, **erring()})
    answers = traffic.stop() if traffic else None
    facts = _facts(lab, Endings(good, crashing, errs), answers)
    if not fake:
        facts += _through_a_gateway(lab, stage)
        facts += _by_a_switch(lab, stage)
    return _verdict(facts)


def _through_a_gateway(lab: Lab, stage: Stage) -> list[tuple[str, bool]]:
    shares = ", then ".join(f"{share} %" for share in gateway.SHARES)
    _headline(f"By requests, not by pods: {NEXT}. A gateway gives it {shares}, then everything")
    traffic = gateway.users(lab, gateway.open_gateway(lab))
    ended = release(replace(stage, traffic=traffic), NEXT, gateway.options())
    whole = traffic.stop()
    return [_promoted(lab, "through the gateway", NEXT, ended), *gateway.facts(NEXT, traffic.seconds, whole)]


def _by_a_switch(lab: Lab, stage: Stage) -> list[tuple[str, bool]]:
    _headline(f"Blue/green: {GREEN}. The Service sends everybody to it, back to {NEXT}, and to {GREEN} for good")
    traffic = _traffic(lab)
    ended = release(replace(stage, traffic=traffic), GREEN, switch.options(), switch.PLAYBOOK)
    whole = traffic.stop()
    return [_promoted(lab, "blue and green", GREEN, ended), *switch.facts(NEXT, GREEN, traffic.seconds, whole)]


def _promoted(lab: Lab, how: str, version: str, ended: Ended) -> tuple[str, bool]:
    running = _runs(lab)
    return f"the release {how} was promoted, and {NAME} runs {running}", running == image(version) and ended.code == 0


@dataclass(frozen=True)
class Endings:
    """How the releases ended; on fake nodes nothing answers, and so nothing errs."""

    good: Ended
    crashing: Ended
    erring: Ended | None


def _all_ready(pods: list[dict[str, Any]]) -> bool:
    return sum(mark.state == SERVING for mark in marks(pods, (STABLE,))) == REPLICAS


def _traffic(lab: Lab) -> Traffic:
    """Requests to the Service, from the moment that every node's kube-proxy knows it."""
    url = f"http://{_service_address(lab)}/"
    deadline, answered = time.monotonic() + READY_SECONDS, 0
    while answered < ANSWERS_IN_A_ROW:
        answered = answered + 1 if _answers(url) else 0
        if time.monotonic() > deadline:
            raise TimeoutError(f"the Service of the demonstration does not answer at {url}")
    return Traffic(lab.programs / "load", url)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def _service_address(lab: Lab) -> str:
    return lab.kubectl("-n", NAMESPACE, "get", "service", NAME, "-o", "jsonpath={.spec.clusterIP}")


def _headline(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}", flush=True)


def _runs(lab: Lab) -> str:
    """The image of the Deployment."""
    return lab.kubectl(
        "-n", NAMESPACE, "get", "deployment", NAME, "-o", "jsonpath={.spec.template.spec.containers[0].image}"
    )


def _facts(lab: Lab, endings: Endings, answers: Answers | None) -> list[tuple[str, bool]]:
    running = _runs(lab)
    facts = [
        ("the good release was promoted", endings.good.code == 0),
        ("the crashing release was undone, and its play ended failed", endings.crashing.code != 0),
    ]
    if endings.erring:
        caught = endings.erring.evidence
        told = f"the erring release was undone for its error rate{caught and f', {caught}'}"
        facts.append((told, endings.erring.code != 0 and bool(caught)))
    facts.append((f"{NAME} runs {running}", running == image(GOOD)))
    if answers is not None:
        facts.extend(_of_answers(answers))
    return facts


def _verdict(facts: list[tuple[str, bool]]) -> int:
    _headline("What happened")
    for fact, right in facts:
        print(f"{'ok    ' if right else 'WRONG '} {fact}")
    return 0 if all(right for _fact, right in facts) else 1


def _of_answers(answers: Answers) -> list[tuple[str, bool]]:
    shares = ", ".join(f"{version} {answers.share(version):.1f} %" for version in sorted(answers.versions))
    own = answers.own_errors.get(ERRING, 0)
    others = answers.failed - own
    return [
        (f"{answers.sent} requests, answered by {shares}", bool(answers.sent)),
        (f"{own} of them got an error that {ERRING} answered while it was judged", own > 0),
        (f"{others} failed otherwise{answers.seen}", others == 0),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
