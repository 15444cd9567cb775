"""What a run would cost with another model size or on another card: an estimate from its own measured speed.

FLOPs of a stage = 2·N·generated + (6 + 2·P)·N·trained tokens
  N: weights of the model; P: passes for log-probabilities alone, of GRPO's reference (β > 0) and of its old policy.
hours = FLOPs / (utilisation · peak of the card), with the utilisation that the stage has reached.

Departures from what really happens:
1. Tokens stay those of the run. A larger model answers at another length.
2. Utilisation stays too. Generation waits for memory rather than arithmetic at small batches, so a card with more
   bandwidth for its FLOPs does better than this says, and a batch that has to shrink makes it worse.
3. Attention, prompts that are read before an answer, and LoRA's cheaper backward pass (4·N) are left out.
4. Whether the model fits is another question: `r1-trl doctor` answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from r1_trl.errors import InputError
from r1_trl.tracking.card_prices import Card, find_card
from r1_trl.tracking.run_folder import Run, StageFolder

# The stages that run a model. Others, such as `merge`, are not projected.
COMMANDS = ("sft", "grpo", "reward-model", "rejection-sample", "evaluate")
NEEDED = ("device_hours", "tokens_generated", "tokens_trained", "model_params")


class Target(NamedTuple):
    """What a run is projected onto; `None` keeps what the run has."""

    model_params: float | None = None
    card: Card | None = None
    utilisation: float | None = None  # share of the card's peak
    card_hour_usd: float | None = None


def project(run: Run, cost: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """Projects each stage of a run that runs a model.

    Args:
        run ([`~r1_trl.tracking.run_folder.Run`]): For the settings of its stages.
        cost (`Mapping`): As [`~r1_trl.tracking.run_cost.run_cost`] returns it.
        target ([`Target`]): Onto what.

    Returns:
        `dict`: `stages`, each with `device_hours`, `usd`, `flops`, and the `utilisation` that it reckons with;
            `device_hours` and `usd` in all; `left_out`, the stages that run no model.

    Raises:
        InputError: A stage has not ended, lacks a number, or ran on a device of unknown peak.
    """
    projected, left_out = [], []
    for stage, row in zip(run.stages, cost["stages"], strict=True):
        if row["finished"] and row["command"] not in COMMANDS:
            left_out.append(stage.name)
        else:
            projected.append(project_stage(stage, row, target))
    prices = [row["usd"] for row in projected]
    return {
        "stages": projected,
        "device_hours": sum(row["device_hours"] for row in projected),
        "usd": None if None in prices else sum(prices),
        "left_out": left_out,
    }


def project_stage(stage: StageFolder, row: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """Projects one stage; see [`project`]."""
    card = target.card or find_card(str(row["device"]))
    # The run's own size tells its speed, and stands in for the one asked for.
    needs_size = target.model_params is None or target.utilisation is None or card is None
    missing = [name for name in NEEDED if row[name] is None and (needs_size or name != "model_params")]
    if missing or not row["finished"]:
        reason = f"has no {' and no '.join(f'`{name}`' for name in missing)}" if row["finished"] else "has not ended"
        raise InputError(f"{stage.path}: the stage {reason}, so it cannot be projected: run it again, to its end")
    passes = log_prob_passes(stage.record.get("arguments", {})) if row["command"] == "grpo" else 0.0
    size = target.model_params or row["model_params"]
    flops = stage_flops(size, row["tokens_generated"], row["tokens_trained"], passes)
    achieved = None  # FLOP/s of one device
    if row["model_params"] is not None:
        achieved = flops * row["model_params"] / size / (row["device_hours"] * 3600)
    speed = target_speed(stage, row["device"], achieved, card, target)
    hours = flops / speed / 3600
    price = row["gpu_hour_usd"] if target.card is None else target.card.usd
    price = price if target.card_hour_usd is None else target.card_hour_usd
    return {
        "stage": stage.name,
        "model_params": size,
        "device": card.name if card else row["device"],
        "flops": flops,
        "measured_flops_per_second": achieved,
        "utilisation": speed / (card.tflops * 1e12) if card else None,
        "device_hours": hours,
        "usd": None if price is None else hours * price,
    }


def target_speed(stage: StageFolder, device: str, achieved: float | None, card: Card | None, target: Target) -> float:
    """FLOP/s of one device that the projection reckons with."""
    if target.utilisation is not None and card is not None:
        return target.utilisation * card.tflops * 1e12
    assert achieved is not None  # the size is there wherever the speed is asked for
    own = find_card(device)
    if target.card is None or target.card == own:
        return achieved
    if own is None:
        raise InputError(
            f"{stage.path} ran on `{device}`, whose peak is not in the table, so the share of it that was used is not "
            f"known: say what share of {target.card.name}'s peak to reckon with, for example `--utilisation 0.2`"
        )
    return achieved / own.tflops * target.card.tflops


def stage_flops(model_params: float, tokens_generated: int, tokens_trained: int, passes: float = 0.0) -> float:
    """Floating-point operations of a stage: 2·N for each token forward, three times that with its backward pass.

    Args:
        model_params (`float`): N, weights of the model.
        tokens_generated (`int`): Sampled.
        tokens_trained (`int`): Through the update.
        passes (`float`, *optional*, defaults to `0.0`): Forward passes over a trained token for its log-probability.

    >>> stage_flops(7e9, 1000, 1000) == 2 * 7e9 * 1000 + 6 * 7e9 * 1000
    True
    """
    return model_params * (2 * tokens_generated + (6 + 2 * passes) * tokens_trained)


def log_prob_passes(arguments: Mapping[str, Any]) -> float:
    """How often GRPO runs a trained token through a model for its log-probability alone.

    Once for the reference (β > 0), and once for the old policy, where TRL needs it: when the steps of a rollout do not
    end with an optimizer step. Both are run once a rollout, whatever its iterations.

    >>> log_prob_passes({"beta": 0.001, "gradient_accumulation_steps": 4, "steps_per_generation": 4})
    1.0
    >>> log_prob_passes({"beta": 0.001, "gradient_accumulation_steps": 1, "steps_per_generation": 16})
    2.0
    """
    iterations = arguments.get("num_iterations") or 1
    accumulated = arguments.get("gradient_accumulation_steps") or 1
    steps = (arguments.get("steps_per_generation") or accumulated) * iterations
    return float(bool(arguments.get("beta")) + bool(accumulated % steps)) / iterations
