"""What people may type, and what becomes of it."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomesh_graphql.domain.text import (
    CONFIGURATION_BYTES,
    clean,
    configuration_problems,
    description_problems,
    image_problems,
    name_key,
    name_problems,
    same_json,
    shown,
)

FAMILY = "👩‍👩‍👧‍👦"
"""One picture, seven characters, three of them joiners."""

UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180f\u200b\u200d\u2060\u2064"
    "\u3164\ufe00\ufe0f\ufeff\uffa0\U000e0020\U000e01ef"
)
"""Characters that Unicode tells fonts to show nothing for, of each kind."""

BLANKS = " \u00a0\u2003\u2800\u3000"
ACCENTS = "\u0301\u0308\u20dd"


def as_name(text: str) -> list[str]:
    return [problem.message for problem in name_problems(clean(text))]


@pytest.mark.parametrize(
    "name",
    [
        "Öl & Gas",
        "x",
        "日本",
        FAMILY,
        "مصنع الشمال",
        "\u200fشمال\u200f",
        "$where",
        '{"$gt": ""}',
        "'; DROP TABLE pools; --",
        "..",
        "a" * 100,
        "é" * 100,
        "\U0001fae9",  # an emoji younger than Python 3.11
        "👷🏽\u200d♀\ufe0f",
        "❤\ufe0f",
        "می\u200cخواهم",
        "O\u0308l",
        "⠓⠁⠇⠇⠑\u2800⠁",
    ],
)
def test_a_name_can_be_anything_that_can_be_read(name: str) -> None:
    assert as_name(name) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "A name is missing."),
        (" \t\n ", "A name is missing."),
        ("\u200b\u200d\u200f", "A name must have at least one visible character."),
        ("\u3164", "A name must have at least one visible character."),
        ("\u2800", "A name must have at least one visible character."),
        ("\ufe0f", "A name must have at least one visible character."),
        ("\u0301", "A name must have at least one visible character."),
        ("a" * 101, "The name has 101 characters; at most 100 are kept."),
        ("a\x00b", "The name holds the control character U+0000, which can't be shown. Remove it."),
        ("a\nb", "The name holds the control character U+000A, which can't be shown. Remove it."),
        ("a\u2028b", "The name holds the control character U+2028, which can't be shown. Remove it."),
        ("a\ud83d", "The name holds the control character U+D83D, which can't be shown. Remove it."),
    ],
)
def test_a_name_that_cannot_be_kept_is_refused_with_its_reason(name: str, message: str) -> None:
    assert as_name(name) == [message]


@pytest.mark.parametrize("description", [None, "", "Two\nlines\tand\r\na tab.", FAMILY, "x" * 2_000])
def test_a_description_can_have_lines(description: str | None) -> None:
    assert list(description_problems(description)) == []


@pytest.mark.parametrize("description", ["x" * 2_001, "a\x00", "a\x1b[31m", "\udfff"])
def test_a_description_that_cannot_be_kept_is_refused(description: str) -> None:
    [problem] = description_problems(description)
    assert problem.path == ("description",)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Öl", "öl"),
        ("Öl", " ÖL "),
        (unicodedata.normalize("NFC", "Öl"), unicodedata.normalize("NFD", "Öl")),
        ("STRASSE", "straße"),
        ("ΣΊΣΥΦΟΣ", "Σίσυφος"),
    ],
)
def test_names_that_differ_in_case_only_are_one(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(("one", "other"), [("Öl", "Ol"), ("a b", "ab"), ("é", "è"), ("1", "１")])
def test_names_that_differ_in_more_are_two(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


def test_letters_with_marks_sort_next_to_those_without() -> None:
    assert sorted(["Zeta", "Öl", "ol", "Ola", "Oz", "öla"], key=name_key) == ["ol", "Öl", "Ola", "öla", "Oz", "Zeta"]


@given(st.text())
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    assert name_key(clean(text)) == name_key(text)


@given(st.text(st.characters()))
def test_every_text_gets_an_answer(text: str) -> None:
    list(name_problems(clean(text)))
    list(description_problems(text))
    list(image_problems(text, text))
    list(configuration_problems({text: text}))
    shown(text).encode()


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("opcua", "1"),
        ("registry.example.com/plant/opcua-adapter", "3.13.2"),
        ("localhost:5000/a/b__c/d", "v1_x-2.3"),
        ("a/b", "sha256:" + "0" * 64),
    ],
)
def test_an_image_is_named_as_registries_name_it(name: str, version: str) -> None:
    assert list(image_problems(name, version)) == []


@pytest.mark.parametrize(
    ("name", "version", "paths"),
    [
        ("", "1", ["imageName"]),
        ("Upper", "1", ["imageName"]),
        ("a:1", "1", ["imageName"]),
        ("a b", "1", ["imageName"]),
        ("a/../b", "1", ["imageName"]),
        ("a\n", "1", ["imageName"]),
        ("a" * 256, "1", ["imageName"]),
        ("a", "", ["imageVersion"]),
        ("a", "-1", ["imageVersion"]),
        ("a", "1\n", ["imageVersion"]),
        ("a", "x" * 129, ["imageVersion"]),
        ("\ud800", "\x00", ["imageName", "imageVersion"]),
    ],
)
def test_what_no_registry_would_take_is_refused(name: str, version: str, paths: list[str]) -> None:
    problems = list(image_problems(name, version))
    assert [problem.path for problem in problems] == [(path,) for path in paths]
    for problem in problems:
        problem.message.encode()


@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_image_that_is_not_there_is_missing_rather_than_wrong(nothing: str) -> None:
    problems = image_problems(nothing, nothing)
    assert [problem.message for problem in problems] == ["The name of an image is missing.", "A version is missing."]


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("configuration", [{}, [], 0, "x", False, {"$where": "1", "a.b": {"$gt": ""}}, nested(32)])
def test_a_configuration_is_any_json(configuration: Any) -> None:
    assert list(configuration_problems(configuration)) == []


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        (nested(33), "nested more than 32 levels"),
        (nested(100_000), "nested more than 32 levels"),
        (float("inf"), "something JSON can't carry"),
        ({"a": "\ud800"}, "something JSON can't carry"),
        ("x" * CONFIGURATION_BYTES, "has 65,538 bytes as JSON; at most 65,536"),
        ("ö" * 40_000, "has 80,002 bytes as JSON"),
    ],
    ids=["deep", "very deep", "infinite", "half a character", "large", "large in UTF-8"],
)
def test_a_configuration_that_cannot_be_kept_is_refused(configuration: Any, message: str) -> None:
    [problem] = configuration_problems(configuration)
    assert message in problem.message
    assert problem.path == ("configuration",)


def test_a_quoted_text_is_short_and_safe() -> None:
    assert shown("a\x00b\n") == "a�b�"
    assert shown("x" * 61) == "x" * 59 + "…"


@pytest.mark.parametrize(
    "other",
    [
        "Halle\u00a01",
        "Halle  1",
        "Halle\u200b 1",
        "Halle \u200b 1",
        "Hal\u00adle 1",
        " halle 1 ",
        "\u200b Halle 1",
        "Halle 1 \u2060",
        "Halle 1\ufe0f",
        "Halle 1\u3164",
        "Halle\u28001",
    ],
)
def test_names_that_look_the_same_are_one(other: str) -> None:
    assert name_key(other) == name_key("Halle 1")


@given(st.lists(st.tuples(st.text(), st.text(UNSEEN))))
def test_what_nobody_sees_makes_no_other_name_wherever_it_is(parts: list[tuple[str, str]]) -> None:
    name = "".join(seen + unseen for seen, unseen in parts)
    assert name_key(name) == name_key("".join(seen for seen, _ in parts))


@given(st.text(UNSEEN + BLANKS + ACCENTS))
def test_a_name_in_which_nothing_is_seen_is_none(name: str) -> None:
    assert as_name(name)[:1] in (["A name is missing."], ["A name must have at least one visible character."])


@given(st.text(UNSEEN + BLANKS + ACCENTS, max_size=40), st.text(UNSEEN + BLANKS + ACCENTS, max_size=40))
def test_a_name_in_which_something_is_seen_is_one(before: str, behind: str) -> None:
    assert as_name(f"{before}x{behind}") == []


def test_the_keys_of_names_stay_because_they_are_stored() -> None:
    assert name_key(" Öl  & Gas ") == "ol & gas\x1föl & gas"
    assert name_key("Hal\u00adle\u00a01") == "halle 1\x1fhalle 1"
    assert name_key(FAMILY) == "👩👩👧👦\x1f👩👩👧👦"


def test_a_name_can_not_turn_what_is_written_behind_it() -> None:
    [problem] = name_problems("a\u202eb")
    assert "U+202E" in problem.message


def test_json_that_python_takes_for_equal_is_not_the_same() -> None:
    assert same_json({"a": 1, "b": [True]}, {"b": [True], "a": 1})
    assert not same_json({"on": True}, {"on": 1})
    assert not same_json(1, 1.0)
