"""The names of tests are short enough to be read in a report."""

import re
from pathlib import Path

_LONGEST = 60
_NAME = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def test_the_name_of_a_test_has_sixty_characters_at_most() -> None:
    names = [
        name
        for path in Path(__file__).parent.rglob("test_*.py")
        for name in _NAME.findall(path.read_text("utf-8"))
        if len(name) > _LONGEST
    ]
    assert names == []
