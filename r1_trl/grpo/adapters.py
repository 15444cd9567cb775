"""The adapter in training: its precision, and that a trainer of TRL starts from exactly the one it was given.

Departure from TRL, which trains the adapter of a quantised model in bfloat16: at the small learning rates of R1 most
updates are then below half a unit in the last place and round away. Adapters are float32 here unless asked otherwise.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel

from r1_trl.grpo.reference import POLICY, REFERENCE

ADAPTER_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

# These stay as they are. A full copy of a layer computes in the dtype of its 16-bit neighbours, and the magnitudes of
# DoRA are near 1, where bfloat16 is coarsest for their updates (TRL leaves them in float32 as well).
_KEPT = {"modules_to_save", "lora_magnitude_vector"}

logger = logging.getLogger(__name__)


def set_adapter_dtype(model: PeftModel, dtype: torch.dtype) -> None:
    """Casts the weights of the trained adapter, and of its reference where there is one, in place.

    PEFT casts activations at the door of each adapter, so any base computes with it. Call this before the optimizer is
    made. Layers in `modules_to_save` keep the dtype of the base, and DoRA's magnitudes keep theirs.

    Args:
        model ([`~peft.PeftModel`]): The policy.
        dtype (`torch.dtype`): Of the adapter's weights from now on.

    >>> from peft import LoraConfig, get_peft_model
    >>> from transformers import Qwen2Config, Qwen2ForCausalLM
    >>> config = Qwen2Config(hidden_size=8, num_attention_heads=1, num_hidden_layers=1, vocab_size=8)
    >>> model = get_peft_model(Qwen2ForCausalLM(config), LoraConfig(r=1, task_type="CAUSAL_LM"))
    >>> set_adapter_dtype(model, torch.bfloat16)
    >>> {weight.dtype for weight in model.parameters() if weight.requires_grad}
    {torch.bfloat16}
    """
    for name, weight in model.named_parameters():
        parts = set(name.split("."))
        if parts & {POLICY, REFERENCE} and not parts & _KEPT and weight.dtype != dtype:
            weight.data = weight.data.to(dtype)


def settle_adapter_dtype(trainer: Any, dtype: str) -> None:
    """Gives the adapter of a trainer its dtype. Does nothing without an adapter.

    Where weights are sharded in groups of one dtype (DeepSpeed ZeRO-3, and FSDP with a quantised base), the adapter
    takes the base's dtype instead, and says so when that is not what was asked for.

    Args:
        trainer ([`~transformers.Trainer`]): Before its optimizer is made.
        dtype (`str`): `"float32"` or `"bfloat16"`.
    """
    policy = trainer.accelerator.unwrap_model(trainer.model)
    if not isinstance(policy, PeftModel):
        return
    wanted = ADAPTER_DTYPES[dtype]
    plugin = trainer.args.deepspeed_plugin
    quantised = getattr(policy, "hf_quantizer", None) is not None
    if (plugin is not None and plugin.zero_stage == 3) or (trainer.is_fsdp_enabled and quantised):
        base = cast("torch.dtype", policy.get_base_model().dtype)
        if base != wanted:
            logger.warning("the adapter trains in %s, as the sharded base: one dtype for all weights", base)
        wanted = base
    set_adapter_dtype(policy, wanted)


@contextmanager
def keep_adapter(model: Any) -> Iterator[None]:
    """While a trainer of TRL is built around an adapter: keeps the adapter's weights, and the base's.

    1. TRL rounds the adapter of a quantised model to bfloat16. Afterwards its weights are as exact as before.
    2. TRL adds the reference `"ref"` with the adapter's own configuration, whose initialisation may rewrite the base
       (PiSSA, OLoRA, ...). Within this context it is a plain one: the weights are copied into it anyway.

    Args:
        model (`Any`): What the trainer is given. Only a [`~peft.PeftModel`] is looked at.
    """
    if not isinstance(model, PeftModel):
        yield
        return
    weights = {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}
    config = model.peft_config.get(POLICY)
    initialisation: Any = getattr(config, "init_lora_weights", None)
    try:
        if isinstance(config, LoraConfig):
            config.init_lora_weights = True
        yield
    finally:
        if isinstance(config, LoraConfig):
            if REFERENCE in model.peft_config:
                model.peft_config[REFERENCE] = copy.deepcopy(config)  # TRL shares one object between the two
            config.init_lora_weights = initialisation
    for name, weight in model.named_parameters():
        if name in weights:
            weight.data = weights[name].to(weight.device)
