# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_info's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from ..cluster.api import Api
from ..verbs.call.orders import InfoRequest
from ..verbs.call.outcome import Outcome, Report
from ..verbs.info import info
from .arguments import ArgumentSpec, Parameters, Verb


def _request(parameters: Parameters, check: bool, actor: str) -> InfoRequest:
    # A question is the same in check mode, which is only told, and whoever asks.
    del actor
    name, namespace = parameters["name"], parameters["namespace"]
    return InfoRequest(name=name, namespace=namespace or "default" if name else namespace, check=check)


def _perform(api: Api, request: InfoRequest, report: Report) -> Outcome:
    # Nothing is waited for, so there is nothing to report.
    del report
    return info(api, request)


VERB = Verb(
    name="canary_info",
    arguments=ArgumentSpec(options={"name": {"type": "str"}, "namespace": {"type": "str"}}, build=_request),
    perform=_perform,
)
