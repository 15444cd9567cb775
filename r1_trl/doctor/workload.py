"""What decides the memory of a run: sizes, lengths, dtypes, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from peft import PeftConfig
from transformers import PreTrainedConfig

from r1_trl.doctor.recipe import Recipe
from r1_trl.doctor.scorers import Scorer, scorers_of

_AUTOCAST = {None: None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Workload:
    """What decides the memory of a run on one device.

    Parameters:
        config ([`~transformers.PreTrainedConfig`]): The policy's.
        dtype (`torch.dtype`): Its weights, and the compute dtype of quantised ones.
        cuda (`bool`): On a GPU; otherwise on a CPU.
        micro_batch (`int`): Completions in one forward and backward pass.
        accumulation (`int`): Such passes in one step.
        generation_rows (`int`): Completions in one call of `generate`.
        rollout_rows (`int`): Completions of one rollout on this device.
        prompt_tokens (`int`), completion_tokens (`int`): The longest.
        checkpointing (`bool`): Activation checkpointing.
        autocast (`torch.dtype`, *optional*): Of mixed precision.
        attention (`str`, *optional*): `"eager"`, or fused.
        optimizer (`str`): Its name in transformers.
        reference (`bool`): There is a KL term.
        syncs_reference (`bool`): The reference is replaced on the way, so an adapter has a frozen copy.
        dropout (`bool`, *optional*): Dropout is left on, whose masks the backward pass needs.
        peft_config ([`~peft.PeftConfig`], *optional*): Of the adapter; without it all weights are trained.
        adapter_dtype (`torch.dtype`, *optional*, defaults to `torch.float32`): Of the adapter's weights.
        bits (`int`, *optional*): 4 or 8 where the frozen weights are quantised.
        nested_quantization (`bool`, *optional*): The constants of 4-bit weights are quantised too.
        top_k (`int`, *optional*), top_p (`float`, *optional*): Of the rollout.
        reward_models (`tuple[Scorer, ...]`, *optional*): Models among the rewards.
        uses_vllm (`bool`, *optional*): `generate` is not called.
        vllm_bytes (`int`, *optional*): What vLLM takes of the same device.
        vllm_sleeps (`bool`, *optional*): vLLM gives it back during the update.
        processes (`int`, *optional*, defaults to `1`): More than one hold gradients twice, as DDP's buckets.
    """

    config: PreTrainedConfig
    dtype: torch.dtype
    cuda: bool
    micro_batch: int
    accumulation: int
    generation_rows: int
    rollout_rows: int
    prompt_tokens: int
    completion_tokens: int
    checkpointing: bool
    autocast: torch.dtype | None
    attention: str | None
    optimizer: str
    reference: bool
    syncs_reference: bool
    dropout: bool = False
    peft_config: PeftConfig | None = None
    adapter_dtype: torch.dtype = torch.float32
    bits: int | None = None
    nested_quantization: bool = False
    top_k: int = 0
    top_p: float = 1.0
    reward_models: tuple[Scorer, ...] = ()
    uses_vllm: bool = False
    vllm_bytes: int = 0
    vllm_sleeps: bool = False
    processes: int = 1


def workload_of(recipe: Recipe) -> Workload:
    """The workload of one device.

    Args:
        recipe ([`~doctor.recipe.Recipe`]): Its settings are read.
    """
    args, model_args = recipe.training_args, recipe.model_args
    eval_rows = args.per_device_eval_batch_size if recipe.evaluates else 0
    rows = max(recipe.rollout_rows, eval_rows)
    colocates = args.use_vllm and args.vllm_mode == "colocate"
    adapter_dtype = getattr(torch, str(recipe.setting("adapter_dtype", "float32")))
    return Workload(
        recipe.config,
        recipe.dtype,
        recipe.device.is_gpu,
        micro_batch=args.per_device_train_batch_size,
        accumulation=args.gradient_accumulation_steps,
        generation_rows=min(recipe.setting("generation_chunk_size") or rows, rows),
        rollout_rows=rows,
        prompt_tokens=recipe.prompt_tokens,
        completion_tokens=recipe.completion_tokens,
        checkpointing=bool(args.activation_checkpointing),
        autocast=_AUTOCAST[recipe.mixed_precision],
        attention=model_args.attn_implementation,
        optimizer=str(getattr(args.optim, "value", args.optim)),
        reference=args.beta != 0.0,
        syncs_reference=args.sync_ref_model or recipe.starts_from_adapter,
        dropout=not args.disable_dropout,
        peft_config=recipe.adapter,
        adapter_dtype=adapter_dtype,
        bits=4 if model_args.load_in_4bit else 8 if model_args.load_in_8bit else None,
        nested_quantization=model_args.use_bnb_nested_quant,
        top_k=args.top_k,
        top_p=args.top_p,
        reward_models=scorers_of(recipe),
        uses_vllm=args.use_vllm,
        vllm_bytes=int(args.vllm_gpu_memory_utilization * recipe.device.memory) if colocates else 0,
        vllm_sleeps=args.vllm_enable_sleep_mode,
        processes=args.world_size,
    )
