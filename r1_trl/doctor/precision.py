"""Traps of precision: dtypes, quantisation, and rollouts that change the weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from r1_trl.doctor.finding import Finding
from r1_trl.doctor.recipe import Recipe

_TYPICAL_WEIGHT = 0.02  # `initializer_range` of most models; trained weights are of that size


def bf16_adapters(recipe: Recipe) -> Finding | None:
    """Updates below half a unit in the last place of bfloat16 (2⁻⁹ of a weight) round away.

    TRL casts adapters on quantised weights to bfloat16. An adapter's `lora_A` starts at about 1/√(3 H).
    """
    rate = recipe.setting("learning_rate")
    size = 1 / math.sqrt(3 * recipe.config.get_text_config().hidden_size)
    if recipe.adapter is None or recipe.setting("adapter_dtype", "float32") != "bfloat16" or rate > size / 512:
        return None
    return Finding(
        "bf16-adapters",
        "error",
        f"`adapter_dtype: bfloat16` with `learning_rate: {rate:g}` loses updates: a weight of {size:.2g} moves only "
        f"by more than {size / 512:.1g}",
        "leave `adapter_dtype: float32`",
    )


def bf16_weights(recipe: Recipe) -> Finding | None:
    """The same for all weights, where they are bfloat16 and no optimizer keeps float32 copies (DeepSpeed does)."""
    rate = recipe.setting("learning_rate")
    too_small = rate < _TYPICAL_WEIGHT / 512
    if recipe.adapter is not None or recipe.dtype != torch.bfloat16 or recipe.shards or not too_small:
        return None
    return Finding(
        "bf16-weights",
        "error",
        f"`dtype: bfloat16` without an adapter and `learning_rate: {rate:g}` loses updates: a weight of "
        f"{_TYPICAL_WEIGHT} moves only by more than {_TYPICAL_WEIGHT / 512:.1g}",
        "set `dtype: float32` and let `bf16: true` compute in bfloat16, or train an adapter (`use_peft: true`)",
    )


def fp16_weights(recipe: Recipe) -> Finding | None:
    """The gradient scaler of mixed precision refuses float16 gradients at the first step."""
    if recipe.adapter is not None or recipe.dtype != torch.float16 or recipe.mixed_precision != "fp16":
        return None
    return Finding(
        "fp16-weights",
        "error",
        "`dtype: float16` with `fp16: true` and no adapter fails at the first step, which unscales no float16",
        "set `dtype: float32`, or train an adapter (`use_peft: true`)",
        certain=not recipe.shards,
    )


def float32_base(recipe: Recipe) -> Finding | None:
    """TRL's `dtype` is float32 by default, and the compute dtype of 4-bit weights follows it."""
    if not recipe.device.is_gpu or recipe.adapter is None or recipe.dtype != torch.float32:
        return None
    if recipe.setting("use_vllm") and not recipe.quantized:
        return None  # merging needs the precision
    cost = (
        "computes every product of quantised weights in float32"
        if recipe.quantized
        else "holds the frozen weights at twice the size they need"
    )
    return Finding(
        "float32-base",
        "warning",
        f"`dtype: float32` with an adapter {cost}",
        "leave `dtype` out: r1-trl takes the half precision of the GPU",
    )


def active_dropout(recipe: Recipe) -> Finding | None:
    """Dropout stays active in TRL's rollouts, and π_θ/π_old is not 1 at the first update."""
    dropout = getattr(recipe.adapter, "lora_dropout", 0.0)
    if recipe.setting("disable_dropout") or not dropout:
        return None
    return Finding(
        "active-dropout",
        "error",
        f"`disable_dropout: false` leaves `lora_dropout: {dropout}` on while answers are sampled and scored",
        "set `disable_dropout: true` (r1-trl's default) or `lora_dropout: 0`",
    )


def vllm_4bit(recipe: Recipe) -> Finding | None:
    """vLLM is given merged weights: merging into 4 bits moves them by 16% a cycle, or fails (TRL #4973, #3125)."""
    if not (recipe.setting("use_vllm") and recipe.quantized):
        return None
    bits = 4 if recipe.model_args.load_in_4bit else 8
    return Finding(
        "vllm-quantised",
        "error",
        f"`use_vllm: true` with `load_in_{bits}bit: true` merges the adapter into quantised weights, which drift",
        f"drop `load_in_{bits}bit` (`dtype: bfloat16`), or `use_vllm`",
    )


def vllm_drift(recipe: Recipe) -> Finding | None:
    """Each sync merges the adapter into the base and takes it out again, in the base's own precision."""
    merges = recipe.setting("use_vllm") and recipe.adapter is not None and not recipe.quantized
    if not merges or recipe.dtype == torch.float32:
        return None
    name = str(recipe.dtype).removeprefix("torch.")
    return Finding(
        "vllm-merge-drift",
        "warning",
        f"`use_vllm: true` merges the adapter into a `dtype: {name}` base and out again before each rollout: the base "
        "drifts a little every time",
        "set `dtype: float32` where memory allows, or keep runs short and log the KL",
    )


def continuous_batching_casts(recipe: Recipe) -> Finding | None:
    """TRL casts the weights that are being trained to the half precision of the rollout, for good."""
    precision = recipe.mixed_precision
    if not recipe.setting("use_transformers_continuous_batching") or precision is None:
        return None
    return Finding(
        "continuous-batching-casts",
        "error",
        f"`use_transformers_continuous_batching: true` with `{precision}: true` turns the trained weights into "
        f"{precision} for good, and small updates round away",
        "drop `use_transformers_continuous_batching`; `generation_chunk_size` bounds the memory of plain generation",
    )


def bf16_without_gpu(recipe: Recipe) -> Finding | None:
    """transformers refuses bfloat16 without a GPU unless it is told to use the CPU."""
    if recipe.device.is_gpu or not recipe.setting("bf16") or recipe.setting("use_cpu"):
        return None
    return Finding(
        "bf16-without-gpu",
        "error",
        "`bf16: true` is refused where there is no GPU",
        "leave `bf16` out, for r1-trl sets it by the device, or set `use_cpu: true` as well",
        certain=True,
    )


def bf16_emulated(recipe: Recipe) -> Finding | None:
    """Cards before compute capability 8.0 emulate bfloat16, and PyTorch calls that support."""
    asks = recipe.setting("bf16") or recipe.dtype == torch.bfloat16
    if recipe.device.has_bf16 or not asks:
        return None
    key = "`bf16: true`" if recipe.setting("bf16") else "`dtype: bfloat16`"
    return Finding(
        "bf16-emulated",
        "warning",
        f"{key} on {recipe.device.name}, which has no bfloat16 in hardware, runs without its tensor cores",
        "leave `bf16` and `dtype` out: r1-trl takes float16 there",
    )


def gguf_weights(recipe: Recipe) -> Finding | None:
    """transformers loads a GGUF file as quantised modules, which can be neither trained nor saved."""
    kwargs = recipe.setting("model_init_kwargs") or {}
    if "gguf_file" not in kwargs:
        return None
    return Finding(
        "gguf-weights",
        "error",
        f"`gguf_file: {kwargs['gguf_file']}` loads as quantised modules, which cannot be trained",
        "load it once with `quantization_config=GgufConfig(gguf_file=..., dequantize=True)`, `save_pretrained` it, "
        "and name that folder",
    )


PRECISION_TRAPS: tuple[Callable[[Recipe], Finding | None], ...] = (
    bf16_adapters,
    bf16_weights,
    fp16_weights,
    float32_base,
    active_dropout,
    vllm_4bit,
    vllm_drift,
    continuous_batching_casts,
    bf16_without_gpu,
    bf16_emulated,
    gguf_weights,
)
