"""Tables `[stages.…]`: what a stage inherits, what it does not, and what is refused."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from service.errors import ConfigurationError
from service.selfinstruct.steps import Step
from service.settings import LmKind, ModelId, Settings, load_settings
from tests.support.commands import invoke

pytestmark = pytest.mark.usefixtures("no_settings")

RUN = {
    "lm_url": "http://a/v1",
    "model": "small",
    "lm_api": "completions",
    "lm_api_key": "the-run's-key",
    "lm_headers": {"x": "the-run's-header"},
    "lm_dialect": "vllm",
    "lm_timeout_s": 9,
    "price_prompt": 1,
    "price_completion": 2,
}


def of_instances(table: dict[str, Any], run: dict[str, Any] = RUN) -> Settings:
    return load_settings({**run, "stages": {"instances": table}}).of_step(Step.INSTANCES)


def test_without_tables_every_stage_has_the_settings_of_the_run() -> None:
    settings = load_settings(RUN)
    assert all(settings.of_step(step) is settings for step in Step)
    assert settings.asks_one_model


def test_another_model_of_a_server_inherits_all_but_the_price() -> None:
    settings = of_instances({"model": "large"})
    assert settings.asked_model == ModelId(LmKind.OPENAI, ("http://a/v1",), "large")
    assert (settings.lm_api_key, settings.lm_timeout_s) == (load_settings(RUN).lm_api_key, 9)
    assert (settings.price_prompt, settings.price_completion, settings.api) == (None, None, "completions")


def test_another_server_gets_no_key_header_or_dialect_of_the_run() -> None:
    settings = of_instances({"lm_url": "http://b/v1", "price_prompt": 3, "price_completion": 4})
    assert settings.asked_model == ModelId(LmKind.OPENAI, ("http://b/v1",), "small")
    assert (settings.lm_api_key, settings.lm_headers, settings.lm_dialect) == (None, {}, "auto")
    assert (settings.price_prompt, settings.price_completion, settings.lm_timeout_s) == (3, 4, 9)


def test_a_key_of_a_table_comes_before_the_key_file_of_the_run() -> None:
    run = {"lm_url": "http://a/v1", "model": "small", "lm_api_key_file": "key.txt"}
    settings = of_instances({"model": "large", "lm_api_key": "own"}, run)
    assert settings.lm_api_key is not None
    assert (settings.lm_api_key.get_secret_value(), settings.lm_api_key_file) == ("own", None)
    assert of_instances({"model": "large"}, run).lm_api_key_file == Path("key.txt")


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ({"lm_url": "http://b/v1", "model": "m"}, LmKind.OPENAI),
        ({"model_file": "m.gguf"}, LmKind.LOCAL),
        ({"lm": "simulator"}, LmKind.SIMULATOR),
    ],
)
def test_a_table_selects_its_kind_of_model(table: dict[str, str], kind: LmKind) -> None:
    assert of_instances(table).lm is kind
    assert of_instances(table, {}).lm is kind


def test_a_run_needs_no_model_of_its_own_if_each_stage_has_one() -> None:
    tables = {step.value: {"model": f"of {step}"} for step in Step}
    settings = load_settings({"lm_url": "http://a/v1", "stages": tables})
    assert [settings.of_step(step).model for step in Step] == [f"of {step}" for step in Step]
    with pytest.raises(ConfigurationError, match="lm=openai needs lm_url and model"):
        load_settings({"lm_url": "http://a/v1", "stages": {"instances": {"model": "m"}}})


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"instance": {}}, "there is no stage 'instance'; did you mean instances?"),
        ({"generate": {}}, "there is no stage 'generate'; did you mean instructions?"),
        ({"classify": {}}, "there is no stage 'classify'; did you mean classification?"),
        ({"xyz": {}}, "there is no stage 'xyz'; there are instructions, classification, instances"),
        ({"instances": {"modle": "m"}}, "[stages.instances]: there is no key 'modle'; did you mean model?"),
        ({"instances": {"price_promt": 1}}, "there is no key 'price_promt'; did you mean price_prompt?"),
        (
            {"instances": {"rpm": -1}},
            "stages.instances.rpm (SEEDSTREAM_STAGES or seedstream.toml): expected at least 0",
        ),
        ({"instances": {"lm_api": "rest"}}, "expected 'chat' or 'completions', got 'rest'"),
        ({"instances": {"price_prompt": 1}}, "[stages.instances]: a price needs both"),
        (
            {"instances": "secret"},
            "stages.instances (SEEDSTREAM_STAGES or seedstream.toml): expected a table [stages.instances] with keys",
        ),
        (["secret"], "expected a table for each stage"),
    ],
)
def test_nonsense_is_refused_with_the_nearest_name(tables: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({**RUN, "price_prompt": None, "price_completion": None, "stages": tables})
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_model_needs_its_server() -> None:
    with pytest.raises(ConfigurationError, match=r"\[stages.instances\]: model needs lm_url"):
        of_instances({"model": "m"}, {})


@pytest.mark.parametrize("name", ["concurrency", "rpm", "lm_timeout_s"])
def test_stages_of_one_model_agree_in_all_that_belongs_to_it(name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"ask the same model .small at http://a/v1., and their {name} differs"
    ):
        of_instances({name: 5})
    tables = {step.value: {name: 5} for step in Step}
    assert load_settings({**RUN, "stages": tables}).asks_one_model


def test_form_and_interface_may_differ_for_one_model() -> None:
    settings = of_instances({"form": "json", "lm_api": "chat"})
    assert (settings.form, settings.api, settings.asked_model) == ("json", "chat", load_settings(RUN).asked_model)


def test_tables_come_from_the_file_and_the_variable_together(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("seedstream.toml").write_text(
        'lm_url = "http://a/v1"\nmodel = "small"\n[stages.instances]\nmodel = "large"\nlm_omit = ["seed", "top_p"]\n'
    )
    monkeypatch.setenv("SEEDSTREAM_STAGES", '{"instances": {"model": "larger"}, "classification": {"form": "text"}}')
    settings = load_settings({})
    assert settings.of_step(Step.INSTANCES).model == "larger"
    assert settings.of_step(Step.INSTANCES).lm_omit == ("seed", "top_p")
    assert settings.of_step(Step.CLASSIFICATION).form == "text"


def test_config_shows_the_tables_without_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"lm_url": "http://b/v1", "model": "m", "lm_api_key": "secret", "lm_headers": {"x": "secret"}}
    monkeypatch.setenv("SEEDSTREAM_STAGES", orjson.dumps({"instances": table}).decode())
    for flags in ((), ("--json",)):
        shown = invoke("config", *flags)
        assert shown.exit_code == 0
        assert "http://b/v1" in shown.output
        assert "secret" not in shown.output
    told = orjson.loads(invoke("config", "--json").output)["stages"]
    assert told["from"] == "environment"
    assert told["value"]["instances"] == {
        "lm": "openai",
        "lm_url": "http://b/v1",
        "model": "m",
        "lm_api_key": "***",
        "lm_headers": {"x": "***"},
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lm_url": "http://a/v1"}, "and there is no model: say which model to ask"),
        ({"lm": "openai", "model": "m"}, "and there is no lm_url: say where the server is"),
        ({"lm": "openai"}, "and there is no lm_url and no model: say where the server is and say which model to ask"),
    ],
)
def test_a_message_names_the_missing_part_of_a_server(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(given)
    assert said in str(caught.value)


def test_no_password_in_a_url_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDSTREAM_LM_URL", "http://u:secret@a/v1,http://b/v1")
    monkeypatch.setenv("SEEDSTREAM_MODEL", "small")
    monkeypatch.setenv("SEEDSTREAM_STAGES", '{"instances": {"lm_url": "http://u:secret@c/v1"}}')
    for flags in ((), ("--json",)):
        shown = invoke("config", *flags)
        assert shown.exit_code == 0
        assert "secret" not in shown.output
    told = orjson.loads(invoke("config", "--json").output)
    assert told["lm_url"]["value"] == "http://***@a/v1,http://b/v1"
    assert told["stages"]["value"]["instances"]["lm_url"] == "http://***@c/v1"


@pytest.mark.parametrize(
    "given",
    [
        {"stages": {"instances": {"rpm": 5}}},
        {"stages": {"instances": {"lm_url": ["http://u:secret@b/v1"]}}},
        {"broker": "kafka://u:secret@b:9092"},
    ],
)
def test_no_message_repeats_a_password_in_a_url(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"lm_url": "http://u:secret@a/v1", "model": "m", **given})
    assert "secret" not in str(caught.value)
