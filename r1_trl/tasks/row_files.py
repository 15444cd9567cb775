"""Rows into a file as they come, JSON Lines or parquet; the file is there only when it is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from datasets import Features

FORMATS = ("jsonl", "parquet")
_BATCH = 1000  # rows of parquet in memory


class RowWriter(Protocol):
    """Takes one row after the other."""

    def write(self, row: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...


class JsonLinesWriter:
    """One JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")

    def close(self) -> None:
        self._file.close()


class ParquetWriter:
    """Parquet with the types of a dataset."""

    def __init__(self, path: Path, features: Mapping[str, Any]) -> None:
        self._schema = Features(features).arrow_schema
        self._writer = pq.ParquetWriter(path, self._schema)
        self._rows: list[Mapping[str, Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def close(self) -> None:
        self._flush()
        self._writer.close()


@contextmanager
def open_rows(path: Path, features: Mapping[str, Any] | None = None) -> Iterator[RowWriter]:
    """Opens a file for rows. It takes its name when the block ends well; until then the old one stays.

    Args:
        path (`Path`): `.jsonl` or `.parquet`.
        features (`Mapping`, *optional*): The types of the columns, for parquet.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "rows.jsonl"
    >>> with open_rows(file) as writer:
    ...     writer.write({"prompt": "1 + 1?"})
    >>> file.read_text()
    '{"prompt": "1 + 1?"}\\n'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        parquet = path.suffix == ".parquet"
        writer: RowWriter = ParquetWriter(unfinished, features or {}) if parquet else JsonLinesWriter(unfinished)
        try:
            yield writer
        finally:
            writer.close()
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a JSON Lines file that is either the old one or the new one, whenever the process dies.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "sft.jsonl"
    >>> write_rows(file, [{"sample": 0}])
    >>> file.read_text()
    '{"sample": 0}\\n'
    """
    with open_rows(path) as writer:
        for row in rows:
            writer.write(row)
