"""An error is one line that a terminal shows as it is, however long what came was."""

from __future__ import annotations

import pytest

from probes.errors import UserError, shown, unknown_name


@pytest.mark.parametrize(
    ("got", "told"),
    [
        ("-0.1", "-0.1"),
        ("two\n  lines\tand more", "two lines and more"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;https://a.example\x1b\\a link\x1b]8;;\x1b\\", "a link"),
        ("a\x00b\x08c\x9bd\u202ee", "abcde"),
        ("zwölf, 十二", "zwölf, 十二"),
    ],
)
def test_what_came_is_told_in_plain_letters(got: str, told: str) -> None:
    error = UserError("a number", got, "change it")
    assert error.got == told
    assert str(error) == f"expected a number, got {told}; change it"


def test_the_ends_of_what_is_long_are_kept() -> None:
    error = UserError("a number", "first " + "x" * 10_000 + " last", "change it")
    assert error.got.startswith("first ")
    assert error.got.endswith(" last")
    assert len(error.got) < 210
    assert str(error).endswith("; change it")


def test_a_name_that_is_long_or_deep_is_cut() -> None:
    deep: list[object] = []
    for _ in range(50):
        deep = [deep] * 9
    for name in ("adamw" * 10_000, deep, {"adamw": deep}):
        assert len(shown(name)) < 20_000
        assert len(str(unknown_name("an optimizer", name, ["adamw"]))) < 400
