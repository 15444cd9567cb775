"""Sampling by any server that is compatible with OpenAI's API: vLLM, SGLang, llama.cpp, `transformers serve`, a judge.

The requests go out by OpenAI's own client, which all of these servers are tested with; it knows time-outs, proxies and
the kinds of errors. Its retries are off: here a failed request may go to another server ([`servers`]).
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from r1_trl.completion import completion_text
from r1_trl.errors import InputError, MissingExtraError
from r1_trl.sampling.sampler import Request, Sample
from r1_trl.sampling.servers import NoServerError, Server, Servers

if TYPE_CHECKING:
    from openai import AsyncOpenAI

PROBE_TIMEOUT = 10.0  # seconds in which a server that has failed must list its models
BUSY = (408, 409, 425, 429)  # with 5xx, the answers that a later try may better
REFUSALS = (400, 413, 422)  # of one prompt, such as one that is too long; other statuses are of the whole run


class NoAnswerError(Exception):
    """A server has said that all is well, and sent something else than an answer."""


class OpenAISampler:
    """Asks servers for one answer at a time, many at once.

    Texts go to `/completions`, conversations to `/chat/completions`. A request that fails is tried again, on whichever
    server works, until no server has for `server_timeout` seconds. One that is refused for what it asks (400, 413,
    422) has an empty answer with the server's words as `refusal`. What is not sent, such as `top_k`, is the server's
    own default.

    Args:
        base_urls (`Sequence[str]`): One or more servers with the same model, such as `http://localhost:8000/v1`.
        model (`str`): The model's name there.
        max_completion_length (`int`, *optional*, defaults to `32768`): Tokens.
        temperature (`float`, *optional*, defaults to `0.6`): Of the sampling.
        top_p (`float`, *optional*, defaults to `0.95`): Of the sampling.
        api_key_env (`str`, *optional*): The environment variable with the key; without it, none is sent.
        extra_body (`dict`, *optional*): What else goes into each request.
        max_concurrent_requests (`int`, *optional*, defaults to `64`): Requests in flight to each server.
        request_timeout (`float`, *optional*, defaults to `3600.0`): Seconds for one answer.
        server_timeout (`float`, *optional*, defaults to `600.0`): Seconds for which all servers may fail.

    Raises:
        MissingExtraError: The extra `openai` is missing.
    """

    def __init__(
        self,
        base_urls: Sequence[str],
        model: str,
        max_completion_length: int = 32768,
        temperature: float = 0.6,
        top_p: float = 0.95,
        api_key_env: str | None = None,
        extra_body: dict[str, Any] | None = None,
        max_concurrent_requests: int = 64,
        request_timeout: float = 3600.0,
        server_timeout: float = 600.0,
    ) -> None:
        check_openai()
        self.base_urls = list(base_urls)
        self.model = model
        self.settings = {
            "model": model,
            "max_tokens": max_completion_length,
            "temperature": temperature,
            "top_p": top_p,
            "extra_body": extra_body,
        }
        self.api_key_env = api_key_env
        self.max_concurrent_requests = max_concurrent_requests
        self.request_timeout = request_timeout
        self.server_timeout = server_timeout

    def sample(self, requests: Sequence[Request]) -> Iterator[tuple[int, Sample]]:
        """See [`Sampler.sample`].

        Raises:
            InputError: A server refuses whoever asks (401, 403, 404, ...), no client can be made, or no server has
                answered for `server_timeout` seconds.
        """
        # In a thread of its own, so that it works in a notebook too, whose own event loop already runs.
        answers: queue.SimpleQueue[tuple[int, Sample] | BaseException] = queue.SimpleQueue()
        loop = asyncio.new_event_loop()
        asking = loop.create_task(self._ask_all(requests, answers))
        thread = threading.Thread(target=_run, args=(loop, asking, answers), daemon=True)
        thread.start()
        try:
            for _ in requests:
                answer = answers.get()
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        finally:
            loop.call_soon_threadsafe(asking.cancel)
            thread.join()
            loop.close()

    async def _ask_all(self, requests: Sequence[Request], answers: queue.SimpleQueue[Any]) -> None:
        clients = [self._client(url) for url in self.base_urls]
        servers = Servers(
            [Server(url, client) for url, client in zip(self.base_urls, clients, strict=True)],
            self.max_concurrent_requests,
            self.server_timeout,
        )
        pending = iter(enumerate(requests))

        async def work() -> None:
            for index, request in pending:
                answers.put((index, await self._ask(servers, request)))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(len(requests), self.max_concurrent_requests * len(clients))):
                    group.create_task(work())
        finally:
            for client in clients:
                await client.close()

    def _client(self, url: str) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        key = os.environ.get(self.api_key_env) if self.api_key_env else "none"
        if not key:
            raise InputError(f"`{self.api_key_env}`: no such environment variable. Set it to the key for {url}")
        try:
            return AsyncOpenAI(base_url=url, api_key=key, timeout=self.request_timeout, max_retries=0)
        except (ImportError, ValueError) as error:  # a proxy that is wrong, or takes another package
            raise InputError(f"no client can be made for {url}: {error}") from error

    async def _ask(self, servers: Servers, request: Request) -> Sample:
        from openai import APIConnectionError, APIResponseValidationError, APIStatusError

        while True:
            server = await servers.acquire()
            sent = time.monotonic()
            try:
                if server.failing_since is not None:
                    await _probe(server.client)
                    server.on_trial = True
                sample = await self._send(server.client, request)
            except APIConnectionError as error:  # a time-out is one too
                await servers.failed(
                    server, sent, error.__cause__ if isinstance(error.__cause__, Exception) else error
                )
            except (NoAnswerError, APIResponseValidationError, json.JSONDecodeError) as error:
                await servers.failed(server, sent, error)
            except APIStatusError as error:
                if error.status_code in REFUSALS:
                    await servers.answered(server)
                    return Sample("", 0, True, refusal=_words(str(error)))
                if error.status_code < 500 and error.status_code not in BUSY:
                    raise InputError(f"{server.url} refuses a request: {error}") from error
                await servers.failed(server, sent, error, _retry_after(error))
            else:
                await servers.answered(server)
                return sample

    async def _send(self, client: AsyncOpenAI, request: Request) -> Sample:
        settings: dict[str, Any] = {**self.settings, "seed": request.seed}
        if isinstance(request.prompt, str):
            response: Any = await client.completions.create(prompt=request.prompt, **settings)
            choice = _choice(response, "text")
            text = choice.text
        else:
            messages: Any = list(request.prompt)
            response = await client.chat.completions.create(messages=messages, **settings)
            choice = _choice(response, "message")
            text = _message_text(choice.message)
        if response.usage is None:
            raise InputError(f"{client.base_url} tells no `usage`: the number of tokens of an answer is needed")
        text = _words(text)
        return Sample(text, response.usage.completion_tokens, choice.finish_reason == "length")


def check_openai() -> None:
    """Refuses to go on without OpenAI's client.

    Raises:
        MissingExtraError: The extra `openai` is missing.
    """
    try:
        import openai  # noqa: F401
    except ImportError:
        raise MissingExtraError("openai", "openai", "`sampling_backend: openai`, or a judge,") from None


def _run(loop: asyncio.AbstractEventLoop, asking: asyncio.Task[None], answers: queue.SimpleQueue[Any]) -> None:
    try:
        loop.run_until_complete(asking)
    except BaseException as failure:  # noqa: BLE001 - the main thread waits, and raises whatever it is
        error = failure.exceptions[0] if isinstance(failure, BaseExceptionGroup) else failure
        if isinstance(error, NoServerError):
            error = InputError(f"no server has answered for too long (`server_timeout`). The last error: {error}")
        answers.put(error)


def _choice(response: Any, content: str) -> Any:
    """The first answer of a response; the client does not look at what servers send."""
    choices = getattr(response, "choices", None)
    if not choices or getattr(choices[0], content, None) is None:
        sent = response.to_json(indent=None) if hasattr(response, "to_json") else str(response)
        raise NoAnswerError(f"no answer in its response: {_words(sent)[:200]}")
    return choices[0]


def _words(text: str) -> str:
    """A server's words without lone surrogates, which can be in JSON, but in no file."""
    return text.encode(errors="replace").decode()


async def _probe(client: AsyncOpenAI) -> None:
    """Raises what the request would, soon, where the server is still down."""
    from openai import APIStatusError

    try:
        await client.models.with_raw_response.list(timeout=PROBE_TIMEOUT)  # what it says does not matter
    except APIStatusError as error:
        if error.status_code >= 500 or error.status_code in BUSY:
            raise  # any other answer is one


def _retry_after(error: Any) -> float | None:
    try:
        return float(error.response.headers["retry-after"])
    except (KeyError, ValueError):
        return None


def _message_text(message: Any) -> str:
    """The answer; reasoning that the server has moved into a field of its own goes back in front, between its tags."""
    fields = message.model_dump()
    reasoning = fields.get("reasoning_content") or fields.get("reasoning")
    return completion_text([{"content": fields.get("content"), "reasoning_content": reasoning}])
