"""The pipeline file: its stages, their settings, and which stage needs which."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from r1_trl.errors import InputError, did_you_mean
from r1_trl.stages.arguments import read_yaml

TRAINING = ("sft", "grpo", "reward-model")  # may run under `accelerate launch`
RESUMES_IN_PLACE = (*TRAINING, "rejection-sample", "evaluate", "data judge-pairs")  # others want their folder empty
WRITES_A_MODEL = ("sft", "grpo", "merge")  # that answers questions, so it can be evaluated
OURS = ("output_dir", "resume_from_checkpoint")  # settings that the pipeline itself makes
STAGE_KEYS = ("command", "config", "arguments", "accelerate_config", "evaluate")
_NAME = re.compile(r"[A-Za-z][\w-]*")
_REFERENCE = re.compile(rf"\{{({_NAME.pattern})\}}")
_REFERENCE_AS_PATH = re.compile(rf"\{{({_NAME.pattern})\}}(?:/|$)")


@dataclass(frozen=True)
class Stage:
    """One command of a pipeline.

    Parameters:
        name (`str`): Its folder below the pipeline's.
        command (`str`): The words after `r1-trl`.
        place (`str`): Where its settings stand, for messages.
        settings (`dict`): Of its config file and its arguments, which win. `{name}` stands for the folder of a stage.
        needs (`tuple[str, ...]`): The stages whose folders the settings name.
        accelerate_config (`Path`, *optional*): Runs under `accelerate launch` with this file.
    """

    name: str
    command: str
    place: str
    settings: dict[str, Any]
    needs: tuple[str, ...]
    accelerate_config: Path | None = None


def read_stages(
    path: Path,
    stages: Mapping[str, Any],
    output_dir: Path,
    evaluate: str | None = None,
    accelerate_config: str | None = None,
) -> list[Stage]:
    """The stages of a pipeline file in their order, each with its evaluation behind it.

    Args:
        path (`Path`): The file. Paths of config files are relative to its folder.
        stages (`Mapping`): Its `stages`.
        output_dir (`Path`): Holds the stages' folders.
        evaluate (`str`, *optional*): Config of the evaluation after each stage that writes a model.
        accelerate_config (`str`, *optional*): Of the training stages.

    Raises:
        InputError: A stage is not as it must be; the message names it.
    """
    refuse_duplicates(path)
    if not stages:
        raise InputError("`stages` is empty: name one, such as `cold_start: {command: sft, config: sft.yaml}`")
    found: list[Stage] = []
    for name, content in stages.items():
        place = f"{path}, stage `{name}`"
        _check_shape(name, content, place)
        own = {"evaluate": evaluate, "accelerate_config": accelerate_config, **content}
        launch = own["accelerate_config"] if content["command"] in TRAINING else None
        found.append(
            _read_stage(name, content, place, path.parent, found, output_dir, _existing(launch, path.parent, place))
        )
        if own["evaluate"] and content["command"] in WRITES_A_MODEL:
            evaluation = {"config": own["evaluate"], "arguments": {"model_name_or_path": f"{{{name}}}"}}
            content = {"command": "evaluate", **evaluation}
            found.append(_read_stage(f"{name}_evaluation", content, place, path.parent, found, output_dir, None))
    names = [stage.name for stage in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"{path}: stage `{twice}` has the name of another stage's evaluation: name it differently")
    return found


def replace_references(value: Any, output_dir: Path, names: Iterable[str]) -> Any:
    """Puts the folders of stages in the place of their names.

    >>> replace_references({"dataset_name": "{data}/sft.jsonl", "seed": 0}, Path("runs"), ["data"])
    {'dataset_name': 'runs/data/sft.jsonl', 'seed': 0}
    """
    known = set(names)

    def replace(text: str) -> str:
        return _REFERENCE.sub(lambda m: str(output_dir / m[1]) if m[1] in known else m[0], text)

    return _map_strings(value, replace)


def strings(value: Any) -> Iterator[str]:
    """All strings among the values of nested mappings and lists.

    >>> list(strings({"a": "x", "b": ["y", {"c": "z"}], "d": 1}))
    ['x', 'y', 'z']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def refuse_duplicates(path: Path) -> None:
    """YAML keeps the last of two equal keys; here a stage would be lost without a word.

    Raises:
        InputError: A key stands twice in one mapping.
    """
    nodes = [yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            for key, value in node.value:
                if keys.count(key.value) > 1:
                    raise InputError(f"{path}: `{key.value}` stands twice, again in line {key.start_mark.line + 1}")
                nodes.append(value)
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def _map_strings(value: Any, function: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return function(value)
    if isinstance(value, Mapping):
        return {key: _map_strings(item, function) for key, item in value.items()}
    return [_map_strings(item, function) for item in value] if isinstance(value, list) else value


def _check_shape(name: Any, content: Any, place: str) -> None:
    if not _NAME.fullmatch(str(name)):
        raise InputError(f"{place}: a name is letters, digits, `_` and `-`, and begins with a letter: it is a folder")
    if not isinstance(content, Mapping) or not isinstance(content.get("command"), str):
        raise InputError(f"{place}: must be a mapping with a `command`, such as `{{command: sft, config: sft.yaml}}`")
    for key in content:
        if key not in STAGE_KEYS:
            raise InputError(f"{place}: unknown key `{key}`{did_you_mean(str(key), STAGE_KEYS, quote='`')}")
    arguments = content.get("arguments")
    if arguments is not None and not isinstance(arguments, Mapping):
        raise InputError(f"{place}: `arguments: {arguments}` must be a mapping of settings")
    for key in OURS:
        if key in (arguments or {}):
            raise InputError(f"{place}: leave `{key}` out of `arguments`: the pipeline sets it")


def _read_stage(
    name: str,
    content: Mapping[str, Any],
    place: str,
    folder: Path,
    before: list[Stage],
    output_dir: Path,
    accelerate_config: Path | None,
) -> Stage:
    config = _existing(content.get("config"), folder, place)
    from_file = {} if config is None else read_yaml(str(config))
    arguments = dict(content.get("arguments") or {})
    settings = {key: value for key, value in {**from_file, **arguments}.items() if key not in OURS}
    names = [stage.name for stage in before]
    needs = _references(from_file, arguments, place, names)
    _refuse_folders(settings, output_dir, names, place)
    where = place if config is None else f"{place} ({config})"
    return Stage(name, content["command"], where, settings, needs, accelerate_config)


def _existing(value: Any, folder: Path, place: str) -> Path | None:
    if value is None or value is False:
        return None
    path = folder / str(value)
    if not path.is_file():
        raise InputError(f"{place}: `{value}`: no such file. Paths are relative to the folder of the pipeline file")
    return path


def _references(from_file: Any, arguments: Any, place: str, before: list[str]) -> tuple[str, ...]:
    """In a config file braces may be text, unless a path begins with them; in an argument they name a stage."""
    in_file = [name for text in strings(from_file) for name in _REFERENCE.findall(text) if name in before]
    in_file += [match[1] for match in map(_REFERENCE_AS_PATH.match, strings(from_file)) if match]
    names = [*in_file, *(name for text in strings(arguments) for name in _REFERENCE.findall(text))]
    for name in names:
        if name not in before:
            earlier = f"; the stages before it are {', '.join(before)}" if before else "; there is none before it"
            hint = did_you_mean(name, before, quote="`", otherwise=earlier)
            raise InputError(f"{place}: `{{{name}}}` is no stage before it{hint}")
    return tuple(dict.fromkeys(names))


def _refuse_folders(settings: Any, output_dir: Path, before: list[str], place: str) -> None:
    """A stage's folder as plain text would hide that one stage needs the other."""
    for text in strings(settings):
        for name in before:
            if "/" in text and Path(text).is_relative_to(output_dir / name):
                written = text.replace(str(output_dir / name), f"{{{name}}}", 1)
                raise InputError(f"{place}: `{text}` is in the folder of stage `{name}`: write `{written}`")
