# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies as they come over the wire, packed by whatever wrote them."""

from __future__ import annotations

import gzip
import io
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.cluster import exchange
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import as_go_writes
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import LARGEST_ANSWER, Body


def as_go_packs(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(data) + packer.flush()


def with_a_file_name(data: bytes) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile("list.json", "wb", fileobj=packed) as file:
        file.write(data)
    return packed.getvalue()


@given(st.binary(), st.binary(min_size=1, max_size=20), st.sampled_from([as_go_packs, with_a_file_name, gzip.compress]))
def test_whatever_was_packed_is_unpacked(data: bytes, more: bytes, packed: object) -> None:
    assert callable(packed)
    assert Body(data).whole() == Body(packed(data), is_packed=True).whole() == data
    assert Body(packed(data) + packed(more), is_packed=True).whole() == data + more


@pytest.mark.parametrize("is_packed", [True, False])
def test_the_beginning_is_told_without_the_rest(is_packed: bool) -> None:
    data = b'{"metadata":{}}' + b"x" * 100_000
    body = Body(as_go_packs(data)[:-20] if is_packed else data, is_packed)
    assert body.beginning(15) == b'{"metadata":{}}'


@pytest.mark.parametrize("cut", [slice(0, 5), slice(0, -1), slice(0, -8), slice(0, -9), slice(0, 40), slice(3, None)])
@pytest.mark.parametrize("pack", [as_go_packs, with_a_file_name])
def test_what_is_cut_off_is_told_in_the_words_of_who_asked(pack: object, cut: slice) -> None:
    assert callable(pack)
    body = Body(pack(bytes(range(256)) * 40)[cut], True, lambda error: KeyError(type(error).__name__))
    with pytest.raises(KeyError):
        body.whole()


def test_a_flipped_bit_in_the_stream_is_found_where_it_changes_the_length_or_breaks_it() -> None:
    packed = bytearray(as_go_packs(b"kubernetes " * 1000))
    packed[14] ^= 0xFF
    with pytest.raises((zlib.error, EOFError, gzip.BadGzipFile)):
        Body(bytes(packed), True).whole()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("release 1 & 2", r'"release 1 \u0026 2"'),
        ("<b>", r'"\u003cb\u003e"'),
        ('a "quote" \\ and /', r'"a \"quote\" \\ and /"'),
        ("für \u20ac", '"für \u20ac"'),
        ("line\u2028line\u2029", r'"line\u2028line\u2029"'),
        ("\b\f\n\r\t\x01\x7f", '"\\b\\f\\n\\r\\t\\u0001\x7f"'),
        ("half \ud800", r'"half \ud800"'),
    ],
    ids=ascii,
)
def test_strings_are_written_as_the_server_writes_them(text: str, written: str) -> None:
    """Go's encoding/json: a JSON patch tests them byte by byte."""
    assert as_go_writes(text) == written.encode()
    assert json.loads(as_go_writes({text: [text]})) == {text: [text]}


def bomb(size: int, told: int) -> bytes:
    """So many zeros, which say of themselves how many they are."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    zeros = bytes(1 << 20)
    packed = b"".join(packer.compress(zeros) for _mebibyte in range(size >> 20)) + packer.flush()
    return packed[:-4] + told.to_bytes(4, "little")


@pytest.mark.parametrize("told", [0, 100, LARGEST_ANSWER + (1 << 20), 2**32 - 1], ids=str)
def test_what_unpacks_to_more_than_anybody_means_is_refused(told: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LARGEST_ANSWER", 8 << 20)
    body = Body(bomb(9 << 20, told), True, lambda error: KeyError(type(error).__name__))
    with pytest.raises(KeyError):
        body.whole()


def test_what_lies_of_its_size_is_still_unpacked_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LARGEST_ANSWER", 8 << 20)
    with pytest.raises(zlib.error):
        Body(bomb(4 << 20, 5), True).whole()
