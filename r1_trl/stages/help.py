"""`r1-trl STAGE --help`: our settings first, TRL's next, and those of transformers by name alone."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import shutil
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from r1_trl.stages.arguments import StageParser

NAME_WIDTH = 34


def format_stage_help(parser: StageParser) -> str:
    """The whole help of one stage.

    Args:
        parser ([`~stages.arguments.StageParser`]): Knows the command, its summary and its dataclasses.

    Returns:
        `str`: A heading, an example, then one group of settings for each class that declares some.
    """
    width = min(shutil.get_terminal_size((110, 24)).columns, 120)
    lines = [
        f"{parser.prog}: {parser.summary}",
        "",
        f"usage: {parser.prog} --config FILE.yaml [--flag VALUE ...]",
        "",
        *_row("--config FILE", "YAML file with the settings below as keys; flags override it", width),
    ]
    for title, actions in _groups(parser).items():
        lines += ["", title]
        if title.startswith("transformers."):
            names = "  ".join(action.dest for action in actions)
            lines += textwrap.wrap(names, width, initial_indent="  ", subsequent_indent="  ")
        else:
            for action in actions:
                lines += _row(f"--{action.dest} {_value_name(action)}", _explanation(action), width)
    return "\n".join(lines) + "\n"


def _groups(parser: StageParser) -> dict[str, list[argparse.Action]]:
    actions: dict[str, argparse.Action] = {}
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            actions.setdefault(action.dest, action)
    groups: dict[str, list[argparse.Action]] = {}
    for dataclass_type in parser.dataclass_types:
        for field in dataclasses.fields(dataclass_type):
            owner = _owner(dataclass_type, field.name)
            groups.setdefault(_title(owner), []).append(actions[field.name])
    return dict(sorted(groups.items(), key=lambda item: _rank(item[0])))


def _owner(dataclass_type: type, name: str) -> type:
    # A field belongs to us when we set its default, otherwise to the class that introduced it.
    declaring = [cls for cls in dataclass_type.__mro__ if name in inspect.get_annotations(cls)]
    return declaring[0] if declaring[0].__module__.startswith("r1_trl") else declaring[-1]


def _title(owner: type) -> str:
    library = owner.__module__.split(".")[0]
    if library == "transformers":
        return "transformers.TrainingArguments (explained in the documentation of transformers)"
    return f"{library}.{owner.__name__}"


def _rank(title: str) -> int:
    return ["r1_trl", "trl", "transformers"].index(title.split(".")[0])


def _value_name(action: argparse.Action) -> str:
    name = getattr(action.type, "__name__", "str")
    return {"string_to_bool": "BOOL", "parse": "VALUE"}.get(name, name.upper())


def _explanation(action: argparse.Action) -> str:
    text = " ".join((action.help or "").replace("%%", "%").split())
    first_sentence = re.split(r"(?<=[a-z`)\]])\.\s+(?=[A-Z])", text, maxsplit=1)[0].rstrip(".")
    return f"{first_sentence} (default: {action.default})"


def _row(name: str, explanation: str, width: int) -> list[str]:
    indent = " " * (NAME_WIDTH + 2)
    wrapped = textwrap.wrap(explanation, width, initial_indent=indent, subsequent_indent=indent)
    if len(name) > NAME_WIDTH - 2:
        return [f"  {name}", *wrapped]
    return [f"  {name:<{NAME_WIDTH}}{wrapped[0].strip()}", *wrapped[1:]]
