"""From the columns of a source to those of the recipe: `prompt`, `solution`, `verifier`, `language`, `source`, ...

Works row by row, so it serves a stream as well as a table. All sources of a mixture get the same columns with the same
types; what a source lacks is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, Features

from r1_trl.errors import InputError, did_you_mean
from r1_trl.tasks.config import R1DatasetConfig, R1DatasetMixtureConfig
from r1_trl.tasks.feature_types import (
    MESSAGES,
    TEXT,
    TYPES,
    Rows,
    describe,
    feature_types,
    is_list_of_text,
    is_messages,
    is_null,
    is_text,
    settled,
)
from r1_trl.tasks.prompt_formats import TEXT_FORMATS, make_prompt
from r1_trl.tasks.questions import asked
from r1_trl.tasks.solutions import extract_solution

ANSWERS = ("completion", "chosen", "rejected")  # texts that become messages with the question


class Conversion:
    """One source on its way to the common columns. First its types are known, then its rows are made.

    Args:
        rows ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]): As they were loaded.
        entry ([`R1DatasetConfig`]): The source's settings.
        mixture ([`R1DatasetMixtureConfig`]): `prompt_format` and `system_prompt`.
        names_source (`bool`): Whether rows without a `source` get the source's name.

    Raises:
        InputError: A column that is mapped is missing, or holds what it cannot.
    """

    def __init__(
        self, rows: Rows, entry: R1DatasetConfig, mixture: R1DatasetMixtureConfig, names_source: bool = True
    ) -> None:
        found = feature_types(rows)
        if entry.columns is not None:
            _require(entry.columns, found, entry, "columns")
            rows, found = rows.select_columns(entry.columns), {name: found[name] for name in entry.columns}
        self.rows, self.entry, self.mixture, self.names_source = rows, entry, mixture, names_source
        self.found = found
        self.mapping = dict(entry.column_mapping or {})
        _require(self.mapping.values(), found, entry, "column_mapping")
        if "question" in found and not {"prompt", "question"} & {*found, *self.mapping} - {"question"}:
            self.mapping.setdefault("question", "question")
        self.asks = "question" in self.mapping
        self.features = self._features(found)

    def _features(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The types of the columns that this source has of its own."""
        kept = {name: kind for name, kind in found.items() if name not in self.mapping.values()}
        kept |= {ours: found[theirs] for ours, theirs in self.mapping.items()}
        self._check(kept)
        kept |= {name: TYPES[name] for name in self.entry.constants}
        if self.names_source:
            kept["source"] = TEXT
        if self.asks:
            as_text = self.mixture.prompt_format in TEXT_FORMATS
            del kept["question"]
            kept = {"prompt": TEXT if as_text else MESSAGES, **kept}
            kept |= {name: MESSAGES for name in ANSWERS if name in kept and not as_text and is_text(kept[name])}
        return {name: settled(name, kind) for name, kind in kept.items()}

    def _check(self, kept: Mapping[str, Any]) -> None:
        """Refuses numbers and the like in columns that must hold text."""
        number = self.entry.solution_format == "number"
        for name in (*(["question"] if self.asks else []), *TYPES):
            kind = kept.get(name)
            if kind is None or name in self.entry.constants or is_null(kind):
                continue
            if is_list_of_text(kind) if name == "reward_funcs" else is_text(kind):
                continue
            if name == "question" and is_messages(kind):
                continue
            if name == "solution" and number and str(getattr(kind, "dtype", "")).startswith(("int", "uint", "float")):
                continue
            raise InputError(
                f"dataset `{self.entry.display_name}`, column `{self.mapping.get(name, name)}`: `{name}` must hold "
                f"{'a list of names' if name == 'reward_funcs' else 'text'}, not {getattr(kind, 'dtype', kind)}"
                + (". Set `solution_format: number`" if name == "solution" else "")
            )
        if self.entry.solution_format != "as_is" and "solution" not in kept:
            raise InputError(
                f"dataset `{self.entry.display_name}`: `solution_format: {self.entry.solution_format}` needs a column "
                "`solution`: name it in `column_mapping`"
            )

    def convert(self, features: Mapping[str, Any]) -> Rows:
        """The rows with these columns and types, lazily where they are a stream."""
        if not self._changes and self.found == dict(features):
            return self.rows
        settings = {
            "mapping": self.mapping,
            "columns": list(features),
            "constants": self.entry.constants,
            "source": self.entry.display_name if self.names_source else None,
            "solution_format": self.entry.solution_format,
            "prompt_format": self.mixture.prompt_format if self.asks else None,
            "system_prompt": self.mixture.system_prompt,
            "wraps": [name for name in ANSWERS if self.asks and features.get(name) == MESSAGES],
        }
        others: dict[str, Any] = {}
        if isinstance(self.rows, Dataset):  # a cached result may be that of another version
            others = {"load_from_cache_file": False, "desc": self.entry.display_name}
        return self.rows.map(
            convert_row,
            fn_kwargs=settings,
            remove_columns=list(self.found),
            features=Features(features),
            **others,
        )

    @property
    def _changes(self) -> bool:
        return bool(self.mapping or self.entry.constants or self.names_source or self.entry.solution_format != "as_is")


def convert_row(
    row: Mapping[str, Any],
    mapping: Mapping[str, str],
    columns: Sequence[str],
    constants: Mapping[str, Any],
    source: str | None,
    solution_format: str,
    prompt_format: str | None,
    system_prompt: str | None,
    wraps: Sequence[str],
) -> dict[str, Any]:
    """One row with the common columns.

    Args:
        row (`Mapping`): Of the source.
        mapping (`Mapping`): New name -> name in the source.
        columns (`Sequence[str]`): All columns; those that the source lacks become `None`.
        constants (`Mapping`): Columns with the same value in all rows.
        source (`str` or `None`): The value of `source` where the row has none.
        solution_format (`str`): See [`~r1_trl.tasks.solutions.extract_solution`].
        prompt_format (`str` or `None`): What `question` becomes; `None` where the row has its `prompt`.
        system_prompt (`str` or `None`): Goes before it.
        wraps (`Sequence[str]`): Columns of answers whose text becomes a message.

    >>> settings = {"mapping": {"question": "problem"}, "columns": ["prompt", "language"], "constants": {},
    ...             "source": None, "solution_format": "as_is", "system_prompt": None, "wraps": []}
    >>> convert_row({"problem": "1 + 1?"}, prompt_format="text", **settings)
    {'prompt': '1 + 1?', 'language': None}
    """
    new = {name: value for name, value in row.items() if name not in mapping.values()}
    new |= {ours: row[theirs] for ours, theirs in mapping.items()}
    new |= constants
    new["source"] = new.get("source") or source
    new["solution"] = extract_solution(new.get("solution"), solution_format)
    if prompt_format is not None:
        question = asked(new["question"])
        new["prompt"] = make_prompt(question, prompt_format, system_prompt) if question.strip() else None
    for name in wraps:
        if isinstance(new[name], str):
            new[name] = [{"role": "assistant", "content": new[name]}]
    return {name: new.get(name) for name in columns}


def unify(conversions: Sequence[Conversion]) -> dict[str, Any]:
    """The columns of all sources, with their types.

    Args:
        conversions (`Sequence[Conversion]`): One for each source.

    Raises:
        InputError: Two sources have different types in a column of one name.
    """
    features: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for conversion in conversions:
        for name, kind in conversion.features.items():
            if name not in features or is_null(features[name]):
                features[name], owners[name] = kind, conversion.entry.display_name
            elif kind != features[name] and not is_null(kind):
                here = conversion.entry.display_name
                if name == "prompt":
                    remedy = "map its `question` (`column_mapping`), so that `prompt_format` holds for all"
                else:
                    remedy = "leave it out by `columns` (a list of those to keep), or rename it by `column_mapping`"
                raise InputError(
                    f"`datasets`: column `{name}` holds {describe(features[name])} in `{owners[name]}` and "
                    f"{describe(kind)} in `{here}`: {remedy}"
                )
    return features


def _require(names: Any, found: Mapping[str, Any], entry: R1DatasetConfig, setting: str) -> None:
    for name in names:
        if name not in found:
            has = ", ".join(f"`{other}`" for other in found)
            hint = did_you_mean(str(name), found, "`")
            if setting == "column_mapping" and any(
                ours in found and theirs == name for ours, theirs in (entry.column_mapping or {}).items()
            ):
                hint = ". The new name stands first, `new: old`."
            raise InputError(f"dataset `{entry.display_name}` has no column `{name}` (`{setting}`){hint} It has {has}")
