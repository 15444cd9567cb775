"""The road through a run: which stage builds on which, and what was measured at its beginning and at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1_trl.report.numbers import is_number
from r1_trl.tracking.run_folder import EVALUATION, Run, StageFolder, read_json


@dataclass(frozen=True)
class Evaluation:
    """What was measured of one model.

    Args:
        of (`str`): Name of the stage that wrote the model.
        folder ([`~tracking.run_folder.StageFolder`]): With `samples.parquet`.
    """

    of: str
    folder: StageFolder

    @property
    def metrics(self) -> dict[str, Any]:
        """What `stage.json` says (`dict`)."""
        return dict(self.folder.record["metrics"])

    @property
    def questions(self) -> str | None:
        """What tells its questions from others (`str`, *optional*); `None` where nothing does."""
        return self._identity("questions")

    @property
    def model(self) -> str | None:
        """What tells its model from others (`str`, *optional*); `None` where nothing does."""
        return self._identity("model")

    def _identity(self, what: str) -> str | None:
        given = recorded(self.folder, "inputs").get(what)
        return (given.get("sha256") or given.get("name")) if isinstance(given, Mapping) else None


def recorded(stage: StageFolder, part: str) -> dict[str, Any]:
    """One mapping of a stage's record, such as its `arguments`; empty where there is none."""
    found = stage.record.get(part)
    return dict(found) if isinstance(found, Mapping) else {}


def evaluations(run: Run) -> dict[str, Evaluation]:
    """The evaluations of a run that have ended, by the name of the stage that they evaluate, in their order."""
    ended = [stage for stage in run.stages if stage.command == "evaluate" and _measured(stage)]
    names = {id(stage): stage.name.removesuffix(EVALUATION) for stage in ended}
    return {names[id(stage)]: Evaluation(names[id(stage)], stage) for stage in ended}


def working_stages(run: Run) -> list[StageFolder]:
    """The stages that are no evaluation of another."""
    of_others = {id(stage.evaluation) for stage in run.stages if stage.evaluation is not None}
    return [stage for stage in run.stages if id(stage) not in of_others]


def main_road(run: Run) -> list[str]:
    """The longest row of stages in which each builds on the one before: its model, or what it made.

    A pipeline may branch, to compare: then the first and the last stage that ran need not have to do with each other.

    Args:
        run ([`~tracking.run_folder.Run`]): Any run.

    Returns:
        `list[str]`: Names of stages; of several rows of one length, that with the later end.
    """
    stages = working_stages(run)
    names = {stage.name for stage in stages}
    roads: dict[str, list[str]] = {}
    for stage in stages:
        before = [roads[name] for name in needs(stage, names) if name in roads]
        roads[stage.name] = [*max(before, key=len, default=[]), stage.name]
    return max(reversed(list(roads.values())), key=len, default=[])


def needs(stage: StageFolder, names: set[str]) -> set[str]:
    """The stages that a stage reads from: as its pipeline recorded, or as its settings name their folders.

    Args:
        stage ([`~tracking.run_folder.StageFolder`]): The stage.
        names (`set[str]`): Names of all stages of the run.
    """
    found = set(read_json(stage.path / "pipeline.json").get("inputs", {}).get("stages", {}))
    arguments = recorded(stage, "arguments")
    folder = Path(str(arguments.get("output_dir", stage.path))).parent
    for text in _strings(arguments):
        for name in names - {stage.name}:
            if Path(text).is_relative_to(folder / name):
                found.add(name)
    return (found & names) - {stage.name}


def before_and_after(run: Run, questions: str | None = None) -> list[Evaluation]:
    """Two evaluations of different models on the same questions: nothing else has changed between them.

    The first and the last along the road; of the whole run where the road has no two.

    Args:
        run ([`~tracking.run_folder.Run`]): Any run.
        questions (`str`, *optional*): Those of [`Evaluation`]; without it, the first that two models were asked.

    Returns:
        `list[Evaluation]`: Two, or none.
    """
    for measured in (_along_the_road(run), list(evaluations(run).values())):
        for asked in dict.fromkeys(each.questions for each in measured if each.questions and each.model):
            first, *others = [each for each in measured if each.questions == asked and each.model]
            last = next((each for each in reversed(others) if each.model != first.model), None)
            if last is not None and questions in (None, asked):
                return [first, last]
    return []


def last_evaluation(run: Run, questions: str | None = None) -> Evaluation | None:
    """The last evaluation along the road; of the whole run where the road has none.

    Args:
        run ([`~tracking.run_folder.Run`]): Any run.
        questions (`str`, *optional*): Those of [`Evaluation`]; without it, any.
    """
    measured = [*evaluations(run).values(), *_along_the_road(run)]
    return next((each for each in reversed(measured) if questions in (None, each.questions)), None)


def shared_questions(runs: Sequence[Run]) -> str | None:
    """The questions that most of several runs were asked; `None` where no two of them were asked the same."""
    asked = Counter(question for run in runs for question in {each.questions for each in evaluations(run).values()})
    del asked[None]
    pairs = [question for run in runs for question in (each.questions for each in before_and_after(run))]
    most = max(asked.values(), default=0)
    shared = [question for question in asked if asked[question] == most > 1]
    return max(shared, key=lambda question: (pairs.count(question), question), default=None)


def _along_the_road(run: Run) -> list[Evaluation]:
    found = evaluations(run)
    return [found[name] for name in main_road(run) if name in found]


def _measured(stage: StageFolder) -> bool:
    return is_number(recorded(stage, "metrics").get("pass@1"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
