"""A reward model at work: loaded when it is first asked, in micro-batches, with its share of memory bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate import PartialState
from trl import ModelConfig, get_quantization_config
from trl.trainer.utils import pad

from r1_trl.completion import Messages
from r1_trl.errors import InputError
from r1_trl.precision import compute_dtype
from r1_trl.preference.folder import RewardModel, load_reward_model, load_tokenizer
from r1_trl.preference.text import response_ids, template_problem

DTYPES = ("bfloat16", "float16", "float32")


class RewardScorer:
    """Logits of a reward model for prompts and responses. Pickles without its weights.

    Args:
        found ([`~r1_trl.preference.folder.RewardModel`]): What to load.
        scores (`str`): `"answer"` or `"response"`: what it is asked about.
        micro_batch_size (`int`): Rows in one forward pass.
        max_length (`int`): Tokens; at most those that the model has positions for.
        dtype (`str` or `None`): Of [`DTYPES`]; by default what the device computes in.
        quantisation (`dict`): `load_in_4bit` or `load_in_8bit`; empty: as an adapter's base was in training.
        device (`str` or `None`): By default that of this process, by accelerate.
        offload (`bool`): The weights wait on the CPU between two calls.

    Raises:
        [`~r1_trl.errors.InputError`]: An argument is refused.
    """

    def __init__(
        self,
        found: RewardModel,
        scores: str,
        micro_batch_size: int,
        max_length: int,
        dtype: str | None,
        quantisation: dict[str, bool],
        device: str | None,
        offload: bool,
    ) -> None:
        trained = {key: value for key, value in found.record.items() if key not in ("kind", "scores")}
        self.found, self.scores = found, scores
        self.micro_batch_size, self.max_length = micro_batch_size, max_length
        self.dtype, self.device, self.offload = dtype, device, offload
        self.quantisation = quantisation or trained
        self.model: Any = None
        self.tokenizer: Any = None
        bits = [name for name in ("load_in_4bit", "load_in_8bit") if self.quantisation.get(name)]
        problems = [
            (micro_batch_size < 1, f"`micro_batch_size: {micro_batch_size}` must be at least 1"),
            (max_length < 1, f"`max_length: {max_length}` must be at least 1"),
            (dtype not in (None, *DTYPES), f"`dtype: {dtype}` must be one of {', '.join(DTYPES)}"),
            (len(bits) > 1, "`load_in_4bit` and `load_in_8bit` exclude each other: set one"),
            (
                offload and "load_in_8bit" in bits,
                "`offload` with `load_in_8bit`: they cannot move. Use `load_in_4bit`",
            ),
        ]
        for refused, problem in problems:
            if refused:
                raise InputError(problem)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "model": None, "tokenizer": None}

    def __call__(self, prompts: Sequence[str | Messages], texts: Sequence[str]) -> tuple[list[float], int]:
        """Scores B responses.

        Args:
            prompts (`Sequence` of `str` or of messages, length B): The prompts, all in one form.
            texts (`Sequence[str]` of length B): What is scored of each response.

        Returns:
            `tuple[list[float], int]`: B logits, and how many rows were longer than `max_length` and lost their
                beginning.

        Raises:
            [`~r1_trl.errors.InputError`]: The tokenizer's chat template does not show what is to be scored.
        """
        if self.model is None:
            self._load(conversational=not isinstance(prompts[0], str))
        positions = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        limit = min(self.max_length, positions or self.max_length)
        ids = [response_ids(self.tokenizer, prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        return self._logits([row[-limit:] for row in ids]).tolist(), sum(len(row) > limit for row in ids)

    @torch.inference_mode()
    def _logits(self, ids: list[list[int]]) -> torch.Tensor:
        """Of B rows, in micro-batches of similar length; the longest first, so that memory runs out early if ever."""
        device = self._device()
        if self.offload:
            self.model.to(device)
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        logits = torch.empty(len(ids))
        for start in range(0, len(order), self.micro_batch_size):
            chosen = order[start : start + self.micro_batch_size]
            rows = [torch.tensor(ids[i]) for i in chosen]
            input_ids = pad(rows, padding_value=self.tokenizer.pad_token_id, padding_side="right")  # (b, T)
            mask = pad([torch.ones_like(row) for row in rows], padding_value=0, padding_side="right")  # (b, T)
            outputs = self.model(input_ids=input_ids.to(device), attention_mask=mask.to(device), use_cache=False)
            logits[torch.tensor(chosen)] = outputs.logits.squeeze(-1).float().cpu()  # (b,)
        if self.offload:
            self.model.to("cpu")
        return logits

    def load_tokenizer(self, conversational: bool) -> Any:
        """The model's tokenizer.

        Args:
            conversational (`bool`): Prompts are messages.

        Raises:
            [`~r1_trl.errors.InputError`]: They are, and its chat template does not show what is to be scored.
        """
        tokenizer = load_tokenizer(self.found)
        problem = template_problem(tokenizer, self.scores) if conversational else None
        if problem is not None:
            raise InputError(f"`model_name_or_path: {self.found.name}`: {problem}")
        return tokenizer

    def _load(self, conversational: bool) -> None:
        tokenizer = self.load_tokenizer(conversational)
        device = self._device()
        dtype = getattr(torch, self.dtype) if self.dtype else compute_dtype(device.type == "cpu")
        settings: Any = {**self.quantisation, "dtype": str(dtype).removeprefix("torch.")}
        model = load_reward_model(self.found, dtype, get_quantization_config(ModelConfig(**settings)), device)
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id  # by which the last token is found
        self.model, self.tokenizer = model, tokenizer

    def _device(self) -> torch.device:
        return torch.device(self.device) if self.device else PartialState().device
