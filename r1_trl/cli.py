"""The command line: each command is one stage or one small tool, loaded only when it is called."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from typing import NamedTuple

from r1_trl import __version__
from r1_trl.errors import InputError
from r1_trl.stages.config_flag import COMMAND_LINE, split_config_flag


class Command(NamedTuple):
    module: str  # has `main(argv: list[str]) -> None`
    summary: str


STAGES = {
    "sft": Command("r1_trl.stages.sft", "supervised fine-tuning: cold start, SFT, distillation"),
    "grpo": Command("r1_trl.stages.grpo", "reinforcement learning with R1's rewards"),
    "rejection-sample": Command("r1_trl.stages.rejection_sampling", "many answers a question, the good ones as rows"),
    "reward-model": Command("r1_trl.stages.reward_model", "the helpful and the safety reward model"),
    "evaluate": Command("r1_trl.stages.evaluate", "pass@1, cons@k, length, format and language on held-out questions"),
}
TOOLS = {
    "compare": Command("r1_trl.stages.compare", "two evaluations: which is better, by how much, and is it chance"),
    "report": Command("r1_trl.report.command", "one HTML file that shows what a run did, or several side by side"),
    "cost": Command("r1_trl.stages.cost", "what a run has cost by stage, and would with another model or card"),
    "verify": Command("r1_trl.stages.verify", "run each row's gold through its own verifier, before a run"),
    "data": Command("r1_trl.stages.data_tools", "tools for rows: decontaminate, judge-pairs"),
    "doctor": Command("r1_trl.doctor.command", "what will go wrong with a recipe on a device, before anything loads"),
    "pipeline": Command("r1_trl.pipeline.command", "stages in a row, resumable: the whole recipe by one command"),
    "quickstart": Command("r1_trl.quickstart", "the miniature: cold start, GRPO and both evaluations, on two cores"),
    "merge": Command("r1_trl.stages.merge", "write the whole 16-bit model of an adapter and its base"),
    "recipes": Command("r1_trl.recipe_catalog", "list the recipes, or copy one to edit"),
}


def usage() -> str:
    """The text of `r1-trl --help`."""

    def rows(commands: dict[str, Command]) -> str:
        return "\n".join(f"  {name:<18}{command.summary}" for name, command in commands.items())

    return f"""r1-trl {__version__}: the DeepSeek-R1 recipe on small hardware, on top of Hugging Face TRL

usage: r1-trl COMMAND [--config FILE.yaml] [--any_trl_flag VALUE ...]

stages, in the order of the recipe:
{rows(STAGES)}

tools:
{rows(TOOLS)}

examples:
  r1-trl quickstart
  r1-trl grpo --config recipes/miniature_cpu/grpo.yaml --learning_rate 1e-4
  accelerate launch --num_processes 2 -m r1_trl grpo --config recipes/miniature_cpu/grpo.yaml

`r1-trl COMMAND --help` lists a command's settings. The documentation is in docs/ of the repository"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv (`Sequence[str]`, *optional*): The words after `r1-trl`. Defaults to those of the process.

    Returns:
        `int`: The exit code: 0, or 2 for bad input, which is told in one message on standard error. `verify` exits
        with 1 when a gold fails, `doctor` when it finds an error.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    commands = {**STAGES, **TOOLS}
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if words[0] in ("-V", "--version"):
        print(__version__)
        return 0
    # On CPUs with AVX-512 bitsandbytes warns at import that an optional kernel of the Hub is absent.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    try:
        if words[0] not in commands:
            raise InputError(f"unknown command `{words[0]}`: it is one of {', '.join(commands)}")
        importlib.import_module(commands[words[0]].module).main(words[1:])
    except InputError as error:
        message = " ".join(str(error).split())
        print(f"{_place(words, commands, message)}: {message}", file=sys.stderr)
        return 2
    return 0


def _place(words: list[str], commands: dict[str, Command], message: str) -> str:
    # Every message names the config file that the bad input came from, unless it already does.
    if words[0] not in commands:
        return "r1-trl"
    flat = split_config_flag(words)
    config = flat[flat.index("--config") + 1] if "--config" in flat[:-1] else ""
    nested = words[0] == "data" and len(words) > 1 and not words[1].startswith("-")
    command = " ".join(words[: 1 + nested])
    named = not config or config in message or message.startswith(COMMAND_LINE)
    return f"r1-trl {command}" if named else f"r1-trl {command} --config {config}"
