"""Reads a benchmark, from the Hub or from a local copy with the same columns, into rows of the recipe."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, Features

from r1_trl.errors import InputError
from r1_trl.tasks.benchmark_rows import BadRowError
from r1_trl.tasks.benchmarks import BENCHMARKS, Benchmark, find_benchmark
from r1_trl.tasks.feature_types import MESSAGES, TEXT
from r1_trl.tasks.prompt_formats import TEXT_FORMATS, make_prompt
from r1_trl.tasks.sources import BUILDERS, is_file, load_split

logger = logging.getLogger(__name__)

LEFT_OUT = "left_out"  # the column that says why a row cannot be used
_WRITTEN_AT_ONCE = 16  # rows: the tests of a program take up to some 10 MB


def load_benchmark(
    name: str,
    path: str | None = None,
    split: str | None = None,
    config: str | None = None,
    num_questions: int | None = None,
    prompt_format: str = "messages",
    system_prompt: str | None = None,
) -> Dataset:
    """The questions of a benchmark as rows of the recipe.

    Args:
        name (`str`): One of [`BENCHMARKS`].
        path (`str`, *optional*): A local file or folder, or another id on the Hub, with the same columns.
        split, config (`str`, *optional*): Of it.
        num_questions (`int`, *optional*): The first ones only.
        prompt_format, system_prompt (`str`, *optional*): See [`~r1_trl.tasks.prompt_formats.make_prompt`].

    Returns:
        [`~datasets.Dataset`]: `prompt`, `solution`, `verifier`, `verifier_args`, `language`, `source` and, where the
            benchmark has them, `difficulty` and `subject`.

    Raises:
        [`~r1_trl.errors.InputError`]: It cannot be loaded, a column is missing, or no row is left.
    """
    benchmark, place = find_benchmark(name), path or find_benchmark(name).path
    loaded = _load(benchmark, path, split, config)
    _require_columns(loaded, benchmark, name, place)
    optional = {ours: theirs for ours, theirs in benchmark.optional.items() if theirs in loaded.column_names}
    columns = benchmark.columns | optional
    if benchmark.months:
        first, last = benchmark.months
        in_time = [first <= str(date)[:7] <= last for date in loaded[columns["date"]]]
        loaded = loaded.select([index for index, within in enumerate(in_time) if within])
        if not len(loaded):
            raise InputError(f"benchmark `{name}`: `{place}` has no question of {first} to {last}, the paper's months")
    loaded = loaded.select(range(min(len(loaded), num_questions or len(loaded))))
    settings = {"name": name, "columns": columns, "prompt_format": prompt_format, "system_prompt": system_prompt}
    prompt = TEXT if prompt_format in TEXT_FORMATS else MESSAGES
    names = ("solution", "verifier", "verifier_args", "language", "source", *optional, LEFT_OUT)
    rows = loaded.map(
        make_benchmark_row,
        fn_kwargs=settings,
        remove_columns=loaded.column_names,
        features=Features({"prompt": prompt, **dict.fromkeys(names, TEXT)}),
        writer_batch_size=_WRITTEN_AT_ONCE,
        load_from_cache_file=False,
        desc=name,
    )
    return _without_bad_rows(rows, name, place)


def make_benchmark_row(
    row: Mapping[str, Any],
    name: str,
    columns: Mapping[str, str],
    prompt_format: str = "messages",
    system_prompt: str | None = None,
) -> dict[str, Any]:
    """One question of a benchmark as a row of the recipe.

    Args:
        row (`Mapping`): As the benchmark has it.
        name (`str`): One of [`BENCHMARKS`].
        columns (`Mapping`): Ours -> its own.
        prompt_format, system_prompt (`str`, *optional*): See [`load_benchmark`].

    >>> row = {"problem": "What is 1 + 1?", "answer": 2}
    >>> make_benchmark_row(row, "aime_2024", BENCHMARKS["aime_2024"].columns, "text")["prompt"]
    'What is 1 + 1?\\nPlease reason step by step, and put your final answer within \\\\boxed{}.'
    """
    benchmark = BENCHMARKS[name]
    kept = {ours: None if row[theirs] is None else str(row[theirs]) for ours, theirs in columns.items()}
    kept = {ours: value for ours, value in kept.items() if ours in benchmark.optional}
    common = {"verifier": benchmark.verifier, "verifier_args": None, "language": "en", "source": name, LEFT_OUT: None}
    try:
        made = benchmark.make_row({ours: row[columns[ours]] for ours in benchmark.columns})
    except BadRowError as error:
        return {"prompt": None, "solution": None, **common, **kept, LEFT_OUT: str(error)}
    prompt = make_prompt(made.pop("question"), prompt_format, system_prompt)
    return {"prompt": prompt, **common, **kept, **made}


def _load(benchmark: Benchmark, path: str | None, split: str | None, config: str | None) -> Dataset:
    if path is None:
        try:
            return _load_from_hub(benchmark)
        except InputError as error:
            reason = str(error.__cause__ or error).rstrip(". ")
            raise InputError(
                f"`{benchmark.path}` cannot be loaded from the Hub: {reason}. Name a local copy by `dataset_name`, if "
                "you have one"
            ) from error
    if benchmark.local_files and not is_file(path) and Path(path).is_dir():
        local = sorted(map(str, Path(path).glob(benchmark.local_files)))
        if local:
            return _read_files(local, path)
    return _as_table(load_split(path, split or benchmark.split, config))


def _load_from_hub(benchmark: Benchmark) -> Dataset:
    if benchmark.files:
        # Beside them lies a loader of its own, which datasets does not run.
        files = [f"hf://datasets/{benchmark.path}@{benchmark.revision}/{file}" for file in benchmark.files]
        return _read_files(files, benchmark.path)
    return _as_table(load_split(benchmark.path, benchmark.split, benchmark.config, revision=benchmark.revision))


def _read_files(files: Sequence[str], place: str) -> Dataset:
    builder = BUILDERS.get(Path(files[0]).suffix)
    if builder is None:
        raise InputError(f"`dataset_name: {place}`: {files[0]} is none of {', '.join(BUILDERS)}: name the file")
    return _as_table(load_split(builder, data_files=list(files)))


def _as_table(loaded: Any) -> Dataset:
    assert isinstance(loaded, Dataset)  # nothing here streams
    return loaded


def _require_columns(loaded: Dataset, benchmark: Benchmark, name: str, place: str) -> None:
    for theirs in benchmark.columns.values():
        if theirs not in loaded.column_names:
            has = ", ".join(f"`{column}`" for column in loaded.column_names)
            raise InputError(
                f"benchmark `{name}` needs the column `{theirs}`, which `{place}` does not have: it has {has}. Name a "
                f"copy of {benchmark.path}, or evaluate on rows of your own without `benchmark`"
            )


def _without_bad_rows(rows: Dataset, name: str, place: str) -> Dataset:
    problems = [(index, problem) for index, problem in enumerate(rows[LEFT_OUT]) if problem]
    if problems:
        index, problem = problems[0]
        count = f"{len(problems)} of {len(rows)} rows of `{place}` cannot be used"
        told = f"benchmark `{name}`: {count}; row {index}: {problem}"
        if len(problems) == len(rows):
            raise InputError(told)
        logger.warning("%s. They are left out", told)
    bad = {index for index, _ in problems}
    return rows.select([index for index in range(len(rows)) if index not in bad]).remove_columns(LEFT_OUT)
