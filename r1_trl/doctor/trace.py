"""What a pass over a model allocates, found by running it on fake tensors: shapes and dtypes without a byte of data.

The model's own code, PEFT's and autograd decide what is kept for the backward pass, under checkpointing, autocast or
neither, so that no formula has to follow them. The kernels are those of a CPU, whose fused attention keeps what a
GPU's does: queries, keys, values, the output and one number a row.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import torch
from peft import PeftConfig, PeftModel, get_peft_model
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedConfig, PreTrainedModel

from r1_trl.doctor.fake_modules import fused_lm_head, quantize, sample
from r1_trl.grpo.adapters import set_adapter_dtype

ACTIVATIONS, GRADIENTS, LOGITS, KV_CACHE = "activations", "gradients", "logits", "kv_cache"


class AllocationTracker(TorchDispatchMode):
    """Counts the bytes of the storages that are alive, by part, and remembers them where their sum was greatest.

    Args:
        resident (`Iterable[torch.Tensor]`): Tensors that are there already and are not counted.
    """

    def __init__(self, resident: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self.alive: Counter[str] = Counter()
        self.at_peak: Counter[str] = Counter()
        self._parts: dict[int, tuple[str, int]] = {}
        self._part = ACTIVATIONS
        self._resident = list(resident)
        for tensor in self._resident:
            self._parts[tensor.untyped_storage()._cdata] = ("resident", 0)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What is allocated inside belongs to this part."""
        outer, self._part = self._part, name
        try:
            yield
        finally:
            self._part = outer

    def assign(self, tensor: torch.Tensor, part: str) -> None:
        """Moves a tensor that is alive to another part."""
        self._count(tensor)
        key = tensor.untyped_storage()._cdata
        old, size = self._parts[key]
        self._parts[key] = (part, size)
        self.alive[old] -= size
        self.alive[part] += size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_iter(out):
            if isinstance(value, torch.Tensor):
                self._count(value)
        return out

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._parts:
            return
        self._parts[key] = (self._part, storage.nbytes())
        self.alive[self._part] += storage.nbytes()
        weakref.finalize(storage, self._free, key)
        if self.alive.total() > self.at_peak.total():
            self.at_peak = self.alive.copy()

    def _free(self, key: int) -> None:
        part, size = self._parts.pop(key)
        self.alive[part] -= size


def build_model(
    config: PreTrainedConfig,
    dtype: torch.dtype,
    attention: str | None,
    peft_config: PeftConfig | None = None,
    adapter_dtype: torch.dtype | None = None,
    auto_class: Any = AutoModelForCausalLM,
) -> nn.Module:
    """The policy on the meta device, with its adapter: every parameter's shape, dtype and whether it is trained.

    Args:
        config ([`~transformers.PreTrainedConfig`]): The model's.
        dtype (`torch.dtype`): Of its weights.
        attention (`str`, *optional*): `"eager"`, or anything else for fused attention.
        peft_config ([`~peft.PeftConfig`], *optional*): Of the adapter to train.
        adapter_dtype (`torch.dtype`, *optional*): Of its weights. Without it, PEFT's choice: float32.
        auto_class (`type`, *optional*, defaults to [`~transformers.AutoModelForCausalLM`]): Reads the config.
    """
    fused = attention if attention in ("eager", "sdpa", None) else "sdpa"
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # PEFT warns of the meta device
        # Both configs are written to on the way.
        config = copy.deepcopy(config)
        model: nn.Module = auto_class.from_config(config, dtype=dtype, attn_implementation=fused)
        if peft_config is None:
            return model
        policy = cast("PeftModel", get_peft_model(cast("PreTrainedModel", model), copy.deepcopy(peft_config)))
    if adapter_dtype is not None:
        set_adapter_dtype(policy, adapter_dtype)  # as R1GRPOTrainer does
    return policy


def trace_update(
    model: nn.Module,
    rows: int,
    prompt: int,
    completion: int,
    checkpointing: bool,
    autocast: torch.dtype | None,
    accumulates: bool,
    quantized: bool,
    cuda: bool,
) -> Counter[str]:
    """Forward and backward pass of one micro-batch of `rows` completions.

    Args:
        model ([`~torch.nn.Module`]): From [`build_model`]; it is used up.
        rows (`int`), prompt (`int`), completion (`int`): Shape of the micro-batch; the lengths are in tokens.
        checkpointing (`bool`): Activation checkpointing.
        autocast (`torch.dtype`, *optional*): Of mixed precision.
        accumulates (`bool`): Gradients of earlier micro-batches are there.
        quantized (`bool`): The linear layers hold quantised weights.
        cuda (`bool`): The fused LM head is TRL's of a GPU and not that of a CPU.

    Returns:
        `Counter`: Bytes of activations, gradients and logits where their sum is greatest.
    """
    with _fake(model, quantized):
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        model.train()
        if checkpointing:
            model.activation_checkpointing_enable()  # type: ignore[operator]
            if isinstance(model, PeftModel):
                model.enable_input_require_grads()  # as TRL does
        tracker = AllocationTracker([*model.parameters(), *model.buffers()])
        with tracker:
            for parameter in trained:
                parameter.register_post_accumulate_grad_hook(_to_gradients(tracker))
                if accumulates:
                    with tracker.part(GRADIENTS):
                        parameter.grad = torch.zeros_like(parameter)
            ids = torch.ones(rows, prompt + completion, dtype=torch.long)  # (B, T)
            with _autocast(autocast):
                policy: Any = model.get_base_model() if isinstance(model, PeftModel) else model
                hidden = policy.base_model(input_ids=ids, attention_mask=ids, use_cache=False).last_hidden_state
                scored = hidden[:, -completion - 1 : -1] if cuda else hidden[:, :-1]
                head = policy.get_output_embeddings()
                log_probs = fused_lm_head(scored, head.weight, head.bias, tracker, cuda)
            log_probs.sum().backward()
    return tracker.at_peak


@torch.no_grad()
def trace_generation(
    model: nn.Module,
    rows: int,
    prompt: int,
    completion: int,
    autocast: torch.dtype | None,
    quantized: bool,
    top_k: int = 0,
    top_p: float = 1.0,
) -> Counter[str]:
    """One call of `generate`: the prompts, then the last of the completions' tokens, whose cache is the longest.

    Args:
        model ([`~torch.nn.Module`]): From [`build_model`]; it is used up.
        rows (`int`), prompt (`int`), completion (`int`): Completions at once; the lengths are in tokens.
        autocast (`torch.dtype`, *optional*): Of mixed precision.
        quantized (`bool`): The linear layers hold quantised weights.
        top_k (`int`, *optional*), top_p (`float`, *optional*): Of the sampling, which sorts the vocabulary for them.

    Returns:
        `Counter`: Bytes of activations, logits and the key-value cache where their sum is greatest.
    """
    with _fake(model, quantized), _autocast(autocast):
        model.eval()
        resident = [*model.parameters(), *model.buffers()]

        def step(tokens: int, cache: DynamicCache) -> None:
            total = cache.get_seq_length() + tokens
            ids, mask = (torch.ones(rows, count, dtype=torch.long) for count in (tokens, total))
            model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, logits_to_keep=1)

        prefill, decode = AllocationTracker(resident), AllocationTracker(resident)
        config: Any = model.config
        short, long = DynamicCache(config=config), DynamicCache(config=config)  # as `generate` makes it
        with prefill:
            step(prompt, short)
        step(prompt + completion - 1, long)
        for tensor in _cached(long):
            decode.assign(tensor, KV_CACHE)
        with decode:
            step(1, long)
            with decode.part(LOGITS):
                sample(torch.empty(rows, _vocabulary(model)), top_k, top_p)  # (B, V), float32
    return max(_split(prefill, short), _split(decode, long), key=Counter.total)


@torch.no_grad()
def trace_scoring(model: nn.Module, rows: int, tokens: int, quantized: bool) -> int:
    """Bytes that one forward pass of a reward model needs beside its weights.

    Args:
        model ([`~torch.nn.Module`]): From [`build_model`]; it is used up.
        rows (`int`), tokens (`int`): Of the pass; TRL passes the whole generation batch at once.
        quantized (`bool`): Its frozen linear layers hold 4 or 8 bits.
    """
    with _fake(model, quantized):
        ids = torch.ones(rows, tokens, dtype=torch.long)
        tracker = AllocationTracker([*model.parameters(), *model.buffers()])
        with tracker:
            model.eval()(input_ids=ids, attention_mask=ids)
    return tracker.at_peak.total()


@contextlib.contextmanager
def _fake(model: nn.Module, quantized: bool) -> Iterator[None]:
    """Moves a model from the meta device to a fake CPU, where autocast and fused attention work as on a real one."""
    if quantized:
        quantize(model)
    replaced: dict[int, torch.Tensor] = {}
    with FakeTensorMode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in model.modules():
            stores: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
            for tensors in stores:
                for name, tensor in tensors.items():
                    if tensor is not None:
                        tensors[name] = replaced.setdefault(id(tensor), _like(tensor))  # tied weights stay tied
        yield


def _like(tensor: torch.Tensor) -> Any:
    fake = torch.empty(tensor.shape, dtype=tensor.dtype)
    return nn.Parameter(fake, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else fake


def _autocast(dtype: torch.dtype | None) -> contextlib.AbstractContextManager[Any]:
    return contextlib.nullcontext() if dtype is None else torch.autocast("cpu", dtype)


def _to_gradients(tracker: AllocationTracker) -> Callable[[torch.Tensor], None]:
    def hook(parameter: torch.Tensor) -> None:
        if parameter.grad is not None:
            tracker.assign(parameter.grad, GRADIENTS)

    return hook


def _cached(cache: DynamicCache) -> list[torch.Tensor]:
    layers: list[Any] = cache.layers
    return [tensor for layer in layers for tensor in (layer.keys, layer.values) if tensor is not None]


def _split(tracker: AllocationTracker, cache: DynamicCache) -> Counter[str]:
    """Counts the cache as such: it grows by concatenation, so that a pass leaves another one than it found."""
    cached = sum(tensor.untyped_storage().nbytes() for tensor in _cached(cache))
    logits = tracker.at_peak[LOGITS]
    return Counter({LOGITS: logits, KV_CACHE: cached, ACTIVATIONS: max(tracker.at_peak.total() - cached - logits, 0)})


def _vocabulary(model: Any) -> int:
    size: int = model.get_output_embeddings().weight.shape[0]
    return size
