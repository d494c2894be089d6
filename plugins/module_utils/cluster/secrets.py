# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which texts are secret, and how they are cut out of what is shown, in whatever form somebody repeats them.

Cut out is by value: a server, a library or an operating system may repeat what it was given, as it was given or encoded.
This module is private to the collection.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
# Shorter pieces of a secret are found in many a word.
_SHORTEST_PIECE = 8
_SHORTEST_FORM = 4
# An environment variable that is not named like a credential may still hold one, but hardly a short one.
_SHORTEST_CONFIDED = 6

# Credentials of a kubeconfig (client-go: tools/clientcmd/api/v1/types.go), of auth providers, options, and variables that are
# named like credentials. Names of files and endpoints (tokenFile, token-url) are no secrets.
_SECRET_NAME = re.compile(
    r"(token|password|passwd|passphrase|secret|key[-_]data|api[-_]?key|access[-_]?key|secret[-_]?key|private[-_]?key"
    r"|credentials?|basic[-_]auth|authorization|cookie)$",
    re.IGNORECASE,
)
_SECRET_HEADER = re.compile(r"auth|cookie|token|secret|key|password", re.IGNORECASE)
# Options of ours that are secret whatever was given for them.
_OPTIONS = frozenset({"api_key", "token", "password", "proxy_basic_auth", "basic_auth"})
# What an object of Kubernetes holds in confidence besides variables: what is run, and what other tools have noted.
_CONFIDED = frozenset({"args", "command", "annotations", "data", "stringData"})
# scheme://user:password@
_USER_IN_URL = re.compile(r"(?<=://)[^/?#@\s\"']+(?=@)")
_MOST_CUTS = 20
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.{0,20000}?(?:-----END|$)", re.DOTALL)
# What looks like the path of a file: parts of it are short, and it begins like one or ends with a suffix.
_PATH = re.compile(r"[~.]{0,2}(?:/[^/\s]{0,64})+|(?:[\w.-]{1,64}/){0,40}[\w-]{1,32}\.[A-Za-z]{1,8}")
# A text that was cut ends in the middle of anything.
_CUT = re.compile(r" ?(?:\.\.\.|…|$)")


def secrets_in(node: object) -> frozenset[str]:
    """All texts in `node` that stand under the name of a credential, whatever its shape; JSON within text is looked into."""
    return frozenset(_secrets(node))


def _secrets(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        # A variable of a container or of an exec plugin: {"name": ..., "value": ...}
        if _SECRET_NAME.search(str(node.get("name", ""))):
            yield from texts_in(node.get("value"))
        for name, value in node.items():
            if name == "images" and isinstance(value, Mapping):
                # By the names of containers, of which one may be called token.
                yield from _secrets(list(value.values()))
                continue
            # In objects of Kubernetes a mapping under such a name, as of a volume, only says where a secret is.
            if _SECRET_NAME.search(str(name)) and (name in _OPTIONS or not isinstance(value, Mapping)):
                yield from (part for text in texts_in(value) for part in _parts(str(name), text))
            elif str(name).endswith("headers") and isinstance(value, Mapping):
                given = (text for header, text in value.items() if _SECRET_HEADER.search(str(header)))
                yield from (part for text in texts_in(list(given)) for part in in_header(text))
            yield from _secrets(value)
    elif isinstance(node, list | tuple):
        for element in node:
            yield from _secrets(element)
    elif isinstance(node, str):
        if "://" in node:
            yield from _USER_IN_URL.findall(node)
        if "-----BEGIN" in node:
            yield from _PRIVATE_KEY.findall(node)
        yield from _secrets_of_text(node)


def _parts(name: str, text: str) -> Iterator[str]:
    """Of user:password the second is secret alone, too."""
    yield text
    if name.endswith("basic_auth"):
        yield from _long(text.partition(":")[2])


# `token: x`, `"token": "x"`, `token=x` and the two lines of a variable, in text that nobody has parsed. Only the end of a name
# is looked for: what may stand before it would be tried from every letter of a long text.
_IN_TEXT = re.compile(
    r"(?:token|password|passwd|passphrase|secret|data|key|credentials?|auth|authorization|cookie)[\"']?"
    r"(?:[ \t]*[:=]|[\s,]{1,20}[\"']?value[\"']?[ \t]*[:=])[ \t]*([^\n,}]{1,20000})",
    re.IGNORECASE,
)
# Longer texts are no manifests and kubeconfigs, and looking through them would take long.
_LONGEST_TEXT = 1 << 20


def _secrets_of_text(text: str) -> Iterator[str]:
    if text.lstrip()[:1] in ("{", "["):
        # What is no JSON is looked through as text.
        with suppress(ValueError, RecursionError):
            yield from _secrets(json.loads(text))
    for found in _IN_TEXT.findall(text[:_LONGEST_TEXT]):
        yield from _long(found.strip("\"' \t\r"))


def confided_in(node: object) -> frozenset[str]:
    """What an object of Kubernetes, or a patch of one, holds in confidence: `secrets_in`, values of variables, arguments."""
    return secrets_in(node) | values_in(node)


def values_in(node: object) -> frozenset[str]:
    """Of an object of Kubernetes, or a patch of one: the values of its variables, its arguments, what tools have noted in it."""
    return frozenset(_confided(node))


def _confided(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "name" in node and isinstance(node.get("value"), str):
            yield from _long(node["value"])
        for name, value in node.items():
            if name in _CONFIDED:
                yield from (long for text in texts_in(value) for long in _long(text))
            else:
                yield from _confided(value)
    elif isinstance(node, list | tuple):
        for element in node:
            yield from _confided(element)


def _long(text: str) -> Iterator[str]:
    if len(text.strip()) >= _SHORTEST_CONFIDED:
        yield text


def named_file(path: str) -> str:
    """For a message: the file's name, unless it looks like what should stand in the file, such as a key or a token."""
    return f"file {path}" if _PATH.fullmatch(path) else "file (its name is not shown: it does not look like a path)"


def texts_in(node: object) -> Iterator[str]:
    """Every text and number in `node`."""
    if isinstance(node, Mapping):
        for value in node.values():
            yield from texts_in(value)
    elif isinstance(node, list | tuple | set | frozenset):
        for element in node:
            yield from texts_in(element)
    elif isinstance(node, bytes):
        yield node.decode("utf-8", "replace")
    elif node is not None and not isinstance(node, bool) and str(node):
        yield str(node)


def in_header(value: str) -> frozenset[str]:
    """The secrets in a header such as Authorization: whole, without its scheme, and decoded if that is Basic."""
    scheme, _space, rest = value.strip().rpartition(" ")
    found = {value, rest}
    if scheme.lower() == "basic":
        found |= _decoded(rest)
    return frozenset(found)


def _decoded(text: str) -> set[str]:
    try:
        user_and_password = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return set()
    return {user_and_password, user_and_password.partition(":")[2]}


def without(value: Any, secrets: Iterable[str], kept: frozenset[str] = frozenset()) -> Any:
    """`value`, as JSON has it, with every secret in any of its texts and keys masked, in every form of `forms`.

    `kept`: names of members that stay as they are. Where any are given, the names of all members do.
    """
    known = frozenset(secrets)
    # Few of many forms are there, if any; and a result may be that of a whole cluster.
    everything = "\0".join(_texts(value))
    present = {form for secret in known for form in forms(secret) if form in everything}
    # The longest first: else what a short one leaves of it would be shown.
    found = "|".join(re.escape(form) for form in sorted(present, key=len, reverse=True))
    begun = [secret for secret in known if len(secret) > _SHORTEST_PIECE and secret[:_SHORTEST_PIECE] in everything]
    return _without(value, begun, re.compile(found) if found else None, kept)


def _texts(value: Any) -> list[str]:
    """Every text in it, keys too, in no order."""
    found: list[str] = []
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, Mapping):
            left += [*one, *one.values()]
        elif isinstance(one, (list, tuple)):
            left += one
    return found


def _without(value: Any, begun: list[str], pattern: re.Pattern[str] | None, kept: frozenset[str]) -> Any:
    """`begun`: the secrets of which a piece is somewhere, and which may have been cut off after it."""
    if isinstance(value, str):
        text = _USER_IN_URL.sub(MASK, value) if "://" in value else value
        text = pattern.sub(MASK, text) if pattern else text
        return _without_beginnings(text, begun) if begun else text
    if isinstance(value, Mapping):
        return {
            key if kept and str(key).isidentifier() else _without(key, begun, pattern, kept): element
            if key in kept
            else _without(element, begun, pattern, kept)
            for key, element in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without(element, begun, pattern, kept) for element in value]
    return value


def _without_beginnings(text: str, secrets: list[str]) -> str:
    """A text that was cut may end with the beginning of a secret, which is longer than the shortest piece."""
    for cut in reversed(list(_CUT.finditer(text))[-_MOST_CUTS:]):
        end = cut.start()
        for secret in secrets:
            begin = text.rfind(secret[:_SHORTEST_PIECE], max(0, end - len(secret)), end)
            if begin >= 0 and secret.startswith(text[begin:end]):
                text = text[:begin] + MASK + text[end:]
                break
    return text


@lru_cache(maxsize=1024)
def forms(secret: str) -> frozenset[str]:
    """`secret` and what becomes of it on its way: stripped, its lines, escaped as in JSON and Python, in a URL, in base64."""
    bare = secret.strip()
    if not bare:
        return frozenset()
    found = {secret, bare, " ".join(bare.split())}
    found |= {line.strip() for line in bare.splitlines() if len(line.strip()) >= _SHORTEST_PIECE}
    for text in tuple(found):
        escaped = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
        escaped |= {json.dumps(each)[1:-1] for each in tuple(escaped)}
        encoded = text.encode("utf-8", "replace")
        escaped |= {quote(encoded, safe=""), quote(encoded), quote_plus(encoded)}
        escaped |= {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), each) for each in tuple(escaped)}
        found |= {each for each in escaped if len(each) >= _SHORTEST_FORM}
    found |= {core for each in tuple(found) for core in _in_base64(each.encode("utf-8", "replace"))}
    return frozenset(found)


def _in_base64(secret: bytes) -> Iterator[str]:
    """What base64 shows of `secret` wherever it stands in what is encoded: without the characters that its neighbours decide."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret).decode().rstrip("=")
        whole = (before + len(secret)) * 8 // 6
        core = encoded[(before * 8 + 5) // 6 : whole]
        if len(core) >= _SHORTEST_PIECE:
            yield from (core, core.translate(str.maketrans("+/", "-_")))
