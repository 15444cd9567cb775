"""R1's GRPO: TRL's trainer with R1's defaults.

The only changes with respect to [`~trl.GRPOTrainer`]:
1. Without `args` it takes [`R1GRPOConfig`], the paper's settings.
2. Reference replacement works with adapters as well (`sync_ref_model`).
3. Reward functions are told by the keyword `think_opened` whether the chat template has already opened `<think>`.
4. Compute is saved (`r1_trl.grpo.efficiency`), and a run resumes exactly (`r1_trl.grpo.resume`).
5. Lengths, temperature and rewards may follow a schedule (`r1_trl.grpo.schedules`).
6. A row's column `reward_funcs` names the rewards that apply to it (`r1_trl.grpo.routing`).
7. What R1's authors watched is logged (`r1_trl.grpo.metrics`), and completions are kept by mode
   (`r1_trl.grpo.completions`).
8. Adapters train in float32 (`adapter_dtype`); a loaded one starts, and is its own reference, exactly as it was saved.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import trl
from peft import PeftModel
from transformers import PreTrainedModel, TrainerCallback
from trl.data_utils import is_conversational
from trl.trainer.callbacks import SyncRefModelCallback
from trl.trainer.utils import disable_dropout_in_model

from r1_trl.completion import think_opened_by
from r1_trl.errors import InputError
from r1_trl.grpo.adapters import keep_adapter, settle_adapter_dtype
from r1_trl.grpo.config import R1GRPOConfig
from r1_trl.grpo.efficiency import EfficientSteps
from r1_trl.grpo.metrics import RolloutMetrics
from r1_trl.grpo.reference import (
    REFERENCE,
    SyncRefAdapterCallback,
    add_reference_adapter,
    update_reference_adapter,
)
from r1_trl.grpo.resume import ResumableRollouts
from r1_trl.grpo.routing import ROUTE, Router, check_routes
from r1_trl.grpo.schedules import ScheduleCallback, check_rewards, is_active
from r1_trl.grpo.trl_version import check_trl_version
from r1_trl.tracking.summary import HeldOutSummaryCallback

check_trl_version(trl.__version__)


class R1GRPOTrainer(RolloutMetrics, EfficientSteps, ResumableRollouts):
    """[`~trl.GRPOTrainer`] for the DeepSeek-R1 recipe. Takes the same arguments in the same order.

    Args:
        model (`str`, [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]): The policy at its start.
        reward_funcs (`Callable` or `list[Callable]`): Such as those of `r1_trl.rewards`.
        args ([`R1GRPOConfig`], *optional*): Defaults to the paper's settings, saved under `runs/`.
        *other, **others: As in [`~trl.GRPOTrainer`]: `train_dataset`, `eval_dataset`, `peft_config`, ...

    Example:

    ```python
    from r1_trl import R1GRPOConfig, R1GRPOTrainer, accuracy_reward, format_reward

    trainer = R1GRPOTrainer(
        "Qwen/Qwen2.5-1.5B",
        [accuracy_reward, format_reward],
        args=R1GRPOConfig(output_dir="runs/r1", max_completion_length=1024),
        train_dataset=dataset,  # columns `prompt` and `solution`
    )
    trainer.train()
    ```
    """

    _tag_names = ["trl", "grpo", "r1-trl"]  # noqa: RUF012 as TRL declares it

    def __init__(
        self, model: Any, reward_funcs: Any = None, args: R1GRPOConfig | None = None, *other: Any, **others: Any
    ) -> None:
        args = R1GRPOConfig(output_dir="runs/grpo") if args is None else args
        if not isinstance(args, R1GRPOConfig):
            raise InputError(f"`args` is a {type(args).__name__}: R1GRPOTrainer takes an R1GRPOConfig")
        replaces_reference = args.sync_ref_model and args.beta != 0.0
        args.sync_ref_model = args.sync_ref_model and not replaces_reference  # TRL refuses it for adapters
        try:
            with keep_adapter(model):
                super().__init__(model, reward_funcs, args, *other, **others)
        finally:
            args.sync_ref_model = args.sync_ref_model or replaces_reference
        settle_adapter_dtype(self, args.adapter_dtype)
        policy = self.accelerator.unwrap_model(self.model)
        if isinstance(policy, PeftModel) and REFERENCE in policy.peft_config:
            update_reference_adapter(policy, alpha=1.0)  # TRL's own copy leaves embedding layers out
        check_rewards(args, self.reward_func_names)
        self._router = Router()
        self.add_callback(ScheduleCallback(self))
        self.add_callback(HeldOutSummaryCallback(self.eval_dataset))
        if replaces_reference:
            self.add_callback(self._reference_callback(args.disable_dropout))

    def _reference_callback(self, disable_dropout: bool) -> TrainerCallback:
        policy = self.accelerator.unwrap_model(self.model)
        if not isinstance(policy, PeftModel):
            return SyncRefModelCallback(
                ref_model=cast("PreTrainedModel", self.ref_model), accelerator=self.accelerator
            )
        if self.is_deepspeed_enabled and self.accelerator.state.deepspeed_plugin.zero_stage == 3:
            raise InputError(
                "`sync_ref_model` with an adapter under DeepSpeed ZeRO-3 is not supported: set it to false"
            )
        add_reference_adapter(policy)
        if disable_dropout:
            disable_dropout_in_model(policy)  # the new adapter brings its own
        return SyncRefAdapterCallback(self.accelerator)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        settle_adapter_dtype(self, self.args.adapter_dtype)  # loading a checkpoint makes it float32
        return super().create_optimizer(model)

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: list[Any], completions: list[Any], completion_ids_list: list[Any]
    ) -> torch.Tensor:
        opened_by_template = is_conversational({"prompt": prompts[0]}) and self._template_opens_think()
        inputs = [
            {"think_opened": opened_by_template or think_opened_by(prompt), **row}
            for row, prompt in zip(inputs, prompts, strict=True)
        ]
        check_routes((row.get(ROUTE) for row in inputs), self.reward_func_names, "train_dataset")
        functions: Any = self.reward_funcs
        active = [name for name in self.reward_func_names if self._is_active(name)]
        routed: Any = [
            self._router.route(function, name, inputs) if name in active else _not_now
            for name, function in zip(self.reward_func_names, functions, strict=True)
        ]
        self.reward_funcs = routed
        try:
            rewards: torch.Tensor = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        finally:
            self.reward_funcs = functions
        self._observe(inputs, prompts, completions, rewards, active)
        return rewards  # (B*G, reward functions)

    def _is_active(self, name: str) -> bool:
        windows: Any = self.args.reward_windows
        window = windows.get(name)
        return window is None or is_active(window, self.state.global_step, self.state.max_steps)

    def _template_opens_think(self) -> bool:
        question = [{"role": "user", "content": "1 + 1"}]
        template: Any = self.processing_class
        kwargs: Any = self.chat_template_kwargs
        text = template.apply_chat_template(question, add_generation_prompt=True, tokenize=False, **kwargs)
        return think_opened_by(text)


def _not_now(completions: list[Any], **kwargs: Any) -> list[None]:
    return [None] * len(completions)
