"""Settings that change during a run: the length of completions, the temperature, the rewards and their weights.

R1-Zero allows longer completions from step 8,200 on; RL stage 2 uses preference rewards in its last 400 steps [N].
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from trl.trainer.utils import add_fused_lm_head

from r1_trl.errors import InputError

Schedule = list[tuple[int, Any]]  # (step, value), rising; the first is for step 0


def read_schedule(name: str, given: Any, value: type) -> Schedule | None:
    """A schedule from YAML, or from JSON on the command line.

    Args:
        name (`str`): The setting, for the message.
        given (`list` or `str`, *optional*): `[[step, value], …]`, the first for step 0.
        value (`type`): `int`, `float`, or `list` for a list of numbers.

    Raises:
        InputError: It is no such list.

    >>> read_schedule("temperature_schedule", "[[0, 1.0], [100, 0.7]]", float)
    [(0, 1.0), (100, 0.7)]
    >>> read_schedule("temperature_schedule", [[10, 1.0]], float)
    Traceback (most recent call last):
    r1_trl.errors.InputError: `temperature_schedule: [[10, 1.0]]` must be a list of [step, float] from step 0 on, \
with rising steps, such as [[0, …], [100, …]]
    """
    if given is None:
        return None
    entries = _from_json(given)
    kinds = (int, float) if value is float else value
    valid = (
        isinstance(entries, list)
        and all(isinstance(entry, list) and len(entry) == 2 for entry in entries)
        and [entry[0] for entry in entries] == sorted({entry[0] for entry in entries if type(entry[0]) is int})
        and entries[:1] != []
        and entries[0][0] == 0
        and all(isinstance(entry[1], kinds) and not isinstance(entry[1], bool) for entry in entries)
    )
    if not valid:
        raise InputError(
            f"`{name}: {given}` must be a list of [step, {value.__name__}] from step 0 on, with rising steps, such as "
            "[[0, …], [100, …]]"
        )
    return [(entry[0], entry[1]) for entry in entries]


def read_windows(name: str, given: Any) -> dict[str, dict[str, int]]:
    """The steps in which rewards are active, by their names.

    Args:
        name (`str`): The setting, for the message.
        given (`dict` or `str`, *optional*): `{name: {"from_step": N}}` or `{name: {"last_steps": N}}`.

    Raises:
        InputError: It is no such mapping.

    >>> read_windows("reward_windows", {"helpful": {"last_steps": 400}})
    {'helpful': {'last_steps': 400}}
    """
    windows = _from_json(given) if given is not None else {}
    valid = isinstance(windows, dict) and all(
        isinstance(window, dict)
        and len(window) == 1
        and window.keys() <= {"from_step", "last_steps"}
        and all(type(steps) is int and steps >= 0 for steps in window.values())
        for window in windows.values()
    )
    if not valid:
        raise InputError(
            f"`{name}: {given}` must map names of rewards to `from_step: N` or `last_steps: N`, such as "
            "{accuracy_reward: {from_step: 100}}"
        )
    checked: dict[str, dict[str, int]] = windows
    return checked


def check_rewards(args: Any, names: Sequence[str]) -> None:
    """Refuses windows and weights that do not fit the rewards of a run.

    Args:
        args ([`R1GRPOConfig`]): `reward_windows` and `reward_weights_schedule`.
        names (`Sequence[str]`): Names of the reward functions.

    Raises:
        InputError: A name is none of them, or their number is another.
    """
    unknown = sorted(set(args.reward_windows) - set(names))
    if unknown:
        raise InputError(f"`reward_windows` names `{unknown[0]}`, which is no reward of this run: {', '.join(names)}")
    for step, weights in args.reward_weights_schedule or []:
        if len(weights) != len(names):
            raise InputError(
                f"`reward_weights_schedule` has {len(weights)} weights from step {step} on, for {len(names)} rewards: "
                "give one to each"
            )


def at_step(schedule: Schedule, step: int) -> Any:
    """The value at a step.

    >>> [at_step([(0, 32768), (8200, 65536)], step) for step in (0, 8199, 8200)]
    [32768, 32768, 65536]
    """
    return [value for start, value in schedule if start <= step][-1]


def is_active(window: Mapping[str, int], step: int, max_steps: int) -> bool:
    """Whether a reward counts at a step.

    >>> [is_active({"last_steps": 400}, step, 1700) for step in (1299, 1300)]
    [False, True]
    """
    if "from_step" in window:
        return step >= window["from_step"]
    return step >= max_steps - window["last_steps"]


class ScheduleCallback(TrainerCallback):
    """Sets what is scheduled before each rollout: a rollout that serves several steps keeps what it was made with.

    Args:
        trainer ([`R1GRPOTrainer`]): Its config has the schedules.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        trainer, step = self.trainer, state.global_step
        if not trainer.rollout_is_due:
            return
        logged: dict[str, float] = {}
        if args.max_completion_length_schedule:
            logged["max_completion_length"] = at_step(args.max_completion_length_schedule, step)
            set_max_completion_length(trainer, int(logged["max_completion_length"]))
        if args.temperature_schedule:
            logged["temperature"] = at_step(args.temperature_schedule, step)
            set_temperature(trainer, logged["temperature"])
        if args.reward_weights_schedule:
            weights = at_step(args.reward_weights_schedule, step)
            trainer.reward_weights = trainer.reward_weights.new_tensor(weights)
            logged |= {
                f"reward_weight/{name}": weight
                for name, weight in zip(trainer.reward_func_names, weights, strict=True)
            }
        for name, value in logged.items():
            trainer._metrics["train"][f"schedule/{name}"].append(float(value))


def set_max_completion_length(trainer: Any, length: int) -> None:
    """From the next rollout on."""
    trainer.max_completion_length = length
    if trainer.use_vllm:
        trainer.vllm_generation.max_completion_length = length
    else:
        trainer.generation_kwargs["max_new_tokens"] = length
        trainer.generation_config.max_new_tokens = length


def set_temperature(trainer: Any, temperature: float) -> None:
    """From the next rollout on: of the sampling, and of the log-probabilities in the loss."""
    if temperature == trainer.temperature:
        return
    trainer.temperature = temperature
    if trainer.use_vllm:
        trainer.vllm_generation.temperature = temperature
    else:
        trainer.generation_kwargs["temperature"] = temperature
        trainer.generation_config.temperature = temperature
    policy = trainer.accelerator.unwrap_model(trainer.model)
    policy = policy.get_base_model() if hasattr(policy, "get_base_model") else policy
    in_float32 = trainer.args.cast_lm_head_to_fp32
    outputs = ("log_probs", "entropy")
    add_fused_lm_head(policy, temperature=temperature, cast_lm_head_to_fp32=in_float32, outputs=outputs)
    if trainer.ref_model is not None:
        reference = trainer.accelerator.unwrap_model(trainer.ref_model)
        add_fused_lm_head(reference, temperature=temperature, cast_lm_head_to_fp32=in_float32)


def _from_json(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except json.JSONDecodeError:
        return given
