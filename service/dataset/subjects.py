"""The subject of a run: a text, a text file, or a TOML file with topics and their shares."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from service.errors import SubjectError
from service.selfinstruct.subject import Subject, SubjectTopic

_TEXT_FILE = ".txt"
_TOPICS_FILE = ".toml"
_OF_ABOUT = f"a text, a {_TEXT_FILE} file or a {_TOPICS_FILE} file"
_OF_SYSTEM_PROMPT = f"a text or a {_TEXT_FILE} file"
# One word that is a path, or the name of a file of a common kind; `Node.js` and `TCP/IP` are subjects.
_LIKE_A_PATH = re.compile(
    r"(?:\.{0,2}|~)/\S+|\S+\.(?:txt|text|toml|md|markdown|rst|json|jsonl|yaml|yml|csv|tsv|ini|cfg|html?|docx?|odt|rtf|pdf)",
    re.IGNORECASE,
)
_KEYS = ("about", "system_prompt", "topics")
_TOPIC_KEYS = ("name", "share", "about", "system_prompt")
_LONGEST_NAME = 100
_LONGEST_ABOUT = 4_000
_LONGEST_SYSTEM_PROMPT = 20_000
_MOST_TOPICS = 1_000
# The largest share beside the smallest one: with a larger one, the smallest is less than a task in a million.
_WIDEST = 1e6


def load_subject(about: str | None, system_prompt: str | None) -> Subject:
    """Return the subject that the options `about` and `system_prompt` describe.

    An option that ends in `.txt` names a file with its text; `about` may also name a TOML file with topics. An option
    that seems to name another file is refused, since its name would become the subject.

    Raises:
        SubjectError: a file cannot be read, or has something else in it, or an option names a file of another kind.
    """
    if about is not None and about.strip().endswith(_TOPICS_FILE):
        subject = _read_topics(Path(about.strip()))
    else:
        subject = Subject(about="" if about is None else _text_of("about", about, _OF_ABOUT, _LONGEST_ABOUT))
    if system_prompt is None:
        return subject
    if subject.system:
        raise SubjectError(f"{about}: expected no system_prompt there beside the option system_prompt, got both")
    system = _text_of("system_prompt", system_prompt, _OF_SYSTEM_PROMPT, _LONGEST_SYSTEM_PROMPT)
    return Subject(subject.about, system, subject.topics)


def _text_of(option: str, given: str, expected: str, longest: int) -> str:
    if not given.strip().endswith(_TEXT_FILE):
        text = _text(option, given, longest)
        if os.path.exists(text):  # noqa: PTH110 - unlike Path.exists, it also takes a text too long for a name
            raise SubjectError(
                f"{option}: expected {expected}, got the name of another file or folder, {text!r}; "
                f"put it into a {_TEXT_FILE} file if it is the text itself"
            )
        if _LIKE_A_PATH.fullmatch(text):
            raise SubjectError(
                f"{option}: expected {expected}, and {text!r} seems to name another file; "
                f"put it into a {_TEXT_FILE} file if it is the text itself"
            )
        return text
    path = Path(given.strip())
    return _text(str(path), _read(path), longest)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SubjectError(f"{path}: expected a readable UTF-8 file: {error}") from error


def _read_topics(path: Path) -> Subject:
    try:
        fields = tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise SubjectError(f"{path}: expected TOML: {error}") from error
    _check_keys(str(path), fields, _KEYS)
    if not _are_tables(fields.get("topics")):
        raise SubjectError(f"{path}: expected at least one table [[topics]] with a name and a share")
    return subject_in(str(path), fields)


def subject_in(place: str, fields: Mapping[str, Any]) -> Subject:
    """Return the subject in the fields of a file of topics, or of a request; `place` names them in errors.

    Raises:
        SubjectError: they have something else in them.
    """
    _check_keys(place, fields, _KEYS)
    tables = fields.get("topics") or []
    if tables and not _are_tables(tables):
        raise SubjectError(f"{place}: expected topics with a name and a share")
    if len(tables) > _MOST_TOPICS:
        raise SubjectError(f"{place}: expected at most {_MOST_TOPICS} topics, got {len(tables)}")
    topics = tuple(_topic(f"{place}: topic {number}", table) for number, table in enumerate(tables, 1))
    if topics:
        _check_together(place, tables, topics)
    return Subject(_optional(place, fields, "about"), _optional(place, fields, "system_prompt"), topics)


def _are_tables(tables: object) -> bool:
    return isinstance(tables, list) and bool(tables) and all(isinstance(table, dict) for table in tables)


def _topic(place: str, fields: Mapping[str, Any]) -> SubjectTopic:
    _check_keys(place, fields, _TOPIC_KEYS)
    name = fields.get("name")
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise SubjectError(f"{place}: expected a name of at most {_LONGEST_NAME} characters on one line, got {name!r}")
    place = f"{place} ({name.strip()})"
    share = fields.get("share", 1)
    if isinstance(share, bool) or not isinstance(share, int | float) or not (isfinite(share) and share > 0):
        raise SubjectError(f"{place}: expected a share above 0, got {share!r}")
    about, system = _optional(place, fields, "about"), _optional(place, fields, "system_prompt")
    return SubjectTopic(name.strip(), float(share), about, system)


def _check_together(place: str, tables: Sequence[Mapping[str, Any]], topics: Sequence[SubjectTopic]) -> None:
    """Raise unless the names of topics differ, and all of them or none have a share."""
    first: dict[str, str] = {}
    for topic in topics:
        folded = topic.name.casefold()
        if folded in first:
            raise SubjectError(
                f"{place}: expected topics with different names, got {first[folded]!r} and {topic.name!r}"
            )
        first[folded] = topic.name
    without = [topic.name for topic, table in zip(topics, tables, strict=True) if "share" not in table]
    if without and len(without) < len(topics):
        raise SubjectError(f"{place}: expected a share of every topic or of none, and {without[0]!r} has none")
    shares = [topic.share for topic in topics]
    if max(shares) > _WIDEST * min(shares):
        raise SubjectError(
            f"{place}: expected shares of the same magnitude, got {min(shares):g} beside {max(shares):g}"
        )


def _check_keys(place: str, fields: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in fields:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SubjectError(f"{place}: expected the keys {', '.join(known)}, got {name!r}{hint}")


def _optional(place: str, fields: Mapping[str, Any], name: str) -> str:
    given = fields.get(name)
    if given is None:
        return ""
    if not isinstance(given, str):
        raise SubjectError(f"{place}: {name}: expected a text, got {given!r}")
    return _text(f"{place}: {name}", given, _LONGEST_ABOUT if name == "about" else _LONGEST_SYSTEM_PROMPT)


def _text(place: str, given: str, longest: int) -> str:
    text = given.strip()
    if not text or not _is_unicode(text):
        raise SubjectError(f"{place}: expected a text, got {given!r}")
    if len(text) > longest:
        raise SubjectError(f"{place}: expected at most {longest:,} characters, got {len(text):,}")
    return text


def _is_unicode(text: str) -> bool:
    """Return whether a text can be written as UTF-8; an argument of the command line may hold other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
