"""What changed, at a glance: the first and the last measurement of a run, or what was measured side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]

from r1_trl.completion import prompt_text
from r1_trl.report.answers import FORM, Answer, read_row, read_text, shorten
from r1_trl.report.completions import UNREADABLE
from r1_trl.report.lines import metric_curve
from r1_trl.report.metrics import PASS_AT_1
from r1_trl.report.numbers import SHARE, TOKENS, format_value, is_number
from r1_trl.report.road import Evaluation, before_and_after, evaluations, main_road, recorded, working_stages
from r1_trl.tracking.run_folder import Run

EXCERPT = 1_200  # characters of each text of the example

# (key in the metrics of an evaluation, name, unit)
SHOWN = (
    ("pass@1", "Right answers (pass@1)", SHARE),
    ("cons@", "Right by majority of {k} (cons@{k})", SHARE),
    ("mean_completion_tokens", "Length of an answer, tokens", TOKENS),
    ("language_consistency", "Language consistency", SHARE),
    ("well_formed", "Well-formed", SHARE),
    ("truncated", "Truncated", SHARE),
)


@dataclass(frozen=True)
class Example:
    """One question with two answers to it.

    Args:
        question (`str`): Its text.
        gold (`str`): The right answer; empty where it is not known.
        answers (`list[tuple[str, Answer]]`): Name of a stage, and its answer: wrong, then right.
    """

    question: str
    gold: str
    answers: list[tuple[str, Answer]]


@dataclass(frozen=True)
class Headline:
    """What stands at the top of a report.

    Args:
        names (`list[str]`): The stages that are told of.
        values (`list[str]`): Their share of right answers.
        sentence (`str`): The same in words.
        rows (`list[list[str]]`): Name of a metric, and its value for each stage.
        by_source (`list[list[str]]`): Name of a source, and pass@1 for each stage; empty where there is one source.
        road (`list[str]`): The stages between them.
        example ([`Example`], *optional*): A question that was answered wrong at first, and right at last.
        paired (`bool`): Whether there are two values, of different models on the same questions: before and after.
    """

    names: list[str]
    values: list[str]
    sentence: str
    rows: list[list[str]] = field(default_factory=list)
    by_source: list[list[str]] = field(default_factory=list)
    road: list[str] = field(default_factory=list)
    example: Example | None = None
    paired: bool = False


def make_headline(run: Run) -> Headline | None:
    """Reads what a run achieved: from its evaluations, or from the held-out questions of its last training.

    Returns:
        [`Headline`] or `None`: `None` where nothing was measured yet.
    """
    pair = before_and_after(run)
    measured = pair or list(evaluations(run).values())
    if not measured:
        return _from_training(run)
    metrics = [evaluation.metrics for evaluation in measured]
    names = [evaluation.of for evaluation in measured]
    road = main_road(run)
    return Headline(
        names=names,
        values=[format_value(each["pass@1"], SHARE) for each in metrics],
        sentence=_change(names, metrics) if pair else _side_by_side(names, metrics),
        rows=metric_rows(metrics),
        by_source=_by_source(metrics),
        road=road if pair and {*names} <= {*road} else [],
        example=find_example(*pair) if pair else None,
        paired=bool(pair),
    )


def metric_rows(metrics: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The table of several evaluations, a column each.

    >>> metric_rows([{"pass@1": 0.25, "pass@1_ci95": [0.2, 0.3]}])
    [['Right answers (pass@1)', '25.0%'], ['95% interval', '20.0 to 30.0%']]
    """
    rows = []
    for shown, title, unit in SHOWN:
        keys = dict.fromkeys(key for each in metrics for key in each if _matches(key, shown))
        for key in keys:
            cells = [format_value(each[key], unit) if is_number(each.get(key)) else "" for each in metrics]
            rows.append([title.replace("{k}", key.removeprefix("cons@")), *cells])
        if shown == "pass@1" and any("pass@1_ci95" in each for each in metrics):
            rows.append(["95% interval", *(format_interval(each) for each in metrics)])
    return rows


def format_interval(metrics: Mapping[str, Any]) -> str:
    """The 95% interval of pass@1; empty where there is none.

    >>> format_interval({"pass@1_ci95": [0.9182, 0.946]})
    '91.8 to 94.6%'
    """
    low, high = metrics.get("pass@1_ci95") or (None, None)
    return f"{100 * low:.1f} to {100 * high:.1f}%" if is_number(low) and is_number(high) else ""


def find_example(before: Evaluation, after: Evaluation) -> Example | None:
    """The first question with a wrong answer before and a right one after, with one answer each.

    Args:
        before, after ([`~road.Evaluation`]): With a `samples.parquet` each.
    """
    tables = [read_samples(evaluation.folder.path / "samples.parquet") for evaluation in (before, after)]
    wrong, right = (
        [row for row in rows if row["correct"] == verdict] for rows, verdict in zip(tables, (0, 1), strict=True)
    )
    at_last = {_question(row): row for row in reversed(right)}
    for row in wrong:
        question = _question(row)
        if question in at_last:
            shown = [
                (evaluation.of, read_row(found, recorded(evaluation.folder, "arguments"), EXCERPT))
                for evaluation, found in ((before, row), (after, at_last[question]))
            ]
            return Example(shorten(question, EXCERPT), str(row.get("solution") or ""), shown)
    return None


def read_samples(file: Path) -> list[dict[str, Any]]:
    """Prompt, completion, verdict and gold of an evaluation's samples; empty where they cannot be read."""
    try:
        columns = set(pq.read_schema(file).names)
        if not {"prompt", "completion", "correct"} <= columns:
            return []
        wanted = [name for name in ("prompt", "completion", "correct", "solution", *FORM) if name in columns]
        rows: list[dict[str, Any]] = pq.read_table(file, columns=wanted).to_pylist()
    except UNREADABLE:
        return []
    return rows


def _question(row: Mapping[str, Any]) -> str:
    return read_text(prompt_text, row["prompt"])


def _matches(key: str, shown: str) -> bool:
    return key.startswith(shown) if shown.endswith("@") else key == shown


def _questions(metrics: Mapping[str, Any]) -> str:
    count = metrics.get("questions")
    return f"{count:,} held-out questions" if is_number(count) else "held-out questions"


def _side_by_side(names: Sequence[str], metrics: Sequence[Mapping[str, Any]]) -> str:
    if len(names) == 1:
        share = format_value(metrics[0]["pass@1"], SHARE)
        return f"The model of {names[0]} answers {share} of {_questions(metrics[0])} right."
    told = ", ".join(f"{name} to {_questions(each)}" for name, each in zip(names, metrics, strict=True))
    return f"Right answers: {told}. No two of them are of different models on the same questions."


def _change(names: Sequence[str], metrics: Sequence[Mapping[str, Any]]) -> str:
    words = [f"Right answers to {_questions(metrics[-1])}, after {names[0]} and after {names[1]}."]
    before, after = (each.get("mean_completion_tokens") for each in metrics)
    if is_number(before) and is_number(after) and before > 0:
        words.append(f"An answer is {_as_long(after / before)} as before.")
    return " ".join(words)


def _as_long(ratio: float) -> str:
    if abs(ratio - 1) < 0.05:
        return "about as long"
    return f"{ratio:.1f} times as long" if ratio > 1 else f"{100 * ratio:.0f}% as long"


def _by_source(metrics: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    found = [each.get("by_source") or {} for each in metrics]
    sources = dict.fromkeys(source for each in found for source in each)
    if len(sources) < 2:
        return []
    return [[source, *(_share(each.get(source, {})) for each in found)] for source in sources]


def _share(metrics: Mapping[str, Any]) -> str:
    return format_value(metrics["pass@1"], SHARE) if is_number(metrics.get("pass@1")) else ""


def _from_training(run: Run) -> Headline | None:
    for stage in reversed(working_stages(run)):
        steps, values = metric_curve(stage.log_history, PASS_AT_1, held_out=True)
        if len(steps) > 1:
            shares = [format_value(value, SHARE) for value in (values[0], values[-1])]
            sentence = f"Right answers to held-out questions at step {steps[0]:,} and at step {steps[-1]:,}."
            names = [f"{stage.name}, step {step:,}" for step in (steps[0], steps[-1])]
            return Headline(names, shares, sentence, paired=True)
    return None
