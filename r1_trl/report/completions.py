"""The completions of a run for the page's browser: sampled evenly, read, and packed.

A completion is hostile input. It goes into the page as compressed base64, and comes out as text alone.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from r1_trl.completion import prompt_text
from r1_trl.report.answers import read_row, read_text, shorten
from r1_trl.report.lines import even_picks
from r1_trl.report.numbers import is_number
from r1_trl.report.road import recorded
from r1_trl.tracking.run_folder import Run, StageFolder

MOST = 20_000  # completions in a page
CHARACTERS = 12_000_000  # of all their texts
PACKED = 4_500_000  # of base64; with the figures a page has some five megabytes
# What pyarrow raises for a file that is not there, is not whole, or is damaged.
UNREADABLE = (pa.ArrowException, OSError)
FILES = 200  # of one stage: a long run has a file each step
_NO_SCORES = {"step", "question", "index", "prompt_index"}
_FIELDS = ("stage", "kind", "source", "step", "prompt", "verdict", "reasoning", "answer", "text", "problem", "gold")


@dataclass(frozen=True)
class CompletionFile:
    """One parquet file of completions.

    Args:
        stage (`str`): What the reader calls the stage.
        kind (`str`): `"training"`, `"held-out"` or `"evaluation"`.
        path (`Path`): The file.
        rows (`int`): How many completions are in it.
        arguments (`dict`): Settings of the stage.
    """

    stage: str
    kind: str
    path: Path
    rows: int
    arguments: dict[str, Any]


@dataclass
class Completions:
    """What the browser of the page gets.

    Args:
        rows (`list[dict]`): One for each completion.
        total (`int`): How many the run has.
        unreadable (`list[str]`): Files that are no whole parquet, as a run leaves that is killed while it writes one.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    unreadable: list[str] = field(default_factory=list)

    @property
    def left_out(self) -> int:
        """How many of them are not in the page (`int`)."""
        return self.total - len(self.rows)


def read_completions(
    runs: Sequence[Run], most: int = MOST, characters: int = CHARACTERS, seed: int = 0
) -> Completions:
    """Reads the completions of runs.

    Args:
        runs (`Sequence[Run]`): With several, a stage is called `run / stage`.
        most (`int`, *optional*, defaults to 20,000): More are sampled evenly over all files, so over all steps.
        characters (`int`, *optional*, defaults to 12,000,000): Of all texts; beyond that fewer completions are taken.
        seed (`int`, *optional*, defaults to 0): Which completions of a file are taken.

    Returns:
        [`Completions`]: In the order of stages and steps.
    """
    found = Completions()
    files = list(_files(runs, found))
    found.total = sum(file.rows for file in files)
    chosen = _thin_files(files)
    rows = max(1, sum(file.rows for file in chosen))
    taken, passed, generator = min(most, rows), 0, random.Random(seed)
    for file in chosen:
        # Cut where the shares of all files before it end, so that they sum up to what is taken.
        count = (passed + file.rows) * taken // rows - passed * taken // rows
        passed += file.rows
        if count:
            found.rows += _read_rows(file, sorted(generator.sample(range(file.rows), count)), found)
    found.rows = _within(found.rows, characters)
    return found


def pack(rows: Sequence[dict[str, Any]]) -> str:
    """The completions as base64 of gzip of JSON: columns, with the repeated texts in tables of their own.

    Args:
        rows (`Sequence[dict]`): As in [`Completions`].

    >>> unpacked = json.loads(gzip.decompress(base64.b64decode(pack([]))))
    >>> unpacked["count"]
    0
    """
    tables = {name: list(dict.fromkeys(row[name] for row in rows)) for name in ("stage", "kind", "source", "prompt")}
    places = {name: {value: place for place, value in enumerate(table)} for name, table in tables.items()}
    columns = {name: [places[name][row[name]] if name in places else row[name] for row in rows] for name in _FIELDS}
    scores = {name: [row["scores"].get(name) for row in rows] for name in _score_names(rows)}
    content = {"count": len(rows), "tables": tables, "columns": columns, "scores": scores}
    # ASCII, so that half a surrogate pair is an escape sequence like any other.
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("ascii"), 9, mtime=0)).decode("ascii")


def fit(found: Completions, size: int = PACKED) -> str:
    """Packs the completions; leaves out as many, evenly, as it takes to make that no larger than a page should be.

    Args:
        found ([`Completions`]): Its `rows` are those that were packed, afterwards.
        size (`int`, *optional*, defaults to 4,500,000): Characters of base64.
    """
    packed = pack(found.rows)
    while len(packed) > size and len(found.rows) > 1:
        fewer = int(0.97 * len(found.rows) * size / len(packed))
        found.rows = [found.rows[index] for index in even_picks(len(found.rows), max(1, fewer))]
        packed = pack(found.rows)
    return packed


def _files(runs: Sequence[Run], found: Completions) -> Iterable[CompletionFile]:
    for run in runs:
        for stage in run.stages:
            name = f"{run.name} / {stage.name}" if len(runs) > 1 else stage.name
            for path in _paths(stage):
                try:
                    rows = pq.read_metadata(path).num_rows
                except UNREADABLE:
                    found.unreadable.append(f"{name}/{path.name}")
                    continue
                yield CompletionFile(name, _kind(path), path, rows, recorded(stage, "arguments"))


def _paths(stage: StageFolder) -> list[Path]:
    samples = stage.path / "samples.parquet"
    return [*sorted((stage.path / "completions").glob("*.parquet")), *([samples] if samples.is_file() else [])]


def _kind(path: Path) -> str:
    if path.name == "samples.parquet":
        return "evaluation"
    return "held-out" if path.name.startswith("eval_") else "training"


def _thin_files(files: Sequence[CompletionFile]) -> list[CompletionFile]:
    kept = []
    for key in dict.fromkeys((file.stage, file.kind) for file in files):
        of_stage = [file for file in files if (file.stage, file.kind) == key]
        kept += [of_stage[index] for index in even_picks(len(of_stage), FILES)]
    return kept


def _read_rows(file: CompletionFile, picks: list[int], found: Completions) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(file.path).take(picks)
    except UNREADABLE:
        found.unreadable.append(f"{file.stage}/{file.path.name}")
        found.total -= file.rows
        return []
    if "completion" not in table.column_names:
        return []
    return [_row(file, values) for values in table.to_pylist()]


def _row(file: CompletionFile, values: dict[str, Any]) -> dict[str, Any]:
    prompt, step = values.get("prompt") or "", values.get("step")
    shown = read_row(values, file.arguments)
    right = values.get("correct", values.get("accuracy_reward"))
    gold = values.get("solution")
    return {
        "stage": file.stage,
        "kind": file.kind,
        "source": str(values.get("source") or ""),
        "step": step if is_number(step) else None,
        "prompt": shorten(read_text(prompt_text, prompt) or str(prompt)),
        "verdict": _verdict(right),
        "reasoning": shown.reasoning,
        "answer": shown.answer,
        "text": shown.text,
        "problem": shown.problem,
        "gold": "" if gold is None else shorten(str(gold), 2_000),
        "scores": {name: round(float(value), 4) for name, value in values.items() if _is_score(name, value)},
    }


def _verdict(score: Any) -> str:
    """Rewards with partial credit are right in part."""
    if not is_number(score):
        return "not graded"
    return {0.0: "wrong", 1.0: "right"}.get(float(score), "in part")


def _is_score(name: str, value: Any) -> bool:
    return name not in _NO_SCORES and is_number(value)


def _score_names(rows: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row["scores"]))


def _within(rows: list[dict[str, Any]], characters: int) -> list[dict[str, Any]]:
    """As many rows, evenly, as the texts of all leave room for."""
    total = sum(len(row[name]) for row in rows for name in ("reasoning", "answer", "text", "prompt"))
    if total <= characters:
        return rows
    return [rows[index] for index in even_picks(len(rows), max(1, len(rows) * characters // total))]
