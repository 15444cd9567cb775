"""Stand-ins for what fake tensors cannot run: TRL's fused LM head on a GPU, quantised linear layers, sampling."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import TopKLogitsWarper, TopPLogitsWarper
from trl.kernels.chunked_logprob import TOKEN_CHUNK_SIZE, ChunkedLogProbFunction
from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE as VOCABULARY_CHUNK_SIZE


def fused_lm_head(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, tracker: Any, cuda: bool
) -> torch.Tensor:
    """Log-probabilities by TRL's fused head, which never holds all logits; its tiles are counted as logits.

    Args:
        hidden (`torch.Tensor`): (B, T, H), the positions that are scored: on a GPU only those of completions.
        weight (`torch.Tensor`): (V, H).
        bias (`torch.Tensor`, *optional*): (V).
        tracker ([`~doctor.trace.AllocationTracker`]): Counts.
        cuda (`bool`): Triton turns a tile into its gradient in place; without it, a tile has several float32 copies.
    """
    head: Any = _TritonLMHead if cuda else _TorchLMHead
    log_probs: torch.Tensor = head.apply(hidden.reshape(-1, hidden.shape[-1]), weight, bias, tracker)
    return log_probs


class _TorchLMHead(torch.autograd.Function):
    """TRL's own function for devices without Triton."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: Any, tracker: Any) -> Any:
        ctx.tracker = tracker
        targets = torch.zeros(hidden.shape[0], dtype=torch.long)
        # TRL's tile is as wide as its chunk; what is beyond the vocabulary is never touched, and takes no memory.
        width = min(weight.shape[0], VOCABULARY_CHUNK_SIZE)
        with tracker.part("logits"):
            outputs = ("log_probs", "entropy")
            return ChunkedLogProbFunction.forward(ctx, hidden, weight, bias, targets, 1.0, width, outputs=outputs)[0]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        with ctx.tracker.part("logits"):
            return (*ChunkedLogProbFunction.backward(ctx, grad_outputs[0], None)[:3], None)


class _TritonLMHead(torch.autograd.Function):
    """The tensors that TRL's function holds on a GPU (`trl/kernels/chunked_logprob.py`)."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: Any, tracker: Any) -> Any:
        ctx.tracker, ctx.needs_bias = tracker, bias is not None and bias.requires_grad
        ctx.dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else hidden.dtype
        ctx.save_for_backward(hidden, weight)
        with tracker.part("logits"):
            _buffers = _TritonLMHead._tile(ctx, hidden, weight)
            return torch.empty(hidden.shape[0], dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        hidden, weight = ctx.saved_tensors
        with ctx.tracker.part("logits"):
            _buffers = _TritonLMHead._tile(ctx, hidden, weight)
            grad_hidden = torch.empty(hidden.shape, dtype=torch.float32)
            grad_weight = torch.empty(weight.shape, dtype=torch.float32) if ctx.needs_input_grad[1] else None
            grad_bias = torch.empty(weight.shape[0], dtype=weight.dtype) if ctx.needs_bias else None
            return (
                grad_hidden.to(hidden.dtype),
                None if grad_weight is None else grad_weight.to(weight.dtype),
                grad_bias,
                None,
            )

    @staticmethod
    def _tile(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor) -> list[torch.Tensor]:
        tokens = min(hidden.shape[0], TOKEN_CHUNK_SIZE)
        tile = torch.empty(tokens, VOCABULARY_CHUNK_SIZE, dtype=ctx.dtype)
        columns = weight[:VOCABULARY_CHUNK_SIZE]
        return [tile, columns.to(ctx.dtype)]  # the weights are cast chunk by chunk


class _DequantizedLinear(torch.autograd.Function):
    """A product with quantised weights: they are dequantised for it, forward and backward, and not kept between."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, out_features: int) -> torch.Tensor:
        ctx.out_features, ctx.in_features = out_features, hidden.shape[-1]
        return hidden @ _weight(hidden.dtype, ctx.in_features, out_features)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        (grad,) = grad_outputs
        return grad @ _weight(grad.dtype, ctx.out_features, ctx.in_features), None


def _weight(dtype: torch.dtype, rows: int, columns: int) -> torch.Tensor:
    return torch.empty(rows, columns, dtype=dtype)


class _QuantizedLinear(nn.Module):
    def __init__(self, linear: nn.Linear, compute_dtype: torch.dtype) -> None:
        super().__init__()
        self.out_features, self.compute_dtype = linear.out_features, compute_dtype

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = _DequantizedLinear.apply(hidden.to(self.compute_dtype), self.out_features)
        return out.to(hidden.dtype)


def quantize(model: nn.Module) -> None:
    """Puts quantised linear layers in place of a model's frozen ones, except its head, as transformers does.

    Args:
        model ([`~torch.nn.Module`]): Is changed. The compute dtype is that of its weights, as TRL has it.
    """
    for parent, name, linear in quantized_linears(model):
        setattr(parent, name, _QuantizedLinear(linear, linear.weight.dtype))


def quantized_linears(model: Any) -> list[tuple[nn.Module, str, nn.Linear]]:
    """The linear layers that `load_in_4bit` and `load_in_8bit` quantise: parent, name and layer.

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]): Its frozen linear layers are listed.
    """
    head = model.get_output_embeddings()
    return [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear) and child is not head and not child.weight.requires_grad
    ]


def sample(logits: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """The next tokens as `generate` draws them: float32 copies of the logits, sorted where a cut asks for it.

    Args:
        logits (`torch.Tensor`): (B, V).
        top_k (`int`): 0 cuts nothing.
        top_p (`float`): 1.0 cuts nothing.
    """
    scores = logits.to(torch.float32, copy=True)
    ids = torch.zeros(logits.shape[0], 1, dtype=torch.long)
    if top_k:
        scores = TopKLogitsWarper(min(top_k, logits.shape[-1]))(ids, scores)
    if top_p < 1.0:
        scores = TopPLogitsWarper(top_p)(ids, scores)
    probs = torch.softmax(scores, dim=-1)
    drawn = torch.empty_like(probs)  # multinomial draws one number for each
    return torch.argmax(probs.div(drawn), dim=-1)
