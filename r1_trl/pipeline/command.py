"""`r1-trl pipeline --config pipeline.yaml`: runs the stages that are not done, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1_trl.errors import InputError
from r1_trl.files import write_json
from r1_trl.pipeline.definition import Stage, read_stages
from r1_trl.pipeline.folder import Forced, PipelineFolder
from r1_trl.pipeline.plan import LEFT_OUT, Step, format_plan, make_plan
from r1_trl.pipeline.report import collect_results, format_results
from r1_trl.pipeline.run import check_steps, run_steps
from r1_trl.report.command import NAME, tell_report
from r1_trl.stages.arguments import StageParser
from r1_trl.stages.config_flag import split_config_flag


@dataclass
class PipelineConfig:
    """
    Settings of `r1-trl pipeline`.

    Parameters:
        stages (`dict`):
            Name of each stage -> its `command`, `config` (a file, relative to the pipeline's), `arguments` (settings
            that win over the file's), and its own `accelerate_config` or `evaluate`. `{name}` in a setting is the
            folder of an earlier stage.
        output_dir (`str`):
            Holds a folder for each stage.
        accelerate_config (`str`, *optional*):
            Training stages run under `accelerate launch --config_file` with this file; relative to the pipeline's.
        evaluate (`str`, *optional*):
            Config of `r1-trl evaluate`, run on the model of each stage that writes one, into `<stage>_evaluation`.
        dry_run (`bool`, *optional*, defaults to `False`):
            Show what would run, and why, and stop.
        from_stage (`str`, *optional*):
            This stage and all after it run again. `--from` is the same flag.
        only (`str`, *optional*):
            No other stage than this and its evaluation runs.
    """

    stages: dict[str, Any] | str | None = field(default=None, metadata={"help": "The stages by name, in their order."})
    output_dir: str | None = field(default=None, metadata={"help": "Holds a folder for each stage."})
    accelerate_config: str | None = field(
        default=None, metadata={"help": "Training stages run under `accelerate launch` with this file."}
    )
    evaluate: str | None = field(
        default=None, metadata={"help": "Config of the evaluation after each stage that writes a model."}
    )
    dry_run: bool = field(default=False, metadata={"help": "Show what would run, and why, and stop."})
    from_stage: str | None = field(
        default=None, metadata={"help": "This stage and all after it run again.", "aliases": ["--from"]}
    )
    only: str | None = field(default=None, metadata={"help": "No other stage than this and its evaluation runs."})

    def __post_init__(self) -> None:
        if not isinstance(self.stages, dict):
            raise InputError("`stages` is missing: a mapping of names to stages, in the file that `--config` names")
        if not self.output_dir:
            raise InputError("`output_dir` is missing: name the folder for all stages")


def make_parser() -> StageParser:
    """The parser of `r1-trl pipeline`."""
    return StageParser("pipeline", "runs the stages of a recipe that are not done, in their order", [PipelineConfig])


def main(argv: list[str]) -> None:
    """Runs the command.

    Args:
        argv (`list[str]`): The words after `r1-trl pipeline`.

    Raises:
        InputError: Before the first stage runs.
        SystemExit: A stage did not end well, with its code; its own message stands above.
    """
    words = split_config_flag(argv)
    (config,) = make_parser().parse(words)
    folder = PipelineFolder(Path(config.output_dir))
    path = Path(words[words.index("--config") + 1])
    stages = read_stages(path, config.stages, folder.path, config.evaluate, config.accelerate_config)
    if config.dry_run:
        steps, _ = prepare(stages, folder, config)
        return
    with folder.lock() as lock:
        steps, settings = prepare(stages, folder, config)
        remember_forced(steps, folder, config)
        run_steps(steps, settings, folder, lock)
        folder.forced = Forced(stages=folder.forced.stages)
        results = collect_results(steps, folder)
        if settings:
            write_json(folder.path / "pipeline.json", results)
    print(f"\n{format_results(results)}")
    if settings or not (folder.path / NAME).is_file():
        print(tell_report(folder.path))


def remember_forced(steps: Sequence[Step], folder: PipelineFolder, config: PipelineConfig) -> None:
    """Keeps what `--from` asked for until it has run, so that the same command goes on after an interruption.

    Args:
        steps (`Sequence[Step]`): The plan.
        folder ([`PipelineFolder`]): Where it is kept.
        config ([`PipelineConfig`]): Its `from_stage` and `only` are read.
    """
    before = folder.forced
    names = {step.stage.name for step in steps}
    waiting = {name: origin for name, origin in before.stages.items() if name in names}
    waiting |= {step.stage.name: step.forced for step in steps if step.forced and step.state != LEFT_OUT}
    flags = [config.from_stage, config.only] if config.from_stage else before.flags
    folder.forced = Forced(flags, waiting)


def prepare(
    stages: Sequence[Stage], folder: PipelineFolder, config: PipelineConfig
) -> tuple[list[Step], dict[str, dict[str, Any]]]:
    """Makes the plan, makes sure that what has to run can, and prints it.

    Args:
        stages (`Sequence[Stage]`): All of them.
        folder ([`PipelineFolder`]): Where they run.
        config ([`PipelineConfig`]): Its `from_stage` and `only` are read.

    Returns:
        `tuple`: The plan, and the settings of each stage that has to run.

    Raises:
        InputError: A stage cannot run.
    """
    steps = make_plan(stages, folder, config.from_stage, config.only)
    settings = check_steps(steps, folder)
    print(format_plan(steps), flush=True)
    return steps, settings
