"""Every recipe parses, and can be listed and copied."""

import shutil
import sys

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from r1_trl.cli import main
from r1_trl.recipe_catalog import recipes_folder
from r1_trl.stages.arguments import read_yaml
from tests.stage_parsers import PARSERS

ACCELERATE = sorted((recipes_folder() / "accelerate").glob("*.yaml"))
CONFIGS = sorted(set(recipes_folder().rglob("*.yaml")) - set(ACCELERATE))


def command(path):
    """The stage in the launch command of the file's header."""
    header = [line for line in path.read_text().splitlines() if line.startswith("#") and "r1-trl " in line]
    return next(word for word in header[0].split("r1-trl ")[1].split() if word in PARSERS)


def test_there_are_recipes():
    assert len(CONFIGS) >= 4


@pytest.mark.parametrize("path", CONFIGS, ids=[f"{path.parent.name}/{path.name}" for path in CONFIGS])
def test_recipe_parses_by_the_command_in_its_header(path):
    parsed = PARSERS[command(path)]().parse(["--config", str(path)])
    values = {name: value for part in parsed for name, value in vars(part).items()}
    for key, value in read_yaml(str(path)).items():
        if isinstance(value, int | str) and key not in ("eval_strategy", "save_strategy", "report_to"):
            assert str(getattr(values[key], "value", values[key])).strip("[]'") == str(value), key


@pytest.mark.parametrize("path", ACCELERATE, ids=lambda path: path.name)
def test_accelerate_configuration(path):
    config = load_config_from_file(str(path))
    assert config.num_processes % config.num_machines == 0
    assert f"--config_file recipes/accelerate/{path.name} -m r1_trl" in path.read_text()
    assert f"`{path.name}`" in (path.parent / "README.md").read_text()


def test_list(capsys):
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert {path.parent.name for path in CONFIGS + ACCELERATE} == {
        line.split()[0] for line in listed.splitlines() if "  " in line
    }


def test_copy(tmp_path, capsys):
    assert main(["recipes", "copy", "miniature_cpu", str(tmp_path / "mine")]) == 0
    assert (tmp_path / "mine" / "grpo.yaml").read_text() == (recipes_folder() / "miniature_cpu/grpo.yaml").read_text()
    assert main(["recipes", "copy", "miniature_cpu", str(tmp_path / "mine")]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["recipes", "copy", "miniature_gpu", str(tmp_path / "other")]) == 2
    assert "miniature_cpu" in capsys.readouterr().err


def test_command_is_on_the_path():
    assert shutil.which("r1-trl", path=str(sys.prefix) + "/bin")
