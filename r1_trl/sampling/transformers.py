"""Sampling by `generate` of transformers: needs nothing but the model."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase, set_seed
from trl.data_utils import is_conversational

from r1_trl.sampling.sampler import Request, Sample, answer_seed


class TransformersSampler:
    """Samples in batches of similar prompt length, the shortest first, so that little is padded.

    An answer depends on its batch and on the random numbers that the batches before have used up, so the seeds of the
    requests are not used. A run that is stopped goes on at its last whole batch, from its random state, and ends with
    the answers of one that was left alone: an [`ExactSampler`].

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]): On its device.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): With a chat template where prompts are messages.
        max_completion_length (`int`): Tokens.
        temperature (`float`, *optional*, defaults to `0.6`): DeepSeek-R1's evaluation [v2 D.1]. 0 decodes greedily.
        top_p (`float`, *optional*, defaults to `0.95`): Likewise.
        batch_size (`int`, *optional*, defaults to `64`): Completions at once.
        seed (`int`, *optional*, defaults to `42`): The same seed and batch size give the same answers.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_completion_length: int,
        temperature: float = 0.6,
        top_p: float = 0.95,
        batch_size: int = 64,
        seed: int = 42,
    ) -> None:
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.model = model
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.seed = seed
        self.state: str | None = None
        self._start: str | None = None
        self._config = _generation_config(model, tokenizer, max_completion_length, temperature, top_p)

    def restore(self, state: str) -> None:
        """See [`ExactSampler.restore`]."""
        self._start = state

    def sample(self, requests: Sequence[Request]) -> Iterator[tuple[int, Sample]]:
        """See [`Sampler.sample`]."""
        if self._start is None:
            set_seed(self.seed)
        else:
            _set_random_state(self._start)
        prompt_ids: list[list[int]] = []
        for index, request in enumerate(
            requests
        ):  # the answers to a question stand side by side, and share its tokens
            repeated = index > 0 and request.prompt == requests[index - 1].prompt
            prompt_ids.append(prompt_ids[-1] if repeated else encode_prompt(request.prompt, self.tokenizer))
        order = sorted(range(len(requests)), key=lambda index: len(prompt_ids[index]))
        with _only(self.model, self._config):
            for start in range(0, len(order), self.batch_size):
                chosen = order[start : start + self.batch_size]
                self.state = None
                answers = _generate(self.model, self.tokenizer, [prompt_ids[i] for i in chosen], self._config)
                for index, answer in zip(chosen, answers, strict=True):
                    if index == chosen[-1]:
                        self.state = _random_state()
                    yield index, answer


def sample_completions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Any],
    num_generations: int,
    max_completion_length: int,
    temperature: float = 0.6,
    top_p: float = 0.95,
    batch_size: int = 64,
    seed: int = 42,
) -> list[list[Sample]]:
    """Samples several answers to each prompt, in memory alone.

    Args:
        model, tokenizer, max_completion_length, temperature, top_p, batch_size, seed: See [`TransformersSampler`].
        prompts (`Sequence`): Strings, or conversations as lists of messages; Q of them.
        num_generations (`int`): k, answers to each prompt.

    Returns:
        `list[list[Sample]]`: Q lists of k samples, in the order of the prompts.
    """
    sampler = TransformersSampler(model, tokenizer, max_completion_length, temperature, top_p, batch_size, seed)
    requests = [
        Request(prompt, answer_seed(seed, question, number))
        for question, prompt in enumerate(prompts)
        for number in range(num_generations)
    ]
    found = dict(tqdm(sampler.sample(requests), total=len(requests), unit="answer", desc="sampling"))
    return [
        [found[question * num_generations + number] for number in range(num_generations)]
        for question in range(len(prompts))
    ]


def _random_state() -> str:
    """The random numbers to come, as text. A state of the CPU has 5 kB, one of a GPU 16 bytes."""
    states = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]
    return json.dumps([base64.b64encode(state.numpy().tobytes()).decode() for state in states])


def _set_random_state(text: str) -> None:
    cpu, *gpus = (
        torch.frombuffer(bytearray(base64.b64decode(state)), dtype=torch.uint8) for state in json.loads(text)
    )
    torch.set_rng_state(cpu)
    for device, state in enumerate(gpus):
        torch.cuda.set_rng_state(state, device)


def prompt_to_text(prompt: Any, tokenizer: PreTrainedTokenizerBase) -> str:
    """What the model reads: a string as it is, a conversation through the chat template.

    Args:
        prompt (`str` or `list[dict]`): A string, or messages.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): With a chat template where prompts are messages.
    """
    if is_conversational({"prompt": prompt}):
        return str(tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True))
    return str(prompt)


def encode_prompt(prompt: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that the model reads.

    As TRL has it in training: a chat template writes its special tokens itself, a plain text gets the tokenizer's.

    Args:
        prompt (`str` or `list[dict]`): A string, or messages.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): With a chat template where prompts are messages.
    """
    add_special_tokens = not is_conversational({"prompt": prompt})
    ids = tokenizer(prompt_to_text(prompt, tokenizer), add_special_tokens=add_special_tokens)["input_ids"]
    return list(ids)


@contextmanager
def _only(model: PreTrainedModel, config: GenerationConfig) -> Iterator[None]:
    # `generate` fills what a config leaves open from the model's own, such as a repetition penalty.
    own = model.generation_config
    model.generation_config = config
    try:
        yield
    finally:
        model.generation_config = own


def _generation_config(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_new_tokens: int, temperature: float, top_p: float
) -> GenerationConfig:
    declared = model.generation_config.eos_token_id
    ends = declared if isinstance(declared, list) else [declared]
    sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=sorted({end for end in [*ends, tokenizer.eos_token_id] if end is not None}),
        disable_compile=True,
        **(sampling if temperature > 0 else {"do_sample": False}),
    )


@torch.inference_mode()
def _generate(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt_ids: list[list[int]], config: GenerationConfig
) -> list[Sample]:
    inputs = tokenizer.pad({"input_ids": prompt_ids}, return_tensors="pt").to(model.device)
    generate: Any = model.generate  # typed as a tensor or a module by torch
    output = generate(**inputs, generation_config=config)  # (B, P + T)
    completion_ids = output[:, inputs["input_ids"].shape[1] :].cpu()  # (B, T)
    is_end = torch.isin(completion_ids, torch.tensor(config.eos_token_id))
    ended = is_end.any(dim=1)
    length = torch.where(ended, is_end.int().argmax(dim=1) + 1, completion_ids.shape[1])  # (B,)
    return [
        Sample(str(tokenizer.decode(ids[:count], skip_special_tokens=True)), int(count), not bool(end))
        for ids, count, end in zip(completion_ids, length, ended, strict=True)
    ]
