"""The settings of tracking that every stage shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from r1_trl.errors import InputError


@dataclass
class TrackingConfig:
    """
    What a stage costs, and what it hands to a tracker beside its metrics.

    Parameters:
        gpu_hour_usd (`float`, *optional*):
            Dollars for one hour of one device. By default the price of the card in
            [`~r1_trl.tracking.card_prices.CARDS`]; without an entry there, and on a CPU, dollars stay unknown.
        log_artifacts (`bool`, *optional*, defaults to `False`):
            Log what the stage writes (adapters, models, SFT rows) to W&B as artifacts, with lineage to its inputs. A
            stage that trains does so with `report_to: wandb`.

    Raises:
        InputError: The price is negative or no number.

    >>> TrackingConfig(gpu_hour_usd=-1)
    Traceback (most recent call last):
    r1_trl.errors.InputError: `gpu_hour_usd: -1` must be dollars for an hour of one device, 0 or more
    """

    gpu_hour_usd: float | None = field(
        default=None, metadata={"help": "Dollars for an hour of one device; by default by the card's name."}
    )
    log_artifacts: bool = field(default=False, metadata={"help": "Log what the stage writes to W&B as artifacts."})

    def __post_init__(self) -> None:
        price = self.gpu_hour_usd
        if price is not None and not (math.isfinite(price) and price >= 0):
            raise InputError(f"`gpu_hour_usd: {price}` must be dollars for an hour of one device, 0 or more")
