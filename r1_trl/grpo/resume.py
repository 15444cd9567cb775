"""The part of [`R1GRPOTrainer`] that makes a resumed run the same as one that was left alone, bit for bit.

The only changes with respect to [`~trl.GRPOTrainer`]:
1. A checkpoint also holds, for each process, the rollout that is in use and the place in it, and what is summed up for
   the next log; and the reference of full fine-tuning, where it is replaced during the run.
2. The questions of later epochs come in the order of the first run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from trl import GRPOTrainer

from r1_trl.checkpoints import WholeCheckpoints
from r1_trl.errors import InputError
from r1_trl.grpo.config import R1GRPOConfig
from r1_trl.grpo.schedules import set_max_completion_length, set_temperature

_REFERENCE = "reference.safetensors"


class ResumableRollouts(WholeCheckpoints, GRPOTrainer):
    """Overrides of [`~trl.GRPOTrainer`] that save and restore what it leaves out."""

    args: R1GRPOConfig
    _epochs_before = 0  # whole epochs behind the checkpoint that the run goes on from

    def _prepare_resume(self, checkpoint: Path) -> None:
        super()._prepare_resume(checkpoint)
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        self._epochs_before = int(round(state["epoch"], 6))

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        sampler: Any = super()._get_train_sampler(dataset)
        if sampler.shuffle:
            for _ in range(self._epochs_before):  # its generator goes on from epoch to epoch
                torch.randperm(sampler.num_samples, generator=sampler.generator)
        return sampler

    def _save_more(self, folder: Path) -> None:
        super()._save_more(folder)
        if self.args.save_only_model:
            return
        trainer: Any = self
        training_logs = trainer._logs_by_mode["train"]
        state = {
            "step": trainer._step,
            "arranged_step": trainer._arranged_step,
            "buffered_inputs": trainer._buffered_inputs,
            "metrics": {mode: dict(metrics) for mode, metrics in trainer._metrics.items()},
            "layout": self._layout,
            "temperature": trainer.temperature,
            "max_completion_length": trainer.max_completion_length,
            # As JSON: a reward may log what torch.load would refuse.
            "logs": json.dumps({k: _plain(log) for k, log in training_logs.items() if k != "images"}, default=repr),
            "sums": dict(trainer._sums["train"]),
        }
        torch.save(state, self._rollout_file(folder))
        if self._replaces_whole_reference and self.args.should_save:
            save_model(self._reference, str(folder / _REFERENCE))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        if not self._rollout_file(Path(checkpoint)).is_file():
            raise InputError(
                f"`resume_from_checkpoint: {checkpoint}` holds no rollout of process {self.args.process_index}: "
                "it was saved by fewer processes, or with `save_only_model`"
            )
        trainer: Any = self
        state = torch.load(self._rollout_file(Path(checkpoint)), map_location=self.accelerator.device)
        if state["layout"] != self._layout:
            raise InputError(
                f"`resume_from_checkpoint: {checkpoint}` was saved with {_described(state['layout'])}, and this "
                f"run has {_described(self._layout)}: its rollout cannot be shared out anew. Set the old ones, or "
                "start from the checkpoint as `model_name_or_path` in another folder"
            )
        set_temperature(trainer, state["temperature"])
        set_max_completion_length(trainer, state["max_completion_length"])
        trainer._step, trainer._arranged_step = state["step"], state["arranged_step"]
        trainer._buffered_inputs = state["buffered_inputs"]
        for mode, metrics in state["metrics"].items():
            trainer._metrics[mode].update(metrics)
        for name, log in json.loads(state["logs"]).items():
            _refill(trainer._logs_by_mode["train"][name], log)
        trainer._sums["train"].update(state["sums"])
        if self._replaces_whole_reference:
            load_model(self._reference, Path(checkpoint) / _REFERENCE)

    @property
    def _reference(self) -> torch.nn.Module:
        reference: torch.nn.Module = self.accelerator.unwrap_model(self.ref_model)
        return reference

    @property
    def _replaces_whole_reference(self) -> bool:
        return self.ref_model is not None and self.args.sync_ref_model

    @property
    def _layout(self) -> dict[str, Any]:
        names = (
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "steps_per_generation",
            "num_iterations",
        )
        return {name: getattr(self.args, name) for name in names} | {"num_processes": self.args.world_size}

    def _rollout_file(self, folder: Path) -> Path:
        return folder / f"rollout_{self.args.process_index}.pt"


def _described(layout: dict[str, Any]) -> str:
    return ", ".join(f"`{name}: {value}`" for name, value in layout.items())


def _plain(log: Any) -> Any:
    """A deque, or a mapping of deques, as lists."""
    return {name: list(values) for name, values in log.items()} if isinstance(log, Mapping) else list(log)


def _refill(log: Any, values: Any) -> None:
    if isinstance(log, Mapping):
        for name, column in values.items():
            log[name].extend(column)
    else:
        log.extend(values)
