"""The parser of every command that takes a recipe, by its name."""

import importlib

from r1_trl.cli import STAGES, TOOLS

PARSERS = {
    name: importlib.import_module(command.module).make_parser
    for name, command in {**STAGES, **{tool: TOOLS[tool] for tool in ("verify", "doctor")}}.items()
}
