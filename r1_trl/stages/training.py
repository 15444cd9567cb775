"""What every training stage does before it reads data, and once its trainer stands: train, save, leave a record."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, IterableDataset

from r1_trl.checkpoints import find_checkpoint
from r1_trl.stages.models import R1ModelConfig, check_model, check_training, given_settings, settle_model_args
from r1_trl.stages.record import hash_model, hash_rows, write_stage_record
from r1_trl.tracking.config import TrackingConfig
from r1_trl.tracking.progress import show_progress
from r1_trl.tracking.wandb import wandb_run
from r1_trl.tracking.wandb_artifacts import log_lineage


def settle_start(argv: list[str], model_args: R1ModelConfig, training_args: Any) -> str:
    """Finds the model and the checkpoint that a run starts from, and fills in what the user left open, in place.

    Args:
        argv (`list[str]`): The words after the command.
        model_args ([`R1ModelConfig`]): What the user asked for.
        training_args ([`~transformers.TrainingArguments`]): Its `resume_from_checkpoint` becomes a folder or `None`.

    Returns:
        `str`: As [`~r1_trl.stages.models.check_model`] returns it.

    Raises:
        InputError: There is no such checkpoint or model, or settings conflict.
    """
    training_args.resume_from_checkpoint = find_checkpoint(
        training_args.output_dir, training_args.resume_from_checkpoint
    )
    path = check_model(model_args, allow_adapter=True)
    settle_model_args(path, model_args, training_args, given_settings(argv))
    check_training(training_args, model_args)
    return path


def train(
    trainer: Any,
    stage: str,
    model: tuple[str, str],
    dataset: tuple[str, Dataset | IterableDataset],
    shown: Sequence[str],
    started: float,
    tracking: TrackingConfig,
    arguments: Mapping[str, Any],
) -> None:
    """Trains to the end, then writes the model, the trainer's state and `stage.json` into `output_dir`.

    Args:
        trainer ([`~r1_trl.checkpoints.WholeCheckpoints`]): Any trainer of TRL with that mixin.
        stage (`str`): Name of the command.
        model (`tuple[str, str]`): The name that the user gave and the path behind it.
        dataset (`tuple[str, Dataset]`): The training set's name and its rows as they were loaded.
        shown (`Sequence[str]`): Metrics for the progress lines.
        started (`float`): `time.monotonic()` at the start of the command.
        tracking ([`~r1_trl.tracking.config.TrackingConfig`]): What a device costs, and whether artifacts are logged.
        arguments (`Mapping`): Every setting, for the record.
    """
    show_progress(trainer, shown)
    trainer.started, trainer.gpu_hour_usd = started, tracking.gpu_hour_usd
    name, path = model
    main_process = trainer.is_world_process_zero()
    # Before training, which may write there.
    inputs = {"model": {"name": name, "sha256": hash_model(path) if main_process else None}}
    with wandb_run(trainer.args, stage):
        result = trainer.train(resume_from_checkpoint=trainer.args.resume_from_checkpoint)
        trainer.save_model(trainer.args.output_dir)
        trainer.save_state()
        if main_process:
            inputs["train_dataset"] = {"name": dataset[0], "sha256": hash_rows(dataset[1])}
        cost = trainer.cost()  # of all processes
        if main_process:
            seconds = time.monotonic() - started
            write_stage_record(trainer.args.output_dir, stage, arguments, inputs, result.metrics, seconds, cost)
            if tracking.log_artifacts:  # last, as the server may take its time
                log_lineage(arguments, trainer.args.output_dir)
    trainer.accelerator.wait_for_everyone()  # the process group ends together, not while one still writes
    trainer.end()
