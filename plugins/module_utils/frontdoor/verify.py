# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_verify's arguments. What they ask for is made in checks.py.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any

from ..verbs.call.outcome import Outcome, Report
from ..verbs.judging.asked import OnNoData, Resource, VerifyRequest, Via
from .arguments import DISPLAY, IDENTITY, TARGET, ArgumentSpec, Options, Parameters, Verb
from .web import WEB

_HTTP: Options = {
    "path": {"type": "str", "default": "/"},
    "port": {"type": "int", "default": 8080},
    "scheme": {"type": "str", "choices": ["http", "https"], "default": "http"},
    "via": {"type": "str", "choices": [via.value for via in Via], "default": Via.PROXY.value},
    "status": {"type": "list", "elements": "int", "default": [200]},
    "body": {"type": "str", "default": ""},
    "slow_ms": {"type": "float"},
    "timeout": {"type": "float", "default": 5.0},
    "rate": {"type": "float", "default": 10.0},
    "max_requests": {"type": "int", "default": 5000},
    "price_per_gb": {"type": "float"},
    "headers": {"type": "dict", "default": {}},
    "canary_headers": {"type": "dict", "default": {}},
    "stable_headers": {"type": "dict", "default": {}},
    "url": {"type": "str"},
    "token": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "ca_cert": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
}
_PROMETHEUS: Options = {
    **WEB,
    "bad": {"type": "str", "default": ""},
    "total": {"type": "str", "default": ""},
    "histogram": {"type": "str", "default": ""},
    "slower_than": {"type": "list", "elements": "float", "default": []},
    "query": {"type": "str", "default": ""},
}
_LOGS: Options = {
    **WEB,
    "url": {"type": "str"},
    "pattern": {"type": "str", "default": ""},
    "container": {"type": "str", "default": ""},
    "query": {"type": "str", "default": ""},
    "settled_after": {"type": "float"},
}
_RESOURCES: Options = {
    "resource": {"type": "str", "choices": [resource.value for resource in Resource], "default": "memory"},
}
SOURCES = ("pods", "http", "prometheus", "logs", "resources", "samples")
CHECK: Options = {
    "name": {"type": "str"},
    "pods": {"type": "dict", "options": {}},
    "http": {"type": "dict", "options": _HTTP},
    "prometheus": {"type": "dict", "options": _PROMETHEUS},
    "logs": {"type": "dict", "options": _LOGS},
    "resources": {"type": "dict", "options": _RESOURCES},
    "samples": {"type": "list", "elements": "dict"},
    "max_ratio": {"type": "float"},
    "max_increase": {"type": "float"},
    "must_pass": {"type": "bool"},
    "weight": {"type": "float", "default": 1.0},
    "bucket_seconds": {"type": "float"},
    "min": {"type": "float"},
    "max": {"type": "float"},
    "in_a_row": {"type": "int", "default": 3},
}


def _request(parameters: Parameters, check: bool, actor: str) -> VerifyRequest:
    """What judges is loaded where something is judged: canary_release has the same options."""
    from .checks import verify_request

    return verify_request(parameters, check, actor)


def _verify(api: Any, request: VerifyRequest, report: Report) -> Outcome:
    from ..verbs.verify import verify

    return verify(api, request, report)


VERB = Verb(
    name="canary_verify",
    arguments=ArgumentSpec(
        options={
            **TARGET,
            **DISPLAY,
            **IDENTITY,
            "checks": {"type": "list", "elements": "dict", "required": True, "options": CHECK},
            "duration": {"type": "int", "default": 300},
            "interval": {"type": "int", "default": 5},
            "warmup": {"type": "int", "default": 0},
            "confidence": {"type": "float", "default": 0.95},
            "on_no_data": {"type": "str", "choices": [each.value for each in OnNoData], "default": "wait"},
            "inconclusive_ok": {"type": "bool", "default": False},
            "guard": {"type": "bool", "default": False},
            "steps": {"type": "int", "default": 0},
            "history": {"type": "dict"},
        },
        build=_request,
    ),
    perform=_verify,
)
