"""Which stages a headline compares."""

import json

import pytest

from r1_trl.report.road import before_and_after, evaluations, last_evaluation, main_road, shared_questions
from r1_trl.tracking.run_folder import read_run
from tests.report.runs import write_evaluation, write_run, write_stage


def chain(folder, **models):
    """Stages by name, each with the folder or model that it starts from; all are evaluated."""
    for name, model in models.items():
        path = str(folder / model) if model in models else model
        write_stage(folder / name, "grpo", arguments={"output_dir": str(folder / name), "nested": [{"path": path}]})
        write_evaluation(folder / f"{name}_evaluation", name, 0.5)
    order = {name: {} for stage in models for name in (stage, f"{stage}_evaluation")}
    (folder / "pipeline.json").write_text(json.dumps({"stages": order}))
    return read_run(folder)


@pytest.mark.parametrize(
    ("models", "road"),
    [
        ({"a": "base", "b": "a", "c": "b"}, ["a", "b", "c"]),
        ({"a": "base", "b": "a", "c": "b", "zero": "base"}, ["a", "b", "c"]),  # a branch that ran last
        ({"a": "base", "left": "a", "right": "a"}, ["a", "right"]),  # of two as long, the later end
        ({"a": "base", "ab": "base"}, ["ab"]),  # a name that begins another
    ],
)
def test_the_longest_row_of_stages(tmp_path, models, road):
    assert main_road(chain(tmp_path, **models)) == road


def test_a_branch_is_not_the_end_of_the_road(tmp_path):
    run = chain(tmp_path, a="base", b="a", zero="base")
    assert [evaluation.of for evaluation in before_and_after(run)] == ["a", "b"]


def test_stages_that_do_not_build_on_one_another(tmp_path):
    run = chain(tmp_path, a="base", b="base")
    assert [evaluation.of for evaluation in before_and_after(run)] == ["a", "b"]


@pytest.mark.parametrize(
    ("measured", "pair"),
    [
        # (name, model, questions)
        ([("math", "m", "math"), ("aime", "m", "aime")], []),  # two benchmarks of one model
        ([("a", "m", "math"), ("b", "n", "aime")], []),
        ([("a", "m", "math"), ("again", "m", "math")], []),  # one model, asked twice
        ([("a", None, "math"), ("b", "n", "math")], []),  # nobody knows whether the model is another
        ([("a", "m", None), ("b", "n", None)], []),
        ([("a", "m", "math"), ("b", "m", "aime"), ("c", "n", "math"), ("d", "n", "aime")], ["a", "c"]),
        ([("a", "m", "math"), ("b", "n", "math"), ("c", "o", "math")], ["a", "c"]),
    ],
)
def test_only_different_models_on_the_same_questions_are_before_and_after(tmp_path, measured, pair):
    for name, model, questions in measured:
        write_evaluation(tmp_path / name, model, 0.5, questions, arguments={})
        if questions is None or model is None:
            record = json.loads((tmp_path / name / "stage.json").read_text())
            record["inputs"] = {"model": model and {"name": model}, "questions": questions and {"name": questions}}
            (tmp_path / name / "stage.json").write_text(json.dumps(record))
    (tmp_path / "pipeline.json").write_text(json.dumps({"stages": {name: {} for name, _, _ in measured}}))
    assert [evaluation.of for evaluation in before_and_after(read_run(tmp_path))] == pair


def test_the_questions_that_most_runs_share(tmp_path):
    for run, asked in (("x", ("math", "aime")), ("y", ("aime",)), ("z", ("other",))):
        for questions in asked:
            write_evaluation(tmp_path / run / questions, "m", 0.5, questions)
    runs = [read_run(tmp_path / name) for name in "xyz"]
    assert shared_questions(runs) == "aime"
    assert shared_questions([runs[0], runs[2]]) is None


def test_a_run_that_was_moved_keeps_its_road(tmp_path):
    write_run(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    assert main_road(read_run(tmp_path / "new")) == ["cold_start", "grpo"]


def test_an_evaluation_alone(tmp_path):
    write_evaluation(tmp_path / "mine", "a", 0.5)
    run = read_run(tmp_path / "mine")
    assert list(evaluations(run)) == ["mine"]
    assert before_and_after(run) == []
    assert last_evaluation(run).of == "mine"
