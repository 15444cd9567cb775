"""From the command line and a YAML file to dataclasses, by TRL's parser. Bad input ends here, in one message."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

import yaml
from trl import TrlParser

from r1_trl.errors import InputError, did_you_mean
from r1_trl.stages.config_flag import COMMAND_LINE, split_config_flag
from r1_trl.stages.help import format_stage_help


class StageParser(TrlParser):
    """[`~trl.TrlParser`] whose refusals are single messages that name the file, the key and the remedy.

    Args:
        command (`str`): The command's name, for the help.
        summary (`str`): What the command does, in one sentence, for the help.
        dataclass_types (`Sequence[type]`): The dataclasses to fill, ours first.

    >>> from trl import ModelConfig
    >>> parser = StageParser("sft", "Fine-tunes.", [ModelConfig])
    >>> parser.parse(["--lora_r", "16"])[0].lora_r
    16
    >>> parser.parse(["--lora_rank", "16"])
    Traceback (most recent call last):
    r1_trl.errors.InputError: command line: unknown flag `--lora_rank`; did you mean `--lora_r`? See `r1-trl sft \
--help`
    """

    def __init__(self, command: str, summary: str, dataclass_types: Sequence[Any]) -> None:
        super().__init__(dataclass_types, prog=f"r1-trl {command}", allow_abbrev=False)
        self.summary = summary

    def format_help(self) -> str:
        return format_stage_help(self)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{COMMAND_LINE}: {message}. See `{self.prog} --help`")

    def parse(self, argv: Iterable[str]) -> tuple[Any, ...]:
        """Parses the words after the command's name.

        Args:
            argv (`Iterable[str]`): Flags, among them `--config FILE` at most once.

        Returns:
            `tuple`: One instance for each dataclass.

        Raises:
            InputError: A file, key, flag or value is refused.
        """
        words = split_config_flag(argv)
        place = COMMAND_LINE
        if "--config" in words:
            place = _config_path(words)
            self._check_config(place)
        try:
            return self.parse_args_and_config(words)
        except ValueError as error:
            raise self._explain(error, words, place) from error

    def _check_config(self, path: str) -> None:
        hints = {name: hint for cls in self.dataclass_types for name, hint in get_type_hints(cls).items()}
        keys = {action.dest for action in self._actions}
        for key, value in read_yaml(path).items():
            if key == "env":
                continue
            if key not in keys:
                raise InputError(
                    f"{path}: unknown key `{key}`{did_you_mean(str(key), keys, quote='`')} See `{self.prog} --help`"
                )
            hint = hints.get(key, Any)
            if not _fits(value, hint):
                raise InputError(f"{path}: `{key}: {value}` must be {_name(hint)}. See `{self.prog} --help`")

    def _explain(self, error: ValueError, words: list[str], place: str) -> InputError:
        if isinstance(error, InputError):
            placed = place == COMMAND_LINE or str(error).startswith(COMMAND_LINE)
            return error if placed else InputError(f"{place}: {error}")
        known = [option for action in self._actions for option in action.option_strings]
        for word in words:
            if word.startswith("--") and word.split("=", 1)[0] not in known and word != "--config":
                hint = f"{did_you_mean(word, known, quote='`')} See `{self.prog} --help`"
                return InputError(f"{COMMAND_LINE}: unknown flag `{word}`{hint}")
        return InputError(f"{place}: {error}")


def read_yaml(path: str) -> dict[str, Any]:
    """Reads a YAML mapping.

    Raises:
        InputError: The file is missing, is no YAML, or holds no mapping.

    >>> read_yaml("nowhere.yaml")
    Traceback (most recent call last):
    r1_trl.errors.InputError: --config nowhere.yaml: no such file. `r1-trl recipes` lists those that come with r1-trl
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "`r1-trl recipes` lists those that come with r1-trl"
        raise InputError(f"--config {path}: no such file. {hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--config {path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold `key: value` lines, not {type(content).__name__}")
    return content


def arguments_as_dict(*arguments: Any) -> dict[str, Any]:
    """The settings of several dataclasses in one dictionary, for a record of the run.

    >>> from trl import ModelConfig
    >>> arguments_as_dict(ModelConfig(lora_r=8))["lora_r"]
    8
    """
    merged: dict[str, Any] = {}
    for argument in arguments:
        values = argument.to_dict() if hasattr(argument, "to_dict") else dataclasses.asdict(argument)
        merged.update(values)
    return merged


def _config_path(words: list[str]) -> str:
    index = words.index("--config") + 1
    if index == len(words):
        raise InputError("--config needs the path of a YAML file")
    if "--config" in words[index:]:
        raise InputError("--config is given twice: keep one file and set the rest by flags")
    return words[index]


def _fits(value: Any, hint: Any) -> bool:
    """Whether a YAML value is of a field's type. argparse converts strings alone, so others would pass it unseen."""
    origin = get_origin(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if hint is None or hint is NoneType:
        return value is None
    if origin is list or hint is list:
        (element,) = get_args(hint) or (Any,)
        return isinstance(value, list) and all(_fits(item, element) for item in value)
    if origin is dict or hint is dict:
        return isinstance(value, dict)
    if dataclasses.is_dataclass(hint):
        names = {field.name for field in dataclasses.fields(hint)}
        return isinstance(value, dict) and value.keys() <= names
    if hint is bool:
        return isinstance(value, bool) or str(value).lower() in ("true", "false", "yes", "no", "0", "1")
    if hint in (int, float):
        return not isinstance(value, bool) and _is_number(value, hint)
    return isinstance(value, str) if hint is str or isinstance(hint, type) else True


def _is_number(value: Any, hint: type) -> bool:
    try:
        number = float(value)
        return hint is float or number == int(value)
    except (TypeError, ValueError):
        return False


def _name(hint: Any) -> str:
    options = [option for option in get_args(hint) if option is not NoneType]
    if get_origin(hint) is list:
        return f"list of {_name(options[0])}"
    if options and get_origin(hint) is not dict:
        return " or ".join(map(_name, options))
    return str(getattr(hint, "__name__", hint))
