"""What a pipeline has to do, and why: which stages are done, which run, and which go on where they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from r1_trl import __version__
from r1_trl.errors import InputError, did_you_mean
from r1_trl.pipeline.definition import RESUMES_IN_PLACE, Stage
from r1_trl.pipeline.folder import PipelineFolder
from r1_trl.pipeline.inputs import describe_changes, stage_inputs

DONE, RUNS, RESUMES, LEFT_OUT = "done", "will run", "will resume", "left out"


class Step(NamedTuple):
    """A stage, and what becomes of it.

    Args:
        stage ([`Stage`]): The stage.
        state (`str`): `"done"`, `"will run"`, `"will resume"` or `"left out"`.
        why (`str`): The reason, for people.
        inputs (`dict`): As [`stage_inputs`] returns them.
        forced (`str`, *optional*): The stage that `--from` named, where the stage runs for that alone.
    """

    stage: Stage
    state: str
    why: str
    inputs: dict[str, Any]
    forced: str = ""


def make_plan(
    stages: Sequence[Stage], folder: PipelineFolder, from_stage: str | None = None, only: str | None = None
) -> list[Step]:
    """What becomes of each stage.

    Args:
        stages (`Sequence[Stage]`): In their order.
        folder ([`PipelineFolder`]): What was done before.
        from_stage (`str`, *optional*): This one and all after it run again; of a run that did so and was interrupted,
            those that it had not come to.
        only (`str`, *optional*): Nothing but this one and its evaluation is looked at.

    Raises:
        InputError: A stage is unknown, or `only` needs one that is not done.
    """
    names = [stage.name for stage in stages]
    for flag, name in (("--from", from_stage), ("--only", only)):
        if name is not None and name not in names:
            hint = did_you_mean(name, names, quote="`", otherwise=f": the stages are {', '.join(names)}")
            raise InputError(f"`{flag} {name}`: there is no such stage{hint}")
    forced = dict(folder.forced.stages)
    if from_stage and not folder.forced.continues(from_stage, only):
        forced |= dict.fromkeys(names[names.index(from_stage) :], from_stage)
    steps: dict[str, Step] = {}
    for stage in stages:
        step = decide(stage, folder, [steps[name] for name in stage.needs], forced.get(stage.name, ""))
        if only is not None and step.state != DONE and stage.name not in (only, f"{only}_evaluation"):
            step = step._replace(state=LEFT_OUT, why=f"--only {only}")
        steps[stage.name] = step
    for step in steps.values():
        missing = [name for name in step.stage.needs if steps[name].state == LEFT_OUT]
        if missing and step.state in (RUNS, RESUMES):
            raise InputError(f"`--only {only}`: it needs `{missing[0]}`, which is not done: leave `--only` out")
    return list(steps.values())


def decide(stage: Stage, folder: PipelineFolder, needs: Iterable[Step], forced: str = "") -> Step:
    """What becomes of one stage.

    Args:
        stage ([`Stage`]): The stage.
        folder ([`PipelineFolder`]): What was done before.
        needs (`Iterable[Step]`): What becomes of the stages that it needs.
        forced (`str`, *optional*): The stage that `--from` named, where this one has to run again in any case.
    """
    records = {name: folder.record(name) or {} for name in stage.needs}
    inputs = stage_inputs(stage, {name: record.get("run", "") for name, record in records.items()})
    again = [step.stage.name for step in needs if step.state != DONE]
    ended, started = folder.record(stage.name), folder.start(stage.name)
    before = ended or (started if folder.holds(stage.name) else None)
    if forced:
        return Step(stage, RUNS, f"--from {forced}", inputs, forced)
    if before is None:
        strange = folder.holds(stage.name)
        return Step(stage, RUNS, "its folder is not this pipeline's" if strange else "never run", inputs)
    seen = {name: run for name, run in inputs["stages"].items() if name not in again}
    changes = describe_changes(before["inputs"], {**inputs, "stages": seen})
    if changes or (again and ended):
        return Step(stage, RUNS, changes or f"`{again[0]}` runs again", inputs)
    if ended is None:
        resumes = stage.command in RESUMES_IN_PLACE and not again
        return Step(stage, RESUMES if resumes else RUNS, "was interrupted", inputs)
    other = ended["r1-trl"] != __version__
    return Step(stage, DONE, f"by r1-trl {ended['r1-trl']}, this is {__version__}" if other else "", inputs)


def format_plan(steps: Iterable[Step]) -> str:
    """The plan as a table.

    >>> stage = Stage("cold_start", "sft", "pipeline.yaml", {}, ())
    >>> print(format_plan([Step(stage, RUNS, "never run", {})]))
    stage       command  state     why
    cold_start  sft      will run  never run
    """
    rows = [("stage", "command", "state", "why")]
    rows += [(step.stage.name, step.stage.command, step.state, step.why) for step in steps]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ("  ".join([*map(str.ljust, row, widths), row[3]]) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
