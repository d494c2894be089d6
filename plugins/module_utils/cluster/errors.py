# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between us and an API server, one class a cause, each with a text for the person who asked.

A text says what was asked, what the server said and what to do. Only the message of a Kubernetes `Status` is ever
quoted: any other response body may hold what its owner would not want in a log.

This module is private to the collection.
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, Mapping

from ..foreign import printable
from ..wording import ended
from .asked import Asked

# What the API server's generic handler writes for every authorizer:
# staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go, forbiddenMessage
_MISSING_RIGHT = re.compile(
    r'(?P<user>User "(?:[^"\\]|\\.)*") cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)"| at the cluster scope)?(?:: (?P<because>.+))?'
)

# The server ignores credentials that it does not understand, such as a password, and goes on without them.
_ANONYMOUS = 'User "system:anonymous"'

# How admission plugins, webhooks and policies begin their refusals, whatever status code they choose.
_ADMISSION = re.compile(
    r"admission webhook|denied the request|denied request|exceeded quota|failed quota|violates PodSecurity"
    r"|admission plugin|ValidatingAdmissionPolicy|because it is being terminated"
)
# A webhook chooses the code of its denial, and a policy its reason: also one that is another cause's, as 409 or 500, in the words of
# apiserver's admission/plugin/webhook/errors/statuserror.go and admission/plugin/policy/validating/dispatcher.go.
_DENIED = re.compile(
    r"^admission webhook \S+ denied the request|ValidatingAdmissionPolicy '[^']*'(?: with binding '[^']*')? denied request"
)

# Whole objects that the server quotes, values of variables included, and what stands around a slip:
# apimachinery's pkg/util/validation/field/errors.go and json-iterator's iter.go.
_QUOTED_OBJECT = re.compile(
    r'(?<=: Invalid value: )(?:"(?:\\"|[{\[]|map\[)(?:[^"\\]|\\.)*(?:"|$)|(?:\[\]|map\[|[\w.*&]*\{|\[).*?(?:[}\]](?=: )|$))',
    re.DOTALL,
)
_QUOTED_PLACE = re.compile(r",? error found in #\d+ byte of .*", re.DOTALL)


# A patch that does not fit the type of the object, in the words of the API server's patch handler; and encoding/json's.
_OF_A_PATCH = re.compile(r'(?:"" is invalid: )?patch: Invalid value: \(an object\): ')
_MISTYPED = re.compile(r"json: cannot unmarshal (\w+)(?: \S+)? into Go struct field [^.\s]*\.(\S+) of type (\S+)")


def without_objects(message: str) -> str:
    """`message` of a server without the objects that it repeats: they hold what nobody asked about, and hide the cause."""
    said = _QUOTED_PLACE.sub("", _QUOTED_OBJECT.sub("(an object)", message))
    return _MISTYPED.sub(r"\2 is of type \1 and has to be of type \3", _OF_A_PATCH.sub("", said))


# Of a write before the one that was refused.
AN_EARLIER_ONE = "A write of this call got no answer before that, and may have been carried out."


class ApiError(Exception):
    """A request that did not bring what was asked for.

    `status` is the HTTP status (None: there was no answer), `reason` the machine-readable one of the server's Status,
    `message` the server's own words or ours, `action` what was asked ('patch deployments.apps "web" in namespace
    "shop"'). `may_have_written`: only a fresh read can tell whether this write was carried out, or one before it that got no answer.
    """

    remedy: ClassVar[str] = ""
    # True: a write may have been carried out although it failed for us; only a fresh read can tell.
    outcome_unknown: ClassVar[bool] = False

    def __init__(self, asked: Asked, message: str, *, status: int | None = None, reason: str = "") -> None:
        self.asked = asked
        self.action = asked.action
        self.message = printable(message)
        self.status = status
        self.reason = reason
        self.may_have_written = self._is_unknown
        super().__init__(self.action, self.message)

    def __str__(self) -> str:
        return f"{self.found} {self.advice}".rstrip()

    @property
    def found(self) -> str:
        """What was asked and what came, in a sentence. Who has dealt with a failure passes on that alone."""
        return ended(f"cannot {self.action}: {self.message}")

    @property
    def advice(self) -> str:
        """What to do about it; empty where nobody knows."""
        if self._is_unknown:
            return f"Whether the change was made is not known; read the object again. {self._advice()}".strip()
        return f"{self._advice()} {AN_EARLIER_ONE if self.may_have_written else ''}".strip()

    @property
    def _is_unknown(self) -> bool:
        return self.outcome_unknown and self.asked.writes

    @property
    def is_silence(self) -> bool:
        """Whether nothing answered, so that whoever asks that cluster next waits as long for nothing."""
        return isinstance(self, Unreachable | Timeout) and self.status is None

    @property
    def why(self) -> str:
        """The message, for a sentence that says already what was tried; with the right that is missing, where that is the cause."""
        return self.message

    def _advice(self) -> str:
        return self.remedy


class NotFound(ApiError):
    """404: no such object, or no such API."""


class Unauthorized(ApiError):
    """401, or 403 for "system:anonymous": the server does not know who we are."""

    remedy = "The credentials are missing, wrong or expired: check api_key, client_cert, or the kubeconfig's user."


class Forbidden(ApiError):
    """403 of an authorizer: `verb` on `resource` (with its API group) in `namespace` (None: cluster) is not granted.

    The server's message says once more what was asked, and which right is missing; of that only who may not is kept, and why.
    """

    def __init__(self, asked: Asked, message: str, *, status: int | None = None, reason: str = "") -> None:
        super().__init__(asked, message, status=status, reason=reason)
        found = _MISSING_RIGHT.search(self.message)
        self.verb = found["verb"] if found else asked.verb
        self.resource = _with_group(found["resource"], found["group"]) if found else asked.resource
        self.namespace = found["namespace"] if found else asked.namespace
        if found:
            because = f" ({found['because']})" if found["because"] else ""
            self.message = f"{found['user']} may not{because}"

    @property
    def right(self) -> str:
        """'list nodes in the whole cluster'."""
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} {self.resource} {where}"

    @property
    def why(self) -> str:
        return f"{self.message}. {self._advice()}".removesuffix(".")

    def _advice(self) -> str:
        return f"Missing right: {self.right}; see docs/rights.md."


def _with_group(resource: str, group: str) -> str:
    if not group:
        return resource
    kind, slash, subresource = resource.partition("/")
    return f"{kind}.{group}{slash}{subresource}"


class AdmissionDenied(ApiError):
    """A webhook, policy, quota or other admission plugin refused a request that we had the right to make."""

    remedy = "A rule of the cluster refused this: satisfy the rule, or ask who owns it."


class Conflict(ApiError):
    """409: somebody changed the object in between, or (reason AlreadyExists) it is there already."""


class Invalid(ApiError):
    """422. `bare`: the server names no field, as it does when the `test` of a JSON patch does not hold."""

    def __init__(
        self, asked: Asked, message: str, *, status: int | None = None, reason: str = "", bare: bool = False
    ) -> None:
        super().__init__(asked, message, status=status, reason=reason)
        self.bare = bare


class Gone(ApiError):
    """410: a resourceVersion or continue token is older than the server remembers.

    `continue_token`: with it a list goes on at the same key, but in today's state ("" when the server offers none).
    """

    def __init__(
        self, asked: Asked, message: str, *, status: int | None = None, reason: str = "", continue_token: str = ""
    ) -> None:
        super().__init__(asked, message, status=status, reason=reason)
        self.continue_token = continue_token


class TooManyRequests(ApiError):
    """429: the server is busy and did not carry the request out."""

    remedy = "The API server is overloaded or limits this user: try again later."


class ServerError(ApiError):
    """5xx, or an answer that is none."""

    remedy = "The API server, or a proxy before it, is in trouble: look at its health, then run this again."
    outcome_unknown = True


class Timeout(ApiError):
    """No answer in time."""

    remedy = "The server or the network is slow: run this again."
    outcome_unknown = True


class Unreachable(ApiError):
    """No connection: name resolution, a refused or dropped connection, a proxy."""

    remedy = "Check host (or the kubeconfig's server), the network, and the proxy settings."


class TlsFailed(Unreachable):
    """The two sides do not agree on how to talk in private."""

    remedy = "Check that this address speaks HTTPS, and client_cert and client_key if they are given."


class UntrustedServer(TlsFailed):
    """The server's certificate is not one that we were told to trust, or names another host."""

    remedy = (
        "Give the CA that signed the server's certificate as ca_cert (or in the kubeconfig), and a host name "
        "that the certificate carries."
    )


class ConnectionLost(Unreachable):
    """The connection broke after the request had gone out."""

    remedy = "Run this again."
    outcome_unknown = True


class NotRenewed(Unreachable):
    """No request was made: credentials have expired, and what gave those cannot give others now, as a service that it asks is away."""

    remedy = ""

    def __init__(self, message: str) -> None:
        super().__init__(Asked.connection(), message)


class PodRefused(ApiError):
    """The kubelet could not connect to a port of a pod, or lost that connection; its text is the message."""


class ConfigError(ApiError):
    """No request was made: what is configured here does not say which server to ask, or as whom."""

    def __init__(self, message: str) -> None:
        super().__init__(Asked.connection(), message)


_WITHOUT_STATUS = {
    400: "HTTP 400 without a Kubernetes status: does host begin with https://?",
    404: "the server has no such API",
    502: "HTTP 502 from a proxy or load balancer before the API server",
    503: "HTTP 503 from a proxy or load balancer before the API server",
    504: "HTTP 504 from a proxy or load balancer before the API server",
}

_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
    504: Timeout,
}


def status_of(body: bytes) -> Mapping[str, Any]:
    """The Kubernetes `Status` in an answer's body; {} when the body is something else."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) and parsed.get("kind") == "Status" else {}


def from_answer(asked: Asked, code: int, answer: Mapping[str, Any]) -> ApiError:
    """The error for HTTP status `code` with the `Status` object `answer` ({}: none came with it)."""
    said = without_objects(str(answer.get("message") or ""))
    message = said or _WITHOUT_STATUS.get(code) or f"HTTP {code} without a Kubernetes status"
    reason = str(answer.get("reason") or "")
    if _DENIED.search(message) or (code in (400, 403, 422) and _is_admission(code, message)):
        return AdmissionDenied(asked, message, status=code, reason=reason)
    if code == 403 and _ANONYMOUS in message:
        return Unauthorized(asked, message, status=code, reason=reason)
    if code == 403:
        return Forbidden(asked, message, status=code, reason=reason)
    if code == 422:
        return Invalid(asked, message, status=code, reason=reason, bare=not _mapping(answer, "details").get("causes"))
    if code == 410:
        token = str(_mapping(answer, "metadata").get("continue") or "")
        return Gone(asked, message, status=code, reason=reason, continue_token=token)
    fallback = ServerError if code >= 500 else ApiError
    return _BY_STATUS.get(code, fallback)(asked, message, status=code, reason=reason)


def _mapping(answer: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """What an API server writes there; {} for anything else, as what stands behind one may write what it likes."""
    value = answer.get(field)
    return value if isinstance(value, Mapping) else {}


def _is_admission(code: int, message: str) -> bool:
    if _MISSING_RIGHT.search(message):
        return False
    # Admission plugins answer 403 with "... is forbidden: <their reason>"; authorizers always say "cannot <verb>".
    return bool(_ADMISSION.search(message)) or (code == 403 and "is forbidden: " in message)
