"""The types of columns: those that the recipe asks for, and what a source has."""

from __future__ import annotations

import itertools
from typing import Any, TypeAlias

from datasets import Dataset, IterableDataset, List, Value

Rows: TypeAlias = Dataset | IterableDataset

TEXT = Value("string")
MESSAGES = List({"role": TEXT, "content": TEXT})
TYPES = {
    **dict.fromkeys(("solution", "verifier", "verifier_args", "language", "source"), TEXT),
    "reward_funcs": List(TEXT),
}
_PEEK = 100  # rows of a stream that tell the types which it does not


def feature_types(rows: Rows) -> dict[str, Any]:
    """The columns and their types; of a stream that does not tell, those of its first rows."""
    if rows.features is not None:
        return dict(rows.features)
    return dict(Dataset.from_list(list(itertools.islice(iter(rows), _PEEK))).features)


def is_text(kind: Any) -> bool:
    """Whether a column's type is text."""
    return getattr(kind, "dtype", None) in ("string", "large_string")


def is_null(kind: Any) -> bool:
    """Whether a column has no value in any row that was seen."""
    return getattr(kind, "dtype", None) == "null" or (isinstance(kind, List) and is_null(kind.feature))


def is_list_of_text(kind: Any) -> bool:
    """Whether a column's type is lists of text."""
    return isinstance(kind, List) and (is_text(kind.feature) or is_null(kind.feature))


def is_messages(kind: Any) -> bool:
    """Whether a column's type is messages."""
    return isinstance(kind, List) and isinstance(kind.feature, dict) and {"role", "content"} <= kind.feature.keys()


def settled(name: str, kind: Any) -> Any:
    """The type that a column of this name gets, whatever kind of text or messages it came as.

    >>> settled("solution", Value("large_string")), settled("id", Value("int64"))
    (Value('string'), Value('int64'))
    """
    if name in TYPES:
        return TYPES[name]
    if is_messages(kind) and kind.feature.keys() == MESSAGES.feature.keys() and is_text(kind.feature["content"]):
        return MESSAGES
    return TEXT if is_text(kind) else kind


def describe(kind: Any) -> str:
    """A type in a word, for messages.

    >>> describe(MESSAGES), describe(Value("int64"))
    ('messages', 'int64')
    """
    return "messages" if is_messages(kind) else "text" if is_text(kind) else str(getattr(kind, "dtype", kind))
