# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo application and the load generator, as ordinary processes of this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.images import ensure_programs
from tests.cluster.ports import free_ports

TIMEOUT_SECONDS = 10

Start = Callable[..., tuple[str, subprocess.Popen[str]]]


@pytest.fixture(scope="module")
def programs() -> Path:
    return ensure_programs()


@pytest.fixture
def app(programs: Path) -> Iterator[Start]:
    """Starts the application with some settings; returns its URL and its process."""
    started: list[subprocess.Popen[str]] = []

    def start(**settings: str) -> tuple[str, subprocess.Popen[str]]:
        (port,) = free_ports(1)
        environment = {"VERSION": "v1", "PORT": str(port), "HOSTNAME": "pod-a", **settings}
        process = subprocess.Popen([programs / "app"], env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        url = f"http://127.0.0.1:{port}"
        within(lambda: status(url) is not None or process.poll() is not None)
        return url, process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def status(url: str) -> int | None:
    """The code that is answered, None while nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def within(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {TIMEOUT_SECONDS} s"
        time.sleep(0.01)


def load(programs: Path, url: str, *options: str) -> dict[str, Any]:
    done = subprocess.run([programs / "load", "-url", url, *options], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_load_sends_at_its_rate_and_counts_versions_and_pods(programs: Path, app: Start) -> None:
    url, _ = app()
    report = load(programs, url, "-rate", "100", "-duration", "1s")
    assert 95 <= report["sent"] <= 101 and report["failed"] == 0 and report["errors"] == {}
    assert report["versions"] == {"v1": report["sent"]} and report["pods"] == {"pod-a": report["sent"]}
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p99"] <= report["latency_ms"]["max"]


@pytest.mark.parametrize(("rate", "least", "most"), [("0", 0, 0), ("0.5", 60, 140), ("1", 200, 201)])
def test_the_error_rate_is_the_share_of_failed_answers(
    programs: Path, app: Start, rate: str, least: int, most: int
) -> None:
    url, _ = app(ERROR_RATE=rate)
    report = load(programs, url, "-rate", "400", "-duration", "500ms")
    share = report["failed"] * 200 / report["sent"]
    assert least <= share <= most and report["failed_by_version"].get("v1", 0) == report["failed"]


def test_load_counts_what_is_not_answered_as_failed(programs: Path) -> None:
    (port,) = free_ports(1)
    report = load(programs, f"http://127.0.0.1:{port}", "-rate", "50", "-duration", "200ms")
    assert report["sent"] == report["failed"] == sum(report["errors"].values()) > 0 and report["codes"] == {}


def test_load_tells_a_late_answer_from_none(programs: Path, app: Start) -> None:
    url, _ = app(LATENCY_MS="400")
    late = load(programs, url, "-requests", "5", "-timeout", "60s", "-slow", "300ms")
    assert (late["slow"], late["failed"], late["codes"]) == (5, 0, {"200": 5})
    lost = load(programs, url, "-requests", "5", "-timeout", "100ms", "-slow", "50ms")
    assert (lost["slow"], lost["failed"], lost["errors"]) == (0, 5, {"no answer within 100ms": 5})


def test_load_ends_cleanly_on_sigterm_and_tells_each_second_when_asked(programs: Path, app: Start) -> None:
    url, _ = app()
    command: list[str | Path] = [programs / "load", "-url", url, "-rate", "50", "-live"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    first = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    *_, last = process.communicate(timeout=TIMEOUT_SECONDS)[0].splitlines()
    assert first["second"] == 1 and first["failed"] == 0 and 40 <= first["versions"]["v1"] <= 52
    assert json.loads(last)["sent"] >= first["sent"] and process.returncode == 0


def test_startup_and_readiness_are_what_healthz_says(app: Start) -> None:
    url, _ = app(STARTUP_MS="400", UNREADY_AFTER_MS="900")
    assert status(url) == 200 and status(f"{url}/healthz") == 503
    within(lambda: status(f"{url}/healthz") == 200)
    within(lambda: status(f"{url}/healthz") == 503)


def test_never_ready_serves_all_the_same(app: Start) -> None:
    url, _ = app(NEVER_READY="1")
    assert status(url) == 200 and status(f"{url}/healthz") == 503


@pytest.mark.parametrize("settings", [{"CRASH": "1"}, {"CRASH_AFTER_MS": "300"}])
def test_a_crash_ends_with_status_3(app: Start, settings: dict[str, str]) -> None:
    _, process = app(**settings)
    assert process.wait(TIMEOUT_SECONDS) == 3


def test_a_setting_that_is_no_number_is_refused(app: Start) -> None:
    _, process = app(ERROR_RATE="half")
    assert process.wait(TIMEOUT_SECONDS) == 2


def test_it_drains_after_sigterm(app: Start) -> None:
    url, process = app(DRAIN_MS="3000")
    began = time.monotonic()
    process.terminate()
    assert status(url) == 200
    assert process.wait(TIMEOUT_SECONDS) == 0 and time.monotonic() - began >= 3.0


def test_one_line_of_json_for_each_request(app: Start) -> None:
    url, process = app()
    status(f"{url}/orders")
    process.terminate()
    lines = [json.loads(line) for line in process.communicate(timeout=TIMEOUT_SECONDS)[0].splitlines()]
    assert [line["code"] for line in lines if line["path"] == "/orders"] == [200]
    assert {line["version"] for line in lines} == {"v1"} and {line["level"] for line in lines} == {"info"}


def test_errors_appear_in_the_log_without_a_request(app: Start) -> None:
    _, process = app(LOG_ERRORS_PER_S="50")
    assert process.stdout
    assert any(json.loads(process.stdout.readline())["level"] == "error" for _ in range(5))


def test_memory_grows_as_asked(app: Start) -> None:
    _, process = app(MEMORY_MB_PER_S="100")

    def resident_mebibytes() -> float:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        return pages * 4096 / 2**20

    within(lambda: resident_mebibytes() > 60)


def test_metrics_are_prometheus_text_with_a_histogram(app: Start) -> None:
    url, _ = app(LATENCY_MS="20")
    status(url)
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        samples = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
    assert int(samples['http_requests_total{code="200",version="v1"}']) >= 1
    assert samples['http_request_duration_seconds_bucket{version="v1",le="0.01"}'] == "0"
    count = samples['http_request_duration_seconds_count{version="v1"}']
    assert samples['http_request_duration_seconds_bucket{version="v1",le="+Inf"}'] == count
    assert samples['app_info{version="v1"}'] == "1"
