"""Files that are either whole or not there."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def write_json(path: Path, content: Any) -> None:
    """Writes JSON so that the file is either the old one or the new one, whenever the process dies.

    What is no finite number becomes `null`, since JSON has no name for it.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "results.json"
    >>> write_json(file, {"pass@1": 0.5, "loss": float("nan")})
    >>> json.loads(file.read_text())
    {'pass@1': 0.5, 'loss': None}
    """
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False, default=str, allow_nan=False)
    with whole_file(path) as unfinished:
        unfinished.write_text(f"{text}\n", encoding="utf-8")


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Writes a table in the same way.

    >>> import tempfile
    >>> import pandas as pd
    >>> file = Path(tempfile.mkdtemp()) / "samples.parquet"
    >>> write_parquet(file, pd.DataFrame({"correct": [1.0]}))
    >>> len(pd.read_parquet(file))
    1
    """
    with whole_file(path) as unfinished:
        table.to_parquet(unfinished)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to; what is there at the end takes the place of the file.

    Args:
        path (`Path`): The file; its folder is made where it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
