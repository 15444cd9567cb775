"""Reference replacement for adapters: the reference is a frozen adapter named `"ref"` beside the trained one.

TRL scores the reference under the adapter `"ref"` wherever the model has one, and its own
[`~trl.trainer.callbacks.SyncRefModelCallback`] serves full fine-tuning alone.
"""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from peft import PeftModel
from transformers import TrainerCallback, TrainerControl, TrainerState

POLICY, REFERENCE = "default", "ref"


def add_reference_adapter(model: PeftModel) -> None:
    """Adds the frozen adapter `"ref"`, a copy of the policy's adapter, unless the model has it.

    Its memory is that of the adapter's weights once more: no gradient and no optimizer state.

    Args:
        model ([`~peft.PeftModel`]): The policy. The adapter `"default"` stays the active one.
    """
    if REFERENCE not in model.peft_config:
        model.add_adapter(REFERENCE, model.peft_config[POLICY])
        update_reference_adapter(model, alpha=1.0)
        model.set_adapter(POLICY)


@torch.no_grad()
def update_reference_adapter(model: PeftModel, alpha: float) -> None:
    """π_ref = α π_θ + (1 − α) π_ref, weight by weight.

    Args:
        model ([`~peft.PeftModel`]): A policy with both adapters.
        alpha (`float`): 1 replaces the reference by the policy (DeepSeek-R1 [N]: every 400 steps).
    """
    for name, parameter in model.named_parameters():
        if f".{POLICY}." in name:
            reference = model.get_parameter(name.replace(f".{POLICY}.", f".{REFERENCE}."))
            reference.requires_grad_(False)
            reference.mul_(1.0 - alpha).add_(parameter.to(reference.dtype), alpha=alpha)


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
