"""`r1-trl compare A B`: two evaluations of the same questions, and whether their difference may be chance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from r1_trl.errors import InputError
from r1_trl.evaluation.comparison import FLIPS, Comparison, Difference, compare_questions
from r1_trl.evaluation.matching import Evaluation, match_questions, read_evaluation, sampled_differently
from r1_trl.files import write_json
from r1_trl.stages.tool_parser import ToolParser
from r1_trl.tables import format_table

CHANCE = 0.05
_WIDTH = 72  # signs of a question


def main(argv: list[str]) -> None:
    """Runs the command.

    Args:
        argv (`list[str]`): The words after `r1-trl compare`.

    Raises:
        InputError: One of the folders is no evaluation, they asked different questions, or `--output` cannot be
            written.
    """
    parser = ToolParser("compare", "Compare two evaluations of the same questions by a paired bootstrap.")
    parser.add_argument("a", type=Path, metavar="A", help="folder of an evaluation")
    parser.add_argument("b", type=Path, metavar="B", help="folder of another one")
    parser.add_argument("--show", type=int, default=5, help="so many questions that changed (default: %(default)s)")
    parser.add_argument("--common_only", action="store_true", help="leave out questions that only one of them asked")
    parser.add_argument("--output", type=Path, help="JSON file for everything, with every question")
    args = parser.parse_args(argv)
    a, b = read_evaluation(args.a), read_evaluation(args.b)
    comparison = compare_questions(*match_questions(a, b, args.common_only))
    print(format_comparison(a, b, comparison, args.show))
    if args.output:
        try:
            write_json(args.output, comparison_as_dict(a, b, comparison))
        except OSError as error:
            raise InputError(f"`--output {args.output}` cannot be written: {error.strerror}. Name a file") from error


def comparison_as_dict(a: Evaluation, b: Evaluation, comparison: Comparison) -> dict[str, Any]:
    """The content of the JSON file.

    Args:
        a, b ([`~r1_trl.evaluation.matching.Evaluation`]): The two.
        comparison ([`~r1_trl.evaluation.comparison.Comparison`]): What came out.
    """
    columns = ["question", "solution", "source", "right_a", "samples_a", "right_b", "samples_b", "change"]
    changed = comparison.questions[comparison.questions["change"] != 0][columns].astype(object)
    return {
        "folder_a": str(a.path),
        "folder_b": str(b.path),
        **comparison.overall._asdict(),
        **({"mean_score": comparison.mean_score._asdict()} if comparison.mean_score else {}),
        "by_source": {name: part._asdict() for name, part in comparison.by_source.items()},
        "left_out": comparison.left_out,
        "sampled_differently": sampled_differently(a, b),
        "changed_questions": changed.where(changed.notna(), None).to_dict("records"),
    }


def format_comparison(a: Evaluation, b: Evaluation, comparison: Comparison, show: int) -> str:
    """What a person reads.

    Args:
        a, b, comparison: As in [`comparison_as_dict`].
        show (`int`): So many questions that changed.
    """
    rows = [["", "questions", "A", "B", "B - A", "95% interval", "p"], _row("all", comparison.overall)]
    rows += [_row(f"  {name}", part) for name, part in comparison.by_source.items()]
    rows += [_row("mean score", comparison.mean_score)] if comparison.mean_score else []
    lines = [f"A: {a.path}", f"B: {b.path}", "", verdict(comparison.overall), "", format_table(rows), ""]
    lines += [f"± is the standard error; p is two-sided, by {_flips(comparison.overall)}."]
    if comparison.mean_score:
        lines.append("The mean score counts partial credit; all else counts full marks alone.")
    lines += [f"Left out: {count:,} questions ({why})." for why, count in comparison.left_out.items() if count]
    lines += [f"They were sampled differently (A, B): {setting}." for setting in sampled_differently(a, b)]
    return "\n".join([*lines, *_changed(comparison.questions, show)])


def verdict(found: Difference) -> str:
    """The result in one sentence.

    >>> verdict(Difference(100, 0.5, 0.625, 0.125, 0.03, (0.07, 0.18), 0.0001, 10_000))
    'B is better by 0.125 ± 0.030 (95% interval 0.070 to 0.180), p = 0.0001'
    >>> verdict(Difference(9, 0.5, 0.4, -0.1, 0.09, (-0.3, 0.1), 0.5, 512))
    'A is better by 0.100 ± 0.090 (95% interval -0.100 to 0.300), p = 0.5: it may well be chance'
    """
    low, high = found.ci95
    result, chance = "A and B are equal:", ""
    if round(found.difference, 12):  # beyond rounding
        result = f"{'B' if found.difference > 0 else 'A'} is better by"
        low, high = (low, high) if found.difference > 0 else (-high, -low)
        chance = ": it may well be chance" if found.p_value > CHANCE else ""
    size = f"{abs(found.difference):.3f} ± {found.standard_error:.3f}"
    return f"{result} {size} (95% interval {low:.3f} to {high:.3f}), p = {found.p_value:.2g}{chance}"


def _row(name: str, found: Difference) -> list[str]:
    low, high = found.ci95
    numbers = [f"{found.a:.3f}", f"{found.b:.3f}", f"{found.difference:+.3f}", f"{low:+.3f} to {high:+.3f}"]
    return [name, f"{found.questions:,}", *numbers, f"{found.p_value:.2g}"]


def _flips(found: Difference) -> str:
    sampled = found.flips == FLIPS + 1  # with the observed one
    count = f"{FLIPS:,} random" if sampled else f"all {found.flips:,}"
    return f"{count} patterns of signs of the questions' differences"


def _changed(questions: pd.DataFrame, show: int) -> list[str]:
    changed = questions[questions["change"] != 0]
    better = int((changed["change"] > 0).sum())
    lines = [
        "",
        f"{len(changed):,} of {len(questions):,} questions changed: {better:,} for the better, "
        f"{len(changed) - better:,} for the worse.",
    ]
    if show > 0 and len(changed):
        rows = [["right answers of A -> of B", "gold", "question"]]
        rows += [_flipped(row) for row in changed.head(show).to_dict("records")]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        lines += ["  ".join([row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2]]).rstrip() for row in rows]
    return lines


def _flipped(row: Mapping[Any, Any]) -> list[str]:
    counts = f"{row['right_a']:.0f}/{row['samples_a']:.0f} -> {row['right_b']:.0f}/{row['samples_b']:.0f}"
    return [counts, _short(row["solution"], 16), _short(row["question"], _WIDTH)]


def _short(text: Any, width: int) -> str:
    words = " ".join(str(text).split())
    return words if len(words) <= width else f"{words[: width - 1]}…"
