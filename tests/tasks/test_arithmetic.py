"""The embedded task: right sums, no leak between splits, and words that the tokenizer knows."""

import itertools
import random

import pytest
from transformers import AutoTokenizer

from r1_trl.rewards import accuracy_reward, format_reward, language_consistency_reward
from r1_trl.tasks.arithmetic import (
    MAX_PARTIAL_SUM,
    cold_start_rows,
    draw_sums,
    pretraining_rows,
    question_rows,
    reasoning_text,
)
from r1_trl.tasks.embedded import COLD_START_ROWS, QUESTIONS
from r1_trl.tasks.sources import load_split


def expressions(texts):
    """Every sum that occurs as a question in the texts, from its words alone."""
    found = set()
    for text in texts:
        for words in text.replace("？", "?").split("?")[:1]:
            terms = [word for word in words.split() if word.isdigit() or word in "+-"]
            found.add(" ".join(terms))
    return found


@pytest.fixture(scope="module")
def held_out():
    return expressions(row["prompt"][0]["content"] for row in question_rows("test", QUESTIONS["test"]))


def test_held_out_questions_are_many_and_distinct(held_out):
    assert len(held_out) == QUESTIONS["test"] >= 512


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(lambda: (row["prompt"][0]["content"] for row in load_split("miniature:questions")), id="grpo"),
        pytest.param(
            lambda: (row["prompt"][0]["content"] for row in load_split("miniature:questions", "validation")),
            id="valid",
        ),
        pytest.param(
            lambda: (row["prompt"][0]["content"] for row in cold_start_rows(COLD_START_ROWS)), id="cold start"
        ),
        pytest.param(lambda: (row["text"] for row in load_split("miniature:pretraining")), id="pretraining"),
    ],
)
def test_held_out_questions_occur_in_no_training_set(held_out, texts):
    trained_on = expressions(texts())
    assert trained_on
    assert not trained_on & held_out


def test_validation_questions_occur_in_no_training_set():
    validation = expressions(row["prompt"][0]["content"] for row in load_split("miniature:questions", "validation"))
    trained_on = expressions(row["text"] for row in load_split("miniature:pretraining"))
    assert not trained_on & validation


def test_sums_are_right():
    for drawn in itertools.islice(draw_sums("train", seed=3, terms=(2, 6)), 500):
        assert eval(drawn.expression) == drawn.total
        assert all(0 <= partial <= MAX_PARTIAL_SUM for partial in itertools.accumulate(drawn.terms))


def test_every_step_of_a_worked_answer_is_right():
    for drawn in itertools.islice(draw_sums("test", seed=4), 100):
        numbers = [int(word) for word in reasoning_text(drawn, "mixed", random.Random(0)).split() if word.isdigit()]
        partials = list(itertools.accumulate(drawn.terms))
        assert numbers[0] == partials[0]
        assert numbers[1::2] == [abs(term) for term in drawn.terms[1:]]
        assert numbers[2::2] == partials[1:]


def test_the_same_seed_draws_the_same_rows_and_another_seed_others():
    assert cold_start_rows(20, seed=1) == cold_start_rows(20, seed=1) != cold_start_rows(20, seed=2)
    assert question_rows("train", 20, seed=1) != question_rows("train", 20, seed=2)


def test_cold_start_is_well_formed_mostly_wrong_and_in_any_language():
    """What GRPO has to mend: guesses made at once, and a language that does not follow the question."""
    rows = cold_start_rows(1000)
    completions, prompts = [row["completion"] for row in rows], [row["prompt"] for row in rows]
    assert set(format_reward(completions, prompts=prompts)) == {1.0}
    golds = [str(eval(next(iter(expressions([prompt[0]["content"]]))))) for prompt in prompts]
    right = accuracy_reward(completions, golds)
    language = language_consistency_reward(completions, prompts=prompts)
    worked = [len(completion[0]["content"].split()) > 8 for completion in completions]
    assert 0.1 < sum(worked) / len(worked) < 0.2
    assert all(score == 1.0 for score, is_worked in zip(right, worked, strict=True) if is_worked)
    assert sum(right) / len(right) < 0.3
    assert 0.05 < sum(language) / len(language) < 0.15


def test_tokenizer_knows_every_word(base_path):
    tokenizer = AutoTokenizer.from_pretrained(base_path)
    texts = [row["text"] for row in pretraining_rows(2000)]
    texts += [
        tokenizer.apply_chat_template(row["prompt"] + row["completion"], tokenize=False)
        for row in cold_start_rows(500)
    ]
    assert not any(tokenizer.unk_token_id in ids for ids in tokenizer(texts)["input_ids"])
    text = "<think> 从 5 开始 。 add 3 gives 8 . </think> <answer> 8 </answer>"
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
