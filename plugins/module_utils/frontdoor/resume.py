# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_resume's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from ..verbs.call.orders import ResumeRequest
from ..verbs.resume import resume
from .arguments import DISPLAY, IDENTITY, LEASE, TARGET, WAIT, ArgumentSpec, Parameters, Verb, call


def _request(parameters: Parameters, check: bool, actor: str) -> ResumeRequest:
    return ResumeRequest(call=call(parameters, check, actor))


VERB = Verb(
    name="canary_resume",
    arguments=ArgumentSpec(options={**TARGET, **WAIT, **DISPLAY, **IDENTITY, **LEASE}, build=_request),
    perform=resume,
)
