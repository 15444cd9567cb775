"""The numbers of an evaluation as a person reads them: one row for all questions, and one for each source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from r1_trl.tables import format_table

_SHARES = {"truncated": "truncated", "well_formed": "well-formed", "language_consistency": "language"}


def format_metrics(metrics: Mapping[str, Any]) -> str:
    """A table of the numbers, and pass@k over k.

    Args:
        metrics (`Mapping`): As [`~r1_trl.evaluation.summary.summarise`] returns them.

    >>> shares = {"truncated": 0.0, "well_formed": 1.0, "language_consistency": 1.0, "refused": 0.0}
    >>> counts = {"questions": 8, "ungradable_questions": 0, "num_generations": 4, "mean_completion_tokens": 31.5}
    >>> passes = {"pass@1": 0.5, "pass@1_ci95": [0.25, 0.75], "pass@2": 0.625, "pass@4": 0.75, "cons@4": 0.5}
    >>> print(format_metrics({**passes, **shares, **counts}))
         questions  pass@1    95% interval  cons@4  tokens  truncated  well-formed  language
    all          8   0.500  0.250 to 0.750   0.500    31.5      0.000        1.000     1.000
    <BLANKLINE>
    at least one right of k answers (pass@k): 0.625 of 2, 0.750 of 4
    """
    k = metrics["num_generations"]
    head = ["", "questions", "pass@1", "95% interval", f"cons@{k}", "tokens", *_SHARES.values()]
    rows = [head, _row("all", metrics)]
    for column in ("source", "difficulty"):
        groups = metrics.get(f"by_{column}", {})
        if len(groups) > 1:
            heading = [f"by {column}", *[""] * (len(head) - 1)]
            rows += [heading, *(_row(f"  {name}", part) for name, part in groups.items())]
    return "\n".join([format_table(rows), *_notes(metrics)])


def _row(name: str, metrics: Mapping[str, Any]) -> list[str]:
    low, high = metrics["pass@1_ci95"] or (None, None)
    interval = "-" if low is None else f"{low:.3f} to {high:.3f}"
    return [
        name,
        f"{metrics['questions']:,}",
        _share(metrics["pass@1"]),
        interval,
        _share(metrics[f"cons@{metrics['num_generations']}"]),
        f"{metrics['mean_completion_tokens']:,.1f}",
        *(_share(metrics[name]) for name in _SHARES),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _notes(metrics: Mapping[str, Any]) -> list[str]:
    found = {name.removeprefix("pass@"): value for name, value in metrics.items() if name.startswith("pass@")}
    passes = [f"{value:.3f} of {k}" for k, value in found.items() if k not in ("1", "1_ci95") and value is not None]
    notes = [f"at least one right of k answers (pass@k): {', '.join(passes)}"] if passes else []
    if "mean_score" in metrics:
        notes.append(f"mean score, with partial credit: {metrics['mean_score']:.3f}; all else counts full marks alone")
    ungradable = metrics["ungradable_questions"]
    if ungradable:
        subject = "question cannot be graded and is" if ungradable == 1 else "questions cannot be graded and are"
        notes.append(f"{ungradable:,} {subject} left out of these")
    if metrics["refused"]:
        notes.append(f"the server refused {metrics['refused']:.1%} of the answers, which count as wrong")
    return ["", *notes] if notes else []
