"""Weights & Biases through transformers' own callback; here only where its files go and what happens without a key."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = "r1-trl"
logger = logging.getLogger(__name__)


@contextmanager
def wandb_run(training_args: Any, stage: str) -> Iterator[None]:
    """Sets what `report_to: wandb` needs and the user has not set, and finishes the run at the end.

    A resumed run goes on under its id.

    Files go below `output_dir`, like all else that a stage writes. Without an API key the run is tracked offline, to
    be sent later by `wandb sync`. `WANDB_MODE` and every other variable that the user has set stay as they are.

    Args:
        training_args ([`~transformers.TrainingArguments`]): `report_to`, `output_dir` and `run_name` are read.
        stage (`str`): Name of the stage, the run's job type.
    """
    if "wandb" not in (training_args.report_to or []) or training_args.process_index > 0:
        yield
        return
    import wandb

    output_dir = Path(training_args.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    if training_args.run_name is None:
        training_args.run_name = "-".join(output_dir.parts[-2:])
    defaults = {
        "WANDB_PROJECT": PROJECT,
        "WANDB_DIR": str(output_dir),
        "WANDB_JOB_TYPE": stage,
        "WANDB_SILENT": "true",
        "WANDB_RUN_ID": _run_id(output_dir, bool(training_args.resume_from_checkpoint)),
        "WANDB_RESUME": "allow",
    }
    if "WANDB_MODE" not in os.environ and not wandb.api.api_key:
        defaults["WANDB_MODE"] = "offline"
        wandb.teardown()  # asking for the key has read the environment, which is about to change
        logger.warning("no W&B key: tracking offline below %s; send it later by `wandb sync`", output_dir / "wandb")
    added = defaults.keys() - os.environ.keys()
    os.environ.update({name: defaults[name] for name in added})
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        if wandb.run is not None:
            wandb.finish(exit_code=exit_code)
        for name in added:
            del os.environ[name]


def _run_id(output_dir: Path, resumes: bool) -> str:
    """The id of the run that is resumed, or a new one, kept beside its files for the next time."""
    file = output_dir / "wandb" / "run_id"
    if resumes and file.is_file():
        return file.read_text(encoding="utf-8").strip()
    run_id = secrets.token_hex(4)
    if os.environ.get("WANDB_MODE") != "disabled":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(run_id, encoding="utf-8")
    return run_id
