"""The device that a recipe is to run on: the one at hand, or one that is only named."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from r1_trl.errors import InputError, did_you_mean

GIB = 2**30
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Device:
    """A device as far as memory and precision go.

    Parameters:
        name (`str`): For messages.
        memory (`int`): Bytes in all.
        is_gpu (`bool`): CUDA; otherwise the CPU, whose memory is the machine's or the container's.
        has_bf16 (`bool`): bfloat16 in hardware. Older cards emulate it, which PyTorch takes for support.
    """

    name: str
    memory: int
    is_gpu: bool
    has_bf16: bool

    @property
    def compute_dtype(self) -> torch.dtype:
        """What r1-trl computes in by default ([`~r1_trl.precision.compute_dtype`]).

        >>> named_device("t4").compute_dtype
        torch.float16
        """
        if not self.is_gpu:
            return torch.float32
        return torch.bfloat16 if self.has_bf16 else torch.float16


# Memory as `nvidia-smi` shows it, in GiB, and whether bfloat16 is in hardware (compute capability 8.0 and later).
CARDS = {
    "p100": (16.0, False),
    "v100-16gb": (16.0, False),
    "v100-32gb": (32.0, False),
    "t4": (15.0, False),
    "rtx 2080 ti": (11.0, False),
    "rtx 3060": (12.0, True),
    "rtx 3090": (24.0, True),
    "rtx 4060 ti": (16.0, True),
    "rtx 4080": (16.0, True),
    "rtx 4090": (24.0, True),
    "rtx 5080": (16.0, True),
    "rtx 5090": (31.8, True),
    "rtx a6000": (48.0, True),
    "a10": (22.5, True),
    "a10g": (22.5, True),
    "l4": (22.5, True),
    "l40s": (45.0, True),
    "a100-40gb": (40.0, True),
    "a100-80gb": (80.0, True),
    "h100": (79.6, True),
    "h200": (140.4, True),
    "b200": (179.1, True),
}
_BY_KEY = {re.sub(r"[^a-z0-9]", "", name).removeprefix("rtx"): name for name in CARDS}
_UNITS = {"": None, "g": GIB, "gb": GIB, "gib": GIB, "m": 2**20, "mb": 2**20, "mib": 2**20}


def named_device(text: str) -> Device:
    """The device behind a card's name or a size of memory.

    Args:
        text (`str`):
            `24GB`, where a gigabyte is 2³⁰ bytes, as cards are sold; or a name such as `t4` or `RTX 4090`. bfloat16 is
            taken for granted with a size alone.

    Raises:
        InputError: It is neither.

    >>> named_device("24GB").memory == 24 * 2**30
    True
    >>> named_device("NVIDIA T4").has_bf16
    False
    >>> named_device("24 potatoes")
    Traceback (most recent call last):
    r1_trl.errors.InputError: `gpu: 24 potatoes` is neither a size such as `24GB` nor a known card. Cards: p100, \
v100-16gb, v100-32gb, t4, rtx 2080 ti, rtx 3060, rtx 3090, rtx 4060 ti, rtx 4080, rtx 4090, rtx 5080, rtx 5090, \
rtx a6000, a10, a10g, l4, l40s, a100-40gb, a100-80gb, h100, h200, b200
    """
    key = re.sub(r"[^a-z0-9.]", "", text.lower().replace("nvidia", "").replace("geforce", "").replace("tesla", ""))
    card = _BY_KEY.get(key.removeprefix("rtx"))
    if card:
        memory, has_bf16 = CARDS[card]
        return Device(card, int(memory * GIB), is_gpu=True, has_bf16=has_bf16)
    size = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]*)", key)
    unit = _UNITS.get(size[2]) if size else None
    if size is None or unit is None or float(size[1]) == 0:
        guess = did_you_mean(text.lower(), CARDS, quote="`")
        raise InputError(
            f"`gpu: {text}` is neither a size such as `24GB` nor a known card{guess} Cards: {', '.join(CARDS)}"
        )
    return Device(f"a GPU of {size[0].upper()}", int(float(size[1]) * unit), is_gpu=True, has_bf16=True)


def device_at_hand(use_cpu: bool = False) -> Device:
    """The first visible GPU, or else this machine's CPU.

    Args:
        use_cpu (`bool`, *optional*, defaults to `False`): Pass a GPU by, as the recipe's `use_cpu` does.

    >>> device_at_hand(use_cpu=True).is_gpu
    False
    """
    if torch.cuda.is_available() and not use_cpu:
        properties = torch.cuda.get_device_properties(0)
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return Device(properties.name, properties.total_memory, is_gpu=True, has_bf16=has_bf16)
    return Device("this machine's CPU", _machine_memory(), is_gpu=False, has_bf16=True)


def _machine_memory() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in map(Path, _CGROUP_LIMITS):
        if path.is_file() and (limit := path.read_text().strip()).isdigit():
            memory = min(memory, int(limit))  # a container's limit
    return memory
