"""Every recipe parses, and can be listed and copied."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from trl.scripts.vllm_serve import ScriptArguments as ServerArguments

from r1_trl.cli import main
from r1_trl.recipe_catalog import copy_recipe, recipes_folder
from tests.recipes.folders import CONFIGS, command_of, name, settings
from tests.stage_parsers import PARSERS

ACCELERATE = sorted((recipes_folder() / "accelerate").glob("*.yaml"))
SLURM = sorted((recipes_folder() / "slurm").glob("*.sbatch"))
READMES = sorted(recipes_folder().glob("*/README.md"))


def test_there_are_recipes():
    assert len(CONFIGS) >= 90


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_recipe_parses_by_the_command_in_its_header(path):
    parsed = PARSERS[command_of(path)]().parse(["--config", str(path)])
    values = {name: value for part in parsed for name, value in vars(part).items()}
    for key, value in settings(path).items():
        if isinstance(value, int | str) and key not in ("eval_strategy", "save_strategy", "report_to"):
            assert str(getattr(values[key], "value", values[key])).strip("[]'") == str(value), key


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_header_gives_the_command(path):
    """Of the file itself; where it has the places of other stages in it, of its stage in the pipeline."""
    text = path.read_text()
    in_a_pipeline = re.search(r'"\{\w+\}', text) and path.name != "pipeline.yaml"
    file = f"{path.parent.name}/{'pipeline.yaml' if in_a_pipeline else path.name}"
    only = r" --only \w+$" if in_a_pipeline else ""
    assert re.search(rf"^#   .*--config recipes/{re.escape(file)}{only}", text, re.MULTILINE)


@pytest.mark.parametrize("path", ACCELERATE, ids=lambda path: path.name)
def test_accelerate_configuration(path):
    config = load_config_from_file(str(path))
    assert config.num_processes % config.num_machines == 0
    assert f"--config_file recipes/accelerate/{path.name} -m r1_trl" in path.read_text()
    assert f"`{path.name}`" in (path.parent / "README.md").read_text()


@pytest.mark.parametrize("path", SLURM, ids=lambda path: path.name)
def test_batch_script(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text()
    assert f"`{path.name}`" in (path.parent / "README.md").read_text()
    assert all(file.exists() for file in map(recipes_folder().parent.joinpath, _recipes_in(text)))
    known = {flag for action in launch_command_parser()._actions for flag in action.option_strings}
    known |= {f"--{field}" for field in ServerArguments.__dataclass_fields__}
    known |= {flag for action in PARSERS["grpo"]()._actions for flag in action.option_strings}
    code = [line for line in text.splitlines() if not re.search(r"^#|srun --|ray start", line)]
    flags = {word for line in code for word in line.split() if word.startswith("--")}
    assert flags <= known | {"--signal"}, flags - known


def _recipes_in(text):
    return set(re.findall(r"recipes/[\w./]+\.\w+", text))


def test_list(capsys):
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert {path.parent.name for path in READMES} == {line.split()[0] for line in listed.splitlines() if "  " in line}


def test_a_copied_pipeline_finds_its_accelerate_configuration(tmp_path, capsys):
    assert main(["recipes", "copy", "miniature_cpu", str(tmp_path / "mine")]) == 0
    assert main(["pipeline", "--config", str(tmp_path / "mine" / "pipeline.yaml"), "--dry_run"]) == 0
    assert "never run" in capsys.readouterr().out


def test_copy(tmp_path, capsys):
    assert main(["recipes", "copy", "miniature_cpu", str(tmp_path / "mine")]) == 0
    original = (recipes_folder() / "miniature_cpu/grpo.yaml").read_text()
    copied = original.replace("recipes/miniature_cpu", f"{tmp_path}/mine")
    assert (tmp_path / "mine" / "grpo.yaml").read_text() == copied
    assert str(tmp_path / "mine" / "README.md") in capsys.readouterr().out
    assert main(["recipes", "copy", "miniature_cpu", str(tmp_path / "mine")]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["recipes", "copy", "miniature_gpu", str(tmp_path / "other")]) == 2
    assert "miniature_cpu" in capsys.readouterr().err


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.parent.name)
def test_a_copy_names_its_own_folder_and_works_without_a_clone(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copied = copy_recipe(path.parent.name, Path("mine"))
    texts = {file: file.read_text() for file in copied.rglob("*") if file.suffix in (".yaml", ".sbatch", ".md")}
    for file, text in texts.items():
        assert "recipes/accelerate/" not in text
        assert file.parent != copied or f"recipes/{path.parent.name}/" not in text
        assert all(Path(named).exists() for named in re.findall(r"mine/[\w./]+\.\w+", text)), file
    assert any("mine/" in text for text in texts.values())


def test_command_is_on_the_path():
    assert shutil.which("r1-trl", path=str(sys.prefix) + "/bin")
