"""`r1-trl sft`: supervised fine-tuning by TRL's `SFTTrainer`, for the cold start, for SFT and for distillation."""

from __future__ import annotations

import time
from typing import Any

from datasets import Dataset, IterableDataset
from trl import (
    DatasetMixtureConfig,
    ModelConfig,
    ScriptArguments,
    SFTConfig,
    SFTTrainer,
    get_peft_config,
    get_quantization_config,
)

from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.data import MIXTURE, load_datasets
from r1_trl.stages.models import check_model, check_training, model_init_kwargs
from r1_trl.stages.training import train
from r1_trl.tasks.sources import require_columns


def make_parser() -> StageParser:
    """The parser of `r1-trl sft`."""
    summary = "supervised fine-tuning on prompts and completions, by TRL's SFTTrainer"
    return StageParser("sft", summary, [ScriptArguments, SFTConfig, ModelConfig, DatasetMixtureConfig])


def main(argv: list[str]) -> None:
    """Runs the stage.

    Args:
        argv (`list[str]`): The words after `r1-trl sft`.

    Raises:
        InputError: Before any model loads.
    """
    started = time.monotonic()
    script_args, training_args, model_args, mixture_args = make_parser().parse(argv)
    model_path = check_model(model_args)
    check_training(training_args, model_args)
    train_dataset, eval_dataset = load_datasets(script_args, mixture_args, training_args)
    for dataset in (train_dataset, *([] if eval_dataset is None else [eval_dataset])):
        check_columns(dataset, training_args, script_args.dataset_name or MIXTURE)
    training_args.model_init_kwargs = model_init_kwargs(model_args, training_args)
    trainer: Any = SFTTrainer(
        model_path,
        args=training_args,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        quantization_config=get_quantization_config(model_args),
        peft_config=get_peft_config(model_args),
    )
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
