"""Micro-batches without waste: rows of similar length together, padding cut off, rows without a gradient left out.

TRL pads every micro-batch to the longest completion of the whole rollout. Here the rows of one optimizer step are put
in the order of their length, and each micro-batch is cut to its own longest prompt and completion. The longest come
first, so that memory that is too small shows at once; where rows are left out, the empty micro-batches come first.

Rows change places within one optimizer step alone, and only where the gradient is a sum over rows whose weights do not
depend on their neighbours.

Source: DeepSeek-R1 [v2, appendix B.1] sorts a batch by length before it is packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

# One row of each tensor is one completion; `num_items_in_batch` is a scalar.
MicroBatch: TypeAlias = dict[str, torch.Tensor]

_PROMPT = {"prompt_ids", "prompt_mask"}  # (B, P), padded on the left
_COMPLETION = {
    "completion_ids",
    "completion_mask",
    "old_per_token_logps",
    "ref_per_token_logps",
    "sampling_per_token_logps",
    "importance_sampling_ratio",
    "tool_mask",
}  # (B, C), padded on the right; the ratio may be (B, 1)
_OTHER = {"advantages", "num_items_in_batch"}  # (B,) and ()


def is_text(batch: dict[str, Any]) -> bool:
    """Whether a batch holds nothing but text; images are left as they are.

    >>> is_text({"prompt_ids": torch.zeros(1, 1), "pixel_values": torch.zeros(1)})
    False
    """
    return batch.keys() <= _PROMPT | _COMPLETION | _OTHER


def trim(batch: MicroBatch, multiple_of: int | None = None) -> MicroBatch:
    """Cuts a micro-batch to its longest prompt and its longest completion.

    Args:
        batch (`MicroBatch`): B rows.
        multiple_of (`int`, *optional*): Widths stay multiples of this (`pad_to_multiple_of`).

    >>> mask = torch.tensor([[0, 1], [0, 1]])
    >>> batch = {"prompt_ids": mask, "prompt_mask": mask, "completion_ids": 1 - mask, "completion_mask": 1 - mask}
    >>> {name: tuple(tensor.shape) for name, tensor in trim(batch).items()}["completion_ids"]
    (2, 1)
    """
    full = batch["completion_ids"].size(1)
    prompt = _width(batch["prompt_mask"].flip(1), multiple_of)
    completion = _width(batch["completion_mask"], multiple_of)

    def cut(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if name in _PROMPT:
            return tensor[:, -prompt:]
        per_token = name in _COMPLETION or (name == "advantages" and tensor.dim() == 2)
        return tensor[:, :completion] if per_token and tensor.size(1) == full else tensor

    return {name: cut(name, tensor) for name, tensor in batch.items()}


def _width(mask: torch.Tensor, multiple_of: int | None) -> int:
    """Up to the last 1 of any row, and at least one column."""
    columns = mask.any(dim=0).nonzero()
    width = int(columns[-1]) + 1 if len(columns) else 1
    step = multiple_of or 1
    return min(-(-width // step) * step, mask.size(1))


def sort_by_length(batches: Sequence[MicroBatch]) -> list[MicroBatch]:
    """The same rows in micro-batches of the same size, the longest completions first."""
    merged = _merge(batches)
    order = merged["completion_mask"].sum(dim=1).argsort(descending=True, stable=True)  # (B*N,)
    return _split(_take(merged, order), [batch["completion_ids"].size(0) for batch in batches])


def count_active(batches: Sequence[MicroBatch]) -> int:
    """How many rows of an optimizer step have an advantage other than 0.

    >>> count_active([{"advantages": torch.tensor([0.0, 1.0])}, {"advantages": torch.tensor([0.0, -1.0])}])
    2
    """
    return sum(int(_active(batch).sum()) for batch in batches)


def drop_zero_advantages(batches: Sequence[MicroBatch], loss_type: str, rows: int) -> list[MicroBatch | None]:
    """Leaves out the rows whose advantage is 0, without changing the gradient.

    The other rows fill as few micro-batches as hold them, the last ones; `None` stands for one that is not needed. A
    loss that is a mean over the rows of its micro-batch gives fewer rows more weight, so their advantages shrink in
    proportion: without KL and entropy bonus the loss is proportional to them.

    Args:
        batches (`Sequence[MicroBatch]`): The N micro-batches of one optimizer step, each of B rows.
        loss_type (`str`): `"grpo"` and `"dr_grpo"` average over rows, `"dapo"` over the tokens of the whole rollout.
        rows (`int`): At least 1 and at least [`count_active`]: the most that any process has, so that all do the same
            passes over as many rows. The shortest row, with advantage 0, stands in for those that are missing.

    Returns:
        `list[MicroBatch | None]`: N micro-batches.
    """
    merged, size = _merge(batches), batches[0]["completion_ids"].size(0)
    active = _active(merged).nonzero().flatten()
    stand_in = merged["completion_mask"].sum(dim=1).argmin().repeat(rows - len(active))
    kept = _take(merged, torch.cat([active, stand_in]))
    kept["advantages"] = kept["advantages"].clone()
    kept["advantages"][len(active) :] = 0
    count = -(-rows // size)
    base, more = divmod(rows, count)
    filled = _split(kept, [base + (i < more) for i in range(count)])
    if loss_type != "dapo":
        for batch in filled:
            batch["advantages"] = batch["advantages"] * (batch["completion_ids"].size(0) / size)
    return [None] * (len(batches) - count) + filled


def _active(batch: MicroBatch) -> torch.Tensor:
    advantages = batch["advantages"]
    return (advantages.reshape(len(advantages), -1) != 0).any(dim=1)  # (B,)


def _merge(batches: Sequence[MicroBatch]) -> MicroBatch:
    return {
        name: tensor if tensor.dim() == 0 else torch.cat([batch[name] for batch in batches])
        for name, tensor in batches[0].items()
    }


def _take(batch: MicroBatch, rows: torch.Tensor) -> MicroBatch:
    return {name: tensor if tensor.dim() == 0 else tensor[rows] for name, tensor in batch.items()}


def _split(batch: MicroBatch, sizes: Sequence[int]) -> list[MicroBatch]:
    parts = {name: tensor.split(list(sizes)) for name, tensor in batch.items() if tensor.dim()}
    scalars = {name: tensor for name, tensor in batch.items() if not tensor.dim()}
    return [{**{name: part[i] for name, part in parts.items()}, **scalars} for i in range(len(sizes))]
