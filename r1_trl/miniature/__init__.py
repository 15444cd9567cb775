"""The embedded default: a base model of a million weights, a student of half the size, and what they can learn.

All go by names that stand where a Hub id stands: `miniature:base` and `miniature:student` are models, and
`miniature:questions` and the others of `r1_trl.tasks.embedded` are datasets.
"""

from __future__ import annotations

from pathlib import Path

PREFIX = "miniature:"
MODELS = ("base", "student")


def resolve_model_path(name_or_path: str) -> str:
    """The folder behind `miniature:base` and `miniature:student`; any other name is returned as it is.

    >>> resolve_model_path("Qwen/Qwen2.5-7B")
    'Qwen/Qwen2.5-7B'
    >>> Path(resolve_model_path("miniature:student")).name
    'student'
    """
    model = name_or_path.removeprefix(PREFIX)
    if name_or_path.startswith(PREFIX) and model in MODELS:
        return str(Path(__file__).parent / model)
    return name_or_path
