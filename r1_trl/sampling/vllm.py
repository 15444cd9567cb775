"""Sampling by vLLM in this process, on GPUs. Not run yet: no machine of ours has had one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from r1_trl.errors import MissingExtraError
from r1_trl.sampling.sampler import Request, Sample
from r1_trl.sampling.transformers import encode_prompt


class VLLMSampler:
    """Hands batches of requests to [`vllm.LLM`], which schedules them.

    Args:
        model (`str`): Folder or Hub id of a whole model; of the base, where there is an adapter.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): With a chat template where prompts are messages.
        max_completion_length (`int`): Tokens.
        temperature (`float`, *optional*, defaults to `0.6`): Of the sampling.
        top_p (`float`, *optional*, defaults to `0.95`): Of the sampling.
        batch_size (`int`, *optional*, defaults to `64`): Requests at once; a kill loses so many.
        adapter (`str`, *optional*): Folder of a LoRA adapter.
        max_lora_rank (`int`, *optional*, defaults to `16`): Its rank.
        **kwargs: Of [`vllm.LLM`].

    Raises:
        MissingExtraError: The extra `vllm` is missing.
    """

    def __init__(
        self,
        model: str,
        tokenizer: PreTrainedTokenizerBase,
        max_completion_length: int,
        temperature: float = 0.6,
        top_p: float = 0.95,
        batch_size: int = 64,
        adapter: str | None = None,
        max_lora_rank: int = 16,
        **kwargs: Any,
    ) -> None:
        check_vllm()
        from vllm import LLM
        from vllm.lora.request import LoRARequest

        if adapter is not None:
            kwargs |= {"enable_lora": True, "max_lora_rank": max_lora_rank}
        self.llm = LLM(model=model, **kwargs)
        self.lora_request = None if adapter is None else LoRARequest("adapter", 1, adapter)
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.settings = {"max_tokens": max_completion_length, "temperature": temperature, "top_p": top_p}

    def sample(self, requests: Sequence[Request]) -> Iterator[tuple[int, Sample]]:
        """See [`Sampler.sample`]."""
        from vllm import SamplingParams

        for start in range(0, len(requests), self.batch_size):
            batch = requests[start : start + self.batch_size]
            outputs = self.llm.generate(
                [{"prompt_token_ids": encode_prompt(request.prompt, self.tokenizer)} for request in batch],
                [SamplingParams(seed=request.seed, **self.settings) for request in batch],
                lora_request=self.lora_request,
                use_tqdm=False,
            )
            for index, output in enumerate(outputs, start=start):
                (answer,) = output.outputs
                yield index, Sample(answer.text, len(answer.token_ids), answer.finish_reason == "length")


def check_vllm() -> None:
    """Refuses to go on without vLLM.

    Raises:
        MissingExtraError: The extra `vllm` is missing.
    """
    if importlib.util.find_spec("vllm") is None:
        raise MissingExtraError("vllm", "vllm", "`sampling_backend: vllm`")
