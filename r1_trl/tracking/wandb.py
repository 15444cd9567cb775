"""Weights & Biases: where a run's files go, how it is named, and what happens without a key, a network or a server.

Metrics are logged by transformers' own callback, over `train/global_step`. A stage is a run, whose job type is the
stage's name; the runs of a pipeline share its group.
"""

from __future__ import annotations

import logging
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from r1_trl.tracking.run_folder import run_name
from r1_trl.tracking.tables import shown
from r1_trl.tracking.trackers import installed_trackers
from r1_trl.tracking.wandb_artifacts import use_artifact
from r1_trl.tracking.wandb_errors import first_line, no_error_of_tracking
from r1_trl.tracking.wandb_table import whole_table

PROJECT = "r1-trl"
_SECONDS_TO_ANSWER = 5.0
logger = logging.getLogger(__name__)


@contextmanager
def wandb_run(training_args: Any, stage: str) -> Iterator[None]:
    """Starts the run that `report_to: wandb` asks for, and finishes it at the end.

    transformers' callback, which starts one only where there is none, adds the configuration and the metrics. A
    resumed run goes on under its id.

    Files go below `output_dir`, like all else that a stage writes. Without an API key, and where the server does not
    answer or takes no run, the run is tracked offline, to be sent later by `wandb sync`. Every variable that the user
    has set stays as it is.

    Args:
        training_args ([`~transformers.TrainingArguments`]): `report_to`, `output_dir` and `run_name` are read.
        stage (`str`): Name of the stage, the run's job type.
    """
    if "wandb" not in (training_args.report_to or []) or training_args.process_index > 0:
        yield
        return
    output_dir = Path(training_args.output_dir)
    if training_args.run_name is None:
        training_args.run_name = run_name(output_dir)
    with _run(output_dir, stage, training_args.run_name, bool(training_args.resume_from_checkpoint)):
        yield


@contextmanager
def open_wandb_run(output_dir: Path, stage: str, report_to: Iterable[str] | None) -> Iterator[Any]:
    """The same for what is no training.

    Args:
        output_dir (`Path`): Folder of the stage.
        stage (`str`): Name of the stage, the run's job type.
        report_to (`Iterable[str]`, *optional*): Trackers; without `wandb`, and where it is not installed, nothing
            happens.

    Yields:
        `wandb.Run` or `None`: `None` where nothing is tracked.

    >>> with open_wandb_run(Path("runs/evaluation"), "evaluate", ["none"]) as run:
    ...     run is None
    True
    """
    if "wandb" not in installed_trackers(name for name in report_to or () if name == "wandb"):
        yield None
        return
    with _run(output_dir, stage, run_name(output_dir), resumes=False) as run:
        yield run


def log_evaluation(
    output_dir: Path,
    stage: str,
    metrics: Mapping[str, Any],
    table: pd.DataFrame,
    report_to: Iterable[str] | None,
    *,
    inputs: Sequence[str] = (),
) -> None:
    """A run with the metrics of an evaluation as its summary, and its samples as the table `samples`.

    What W&B does not take is told in one line.

    Args:
        output_dir (`Path`): Folder of the evaluation.
        stage (`str`): The run's job type.
        metrics (`Mapping`): Numbers, lists and mappings of them.
        table ([`~pandas.DataFrame`]): One row a sample; prompts and completions are shown as plain text.
        report_to (`Iterable[str]`, *optional*): Trackers; only `wandb` is looked at.
        inputs (`Sequence[str]`, *optional*): Paths of models and datasets, declared where an earlier stage has logged
            them as artifacts.
    """
    with no_error_of_tracking("the evaluation"), open_wandb_run(output_dir, stage, report_to) as run:
        if run is None:
            return
        for path in inputs:
            use_artifact(path)
        run.summary.update(dict(metrics))
        run.log({"samples": whole_table(shown(table))})


@contextmanager
def _run(output_dir: Path, stage: str, name: str, resumes: bool) -> Iterator[Any]:
    import wandb

    if wandb.run is not None:  # the caller's own, which goes on
        yield wandb.run
        return
    output_dir.mkdir(parents=True, exist_ok=True)
    defaults = {
        "WANDB_PROJECT": PROJECT,
        "WANDB_DIR": str(output_dir),
        "WANDB_DATA_DIR": str(output_dir / "wandb"),  # waits there until artifacts are sent
        "WANDB_JOB_TYPE": stage,
        "WANDB_SILENT": "true",
        "WANDB_RUN_ID": _run_id(output_dir, resumes),
        "WANDB_RESUME": "allow",
    }
    added = defaults.keys() - os.environ.keys()
    os.environ.update({name: defaults[name] for name in added})
    exit_code = 1
    try:
        yield _start(output_dir, name)
        exit_code = 0
    finally:
        wandb.finish(exit_code=exit_code)  # nothing where none has begun
        wandb.teardown()
        for variable in added:
            del os.environ[variable]


def _start(output_dir: Path, name: str) -> Any:
    """Starts the run, offline where W&B cannot take it."""
    import wandb

    wandb.teardown()  # it has read an environment that has changed since
    try:
        reason = None if "WANDB_MODE" in os.environ else _why_offline()
        if reason is None:
            return wandb.init(name=name)
    except wandb.Error as error:  # a key that is refused, a proxy, `WANDB_MODE: online` without a server
        reason = f"W&B takes no run ({first_line(error)})"
    wandb.teardown()
    logger.warning("%s: tracking offline below %s; send it later by `wandb sync`", reason, output_dir / "wandb")
    return wandb.init(name=name, mode="offline")


def _why_offline() -> str | None:
    """Why a run cannot be sent now. wandb itself would wait for a minute and a half, and then raise."""
    import wandb

    if not wandb.login(prompt=False, verify=False):
        return "no W&B key"
    server = wandb.setup().settings.base_url
    try:
        urllib.request.urlopen(server, timeout=_SECONDS_TO_ANSWER).close()
    except urllib.error.HTTPError:
        return None  # an answer
    except OSError as error:
        return f"no answer from W&B at {server} ({getattr(error, 'reason', error)})"
    return None


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
