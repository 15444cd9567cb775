"""What DeepSeek-R1 cost [arXiv 2501.12948v2, Table 7]: H800 hours at $2. The base model (~$6M) comes on top."""

from __future__ import annotations

from r1_trl.tracking.card_prices import CARDS

# H800 hours by part of the road.
GPU_HOURS = {"R1-Zero": 101_000, "SFT data": 5_000, "R1": 41_000}


def paper_cost() -> dict[str, dict[str, float]]:
    """The paper's table: hours, and dollars at its price, by part and in total.

    >>> paper_cost()["total"]
    {'gpu_hours': 147000, 'usd': 294000.0}
    """
    hours = {**GPU_HOURS, "total": sum(GPU_HOURS.values())}
    return {part: {"gpu_hours": count, "usd": count * CARDS["H800"].usd} for part, count in hours.items()}
