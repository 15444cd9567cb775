"""`r1-trl doctor --config recipe.yaml [--gpu 24GB]`: the findings of a recipe and its memory, in a table."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from r1_trl.doctor.device import GIB, Device, device_at_hand, named_device
from r1_trl.doctor.diagnosis import Diagnosis, examine
from r1_trl.doctor.memory import Estimate, Memory
from r1_trl.doctor.recipe import read_recipe
from r1_trl.errors import InputError
from r1_trl.grpo.config import R1GRPOConfig
from r1_trl.miniature import PREFIX
from r1_trl.precision import settle_mixed_precision
from r1_trl.stages.arguments import StageParser
from r1_trl.stages.data import load_datasets
from r1_trl.stages.grpo import R1GRPOScriptArguments
from r1_trl.stages.models import R1ModelConfig, check_model, check_training, given_settings, settle_model_args
from r1_trl.stages.rewards import load_reward_funcs, named_rewards
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tasks.feature_types import Rows
from r1_trl.tasks.generated import GENERATED

_WIDTH = 100


@dataclass
class DoctorConfig:
    """
    Settings of `r1-trl doctor` beside those of `r1-trl grpo`.

    Parameters:
        gpu (`str`, *optional*):
            A size of memory such as `24GB`, or a card's name such as `t4`. Defaults to the visible GPU, or else this
            machine's CPU.
    """

    gpu: str | None = field(
        default=None, metadata={"help": "Memory such as `24GB`, or a card such as `t4`; the one at hand by default."}
    )


@dataclass
class RecipeConfig(R1GRPOConfig):
    """[`R1GRPOConfig`] whose precision is not checked against this machine, since the recipe may be for another."""

    def __post_init__(self) -> None:
        bf16, fp16, tf32 = self.bf16, self.fp16, self.tf32
        if bf16 and fp16:
            raise InputError("`bf16: true` and `fp16: true` exclude each other: keep one")
        self.bf16, self.fp16, self.tf32 = False, False, None
        super().__post_init__()
        self.bf16, self.fp16, self.tf32 = bf16, fp16, tf32


def make_parser() -> StageParser:
    """The parser of `r1-trl doctor`."""
    summary = "what will go wrong with a recipe for `r1-trl grpo` on a device, before anything loads"
    settings = [DoctorConfig, RecipeConfig, R1GRPOScriptArguments, R1ModelConfig, R1DatasetMixtureConfig]
    return StageParser("doctor", summary, settings)


def main(argv: list[str]) -> None:
    """Runs the command; exits with code 1 when there is an error among the findings.

    Args:
        argv (`list[str]`): The words after `r1-trl doctor`.

    Raises:
        InputError: What `r1-trl grpo` refuses as well, or an unknown card.
    """
    config, training_args, script_args, model_args, mixture_args = make_parser().parse(argv)
    device = settle_device(config.gpu, training_args)
    path, dtype = check_model(model_args, allow_adapter=True), model_args.dtype
    settle_model_args(path, model_args, training_args, given_settings(argv))
    model_args.dtype = dtype  # left open, it follows the device, which need not be here
    check_training(training_args, model_args)
    rewards = _load_rewards(script_args.reward_funcs or [], script_args.reward_kwargs)
    dataset = _local_dataset(script_args, mixture_args, training_args)
    diagnosis = examine(read_recipe(training_args, model_args, device, rewards, dataset))
    print(format_diagnosis(diagnosis))
    if diagnosis.has_errors:
        raise SystemExit(1)


def settle_device(gpu: str | None, training_args: Any) -> Device:
    """The device that a recipe is read for, by which the precision that it leaves open is filled in, in place.

    Args:
        gpu (`str`, *optional*): As in [`DoctorConfig`].
        training_args ([`RecipeConfig`]): `use_cpu`, `bf16` and `fp16` are read.

    Raises:
        InputError: The card is unknown, or the recipe is for a CPU.
    """
    if gpu and training_args.use_cpu:
        raise InputError(f"`gpu: {gpu}` and `use_cpu: true` exclude each other: add `--use_cpu false`")
    device = named_device(gpu) if gpu else device_at_hand(training_args.use_cpu)
    settle_mixed_precision(training_args, device.compute_dtype)
    return device


def _load_rewards(names: list[str], reward_kwargs: Any) -> list[Any]:
    """Those with a path are reward models of TRL, which a recipe for it may name."""
    functions = [name for name in names if "/" not in name]
    loaded = load_reward_funcs(functions, reward_kwargs) if functions or not names else []
    return [*named_rewards(functions, loaded), *(name for name in names if "/" in name)]


def _local_dataset(script_args: Any, mixture_args: R1DatasetMixtureConfig, training_args: Any) -> Rows | None:
    """The training set where it costs no download and is no stream."""
    paths = [entry.path for entry in mixture_args.datasets]
    if script_args.dataset_name:
        paths.append(script_args.dataset_name)
    streams = script_args.dataset_streaming or mixture_args.streaming
    if streams or not paths or not all(map(_is_local, paths)):
        return None
    return load_datasets(script_args, mixture_args, training_args)[0]


def _is_local(path: str) -> bool:
    return path.startswith((PREFIX, GENERATED, ".", "/", "~")) or Path(path).exists()


def format_diagnosis(diagnosis: Diagnosis) -> str:
    """The findings, then the table of memory.

    Args:
        diagnosis ([`~doctor.Diagnosis`]): Of a recipe.
    """
    recipe = diagnosis.recipe
    lines = []
    for finding in diagnosis.findings:
        lines.append(f"{finding.level:<9}{finding.trap}")
        for text in (f"{finding.message}.", f"Remedy: {finding.remedy}."):
            lines += textwrap.wrap(text, _WIDTH, initial_indent=" " * 9, subsequent_indent=" " * 9)
    counts = {
        level: sum(finding.level == level for finding in diagnosis.findings) for level in ("error", "warning", "note")
    }
    lines += ["", ", ".join(f"{count} {level}{'s' * (count != 1)}" for level, count in counts.items())]
    if diagnosis.estimate is not None:
        lines += ["", format_memory(diagnosis.estimate, recipe.device)]
    measured = "the longest of the first ones" if recipe.questions else "assumed"
    lines += [f"\nPrompts of {recipe.prompt_tokens} tokens ({measured}), completions of {recipe.completion_tokens}."]
    if recipe.shards:
        lines.append("`fsdp` and `deepspeed` spread memory over devices, which the table does not follow.")
    return "\n".join(lines).lstrip()


def format_memory(estimate: Estimate, device: Device) -> str:
    """The estimate in gigabytes of 2³⁰ bytes, a row for each part and a column for each phase.

    Args:
        estimate ([`~doctor.memory.Estimate`]): Of a workload.
        device ([`~doctor.device.Device`]): What it has is the last row.

    >>> memory = Memory(weights=3 * 2**30, kv_cache=2**29)
    >>> print(format_memory(Estimate({"rollout": memory}), Device("t4", 15 * 2**30, True, False)))
    memory (GB)     rollout
      weights          3.00
      kv cache         0.50
      total            3.50
      t4              15.00
    """
    names = [part.name for part in fields(Memory) if any(getattr(m, part.name) for m in estimate.phases.values())]
    width = max(14, len(device.name) + 2)

    def row(name: str, cells: list[str]) -> str:
        return f"{name:<{width}}" + "".join(f"{cell:>9}" for cell in cells)

    def numbers(part: str) -> list[str]:
        return [f"{getattr(memory, part) / GIB:.2f}" for memory in estimate.phases.values()]

    lines = [row("memory (GB)", list(estimate.phases))]
    lines += [row(f"  {name.replace('_', ' ')}", numbers(name)) for name in [*names, "total"]]
    return "\n".join([*lines, row(f"  {device.name}", [f"{device.memory / GIB:.2f}"])])
