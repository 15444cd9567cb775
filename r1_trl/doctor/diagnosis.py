"""All findings of a recipe and its memory, in one object; and the short form that `r1-trl grpo` starts with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, IterableDataset
from trl import ModelConfig

from r1_trl.doctor.advice import ADVICE, departures
from r1_trl.doctor.device import Device, device_at_hand, named_device
from r1_trl.doctor.finding import LEVELS, Finding
from r1_trl.doctor.fit import fit_findings, gb
from r1_trl.doctor.memory import Estimate, estimate_memory
from r1_trl.doctor.recipe import Recipe, read_recipe
from r1_trl.doctor.traps import TRAPS
from r1_trl.doctor.workload import workload_of
from r1_trl.errors import InputError


@dataclass(frozen=True)
class Diagnosis:
    """
    What the doctor says of a recipe.

    Parameters:
        recipe ([`~doctor.recipe.Recipe`]): What was examined.
        findings (`tuple[Finding, ...]`): Errors first.
        estimate ([`~doctor.memory.Estimate`], *optional*): `None` where the model's code cannot be traced.
    """

    recipe: Recipe
    findings: tuple[Finding, ...]
    estimate: Estimate | None

    @property
    def has_errors(self) -> bool:
        """Whether the run would fail or be silently wrong."""
        return any(finding.level == "error" for finding in self.findings)


def diagnose(
    training_args: Any,
    model_args: ModelConfig,
    reward_funcs: Sequence[str | Callable[..., Any]] = (),
    dataset: Dataset | IterableDataset | None = None,
    gpu: str | Device | None = None,
) -> Diagnosis:
    """Finds the traps that a recipe steps in, and estimates its peak memory. Loads no weights.

    Args:
        training_args ([`R1GRPOConfig`] or [`~trl.GRPOConfig`]): The run's.
        model_args ([`~trl.ModelConfig`]): Its model, adapter and quantisation.
        reward_funcs (`Sequence`, *optional*): Reward functions, or their names as in a recipe.
        dataset ([`~datasets.Dataset`], *optional*): The training set, for its size and the length of its prompts.
        gpu (`str` or [`~doctor.device.Device`], *optional*):
            `"24GB"` or a card's name such as `"t4"`. Defaults to the visible GPU, or else this machine's CPU.

    Returns:
        [`Diagnosis`]

    Raises:
        InputError: The card is unknown, or the model has no config.

    >>> from r1_trl import R1GRPOConfig
    >>> args = R1GRPOConfig(output_dir="runs/r1", use_cpu=True, loss_type="dapo", max_completion_length=128)
    >>> diagnosis = diagnose(args, ModelConfig("miniature:base"), ["trl.rewards.accuracy_reward"])
    >>> for finding in diagnosis.findings:
    ...     print(finding.level, finding.trap)
    error trl-accuracy-reward
    warning checkpointing-on-cpu
    note paper-loss-type
    """
    device = named_device(gpu) if isinstance(gpu, str) else gpu or device_at_hand(training_args.use_cpu)
    return examine(read_recipe(training_args, model_args, device, reward_funcs, dataset))


def examine(recipe: Recipe, with_remedies: bool = True) -> Diagnosis:
    """The diagnosis of a recipe that has been read.

    Args:
        recipe ([`~doctor.recipe.Recipe`]): With its device.
        with_remedies (`bool`, *optional*, defaults to `True`): Find out what would fit, where it does not.
    """
    findings = find_traps(recipe)
    workload, estimate = workload_of(recipe), None
    try:
        estimate = estimate_memory(workload)
        findings += fit_findings(recipe, workload, estimate, with_remedies)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        # Any model of the Hub can come here, with code that fake tensors or the calls in `trace.py` do not fit.
        reason = " ".join(str(error).split())[:200].rstrip(".")
        name = recipe.config.model_type
        remedy = "try it with one step and the longest completions"
        findings.append(
            Finding("memory-unknown", "note", f"the memory of `{name}` cannot be traced: {reason}", remedy)
        )
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    return Diagnosis(recipe, tuple(findings), estimate)


def find_traps(recipe: Recipe) -> list[Finding]:
    """The findings that need no estimate of memory.

    Args:
        recipe ([`~doctor.recipe.Recipe`]): Read by [`~doctor.recipe.read_recipe`].
    """
    found = [trap(recipe) for trap in (*TRAPS, *ADVICE)]
    return [finding for finding in found if finding is not None] + list(departures(recipe))


def report_at_start(
    training_args: Any,
    model_args: ModelConfig,
    reward_funcs: Sequence[str | Callable[..., Any]],
    dataset: Dataset | IterableDataset,
) -> None:
    """Tells errors and warnings on standard error before a run loads its model; notes are counted.

    Args:
        training_args ([`R1GRPOConfig`]): The run's.
        model_args ([`~trl.ModelConfig`]): Its model.
        reward_funcs (`Sequence`): Its rewards, or their names as in the recipe.
        dataset ([`~datasets.Dataset`]): Its training set.

    Raises:
        InputError: The run would surely fail.
    """
    device = device_at_hand(training_args.use_cpu)
    recipe = read_recipe(training_args, model_args, device, reward_funcs, dataset)
    for finding in find_traps(recipe):
        if finding.certain:  # on every process, so that none waits for another
            raise InputError(f"{finding.message}. {finding.remedy[0].upper()}{finding.remedy[1:]}")
    if training_args.process_index != 0:
        return
    diagnosis = examine(recipe, with_remedies=False)
    told = [finding for finding in diagnosis.findings if finding.level != "note"]
    lines = [f"doctor: {finding}" for finding in told]
    if diagnosis.estimate is not None:
        lines.append(f"doctor: about {gb(diagnosis.estimate.peak)} of the {gb(device.memory)} of {device.name}")
    if notes := len(diagnosis.findings) - len(told):
        count, them = ("1 note", "it") if notes == 1 else (f"{notes} notes", "them")
        lines.append(f"doctor: {count} more: `r1-trl doctor` tells {them}")
    print("\n".join(lines), file=sys.stderr, flush=True)
