"""The cost of a training run, live: `cost/*` in each of its logs, and in its checkpoints, so that sums go on.

A resumed run costs what it took up to the checkpoint and what follows it; work that a kill has lost is not counted.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import Trainer

from r1_trl.tracking.cost import CHECKPOINT_FILE, peak_memory, stage_cost
from r1_trl.tracking.run_folder import read_json

LOGGED = ("device_hours", "tokens_generated", "tokens_trained", "peak_memory_gb", "usd")


class CostLedger(Trainer):
    """A mixin for trainers of TRL that keeps the cost of the run. It stands before TRL's trainer.

    The only changes: training logs have `cost/wall_hours`, `cost/device_hours`, `cost/tokens_generated`,
    `cost/tokens_trained`, `cost/peak_memory_gb` and, when known, `cost/usd`. They come before callbacks see a log, so
    they are in `trainer_state.json` and in every tracker.

    Tokens are those of TRL's own counters, which TRL logs as `num_tokens`: prompts and completions of each micro-batch
    of SFT and reward models; of GRPO those of each rollout, times its iterations. GRPO's generated tokens are the
    completions of training and of held-out questions.

    Attributes:
        started (`float`): `time.monotonic()` from which on this start counts; the trainer's own start by default.
        gpu_hour_usd (`float` or `None`): Dollars for an hour of one device; by default the price of the card.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.started = time.monotonic()
        self.gpu_hour_usd: float | None = None
        self._cost_before: dict[str, Any] = {}
        self._tokens_generated = 0  # by this process
        self._evaluates = False
        super().__init__(*args, **kwargs)
        self._model_params = count_weights(self.model)

    def cost(self) -> dict[str, Any]:
        """What the run has taken so far, as [`~r1_trl.tracking.cost.stage_cost`] returns it.

        All processes have to call it together.
        """
        on_gpu = self.args.device.type == "cuda"
        mine = torch.tensor([[self._tokens_generated, peak_memory(on_gpu)]], device=self.args.device)
        each: Any = self.accelerator.gather(mine)  # (processes, 2)
        return stage_cost(
            time.monotonic() - self.started,
            tokens_generated=self._cost_before.get("tokens_generated", 0) + int(each[:, 0].sum()),
            tokens_trained=self._tokens_trained(),
            peak_memory=int(each[:, 1].max()),
            device=torch.cuda.get_device_name() if on_gpu else self.args.device.type,
            devices=self.args.world_size,
            gpu_hour_usd=self.gpu_hour_usd,
            model_params=self._model_params,
            before=self._cost_before,
        )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if not self._evaluates:
            cost = self.cost()
            logs["cost/wall_hours"] = cost["wall_seconds"] / 3600
            logs.update({f"cost/{name}": cost[name] for name in LOGGED if cost[name] is not None})
        super().log(logs, start_time)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        self._evaluates = True  # its log has no ledger, whatever the prefix of its metrics
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self._evaluates = False

    def train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> Any:
        if resume_from_checkpoint:
            self._cost_before = read_json(Path(resume_from_checkpoint) / CHECKPOINT_FILE)
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def _tokens_trained(self) -> int:
        trainer: Any = self
        if hasattr(trainer, "num_iterations"):  # GRPO counts in the trainer's state, which a resumed run goes on with
            return int(trainer.state.num_input_tokens_seen * trainer.num_iterations)
        return int(self._cost_before.get("tokens_trained", 0) + trainer._total_train_tokens)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        """All completions of GRPO pass here, those to held-out questions as well."""
        self._tokens_generated += sum(map(len, completion_ids_list))
        grpo: Any = super()
        return grpo._calculate_rewards(inputs, prompts, completions, completion_ids_list)


def count_weights(model: Any) -> int:
    """How many weights a model has, all of them under quantisation or ZeRO-3, and without those of an adapter.

    >>> count_weights(torch.nn.Linear(2, 3))
    9
    """
    if isinstance(model, PeftModel):
        adapters = sum(_size(weight) for name, weight in model.named_parameters() if "lora_" in name)
        return int(model.get_nb_trainable_parameters()[1]) - adapters
    return sum(map(_size, model.parameters()))


def _size(weight: torch.Tensor) -> int:
    return int(getattr(weight, "ds_numel", weight.numel()))
