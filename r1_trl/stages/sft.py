"""`r1-trl sft`: supervised fine-tuning by TRL's `SFTTrainer`, for the cold start, for SFT and for distillation."""

from __future__ import annotations

import time
from typing import Any

from datasets import Dataset, IterableDataset
from trl import DatasetMixtureConfig, ScriptArguments, SFTConfig, SFTTrainer

from r1_trl.checkpoints import WholeCheckpoints, find_checkpoint
from r1_trl.grpo.adapters import keep_adapter, settle_adapter_dtype
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.data import MIXTURE, load_datasets
from r1_trl.stages.models import (
    R1ModelConfig,
    check_model,
    check_training,
    given_settings,
    policy_arguments,
    settle_model_args,
)
from r1_trl.stages.training import train
from r1_trl.tasks.sources import require_columns


class R1SFTTrainer(WholeCheckpoints, SFTTrainer):
    """[`~trl.SFTTrainer`]; the only change is that checkpoints are whole or not taken."""


def make_parser() -> StageParser:
    """The parser of `r1-trl sft`."""
    summary = "supervised fine-tuning on prompts and completions, by TRL's SFTTrainer"
    return StageParser("sft", summary, [ScriptArguments, SFTConfig, R1ModelConfig, DatasetMixtureConfig])


def main(argv: list[str]) -> None:
    """Runs the stage.

    Args:
        argv (`list[str]`): The words after `r1-trl sft`.

    Raises:
        InputError: Before any model loads.
    """
    started = time.monotonic()
    script_args, training_args, model_args, mixture_args = make_parser().parse(argv)
    training_args.resume_from_checkpoint = find_checkpoint(
        training_args.output_dir, training_args.resume_from_checkpoint
    )
    model_path = check_model(model_args, allow_adapter=True)
    settle_model_args(model_path, model_args, training_args, given_settings(argv))
    check_training(training_args, model_args)
    train_dataset, eval_dataset = load_datasets(script_args, mixture_args, training_args)
    for dataset in (train_dataset, *([] if eval_dataset is None else [eval_dataset])):
        check_columns(dataset, training_args, script_args.dataset_name or MIXTURE)
    start = policy_arguments(model_path, model_args, training_args)
    with keep_adapter(start["model"]):
        trainer: Any = R1SFTTrainer(
            args=training_args, train_dataset=train_dataset, eval_dataset=eval_dataset, **start
        )
    settle_adapter_dtype(trainer, "float32")
    train(
        trainer,
        "sft",
        (model_args.model_name_or_path, model_path),
        (script_args.dataset_name or MIXTURE, train_dataset),
        ("loss", "mean_token_accuracy", "eval_loss"),
        started,
        arguments_as_dict(script_args, model_args, mixture_args, training_args),
    )


def check_columns(dataset: Dataset | IterableDataset, training_args: SFTConfig, name: str) -> None:
    """Refuses a dataset that is in none of the forms that [`~trl.SFTTrainer`] takes.

    Args:
        dataset ([`~datasets.Dataset`]): The training set.
        training_args ([`~trl.SFTConfig`]): Its `dataset_text_field` names the column of plain text.
        name (`str`): The dataset's name, for the message.

    Raises:
        InputError: The columns of every form are incomplete.
    """
    columns = set(dataset.column_names or ["messages"])
    if not columns & {"messages", "input_ids", training_args.dataset_text_field}:
        require_columns(dataset, ("prompt", "completion"), name, "sft (unless there are `messages` or `text`)")
