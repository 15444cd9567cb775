"""What an hour of a card costs, and what the card can do: the defaults of the cost ledger and of its projections.

Prices move and differ by provider: set `gpu_hour_usd` to your own. Each entry says where its price was read, and when.
Peaks are those of NVIDIA's data sheets and architecture papers: dense bfloat16 on tensor cores with float32
accumulation (float16 for T4, which has no bfloat16).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from r1_trl.errors import InputError, did_you_mean

RUNPOD = "RunPod, Community Cloud, on demand (www.runpod.io/pricing)"


class Card(NamedTuple):
    """A card, its price and its peak."""

    name: str
    usd: float  # for one hour
    source: str
    date: str  # when the price was read
    tflops: float  # dense, bfloat16


CARDS = {
    card.name: card
    for card in (
        Card("H800", 2.0, "DeepSeek-R1, arXiv 2501.12948v2, Table 7", "2025", 989.0),
        Card("T4", 0.59, "Modal ($0.000164 a second)", "2026-05-07", 65.0),
        Card("L4", 0.44, RUNPOD, "2026-03-10", 121.0),
        Card("A10G", 1.006, "AWS g5.xlarge, us-east-1, on demand", "2026-06-17", 70.0),
        Card("RTX 3090", 0.22, RUNPOD, "2026-03-10", 71.0),
        Card("RTX 4090", 0.34, RUNPOD, "2026-03-10", 165.2),
        Card("A100", 1.39, f"{RUNPOD}: A100 SXM 80 GB", "2026-11-09", 312.0),
        Card("A100 PCIe", 1.19, f"{RUNPOD}: A100 PCIe 80 GB", "2026-11-09", 312.0),
        Card("A100 40GB", 1.0, f"{RUNPOD}: A100 SXM 40 GB", "2026-08-19", 312.0),
        Card("H100", 2.69, f"{RUNPOD}: H100 SXM", "2026-11-09", 989.0),
        Card("H100 PCIe", 1.99, RUNPOD, "2026-11-09", 756.0),
        Card("H100 NVL", 2.59, RUNPOD, "2026-11-09", 835.0),
        Card("H200", 3.59, RUNPOD, "2026-03-10", 989.0),
    )
}
# Words that make another card of one, or a part of it.
_OTHERS = {"TI", "SUPER", "D", "LAPTOP", "MIG", "40GB"}


def find_card(device: str) -> Card | None:
    """The entry of a card by the name that its driver or a user gives it; `None` for one that is not in the table.

    >>> find_card("NVIDIA GeForce RTX 4090").usd, find_card("NVIDIA H100 80GB HBM3").name
    (0.34, 'H100')
    >>> find_card("NVIDIA GeForce RTX 3090 Ti") is None, find_card("cpu") is None
    (True, True)
    """
    words = _words(device)
    matching = [card for card in CARDS.values() if _words(card.name) <= words]
    card = max(matching, key=lambda card: len(_words(card.name)), default=None)
    return None if card is None or (words & _OTHERS) - _words(card.name) else card


def named_card(name: str) -> Card:
    """As [`find_card`], for what a user typed.

    Raises:
        InputError: It is not in the table.

    >>> named_card("rtx4090").tflops
    165.2
    """
    spaced = re.sub(r"(?i)^(nvidia\s*)?(geforce\s*)?rtx(?=\d)", "RTX ", name.strip())
    card = find_card(spaced)
    if card is None:
        hint = did_you_mean(name.upper(), CARDS, quote="`")
        raise InputError(f"`card: {name}` is not in the table{hint} There are {', '.join(CARDS)}")
    return card


def _words(name: str) -> set[str]:
    return set(re.findall(r"[A-Z0-9]+", name.upper()))
