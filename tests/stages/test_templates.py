from pathlib import Path

import pytest

from service.dataset.templates import load_templates
from service.errors import TemplateError
from service.selfinstruct.templates import MARKERS


def test_our_own_templates_have_their_markers_once() -> None:
    own = load_templates(None)
    assert {name: getattr(own, name).count(marker) for name, marker in MARKERS.items()} == dict.fromkeys(MARKERS, 1)


def test_a_file_in_the_folder_replaces_the_template_of_its_name_alone(tmp_path: Path) -> None:
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


def test_the_marker_of_another_template_is_none(tmp_path: Path) -> None:
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
