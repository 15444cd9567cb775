"""The part of [`R1GRPOTrainer`] that saves compute: the same gradients as [`~trl.GRPOTrainer`] from fewer passes.

The only changes with respect to [`~trl.GRPOTrainer`]:
1. `sort_by_length`: micro-batches hold rows of similar length and are cut to them, in the policy's pass and in those
   of the old and the reference policy.
2. `skip_zero_advantages`: rows without a gradient get no pass, where there is neither KL nor another term.
3. `generation_chunk_size`: a bounded number of completions is generated at once.

The metrics of a micro-batch (entropy, KL, clip ratios) are means over other rows than TRL's: those of its own length,
and with 2. only those that have a gradient.
"""

from __future__ import annotations

import time
from typing import Any, cast

import torch
from accelerate.utils import DistributedType
from trl import GRPOTrainer

from r1_trl.grpo.config import R1GRPOConfig
from r1_trl.grpo.micro_batches import (
    MicroBatch,
    count_active,
    drop_zero_advantages,
    is_text,
    sort_by_length,
    trim,
)
from r1_trl.grpo.rollouts import in_chunks

_REORDERS = ("grpo", "dr_grpo", "dapo")
# FSDP and DeepSpeed count the passes of a step themselves.
_SKIPS = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)


class EfficientSteps(GRPOTrainer):
    """Overrides of [`~trl.GRPOTrainer`]; every one can be switched off in [`R1GRPOConfig`]."""

    args: R1GRPOConfig
    _arranged_step: int | None = None  # the micro-step whose rollout is in the buffer, arranged

    @property
    def _may_reorder(self) -> bool:
        """Whether rows may change places within an optimizer step, with the same gradient.

        Not where the loss of a micro-batch is a mean over its own tokens (`bnpo`, the entropy bonus), takes a quantile
        of them (`top_entropy_quantile`) or is another function of the whole (the balance of experts).
        """
        whole = self._entropy_bonus_enabled or self.aux_loss_enabled or self.top_entropy_quantile < 1.0
        return self.loss_type in _REORDERS and not whole

    @property
    def _may_skip(self) -> bool:
        """Whether a row with advantage 0 has no gradient at all."""
        switched_on = self.args.skip_zero_advantages and self.accelerator.distributed_type in _SKIPS
        return switched_on and self._may_reorder and self.beta == 0.0

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        trainer = cast(Any, self)
        if not trainer.model.training:
            return super()._prepare_inputs(generation_batch)
        if self.rollout_is_due:
            super()._prepare_inputs(generation_batch)
            trainer._buffered_inputs = self._arrange(trainer._buffered_inputs)
            self._arranged_step = self._step
        return trainer._buffered_inputs[self._step % trainer.args.steps_per_generation]

    @property
    def rollout_is_due(self) -> bool:
        """Whether the next micro-step makes a rollout, rather than go on with the one in the buffer."""
        trainer = cast(Any, self)
        every = trainer.args.steps_per_generation * trainer.num_iterations
        return trainer._buffered_inputs is None or (self._step % every == 0 and self._arranged_step != self._step)

    def _arrange(self, batches: list[MicroBatch]) -> list[MicroBatch | None]:
        """The micro-batches of one rollout, those of each optimizer step arranged among themselves."""
        if not all(map(is_text, batches)):
            return list(batches)
        size = self._micro_batches_per_step(len(batches))
        arranged: list[MicroBatch | None] = []
        for start in range(0, len(batches), size):
            step = batches[start : start + size]
            if self.args.sort_by_length and self._may_reorder:
                step = sort_by_length(step)
            arranged += self._skip(step) if self._may_skip else step
        if not self.args.sort_by_length:
            return arranged
        return [batch and trim(batch, self._multiple_of) for batch in arranged]

    @property
    def _multiple_of(self) -> int | None:
        return cast("int | None", self.pad_to_multiple_of)

    def _micro_batches_per_step(self, rollout: int) -> int:
        """How many of a rollout's micro-batches share an optimizer step; 1 where steps and rollouts overlap."""
        step = self.args.gradient_accumulation_steps
        return min(rollout, step) if rollout % step == 0 or step % rollout == 0 else 1

    def _skip(self, step: list[MicroBatch]) -> list[MicroBatch | None]:
        total = sum(batch["advantages"].size(0) for batch in step)
        active = torch.tensor([max(1, count_active(step))], device=self.accelerator.device)
        rows = int(self.accelerator.gather(active).max())
        self._metrics["train"]["skipped_completions"].append(1 - rows / total)
        return drop_zero_advantages(step, self.loss_type, rows)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        model.train()
        started = time.perf_counter()
        prepared = self._prepare_inputs(inputs)
        self._current_train_step_time += time.perf_counter() - started
        if prepared is None:  # no row has a gradient
            self._step += 1
            return torch.tensor(0.0, device=self.accelerator.device)
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        compute = super()._get_per_token_logps_and_entropies
        # With gradients, the rows are one micro-batch, which is arranged already.
        other = any(value is not None and value is not False for value in kwargs.values())
        if torch.is_grad_enabled() or not self.args.sort_by_length or other:
            return compute(model, input_ids, attention_mask, logits_to_keep, batch_size, **kwargs)
        prompt = input_ids.size(1) - logits_to_keep
        rows = {
            "prompt_ids": input_ids[:, :prompt],
            "prompt_mask": attention_mask[:, :prompt],
            "completion_ids": input_ids[:, prompt:],
            "completion_mask": attention_mask[:, prompt:],
        }
        order = rows["completion_mask"].sum(dim=1).argsort(descending=True, stable=True)  # (B,)
        logps = torch.zeros(input_ids.size(0), logits_to_keep, device=input_ids.device)
        for chunk in order.split(batch_size or len(order)):
            part = trim({name: tensor[chunk] for name, tensor in rows.items()}, self._multiple_of)
            width = part["completion_ids"].size(1)
            ids = torch.cat([part["prompt_ids"], part["completion_ids"]], dim=1)
            mask = torch.cat([part["prompt_mask"], part["completion_mask"]], dim=1)
            logps[chunk, :width] = compute(model, ids, mask, width, **kwargs)[0].to(logps.dtype)
        return logps, None, None  # (B, logits_to_keep); columns that are padding hold 0

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        generate = super()._generate_single_turn
        images = args[0] if args else kwargs.get("images")
        if self.use_vllm or self.use_transformers_continuous_batching or images is not None:
            return generate(prompt_ids, *args, **kwargs)
        size = self.args.generation_chunk_size
        return in_chunks(prompt_ids, size, lambda chunk: generate(chunk, *args, **kwargs)[0]), None
