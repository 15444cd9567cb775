"""Whether every stage of a pipeline can start, by the parsers of their commands, before the first one does.

The parsers import everything that training needs and may touch the GPU. So this runs in a process of its own, by
`python -m r1_trl.pipeline.check`, and the pipeline itself stays small for hours.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from r1_trl.cli import STAGES, TOOLS
from r1_trl.errors import InputError, did_you_mean
from r1_trl.pipeline.definition import OURS
from r1_trl.rewards.registry import find_reward
from r1_trl.stages.arguments import StageParser
from r1_trl.stages.models import require_folder
from r1_trl.stages.rewards import load_reward_funcs
from r1_trl.tasks.sources import require_local


class Question(NamedTuple):
    """May this stage run?"""

    command: str
    place: str  # for messages
    settings: dict[str, Any]  # without references
    accelerate_config: str | None
    made: Sequence[str] = ()  # folders of earlier stages, which need not be there yet


def check_stages(questions: Sequence[Question]) -> list[list[str]]:
    """Parses the settings of every stage.

    Args:
        questions (`Sequence[Question]`): One for each stage.

    Returns:
        `list[list[str]]`: For each stage, which of the settings in [`OURS`] its command knows.

    Raises:
        InputError: A command is unknown, or does not take its settings.
    """
    asked = json.dumps([question._asdict() for question in questions], default=str)
    words = [sys.executable, "-m", "r1_trl.pipeline.check"]
    done = subprocess.run(words, input=asked, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the check of the stages ended with code {done.returncode}:\n{done.stderr}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "error" in answer:
        raise InputError(answer["error"])
    known: list[list[str]] = answer["known"]
    return known


def find_parser(command: str) -> Callable[[], StageParser]:
    """The function that makes the parser of a command of one or two words.

    >>> find_parser("verify")().prog
    'r1-trl verify'
    >>> find_parser("sfft")
    Traceback (most recent call last):
    r1_trl.errors.InputError: `command: sfft` is no command of r1-trl; did you mean `sft`?
    """
    word, *rest = command.split()
    commands = {**STAGES, **TOOLS}
    if word not in commands:
        hint = did_you_mean(command, commands, quote="`", otherwise=": `r1-trl --help` lists them")
        raise InputError(f"`command: {command}` is no command of r1-trl{hint}")
    module: Any = importlib.import_module(commands[word].module)
    if rest:
        table = getattr(module, "TOOLS", {})
        if rest[0] not in table:
            hint = did_you_mean(rest[0], table, quote="`", otherwise=f": `r1-trl {word} --help` lists them")
            raise InputError(f"`command: {command}` is no command of r1-trl{hint}")
        module = importlib.import_module(table[rest[0]][0])
    if not hasattr(module, "make_parser"):
        raise InputError(f"`command: {command}` takes no settings, so it is no stage")
    parser: Callable[[], StageParser] = module.make_parser
    return parser


def check_stage(question: Question) -> list[str]:
    """Parses the settings of one stage, for as many processes as it will have, and looks for what they name.

    Args:
        question ([`Question`]): The stage.

    Returns:
        `list[str]`: The settings in [`OURS`] that its command knows.

    Raises:
        InputError: The command does not take its settings, or a reward, a local model or local data is not there.
    """
    parser = find_parser(question.command)()
    processes = _processes(question.accelerate_config)
    # A batch that several processes share may be right for them and wrong for this one.
    classes: Any = [
        type(cls.__name__, (cls,), {"world_size": processes}) if hasattr(cls, "world_size") else cls
        for cls in parser.dataclass_types
    ]
    parser.dataclass_types = classes
    known = {action.dest for action in parser._actions} & set(OURS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        ours = {"output_dir": folder} if "output_dir" in known else {}
        file.write_text(yaml.safe_dump({**question.settings, **ours}), encoding="utf-8")
        try:
            parsed = parser.parse(["--config", str(file)])
        except InputError as error:
            raise InputError(str(error).replace(f"{file}: ", "").replace("command line: ", "")) from error
    if question.command == "grpo":
        _check_rewards(parsed)
    check_paths(question.settings, question.made)
    return sorted(known)


def _check_rewards(parsed: Sequence[Any]) -> None:
    found = {name: value for arguments in parsed for name, value in vars(arguments).items()}
    load_reward_funcs(found["reward_funcs"], found["reward_kwargs"], found["reward_weights"], find_reward)


def check_paths(settings: Any, made: Sequence[str] = (), key: str = "") -> None:
    """Refuses settings that name a local model, or local data, which is not there.

    Args:
        settings (`Any`): Mappings and lists of settings.
        made (`Sequence[str]`, *optional*): Folders that an earlier stage fills: what is below them is let pass.
        key (`str`, *optional*): The setting that holds the value.

    Raises:
        InputError: There is no such file or folder.

    >>> check_paths({"dataset_name": "runs/data/sft.jsonl"}, ["runs/data"])
    >>> check_paths({"datasets": [{"path": "./nowhere"}]})
    Traceback (most recent call last):
    r1_trl.errors.InputError: `path: ./nowhere`: no such folder. Check the path, seen from ...
    """
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            check_paths(value, made, str(name))
    elif isinstance(settings, list):
        for value in settings:
            check_paths(value, made, key)
    elif isinstance(settings, str) and not any(Path(settings).is_relative_to(folder) for folder in made):
        if key == "model_name_or_path":
            require_folder(settings)
        elif key in ("dataset_name", "path"):
            require_local(settings, key)


def _processes(accelerate_config: str | None) -> int:
    if accelerate_config is None:
        return 1
    from accelerate.commands.config.config_args import load_config_from_file

    try:
        return int(load_config_from_file(accelerate_config).num_processes)
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise InputError(f"`accelerate_config: {accelerate_config}` is none: {error}") from error


def main() -> None:
    """Reads questions on standard input, and answers on the last line of standard output."""
    known = []
    for content in json.load(sys.stdin):
        question = Question(**content)
        try:
            known.append(check_stage(question))
        except InputError as error:
            print(json.dumps({"error": f"{question.place}: {error}"}))
            return
    print(json.dumps({"known": known}))


if __name__ == "__main__":
    main()
