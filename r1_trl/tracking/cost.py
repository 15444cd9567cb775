"""What a stage takes: wall time, device hours, tokens, memory and dollars, summed over all of its starts."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from typing import Any

import torch

from r1_trl.tracking.card_prices import find_card

GIB = 2**30
CHECKPOINT_FILE = "cost.json"  # in a checkpoint: the cost of the run up to there


def stage_cost(
    wall_seconds: float,
    *,
    tokens_generated: int,
    tokens_trained: int = 0,
    peak_memory: int | None = None,
    device: str = "cpu",
    devices: int = 1,
    gpu_hour_usd: float | None = None,
    model_params: int | None = None,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The ledger of a stage, for `stage.json` and for `cost/*` metrics.

    Args:
        wall_seconds (`float`): Of this start.
        tokens_generated (`int`): By all starts, on all processes.
        tokens_trained (`int`, *optional*, defaults to `0`): Likewise.
        peak_memory (`int`, *optional*): Bytes, of the process that took most.
        device (`str`, *optional*, defaults to `"cpu"`): The card's name, or the type of another device.
        devices (`int`, *optional*, defaults to `1`): How many worked.
        gpu_hour_usd (`float`, *optional*): Dollars for an hour of one. Defaults to the price of the card, if known.
        model_params (`int`, *optional*): Weights of the model, for projections.
        before (`Mapping`, *optional*): What earlier starts cost, as this function returned it.

    Returns:
        `dict`: `wall_seconds`, `device_hours`, `device`, `processes`, `tokens_generated`, `tokens_trained`,
            `peak_memory_gb` (of 2³⁰ bytes), `gpu_hour_usd`, `usd` and `model_params`; `None` for what is not known.

    >>> cost = stage_cost(1800, tokens_generated=10, device="NVIDIA GeForce RTX 4090", devices=2)
    >>> cost["device_hours"], cost["usd"]
    (1.0, 0.34)
    >>> stage_cost(1800, tokens_generated=10, before=cost)["usd"] is None  # the second start was on a CPU
    True
    """
    before = before or {}
    card = find_card(device)
    price = card.usd if gpu_hour_usd is None and card is not None else gpu_hour_usd
    hours = wall_seconds / 3600 * devices
    earlier_usd = before.get("usd") if before else 0.0
    peak = None if peak_memory is None else peak_memory / GIB
    peaks = [memory for memory in (peak, before.get("peak_memory_gb")) if memory is not None]
    return {
        "wall_seconds": wall_seconds + before.get("wall_seconds", 0.0),
        "device_hours": hours + before.get("device_hours", 0.0),
        "device": device,
        "processes": devices,
        "tokens_generated": tokens_generated,
        "tokens_trained": tokens_trained,
        "peak_memory_gb": max(peaks, default=None),
        "gpu_hour_usd": price,
        "usd": None if price is None or earlier_usd is None else earlier_usd + hours * price,
        "model_params": model_params,
    }


def sampling_cost(
    wall_seconds: float,
    tokens_generated: int,
    gpu_hour_usd: float | None = None,
    *,
    use_cpu: bool = False,
    devices: int = 1,
    model_params: int | None = None,
) -> dict[str, Any]:
    """The ledger of a stage that samples in this process and trains nothing.

    Args:
        wall_seconds (`float`): Of all starts.
        tokens_generated (`int`): Likewise.
        gpu_hour_usd (`float`, *optional*): As in [`stage_cost`].
        use_cpu (`bool`, *optional*, defaults to `False`): A GPU that is there was left alone.
        devices (`int`, *optional*, defaults to `1`): GPUs that shared the model.
        model_params (`int`, *optional*): Weights of the model.

    Returns:
        `dict`: As [`stage_cost`] returns it.

    >>> sampling_cost(7200, 1000, gpu_hour_usd=0.5, use_cpu=True)["usd"]
    1.0
    """
    on_gpu = torch.cuda.is_available() and not use_cpu
    return stage_cost(
        wall_seconds,
        tokens_generated=tokens_generated,
        peak_memory=peak_memory(on_gpu),
        device=torch.cuda.get_device_name() if on_gpu else "cpu",
        devices=devices,
        gpu_hour_usd=gpu_hour_usd,
        model_params=model_params,
    )


def peak_memory(on_gpu: bool) -> int:
    """Bytes that this process has held at most: of the GPU by PyTorch, or else of main memory.

    >>> peak_memory(on_gpu=False) > 2**20
    True
    """
    if on_gpu:
        return int(torch.cuda.max_memory_allocated())
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def rounded(cost: Mapping[str, Any]) -> dict[str, Any]:
    """A ledger for a file: tenths of a second, and six digits behind the point of all else.

    >>> rounded({"wall_seconds": 3.14159, "usd": None, "tokens_generated": 7})
    {'wall_seconds': 3.1, 'usd': None, 'tokens_generated': 7}
    """
    digits = {"wall_seconds": 1}
    return {
        name: round(value, digits.get(name, 6)) if isinstance(value, float) else value for name, value in cost.items()
    }
