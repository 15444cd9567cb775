"""The accuracy reward. What is equal: verifiers/test_math.py; here, what is graded and how rows go wrong."""

from __future__ import annotations

import logging
import pickle

import pytest
from datasets import Dataset
from trl.rewards import accuracy_reward as trl_accuracy_reward

from r1_trl.errors import InputError
from r1_trl.rewards import AccuracyReward, accuracy, accuracy_reward


def message(text):
    return [{"role": "assistant", "content": text}]


def answering(text):
    return f"<think>r</think><answer>{text}</answer>"


@pytest.fixture(autouse=True)
def _forget_warnings():
    accuracy._warned.clear()


@pytest.mark.parametrize(
    ("completion", "expected", "reason"),
    [
        (answering("4"), 1.0, "right"),
        (answering("5"), 0.0, "wrong"),
        (message(answering("4")), 1.0, "messages"),
        ("<think>r</think> so \\boxed{4}", 1.0, "malformed, but the answer is plain: the format reward says the rest"),
        ("<think>\\boxed{4}</think><answer>5</answer>", 0.0, "a box inside the reasoning earns nothing"),
        ("<think>\\boxed{4}</think>", 0.0, "nor does it without an answer"),
        ("<think>so it is 4", 0.0, "cut off while thinking"),
        (answering("4") + "<answer>5</answer>", 0.0, "two answers"),
        ("<think>r</think><answer>4", 0.0, "may be cut off"),
        (answering("4 or 5"), 0.0, "a list of candidates"),
        (answering("\\boxed{4} or \\boxed{5}"), 0.0, "two boxes"),
        ("", 0.0, "nothing"),
    ],
)
def test_final_answer_only(completion, expected, reason):
    assert accuracy_reward([completion], solution=["4"]) == [expected], reason


def test_think_opened_by_column_or_prompt():
    text = "it is 4"  # reasoning, if the block is open
    assert accuracy_reward([text], ["4"]) == [1.0]
    assert accuracy_reward([text], ["4"], think_opened=[True]) == [0.0]
    assert accuracy_reward([text], ["4"], prompts=["q <think>"]) == [0.0]
    assert accuracy_reward([text], ["4"], prompts=["q <think>"], think_opened=[False]) == [1.0]


def test_mixed_rows_and_what_is_logged(caplog):
    completions = [answering("4"), answering("B"), answering("5"), answering("6"), "<think>cut", "<think>cut"]
    solution = ["4", "B", None, "6", "7", "B"]
    args = [None, None, None, "{not json", None, None]
    extra, metrics = {}, {}
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            scores = accuracy_reward(
                completions,
                solution,
                verifier=["math", None, "math", "", "math", "math"],
                verifier_args=args,
                log_extra=extra.__setitem__,
                log_metric=metrics.__setitem__,
                completion_ids=[[1]] * 6,
            )
    # A gold that cannot be graded is None without an answer too, so that the whole group leaves together.
    assert scores == [1.0, None, None, None, 0.0, None]
    reasons = extra.pop("verdict")
    assert reasons[3].startswith("verifier_args is no JSON")
    ungradable = "the solution cannot be graded"
    assert reasons[:3] + reasons[4:] == ["right", ungradable, "no solution", "no answer", ungradable]
    assert extra == {"solution": solution, "answer_parsed": ["4", "B", "5", "6", "[no answer]", "[no answer]"]}
    assert 0 < metrics.pop("accuracy/seconds") < 1
    assert metrics == {
        "accuracy/graded": pytest.approx(2 / 6),
        "accuracy/ungradable": pytest.approx(4 / 6),
        "accuracy/timed_out": 0.0,
        "accuracy/died": 0.0,
        "accuracy/cache_hits": pytest.approx(5 / 6),  # all but the row without a solution
    }
    assert len(caplog.records) == 3  # one a kind, not one a row


def test_one_batch_mixes_every_kind_of_answer():
    rows = [
        ("4", "4", None, None),
        ("(B)", "B", "choice", None),
        ("It is Paris.", "B", "choice", '{"options": ["London", "Paris"]}'),
        ("to be", "To be.", "exact", None),
        ("print(input()[::-1])", "x", "code", '{"tests": [{"input": "abc", "output": "cba"}]}'),
        ("print(input())", "x", "code", '{"tests": [{"input": "abc", "output": "cba"}]}'),
    ]
    answers, golds, verifiers, args = (list(column) for column in zip(*rows, strict=True))
    completions = [answering(answer) for answer in answers]
    extra = {}
    assert accuracy_reward(completions, golds, verifiers, args, log_extra=extra.__setitem__) == [1.0] * 5 + [0.0]
    assert extra["verdict"][-1] == "test 1 of 1: line 1 of its output is 'abc' instead of 'cba'"


def test_an_overdue_answer_is_counted():
    metrics = {}
    reward = AccuracyReward(workers=1, deadline=1.0)
    texts = [answering("9^{9^{9^{9}}}"), answering("4")]
    assert reward(texts, ["4", "4"], log_metric=metrics.__setitem__) == [0.0, 1.0]
    assert metrics["accuracy/timed_out"] == 0.5
    assert metrics["accuracy/graded"] == 1.0


def test_settings_are_its_own_and_survive_a_pickle():
    reward = pickle.loads(pickle.dumps(AccuracyReward(workers=1, deadline=2.0, memory_mb=1024)))
    assert (reward.workers, reward.deadline, reward.memory_mb, reward.__name__) == (1, 2.0, 1024, "accuracy_reward")
    for wrong in ({"workers": 0}, {"deadline": 0}, {"deadline": float("nan")}, {"memory_mb": 100}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            AccuracyReward(**wrong)


def test_scalars_serve_all_rows():
    assert accuracy_reward([answering("4")] * 2, ["4", "5"], verifier="math", verifier_args="{}") == [1.0, 0.0]
    assert accuracy_reward([answering("4")], ["4"], verifier_args=["[1]"]) == [None]  # JSON, but no object


def test_columns_of_a_dataset_are_lists():
    rows = Dataset.from_dict({"solution": ["4", "B"], "verifier": ["math", "choice"]})
    completions = [answering("4"), answering("B")]
    assert accuracy_reward(completions, rows["solution"], rows["verifier"]) == [1.0, 1.0]


def test_verifier_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "reward_verifiers.py").write_text(
        "def close(answer, solution, args):\n"
        "    return abs(float(answer or 'nan') - float(solution)) < args['within']\n"
    )
    monkeypatch.chdir(tmp_path)
    completions, args = [answering("4.1"), "<think>cut"], '{"within": 0.5}'
    assert accuracy_reward(completions, ["4", "4"], "reward_verifiers.close", args) == [1.0, 0.0]


def test_an_unknown_verifier_stops_the_run():
    with pytest.raises(InputError, match="no verifier 'maths'"):
        accuracy_reward([answering("4")], ["4"], verifier=["maths"])


@pytest.mark.parametrize("kwargs", [{"solution": ["4"]}, {"solution": ["4", "4"], "verifier": ["math"]}])
def test_a_column_of_another_length_is_a_bug(kwargs):
    with pytest.raises(ValueError, match="zip"):
        accuracy_reward([answering("4")] * 2, **kwargs)


def test_no_answer_is_never_right(tmp_path, monkeypatch):
    (tmp_path / "generous.py").write_text("def always(answer, solution, args):\n    return True\n")
    monkeypatch.chdir(tmp_path)
    assert accuracy_reward(["<think>cut"], ["4"], verifier="generous.always") == [0.0]


@pytest.mark.parametrize(
    ("text", "gold", "reason"),
    [
        ("4", "4", "TRL wants LaTeX around it"),
        ("The answer is 4", "4", "a sentence"),
        ("#### 4", "4", "GSM8K's mark"),
        ("1,234", "1234", "thousands"),
        ("50%", "0.5", "a percentage"),
        ("$x = 4$", "$x=4$", "an equation in its own dress"),
        ("\\text{B}", "\\text{B}", "a text that the gold marks as one"),
    ],
)
def test_where_we_accept_more_than_trl(text, gold, reason):
    assert trl_accuracy_reward([message(answering(text))], [gold]) != [1.0] or text == "$x = 4$", reason
    assert accuracy_reward([message(answering(text))], [gold]) == [1.0], reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<think>$\\boxed{4}$", "TRL grades a box in reasoning that was cut off"),
        ("<think>r</think><answer>$\\boxed{4}$</answer><answer>$\\boxed{4}$</answer>", "TRL takes two answers"),
    ],
)
def test_where_we_accept_less_than_trl(text, reason):
    assert trl_accuracy_reward([message(text)], ["4"]) == [1.0], reason
    assert accuracy_reward([message(text)], ["4"]) == [0.0], reason
