"""Failures of the model, of a record and of the log, and their consequences."""

import anyio
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from consumers.classify import Classify
from consumers.generate import Generate
from service.errors import NewerVersionError
from service.lm.concurrency import Slots
from service.lm.errors import CallFailedError, EndpointRefusedError
from service.messaging import codec, topics
from service.messaging.broker import Broker, Record
from service.messaging.codec import header
from service.messaging.messages import FailedPrompt, Prompt
from service.messaging.record_size import MAX_RECORD_BYTES, size_of
from service.runtime.session import TimeLimits
from service.runtime.stateless_worker import StatelessWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage
from tests.fakes.models import Hold, ScriptedModel, always, by_marker
from tests.fakes.stalled_broker import MuteBroker
from tests.support import examples
from tests.support.logs import (
    DEADLINE_S,
    QUIET_S,
    RUN,
    committed,
    create,
    dead_letters,
    drained_after,
    end,
    follow,
    killed_after,
    read,
    send,
    write,
)
from tests.support.newer import by_newer

pytestmark = pytest.mark.anyio

GOOD = codec.encode(examples.prompt(1), RUN)
TOO_LARGE = 1 << 20


def generating(broker: Broker, model: ScriptedModel) -> StatelessWorker[Prompt]:
    return StatelessWorker(Generate(model, SELF_INSTRUCT), broker, RUN, Slots(2), TimeLimits(DEADLINE_S))


async def test_a_call_failed_for_good_is_recorded_and_not_asked_again(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.prompt, range(2)))
        model = ScriptedModel(by_marker({"<p0>": CallFailedError("no answer after 6 attempts")}))
        async with drained_after(generating(broker, model)):
            results = await follow(broker, topics.CANDIDATES, 2)
        (failed,) = [result for result in results if isinstance(result, FailedPrompt)]
        assert (failed.prompt_id, failed.prompt_seq) == ("p0", 0)
        assert "no answer after 6 attempts" in failed.failure
        assert await committed(broker, "generate", topics.PROMPTS) == await end(broker, topics.PROMPTS)


async def test_an_input_whose_failure_fits_no_record_is_set_aside(open_broker: OpenBroker) -> None:
    """The failure repeats the instruction, which fills its own record."""
    recipe = SELF_INSTRUCT
    assert recipe.classification_sampling is not None
    stage = Classify(ScriptedModel(always("Yes")), recipe, examples.TEMPLATES, recipe.classification_sampling)
    room = MAX_RECORD_BYTES - size_of(codec.encode(examples.instruction("long", ""), RUN))
    long = examples.instruction("long", "x" * room)
    async with open_broker() as broker:
        await create(broker)
        await send(broker, long, examples.instruction("short"))
        async with drained_after(StatelessWorker(stage, broker, RUN, Slots(2), TimeLimits(DEADLINE_S))):
            assert [result.id for result in await follow(broker, topics.CLASSIFIED, 1)] == ["short"]
        (letter,) = await dead_letters(broker, topics.INSTRUCTIONS)
        assert (letter.key, header(letter.headers, "__seedstream.errors.exception.class.name")) == (
            b"long",
            "RecordTooLargeError",
        )
        assert await committed(broker, "classify", topics.INSTRUCTIONS) == await end(broker, topics.INSTRUCTIONS)


async def test_a_refusal_ends_it_after_recording_the_calls_in_flight(open_broker: OpenBroker) -> None:
    slow = Hold()
    model = ScriptedModel(by_marker({"<p0>": slow, "<p1>": EndpointRefusedError("quota exceeded")}))
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.prompt, range(4)))

        async def release_at_last() -> None:
            await model.until(lambda model: model.asked == ["<p0>", "<p1>"] and model.in_flight == 1)
            await anyio.wait_all_tasks_blocked()
            slow.release()

        with anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(release_at_last)
                with pytest.raises(EndpointRefusedError, match="quota exceeded"):
                    await generating(broker, model).run(anyio.Event())
        assert model.asked == ["<p0>", "<p1>"]
        assert [result.key for result in await read(broker, topics.CANDIDATES)] == ["p0"]
        assert await committed(broker, "generate", topics.PROMPTS) == 1
    async with open_broker() as broker:
        next_owner = ScriptedModel(always("x"))
        async with killed_after(generating(broker, next_owner)):
            await follow(broker, topics.CANDIDATES, 4)
        assert sorted(next_owner.asked) == ["<p1>", "<p2>", "<p3>"]


@pytest.mark.parametrize("killed", [False, True])
async def test_a_stop_does_not_wait_for_a_log_that_is_mute(*, killed: bool, open_broker: OpenBroker) -> None:
    """A commit is under way, which may not be broken off at once, and another is due."""
    limits = TimeLimits(0.0, last_s=QUIET_S)
    async with open_broker() as real:
        await create(real)
        await send(real, *map(examples.prompt, range(2)))
        broker = MuteBroker(real, Breakage.BEFORE)
        model = ScriptedModel(by_marker({"<p1>": Hold()}))
        with capture_logs() as logs:
            async with (killed_after if killed else drained_after)(
                StatelessWorker(Generate(model, SELF_INSTRUCT), broker, RUN, Slots(2), limits)
            ):
                await broker.asked.wait()
        told = [each["stage"] for each in logs if each["event"] == "stop.not_recorded"]
        assert told == ([] if killed else ["generate"])
        assert [result.key for result in await read(real, topics.CANDIDATES)] == ["p0"]


POISON = {
    "prompt.v1: value: JSON is malformed": replace(GOOD, value=b"\xff{"),
    "got none": replace(GOOD, value=None),
    "seq: expected a value, got none": replace(GOOD, value=b'{"id": "p1"}'),
    "got 'prompt.v9'": replace(GOOD, headers=(("ce_type", b"prompt.v9"), ("x", b"1"), ("x", None)), key=b""),
    "got None": replace(GOOD, headers=(), key=None),
}


async def test_poison_goes_to_dead_letters_and_the_stream_goes_on(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0))
        await write(broker, *POISON.values())
        await send(broker, examples.prompt(2))
        async with drained_after(generating(broker, ScriptedModel(always("x")))):
            results = await follow(broker, topics.CANDIDATES, 2)
        assert sorted(result.key for result in results) == ["p0", "p2"]
        letters = {offset_of(letter): letter for letter in await dead_letters(broker, topics.PROMPTS)}
        assert sorted(letters) == [1, 2, 3, 4, 5]
        for offset, (reason, poison) in enumerate(POISON.items(), 1):
            letter = letters[offset]
            assert (letter.key, letter.value) == (poison.key, poison.value)
            assert letter.headers[: len(poison.headers)] == poison.headers
            facts = {name.removeprefix("__seedstream.errors."): value for name, value in letter.headers}
            assert facts["topic"] == topics.PROMPTS.of(RUN).encode()
            assert (facts["partition"], facts["stage"]) == (b"0", b"generate")
            assert reason in (facts["exception.message"] or b"").decode()
        assert await committed(broker, "generate", topics.PROMPTS) == await end(broker, topics.PROMPTS)


def offset_of(letter: Record) -> int:
    return int(header(letter.headers, "__seedstream.errors.offset") or -1)


async def test_poison_of_the_largest_size_does_not_stop_the_stream(open_broker: OpenBroker) -> None:
    headers = sum(len(name) + len(value or b"") for name, value in GOOD.headers)
    poison = replace(GOOD, key=None, value=b"{" * (TOO_LARGE - headers))
    async with open_broker() as broker:
        await create(broker)
        await write(broker, poison)
        await send(broker, examples.prompt(2))
        async with killed_after(generating(broker, ScriptedModel(always("x")))):
            await follow(broker, topics.CANDIDATES, 1)


async def test_an_oversized_answer_fails_its_prompt_not_the_worker(open_broker: OpenBroker) -> None:
    model = ScriptedModel(by_marker({"<p0>": "word " * (TOO_LARGE // 4)}))
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0), examples.prompt(1))
        async with killed_after(generating(broker, model)):
            results = await follow(broker, topics.CANDIDATES, 2)
        assert {result.key: isinstance(result, FailedPrompt) for result in results} == {"p0": True, "p1": False}


async def test_an_input_of_a_newer_version_is_left_to_that(open_broker: OpenBroker) -> None:
    """Calls in flight are finished and recorded first."""
    slow = Hold()
    model = ScriptedModel(by_marker({"<p0>": slow}))
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0))

        async def meet_a_newer_record() -> None:
            await model.until(lambda model: model.in_flight == 1)
            await write(broker, by_newer(topics.PROMPTS))
            await anyio.wait_all_tasks_blocked()
            slow.release()

        with anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(meet_a_newer_record)
                with pytest.raises(NewerVersionError, match="upgrade this process"):
                    await generating(broker, model).run(anyio.Event())
        assert [result.key for result in await read(broker, topics.CANDIDATES)] == ["p0"]
        assert await dead_letters(broker, topics.PROMPTS) == []
        assert await committed(broker, "generate", topics.PROMPTS) == 1
