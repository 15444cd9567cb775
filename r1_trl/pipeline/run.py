"""The stages of a plan, run one after the other."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import IO, Any

from r1_trl import __version__
from r1_trl.files import write_json
from r1_trl.pipeline.check import Question, check_stages
from r1_trl.pipeline.definition import replace_references
from r1_trl.pipeline.folder import PipelineFolder
from r1_trl.pipeline.inputs import stage_inputs
from r1_trl.pipeline.plan import RESUMES, RUNS, Step
from r1_trl.pipeline.process import run_stage, stage_words


def check_steps(steps: Sequence[Step], folder: PipelineFolder) -> dict[str, dict[str, Any]]:
    """Makes sure that every stage which has to run can, before the first one does.

    Args:
        steps (`Sequence[Step]`): The plan.
        folder ([`PipelineFolder`]): Where they run.

    Returns:
        `dict`: Name of each stage that has to run -> its whole settings, in its order.

    Raises:
        InputError: A command is unknown, or does not take its settings.
    """
    pending = [step.stage for step in steps if step.state in (RUNS, RESUMES)]
    if not pending:
        return {}
    names = [step.stage.name for step in steps]
    settings = [replace_references(stage.settings, folder.path, names) for stage in pending]
    launch = [None if stage.accelerate_config is None else str(stage.accelerate_config) for stage in pending]
    questions = [
        Question(stage.command, stage.place, values, config, [str(folder.path / name) for name in stage.needs])
        for stage, values, config in zip(pending, settings, launch, strict=True)
    ]
    whole = {}
    for stage, values, known in zip(pending, settings, check_stages(questions), strict=True):
        ours = {"output_dir": str(folder.path / stage.name), "resume_from_checkpoint": "true"}
        whole[stage.name] = {**values, **{key: ours[key] for key in known}}
    return whole


def run_steps(
    steps: Sequence[Step], settings: Mapping[str, Mapping[str, Any]], folder: PipelineFolder, lock: IO[str]
) -> None:
    """Runs the stages that have to run.

    Args:
        steps (`Sequence[Step]`): The plan.
        settings (`Mapping`): As [`check_steps`] returns them.
        folder ([`PipelineFolder`]): Where they run.
        lock (`IO[str]`): The pipeline's lock.

    Raises:
        SystemExit: A stage did not end well, with its code; its own message stands above.
    """
    pending = [step for step in steps if step.stage.name in settings]
    for number, step in enumerate(pending, start=1):
        name = step.stage.name
        print(f"\n[{number}/{len(pending)}] {name}: {step.why}", flush=True)
        code = run_step(step, settings[name], folder, lock)
        if code != 0:
            print(
                f"stage `{name}` ended with code {code}: see its message above. The same command goes on from there",
                file=sys.stderr,
            )
            raise SystemExit(code)


def run_step(step: Step, settings: Mapping[str, Any], folder: PipelineFolder, lock: IO[str]) -> int:
    """Runs one stage, and leaves its record when it ends well.

    Args:
        step ([`Step`]): The stage. All stages that it needs are done.
        settings (`Mapping`): Its whole settings.
        folder ([`PipelineFolder`]): Where it runs.
        lock (`IO[str]`): The pipeline's lock.

    Returns:
        `int`: The exit code.
    """
    stage, started = step.stage, time.monotonic()
    begun = folder.start(stage.name) if step.state == RESUMES else None
    if begun is None:
        moved = folder.move_aside(stage.name)
        if moved is not None:
            print(f"the folder of before is now {moved}", flush=True)
        runs = {name: (folder.record(name) or {}).get("run", "") for name in stage.needs}
        begun = {"run": uuid.uuid4().hex[:12], "starts": 0, "inputs": stage_inputs(stage, runs)}
    begun = {**begun, "stage": stage.name, "r1-trl": __version__, "starts": begun["starts"] + 1}
    write_json(folder.start_file(stage.name), begun)
    forced = folder.forced
    if forced.stages.pop(stage.name, None):
        folder.forced = forced
    config = folder.write_config(stage.name, settings)
    launch = f"accelerate launch --config_file {stage.accelerate_config} -m r1_trl"
    print(f"$ {launch if stage.accelerate_config else 'r1-trl'} {stage.command} --config {config}", flush=True)
    words = stage_words(stage.command, config, stage.accelerate_config)
    code = run_stage(words, {"WANDB_RUN_GROUP": folder.path.name}, lock)
    if code == 0:
        write_json(folder.record_file(stage.name), {**begun, "seconds": round(time.monotonic() - started, 1)})
    return code
