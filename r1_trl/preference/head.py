"""The score head beside an adapter: PEFT trains a whole copy of it, in the dtype of the frozen base.

In 16 bits its updates would round away (learning rate 6e-6, weights of 0.02), so it is float32 here, and what comes in
is cast at its door. PEFT and TRL do so for the adapter's own weights only.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.utils import ModulesToSaveWrapper


def keep_head_exact(model: Any) -> None:
    """Makes the layers that PEFT trains as a whole (`modules_to_save`) float32, in place.

    Args:
        model ([`~peft.PeftModel`]): Before its optimizer is made.

    >>> from peft import LoraConfig, get_peft_model
    >>> from transformers import Qwen2Config, Qwen2ForSequenceClassification
    >>> shape = {"hidden_size": 8, "num_attention_heads": 1, "num_key_value_heads": 1, "num_hidden_layers": 1}
    >>> config = Qwen2Config(vocab_size=8, num_labels=1, **shape)
    >>> model = Qwen2ForSequenceClassification(config).bfloat16()
    >>> model = get_peft_model(model, LoraConfig(r=1, task_type="SEQ_CLS"))
    >>> keep_head_exact(model)
    >>> [weight.dtype for name, weight in model.named_parameters() if "score.modules_to_save" in name]
    [torch.float32]
    >>> model(torch.tensor([[1, 2]])).logits.dtype
    torch.float32
    """
    for module in model.modules():
        if isinstance(module, ModulesToSaveWrapper):
            for layer in module.modules_to_save.values():
                layer.float()
                layer.register_forward_pre_hook(_to_float32)


def _to_float32(layer: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(value.float() for value in args)
