"""Which questions of two evaluations are the same."""

import pandas as pd
import pytest

from r1_trl.errors import InputError
from r1_trl.evaluation.matching import Evaluation, match_questions, per_question, sampled_differently
from r1_trl.prompts import base_prompt, chat_prompt


def table_of(*questions):
    """Samples of questions: (prompt, solution, verdicts)."""
    return pd.DataFrame(
        [
            {"question": number, "prompt": prompt, "solution": solution, "correct": correct}
            for number, (prompt, solution, verdicts) in enumerate(questions)
            for correct in verdicts
        ]
    )


def evaluation(tmp_path, *questions, **arguments):
    return Evaluation(tmp_path, {"arguments": arguments}, per_question(table_of(*questions)))


def test_the_prompts_template_does_not_count(tmp_path):
    a = evaluation(tmp_path, (base_prompt("1 + 1?"), "2", [1.0]), (base_prompt("1 + 2?"), "3", [0.0, 1.0]))
    b = evaluation(tmp_path, (chat_prompt("1 + 2?"), "3", [1.0] * 4), (chat_prompt("1 + 1?"), "2", [0.0] * 4))
    matched, left_out = match_questions(a, b, common_only=False)
    assert list(matched["question"]) == ["1 + 1?", "1 + 2?"]
    assert list(matched["score_a"]) == [1.0, 0.5]
    assert list(matched["score_b"]) == [0.0, 1.0]
    assert list(matched["samples_b"]) == [4, 4]
    assert not any(left_out.values())


def test_the_gold_counts_and_so_does_how_often_a_question_is_asked(tmp_path):
    a = evaluation(tmp_path, ("q", "2", [1.0]), ("q", "2", [0.0]), ("q", "3", [1.0]))
    b = evaluation(tmp_path, ("q", "2", [1.0]), ("q", "4", [1.0]))
    with pytest.raises(InputError, match=r"2 are only in the first, 1 only in the second.*--common_only"):
        match_questions(a, b, common_only=False)
    matched, left_out = match_questions(a, b, common_only=True)
    assert (len(matched), left_out) == (1, {"only in A": 2, "only in B": 1, "not gradable": 0})


def test_what_cannot_be_graded_in_one_of_them_is_left_out(tmp_path):
    a = evaluation(tmp_path, ("p", "2", [1.0, None]), ("q", "3", [1.0, 0.0]))
    b = evaluation(tmp_path, ("p", "2", [1.0, 1.0]), ("q", "3", [1.0, 1.0]))
    matched, left_out = match_questions(a, b, common_only=False)
    assert (list(matched["question"]), left_out["not gradable"]) == (["q"], 1)


def test_right_is_what_has_full_marks(tmp_path):
    questions = evaluation(tmp_path, ("p", "2", [1.0, 0.5, 0.5, 0.0])).questions
    assert questions[["score", "mean_score", "right"]].values.tolist() == [[0.25, 0.5, 1]]


def test_nothing_in_common(tmp_path):
    a, b = evaluation(tmp_path, ("p", "2", [None])), evaluation(tmp_path, ("p", "2", [1.0]))
    with pytest.raises(InputError, match="no question in common that can be graded"):
        match_questions(a, b, common_only=False)
    with pytest.raises(InputError, match="no question in common that can be graded"):
        match_questions(a, evaluation(tmp_path, ("other", "2", [1.0])), common_only=True)


def test_settings_of_the_sampling_that_differ(tmp_path):
    a = evaluation(tmp_path, ("p", "2", [1.0]), temperature=0.6, top_p=0.95, num_generations=8)
    b = evaluation(tmp_path, ("p", "2", [1.0]), temperature=1.0, top_p=0.95, num_generations=16)
    assert sampled_differently(a, b) == ["temperature: 0.6, 1.0"]
