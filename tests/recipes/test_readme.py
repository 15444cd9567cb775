"""The READMEs of the recipes: every folder is listed, and their figures are those of the evidence."""

import json
import re

import pytest

from r1_trl.recipe_catalog import list_recipes
from tests.recipes.folders import CONFIGS, ON_A_CARD, ROOT, name, settings
from tests.recipes.hub import SCHEMAS
from tests.recipes.memory import RECORD
from tests.recipes.test_datasets import is_of_the_hub, sources
from tests.recipes.tokens import FILES, SECONDS, generated, table

ROW = re.compile(r"^\| `(grpo\w*\.yaml)` \| ([\d.]+) \| ([\d.]+|-) \| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE)
MEASURED = ("miniature_cpu", "smollm2_135m_cpu")
FOR_A_GPU = [path for path in CONFIGS if path.parent.name not in (*MEASURED, "deepseek_r1_paper")]
WITHOUT_A_MODEL = ("accelerate", "slurm")
NOT_MEASURED = sorted(
    path for path in ROOT.glob("*/README.md") if path.parent.name not in (*MEASURED, *WITHOUT_A_MODEL)
)


def test_table_lists_every_recipe_and_no_other():
    table = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[([\w.]+)\]\(([\w.]+)/README\.md\)", table, re.MULTILINE)
    assert all(name == folder for name, folder in listed)
    names = [name for name, _ in listed]
    assert len(names) == len(set(names))
    folders = {path.parent.name for kind in ("yaml", "sbatch") for path in ROOT.rglob(f"*.{kind}")}
    assert set(names) == set(list_recipes()) == folders


@pytest.mark.parametrize("recipe", MEASURED)
def test_a_measured_recipe_says_what_it_takes_and_links_its_evidence(recipe):
    text = (ROOT / recipe / "README.md").read_text(encoding="utf-8")
    head = text.split("##")[0]
    assert [
        row for row in ("command", "hardware", "time", "memory", "before, after") if f"| {row} |" not in head
    ] == []
    [evidence] = re.findall(r"before, after \|.*\((\w+\.json)\)", head)
    assert (ROOT / recipe / evidence).is_file()
    assert "not run on a GPU" in head


@pytest.mark.parametrize("path", FOR_A_GPU, ids=name)
def test_a_file_for_a_gpu_says_that_none_ran_it(path):
    assert "\n# Not run on a GPU.\n" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOT_MEASURED, ids=lambda path: path.parent.name)
def test_readme_starts_with_a_summary_and_says_what_is_not_measured(path):
    text = path.read_text(encoding="utf-8")
    assert list_recipes()[path.parent.name].endswith(".")
    assert re.search(r"before, after \| not measured", text)
    assert re.search(r"not run( on a GPU|, here)", text)
    assert all(file.name in text for file in path.parent.glob("*.yaml"))


@pytest.mark.parametrize("folder", ON_A_CARD, ids=lambda folder: folder.name)
def test_memory_in_the_readme_is_the_doctors(folder):
    phases = ("rollout", "rewards", "update", "card")
    shown = {
        file: {phase: float(gb) for phase, gb in zip(phases, row, strict=True) if gb != "-"}
        for file, *row in ROW.findall((folder / "README.md").read_text(encoding="utf-8"))
    }
    kept = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    assert shown == {file: entry["phases_gb"] | {"card": entry["card_gb"]} for file, entry in kept.items()}


@pytest.mark.parametrize("path", NOT_MEASURED, ids=lambda path: path.parent.name)
def test_readme_names_every_model_and_dataset_with_its_licence(path):
    text = path.read_text(encoding="utf-8")
    files = [settings(config) for config in CONFIGS if config.parent == path.parent]
    for source in {source for content in files for source in sources(content) if is_of_the_hub(source)}:
        assert f"`{source}`" in text
        assert re.split("[:;]| on ", SCHEMAS[source]["licence"])[0] in text, source
    models = {content["model_name_or_path"] for content in files if "model_name_or_path" in content}
    for model in (model for model in models if not model.startswith("runs/")):
        licence = r"(Apache|MIT|Licen[cs]e|Community|Research)"
        assert re.search(rf"^\| `{model}` \|.*\|.*{licence}", text, re.MULTILINE), model


@pytest.mark.parametrize("folder", ON_A_CARD, ids=lambda folder: folder.name)
def test_tokens_in_the_readme_are_those_of_the_settings_and_no_stage_takes_days(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert table(folder) in text
    assert f"{SECONDS[folder.name]} seconds for one token" in text
    assert all(generated(folder, stage).hours < 24 for stage in FILES)
    stages = settings(folder / "pipeline.yaml")["stages"]
    sampling = {stage for stage, content in stages.items() if content["command"] in ("grpo", "rejection-sample")}
    assert set(FILES) == sampling | {"…_evaluation"}
    assert "UltraFeedback and BeaverTails are not searched" in text


@pytest.mark.parametrize("size", ["1.5b", "7b"])
def test_tokens_of_distillations_evaluation(size):
    folder = ROOT / f"distill_qwen2.5_math_{size}"
    text = (folder / "README.md").read_text(encoding="utf-8")
    for stage, questions in (("math", 500), ("aime", 30)):
        answers = settings(folder / f"evaluate_{stage}.yaml")["num_generations"]
        millions = questions * answers * 32768 / 1e6
        assert f"| `{stage}` | {questions} questions × {answers} answers × 32,768 | {millions:.1f} million |" in text


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.parent.name == "deepseek_r1_paper"])
def test_the_papers_files_say_that_deepseek_v3_does_not_train_here(path):
    content, text = settings(path), path.read_text(encoding="utf-8")
    trained = "per_device_train_batch_size" in content and "Qwen" not in content["model_name_or_path"]
    assert trained == ("the command does not run as it stands" in text)
    if content.get("use_vllm"):
        nodes, server = re.search(r"SERVER_NODES=(\d+) .*--nodes (\d+)", text).groups()[::-1]
        assert int(nodes) - int(server) == 64
        assert "CONFIG=recipes/accelerate/zero3_multi_node.yaml" in text
        assert "vllm_server.sbatch" in text
