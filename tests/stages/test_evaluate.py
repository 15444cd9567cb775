"""The judging of samples: columns of the dataset never stand in for results, and what the prompt opened counts."""

import json
import tracemalloc

import pandas as pd
import pytest
from datasets import Dataset
from transformers import AutoTokenizer, ViTConfig
from trl import ModelConfig

from r1_trl.sampling import Sample
from r1_trl.stages.evaluate import EvaluationConfig, score_samples, summarise
from r1_trl.stages.sampled_cost import model_size
from r1_trl.stages.sampling import think_opened

RIGHT = Sample("<think> add 3 gives 8 . </think> <answer> 8 </answer>", 12, False)
WRONG = Sample("<think> add 3 gives 9 . </think> <answer> 9 </answer>", 14, False)
CUT = Sample("<think> add 3 gives", 4, True)


def table_of(row, samples, opened=False):
    return score_samples(Dataset.from_list([row]), [samples], [opened], ["en", "zh"])


def test_defaults_are_the_papers():
    config = EvaluationConfig()
    assert (config.temperature, config.top_p, config.max_completion_length) == (0.6, 0.95, 32768)


def test_numbers_of_one_question():
    table = table_of({"prompt": "what is 5 + 3 ?", "solution": "8"}, [RIGHT, WRONG, WRONG, CUT])
    metrics = summarise(table)
    assert metrics["pass@1"] == 0.25
    assert metrics["cons@4"] == 0.0
    assert metrics["mean_completion_tokens"] == 11.0
    assert metrics["well_formed"] == 0.75
    assert metrics["truncated"] == 0.25
    assert metrics["language_consistency"] == 1.0


@pytest.mark.parametrize(("answer_tags", "expected"), [(True, [1.0, 0.0]), (False, [0.0, 1.0])])
def test_well_formed_is_with_answer_tags_or_without(answer_tags, expected):
    rows = Dataset.from_list([{"prompt": "what is 5 + 3 ?", "solution": "8"}])
    samples = [RIGHT, Sample("<think> add 3 gives 8 . </think> it is 8", 12, False)]
    table = score_samples(rows, [samples], [False], ["en"], answer_tags)
    assert list(table["well_formed"]) == expected
    assert list(table["correct"]) == [1.0, 1.0]


def test_columns_of_the_dataset_do_not_stand_in_for_results():
    row = {"prompt": "what is 5 + 3 ?", "solution": "8", "answer": "gold", "completion": "gold", "source": "mine"}
    table = table_of(row, [RIGHT, WRONG])
    assert list(table["answer"]) == ["8", "9"]
    assert list(table["completion"]) == [RIGHT.completion, WRONG.completion]
    assert list(table["row_answer"]) == ["gold", "gold"]
    assert list(table["source"]) == ["mine", "mine"]


def test_answers_share_the_arguments_of_their_question():
    """The tests of a program take megabytes; a copy for each of 64 answers would take what no laptop has."""
    args = json.dumps({"padding": "x" * 1_000_000})
    rows = Dataset.from_list([{"prompt": "5 + 3 ?", "solution": "8", "verifier": "exact", "verifier_args": args}])
    samples = [[RIGHT] * 40 + [WRONG] * 24]
    score_samples(rows, samples, [False], ["en"])  # starts the workers
    tracemalloc.start()
    table = score_samples(rows, samples, [False], ["en"])
    metrics = summarise(table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert metrics["cons@64"] == 1.0
    assert peak < 20 * len(args)
    assert len({id(value) for value in table["verifier_args"]}) == 1
    assert len({id(value) for value in table["prompt"]}) == 1


def test_ungradable_questions_are_counted_and_left_out():
    rows = [{"prompt": "p", "solution": "8"}, {"prompt": "p", "solution": "a poem"}]
    table = score_samples(Dataset.from_list(rows), [[RIGHT], [RIGHT]], [False, False], ["en"])
    metrics = summarise(table)
    assert (metrics["pass@1"], metrics["questions"], metrics["ungradable_questions"]) == (1.0, 1, 1)


@pytest.mark.parametrize(
    ("row", "template", "expected"),
    [
        ({}, None, False),
        ({}, "{{ messages[0]['content'] }} <think>", True),
        ({"think_opened": True}, None, True),
        ({"think_opened": False}, "{{ messages[0]['content'] }} <think>", False),
    ],
    ids=["neither", "by the template", "by the column", "the column wins"],
)
def test_who_opens_the_thinking(base_path, row, template, expected):
    tokenizer = AutoTokenizer.from_pretrained(base_path)
    tokenizer.chat_template = template or tokenizer.chat_template
    rows = Dataset.from_list([{"prompt": [{"role": "user", "content": "5 + 3"}], **row}])
    assert think_opened(rows, tokenizer) == [expected]


def test_weights_that_cannot_be_counted(tmp_path, base_path):
    assert model_size(str(base_path), ModelConfig()) > 0
    ViTConfig().save_pretrained(tmp_path)
    assert model_size(str(tmp_path), ModelConfig()) is None
    (tmp_path / "config.json").write_text('{"model_type": "of tomorrow"}')
    assert model_size(str(tmp_path), ModelConfig()) is None


def test_opened_thinking_reaches_the_judges():
    opened = Sample("add 3 gives 8 . </think> <answer> 8 </answer>", 9, False)
    row = {"prompt": "5 + 3 <think>", "solution": "8"}
    assert list(table_of(row, [opened], opened=True)["well_formed"]) == [1.0]
    assert list(table_of(row, [opened], opened=False)["well_formed"]) == [0.0]
    assert isinstance(table_of(row, [opened]), pd.DataFrame)
