"""The figures of the READMEs are those that were measured, and they keep what the recipe promises."""

import json

import pytest

from r1_trl.recipe_catalog import recipes_folder
from tests.learning import assert_learned
from tests.scripts import load_script

RECIPE = recipes_folder() / "miniature_cpu"


@pytest.fixture(scope="module")
def measured():
    return json.loads((RECIPE / "measured.json").read_text())


@pytest.fixture(scope="module")
def measure():
    return load_script(RECIPE / "measure.py")


@pytest.mark.parametrize("table", ["seeds_table", "ablations_table"])
def test_readme_shows_what_was_measured(measured, measure, table):
    assert getattr(measure, table)(measured) in (RECIPE / "README.md").read_text()


def test_front_page_shows_what_was_measured(measured, measure):
    assert measure.seeds_table(measured) in (recipes_folder().parent / "README.md").read_text()


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_every_seed_learns(measured, seed):
    assert_learned(measured["seeds"][seed])


def test_a_step_is_faster_than_trls_and_needs_no_more_memory():
    measured = json.loads((recipes_folder().parent / "tests" / "benchmarks" / "grpo_step.json").read_text())
    first = measured["settings"][0]["ratios"]
    assert min(first["policy_update_seconds"], first["step_seconds"]) >= measured["least_ratio"] == 2.5
    assert min(setting["ratios"]["peak_memory_mb"] for setting in measured["settings"]) >= 1
