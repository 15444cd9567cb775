"""`r1-trl grpo`: reinforcement learning by [`R1GRPOTrainer`] with the rewards of the paper."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset, IterableDataset
from trl.scripts.grpo import GRPOScriptArguments
from trl.trainer.utils import get_callable_name

from r1_trl.doctor import report_at_start
from r1_trl.errors import InputError
from r1_trl.grpo.config import R1GRPOConfig
from r1_trl.grpo.routing import check_routes
from r1_trl.grpo.schedules import check_rewards
from r1_trl.grpo.trainer import R1GRPOTrainer
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.data import MIXTURE, load_datasets
from r1_trl.stages.models import (
    R1ModelConfig,
    policy_arguments,
)
from r1_trl.stages.rewards import check_reward_columns, load_reward_funcs, named_rewards
from r1_trl.stages.training import settle_start, train
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tracking.config import TrackingConfig

SHOWN = ("completions/mean_length", "kl", "entropy", "eval_pass@1")


@dataclass
class R1GRPOScriptArguments(GRPOScriptArguments):
    """
    [`~trl.scripts.grpo.GRPOScriptArguments`] with the rewards of this package by their short names.

    Parameters:
        reward_funcs (`list[str]`, *optional*):
            Names of `r1_trl.rewards` (`accuracy_reward`, `format_reward`, ...) or dotted paths of your own.
        reward_kwargs (`dict` or `str`, *optional*):
            Arguments of parameterised rewards by their names, for example
            `{language_consistency_reward: {languages: [en, zh]}}`; JSON on the command line.
    """

    reward_funcs: list[str] | None = field(
        default=None, metadata={"help": "Names of r1_trl.rewards, or dotted paths of your own reward functions."}
    )
    reward_kwargs: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "Arguments of parameterised rewards by their names; JSON on the command line."}
    )

    def __post_init__(self) -> None:
        if isinstance(self.reward_kwargs, str):
            try:
                self.reward_kwargs = json.loads(self.reward_kwargs)
            except json.JSONDecodeError as error:
                raise InputError(f"`reward_kwargs: {self.reward_kwargs}` is no JSON: {error}") from error
        given = {} if self.reward_kwargs is None else self.reward_kwargs
        if not isinstance(given, dict) or not all(isinstance(kwargs, dict) for kwargs in given.values()):
            raise InputError(f"`reward_kwargs: {given}` must map names of rewards to their arguments by name")


def make_parser() -> StageParser:
    """The parser of `r1-trl grpo`."""
    summary = "GRPO with R1's rewards and the paper's settings, by TRL's GRPOTrainer"
    types = [R1GRPOConfig, R1GRPOScriptArguments, R1ModelConfig, R1DatasetMixtureConfig, TrackingConfig]
    return StageParser("grpo", summary, types)


def main(argv: list[str]) -> None:
    """Runs the stage.

    Args:
        argv (`list[str]`): The words after `r1-trl grpo`.

    Raises:
        InputError: Before any model loads.
    """
    started = time.monotonic()
    training_args, script_args, model_args, mixture_args, tracking = make_parser().parse(argv)
    reward_funcs = load_reward_funcs(script_args.reward_funcs, script_args.reward_kwargs, training_args.reward_weights)
    names = [get_callable_name(function) for function in reward_funcs]
    check_rewards(training_args, names)
    check_routes([entry.reward_funcs for entry in mixture_args.datasets], names, MIXTURE)
    model_path = settle_start(argv, model_args, training_args)
    train_dataset, eval_dataset = load_datasets(script_args, mixture_args, training_args)
    for dataset in (train_dataset, *([] if eval_dataset is None else [eval_dataset])):
        check_reward_columns(reward_funcs, dataset, script_args.dataset_name or MIXTURE)
    check_size(train_dataset, training_args)
    report_at_start(training_args, model_args, named_rewards(script_args.reward_funcs, reward_funcs), train_dataset)
    trainer: Any = R1GRPOTrainer(
        reward_funcs=reward_funcs,
        args=training_args,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        **policy_arguments(model_path, model_args, training_args),
    )
    train(
        trainer,
        "grpo",
        (model_args.model_name_or_path, model_path),
        (script_args.dataset_name or MIXTURE, train_dataset),
        ("reward", *(f"rewards/{name}/mean" for name in names), *SHOWN),
        started,
        tracking,
        arguments_as_dict(script_args, model_args, mixture_args, tracking, training_args),
    )


def check_size(dataset: Dataset | IterableDataset, training_args: R1GRPOConfig) -> None:
    """Refuses a dataset with fewer questions than one rollout takes, of which TRL's sampler would draw none.

    Args:
        dataset ([`~datasets.Dataset`]): The training set.
        training_args ([`R1GRPOConfig`]): After its own checks.

    Raises:
        InputError: There are too few rows.
    """
    questions = (training_args.generation_batch_size or 0) // (training_args.num_generations or 1)
    if isinstance(dataset, Dataset) and len(dataset) < questions:
        raise InputError(
            f"the training set has {len(dataset)} questions and one rollout takes {questions} "
            f"(`generation_batch_size` {training_args.generation_batch_size} / `num_generations` "
            f"{training_args.num_generations}): add questions, or lower `per_device_train_batch_size` or "
            "`gradient_accumulation_steps`"
        )
