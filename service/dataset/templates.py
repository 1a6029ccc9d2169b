"""Prompt templates: our own, each of which a file of the same name in the user's folder replaces."""

from dataclasses import fields
from importlib import resources
from pathlib import Path

from service.errors import TemplateError
from service.selfinstruct.templates import MARKERS, Templates


def load_templates(folder: Path | None) -> Templates:
    """Return the templates, those in `folder` before our own.

    Raises:
        TemplateError: the folder is missing or holds no template, or a template has not exactly one of its marker.
    """
    names = [field.name for field in fields(Templates)]
    own = resources.files("service").joinpath("resources/templates")
    texts = {name: own.joinpath(f"{name}.txt").read_text("utf-8") for name in names}
    if folder is not None:
        texts |= _overrides(folder, names)
    return Templates(**texts)


def _overrides(folder: Path, names: list[str]) -> dict[str, str]:
    expected = ", ".join(f"{name}.txt" for name in names)
    if not folder.is_dir():
        raise TemplateError(f"{folder}: expected a folder with any of {expected}, and there is none")
    found = {name: folder / f"{name}.txt" for name in names if (folder / f"{name}.txt").is_file()}
    if not found:
        raise TemplateError(f"{folder}: expected at least one of {expected}, found none")
    return {name: _read(path, MARKERS[name]) for name, path in found.items()}


def _read(path: Path, marker: str) -> str:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path}: expected a readable UTF-8 file: {error}") from error
    if text.count(marker) != 1:
        raise TemplateError(f"{path}: expected the marker {marker} exactly once, found it {text.count(marker)} times")
    return text
