"""The table at the end."""

from r1_trl.pipeline.report import format_results

TRAINING = {"seconds": 20.0, "metrics": {"train_loss": 0.4}}
EVALUATION = {"seconds": 5.0, "metrics": {"pass@1": 0.25, "cons@4": 0.5, "well_formed": 1.0}}


def test_stages_without_an_evaluation():
    stages = {"sft": TRAINING, "sft_evaluation": EVALUATION, "data": {"seconds": 1.0, "metrics": {}}}
    assert format_results({"seconds": 26.0, "stages": stages}).splitlines() == [
        "stage  seconds  evaluation  pass@1  cons@4  well_formed",
        "sft       20.0         5.0   0.250   0.500        1.000",
        "data       1.0",
        "26.0 seconds in all",
    ]


def test_no_evaluation_at_all():
    lines = format_results({"seconds": 1.0, "stages": {"data": {"seconds": 1.0, "metrics": {}}}}).splitlines()
    assert lines == ["stage  seconds", "data       1.0", "1.0 seconds in all"]


def test_a_stage_that_is_only_named_like_an_evaluation():
    lines = format_results({"seconds": 5.0, "stages": {"my_evaluation": EVALUATION}}).splitlines()
    assert lines[1].split() == ["my_evaluation", "5.0"]
