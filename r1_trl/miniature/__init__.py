"""The embedded default: a base model of a million weights and the task it can learn to reason about.

Both go by names that stand where a Hub id stands: `miniature:base` is a model, and `miniature:questions`,
`miniature:cold_start` and `miniature:pretraining` are datasets.
"""

from __future__ import annotations

from pathlib import Path

PREFIX = "miniature:"


def resolve_model_path(name_or_path: str) -> str:
    """The folder behind `miniature:base`; any other name is returned as it is.

    >>> resolve_model_path("Qwen/Qwen2.5-7B")
    'Qwen/Qwen2.5-7B'
    >>> Path(resolve_model_path("miniature:base")).name
    'base'
    """
    if name_or_path == f"{PREFIX}base":
        return str(Path(__file__).parent / "base")
    return name_or_path
