"""The notebook runs from its first cell to its last, and what it shows is what the run measured."""

import json
import re
import tomllib
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "notebooks" / "miniature.ipynb"
SHORT = {"RUN": "runs/short", "SFT_STEPS": 2, "GRPO_STEPS": 2, "NUM_QUESTIONS": 8}
EXTRAS = re.compile(r"\[([\w, -]+)\]")


def read_notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def assigned(source):
    return {line.partition(" = ")[0] for line in source.splitlines()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the notebook is run: outside the repository, as in Colab."""
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def executed(folder):
    """The cells after a short run, by their ids."""
    notebook = read_notebook()
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert assigned(parameters.source) == set(SHORT)
    parameters.source = "\n".join(f"{name} = {value!r}" for name, value in SHORT.items())
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return {cell.id: cell for cell in notebook.cells}


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def shown(cell, kind):
    (data,) = [output.data for output in cell.outputs if output.output_type == "execute_result"]
    return data[kind]


def metrics(folder, stage):
    return json.loads((folder / SHORT["RUN"] / f"{stage}_evaluation" / "stage.json").read_text())["metrics"]


def test_committed_without_outputs():
    notebook = read_notebook()
    nbformat.validate(notebook)
    assert not [cell.id for cell in code_cells(notebook) if cell.outputs or cell.execution_count is not None]


def test_first_cell_installs_what_is_there():
    source = code_cells(read_notebook())[0].source
    (install,) = [line for line in source.splitlines() if "%pip install" in line]
    assert "--constraint {clone}/constraints.txt {clone.resolve()}" in install  # pip takes a bare name for a package
    assert 'Path("../..")' in source
    assert (NOTEBOOK.parent / "../.." / "constraints.txt").is_file()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [name.strip() for group in EXTRAS.findall(install) for name in group.split(",")]
    assert set(named) <= set(extras)


def test_every_cell_ran(executed):
    code = code_cells(nbformat.from_dict({"cells": list(executed.values())}))
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not printed(executed["install"]), "installed already, so that nothing is installed"
    assert "learning_rate: 4.0e-4" in printed(executed["recipe"])


@pytest.mark.parametrize(("stage", "steps"), [("cold_start", SHORT["SFT_STEPS"]), ("grpo", SHORT["GRPO_STEPS"])])
def test_stages_took_the_parameters(executed, folder, stage, steps):
    state = json.loads((folder / SHORT["RUN"] / stage / "trainer_state.json").read_text())
    assert state["global_step"] == steps
    assert metrics(folder, stage)["questions"] == SHORT["NUM_QUESTIONS"]


def test_curves(executed):
    assert shown(executed["curves"], "image/png").startswith("iVBOR")  # the signature of a PNG file in base64


@pytest.mark.parametrize(("name", "stage"), [("cold start", "cold_start"), ("GRPO", "grpo")])
def test_pass_at_1_is_that_of_the_samples(executed, folder, name, stage):
    samples = pd.read_parquet(folder / SHORT["RUN"] / f"{stage}_evaluation" / "samples.parquet")
    share = samples["correct"].mean()
    assert metrics(folder, stage)["pass@1"] == pytest.approx(share, abs=1e-4)
    assert re.search(rf"^pass@1 of {name}: {share:.3f}, 95% interval", printed(executed["change"]), re.MULTILINE)
    assert f"{share:.3f}</td>" in shown(executed["change"], "text/html")


def test_answers_of_both_languages_before_and_after(executed, folder):
    html = shown(executed["answers"], "text/html")
    assert html.count("&lt;/think&gt;") == 12  # six questions, escaped so that a browser shows the tags
    for stage in ("cold_start", "grpo"):
        samples = pd.read_parquet(folder / SHORT["RUN"] / f"{stage}_evaluation" / "samples.parquet")
        first = samples.groupby("question").first()
        escaped = first["completion"].str.replace("<", "&lt;").str.replace(">", "&gt;")
        found = first[[answer in html for answer in escaped]]
        assert set(found["language"]) == {"en", "zh"}


def test_ends_with_a_report(executed, folder):
    assert "report.html" in printed(executed["report"])
    assert (folder / SHORT["RUN"] / "report.html").is_file()
