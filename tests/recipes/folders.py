"""The recipes for real models: their files, by command, and the hardware in their names."""

import re
from pathlib import Path

from r1_trl.recipe_catalog import recipes_folder
from r1_trl.stages.arguments import read_yaml
from tests.stage_parsers import PARSERS

ROOT = recipes_folder()
CARDS = {"t4_16gb": "t4", "16gb": "16GB", "24gb": "24GB"}
_CARD = re.compile(r"_(t4_16gb|\d+gb)$")
CONFIGS = sorted(path for path in ROOT.rglob("*.yaml") if path.parent.name != "accelerate")
FOLDERS = sorted({path.parent for path in CONFIGS})


def command_of(path: Path) -> str:
    """The command in the header of a recipe's file, of one or two words; of a pipeline's stage, that of the stage."""
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for line in header:
        if stage := re.search(r"--only (\w+)$", line):
            content = read_yaml(str(path.with_name("pipeline.yaml")))["stages"][stage[1]]
            assert content["config"] == path.name
            return content["command"]
        words = re.findall(r"[\w-]+", line.split("r1-trl ", 1)[1]) if "r1-trl " in line else []
        for name in (" ".join(words[:2]), " ".join(words[:1])):
            if name in PARSERS:
                return name
    raise AssertionError(f"{path}: the header names no command")


def card_of(folder: Path) -> str | None:
    """The card in a folder's name, as `r1-trl doctor --gpu` takes it.

    >>> card_of(Path("qwen2.5_0.5b_t4_16gb")), card_of(Path("qwen3_4b_lora_24gb")), card_of(Path("deepseek_r1_paper"))
    ('t4', '24GB', None)
    """
    found = _CARD.search(folder.name)
    return CARDS[found[1]] if found else None


def of_command(*commands: str) -> list[Path]:
    """The files of these commands."""
    return [path for path in CONFIGS if command_of(path) in commands]


def name(path: Path) -> str:
    """What a test calls a file."""
    return f"{path.parent.name}/{path.name}"


def settings(path: Path) -> dict:
    """The keys of a recipe's file."""
    return read_yaml(str(path))


ON_A_CARD = [folder for folder in FOLDERS if card_of(folder)]
GRPO_ON_A_CARD = [path for path in of_command("grpo") if card_of(path.parent)]
