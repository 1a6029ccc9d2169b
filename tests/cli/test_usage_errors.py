"""Errors in the use of the command line have no words of the libraries that check it."""

import pytest

from tests.support.commands import invoke


@pytest.mark.parametrize(
    "arguments", [("run", "--language", "foo"), ("worker", "foo"), ("topics", "manifest", "--authentication", "foo")]
)
def test_a_wrong_choice_is_told_in_plain_words(arguments: tuple[str, ...]) -> None:
    ended = invoke(*arguments)
    assert ended.exit_code == 2
    assert "'foo' is not one of" in ended.output
    assert "Value error" not in ended.output


def test_a_wrong_choice_names_the_choices() -> None:
    assert "Invalid value for '--lm': 'foo' is not one of 'local', 'openai'" in invoke("run", "--lm", "foo").output
