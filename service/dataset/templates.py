"""Prompt templates: the built-in ones, each of which a file of the same name in the user's folder replaces."""

from importlib import resources
from pathlib import Path

from service.errors import TemplateError
from service.selfinstruct.recipe import SELF_INSTRUCT, Form, Recipe
from service.selfinstruct.subject import NO_SUBJECT, Subject
from service.selfinstruct.templates import MARKERS, OF_LINES, Templates, names_of, without_lines


def load_templates(
    folder: Path | None, form: Form = Form.TEXT, recipe: Recipe = SELF_INSTRUCT, subject: Subject = NO_SUBJECT
) -> Templates:
    """Return the templates of a run; those in `folder` replace the built-in ones.

    Raises:
        TemplateError: as for `read_templates`.
    """
    return read_templates(folder, form).prepared(recipe, subject)


def read_templates(folder: Path | None, form: Form) -> Templates:
    """Return the templates of a form as their files have them; those in `folder` replace the built-in ones.

    Raises:
        TemplateError: the folder is missing or holds no template of the form, a file is unreadable, or a template does
            not contain its marker exactly once, on a line without a placeholder of the subject.
    """
    names = names_of(form)
    own = resources.files("service").joinpath("resources/templates")
    texts = {name: own.joinpath(f"{name}.txt").read_text("utf-8") for name in names}
    if folder is not None:
        texts |= _overrides(folder, names, form)
    return Templates.of(texts)


def read_every_form(folder: Path | None) -> dict[Form, Templates]:
    """Return the templates of each form that a folder has files of; nothing if `folder` is None.

    Raises:
        TemplateError: the folder has no template, or as for `read_templates`.
    """
    if folder is None:
        return {}
    return {form: read_templates(folder, form) for form in forms_in(folder) or {Form.TEXT}}


def forms_in(folder: Path) -> set[Form]:
    """Return the forms of the templates in a folder."""
    return {form for form in Form if any((folder / f"{name}.txt").is_file() for name in names_of(form))}


def _overrides(folder: Path, names: list[str], form: Form) -> dict[str, str]:
    expected = ", ".join(f"{name}.txt" for name in names)
    if not folder.is_dir():
        raise TemplateError(f"{folder}: expected a folder with any of {expected}, and there is none")
    found = {name: folder / f"{name}.txt" for name in names if (folder / f"{name}.txt").is_file()}
    if not found:
        others = ", ".join(other.value for other in sorted(forms_in(folder)))
        hint = f"; it has templates of the form {others}, and the run has the form {form.value}" if others else ""
        raise TemplateError(f"{folder}: expected at least one of {expected}, found none{hint}")
    return {name: _read(path, MARKERS[name]) for name, path in found.items()}


def _read(path: Path, marker: str) -> str:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path}: expected a readable UTF-8 file: {error}") from error
    if text.count(marker) != 1:
        raise TemplateError(f"{path}: expected the marker {marker} exactly once, found it {text.count(marker)} times")
    if marker not in without_lines(text, OF_LINES):
        raise TemplateError(
            f"{path}: expected the marker {marker} on a line of its own, without {', '.join(OF_LINES)}: not every run "
            "has their lines"
        )
    return text
