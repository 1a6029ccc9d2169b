"""The `Endpoint` over a batch API: a question goes into the next batch and waits for its answer, for hours if need be.

The life of a question: it is asked → it waits for others → if a batch on the server has it already, it waits for that
batch or takes its answer from there → otherwise it goes into a new batch → the batch ends → its line is the answer.
Nothing is stored on this machine. A killed process pays for nothing twice: the next one finds its batches on the
server.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Self
from urllib.parse import urlsplit

import anyio
from pydantic import SecretStr

from service.adapters.openai.credentials import Credentials
from service.adapters.openai.error_response import Refusal
from service.adapters.openai.negotiation import Negotiation
from service.adapters.openai.request import request_body
from service.adapters.openai.response import Asked, Reading
from service.adapters.openai.server_profiles import Profile
from service.adapters.openai_batch.api_client import BatchServer
from service.adapters.openai_batch.batching import Batching
from service.adapters.openai_batch.http_client import Transport
from service.adapters.openai_batch.jsonl import Result
from service.adapters.openai_batch.options import BatchOptions
from service.adapters.openai_batch.outcomes import NoResult
from service.adapters.openai_batch.pending import PendingQuestions
from service.adapters.openai_batch.results import read_answer, refused
from service.lm.errors import AttemptFailedError
from service.lm.port import Completion
from service.lm.usage import Usage
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling
from service.task_groups import unwrapped_task_group

_NOTHING = Usage(0, 0)


class BatchEndpoint:
    """An `Endpoint` over a batch API."""

    def __init__(self, options: BatchOptions, questions: PendingQuestions, credentials: Credentials) -> None:
        self.name = f"{urlsplit(options.openai.base_url).netloc}/{options.openai.model} in batches"
        self._options = options.openai
        self._path = options.path
        self._questions = questions
        self._credentials = credentials
        openai = options.openai
        self._negotiation = Negotiation(self.name, openai.api, openai.profile, thinking_tokens=openai.thinking_tokens)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        options: BatchOptions,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> AsyncIterator[Self]:
        """Gather questions and poll their batches until the block is left; the server works on batches after that too.

        `clock` returns Unix time in seconds. Nothing is sent before the first question.
        """
        openai, questions = options.openai, PendingQuestions()
        credentials = Credentials(openai.profile.auth, openai.extra_headers, openai.api_key)
        async with Transport.open(openai, credentials) as transport, unwrapped_task_group() as tasks:
            server = BatchServer(options, transport, sleep)
            tasks.start_soon(Batching(server, questions, tasks, clock).run)
            yield cls(options, questions, credentials)
            tasks.cancel_scope.cancel()

    def use_key(self, key: SecretStr | None) -> None:
        """Send this API key from the next call on, or none.

        Raises:
            ConfigurationError: the key does not fit on one line.
        """
        self._credentials.use(key)

    async def attempt(self, prompt: ModelInput, sampling: Sampling) -> Completion:
        """Ask once, in a batch; ask again only if the server refused a parameter that the call can do without.

        A second call with the same request shares the answer, at no cost. Cancelling a call does not stop the batch.

        Raises:
            AttemptFailedError: this attempt failed, and the next may succeed.
            CallFailedError: this call can never work.
            EndpointRefusedError: every call would fail the same way: key, quota, address, model.
        """
        return await self._negotiation.ask(lambda profile: self._ask(profile, prompt, sampling), prompt, refused)

    async def _ask(self, profile: Profile, prompt: ModelInput, sampling: Sampling) -> Reading | Refusal:
        with self._questions.ask(partial(request_body, self._options, profile, prompt, sampling)) as question:
            outcome = await question.answered()
        if isinstance(outcome, NoResult):
            raise outcome.error()
        return (
            self._read(outcome, prompt, sampling)
            if question.pay()
            else self._read_for_nothing(outcome, prompt, sampling)
        )

    def _read(self, result: Result, prompt: ModelInput, sampling: Sampling) -> Reading | Refusal:
        options, secrets = self._options, self._credentials.secrets
        url = f"{options.addresses.root} in a batch"
        asked = Asked(url, options.api, options.model, sampling.stop, secrets, prompt)
        return read_answer(result, asked, datetime.now(UTC))

    def _read_for_nothing(self, result: Result, prompt: ModelInput, sampling: Sampling) -> Reading | Refusal:
        """Read a result that another caller has paid for; its usage is not counted again."""
        try:
            outcome = self._read(result, prompt, sampling)
        except AttemptFailedError as failure:
            raise AttemptFailedError(failure.failing, str(failure), failure.after_s) from failure.__cause__
        if isinstance(outcome, Refusal) or outcome.completion.usage is None:
            return outcome
        return replace(outcome, completion=replace(outcome.completion, usage=_NOTHING))
