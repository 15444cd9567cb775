"""Every pipeline of the recipes can be planned without a network, and its stages can start."""

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from r1_trl.cli import main
from r1_trl.pipeline.check import Question, check_stage
from r1_trl.pipeline.definition import read_stages, replace_references
from tests.recipes.folders import ON_A_CARD, ROOT, name, of_command, settings

PIPELINES = of_command("pipeline")
DATA = {"questions", "chains", "reasoning_data", "general_data"}
STAGES = DATA | {"cold_start", "rl_1", "sft", "helpful", "safety", "rl_2"}


def stages_of(path, output_dir):
    content = settings(path)
    return read_stages(path, content["stages"], output_dir, content.get("evaluate"), content.get("accelerate_config"))


@pytest.mark.parametrize("path", PIPELINES, ids=name)
def test_every_stage_parses_and_finds_what_it_names(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = tmp_path / "runs" / "smollm2_135m_cpu" / "cold_start.jsonl"  # of a script of that recipe
    rows.parent.mkdir(parents=True)
    rows.write_text('{"prompt": "1 + 1", "completion": "2"}\n')
    stages = stages_of(path, tmp_path)
    names = [stage.name for stage in stages]
    for stage in stages:
        launch = None if stage.accelerate_config is None else str(stage.accelerate_config)
        made = [str(tmp_path / needed) for needed in stage.needs]
        values = replace_references(stage.settings, tmp_path, names)
        assert "{" not in str([value for value in values.values() if isinstance(value, str)])
        check_stage(Question(stage.command, stage.place, values, launch, made))


@pytest.mark.parametrize("folder", ON_A_CARD, ids=lambda folder: folder.name)
def test_a_recipe_for_one_card_has_all_stages_of_the_paper(folder, tmp_path):
    stages = {stage.name: stage for stage in stages_of(folder / "pipeline.yaml", tmp_path)}
    assert set(stages) >= STAGES
    assert stages["rl_1"].needs == ("cold_start", "questions")
    assert set(stages["rl_2"].needs) == {"questions", "helpful", "safety", "sft"}
    assert stages["sft"].settings["model_name_or_path"] == stages["cold_start"].settings["model_name_or_path"]
    for stage, content in settings(folder / "pipeline.yaml")["stages"].items():  # alone, it writes the same folder
        assert settings(folder / content["config"])["output_dir"] == f"runs/{folder.name}/{stage}"


@pytest.mark.parametrize(("size", "gpus"), [("1.5b", 1), ("7b", 8)])
def test_distillation_starts_as_many_processes_as_its_readme_has_gpus(size, gpus, tmp_path):
    folder = ROOT / f"distill_qwen2.5_math_{size}"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert f"| hardware | {'one GPU' if gpus == 1 else f'{gpus} GPUs'} of 80 GB" in readme
    assert "deepspeed" in readme
    launch = stages_of(folder / "pipeline.yaml", tmp_path)[0].accelerate_config
    assert (1 if launch is None else load_config_from_file(str(launch)).num_processes) == gpus
    text = (folder / "distillation.yaml").read_text(encoding="utf-8")
    assert ("pip install deepspeed" in text) == ("accelerate launch" in text) == (gpus > 1)


def test_dry_run_by_the_command(capsys):
    path = ON_A_CARD[0] / "pipeline.yaml"
    assert main(["pipeline", "--config", str(path), "--dry_run"]) == 0
    planned = {line.split()[0] for line in capsys.readouterr().out.splitlines()[1:] if line}
    assert planned >= STAGES
