"""`r1-trl sft`: supervised fine-tuning by TRL's `SFTTrainer`, for the cold start, for SFT and for distillation."""

from __future__ import annotations

import time
from typing import Any

from datasets import Dataset, IterableDataset
from trl import ScriptArguments, SFTTrainer

from r1_trl.checkpoints import WholeCheckpoints
from r1_trl.errors import InputError
from r1_trl.grpo.adapters import keep_adapter, settle_adapter_dtype
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.data import MIXTURE, load_datasets
from r1_trl.stages.models import (
    R1ModelConfig,
    policy_arguments,
)
from r1_trl.stages.sft_config import R1SFTConfig, settle_learning_rate
from r1_trl.stages.training import settle_start, train
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tasks.sources import require_columns
from r1_trl.tracking.config import TrackingConfig


class R1SFTTrainer(WholeCheckpoints, SFTTrainer):
    """[`~trl.SFTTrainer`]; the only changes are that checkpoints are whole or not taken, and that the learning rate of
    [`R1SFTConfig`] may depend on the model."""

    def __init__(self, model: Any, args: Any = None, *more: Any, **kwargs: Any) -> None:
        if isinstance(args, R1SFTConfig):
            settle_learning_rate(args, model)
        super().__init__(model, args, *more, **kwargs)


def make_parser() -> StageParser:
    """The parser of `r1-trl sft`."""
    summary = "supervised fine-tuning on prompts and completions, by TRL's SFTTrainer"
    types = [R1SFTConfig, ScriptArguments, R1ModelConfig, R1DatasetMixtureConfig, TrackingConfig]
    return StageParser("sft", summary, types)


def main(argv: list[str]) -> None:
    """Runs the stage.

    Args:
        argv (`list[str]`): The words after `r1-trl sft`.

    Raises:
        InputError: Before any model loads.
    """
    started = time.monotonic()
    training_args, script_args, model_args, mixture_args, tracking = make_parser().parse(argv)
    model_path = settle_start(argv, model_args, training_args)
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
        tracking,
        arguments_as_dict(script_args, model_args, mixture_args, tracking, training_args),
    )


def check_columns(dataset: Dataset | IterableDataset, training_args: R1SFTConfig, name: str) -> None:
    """Refuses a dataset that is in none of the forms that [`~trl.SFTTrainer`] takes.

    Args:
        dataset ([`~datasets.Dataset`]): The training set.
        training_args ([`R1SFTConfig`]): Its `dataset_text_field` names the column of plain text; where the loss is
            to be.
        name (`str`): The dataset's name, for the message.

    Raises:
        InputError: The columns of every form are incomplete, or the loss is to be on completions, which the rows lack.
    """
    columns = set(dataset.column_names or ["messages"])
    if not columns & {"messages", "input_ids", training_args.dataset_text_field}:
        require_columns(dataset, ("prompt", "completion"), name, "sft (unless there are `messages` or `text`)")
    wanted, reason = training_args.completion_only_loss, "`completion_only_loss: true`"
    if wanted is None and training_args.preset:
        wanted, reason = not training_args.assistant_only_loss, f"`preset: {training_args.preset}`"
    if wanted and not {"prompt", "completion"} <= columns:
        other = ", or set `assistant_only_loss: true`" if "messages" in columns else ""
        raise InputError(
            f"dataset `{name}` has no columns `prompt` and `completion`, and {reason} puts the loss on completions "
            f"alone: name them so{other}, or set `completion_only_loss: false`"
        )
