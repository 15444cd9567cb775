"""`r1-trl data decontaminate`: drops the rows that share text with an evaluation set, and says which and why.

Rows are read one by one and written as they come: memory grows with the evaluation sets, not with the sources.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from r1_trl.errors import InputError
from r1_trl.files import write_json
from r1_trl.stages.arguments import StageParser
from r1_trl.stages.data import DataConfig
from r1_trl.stages.decontamination_report import Decontamination, format_decontamination
from r1_trl.tasks.columns import Conversion, unify
from r1_trl.tasks.config import R1DatasetConfig, R1DatasetMixtureConfig, read_source
from r1_trl.tasks.decontamination import NGRAM_SIZE, EvaluationIndex, Match
from r1_trl.tasks.mixture import load_source
from r1_trl.tasks.row_files import FORMATS, open_rows
from r1_trl.tasks.solutions import extract_solution

REPORT, DROPPED = "decontamination.json", "dropped.jsonl"


@dataclass
class DecontaminateConfig(DataConfig):
    """
    Settings of `r1-trl data decontaminate`, with those of [`DataConfig`].

    Parameters:
        evaluation_datasets (`list[R1DatasetConfig]`):
            The sets to keep out, with the settings of a source: `path`, `split`, `column_mapping`, ...
        output_dir (`str`):
            Where `clean.jsonl`, `dropped.jsonl` and `decontamination.json` go.
        output_format (`str`, *optional*, defaults to `"jsonl"`):
            `jsonl` or `parquet`, of the clean rows.
        ngram_size (`int`, *optional*, defaults to `10`):
            Words that a row must share; the paper's 10.
        max_ngram_rows (`int`, *optional*):
            N-grams in more evaluation rows than this do not count: instructions that all questions repeat.
    """

    evaluation_datasets: list[R1DatasetConfig] = field(
        default_factory=list, metadata={"help": "The sets to keep out, each with a `path` and a `split`."}
    )
    output_dir: str | None = field(default=None, metadata={"help": "Where the rows and the report go."})
    output_format: str = field(default="jsonl", metadata={"help": "jsonl or parquet, of the clean rows."})
    ngram_size: int = field(default=NGRAM_SIZE, metadata={"help": "Words that a row must share; the paper's 10."})
    max_ngram_rows: int | None = field(
        default=None, metadata={"help": "N-grams in more evaluation rows do not count: instructions that all repeat."}
    )

    def __post_init__(self) -> None:
        self.evaluation_datasets = [read_source(entry, "evaluation_datasets") for entry in self.evaluation_datasets]
        if self.output_format not in FORMATS:
            raise InputError(f"`output_format: {self.output_format}` must be one of {', '.join(FORMATS)}")
        for name in ("ngram_size", "max_ngram_rows"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"`{name}: {value}` must be positive")


def make_parser() -> StageParser:
    """The parser of `r1-trl data decontaminate`."""
    summary = "drops the rows that share a 10-gram with an evaluation set"
    return StageParser("data decontaminate", summary, [DecontaminateConfig, R1DatasetMixtureConfig])


def main(argv: list[str]) -> None:
    """Runs the tool.

    Args:
        argv (`list[str]`): The words after `r1-trl data decontaminate`.

    Raises:
        InputError: A set cannot be read, holds no question, or a setting has no place here.
    """
    config, mixture = make_parser().parse(argv)
    if not config.output_dir:
        raise InputError("`output_dir` is missing: name the folder of the clean rows")
    if not config.evaluation_datasets:
        raise InputError("`evaluation_datasets` is missing: name the sets to keep out, each with `path` and `split`")
    entries = source_entries(config, mixture)
    check_outputs(config, entries)
    sets = [open_source(entry, mixture) for entry in config.evaluation_datasets]
    sources = [open_source(entry, mixture) for entry in entries]
    features = unify(sources)
    names = [conversion.entry.display_name for conversion in sets]
    twice = max(names, key=names.count)
    if names.count(twice) > 1:
        raise InputError(f"`evaluation_datasets`: two sets are called `{twice}`: give each a `source`")
    index, found = EvaluationIndex(config.ngram_size, config.max_ngram_rows), Decontamination()
    for name, conversion in zip(names, sets, strict=True):
        rows = conversion.convert(unify([conversion]))
        found.evaluation_sets[name] = index.add(name, tqdm(rows, desc=name, unit=" rows", disable=None))
        if not found.evaluation_sets[name]:
            raise InputError(f"`evaluation_datasets`: `{name}` has no row")
    decontaminate(sources, entries, features, index, found, config)
    print(format_decontamination(found))
    print(f"\nClean rows in {clean_path(config)}, dropped ones in {Path(config.output_dir) / DROPPED}")


def source_entries(config: DecontaminateConfig, mixture: R1DatasetMixtureConfig) -> list[R1DatasetConfig]:
    """The sources to go through, each of them whole.

    Raises:
        InputError: None or both are named, or a setting takes a part of a source.
    """
    if bool(mixture.datasets) == bool(config.dataset_name):
        raise InputError("name the rows once: either `dataset_name` or `datasets` (a mixture)")
    if mixture.test_split_size is not None:
        raise InputError(
            "`test_split_size`: every row is read here; it belongs to the run that trains on the clean rows"
        )
    for entry in mixture.datasets:
        for name in ("weight", "fraction", "size", "test_split"):
            if getattr(entry, name) is not None and not (name == "size" and entry.path.startswith("reasoning_gym:")):
                raise InputError(
                    f"`datasets`, `{entry.path}`: every row is read here, so `{name}` has no place: it belongs to the "
                    "run that trains on the clean rows"
                )
    if config.dataset_name:
        return [R1DatasetConfig(config.dataset_name, config.dataset_config, split=config.dataset_split)]
    return list(mixture.datasets)


def clean_path(config: DecontaminateConfig) -> Path:
    """The file of the clean rows."""
    return Path(str(config.output_dir)) / f"clean.{config.output_format}"


def check_outputs(config: DecontaminateConfig, entries: list[R1DatasetConfig]) -> None:
    """Refuses to write over what the run reads.

    Raises:
        InputError: A source is one of the files to write.
    """
    folder = Path(str(config.output_dir)).resolve()
    outputs = {folder / name for name in (clean_path(config).name, DROPPED, REPORT)}
    for entry in [*entries, *config.evaluation_datasets]:
        if Path(entry.path).resolve() in outputs:
            raise InputError(f"`{entry.path}` would be written over: name another `output_dir`")


def open_source(entry: R1DatasetConfig, mixture: R1DatasetMixtureConfig) -> Conversion:
    """A source as a stream, with its whole reference solutions: an evaluation set's may be quoted, the gold cannot.

    Raises:
        InputError: It cannot be read, or no column holds a text.
    """
    rows = load_source(entry, streaming=True)
    Conversion(rows, entry, mixture)  # refuses a format that does not fit
    whole = entry if entry.solution_format == "number" else replace(entry, solution_format="as_is")
    conversion = Conversion(rows, whole, mixture)
    if not set(conversion.features) & {"prompt", "question", "messages", "chosen", "text", "completion"}:
        has = ", ".join(f"`{name}`" for name in conversion.features)
        raise InputError(
            f"dataset `{entry.display_name}` has no question: it has {has}. Name the column that holds it by "
            "`column_mapping: {question: …}`"
        )
    return conversion


def decontaminate(
    sources: list[Conversion],
    entries: list[R1DatasetConfig],
    features: dict[str, Any],
    index: EvaluationIndex,
    found: Decontamination,
    config: DecontaminateConfig,
) -> None:
    """Goes through the sources; writes what stays, what does not, and the report.

    Args:
        sources (`list[Conversion]`): As streams.
        entries (`list[R1DatasetConfig]`): Their settings.
        features (`dict`): The columns of the clean rows.
        index ([`~r1_trl.tasks.decontamination.EvaluationIndex`]): Of the evaluation sets.
        found ([`Decontamination`]): Takes the counts.
        config ([`DecontaminateConfig`]): Where the files go.
    """
    folder = Path(str(config.output_dir))
    with open_rows(clean_path(config), features) as clean, open_rows(folder / DROPPED) as dropped:
        for conversion, entry in zip(sources, entries, strict=True):
            name = entry.display_name
            rows = tqdm(conversion.convert(features), desc=name, unit=" rows", disable=None)
            for number, row in enumerate(rows):
                found.rows[name] += 1
                match = index.match(row)
                if "prompt" in conversion.features and not row["prompt"]:
                    found.without_question[name] += 1
                elif match is None:
                    clean.write(_with_gold(row, entry.solution_format))
                else:
                    found.drop(name, match)
                    dropped.write({"row": number, **_as_columns(match), "dropped": row})
            if not found.rows[name]:
                raise InputError(f"dataset `{name}` has no row")
    settings = {"ngram_size": config.ngram_size, "max_ngram_rows": config.max_ngram_rows}
    write_json(folder / REPORT, {**settings, **found.as_dict()})


def _with_gold(row: dict[str, Any], solution_format: str) -> dict[str, Any]:
    if solution_format in ("as_is", "number"):
        return row
    return {**row, "solution": extract_solution(row["solution"], solution_format)}


def _as_columns(match: Match) -> dict[str, Any]:
    return {
        "column": match.column,
        "match": match.kind,
        "text": match.text,
        "evaluation_set": match.source.evaluation_set,
        "evaluation_row": match.source.row,
        "evaluation_column": match.source.column,
    }
