"""The settings of sampling: who samples, how, and how much."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from r1_trl.errors import InputError, did_you_mean

BACKENDS = ("transformers", "vllm", "openai")


@dataclass
class SamplingConfig:
    """
    Settings of the sampling. Defaults are those of DeepSeek-R1's evaluation [arXiv v2, D.1].

    Parameters:
        sampling_backend (`str`, *optional*, defaults to `"transformers"`):
            `"transformers"`, `"vllm"` (extra `vllm`), or `"openai"` (extra `openai`): servers that are compatible with
            OpenAI's API.
        num_generations (`int`, *optional*, defaults to `16`):
            k, answers to each question.
        temperature (`float`, *optional*, defaults to `0.6`):
            0 decodes greedily.
        top_p (`float`, *optional*, defaults to `0.95`):
            Nucleus.
        max_completion_length (`int`, *optional*, defaults to `32768`):
            Tokens.
        per_device_eval_batch_size (`int`, *optional*, defaults to `64`):
            Completions at once; hardware decides. Of `vllm`: that are handed to it at once, and lost by a kill.
        use_cpu (`bool`, *optional*, defaults to `False`):
            Leave an accelerator alone.
        seed (`int`, *optional*, defaults to `42`):
            Of the sampling.
        base_url (`list[str]`, *optional*):
            Of `openai`: one or more servers, such as `http://localhost:8000/v1`.
        served_model_name (`str`, *optional*):
            Of `openai`: the model's name on the servers. `model_name_or_path` may then name its tokenizer: it tells
            whether the chat template opens `<think>`, and an end token that the server leaves in the text.
        api_key_env (`str`, *optional*):
            Of `openai`: the environment variable with the key. Without it, none is sent.
        extra_body (`dict` or `str`, *optional*):
            Of `openai`: what else goes into each request, such as `{top_k: -1}`; JSON on the command line.
        max_concurrent_requests (`int`, *optional*, defaults to `64`):
            Of `openai`: requests in flight to each server.
        request_timeout (`float`, *optional*, defaults to `3600.0`):
            Of `openai`: seconds for one answer.
        server_timeout (`float`, *optional*, defaults to `600.0`):
            Of `openai`: the run ends when every server has failed for so many seconds.
        vllm_tensor_parallel_size (`int`, *optional*, defaults to `1`):
            Of `vllm`: GPUs that share the model.
        vllm_gpu_memory_utilization (`float`, *optional*, defaults to `0.9`):
            Of `vllm`: share of the GPU's memory.
    """

    sampling_backend: str = field(default="transformers", metadata={"help": "Who samples.", "choices": list(BACKENDS)})
    num_generations: int = field(default=16, metadata={"help": "k, answers to each question."})
    temperature: float = field(default=0.6, metadata={"help": "Temperature of the sampling."})
    top_p: float = field(default=0.95, metadata={"help": "Nucleus of the sampling."})
    max_completion_length: int = field(default=32768, metadata={"help": "Maximum length in tokens."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Completions at once."})
    use_cpu: bool = field(default=False, metadata={"help": "Leave an accelerator alone."})
    seed: int = field(default=42, metadata={"help": "Seed of the sampling."})
    base_url: list[str] | None = field(default=None, metadata={"help": "openai: one or more servers."})
    served_model_name: str | None = field(default=None, metadata={"help": "openai: the model's name on the servers."})
    api_key_env: str | None = field(
        default=None, metadata={"help": "openai: environment variable with the key; none is sent by default."}
    )
    extra_body: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "openai: what else goes into each request; JSON on the command line."}
    )
    max_concurrent_requests: int = field(default=64, metadata={"help": "openai: requests in flight to each server."})
    request_timeout: float = field(default=3600.0, metadata={"help": "openai: seconds for one answer."})
    server_timeout: float = field(
        default=600.0, metadata={"help": "openai: the run ends when every server has failed for so many seconds."}
    )
    vllm_tensor_parallel_size: int = field(default=1, metadata={"help": "vllm: GPUs that share the model."})
    vllm_gpu_memory_utilization: float = field(default=0.9, metadata={"help": "vllm: share of the GPU's memory."})

    def __post_init__(self) -> None:
        if self.sampling_backend not in BACKENDS:
            hint = did_you_mean(self.sampling_backend, BACKENDS, quote="`")
            raise InputError(f"`sampling_backend: {self.sampling_backend}` must be one of {', '.join(BACKENDS)}{hint}")
        require_at_least(
            self,
            1,
            "num_generations",
            "max_completion_length",
            "per_device_eval_batch_size",
            "max_concurrent_requests",
            "vllm_tensor_parallel_size",
        )
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise InputError(
                f"`temperature: {self.temperature}` must not be negative and `top_p: {self.top_p}` must be in (0, 1]"
            )
        for name in ("request_timeout", "server_timeout", "vllm_gpu_memory_utilization"):
            if not getattr(self, name) > 0:
                raise InputError(f"`{name}: {getattr(self, name)}` must be positive")
        self.extra_body = read_object(self.extra_body, "extra_body")
        if self.sampling_backend == "openai":
            check_servers(self.base_url, self.served_model_name, self.api_key_env)
        elif self.base_url:
            raise InputError(
                f"`base_url: {self.base_url}` is of `sampling_backend: openai`: set that, or leave `base_url` out"
            )


def require_at_least(config: Any, least: int, *names: str) -> None:
    """Refuses numbers that are too small; `None` passes.

    >>> require_at_least(SamplingConfig(), 100, "num_generations")
    Traceback (most recent call last):
    r1_trl.errors.InputError: `num_generations: 16` must be at least 100
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and value < least:
            raise InputError(f"`{name}: {value}` must be at least {least}")


def read_object(value: dict[str, Any] | str | None, name: str) -> dict[str, Any] | None:
    """A mapping of YAML as it is, or the JSON of one from the command line.

    >>> read_object('{"top_k": -1}', "extra_body")
    {'top_k': -1}
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise InputError(f"`{name}: {value}` is no JSON: {error}") from error
    if value is not None and not isinstance(value, dict):
        raise InputError(f"`{name}: {value}` must map names to values")
    return value


def check_servers(base_url: list[str] | None, model: str | None, api_key_env: str | None, prefix: str = "") -> None:
    """Refuses servers that cannot be asked; none of them is asked yet.

    Args:
        base_url (`list[str]` or `None`): Their addresses.
        model (`str` or `None`): The model's name there.
        api_key_env (`str` or `None`): The environment variable with the key.
        prefix (`str`, *optional*): Of the settings' names, for the message: `"judge_"` or nothing.

    Raises:
        InputError: An address or the name is missing or wrong, or the variable is not set.

    >>> check_servers(["localhost:8000"], "my-model", None)
    Traceback (most recent call last):
    r1_trl.errors.InputError: `base_url: localhost:8000` must be the address of an API, such as \
http://localhost:8000/v1
    """
    if not base_url:
        raise InputError(f"`{prefix}base_url` is missing: name one or more servers, such as http://localhost:8000/v1")
    for url in base_url:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"`{prefix}base_url: {url}` must be the address of an API, such as http://localhost:8000/v1"
            )
        if parts.username or parts.password:
            raise InputError(f"`{prefix}base_url` for {parts.hostname} holds a password: use `{prefix}api_key_env`")
    if not model:
        name = f"{prefix}model" if prefix else "served_model_name"
        raise InputError(f"`{name}` is missing: it is the model's name on {', '.join(base_url)}")
    if api_key_env and not os.environ.get(api_key_env):
        raise InputError(f"`{prefix}api_key_env: {api_key_env}`: no such environment variable. Set it to the key")
