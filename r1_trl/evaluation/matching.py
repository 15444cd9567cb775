"""The questions of two evaluations, read from their folders and matched by what they ask and their gold."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from r1_trl.errors import InputError
from r1_trl.evaluation.metrics import FULL_MARKS
from r1_trl.tasks.questions import asked
from r1_trl.tracking.run_folder import read_json

_KEY = ["question", "solution", "occurrence"]
_SAMPLING = ("temperature", "top_p", "max_completion_length", "prompt_format")


class Evaluation(NamedTuple):
    """What `r1-trl evaluate` has written.

    Args:
        path (`Path`): Its folder.
        record (`dict`): Its `stage.json`.
        questions (`DataFrame`): One row a question: what it asks, `solution`, `occurrence` (which of several that are
            alike), `source`, `score` (the share of right answers; `None` where it cannot be graded), `mean_score`
            (with partial credit), `right` and `samples`.
    """

    path: Path
    record: dict[str, Any]
    questions: pd.DataFrame


def read_evaluation(path: Path) -> Evaluation:
    """Reads the folder of an evaluation.

    Raises:
        InputError: It is none.

    >>> read_evaluation(Path("nowhere"))
    Traceback (most recent call last):
    r1_trl.errors.InputError: `nowhere` is no folder of an evaluation: there is no nowhere/samples.parquet. Name what \
`r1-trl evaluate` wrote into
    """
    samples, record = path / "samples.parquet", read_json(path / "stage.json")
    if not samples.is_file() or record.get("stage") != "evaluate":
        missing = f"there is no {samples}" if not samples.is_file() else "its stage.json is not that of `evaluate`"
        beside = path.with_name(f"{path.name}_evaluation")
        hint = f"; did you mean `{beside}`?" if (beside / "samples.parquet").is_file() else ". "
        remedy = "" if hint.endswith("?") else "Name what `r1-trl evaluate` wrote into"
        raise InputError(f"`{path}` is no folder of an evaluation: {missing}{hint}{remedy}")
    return Evaluation(path, record, per_question(pd.read_parquet(samples)))


def per_question(table: pd.DataFrame) -> pd.DataFrame:
    """One row a question out of one row a sample.

    Args:
        table (`DataFrame`): As [`~r1_trl.stages.evaluate.score_samples`] returns it.

    >>> samples = pd.DataFrame({"question": [0, 0], "prompt": "1 + 1?", "solution": "2", "correct": [1.0, 0.0]})
    >>> per_question(samples).to_dict("records")
    [{'question': '1 + 1?', 'solution': '2', 'source': None, 'score': 0.5, 'mean_score': 0.5, 'right': 1, \
'samples': 2, 'occurrence': 0}]
    """
    table = table.assign(correct=table["correct"].astype(np.float64))
    groups = table.groupby("question", sort=True)
    first = groups.head(1)
    prompts = (prompt if isinstance(prompt, str) else list(prompt) for prompt in first["prompt"])
    means = groups["correct"].agg(lambda correct: correct.mean(skipna=False))
    right, samples = (table["correct"] >= FULL_MARKS).groupby(table["question"]).sum(), groups.size()
    questions = pd.DataFrame(
        {
            "question": [asked(prompt) for prompt in prompts],
            "solution": list(first["solution"]),
            "source": list(first["source"]) if "source" in first else None,
            "score": list((right / samples).where(means.notna())),
            "mean_score": list(means),
            "right": list(right),
            "samples": list(samples),
        }
    )
    return questions.assign(occurrence=questions.groupby(["question", "solution"], dropna=False).cumcount())


def match_questions(a: Evaluation, b: Evaluation, common_only: bool) -> tuple[pd.DataFrame, dict[str, int]]:
    """The questions of both, side by side, in A's order.

    Args:
        a, b ([`Evaluation`]): The two.
        common_only (`bool`): Leave out what only one of them asked, rather than refuse it.

    Returns:
        `tuple`: One row a question, with `_a` and `_b` behind the names of what differs; and how many are left out.

    Raises:
        InputError: They asked different questions, or have none in common that can be graded.
    """
    ours, theirs = (side.questions.astype({"solution": object, "source": object}) for side in (a, b))
    ours["place"] = range(len(ours))
    merged = ours.merge(theirs, on=_KEY, how="outer", suffixes=("_a", "_b"), indicator=True).sort_values("place")
    only = {"only in A": int((merged["_merge"] == "left_only").sum())}
    only |= {"only in B": int((merged["_merge"] == "right_only").sum())}
    if any(only.values()) and not common_only:
        raise InputError(
            f"`{a.path}` and `{b.path}` asked different questions: {only['only in A']:,} are only in the first, "
            f"{only['only in B']:,} only in the second. Compare evaluations of the same questions, or leave those out "
            "by `--common_only`"
        )
    both = merged[merged["_merge"] == "both"]
    graded = both[both["score_a"].notna() & both["score_b"].notna()]
    if not len(graded):
        raise InputError(f"`{a.path}` and `{b.path}` have no question in common that can be graded")
    source = graded["source_a"].where(graded["source_a"].notna(), graded["source_b"])
    left_out = {**only, "not gradable": len(both) - len(graded)}
    return graded.assign(source=source).reset_index(drop=True), left_out


def sampled_differently(a: Evaluation, b: Evaluation) -> list[str]:
    """The settings of the sampling that differ, each as `name: of A, of B`."""
    settings = [side.record.get("arguments", {}) for side in (a, b)]
    both = [name for name in _SAMPLING if all(name in side for side in settings)]
    return [
        f"{name}: {settings[0][name]}, {settings[1][name]}" for name in both if len({s[name] for s in settings}) > 1
    ]
