"""The tables of a report: what each stage was and what came out, and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1_trl.redaction import mask_secrets
from r1_trl.report.headline import format_interval
from r1_trl.report.numbers import SHARE, TOKENS, format_seconds, format_value, is_number
from r1_trl.report.road import evaluations, recorded, working_stages
from r1_trl.tracking.run_cost import run_cost
from r1_trl.tracking.run_folder import Run, StageFolder

KINDS = {
    "sft": "SFT",
    "grpo": "GRPO",
    "rejection-sample": "Rejection sampling",
    "reward-model": "Reward model",
    "evaluate": "Evaluation",
    None: "Not finished",
}
_MEASURED = (
    ("mean_completion_tokens", "Tokens", TOKENS),
    ("language_consistency", "Language", SHARE),
    ("well_formed", "Well-formed", SHARE),
    ("truncated", "Truncated", SHARE),
)


@dataclass(frozen=True)
class StageRow:
    """One stage.

    Args:
        name (`str`): Its folder's name.
        what (`str`): What it is, from which model and on which data.
        seconds (`str`): Its wall time; empty where it is not known.
        pass_at_1 (`float`, *optional*): Of the evaluation behind it.
        interval (`tuple[float, float]`, *optional*): Its 95% interval.
        cells (`list[str]`): The other metrics, as [`stage_rows`] names their columns.
    """

    name: str
    what: str
    seconds: str
    pass_at_1: float | None
    interval: tuple[float, float] | None
    cells: list[str]

    @property
    def share(self) -> str:
        """pass@1 in words; empty where it was not measured."""
        return "" if self.pass_at_1 is None else format_value(self.pass_at_1, SHARE)

    @property
    def between(self) -> str:
        """The interval in words."""
        return format_interval({"pass@1_ci95": self.interval}) if self.interval else ""


def stage_rows(run: Run) -> tuple[list[str], list[StageRow]]:
    """The table of stages: columns beyond those that every row has, and the rows."""
    measured = {name: evaluation.metrics for name, evaluation in evaluations(run).items()}
    majority = sorted({key for metrics in measured.values() for key in metrics if key.startswith("cons@")})
    columns = [*((key, key, SHARE) for key in majority), *_MEASURED]
    columns = [column for column in columns if any(column[0] in metrics for metrics in measured.values())]
    names = {stage.name for stage in run.stages}
    rows = []
    for stage in working_stages(run):
        metrics = measured.get(stage.name, measured.get(stage.name.removesuffix("_evaluation"), {}))
        cells = [format_value(metrics[key], unit) if is_number(metrics.get(key)) else "" for key, _, unit in columns]
        interval = metrics.get("pass@1_ci95")
        seconds = stage.record.get("wall_seconds")
        rows.append(
            StageRow(
                name=stage.name,
                what=describe(stage, names),
                seconds=format_seconds(seconds) if is_number(seconds) else "",
                pass_at_1=metrics.get("pass@1"),
                interval=tuple(interval) if interval and all(map(is_number, interval)) else None,
                cells=cells,
            )
        )
    return [title for _, title, _ in columns], rows


def describe(stage: StageFolder, names: set[str]) -> str:
    """What a stage is, in one sentence.

    Args:
        stage ([`~tracking.run_folder.StageFolder`]): The stage.
        names (`set[str]`): Names of all stages of the run; a folder of theirs is told by its name alone.
    """
    kind = KINDS.get(stage.command, str(stage.command))
    inputs = recorded(stage, "inputs")
    model = _short(str(_name(inputs.get("model"))), names)
    data = _data(stage, inputs, names)
    metrics = recorded(stage, "metrics")
    kept = f", {metrics['kept']:,} of {metrics['sampled']:,} kept" if {"kept", "sampled"} <= metrics.keys() else ""
    return f"{kind}{f' of {model}' if model else ''}{f' on {data}' if data else ''}{kept}"


@dataclass(frozen=True)
class CostTable:
    """What a run took.

    Args:
        columns (`list[str]`): Their names; the first is the stage's.
        rows (`list[list[str]]`): One for each stage.
        total (`list[str]`): Their sums, and the largest memory; behind "≥" where that of a stage is not known.
        in_part (`bool`): Whether any is.
    """

    columns: list[str]
    rows: list[list[str]]
    total: list[str]
    in_part: bool


def cost_table(run: Run) -> CostTable | None:
    """The cost of each stage: from its ledger, or what the rest of its files tell.

    Returns:
        [`CostTable`] or `None`: `None` where nothing is known.
    """
    cost = run_cost(run)
    columns = [column for column in _COST if any(row[column[0]] for row in cost["stages"])]
    if not columns:
        return None
    rows = [[row["stage"], *_cells(row, columns)] for row in cost["stages"]]
    in_part = [cost["unknown"][key] != [] for key, _, _ in columns]
    totals = [
        f"≥ {cell}" if part else cell for cell, part in zip(_cells(cost["total"], columns), in_part, strict=True)
    ]
    return CostTable(["Stage", *(title for _, title, _ in columns)], rows, ["Total", *totals], any(in_part))


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _hours(value: float) -> str:
    return f"{value:,.4f}" if value < 10 else f"{value:,.1f}"


def _dollars(value: float) -> str:
    return f"${value:,.2f}"


def _gigabytes(value: float) -> str:
    return f"{value:,.1f} GB"


# (key in the ledger, name, how it is written)
_COST: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("wall_seconds", "Wall time", format_seconds),
    ("device_hours", "Device hours", _hours),
    ("tokens_generated", "Tokens generated", _count),
    ("tokens_trained", "Tokens trained", _count),
    ("peak_memory_gb", "Peak memory", _gigabytes),
    ("usd", "Cost", _dollars),
)


def _cells(cost: Mapping[str, Any], columns: Sequence[tuple[str, str, Callable[[float], str]]]) -> list[str]:
    return [write(cost[key]) if is_number(cost[key]) else "" for key, _, write in columns]


def _name(given: Any) -> str:
    return str(given.get("name") or "") if isinstance(given, dict) else ""


def _data(stage: StageFolder, inputs: dict[str, Any], names: set[str]) -> str:
    mixture = recorded(stage, "arguments").get("datasets") or []
    paths = [str(part["path"]) for part in mixture if isinstance(part, dict) and part.get("path")]
    given = _name(inputs.get("train_dataset")) or _name(inputs.get("questions"))
    told = paths or [given]
    return ", ".join(dict.fromkeys(_short(path, names) for path in told if path))


def _short(path: str, names: set[str]) -> str:
    return next((part for part in reversed(path.split("/")) if part in names), str(mask_secrets(path)))
