"""Checkpoints that are whole or are not taken: a mark is written last, and only marked ones are resumed from.

Serves every trainer of transformers. The stages use it; see [`~r1_trl.grpo.resume.ResumableRollouts`] for what
reinforcement learning adds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from r1_trl.errors import InputError
from r1_trl.files import write_json
from r1_trl.tracking.cost import CHECKPOINT_FILE
from r1_trl.tracking.ledger import CostLedger

MARK = "complete.json"
LAST = ("true", "last", "yes", "1")


class WholeCheckpoints(CostLedger):
    """A mixin for trainers: marks each checkpoint when all of it is written, and deletes older ones only then.

    A checkpoint also holds what the run has cost up to there.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_callback(_LogAtSave())

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self._get_output_dir(trial=trial)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        if self.args.should_save:
            (folder / MARK).unlink(missing_ok=True)  # of an earlier run through this step
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self._save_more(folder)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            write_json(folder / MARK, {"global_step": self.state.global_step})
            best = self.state.best_model_checkpoint
            rotate_checkpoints(str(folder.parent), save_total_limit=limit, best_model_checkpoint=best, use_mtime=True)

    def _save_more(self, folder: Path) -> None:
        """Writes what a checkpoint holds beside transformers' files; kinds of training add to it."""
        cost = self.cost()
        if self.args.should_save:
            write_json(folder / CHECKPOINT_FILE, cost)

    def train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> Any:
        checkpoint = resume_from_checkpoint
        if checkpoint is True:
            checkpoint = find_checkpoint(str(self.args.output_dir), True)
        if checkpoint:
            self._prepare_resume(Path(checkpoint))
        return super().train(checkpoint, *args, **kwargs)

    def _prepare_resume(self, checkpoint: Path) -> None:
        """What has to be known before transformers reads a checkpoint; kinds of training add to it."""
        self.args.eval_on_start = False  # the evaluation at the start is in the history already

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # Resumed from the checkpoint of its last step, the trainer would take one more.
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*args, **kwargs)


class _LogAtSave(TrainerCallback):
    """Logs whenever a checkpoint is saved: what has been summed up since the last log is not part of one."""

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        control.should_log = control.should_log or control.should_save

    on_epoch_end = on_step_end


def find_checkpoint(output_dir: str, resume_from_checkpoint: str | bool | None) -> str | None:
    """The checkpoint to go on from.

    Args:
        output_dir (`str`): Folder of the run.
        resume_from_checkpoint (`str` or `bool`, *optional*): `true` for the last whole checkpoint, or a checkpoint's
            folder.

    Returns:
        `str` or `None`: `None` for a start from the beginning: without the setting, or where there is no whole one.

    Raises:
        InputError: The folder named is no whole checkpoint, or the run has checkpoints and nobody says to go on.

    >>> find_checkpoint("runs/nowhere", None) is None
    True
    >>> find_checkpoint("runs/nowhere", "runs/nowhere/checkpoint-5")
    Traceback (most recent call last):
    r1_trl.errors.InputError: `resume_from_checkpoint: runs/nowhere/checkpoint-5`: no such folder. `true` takes the \
last whole checkpoint of `output_dir`
    """
    found = whole_checkpoints(output_dir)
    if not resume_from_checkpoint or str(resume_from_checkpoint).lower() in ("false", "no", "0"):
        if found:
            raise InputError(
                f"`output_dir: {output_dir}` has checkpoints, the last is {found[-1].name}: set "
                "`resume_from_checkpoint: true` to go on from it, or name another folder"
            )
        return None
    if str(resume_from_checkpoint).lower() in LAST:
        return str(found[-1]) if found else None
    folder = Path(str(resume_from_checkpoint))
    hint = "`true` takes the last whole checkpoint of `output_dir`"
    if not folder.is_dir():
        raise InputError(f"`resume_from_checkpoint: {folder}`: no such folder. {hint}")
    if not (folder / MARK).is_file():
        raise InputError(f"`resume_from_checkpoint: {folder}`: is no whole checkpoint, it has no {MARK}. {hint}")
    return str(folder)


def whole_checkpoints(output_dir: str) -> list[Path]:
    """The marked checkpoints of a run, in the order of their steps.

    >>> whole_checkpoints("runs/nowhere")
    []
    """
    marked = Path(output_dir).glob(f"{PREFIX_CHECKPOINT_DIR}-*/{MARK}")
    return sorted((mark.parent for mark in marked), key=lambda folder: int(folder.name.rpartition("-")[2]))
