"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """
    One thing that a recipe steps in.

    Parameters:
        trap (`str`): Its short, stable name.
        level (`str`):
            `"error"`: the run would fail or be silently wrong; `"warning"`: it costs time, memory or exactness;
            `"note"`: it departs from the paper or from what is known to work.
        message (`str`): One sentence with key and value.
        remedy (`str`): What to change.
        certain (`bool`, *optional*, defaults to `False`): The run would surely fail, so it need not start.

    >>> str(Finding("gguf", "error", "`gguf_file: a.gguf` loads quantised", "save it as safetensors"))
    'error gguf: `gguf_file: a.gguf` loads quantised. Remedy: save it as safetensors'
    """

    trap: str
    level: Level
    message: str
    remedy: str
    certain: bool = False

    def __str__(self) -> str:
        return f"{self.level} {self.trap}: {self.message}. Remedy: {self.remedy}"
