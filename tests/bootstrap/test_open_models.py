"""The models of several stages: which are opened, what they share, and how errors name them."""

from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from service.bootstrap.open_model import probe
from service.bootstrap.open_models import open_models
from service.errors import ConfigurationError
from service.lm.dispatch import Patience
from service.lm.errors import CallFailedError
from service.lm.port import Completion
from service.lm.stage_model import EitherInterface, StageModel
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling
from service.selfinstruct.steps import Step
from service.settings import Settings, load_settings
from service.simulator import SimulatorOptions, serve
from tests.fakes.models import ScriptedModel, always
from tests.lm.dispatch.endpoints import SAMPLING, ScriptedEndpoint, completed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_settings")]

SERVED = {"lm_url": "http://127.0.0.1:9/v1", "model": "small"}
LARGE = {"model": "large", "lm_url": "http://127.0.0.1:10/v1"}


async def settings_of(**flags: Any) -> Settings:
    return await to_thread.run_sync(load_settings, {**SERVED, **flags})


async def test_without_tables_one_model_is_asked_as_it_is() -> None:
    async with open_models(await settings_of(), Patience(), tuple(Step)) as models:
        assert len(models.each) == 1
        assert all(models.of(step) is models.dispatcher(Step.INSTRUCTIONS) for step in Step)
        assert (models.each[0].steps, models.each[0].place) == (tuple(Step), "")


async def test_stages_of_one_model_share_its_dispatcher() -> None:
    tables = {"instances": LARGE, "classification": LARGE}
    async with open_models(await settings_of(stages=tables), Patience(), tuple(Step)) as models:
        assert [(each.name, each.steps) for each in models.each] == [
            ("small", (Step.INSTRUCTIONS,)),
            ("large", (Step.CLASSIFICATION, Step.INSTANCES)),
        ]
        assert models.dispatcher(Step.CLASSIFICATION) is models.dispatcher(Step.INSTANCES)
        small, large = (each.place for each in models.each)
        assert (small, len(large)) == ("", 16)
    async with open_models(await settings_of(**LARGE), Patience(), [Step.INSTANCES]) as models:
        assert models.each[0].place == ""


async def test_a_process_opens_the_models_of_its_own_stages_only(tmp_path: Path) -> None:
    """The model of another stage has a key that cannot be read."""
    tables = {"instances": {**LARGE, "lm_api_key_file": str(tmp_path / "none")}}
    settings = await settings_of(stages=tables)
    async with open_models(settings, Patience(), [Step.INSTRUCTIONS]) as models:
        assert list(models.by_step) == [Step.INSTRUCTIONS]
    refused = pytest.RaisesExc(ConfigurationError, match=r"the model of instances: .*none: expected a readable file")
    with pytest.RaisesGroup(refused, flatten_subgroups=True):
        async with open_models(settings, Patience(), tuple(Step)):
            pass


async def test_all_models_that_are_away_are_named_with_their_stages() -> None:
    tables = {"instances": LARGE}
    async with open_models(await settings_of(stages=tables), Patience(), tuple(Step)) as models:
        with pytest.raises(ConfigurationError) as caught:
            await probe(models)
    assert "the language model of instructions and classification cannot be reached" in str(caught.value)
    assert "the language model of instances cannot be reached" in str(caught.value)


async def test_one_model_has_one_limit_over_both_interfaces() -> None:
    async with serve(SimulatorOptions(model="small")) as simulator:
        tables = {"classification": {"lm_api": "completions"}}
        settings = await settings_of(lm_url=simulator.url, stages=tables)
        async with open_models(settings, Patience(), tuple(Step)) as models:
            assert len(models.each) == 1
            await probe(models)
            for step in Step:
                await models.of(step).complete(ModelInput("Task:"), SAMPLING)
        asked = [entry.path for entry in simulator.journal.entries if entry.max_tokens]
    assert asked == ["/v1/chat/completions", "/v1/completions", "/v1/chat/completions"]


async def test_a_prompt_goes_over_its_own_interface() -> None:
    chat, completions = ScriptedEndpoint(otherwise=lambda: completed("chat")), ScriptedEndpoint()
    either = EitherInterface(chat, completions)
    for api, text in (("chat", "chat"), ("completions", "a text"), ("chat", "chat")):
        completion: Completion = await StageModel(Asked(either), api).complete(ModelInput("?"), SAMPLING)  # type: ignore[arg-type]
        assert completion.text == text


async def test_a_failed_call_carries_the_name_of_its_model() -> None:
    failing = ScriptedModel(always(CallFailedError("no")))
    with pytest.raises(CallFailedError) as caught:
        await StageModel(failing, "chat", "large").complete(ModelInput("?"), SAMPLING)
    assert caught.value.cost.model == "large"


class Asked:
    """An endpoint as a model, without a dispatcher."""

    def __init__(self, endpoint: EitherInterface) -> None:
        self._endpoint = endpoint

    async def complete(self, prompt: ModelInput, sampling: Sampling, slot: object = None) -> Completion:
        return await self._endpoint.attempt(prompt, sampling)
