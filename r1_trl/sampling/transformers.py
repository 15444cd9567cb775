"""Sampling by `generate` of transformers: needs nothing but the model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from tqdm.auto import tqdm
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase, set_seed
from trl.data_utils import is_conversational


class Sample(NamedTuple):
    """One answer to one question."""

    completion: str  # text, without the end token
    num_tokens: int  # with the end token
    truncated: bool  # reached the maximum length before its end


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
    """Samples several answers to each prompt, shortest prompts first so that little is padded.

    Args:
        model ([`~transformers.PreTrainedModel`]): On its device.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): With a chat template where prompts are messages.
        prompts (`Sequence`): Strings, or conversations as lists of messages; Q of them.
        num_generations (`int`): k, answers to each prompt.
        max_completion_length (`int`): Tokens.
        temperature (`float`, *optional*, defaults to `0.6`): DeepSeek-R1's evaluation [v2 D.1]. 0 decodes greedily.
        top_p (`float`, *optional*, defaults to `0.95`): Likewise.
        batch_size (`int`, *optional*, defaults to `64`): Completions at once.
        seed (`int`, *optional*, defaults to `42`): The same seed and batch size give the same answers.

    Returns:
        `list[list[Sample]]`: Q lists of k samples, in the order of the prompts.
    """
    set_seed(seed)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    config = _generation_config(model, tokenizer, max_completion_length, temperature, top_p)
    prompt_ids = [_prompt_ids(prompt, tokenizer) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(prompt_ids[index]))
    pending = [index for index in order for _ in range(num_generations)]  # Q*k, a question's answers side by side
    samples: list[list[Sample]] = [[] for _ in prompts]
    tokens, started = 0, time.monotonic()
    with tqdm(total=len(pending), unit="answer", desc="sampling") as bar, _only(model, config):
        for start in range(0, len(pending), batch_size):
            chosen = pending[start : start + batch_size]
            batch = _generate(model, tokenizer, [prompt_ids[index] for index in chosen], config)
            for index, sample in zip(chosen, batch, strict=True):
                samples[index].append(sample)
            tokens += sum(sample.num_tokens for sample in batch)
            bar.update(len(chosen))
            bar.set_postfix_str(f"{tokens / (time.monotonic() - started):,.0f} tokens/s")
    return samples


def prompt_to_text(prompt: Any, tokenizer: PreTrainedTokenizerBase) -> str:
    """What the model reads: a string as it is, a conversation through the chat template.

    Args:
        prompt (`str` or `list[dict]`): A string, or messages.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): With a chat template where prompts are messages.
    """
    if is_conversational({"prompt": prompt}):
        return str(tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True))
    return str(prompt)


def _prompt_ids(prompt: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    # As TRL does in training: a chat template writes its special tokens itself, a plain text gets the tokenizer's.
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
