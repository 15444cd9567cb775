"""The tables of the whole recipe are those that were measured, and they keep what it promises."""

import json

import pytest

from r1_trl.recipe_catalog import recipes_folder
from tests.scripts import load_script

RECIPE = recipes_folder() / "miniature_cpu"


@pytest.fixture(scope="module")
def pipeline():
    return json.loads((RECIPE / "measured_pipeline.json").read_text())


@pytest.mark.parametrize("table", ["stages_table", "language_table", "student_table"])
def test_readme_shows_what_was_measured_of_the_pipeline(pipeline, table):
    assert getattr(load_script(RECIPE / "measure_pipeline.py"), table)(pipeline) in (RECIPE / "README.md").read_text()


def test_the_helpful_reward_is_hacked_in_one_seed(pipeline):
    """As in the paper's B.5: rewarded more and more, fewer requests are done as asked."""
    asked = {
        seed: [found["evaluations"][stage]["requests"]["pass@1"] for stage in ("dev3", "r1")]
        for seed, found in pipeline["seeds"].items()
    }
    assert [seed for seed, (before, after) in asked.items() if after < before - 0.2] == ["2"]


def test_the_pipeline_keeps_its_promises(pipeline):
    assert pipeline["pipeline_seconds"][0] <= 900  # the other seeds ran beside other work
    for seed in pipeline["seeds"].values():
        scores = {
            stage: {source: part["pass@1"] for source, part in found.items()}
            for stage, found in seed["evaluations"].items()
        }
        assert scores["dev2"]["questions"] > scores["dev1"]["questions"] + 0.5  # reinforcement learning
        assert scores["dev3"]["requests"] > scores["dev2"]["requests"] + 0.2  # general data
        assert scores["r1"]["harmful"] > scores["dev3"]["harmful"] + 0.2  # the safety reward
