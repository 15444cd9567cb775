"""The verdict on each completion of a rollout, whatever its rewards say.

Where the run has an accuracy reward, its scores are the verdicts, and nothing is graded twice. Rows that it does not
score (outside of its window, routed to other rewards, or without such a reward at all) are graded here if they have a
`solution` that the verifiers take. One that they do not take ends no run, since nobody asked for this grading: the row
has no verdict, whatever batch or process it is in, and each reason is told once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from r1_trl.errors import InputError
from r1_trl.rewards.accuracy import AccuracyReward
from r1_trl.verifiers.grading import check_row

ACCURACY = "accuracy_reward"
_COLUMNS = ("solution", "verifier", "verifier_args", "think_opened")

logger = logging.getLogger(__name__)


class VerdictGrader:
    """Grades what no reward has graded.

    Args:
        rewards (`Sequence[Callable]`): The rewards of the run. An [`AccuracyReward`] among them grades, with its
            workers and limits.
        names (`Sequence[str]`): Theirs. Without an accuracy reward the table of completions gets no columns.
    """

    def __init__(self, rewards: Sequence[Any], names: Sequence[str]) -> None:
        own = [reward for reward in rewards if isinstance(reward, AccuracyReward)]
        self._reward = own[0] if own else AccuracyReward()
        self._has_columns = ACCURACY in names
        self._told: set[str] = set()

    def grade(
        self,
        scores: Sequence[float],
        scored: Sequence[bool],
        rows: Sequence[Mapping[str, Any]],
        prompts: Sequence[Any],
        completions: Sequence[Any],
    ) -> tuple[list[float], dict[str, list[Any]]]:
        """The verdicts on B completions.

        Args:
            scores (`Sequence[float]`): The column of the accuracy reward; NaN where the gold cannot be graded.
            scored (`Sequence[bool]`): Which rows that reward was asked about.
            rows (`Sequence[Mapping]`): The dataset's rows.
            prompts, completions (`Sequence`): As TRL hands them to rewards.

        Returns:
            `list[float]`: B scores from 0 to 1; NaN where there is no verdict.
            `dict[str, list]`: Columns for the table of completions, with `None` for the rows graded elsewhere.
        """
        verdicts = [score if is_scored else math.nan for score, is_scored in zip(scores, scored, strict=True)]
        left = [
            i
            for i, (row, is_scored) in enumerate(zip(rows, scored, strict=True))
            if not is_scored and self._takes(row)
        ]
        if not left:
            return verdicts, {}
        columns_of_rows: dict[str, Any] = {name: [rows[i].get(name) for i in left] for name in _COLUMNS}
        columns: dict[str, list[Any]] = {}

        def log_extra(column: str, values: Sequence[Any]) -> None:
            columns[column] = [None] * len(rows)
            for i, value in zip(left, values, strict=True):
                columns[column][i] = value

        grades = self._reward(
            [completions[i] for i in left],
            **columns_of_rows,
            prompts=[prompts[i] for i in left],
            log_extra=log_extra if self._has_columns else None,
        )
        for i, grade in zip(left, grades, strict=True):
            verdicts[i] = math.nan if grade is None else grade
        return verdicts, columns

    def _takes(self, row: Mapping[str, Any]) -> bool:
        """Whether the row has a gold, as text, and a verifier that can work."""
        solution, verifier = row.get("solution"), row.get("verifier")
        if solution is None or solution == "":
            return False
        try:
            for name, value in (("solution", solution), ("verifier", verifier or "")):
                if not isinstance(value, str):
                    raise InputError(f"`{name}` is a {type(value).__name__}, and no text: {value!r:.100}")
            check_row(verifier, row.get("verifier_args"))
        except InputError as error:
            reason = str(error).partition(":")[0]  # without the value, of which there may be many
            if reason not in self._told:
                logger.warning("no pass@1 from rows like this one: %s", error)
            self._told.add(reason)
            return False
        return True
