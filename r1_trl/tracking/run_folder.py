"""What a run has left behind: the folder of a pipeline, of a quickstart or of one stage, read without a model.

For reports. Reads JSON alone, so it is quick, and takes runs that are not finished as far as they have come.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from r1_trl.errors import InputError

EVALUATION = "_evaluation"  # behind the name of the stage whose model it evaluates
_RECORD, _STATE = "stage.json", "trainer_state.json"
# The first files of a training stage, and of one that samples.
_TRACES = (_RECORD, _STATE, f"checkpoint-*/{_STATE}", "samples.jsonl")


@dataclass
class StageFolder:
    """The folder of one stage.

    Args:
        path (`Path`): The folder.
        record (`dict`): Content of its `stage.json`; empty while the stage has not ended.
        evaluation ([`StageFolder`], *optional*): The evaluation of the model that it wrote.
    """

    path: Path
    record: dict[str, Any] = field(default_factory=dict)
    evaluation: StageFolder | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def command(self) -> str | None:
        """The command that ran, such as `grpo`; `None` while it has not ended."""
        return self.record.get("stage")

    @cached_property
    def trainer_state(self) -> dict[str, Any]:
        """The `trainer_state.json` that is furthest on, of the folder or of its last whole checkpoint; or empty."""
        states = [read_json(file) for file in self._state_files()]
        return max(states, key=lambda state: int(state.get("global_step", 0)), default={})

    @property
    def log_history(self) -> list[dict[str, Any]]:
        """One dictionary for each log of a trainer, with its `step`; empty where nothing was trained."""
        return list(self.trainer_state.get("log_history", []))

    def _state_files(self) -> Iterator[Path]:
        whole = sorted(self.path.glob("checkpoint-*/complete.json"), key=lambda mark: _step(mark.parent))
        for folder in (self.path, *(mark.parent for mark in whole[-1:])):
            if (folder / _STATE).is_file():
                yield folder / _STATE


@dataclass
class Run:
    """A run.

    Args:
        path (`Path`): Its folder.
        stages (`list[StageFolder]`): In the order in which they ran; evaluations are among them.
    """

    path: Path
    stages: list[StageFolder]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name


def read_run(path: Path | str) -> Run:
    """Reads the folder of a pipeline, of a quickstart, or of one stage.

    Args:
        path (`Path` or `str`): The folder. Stages that were replaced (`<stage>.replaced-N`) are left out.

    Returns:
        [`Run`]: Stages that have not ended have an empty record.

    Raises:
        InputError: It is no folder of a run, or a file in it is no JSON.

    >>> read_run("runs/nowhere")
    Traceback (most recent call last):
    r1_trl.errors.InputError: `runs/nowhere`: no such folder. Name the `output_dir` of a pipeline, a quickstart or a \
stage
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"`{path}`: no such folder. Name the `output_dir` of a pipeline, a quickstart or a stage")
    if _is_stage(path):
        return Run(path, [_read_stage(path)])
    stages = {folder.name: _read_stage(folder) for folder in _stage_folders(path)}
    if not stages:
        raise InputError(
            f"`{path}` is no run: neither it nor a folder in it has a {_RECORD}, a {_STATE}, a checkpoint or a "
            "samples.jsonl. Name the `output_dir` of a pipeline, a quickstart or a stage"
        )
    for name, stage in stages.items():
        stage.evaluation = stages.get(f"{name}{EVALUATION}")
    known = _order(path)
    ordered = sorted(stages, key=lambda name: (known.get(name, len(known)), _started(path, name), name))
    return Run(path, [stages[name] for name in ordered])


def read_json(file: Path) -> dict[str, Any]:
    """The mapping in a JSON file; empty where there is no file.

    Raises:
        InputError: It holds no JSON mapping.

    >>> read_json(Path("nowhere/stage.json"))
    {}
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(f"{file} is no JSON: {error}. Take it away, or mend it") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} holds no JSON mapping. Take it away, or mend it")
    return content


def run_name(output_dir: Path) -> str:
    """A run's name by default: the last two parts of its folder.

    >>> run_name(Path("runs/miniature/grpo"))
    'miniature-grpo'
    """
    return "-".join(output_dir.parts[-2:])


def _is_stage(folder: Path) -> bool:
    return any(next(folder.glob(pattern), None) is not None for pattern in _TRACES)


def _stage_folders(path: Path) -> list[Path]:
    return [
        folder
        for folder in path.iterdir()
        if folder.is_dir()
        and not folder.name.startswith(".")
        and ".replaced-" not in folder.name
        and _is_stage(folder)
    ]


def _read_stage(folder: Path) -> StageFolder:
    return StageFolder(folder, read_json(folder / _RECORD))


def _order(path: Path) -> dict[str, int]:
    """Place of each stage that a finished pipeline or quickstart names."""
    stages = read_json(path / "pipeline.json").get("stages") or read_json(path / "results.json").get("wall_seconds")
    return {name: place for place, name in enumerate(stages or {})}


def _started(path: Path, name: str) -> float:
    """When a stage of an unfinished run began, as far as its files tell."""
    start = path / ".pipeline" / f"{name}.json"
    file = start if start.is_file() else path / name / _RECORD
    return file.stat().st_mtime if file.is_file() else float("inf")


def _step(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1
