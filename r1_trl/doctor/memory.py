"""How much memory a recipe needs at its peak, by part and by phase, without loading a weight.

What stays for the whole run is counted from the shapes of the parameters. What comes and goes within a phase is traced
on fake tensors ([`doctor.trace`]).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields

from torch import nn
from transformers import AutoModelForSequenceClassification
from trl.trainer.utils import disable_dropout_in_model

from r1_trl.doctor.device import GIB
from r1_trl.doctor.fake_modules import quantized_linears
from r1_trl.doctor.scorers import Scorer
from r1_trl.doctor.trace import build_model, trace_generation, trace_scoring, trace_update
from r1_trl.doctor.workload import Workload

_CUDA_CONTEXT = GIB // 2  # the driver's context and the libraries' workspaces; assumed, not measured

# Bytes of optimizer state for each byte of a trained weight, or for each weight where the state is of 8 bits. Two
# moments of AdamW take the weights' dtype. Every other optimizer is counted like AdamW.
_STATES_PER_BYTE = {"adafactor": 0.0, "sgd": 0.0, "rmsprop": 1.0, "adagrad": 1.0, "lion_32bit": 1.0}
_BYTES_PER_WEIGHT = {"adamw_8bit": 2, "adamw_bnb_8bit": 2, "lion_8bit": 1, "rmsprop_bnb_8bit": 1}


@dataclass(frozen=True)
class Memory:
    """Bytes of one phase at its peak, by part."""

    weights: int = 0
    adapters: int = 0
    gradients: int = 0
    optimizer: int = 0
    activations: int = 0
    logits: int = 0
    kv_cache: int = 0
    reference: int = 0
    reward_models: int = 0
    vllm: int = 0
    runtime: int = 0

    @property
    def total(self) -> int:
        """Their sum.

        >>> Memory(weights=10, gradients=10, optimizer=20).total
        40
        """
        return sum(getattr(self, part.name) for part in fields(self))


@dataclass(frozen=True)
class Estimate:
    """The phases of one step, in their order.

    Parameters:
        phases (`dict[str, Memory]`): `"rollout"`, `"rewards"` where a model scores, and `"update"`.
    """

    phases: dict[str, Memory]

    @property
    def peak(self) -> int:
        """Bytes of the phase that needs most."""
        return max(memory.total for memory in self.phases.values())


def estimate_memory(workload: Workload) -> Estimate:
    """The peak of every phase, from the second step on, when the optimizer's states are there.

    Args:
        workload ([`~doctor.workload.Workload`]): Sizes and settings.

    >>> import torch
    >>> from transformers import AutoConfig
    >>> from r1_trl.miniature import resolve_model_path
    >>> config = AutoConfig.from_pretrained(resolve_model_path("miniature:base"))
    >>> estimate = estimate_memory(Workload(config, torch.float32, cuda=False, micro_batch=16, accumulation=1,
    ...     generation_rows=16, rollout_rows=16, prompt_tokens=32, completion_tokens=64, checkpointing=False,
    ...     autocast=None, attention=None, optimizer="adamw_torch_fused", reference=True, syncs_reference=True))
    >>> update = estimate.phases["update"]
    >>> update.weights == update.reference == update.optimizer // 2
    True
    """
    phases = ["rollout", *(["rewards"] if workload.reward_models else []), "update"]
    return Estimate({phase: estimate_phase(workload, phase) for phase in phases})


def estimate_phase(workload: Workload, phase: str) -> Memory:
    """The peak of one phase.

    Args:
        workload ([`~doctor.workload.Workload`]): Sizes and settings.
        phase (`str`): `"rollout"`, `"rewards"` or `"update"`.
    """
    resident, vllm = _resident(workload), workload.vllm_bytes
    if phase == "rollout":
        return Memory(**resident, vllm=vllm, **({} if workload.uses_vllm else _rollout(workload)))
    if phase == "rewards":
        return Memory(**_scoring(resident, workload), vllm=vllm)
    return Memory(**resident, vllm=0 if workload.vllm_sleeps else vllm, **_update(workload))


def _resident(workload: Workload) -> dict[str, int]:
    model = _model(workload)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    trained_bytes = _bytes(trained)
    saved = _saved_by_quantization(model, workload.bits, workload.nested_quantization)
    all_bytes = _bytes(list(model.parameters())) - saved
    adapters = trained_bytes if workload.peft_config is not None else 0
    reference = 0
    if workload.reference:  # with an adapter it is the base with the adapter off, or a frozen copy of the adapter
        reference = all_bytes if workload.peft_config is None else adapters * workload.syncs_reference
    name = workload.optimizer.removeprefix("paged_")
    if name in _BYTES_PER_WEIGHT:
        optimizer = sum(parameter.numel() for parameter in trained) * _BYTES_PER_WEIGHT[name]
    else:
        optimizer = int(trained_bytes * _STATES_PER_BYTE.get(name, 2.0))
    return {
        "weights": all_bytes - adapters,
        "adapters": adapters,
        "optimizer": optimizer,
        "reference": reference,
        "reward_models": sum(_weights(scorer, workload) for scorer in workload.reward_models if not scorer.waits),
        "runtime": _CUDA_CONTEXT * workload.cuda,
    }


def _saved_by_quantization(model: nn.Module, bits: int | None, nested: bool) -> int:
    if bits is None:
        return 0
    saved = 0.0
    for _, _, linear in quantized_linears(model):
        size = linear.weight.numel()
        if bits == 8:
            each = 1 + 4 / linear.in_features  # one float32 scale a row
        elif nested:
            each = 0.5 + 1 / 64 + 4 / (64 * 256)  # an 8-bit scale for 64 weights, a float32 one for 256 of those
        else:
            each = 0.5 + 4 / 64  # a float32 scale for 64 weights
        saved += size * (linear.weight.element_size() - each)
    return int(saved)


def _update(workload: Workload) -> dict[str, int]:
    bytes_by_part = trace_update(
        _model(workload),
        workload.micro_batch,
        workload.prompt_tokens,
        workload.completion_tokens,
        workload.checkpointing,
        workload.autocast,
        workload.accumulation > 1,
        workload.bits is not None,
        workload.cuda,
    )
    found = dict(bytes_by_part)
    if workload.processes > 1:
        found["gradients"] = 2 * found.get("gradients", 0)
    return found


def _rollout(workload: Workload) -> dict[str, int]:
    return dict(
        trace_generation(
            _model(workload),
            workload.generation_rows,
            workload.prompt_tokens,
            workload.completion_tokens,
            workload.autocast,
            workload.bits is not None,
            workload.top_k,
            workload.top_p,
        )
    )


def _scoring(resident: dict[str, int], workload: Workload) -> dict[str, int]:
    """The reward models score one after the other: the one that takes most, and its weights where they had waited."""
    peaks = []
    for scorer in workload.reward_models:
        rows = min(scorer.rows or workload.rollout_rows, workload.rollout_rows)
        tokens = workload.prompt_tokens + workload.completion_tokens
        model = _reward_model(scorer, workload)
        activations = trace_scoring(model, rows, min(scorer.tokens or tokens, tokens), scorer.bits is not None)
        arrives = _weights(scorer, workload) if scorer.waits else 0
        peaks.append((arrives + activations, arrives, activations))
    _, arrives, activations = max(peaks)
    return {**resident, "reward_models": resident["reward_models"] + arrives, "activations": activations}


def _weights(scorer: Scorer, workload: Workload) -> int:
    model = _reward_model(scorer, workload)
    return _bytes(list(model.parameters())) - _saved_by_quantization(model, scorer.bits, nested=False)


def _reward_model(scorer: Scorer, workload: Workload) -> nn.Module:
    config = copy.deepcopy(scorer.config)
    config.num_labels = 1  # as TRL loads it
    if config.pad_token_id is None:
        config.pad_token_id = 0  # TRL takes the tokenizer's
    attention, auto_class = workload.attention, AutoModelForSequenceClassification
    model = build_model(config, scorer.dtype, attention, scorer.peft_config, auto_class=auto_class)
    return model if scorer.peft_config is not None else model.requires_grad_(False)


def _model(workload: Workload) -> nn.Module:
    adapter_dtype = None if workload.peft_config is None else workload.adapter_dtype
    model = build_model(workload.config, workload.dtype, workload.attention, workload.peft_config, adapter_dtype)
    if not workload.dropout:
        disable_dropout_in_model(model)
    return model


def _bytes(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)
