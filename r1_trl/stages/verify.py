"""`r1-trl verify`: runs each row's gold through its own verifier, so that data proves itself before a run."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from datasets import Dataset, IterableDataset
from tqdm import tqdm

from r1_trl.errors import InputError
from r1_trl.stages.arguments import StageParser
from r1_trl.stages.data import DataConfig, check_verifiers, load_rows
from r1_trl.tasks import benchmark_rows, reasoning_gym
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tasks.sources import check_text, require_columns
from r1_trl.verifiers.grading import Grade, Grader, Row

_BATCH = 256  # rows between two steps of the progress bar
_EXAMPLES = 3  # of golds that fail, for each source, verifier and outcome
OUTCOMES = ("right", "wrong", "None", "no gold")
_NO_GOLD = {"code": benchmark_rows.NO_GOLD, "reasoning_gym": reasoning_gym.NO_GOLD}  # in place of one


@dataclass
class VerifyConfig(DataConfig):
    """
    Settings of `r1-trl verify`, with those of [`DataConfig`].

    Parameters:
        limit (`int`, *optional*):
            Only so many rows, from the first on.
        workers (`int`, *optional*):
            Worker processes. Defaults to the CPU cores.
        deadline (`float`, *optional*, defaults to `5.0`):
            Seconds for each gold; code has its own.
    """

    limit: int | None = field(default=None, metadata={"help": "Only so many rows, from the first on."})
    workers: int | None = field(default=None, metadata={"help": "Worker processes; the CPU cores by default."})
    deadline: float = field(default=5.0, metadata={"help": "Seconds for each gold; code has its own."})

    def __post_init__(self) -> None:
        for name in ("limit", "workers", "deadline"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"`{name}: {value}` must be positive")


class Failure(NamedTuple):
    """A gold that its own verifier does not take for right."""

    row: int  # its index
    solution: str | None
    reason: str


@dataclass
class Verification:
    """What became of the golds, by source and verifier.

    Args:
        counts (`dict`): (source, verifier) -> how many golds of each of [`OUTCOMES`].
        failures (`dict`): (source, verifier, outcome) -> the first few golds that are not right.
    """

    counts: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    failures: dict[tuple[str, str, str], list[Failure]] = field(default_factory=lambda: defaultdict(list))

    def add(self, index: int, source: str, row: Row, grade: Grade) -> None:
        """Counts one gold."""
        verifier = row.verifier_name
        if grade.score is None:
            outcome = "None"
        elif row.solution == _NO_GOLD.get(verifier):
            outcome = "no gold"
        else:
            outcome = "right" if grade.score == 1 else "wrong"
        self.counts[source, verifier][outcome] += 1
        examples = self.failures[source, verifier, outcome]
        if outcome in ("wrong", "None") and len(examples) < _EXAMPLES:
            examples.append(Failure(index, row.solution, grade.reason))

    @property
    def passed(self) -> bool:
        """Whether every gold that there is is right by its own verifier."""
        return all(count.keys() <= {"right", "no gold"} for count in self.counts.values())


def make_parser() -> StageParser:
    """The parser of `r1-trl verify`."""
    summary = "runs each row's gold through its own verifier"
    return StageParser("verify", summary, [VerifyConfig, R1DatasetMixtureConfig])


def main(argv: list[str]) -> None:
    """Runs the command; exits with code 1 when a gold is not right by its own verifier.

    Args:
        argv (`list[str]`): The words after `r1-trl verify`.

    Raises:
        InputError: The dataset cannot be read, or a verifier cannot work here.
    """
    config, mixture = make_parser().parse(argv)
    name, dataset = load_rows(config, mixture)
    require_columns(dataset, ["solution"], name, "verify")
    check_text(dataset, ["solution"], name)
    check_verifiers(dataset, name)
    verification = verify_golds(dataset, config)
    if not verification.counts:
        raise InputError(f"dataset `{name}` has no row in `{config.dataset_split}`")
    print(format_verification(verification))
    if not verification.passed:
        raise SystemExit(1)


def verify_golds(dataset: Dataset | IterableDataset, config: VerifyConfig) -> Verification:
    """Grades every gold as if it were the answer.

    Args:
        dataset ([`~datasets.Dataset`]): Rows of `solution`, and optional `verifier`, `verifier_args` and `source`.
        config ([`VerifyConfig`]): `limit`, `workers`, `deadline`; `dataset_name` stands for a missing `source`.
    """
    grader = Grader(config.workers, config.deadline)
    verification = Verification()
    index = itertools.count()
    size = len(dataset) if isinstance(dataset, Dataset) else None
    total = min(filter(None, (size, config.limit)), default=None)
    with tqdm(total=total, unit=" golds", disable=None) as progress:
        for batch in _batches(dataset, config.limit):
            rows = [
                Row(row["solution"], row["solution"], row.get("verifier"), row.get("verifier_args")) for row in batch
            ]
            for row, gold, grade in zip(batch, rows, grader.grade(rows), strict=True):
                verification.add(next(index), row.get("source") or str(config.dataset_name), gold, grade)
            progress.update(len(batch))
    grader.pool.close()
    return verification


def _batches(dataset: Dataset | IterableDataset, limit: int | None) -> Iterator[list[dict[str, str | None]]]:
    rows = itertools.islice(iter(dataset), limit)
    while batch := list(itertools.islice(rows, _BATCH)):
        yield batch


def format_verification(verification: Verification) -> str:
    """A table by source and verifier, and the golds that fail.

    >>> found = Verification()
    >>> found.add(0, "rows.jsonl", Row("4", "4"), Grade(1.0, "right"))
    >>> found.add(1, "rows.jsonl", Row("B", "B"), Grade(None, "the solution cannot be graded"))
    >>> print(format_verification(found))
    source      verifier     right   wrong    None  no gold
    rows.jsonl  math             1       0       1        0
    <BLANKLINE>
    rows.jsonl, math, None:
      row 1: 'B': the solution cannot be graded
    """
    names = [("source", "verifier"), *verification.counts]
    widths = [max(len(name[column]) for name in names) for column in (0, 1)]
    lines = [_line(("source", "verifier"), OUTCOMES, widths)]
    for name, count in sorted(verification.counts.items()):
        lines.append(_line(name, [str(count[outcome]) for outcome in OUTCOMES], widths))
    for (source, verifier, outcome), failures in sorted(verification.failures.items()):
        if failures:
            lines += ["", f"{source}, {verifier}, {outcome}:"]
            lines += [f"  row {index}: {_short(solution)}: {reason}" for index, solution, reason in failures]
    return "\n".join(lines)


def _line(names: tuple[str, str], cells: Sequence[str], widths: list[int]) -> str:
    source, verifier = (name.ljust(width) for name, width in zip(names, widths, strict=True))
    return f"{source}  {verifier}  " + "".join(f"{cell:>8}" for cell in cells[:3]) + f"{cells[3]:>9}"


def _short(solution: str | None) -> str:
    return repr(solution) if solution is None or len(solution) <= 80 else f"{solution[:77]!r}..."
