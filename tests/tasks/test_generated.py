"""reasoning-gym as a source: reproducible rows, and splits that share no question whatever the seeds."""

import itertools

import pytest

from r1_trl.errors import InputError
from r1_trl.tasks.questions import question_of
from r1_trl.tasks.sources import load_split


def questions(split, **options):
    return {question_of(row) for row in load_split("reasoning_gym:gcd", split, reasoning_gym=options)}


def test_splits_share_no_question():
    small = {"min_value": 1, "max_value": 12, "size": 300}  # questions that come again with every seed
    train = questions("train", **small) | questions("train", seed=9, **small)
    test = questions("test", **{**small, "size": 20}) | questions("test", seed=5, **{**small, "size": 20})
    assert train
    assert test
    assert not train & test


def test_rows_are_reproducible_and_follow_the_options():
    options = {"size": 5, "seed": 3, "min_terms": 2, "max_terms": 2}
    rows = load_split("reasoning_gym:chain_sum", reasoning_gym=options)
    assert rows[:] == load_split("reasoning_gym:chain_sum", reasoning_gym=options)[:]
    assert rows[:] != load_split("reasoning_gym:chain_sum", reasoning_gym={**options, "seed": 99})[:]
    assert len(rows) == 5
    assert all(len(row["prompt"][0]["content"].split(": ")[1].split()) == 4 for row in rows)


def test_a_stream_makes_rows_as_they_are_needed():
    stream = load_split("reasoning_gym:chain_sum", streaming=True, reasoning_gym={"size": 10**6})
    few = list(itertools.islice(stream, 3))
    assert few == list(load_split("reasoning_gym:chain_sum", reasoning_gym={"size": 3}))


@pytest.mark.parametrize(
    ("name", "split", "options", "words"),
    [
        ("reasoning_gym:chainsum", "train", None, ["'chainsum'", "did you mean 'chain_sum'"]),
        ("reasoning_gym:chain_sum", "train", {"min_term": 2}, ["'min_term'", "did you mean 'min_terms'"]),
        ("reasoning_gym:chain_sum", "train", {"min_terms": -1}, ["not valid"]),
        ("reasoning_gym:chain_sum", "validation", None, ["`validation`", "train, test"]),
        ("reasoning_gym:chain_sum", "train", {"size": "many"}, ["`size: many`", "from 1 on"]),
        ("reasoning_gym:chain_sum", "train", {"seed": -1}, ["`seed: -1`", "from 0 on"]),
        ("miniature:questions", "train", {"size": 3}, ["`reasoning_gym:TASK`", "`miniature:questions`"]),
    ],
    ids=str,
)
def test_refused(name, split, options, words):
    with pytest.raises(InputError) as error:
        load_split(name, split, reasoning_gym=options)
    assert [word for word in words if word not in str(error.value)] == []


def test_a_task_with_too_few_questions():
    """Of four questions, none is in the tenth that is held out."""
    options = {"size": 3, "min_value": 5, "max_value": 6, "min_numbers": 2, "max_numbers": 2}
    assert questions("train", **options)
    with pytest.raises(InputError, match="has 0 questions in `test` among 150: lower `size`"):
        questions("test", **options)
