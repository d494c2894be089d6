# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when the network, a load balancer or an overloaded server goes wrong, before the real API server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect, session
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import (
    ApiError,
    ConnectionLost,
    Gone,
    NotFound,
    ServerError,
    Timeout,
    TooManyRequests,
    UntrustedServer,
)
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.stream import WatchEvent
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.watch import Streams, Watched
from tests.clocks import Pauses
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.faults.proxy import (
    Fault,
    FaultProxy,
    Passage,
    answer,
    cut_after,
    drip,
    fault_proxy,
    hang_up_after,
    hang_up_before,
    stay_silent,
)
from tests.integration.access import Access, own_namespace, read_access, service_account_token

SOON = 30.0
BUSY = answer(429, Retry_After="1")
SECRET_PAGE = "<html>internal token: s3cret</html>"


def status(code: int, message: str, **more: Any) -> str:
    return json.dumps({"kind": "Status", "apiVersion": "v1", "code": code, "message": message, **more})


@pytest.fixture(scope="module")
def access(lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory) -> Access:
    return read_access(lab.kubeconfig, tmp_path_factory.mktemp("access"))


@pytest.fixture(scope="module")
def namespace(access: Access) -> Iterator[str]:
    with access.admin() as admin, own_namespace(admin) as name:
        yield name


@pytest.fixture(scope="module")
def token(access: Access, namespace: str) -> str:
    return service_account_token(access.admin(), namespace, "release")


@pytest.fixture(scope="module")
def standing_proxy(access: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    with fault_proxy(access.server, access.ca, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def proxy(standing_proxy: FaultProxy) -> FaultProxy:
    """With no fault planned and nothing seen."""
    standing_proxy.forget()
    return standing_proxy


@pytest.fixture
def pauses() -> list[float]:
    """The seconds that the API has paused between two tries."""
    return []


@pytest.fixture
def api(proxy: FaultProxy, token: str, pauses: list[float]) -> Iterator[Api]:
    """Through the proxy; pauses are noted, not slept through; a second of silence is too long."""
    options = Connection(host=proxy.host, api_key=token, ca_cert=str(proxy.authority))
    with Api(session(options), seconds=1.0, clock=Pauses(pauses)) as api:
        yield api


@pytest.fixture
def config_map(access: Access, namespace: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = access.admin().create(path, {"metadata": {"generateName": "map-"}, "data": {"a": "1"}})
    return f"{path}/{made['metadata']['name']}"


def data(access: Access, path: str) -> dict[str, str]:
    found: dict[str, str] = access.admin().get(path)["data"]
    return found


PASSING: dict[str, Fault] = {
    "busy": BUSY,
    "unavailable": answer(503, SECRET_PAGE),
    "a gateway's timeout": answer(504),
    "connection lost before": hang_up_before,
    "connection lost after": hang_up_after,
    "answer cut short": cut_after(b'"metadata"'),
}


@pytest.mark.parametrize("fault", PASSING)
def test_reading_survives_what_passes(fault: str, api: Api, proxy: FaultProxy, config_map: str) -> None:
    proxy.go_wrong("GET", PASSING[fault], PASSING[fault])
    assert api.get(config_map)["data"] == {"a": "1"}
    assert api.requests == 3


# What keeps going wrong -> the error, and how many requests were made before it was raised.
LASTING: dict[str, tuple[Fault, type[ApiError], int]] = {
    "busy": (BUSY, TooManyRequests, 3),
    "busy for longer than anyone waits": (answer(429, Retry_After="60"), TooManyRequests, 1),
    "unavailable": (answer(503, SECRET_PAGE), ServerError, 3),
    "an error in the server": (answer(500, status(500, "etcdserver: no leader")), ServerError, 1),
    "a gateway's timeout": (answer(504), Timeout, 3),
    "connection lost": (hang_up_before, ConnectionLost, 3),
    "silence": (stay_silent(3.0), Timeout, 1),
    "an answer that is no JSON": (answer(200, SECRET_PAGE), ServerError, 1),
    "an answer that is no object": (answer(200, "[]"), ServerError, 1),
    "a login page": (answer(302, SECRET_PAGE, Location="https://login.invalid/"), ApiError, 1),
}


@pytest.mark.parametrize("fault", LASTING)
def test_reading_gives_up_in_time_and_quotes_no_strange_body(
    fault: str, api: Api, proxy: FaultProxy, config_map: str
) -> None:
    what, error, requests = LASTING[fault]
    proxy.go_wrong("GET", *[what] * 5)
    with pytest.raises(error) as raised:
        api.get(config_map)
    assert type(raised.value) is error
    assert api.requests == requests
    assert "s3cret" not in f"{raised.value} {raised.value!r}"


def test_the_server_says_how_long_to_pause(api: Api, proxy: FaultProxy, pauses: list[float], config_map: str) -> None:
    proxy.go_wrong("GET", BUSY, hang_up_before)
    api.get(config_map)
    assert pauses[0] == 1.0
    assert 0 < pauses[1] < 1.0


def test_a_write_that_the_server_refused_for_being_busy_is_sent_again(
    access: Access, api: Api, proxy: FaultProxy, config_map: str
) -> None:
    proxy.go_wrong("PATCH", BUSY)
    api.patch(config_map, {"data": {"a": "2"}}, PatchKind.MERGE)
    assert api.requests == 2
    assert data(access, config_map) == {"a": "2"}


# How a write fails -> the error, and whether it was carried out all the same.
LOST_WRITES: dict[str, tuple[Fault, type[ApiError], bool]] = {
    "connection lost before": (hang_up_before, ConnectionLost, False),
    "connection lost after": (hang_up_after, ConnectionLost, True),
    "unavailable": (answer(503), ServerError, False),
    "a gateway's timeout": (answer(504), Timeout, False),
    "silence": (stay_silent(3.0), Timeout, False),
    "answer cut short": (cut_after(b'"metadata"'), ConnectionLost, True),
}


@pytest.mark.parametrize("fault", LOST_WRITES)
def test_a_write_of_unknown_outcome_is_sent_once_and_says_so(
    fault: str, access: Access, api: Api, proxy: FaultProxy, config_map: str
) -> None:
    what, error, written = LOST_WRITES[fault]
    proxy.go_wrong("PATCH", what)
    with pytest.raises(error, match="Whether the change was made is not known") as raised:
        api.patch(config_map, {"data": {"a": "2"}}, PatchKind.MERGE)
    assert raised.value.outcome_unknown
    assert api.requests == 1
    assert data(access, config_map) == {"a": "2" if written else "1"}


def test_an_untrusted_certificate_is_not_asked_again(proxy: FaultProxy, access: Access, token: str) -> None:
    api = connect(Connection(host=proxy.host, api_key=token, ca_cert=access.ca))
    with pytest.raises(UntrustedServer):
        api.get("/version")
    assert (api.requests, proxy.seen) == (1, [])


def test_a_certificate_for_another_host_is_refused(proxy: FaultProxy, token: str) -> None:
    elsewhere = proxy.host.replace("127.0.0.1", "localhost")
    with pytest.raises(UntrustedServer, match="localhost"):
        connect(Connection(host=elsewhere, api_key=token, ca_cert=str(proxy.authority))).get("/version")
    assert proxy.seen == []


@pytest.fixture
def five(access: Access) -> Iterator[str]:
    """The path of a list of five."""
    with access.admin() as admin, own_namespace(admin) as own:
        for number in range(5):
            admin.create(f"/api/v1/namespaces/{own}/secrets", {"metadata": {"name": f"n{number}"}})
        yield f"/api/v1/namespaces/{own}/secrets"


def names(api: Api, path: str) -> list[str]:
    return [item["metadata"]["name"] for page in api.pages(path, limit=2) for item in page["items"]]


def forget(passage: Passage) -> None:
    """What the server says of a continue token that is too old: another one, for the same key and today's state."""
    target = passage.request.split(b" ")[1].decode()
    token = target.partition("continue=")[2].partition("&")[0]
    answer(410, status(410, "too old", reason="Expired", metadata={"continue": token}))(passage)


def test_a_list_goes_on_when_the_server_has_forgotten_its_moment(api: Api, proxy: FaultProxy, five: str) -> None:
    proxy.go_wrong("continue=", forget, forget)
    assert names(api, five) == [f"n{number}" for number in range(5)]


def test_a_list_that_is_forgotten_again_and_again_is_gone(api: Api, proxy: FaultProxy, five: str) -> None:
    proxy.go_wrong("continue=", *[forget] * 10)
    with pytest.raises(Gone):
        names(api, five)


def test_a_list_that_cannot_go_on_is_gone(api: Api, proxy: FaultProxy, five: str) -> None:
    proxy.go_wrong("continue=", answer(410, status(410, "too old", reason="Expired")))
    with pytest.raises(Gone, match="too old"):
        names(api, five)


def test_raw_sends_once_and_leaves_every_status_to_the_caller(api: Api, proxy: FaultProxy, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods/web:8080/proxy/health"
    proxy.go_wrong("proxy/health", answer(503, "not yet"))
    got = api.raw("GET", path, query={"deep": "1"}, headers={"X-Canary": "1"}, timeout=SOON)
    assert (got.status, got.data, got.truncated) == (503, b"not yet", False)
    assert (api.requests, proxy.seen[0].target) == (1, f"{path}?deep=1")


ENDLESS: dict[str, str] = {
    "of unknown length": "HTTP/1.1 200 OK\r\nConnection: close",
    "of known length": "HTTP/1.1 200 OK\r\nContent-Length: 100000",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_body_that_drips_does_not_hold_raw_beyond_its_time(kind: str, api: Api, proxy: FaultProxy) -> None:
    proxy.go_wrong("GET", drip(ENDLESS[kind], 0.05))
    begun = time.monotonic()
    with pytest.raises(Timeout, match="did not finish its answer in time"):
        api.raw("GET", "/version", timeout=0.5)
    assert time.monotonic() - begun < SOON, "it would drip for ever"


def test_raw_reads_no_more_than_it_may_of_an_endless_body(api: Api, proxy: FaultProxy) -> None:
    proxy.go_wrong("GET", drip(ENDLESS["of unknown length"], 0.0))
    got = api.raw("GET", "/version", timeout=SOON, max_bytes=1000)
    assert (len(got.data), got.truncated) == (1000, True)


def end_of(streams: Streams) -> list[tuple[str, WatchEvent]]:
    events: list[tuple[str, WatchEvent]] = []
    deadline = time.monotonic() + SOON
    while not streams.ended and time.monotonic() < deadline:
        events += streams.batch(deadline - time.monotonic())
    return events


def error_event(code: int) -> Fault:
    """A stream whose first event is an error, as the server sends it when a resourceVersion is too old."""
    line = json.dumps({"type": "ERROR", "object": json.loads(status(code, "too old resource version"))}) + "\n"
    return answer(200, line)


# A stream's end -> how many events come before it.
ENDINGS: dict[str, tuple[Fault, int]] = {
    "busy at the opening": (BUSY, 0),
    "unavailable at the opening": (answer(503), 0),
    "connection lost at the opening": (hang_up_before, 0),
    "connection lost in the middle of an event": (cut_after(b'"kind":"ConfigMap"'), 0),
    "connection lost between events": (cut_after(b"}}\n\r\n"), 1),
    "position forgotten": (error_event(410), 0),
    "an error in the server": (error_event(500), 0),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_broken_stream_has_only_ended(
    ending: str, api: Api, proxy: FaultProxy, namespace: str, config_map: str
) -> None:
    fault, count = ENDINGS[ending]
    proxy.go_wrong("watch=1", fault)
    name = config_map.rpartition("/")[2]
    query = {"fieldSelector": f"metadata.name={name}"}
    with Streams(api, [Watched("maps", f"/api/v1/namespaces/{namespace}/configmaps", query)]) as streams:
        events = end_of(streams)
    assert streams.ended == {"maps"}
    assert [event.type for _name, event in events] == ["ADDED"] * count
    assert api.requests == 1


def test_a_stream_that_was_never_possible_raises(api: Api) -> None:
    with Streams(api, [Watched("things", "/apis/nobody.example/v1/things", {})]) as streams, pytest.raises(NotFound):
        end_of(streams)


def test_a_stream_behind_a_proxy_that_closes_connections_ends_at_once(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    streams = Streams(api, [Watched("behind", path, {})])
    reader = next(thread for thread in threading.enumerate() if thread.name == "watch behind")
    assert streams.batch(0.5) == []
    streams.close()
    reader.join(SOON)
    assert not reader.is_alive()


def test_what_the_collector_of_streams_calls_an_end_is_the_same_for_one_watch(
    api: Api, proxy: FaultProxy, namespace: str
) -> None:
    proxy.go_wrong("watch=1", error_event(410))
    with pytest.raises(Gone), api.watch(f"/api/v1/namespaces/{namespace}/pods", seconds=5) as stream:
        list(stream)


Request = Callable[[Api, str], Any]
TOO_LATE: dict[str, Request] = {
    "a text": lambda api, path: api.text(path, max_bytes=10_000),
    "an object": lambda api, path: api.get(path),
}


@pytest.mark.parametrize("request_", TOO_LATE)
def test_silence_in_the_middle_of_an_answer_is_a_timeout(
    request_: str, api: Api, proxy: FaultProxy, config_map: str
) -> None:
    def half(passage: Passage) -> None:
        passage.client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        time.sleep(3.0)

    proxy.go_wrong("GET", half)
    with pytest.raises(Timeout):
        TOO_LATE[request_](api, config_map)
    assert api.requests == 1
