"""Artifacts and their lineage, read back from offline runs."""

import pandas as pd

from r1_trl.cli import main
from r1_trl.stages.record import write_stage_record
from r1_trl.tracking.wandb import log_evaluation, open_wandb_run
from r1_trl.tracking.wandb_artifacts import log_artifact, log_lineage, use_artifact
from tests.tracking.offline_run import read_offline


def write_adapter(folder):
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_text("weights")
    (folder / "trainer_state.json").write_text("{}")
    (folder / "checkpoint-1").mkdir()


def manifest(artifact):
    return {entry.path: entry.digest for entry in artifact.manifest.contents}


def test_a_stage_names_its_input_and_its_output(tmp_path, offline):
    first, second = tmp_path / "cold_start", tmp_path / "rl"
    rows = tmp_path / "samples" / "sft.jsonl"
    rows.parent.mkdir()
    rows.write_text("{}\n")
    with open_wandb_run(rows.parent, "rejection-sample", ["wandb"]):
        log_artifact(rows)
    write_adapter(first)
    with open_wandb_run(first, "sft", ["wandb"]):
        log_lineage({"model_name_or_path": "Qwen/Qwen2.5-1.5B", "dataset_name": str(rows)}, first)
    (first / "stage.json").write_text("{}")  # what is written later is no part of the model
    write_adapter(second)
    with open_wandb_run(second, "grpo", ["wandb"]):
        mixture = [{"path": str(rows)}, {"path": "org/dataset"}]
        log_lineage({"model_name_or_path": str(first), "datasets": mixture}, second)

    made, trained, reinforced = (read_offline(folder) for folder in (rows.parent, first, second))
    assert made.artifacts_of("dataset") == [("samples-sft.jsonl", False)]
    name = f"{tmp_path.name}-cold_start"
    assert trained.artifacts_of("dataset") == [("samples-sft.jsonl", True)]  # True: used
    assert trained.artifacts_of("adapter") == [(name, False)]
    assert reinforced.artifacts_of("dataset") == [("samples-sft.jsonl", True)]
    assert reinforced.artifacts_of("adapter") == [(name, True), (f"{tmp_path.name}-rl", False)]

    logged = next(a for a in trained.artifacts if a.type == "adapter")
    used = next(a for a in reinforced.artifacts if a.type == "adapter")
    assert logged.digest == used.digest  # one version of one artifact
    assert manifest(logged) == manifest(used)
    assert manifest(logged).keys() == {"adapter_config.json", "adapter_model.safetensors"}


def test_a_name_and_a_type_of_one_s_own(tmp_path, offline):
    page = tmp_path / "my report.html"
    page.write_text("<html></html>")
    with open_wandb_run(tmp_path, "report", ["wandb"]):
        log_artifact(page, "my report", "report")
    assert read_offline(tmp_path).artifacts_of("report") == [("my-report", False)]


def test_a_report_is_logged_when_asked_for(tmp_path, offline):
    write_stage_record(str(tmp_path / "run" / "sft"), "sft", {"seed": 0}, {}, {}, 1.0)
    assert main(["report", str(tmp_path / "run"), "--log_artifacts"]) == 0
    assert read_offline(tmp_path / "run").artifacts_of("report") == [("run-report.html", False)]


def test_an_evaluation_names_its_inputs(tmp_path, offline):
    write_adapter(tmp_path / "adapter")
    with open_wandb_run(tmp_path / "adapter", "sft", ["wandb"]):
        log_artifact(tmp_path / "adapter", "my-adapter")
    inputs = [str(tmp_path / "adapter"), "org/dataset"]
    log_evaluation(tmp_path / "evaluation", "evaluate", {}, pd.DataFrame({"answer": ["4"]}), ["wandb"], inputs=inputs)
    assert read_offline(tmp_path / "evaluation").artifacts_of("adapter") == [("my-adapter", True)]


def test_an_artifact_that_is_refused_is_told(tmp_path, offline, caplog):
    write_adapter(tmp_path / "adapter")
    with open_wandb_run(tmp_path / "adapter", "sft", ["wandb"]):
        log_artifact(tmp_path / "adapter", "x" * 200)
    assert "as an artifact: Artifact name is longer than 128 characters" in caplog.text
    assert not (tmp_path / "adapter" / "wandb" / "artifacts.json").exists()


def test_a_stage_whose_artifact_fails_has_ended(tmp_path, words, offline, caplog):
    (tmp_path / "run" / "wandb" / "artifacts.json").mkdir(parents=True)  # nothing can be noted there
    assert main([*words, "--max_steps", "1", "--log_artifacts", "true"]) == 0
    assert (tmp_path / "run" / "stage.json").is_file()
    assert "as an artifact: " in caplog.text


def test_without_a_run_nothing_happens(tmp_path):
    write_adapter(tmp_path / "adapter")
    log_artifact(tmp_path / "adapter")
    use_artifact(tmp_path / "adapter")
    assert not (tmp_path / "adapter" / "wandb").exists()
