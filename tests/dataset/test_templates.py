from pathlib import Path

import pytest

from service.dataset.templates import forms_in, load_templates, read_every_form
from service.errors import TemplateError
from service.selfinstruct.recipe import Form
from service.selfinstruct.templates import MARKERS, Templates, names_of


@pytest.mark.parametrize("form", Form)
def test_the_bundled_templates_have_their_markers_once(form: Form) -> None:
    own = load_templates(None, form)
    counts = {name: getattr(own, name).count(marker) for name, marker in MARKERS.items() if getattr(own, name)}
    assert counts == dict.fromkeys(names_of(form), 1)


def test_every_template_belongs_to_one_of_the_two_forms() -> None:
    assert sorted(names_of(Form.TEXT) + names_of(Form.JSON)) == sorted(MARKERS)


def test_a_folder_of_the_other_form_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "alpaca.txt").write_text("{{demonstrations}}")
    assert forms_in(tmp_path) == {Form.TEXT}
    with pytest.raises(TemplateError, match="it has templates of the form text, and the run has the form json"):
        load_templates(tmp_path, Form.JSON)
    assert read_every_form(tmp_path).keys() == {Form.TEXT}


def test_a_byte_order_mark_is_no_part_of_a_template(tmp_path: Path) -> None:
    (tmp_path / "json_alpaca.txt").write_text("{{demonstrations}}", "utf-8-sig")
    assert load_templates(tmp_path, Form.JSON).json_alpaca == "{{demonstrations}}"


def test_the_digest_of_the_text_form_ignores_json_templates() -> None:
    own = load_templates(None)
    assert own.digest != load_templates(None, Form.JSON).digest
    assert own.digest == Templates(**{name: getattr(own, name) for name in names_of(Form.TEXT)}).digest


def test_a_file_in_the_folder_replaces_only_its_own_template(tmp_path: Path) -> None:
    (tmp_path / "classification.txt").write_text("Label it: {{instruction}}\n")
    (tmp_path / "notes.md").write_text("not a template")
    own, mixed = load_templates(None), load_templates(tmp_path)
    assert mixed.classification == "Label it: {{instruction}}\n"
    assert {name for name in MARKERS if getattr(own, name) != getattr(mixed, name)} == {"classification"}
    assert own.digest != mixed.digest


@pytest.mark.parametrize(("text", "times"), [("no marker", 0), ("{{demonstrations}} {{demonstrations}}", 2)])
def test_a_template_needs_its_marker_exactly_once(tmp_path: Path, text: str, times: int) -> None:
    (tmp_path / "alpaca.txt").write_text(text)
    with pytest.raises(TemplateError, match=rf"alpaca\.txt: .*{{{{demonstrations}}}} exactly once, found it {times}"):
        load_templates(tmp_path)


def test_a_template_needs_its_own_marker(tmp_path: Path) -> None:
    (tmp_path / "alpaca.txt").write_text("{{instruction}}")
    with pytest.raises(TemplateError, match="found it 0 times"):
        load_templates(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"nowhere: expected a folder with any of instructions\.txt"):
        load_templates(tmp_path / "nowhere")


def test_a_folder_without_any_template_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "Alpaca.txt.bak").write_text("{{demonstrations}}")
    with pytest.raises(TemplateError, match="found none"):
        load_templates(tmp_path)


def test_a_template_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "alpaca.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(TemplateError, match=r"alpaca\.txt: expected a readable UTF-8 file"):
        load_templates(tmp_path)
