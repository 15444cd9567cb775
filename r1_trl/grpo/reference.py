"""Reference replacement for adapters: the reference is a frozen adapter named `"ref"` beside the trained one.

TRL scores the reference under the adapter `"ref"` wherever the model has one, and its own
[`~trl.trainer.callbacks.SyncRefModelCallback`] serves full fine-tuning alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from peft import LoraConfig, PeftModel
from transformers import TrainerCallback, TrainerControl, TrainerState

POLICY, REFERENCE = "default", "ref"


def add_reference_adapter(model: PeftModel) -> None:
    """Adds the frozen adapter `"ref"`, a copy of the policy's adapter, unless the model has it.

    Its memory is that of the adapter's weights once more: no gradient and no optimizer state.

    Args:
        model ([`~peft.PeftModel`]): The policy. The adapter `"default"` stays the active one.
    """
    if REFERENCE not in model.peft_config:
        config = copy.deepcopy(model.peft_config[POLICY])
        if isinstance(config, LoraConfig):
            config.init_lora_weights = True  # others, such as PiSSA, rewrite the base; the weights are copied anyway
        model.add_adapter(REFERENCE, config)
        for policy, reference in adapter_pairs(model):
            reference.data = policy.data.clone()  # also of its dtype, which TRL changes for quantised models
        model.set_adapter(POLICY)
    for _, reference in adapter_pairs(model):
        reference.requires_grad_(False)


@torch.no_grad()
def update_reference_adapter(model: PeftModel, alpha: float) -> None:
    """π_ref = α π_θ + (1 − α) π_ref, weight by weight.

    Args:
        model ([`~peft.PeftModel`]): A policy with both adapters.
        alpha (`float`): 1 replaces the reference by the policy (DeepSeek-R1 [N]: every 400 steps).
    """
    for policy, reference in adapter_pairs(model):
        reference.mul_(1.0 - alpha).add_(policy, alpha=alpha)


def adapter_pairs(model: PeftModel) -> Iterator[tuple[torch.nn.Parameter, torch.nn.Parameter]]:
    """Each weight of the policy's adapter with its counterpart in the reference."""
    weights = dict(model.named_parameters())
    for name, policy in weights.items():
        parts = name.split(".")
        if POLICY in parts:
            reference = weights[".".join(REFERENCE if part == POLICY else part for part in parts)]
            yield policy, reference


class SyncRefAdapterCallback(TrainerCallback):
    """Replaces the reference adapter every `ref_model_sync_steps` steps, mixed by `ref_model_mixup_alpha`.

    Args:
        accelerator ([`~accelerate.Accelerator`]): Unwraps the policy.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step % args.ref_model_sync_steps == 0:
            update_reference_adapter(self.accelerator.unwrap_model(kwargs["model"]), args.ref_model_mixup_alpha)
