import re
from pathlib import Path

import pytest

from service.billing.pricing import Price, PriceTable
from service.errors import ConfigurationError
from service.selfinstruct.recipe import RecipeName
from service.settings import LmKind, Settings, load_settings, origins

pytestmark = pytest.mark.usefixtures("no_settings")


def test_precedence_is_flag_environment_file_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("seedstream.toml").write_text("target = 7\nseed = 7\npatience = 7\n")
    monkeypatch.setenv("SEEDSTREAM_TARGET", "8")
    monkeypatch.setenv("SEEDSTREAM_SEED", "8")
    flags = {"target": 9, "model": None}
    settings = load_settings(flags)
    assert (settings.target, settings.seed, settings.patience, settings.work_partitions) == (9, 8, 7, 1)
    found = origins(flags)
    names = ("target", "seed", "patience", "partitions", "model")
    assert [found[name] for name in names] == ["flag", "environment", "seedstream.toml", "default", "default"]


def test_every_setting_has_an_origin() -> None:
    assert origins({}) == dict.fromkeys(Settings.model_fields, "default")


def test_an_empty_variable_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDSTREAM_TARGET", "")
    assert load_settings({}).target == 100
    assert origins({})["target"] == "default"


def test_values_have_their_types_from_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDSTREAM_LM", "simulator")
    monkeypatch.setenv("SEEDSTREAM_SEEDS", "my/seeds.jsonl")
    Path("seedstream.toml").write_text('recipe = "alpaca"\nlog_json = true\n')
    settings = load_settings({})
    assert (settings.lm, settings.recipe, settings.log_json) == (LmKind.SIMULATOR, RecipeName.ALPACA, True)
    assert settings.seeds == Path("my/seeds.jsonl")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target", 0),
        ("target", "many"),
        ("max_prompts", 0),
        ("budget", -1),
        ("budget", float("inf")),
        ("price_prompt", float("nan")),
        ("concurrency", 0),
        ("drain_s", -1),
        ("recipe", "dolly"),
        ("lm", "oracle"),
        ("lm_api", "responses"),
        ("broker", "sqlite:"),
        ("broker", "/tmp/runs"),
        ("log_level", "loud"),
    ],
)
def test_the_error_for_a_wrong_value_names_all_its_sources(name: str, value: object) -> None:
    places = rf"^{name} \(its flag, SEEDSTREAM_{name.upper()} or seedstream.toml\): .*, got "
    with pytest.raises(ConfigurationError, match=places + re.escape(repr(value))):
        load_settings({name: value})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("target", 0, "expected at least 1"),
        ("target", "many", "expected a whole number"),
        ("target", 1.5, "expected a whole number"),
        ("budget", float("inf"), "expected a finite number"),
        ("lm_timeout_s", 0, "expected more than 0"),
        ("http_port", 99_999, "expected at most 65535"),
        ("lm_api", "responses", "expected 'chat' or 'completions'"),
        ("lm", "oracle", "expected 'local', 'openai' or 'simulator'"),
        ("semantic", "perhaps", "expected true or false"),
        ("lm_omit", 5, "expected names, separated by commas"),
        ("lm_thinking_tokens", "many", "expected a number of tokens, or auto"),
        ("model", 5, "expected a text"),
    ],
)
def test_the_error_for_a_wrong_value_says_what_it_may_be(name: str, value: object, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"): {expected}, got {value!r}")):
        load_settings({name: value})


def test_a_variable_that_is_no_json_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDSTREAM_LM_HEADERS", "x-api-key: 12345")
    with pytest.raises(ConfigurationError, match=r"expected JSON in it: .*lm_headers") as caught:
        load_settings({})
    assert "12345" not in repr(caught.value)


@pytest.mark.parametrize("run", ["", ".", "../x", "a/b", "A", "-a", "a-", "a b", "a" * 64, "ä"])
def test_a_run_name_that_makes_a_path_or_a_bad_topic_is_refused(run: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^run "):
        load_settings({"run": run})


@pytest.mark.parametrize("run", ["a", "0", "my-run_2", "a" * 63])
def test_a_run_name_has_lower_case_letters_and_digits(run: str) -> None:
    assert load_settings({"run": run, "broker": "sqlite:some/dir"}).sqlite_file == Path(f"some/dir/{run}.sqlite3")


def test_an_unknown_key_of_the_file_is_an_error() -> None:
    Path("seedstream.toml").write_text("tarjet = 7\n")
    with pytest.raises(ConfigurationError, match=r"tarjet .*seedstream\.toml"):
        load_settings({})


def test_a_file_that_is_no_toml_is_an_error() -> None:
    Path("seedstream.toml").write_text("target = \n")
    with pytest.raises(ConfigurationError, match=r"^seedstream\.toml: "):
        load_settings({})


@pytest.mark.parametrize("given", [{}, {"lm_url": "http://x/v1"}, {"model": "m"}])
def test_a_server_needs_an_address_and_a_model(given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"^lm=openai needs lm_url and model"):
        load_settings({"lm": "openai", **given})


def test_a_price_needs_both_prompt_and_completion() -> None:
    with pytest.raises(ConfigurationError, match=r"^a price needs both"):
        load_settings({"price_prompt": 0.5})
    assert load_settings({"price_prompt": 0.5, "price_completion": 0}).price_completion == 0


MINE = '[prices]\nversion = "2026-11"\n[prices.models."my.model"]\nprompt = 0.15\ncompletion = 0.6\n'


def test_a_price_table_is_in_the_file_or_as_json_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("seedstream.toml").write_text(MINE)
    mine = PriceTable(version="2026-11", models={"my.model": Price(prompt=0.15, completion=0.6)})
    assert load_settings({}).prices_for("anything") == mine
    Path("seedstream.toml").unlink()
    monkeypatch.setenv("SEEDSTREAM_PRICES", mine.model_dump_json())
    assert load_settings({}).prices == mine
    assert load_settings({}).prices_for("anything") == mine


def test_two_prices_given_alone_win_over_the_table() -> None:
    Path("seedstream.toml").write_text(MINE)
    table = load_settings({"price_prompt": 1, "price_completion": 2}).prices_for("my.model")
    assert table == PriceTable(version="flags", models={"my.model": Price(prompt=1, completion=2)})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("0.15", "-0.15"), "prices.models.my.model.prompt (SEEDSTREAM_PRICES or seedstream.toml): .*, got -0.15"),
        (("0.6", "nan"), "prices.models.my.model.completion (SEEDSTREAM_PRICES or seedstream.toml): .* finite .*nan"),
        (("completion", "completions"), "prices.models.my.model.completion .*: expected a value, and there is none"),
        (('version = "2026-11"', ""), "prices.version .*: expected a value, and there is none"),
        (("0.6", "0.6\nbatch_factor = 50"), "prices.models.my.model.batch_factor .*, got 50"),
    ],
)
def test_an_invalid_price_is_named(changed: tuple[str, str], said: str) -> None:
    Path("seedstream.toml").write_text(MINE.replace(*changed))
    with pytest.raises(ConfigurationError, match=said.replace("(", r"\(").replace(")", r"\)")):
        load_settings({})


@pytest.mark.parametrize("value", ["{", "7", '["a"]'])
def test_an_invalid_price_table_in_a_variable_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDSTREAM_PRICES", value)
    with pytest.raises(ConfigurationError, match=r"^prices .*expected a table \(in the variable: JSON\)"):
        load_settings({})


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDSTREAM_LM_API_KEY", "sk-secret")
    settings = load_settings({})
    assert settings.lm_api_key is not None
    assert settings.lm_api_key.get_secret_value() == "sk-secret"
    assert "sk-secret" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    monkeypatch.setenv("SEEDSTREAM_TARGET", "wrong")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({})
    assert "sk-secret" not in str(caught.value)


def test_calls_in_flight_depend_on_the_model_by_default() -> None:
    assert load_settings({"lm": "local"}).calls_in_flight == 4
    assert load_settings({"lm": "simulator"}).calls_in_flight == 32
    assert load_settings({"concurrency": 5}).calls_in_flight == 5
