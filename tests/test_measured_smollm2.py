"""SmolLM2 on two cores: what was measured learns, is no slower than by `trl grpo`, and is what the README says."""

import json

import pytest

from r1_trl.recipe_catalog import recipes_folder
from tests.scripts import load_script

RECIPE = recipes_folder() / "smollm2_135m_cpu"


@pytest.fixture(scope="module")
def results():
    return json.loads((RECIPE / "results.json").read_text())


@pytest.fixture(scope="module")
def measure():
    return load_script(RECIPE / "measure.py")


@pytest.mark.parametrize("table", ["learning_table", "trl_table"])
def test_readme_shows_what_was_measured(results, measure, table):
    assert getattr(measure, table)(results) in (RECIPE / "README.md").read_text()


def test_readme_tells_the_measured_cost(results):
    seed = results["seeds"]["0"]
    grpo, trl, qlora = (seed[name] for name in ("grpo", "trl_grpo", "grpo_qlora"))
    peaks = [found["cold_start"]["peak_memory_mb"] for found in results["seeds"].values()]
    told = (
        f"{max(peaks) / 1000:.1f} GB in the cold start, {grpo['peak_memory_mb'] / 1000:.1f} GB in GRPO",
        f"{grpo['skipped_completions']:.0%} of them",
        f"the {trl['steps_that_skip_nothing']} steps that skip none",
        f"({trl['ratio_of_steps_that_skip_nothing']:.2f} ×)",
        f"within {trl['largest_difference_of_a_weight']:.1e}".replace("e-0", "e-"),
        f"took {grpo['evaluation']['seconds']:.0f} and {trl['evaluation']['seconds']:.0f} s",
        f"takes {qlora['seconds_per_step']:.1f} s, and the peak is {qlora['peak_memory_mb'] / 1000:.1f} GB",
    )
    text = " ".join((RECIPE / "README.md").read_text().split())
    assert trl["same_lengths_and_rewards_at_each_step"]
    assert [words for words in told if words not in text] == []


def test_grpo_raises_pass_at_1_by_far_more_than_chance(results):
    assert set(results["seeds"]) == {"0", "1"}
    for seed in results["seeds"].values():
        before, after = (seed[stage]["evaluation"] for stage in ("cold_start", "grpo"))
        assert after["pass@1"] - before["pass@1"] >= 0.15
        assert before["pass@1_ci95"][1] < after["pass@1_ci95"][0]
        assert before["questions"] == after["questions"] >= 256
        assert before["num_generations"] == after["num_generations"] == 4


def test_qlora_learns_too_from_a_start_in_4_bits(results):
    qlora = results["seeds"]["0"]["grpo_qlora"]
    assert qlora["start"]["pass@1_ci95"][1] < qlora["evaluation"]["pass@1_ci95"][0]
    assert qlora["start"]["questions"] == qlora["evaluation"]["questions"] >= 256


def test_everything_fits_its_time(results, measure):
    assert max(map(measure.minutes, results["seeds"].values())) <= 75


def test_no_worse_than_trl_on_any_count(results):
    ours, theirs = (results["seeds"]["0"][name] for name in ("grpo", "trl_grpo"))
    assert ours["seconds_per_step"] <= theirs["seconds_per_step"]
    assert ours["peak_memory_mb"] <= theirs["peak_memory_mb"]
    assert ours["evaluation"]["pass@1_ci95"][1] >= theirs["evaluation"]["pass@1"]


def test_answers_from_before_and_after_are_kept():
    answers = [json.loads(line) for line in (RECIPE / "answers.jsonl").read_text().splitlines()]
    assert len(answers) == 20
    assert {answer["stage"] for answer in answers} == {"cold_start_evaluation", "grpo_evaluation"}
