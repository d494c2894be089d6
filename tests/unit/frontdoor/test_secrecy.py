# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is given for any option of any verb, and whatever a server repeats: nothing secret is shown, by either door.

Every secret that is planted begins with the same word, which is looked for in all that is returned, printed, raised or
logged, as it is and in base64; all other ways to write it down keep that word readable.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import io
import json
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler
from itertools import product
from typing import Any
from unittest import mock

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Invalid
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor import fleet, headroom, release, start, verify
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import Verb
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.in_process import Surroundings, run_in_process
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.module import VerbModule, run_module
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release, UnreadableResult
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Stage
from tests.unit.frontdoor.apart import apart
from tests.unit.frontdoor.every_verb import VERBS
from tests.unit.probes.serving import send, serving

WORD = "pl4nted"
TRACES = (WORD, *(base64.b64encode(b"\0" * before + WORD.encode())[4:8].decode() for before in range(3)))
Path = tuple[str | int, ...]
Case = tuple[str, dict[str, Any]]


def secret(of: str) -> str:
    """With characters that JSON, Python and URLs write otherwise, and a line break at its end."""
    return f'{WORD}/{of}+"\\é\n'


def basic(of: str) -> str:
    return base64.b64encode(f"ann:{secret(of)}".encode()).decode()


TEMPLATE = {
    "metadata": {"annotations": {"note": secret("annotation")}},
    "spec": {
        "containers": [
            {
                "name": "app",
                "image": "app:2",
                "args": [f"--password={secret('argument')}"],
                "env": [{"name": "MODE", "value": secret("variable")}, {"name": "DB_TOKEN", "value": secret("token")}],
            }
        ]
    },
}
WEB = {
    "url": "http://127.0.0.1:1",
    "token": secret("web-token"),
    "headers": {"Authorization": f"Bearer {secret('header')}".strip(), "X-Key": secret("header-key").strip()},
}
PASSWORD = {"url": "http://127.0.0.1:1", "username": "ann", "password": secret("web-password")}
KUBECONFIG = {
    "current-context": "web",
    "clusters": [{"name": "web", "cluster": {"server": "http://127.0.0.1:1", "proxy-url": f"http://a:{WORD}@b:1"}}],
    "contexts": [{"name": "web", "context": {"cluster": "web", "user": "web"}}],
    "users": [{"name": "web", "user": {"token": secret("kubeconfig"), "client-key-data": basic("key")}}],
}
PREVIOUS = Release("job-1", stage=Stage.HELD, outcome=Ending.HELD, why=(secret("earlier"),)).to_json()
_OF_VERIFY, _OF_HEADROOM = (each.VERB.arguments.options for each in (verify, headroom))
# Options of other verbs within canary_release's, which are read by what reads them there.
NESTED = {"checks": _OF_VERIFY["checks"], "price_metrics": _OF_HEADROOM["price_metrics"]}
# What a task may give, secrets wherever some may be. The address of the server is filled in later.
RIGHT: dict[str, Any] = {
    "api_key": secret("api-key"),
    "username": "ann",
    "password": secret("password"),
    "kubeconfig": KUBECONFIG,
    "proxy_headers": {"proxy_basic_auth": f"ann:{secret('proxy')}", "basic_auth": f"ann:{secret('basic')}"},
    "name": "web",
    "namespace": "shop",
    "to": "5d5f",
    "seconds": 1,
    "wait_timeout": 1,
    "pod_template_patch": TEMPLATE,
    # A header is on the route for everybody; what stands behind the host of an url is nobody's business.
    "traffic": {
        "kind": "gateway_api",
        "service": "web",
        "routes": ["web"],
        "weight": 5,
        "header": {"name": "x-canary", "value": "always"},
        "sticky": "none",
        "probe": {"url": f"https://shop.example/{WORD}?token={WORD}", "address": "127.0.0.1"},
    },
    "restore": {"max_surge": "25%"},
    "steps": [{"pods": 1}],
    "previous": PREVIOUS,
    "price_metrics": WEB,
    "others": [{"name": "other", "pod_template_patch": TEMPLATE}],
    "duration": 1,
    "interval": 1,
    "checks": [
        {"http": {"headers": {"Cookie": secret("cookie").strip()}, **PASSWORD, "via": "url", "path": "/"}},
        {"name": "p", "prometheus": {**WEB, "query": "up{pod=~'<pods>'}"}, "max": 1},
        {"name": "l", "logs": {**PASSWORD, "query": '{pod=~"<pods>"}'}, "max_ratio": 2},
    ],
}


def right(verb: Verb, server: str) -> dict[str, Any]:
    known = verb.arguments.argument_spec
    given = {name: copy.deepcopy(value) for name, value in RIGHT.items() if name in known}
    if verb.name == "canary_verify":
        given["steps"] = 0
    if verb.name == "canary_release":
        given |= {
            "steps": [{"pods": 1, "traffic": {"weight": 1}, "checks": copy.deepcopy(RIGHT["checks"][:1])}],
            "headroom": "report",
        }
    if verb.name == "canary_fleet":
        one = {name: value for name, value in right(release.VERB, server).items() if name in fleet.MEMBER}
        given |= {"releases": [one], "defaults": {"pod_template_patch": copy.deepcopy(TEMPLATE)}}
    return {**given, "host": server}


def wrong(spec: Mapping[str, Any]) -> list[Any]:
    """What an option of this kind cannot take, a secret in each; and numbers that are none."""
    planted = secret("wrong")
    values: list[Any] = [
        [planted],
        {"x": planted},
        {planted: 1},
        [{"token": planted}],
        [[planted]],
        {"a": {"b": [planted]}},
    ]
    text_is_right = spec.get("elements", spec.get("type")) == "str" and "choices" not in spec
    if not text_is_right:
        values += [
            planted,
            json.dumps({"token": planted}),
            json.dumps([planted]),
            f"token='{planted}'",
            f"a=b {planted}=c",
        ]
    if spec.get("type") == "path":
        values += [f"-----BEGIN PRIVATE KEY-----\n{WORD}\n-----END PRIVATE KEY-----\n", f"{WORD}.eyJpc3MiOiJ4.x", WORD]
    if spec.get("type") == "raw":
        values += [f"kind: Secret\nstringData: {{a: {WORD}}}\n b: [", f"token: {WORD}", f"{WORD}"]
    return values


def options(spec: Mapping[str, Any], given: Any, path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every option that `given` could have, with the way to it."""
    for name, option in spec.items():
        yield (*path, name), option
        inner = given.get(name) if isinstance(given, dict) else None
        if "options" in option:
            places = [(index, each) for index, each in enumerate(inner)] if isinstance(inner, list) else [(None, inner)]
            for index, each in places:
                if isinstance(each, dict):
                    way = (*path, name) if index is None else (*path, name, index)
                    yield from options(option["options"], each, way)


def replaced(given: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(given)
    node: Any = changed
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    if path == ("definition",):
        del changed["pod_template_patch"]
    return changed


def cases(verb: Verb, server: str) -> Iterator[Case]:
    given = right(verb, server)
    yield "all right", given
    if "traffic" in given:
        probe = {"url": f"https://ann:{WORD}@shop.example"}
        yield "an url of traffic with a user", {**given, "traffic": {**given["traffic"], "probe": probe}}
    yield "by password", {name: value for name, value in given.items() if name != "api_key"}
    yield "by kubeconfig", {name: value for name, value in given.items() if name not in ("api_key", "password", "host")}
    yield "kubeconfig as text", {**given, "kubeconfig": json.dumps(KUBECONFIG, indent=1)}
    yield "kubeconfig as one line", {**given, "kubeconfig": f"users: [{{user: {{token: {WORD}}}}}]"}
    yield "an unknown option", {**given, "api_kye": secret("misspelt"), f"{WORD}": 1}
    yield "a URL with a user", {**given, "host": server.replace("//", f"//ann:{WORD}@"), "proxy": f"ann:{WORD}@proxy:1"}
    if verb.name == "canary_fleet":
        one = given["releases"][0]
        # What reads a member reads the arguments of canary_release, to which every wrong value is given: one of each kind is enough here,
        # and of the defaults, which the same code reads, one.
        for where, kinds in (("releases", 3), ("defaults", 1)):
            for path, option in options(fleet.MEMBER, one):
                for value in list({type(value): value for value in wrong(option)}.values())[:kinds]:
                    changed = replaced(one, path, value)
                    yield f"{where}.{path}: {value!r}", {**given, where: [changed] if where == "releases" else changed}
    if "previous" in given:
        for name, value in product(PREVIOUS, (WORD, {WORD: WORD}, [WORD], [{WORD: WORD}])):
            previous = {**PREVIOUS, name: value}
            # What can be taken up is handed on as it is.
            if not can_be_taken_up(previous):
                yield f"previous.{name}: {value!r}", {**given, "previous": previous}
        yield "a stage that is none", {**given, "through": f"step {WORD}"}
        for path, option in options(NESTED, given):
            yield f"{path}: wrong", replaced(given, path, wrong(option)[1])
    for names, (path, option) in places(verb, server).items():
        values = wrong(option)
        for value in values if first_with(names, repr(option)) == verb.name else values[-1:]:
            yield f"{path}: {value!r}", replaced(given, path, value)


def places(verb: Verb, server: str) -> dict[tuple[str, ...], tuple[Path, Mapping[str, Any]]]:
    """Every option by its names. Of the elements of a list one is enough: they have the same options."""
    everything = options(verb.arguments.argument_spec, right(verb, server))
    return {tuple(step for step in path if isinstance(step, str)): (path, option) for path, option in everything}


@cache
def first_with(names: tuple[str, ...], option: str) -> str:
    """The verb that is given every wrong value of this option. To the others that have just the same it is one that is enough."""
    every = ((verb, places(verb, "").get(names)) for verb in VERBS.values())
    return next(verb.name for verb, place in every if place and repr(place[1]) == option)


def can_be_taken_up(previous: dict[str, Any]) -> bool:
    try:
        Release.from_json(previous)
    except UnreadableResult:
        return False
    return True


def repeat(request: BaseHTTPRequestHandler) -> None:
    """An API server that is angry, and repeats all that it was sent, in several ways."""
    length = int(request.headers.get("Content-Length") or 0)
    headers = "".join(f"{name}: {text}\n" for name, text in request.headers.items())
    sent = headers + request.rfile.read(length).decode()
    message = f"no: {sent} {base64.b64encode(sent.encode()).decode()} {sent!r} {json.dumps(sent)} {'.' * 200}"
    status = {"kind": "Status", "apiVersion": "v1", "code": 422, "message": message, "reason": "Invalid"}
    send(request, json.dumps(status).encode(), 422)


def found(texts: list[str]) -> list[str]:
    return [text[max(0, text.index(trace) - 80) :][:200] for text in texts for trace in TRACES if trace in text]


def told_in_process(verb: Verb, given: dict[str, Any]) -> list[str]:
    told: list[str] = []
    around = Surroundings(
        "coalmine.canary.x", False, True, told.append, told.append, lambda *all_, **_: told.append(str(all_))
    )
    told.append(json.dumps(run_in_process(verb, given, around)))
    return told


def told_by_module(verb: Verb, given: dict[str, Any]) -> list[str]:
    output, logged = io.StringIO(), []
    with (
        patch_module_args({**given, "_ansible_diff": True, "_ansible_module_name": verb.name}),
        mock.patch.object(VerbModule, "log", lambda self, msg, log_args=None: logged.append(msg)),
        contextlib.redirect_stdout(output),
        pytest.raises(SystemExit),
    ):
        run_module(verb)
    return [output.getvalue(), *logged]


DOORS: dict[str, Callable[[Verb, dict[str, Any]], list[str]]] = {
    "in process": told_in_process,
    "module": told_by_module,
}


def through(name: str, door: str, server: str) -> list[str]:
    """Of the cases of a verb, what shows a secret, or ends otherwise than with an answer."""
    verb, faults = VERBS[name], []
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    for case, given in cases(verb, server):
        records.clear()
        try:
            with contextlib.redirect_stderr(io.StringIO()) as errors:
                told = [*DOORS[door](verb, given), errors.getvalue(), *records]
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is a fault
            faults.append(f"{case}: {''.join(traceback.format_exception(error))[-1500:]}")
        else:
            faults += [f"{case}: {shown}" for shown in found(told)]
    return faults


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", VERBS)
def test_nothing_secret_is_shown_whatever_is_given_and_whatever_the_server_repeats(name: str, door: str) -> None:
    with serving(repeat) as server:
        # In a process of its own: modules leave warnings behind, and this sets up logging.
        faults = apart(through, name, door, server)
    assert not faults, f"{len(faults)}:\n" + "\n".join(faults[:10])


def test_the_server_has_really_been_asked_and_has_repeated_what_it_got() -> None:
    """Else the test above would show nothing."""
    with serving(repeat) as server:
        told = told_in_process(start.VERB, right(start.VERB, server))
    answer = json.loads(told[-1])
    assert answer["failure"] == "api_error" and "Authorization: ********" in answer["msg"], answer


@pytest.mark.parametrize("kind", PatchKind)
def test_a_server_that_repeats_what_was_written_shows_nothing_secret(kind: PatchKind) -> None:
    path = "/apis/apps/v1/namespaces/shop/deployments/web"
    connection = Connection(proxy_headers={"basic_auth": f"ann:{secret('basic')}"}, api_key=secret("api-key"))
    with serving(repeat) as server, connect(replace(connection, host=server)) as api:
        with pytest.raises(Invalid) as patched:
            api.patch(path, {"spec": {"template": TEMPLATE}}, kind)
        with pytest.raises(Invalid) as created:
            api.create(path, TEMPLATE)
    texts = ["".join(traceback.format_exception(each.value)) for each in (patched, created)]
    assert not found(texts)
    assert '"name": "MODE", "value": "********"' in texts[0]
