"""The differences between an existing run and what is asked for, a line for each."""

from collections.abc import Set as AbstractSet
from dataclasses import asdict
from typing import Any

from service.selfinstruct.subject import Subject

_LONGEST_SHOWN = 80
_CONTEXT = 20


def differences_of(name: str, has: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Return a line for each field that differs, nested fields included."""
    lines: list[str] = []
    for knob, value in has.items():
        where, wanted = f"{name}.{knob}", asked[knob]
        if isinstance(value, dict) and isinstance(wanted, dict):
            lines += differences_of(where, value, wanted)
        elif value != wanted:
            lines.append(f"{where}: {_contrast(value, wanted)}")
    return lines


def _contrast(has: object, asked: object) -> str:
    """Describe the difference of two values; long texts are shown from just before their first difference."""
    if isinstance(has, tuple) and isinstance(asked, tuple):
        gone, new = [each for each in has if each not in asked], [each for each in asked if each not in has]
        return f"only the run has {gone}, only asked for are {new}"
    one, other = str(has), str(asked)
    if max(len(one), len(other)) > _LONGEST_SHOWN:
        differs = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
        start = max(0, differs - _CONTEXT)
        one, other = f"…{one[start : start + _LONGEST_SHOWN]}…", f"…{other[start : start + _LONGEST_SHOWN]}…"
    return f"the run has {one!r}, asked for {other!r}"


def subject_differences(has: Subject, asked: Subject, given: AbstractSet[str]) -> list[str]:
    """Return a line for each difference; a system prompt is compared if one is asked for."""
    differences: list[str] = []
    if "about" in given:
        topics = [{topic.name: asdict(topic) for topic in each.topics} for each in (has, asked)]
        names = [tuple(each) for each in topics]
        if set(names[0]) != set(names[1]):
            differences.append(f"about.topics: {_contrast(*names)}")
        for name in (each for each in names[0] if each in topics[1]):
            differences += differences_of(f"about.topics.{name}", topics[0][name], topics[1][name])
    texts = {"about": (has.about, asked.about)} if "about" in given else {}
    if asked.system:
        texts["system_prompt"] = (has.system, asked.system)
    return differences + [f"{name}: {_contrast(*pair)}" for name, pair in texts.items() if pair[0] != pair[1]]
