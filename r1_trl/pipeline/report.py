"""What came out of a pipeline: seconds and metrics of each stage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from r1_trl import __version__
from r1_trl.pipeline.folder import PipelineFolder
from r1_trl.pipeline.plan import Step
from r1_trl.tables import format_table

SHOWN = ("pass@1", "cons@", "mean_completion_tokens", "language_consistency", "well_formed")


def collect_results(steps: Sequence[Step], folder: PipelineFolder) -> dict[str, Any]:
    """The content of the pipeline's `pipeline.json`.

    Args:
        steps (`Sequence[Step]`): The plan, for the order of the stages.
        folder ([`PipelineFolder`]): Where they ran.

    Returns:
        `dict`: For each stage that is done, its record, and the metrics of its own `stage.json` where it has one;
            their seconds in all.
    """
    stages = {}
    for step in steps:
        record = folder.record(step.stage.name)
        if record is not None:
            stages[step.stage.name] = {**record, "metrics": read_metrics(folder, step.stage.name)}
    seconds = round(sum(stage["seconds"] for stage in stages.values()), 1)
    return {"pipeline": folder.path.name, "r1-trl": __version__, "seconds": seconds, "stages": stages}


def read_metrics(folder: PipelineFolder, stage: str) -> dict[str, Any]:
    """The metrics that a stage measured; empty for one that measures nothing."""
    file = folder.path / stage / "stage.json"
    metrics: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["metrics"] if file.is_file() else {}
    return metrics


def format_results(results: dict[str, Any]) -> str:
    """The stages as rows: seconds, and what the evaluation behind each says. Evaluations have no row of their own.

    >>> training = {"seconds": 20.0, "metrics": {"train_loss": 0.4}}
    >>> evaluation = {"seconds": 5.0, "metrics": {"pass@1": 0.25, "cons@16": 0.5}}
    >>> stages = {"cold_start": training, "cold_start_evaluation": evaluation}
    >>> print(format_results({"seconds": 25.0, "stages": stages}))
    stage       seconds  evaluation  pass@1  cons@16
    cold_start     20.0         5.0   0.250    0.500
    25.0 seconds in all
    """
    stages = results["stages"]
    measured = {name: stages.get(f"{name}_evaluation", {}).get("metrics", {}) for name in stages}
    keys = dict.fromkeys(key for metrics in measured.values() for key in metrics)
    columns = [key for shown in SHOWN for key in keys if key == shown or (shown == "cons@" and shown in key)]
    evaluated = any(name.endswith("_evaluation") for name in stages)
    rows = [["stage", "seconds", *(["evaluation"] if evaluated else []), *columns]]
    for name, stage in stages.items():
        if name.removesuffix("_evaluation") not in stages or not name.endswith("_evaluation"):
            evaluation = stages.get(f"{name}_evaluation")
            seconds = f"{evaluation['seconds']:.1f}" if evaluation else ""
            cells = [_cell(measured[name].get(key)) for key in columns]
            rows.append([name, f"{stage['seconds']:.1f}", *([seconds] if evaluated else []), *cells])
    return "\n".join([format_table(rows), *_by_source(measured), f"{results['seconds']:.1f} seconds in all"])


def _by_source(measured: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table of pass@1 by source, where evaluations have several."""
    scores = {
        name: {source: metrics.get("pass@1") for source, metrics in found["by_source"].items()}
        for name, found in measured.items()
        if len(found.get("by_source", {})) > 1
    }
    sources = list(dict.fromkeys(source for found in scores.values() for source in found))
    rows = [[name, *(_cell(found.get(source)) for source in sources)] for name, found in scores.items()]
    return [f"\n{format_table([['pass@1 by source', *sources], *rows])}\n"] if rows else []


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
