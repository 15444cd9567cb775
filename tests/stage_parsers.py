"""The parser of every command that takes a recipe, by its name."""

import importlib

from r1_trl.cli import STAGES, TOOLS
from r1_trl.stages.data_tools import TOOLS as DATA_TOOLS

_MODULES = {name: command.module for name, command in STAGES.items()}
_MODULES |= {name: TOOLS[name].module for name in ("verify", "doctor", "pipeline")}
_MODULES |= {f"data {name}": command.module for name, command in DATA_TOOLS.items()}
PARSERS = {name: importlib.import_module(module).make_parser for name, module in _MODULES.items()}
