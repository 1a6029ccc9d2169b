"""The form of a run: chosen once by the API and the user's templates, then kept, shown, and warned about."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from service.bootstrap.api_key_file import read_key
from service.bootstrap.asked_model import warn_of_other_api
from service.bootstrap.open_models import open_models
from service.cli.facts import summary
from service.errors import ConfigurationError, RunMismatchError, TemplateError
from service.lm.dispatch import Patience
from service.messaging.messages import FinishedTask, RunDefined
from service.pipeline.limits import Limits
from service.pipeline.role import Role
from service.pipeline.roles import RoleRunner
from service.run.create import define_run
from service.run.definition import AskedRun, check_same, form_for
from service.run.facts import facts
from service.run.progress import Progress
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Form, Recipe, RecipeName, recipe_for
from service.selfinstruct.steps import Step
from service.settings import Settings, load_settings
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, create, until

pytestmark = pytest.mark.usefixtures("no_settings")

SERVED = {"lm": "openai", "lm_url": "http://x/v1", "model": "m"}
COMPLETING = {**SERVED, "lm_api": "completions"}
CHAT_JSON = recipe_for(RecipeName.SELF_INSTRUCT, Form.JSON, chat_model=True)
SIMULATED = load_settings({"lm": "simulator", "run": RUN})
BY_CHAT = load_settings({"lm": "simulator", "run": RUN, "lm_api": "chat"})
LIMITS = Limits(calls_in_flight=4, patience=50, drain_s=5.0)


def folder(name: str, *templates: str) -> Path:
    Path(name).mkdir()
    for template in templates:
        marker = "{{demonstrations}}" if "alpaca" in template else "{{instruction}}"
        (Path(name) / f"{template}.txt").write_text(f"Mine: {marker}")
    return Path(name)


def asked(flags: dict[str, Any]) -> AskedRun:
    return AskedRun(load_settings(flags))


def defined(**flags: Any) -> RunDefined:
    return asked(flags).new.definition


@pytest.mark.parametrize(
    ("flags", "form", "chat_model"),
    [
        (SERVED, Form.JSON, True),
        ({**SERVED, "lm_api": "chat"}, Form.JSON, True),
        (COMPLETING, Form.TEXT, False),
        ({"lm": "local"}, Form.TEXT, False),
        ({"lm": "simulator"}, Form.TEXT, False),
        ({"lm": "local", "lm_api": "chat"}, Form.JSON, True),
        ({"lm": "simulator", "lm_api": "chat"}, Form.JSON, True),
        ({**SERVED, "form": "text"}, Form.TEXT, True),
        ({**COMPLETING, "form": "json"}, Form.JSON, False),
        ({"lm": "local", "form": "json"}, Form.JSON, False),
    ],
)
@pytest.mark.parametrize("recipe", RecipeName)
def test_the_api_decides_the_form(recipe: RecipeName, flags: dict[str, str], form: Form, *, chat_model: bool) -> None:
    assert defined(**flags, recipe=recipe).recipe == recipe_for(recipe, form, chat_model=chat_model)
    assert form_for(load_settings({"form": "auto", **flags})) is form


def test_the_api_may_be_set_in_the_file_or_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("seedstream.toml").write_text('lm = "simulator"\nlm_api = "chat"\n')
    assert defined().recipe == CHAT_JSON
    monkeypatch.setenv("SEEDSTREAM_LM_API", "completions")
    assert defined().recipe == SELF_INSTRUCT
    monkeypatch.setenv("SEEDSTREAM_FORM", "json")
    assert defined().recipe.form is Form.JSON


@pytest.mark.parametrize(
    ("templates", "form"),
    [
        (["classification"], Form.TEXT),
        (["json_classification"], Form.JSON),
        (["classification", "json_classification"], Form.JSON),
    ],
)
def test_the_form_follows_the_user_s_templates(templates: list[str], form: Form) -> None:
    definition = defined(**SERVED, templates=folder("mine", *templates))
    assert (definition.recipe.form, definition.recipe.chat_model) == (form, True)
    name = "classification" if form is Form.TEXT else "json_classification"
    assert getattr(definition.templates, name) == "Mine: {{instruction}}"


@pytest.mark.parametrize(
    ("template", "flags", "form"),
    [("alpaca", {**SERVED, "form": "json"}, "json"), ("json_alpaca", COMPLETING, "text")],
)
def test_templates_of_the_other_form_are_refused(template: str, flags: Any, form: str) -> None:
    with pytest.raises(TemplateError, match=f"and the run has the form {form}") as caught:
        defined(**flags, recipe="alpaca", templates=folder("mine", template))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("made", [SERVED, COMPLETING, {**SERVED, "form": "text"}, {**COMPLETING, "form": "json"}])
def test_a_run_keeps_its_form_with_any_api(made: dict[str, str]) -> None:
    existing = defined(**made)
    form = existing.recipe.form.value
    for flags in (SERVED, COMPLETING, {"lm": "simulator"}, {**SERVED, "form": "auto"}, {**COMPLETING, "form": form}):
        check_same(existing, asked(flags))
    other = "text" if form == "json" else "json"
    refused = f"form: the run asks in {form}, asked for {other}"
    with pytest.raises(RunMismatchError, match=refused):
        check_same(existing, asked({**made, "form": other}))


def test_another_recipe_is_asked_for_in_the_form_of_the_run() -> None:
    with pytest.raises(RunMismatchError, match="recipe: the run has self-instruct, asked for alpaca") as caught:
        check_same(defined(**SERVED), asked({**COMPLETING, "recipe": "alpaca"}))
    assert "form:" not in str(caught.value)
    assert "recipe." not in str(caught.value)


def test_templates_are_compared_in_the_form_of_the_run() -> None:
    texts, both = folder("texts", "classification"), folder("both", "classification", "json_classification")
    existing = defined(**SERVED, templates=both)
    check_same(existing, asked({**COMPLETING, "templates": both}))
    with pytest.raises(TemplateError, match="it has templates of the form text, and the run has the form json"):
        check_same(existing, asked({**SERVED, "templates": texts}))


def test_a_byte_order_mark_is_no_part_of_the_settings() -> None:
    Path("seedstream.toml").write_text('model = "größe"\n', "utf-8-sig")
    assert load_settings({}).model == "größe"
    Path("seedstream.toml").write_bytes(b'\xff\xferun = "g"\n')
    with pytest.raises(ConfigurationError, match=r"^seedstream\.toml: "):
        load_settings({})


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["sk-1", "\ufeffsk-1", "\ufeff  sk-1\r\n\n"])
async def test_a_byte_order_mark_is_no_part_of_a_key(text: str, tmp_path: Path) -> None:
    file = anyio.Path(tmp_path) / "key.txt"
    await file.write_text(text, "utf-8")
    assert (await read_key(Path(file))).get_secret_value() == "sk-1"


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["OPENAI_API_KEY=sk-1", "export KEY = sk-1", "\ufeffKEY=sk-1", '"sk-1"', "'sk-1'"])
async def test_a_key_with_a_name_or_quotation_marks_is_refused(text: str, tmp_path: Path) -> None:
    file = anyio.Path(tmp_path) / "key.txt"
    await file.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=r"key\.txt: expected the API key alone") as caught:
        await read_key(Path(file))
    assert "sk-1" not in str(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("settings", "recipe", "asked_over"),
    [(SIMULATED, CHAT_JSON, "completions"), (BY_CHAT, SELF_INSTRUCT, "chat"), (BY_CHAT, ALPACA, "chat")],
)
async def test_another_api_than_that_of_the_run_causes_a_warning(
    settings: Settings, recipe: Recipe, asked_over: str
) -> None:
    own = {"chat": CHAT_JSON, "completions": ALPACA}[asked_over]
    with capture_logs() as logs:
        async with open_models(settings, Patience(), tuple(Step)) as asked:
            warn_of_other_api(asked, own)
            assert logs == []
            warn_of_other_api(asked, recipe)
    (warning,) = logs
    assert (warning["event"], warning["log_level"]) == ("lm.other_api", "warning")
    assert (warning["asked_over"], warning["recipe"]) == (asked_over, recipe.title)
    assert f"ask with lm_api={recipe.api}" in warning["remedy"]


@pytest.mark.anyio
async def test_a_worker_warns_of_another_api_once(open_broker: OpenBroker) -> None:
    with capture_logs() as logs:
        async with open_broker() as broker, open_models(SIMULATED, Patience(), tuple(Step)) as asked:
            await create(broker)
            definition = examples.definition(1, CHAT_JSON)
            await define_run(broker, definition, examples.goal(1), [examples.seed_task(0)])
            runner = RoleRunner(broker, RUN, [Role.CLASSIFY, Role.INSTANCES], asked, LIMITS)
            with anyio.fail_after(DEADLINE_S):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(runner.run)
                    await until(broker, lambda: all(state.ready for state in runner.worked.roles.values()))
                    runner.stop()
    assert [entry["event"] for entry in logs].count("lm.other_api") == 1


def progress_of(recipe: Recipe | None, *verdicts: bool | None) -> Progress:
    progress = Progress()
    for message in [examples.goal(8)] if recipe is None else [examples.definition(8, recipe), examples.goal(8)]:
        progress.apply(message)
    for number, verdict in enumerate(verdicts):
        task: FinishedTask = structs.replace(examples.finished(number), is_classification=verdict)
        progress.apply(task)
    return progress


@pytest.mark.parametrize(
    "recipe", [SELF_INSTRUCT, CHAT_JSON, recipe_for(RecipeName.ALPACA, chat_model=True)], ids=lambda each: each.title
)
def test_status_shows_the_form_of_a_run(recipe: Recipe) -> None:
    expected = {"name": recipe.name, "form": recipe.form, "chat_model": recipe.chat_model, "digest": recipe.digest}
    assert facts(progress_of(recipe))["recipe"] == expected
    assert facts(progress_of(None))["recipe"] is None


@pytest.mark.parametrize(
    ("recipe", "verdicts", "share"),
    [
        (SELF_INSTRUCT, [True, False, False], " (33% classification)"),
        (CHAT_JSON, [False], " (0% classification)"),
        (SELF_INSTRUCT, [], ""),
        (ALPACA, [None, None], ""),
        (None, [True], ""),
    ],
)
def test_status_shows_the_share_of_classification(recipe: Recipe | None, verdicts: list[Any], share: str) -> None:
    progress = progress_of(recipe, *verdicts)
    assert facts(progress)["classification"] == verdicts.count(True)
    assert summary(progress)["finished"] == f"{len(verdicts)} of 8{share}"
