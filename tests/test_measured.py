"""The figures of the READMEs are those that were measured, and they keep what the recipe promises."""

import importlib.util
import json

import pytest

from r1_trl.recipe_catalog import recipes_folder
from tests.learning import assert_learned

RECIPE = recipes_folder() / "miniature_cpu"


@pytest.fixture(scope="module")
def measured():
    return json.loads((RECIPE / "measured.json").read_text())


@pytest.fixture(scope="module")
def measure():
    spec = importlib.util.spec_from_file_location("measure", RECIPE / "measure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("table", ["seeds_table", "ablations_table"])
def test_readme_shows_what_was_measured(measured, measure, table):
    assert getattr(measure, table)(measured) in (RECIPE / "README.md").read_text()


def test_front_page_shows_what_was_measured(measured, measure):
    assert measure.seeds_table(measured) in (recipes_folder().parent / "README.md").read_text()


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_every_seed_learns(measured, seed):
    assert_learned(measured["seeds"][seed])
