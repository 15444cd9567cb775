"""Whether a recipe fits its device, and what would make it fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from peft import LoraConfig

from r1_trl.doctor.device import GIB, Device
from r1_trl.doctor.finding import Finding
from r1_trl.doctor.memory import Estimate, estimate_phase
from r1_trl.doctor.recipe import Recipe
from r1_trl.doctor.workload import Workload

# What an allocator holds beside the tensors: glibc's added 7% to 32% to those of 93M weights (docs/pages/doctor.md).
_ROOM = 0.8
_ASK = "`r1-trl doctor` tells what would fit"
_SUBJECTS = {"rollout": "the rollout", "rewards": "scoring by the reward models", "update": "the update"}
_SCORE_IN_CHUNKS = (
    "lower `steps_per_generation` or `per_device_train_batch_size`, or score in micro-batches by `helpful_reward`, "
    "`safety_reward` or `r1_trl.rewards.preference.PreferenceReward`"
)
_SCORE_LESS = (
    "in `reward_kwargs`, lower `micro_batch_size` or `max_length`, set `load_in_4bit: true` or, on a GPU, "
    "`offload: true`"
)
_LEAST_CHUNK = 4  # fewer completions at once leave a GPU idle

Change = Callable[[Workload], tuple[str, Workload] | None]


def fit_findings(
    recipe: Recipe, workload: Workload, estimate: Estimate, with_remedies: bool = True
) -> Iterator[Finding]:
    """Compares the estimate with the device, phase by phase.

    Args:
        recipe ([`~doctor.recipe.Recipe`]): Its device has the memory.
        workload ([`~doctor.workload.Workload`]): The recipe's.
        estimate ([`~doctor.memory.Estimate`]): The workload's.
        with_remedies (`bool`, *optional*, defaults to `True`):
            Find out what would fit. For a model of 7 billion parameters that takes half a minute.
    """
    limit = recipe.device.memory
    if recipe.reward_configs:
        yield _reward_model(recipe, estimate)
    if recipe.shards:
        return  # the estimate is that of one device that holds everything
    totals = {phase: memory.total for phase, memory in estimate.phases.items()}
    for phase, total in totals.items():
        if total > limit and not (phase == "rewards" and recipe.reward_configs):
            yield Finding(
                f"{phase}-does-not-fit",
                "error",
                f"{_SUBJECTS[phase]} needs about {gb(total)} of the {gb(limit)} of {recipe.device.name}",
                _remedy(phase, workload, limit, recipe.device) if with_remedies else _ASK,
            )
    if _ROOM * limit < estimate.peak <= limit:
        yield Finding(
            "little-room",
            "warning",
            f"the tensors need about {gb(estimate.peak)} of the {gb(limit)} of {recipe.device.name}, and an allocator "
            "holds more than the tensors",
            _remedy(max(totals, key=totals.__getitem__), workload, int(_ROOM * limit), recipe.device)
            if with_remedies
            else _ASK,
        )


def gb(size: float) -> str:
    """A number of bytes in gigabytes of 2³⁰ bytes, or in megabytes below a tenth of one.

    >>> gb(24 * 2**30), gb(5 * 2**20)
    ('24.0 GB', '5 MB')
    """
    return f"{size / GIB:.1f} GB" if size >= GIB / 10 else f"{size / 2**20:.0f} MB"


def _reward_model(recipe: Recipe, estimate: Estimate) -> Finding:
    """TRL scores the whole rollout, prompts and reasoning untruncated, in one forward pass of a reward model."""
    needed, limit = estimate.phases["rewards"].total, recipe.device.memory
    names = ", ".join(recipe.reward_configs)
    tokens = recipe.prompt_tokens + recipe.completion_tokens
    return Finding(
        "reward-model-at-once",
        "error" if needed > limit else "warning",
        f"`reward_funcs: {names}` scores {recipe.rollout_rows} completions of up to {tokens} tokens in one forward "
        f"pass, which takes memory to about {gb(needed)} of {gb(limit)}",
        _SCORE_IN_CHUNKS,
    )


def _remedy(phase: str, workload: Workload, limit: int, device: Device) -> str:
    """The single changes that will do, or else the first few that will do together."""
    if phase == "rewards":
        return _SCORE_IN_CHUNKS if any(scorer.rows is None for scorer in workload.reward_models) else _SCORE_LESS
    half = str(device.compute_dtype).removeprefix("torch.")
    found: list[str] = []
    told: list[str] = []
    for change in _CHANGES[phase]:
        step = _smallest(_steps(change, workload), phase, limit)
        if step is not None:
            found.append(f"{step[0]} would need about {gb(step[1])}")
    if found:
        return "; or ".join(found[:3]).replace("bfloat16", half)
    for change in _CHANGES[phase]:
        steps = _steps(change, workload)
        step = _smallest(steps, phase, limit)
        if step is not None:
            together = ", ".join([*told, step[0]]).replace("bfloat16", half)
            return f"{together} together would need about {gb(step[1])}"
        if steps:
            text, workload = steps[-1]
            told.append(text)
    return "choose a smaller model, or spread it over devices (`fsdp`, `deepspeed`)"


def _smallest(steps: list[tuple[str, Workload]], phase: str, limit: int) -> tuple[str, int] | None:
    """The first step that makes a phase fit, and its bytes; each step needs less than the one before."""
    if not steps or estimate_phase(steps[-1][1], phase).total > limit:
        return None
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        if estimate_phase(steps[middle][1], phase).total > limit:
            low = middle + 1
        else:
            high = middle
    return steps[high][0], estimate_phase(steps[high][1], phase).total


def _steps(change: Change, workload: Workload) -> list[tuple[str, Workload]]:
    """A change, and again, as long as there is something left to change."""
    steps = []
    step = change(workload)
    while step is not None:
        steps.append(step)
        step = change(step[1])
    return steps


def _checkpoint(workload: Workload) -> tuple[str, Workload] | None:
    if workload.checkpointing:
        return None
    return "`activation_checkpointing: true`", replace(workload, checkpointing=True)


def _halve_micro_batch(workload: Workload) -> tuple[str, Workload] | None:
    if workload.micro_batch % 2:
        return None
    rows, passes = workload.micro_batch // 2, workload.accumulation * 2
    text = f"`per_device_train_batch_size: {rows}` with `gradient_accumulation_steps: {passes}`"
    return text, replace(workload, micro_batch=rows, accumulation=passes)


def _half_precision(workload: Workload) -> tuple[str, Workload] | None:
    if workload.peft_config is None or workload.dtype != torch.float32 or not workload.cuda:
        return None
    return "`dtype: bfloat16`", replace(workload, dtype=torch.bfloat16)


def _adapter(workload: Workload) -> tuple[str, Workload] | None:
    if workload.peft_config is not None or not workload.cuda:
        return None
    lora = LoraConfig(task_type="CAUSAL_LM", r=16, target_modules="all-linear")
    text = "`use_peft: true` with `lora_target_modules: [all-linear]` and `dtype: bfloat16`"
    return text, replace(workload, peft_config=lora, dtype=torch.bfloat16)


def _quantize(workload: Workload) -> tuple[str, Workload] | None:
    if workload.peft_config is None or workload.bits is not None or workload.uses_vllm:
        return None
    return "`load_in_4bit: true`", replace(workload, bits=4)


def _halve_completions(workload: Workload) -> tuple[str, Workload] | None:
    tokens = workload.completion_tokens // 2
    if tokens < 64:
        return None
    return f"`max_completion_length: {tokens}`", replace(workload, completion_tokens=tokens)


def _chunk_generation(workload: Workload) -> tuple[str, Workload] | None:
    rows = workload.generation_rows // 2
    if rows < _LEAST_CHUNK or workload.uses_vllm:
        return None
    return f"`generation_chunk_size: {rows}`", replace(workload, generation_rows=rows)


_CHANGES: dict[str, tuple[Change, ...]] = {
    # The order is that of their cost: quantised weights learn less, and shorter completions cut reasoning off.
    "rollout": (_half_precision, _chunk_generation, _adapter, _quantize, _halve_completions),
    "update": (_half_precision, _checkpoint, _halve_micro_batch, _adapter, _quantize, _halve_completions),
}
