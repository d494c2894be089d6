# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of big lists: with msgspec and with the standard library, the same objects of the same bytes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.cluster import lists
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import Body
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.lists import (
    NotAList,
    Page,
    by_json,
    by_msgspec,
    kept,
)
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.fields import NodeFields, PodFields
from tests.bench.headroom.crowd import Crowd
from tests.truth.headroom.clusters import make_cluster

Reader = Callable[[type], Callable[[bytes], Iterator[Any]]]
READERS: list[Reader] = [by_json, by_msgspec]


class Inner(TypedDict, total=False):
    kept: str | None


class Thing(TypedDict, total=False):
    name: str
    inner: Inner | None
    many: list[Inner] | None
    words: dict[str, str] | None
    later: Annotated[dict[str, str] | None, lists.LATER]
    things: Annotated[list[Inner] | None, lists.LATER]
    whole: dict[str, Any]


def plain(read: Callable[[bytes], Iterator[Any]], body: bytes) -> list[Any]:
    """What is read, as dictionaries."""
    return [kept(one) for one in read(body)]


def page(*things: object, **more: object) -> bytes:
    return json.dumps({"kind": "List", "metadata": {}, "items": list(things), **more}).encode()


@pytest.fixture(params=["msgspec", "json"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """As if msgspec were installed, or not."""
    if request.param == "json":
        monkeypatch.setitem(sys.modules, "msgspec", None)
    lists._maker.cache_clear()
    yield request.param
    lists._maker.cache_clear()


def test_it_is_said_which_library_reads(parser: str) -> None:
    assert lists.parser() == parser


@pytest.mark.parametrize("read", READERS)
def test_only_wanted_fields_are_left(read: Reader) -> None:
    raw = {
        "name": "a",
        "inner": {"kept": "b", "not": 1},
        "many": [{"kept": "c", "not": {}}, {}],
        "words": {"any": "word"},
        "later": {"some": "thing"},
        "things": [{"kept": "d", "not": 2}],
        "whole": {"all": {"of": ["it"]}},
        "other": [1, 2, {"name": "z"}],
    }
    assert plain(read(Thing), page(raw)) == [
        {
            "name": "a",
            "inner": {"kept": "b"},
            "many": [{"kept": "c"}, {}],
            "words": {"any": "word"},
            "later": {"some": "thing"},
            "things": [{"kept": "d"}],
            "whole": {"all": {"of": ["it"]}},
        }
    ]


@pytest.mark.parametrize("read", READERS)
def test_null_stays_null(read: Reader) -> None:
    raw = {"inner": None, "many": None, "words": None, "later": None, "things": None}
    assert plain(read(Thing), page(raw)) == [raw]


def random_lists() -> list[tuple[str, type, bytes]]:
    """Nodes and pods of random clusters that use every feature, with what only controllers write; and realistic ones."""
    found = []
    for seed in range(60):
        cluster = make_cluster(seed)
        pods = [{**one.pod, "status": one.status or {}} for one in cluster.existing] + [cluster.pod]
        found += [(f"nodes of {seed}", NodeFields, page(*cluster.nodes)), (f"pods of {seed}", PodFields, page(*pods))]
    crowd = Crowd(7, 400)
    pods = [json.loads(crowd.pod(number)) for number in range(0, 400, 7)]
    return [*found, ("crowd", PodFields, page(*pods)), ("crowd's nodes", NodeFields, page(json.loads(crowd.node(3))))]


def test_both_libraries_make_the_same_objects_of_the_same_bytes() -> None:
    for name, wanted, body in random_lists():
        assert plain(by_msgspec(wanted), body) == plain(by_json(wanted), body), name


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.text(),
                "inner": st.none() | st.fixed_dictionaries({}, optional={"kept": st.none() | st.text()}),
                "words": st.none() | st.dictionaries(st.text(), st.text()),
                "later": st.none() | st.dictionaries(st.text(), st.text()),
                "other": st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5),
            },
        ),
        max_size=4,
    ),
    st.sampled_from([None, 2]),
)
def test_whatever_is_in_them_and_however_it_is_spaced(things: list[object], indent: int | None) -> None:
    body = json.dumps({"items": things, "metadata": {"continue": "x"}}, indent=indent, ensure_ascii=False).encode()
    assert plain(by_msgspec(Thing), body) == plain(by_json(Thing), body)
    assert Page(Body(body)).position == "x"


@pytest.mark.parametrize(
    ("body", "moment", "position"),
    [
        (b'{"metadata":{"resourceVersion":"7","continue":"t"},"items":[]}', "7", "t"),
        (b'{"metadata":{"resourceVersion":"7","continue":""},"items":[]}', "7", ""),
        (b'{"items":[{"name":"a"}],"metadata":{"resourceVersion":"7","continue":"t"}}', "7", "t"),
        (b'{"metadata":null,"items":null}', "", ""),
        (b"{}", "", ""),
        (b'{"metadata":{"note":"' + 70_000 * b"x" + b'","continue":"t"},"items":[]}', "", "t"),
    ],
)
def test_what_a_list_says_of_itself(body: bytes, moment: str, position: str, parser: str) -> None:
    found = Page(Body(body))
    assert (found.moment, found.position) == (moment, position)
    assert len(list(found.objects(Thing))) == body.count(b'"name"')


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"metadata":{"a"', b'{"metadata" {}}', b"\xff\xfe"])
def test_what_is_no_list_is_said_to_be_none(body: bytes, parser: str) -> None:
    with pytest.raises(NotAList):
        list(Page(Body(body)).objects(Thing))


@pytest.mark.parametrize("tail", [b"", b"]", b"}", b'{"name":"b"', b'"', b",", b" x"])
def test_a_list_that_ends_too_early_is_none(tail: bytes, parser: str) -> None:
    whole = Page(Body(b'{"metadata":{},"items":[{"name":"a"}' + tail))
    with pytest.raises(NotAList):
        list(whole.objects(Thing))


def test_a_page_is_not_kept_once_its_objects_are_looked_at(parser: str) -> None:
    found = Page(Body(page({"name": "a"}, {"name": "b"})))
    assert kept(next(found.objects(Thing))) == {"name": "a"}
    assert not found._taken()


@pytest.mark.parametrize("read", READERS)
def test_objects_read_like_dictionaries(read: Reader) -> None:
    (one,) = read(Thing)(page({"name": "a", "inner": {}, "later": {"b": "c"}}))
    assert (one["name"], one.get("later"), one.get("words"), one.get("words", 7)) == ("a", {"b": "c"}, None, 7)
    assert ("later" in one, "words" in one, "items" in one, one.get("items")) == (True, False, False, None)
    assert (sorted(one), len(one), bool(one["inner"])) == (["inner", "later", "name"], 3, False)
    assert {**one, "inner": 1} == {"name": "a", "later": {"b": "c"}, "inner": 1}
    with pytest.raises(KeyError):
        one["words"]


def test_many_are_looked_at_at_a_glance(parser: str) -> None:
    raw = [
        {"name": name, "inner": {"kept": word}, "later": {"a": "b"}}
        for name, word in (("a", "x"), ("b", "x"), ("c", "y"))
    ]
    ones = list(Page(Body(page(*raw, {"inner": {}, "name": "d"}))).objects(Thing))
    look = lists.glances().fields(("inner.kept", "later"))
    assert [look(one) == look(ones[0]) for one in ones] == [True, True, False, False]
    assert not any(look(ones[3]))


def test_a_word_in_what_is_not_read_is_found(parser: str) -> None:
    raw = [{"things": [{"kept": "this"}, {"kept": "that"}]}, {"things": [{"kept": "other"}]}, {"things": []}, {}]
    ones = Page(Body(page(*raw))).objects(Thing)
    look, mentions = lists.glances().fields(("things", "name")), lists.glances().mentions("that")
    assert [mentions(look(one)[0]) for one in ones] == [True, False, False, False]


def test_what_is_left_unread_is_read_as_it_was_wanted() -> None:
    (one,) = by_msgspec(Thing)(page({"things": [{"kept": "a", "not": 1}]}))
    assert isinstance(one.things, msgspec.Raw)
    assert kept(one["things"]) == [{"kept": "a"}]
    (wrong,) = by_msgspec(Thing)(page({"things": [{"kept": 1}]}))
    with pytest.raises(msgspec.ValidationError, match="kept"):
        wrong["things"]
