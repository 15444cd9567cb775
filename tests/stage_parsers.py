"""The parser of every stage, by its command."""

import importlib

from r1_trl.cli import STAGES

PARSERS = {stage: importlib.import_module(command.module).make_parser for stage, command in STAGES.items()}
