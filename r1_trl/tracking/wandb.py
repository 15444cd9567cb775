"""Weights & Biases through transformers' own callback; here only where its files go and what happens without a key."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from r1_trl.errors import InputError

PROJECT = "r1-trl"
logger = logging.getLogger(__name__)


def prepare_wandb(training_args: Any, stage: str) -> None:
    """Sets what `report_to: wandb` needs and the user has not set: project, folder, job type, run name and mode.

    Files go below `output_dir`, like all else that a stage writes. Without an API key the run is tracked offline, to
    be sent later by `wandb sync`; `WANDB_MODE` and every other variable that is set stay as they are.

    Args:
        training_args ([`~transformers.TrainingArguments`]): `report_to`, `output_dir` and `run_name` are read.
        stage (`str`): Name of the stage, the run's job type.

    Raises:
        InputError: wandb is asked for and not installed.
    """
    if "wandb" not in (training_args.report_to or []):
        return
    try:
        import wandb
    except ImportError as error:
        raise InputError("`report_to: wandb` needs wandb: pip install wandb, or set `report_to: none`") from error
    output_dir = Path(training_args.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_PROJECT", PROJECT)
    os.environ.setdefault("WANDB_DIR", str(output_dir))
    os.environ.setdefault("WANDB_JOB_TYPE", stage)
    os.environ.setdefault("WANDB_SILENT", "true")
    if training_args.run_name is None:
        training_args.run_name = "-".join(output_dir.parts[-2:])
    if "WANDB_MODE" not in os.environ and not wandb.api.api_key:
        os.environ["WANDB_MODE"] = "offline"
        logger.warning("no W&B key: tracking offline below %s; send it later by `wandb sync`", output_dir / "wandb")
