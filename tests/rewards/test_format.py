"""The format rewards. What is well-formed: test_completion.py; here, how TRL's columns reach the parser."""

from __future__ import annotations

import pickle

import pytest
from trl.rewards import think_format_reward

from r1_trl.rewards import format_reward, think_only_format_reward

GOOD = "<think>r</think><answer>4</answer>"


def message(text):
    return [{"role": "assistant", "content": text}]


def test_strings_and_messages():
    assert format_reward([GOOD, message(GOOD), "4", message("4")]) == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("completion", "kwargs", "expected", "reason"),
    [
        ("r</think><answer>4</answer>", {}, 0.0, "never opened"),
        ("r</think><answer>4</answer>", {"prompts": ["q <think>"]}, 1.0, "the prompt opened it"),
        (GOOD, {"prompts": ["q <think>"]}, 0.0, "a second <think>"),
        ("r</think><answer>4</answer>", {"think_opened": [True]}, 1.0, "a chat template opened it"),
        ("r</think><answer>4</answer>", {"think_opened": True}, 1.0, "one value for all"),
        (GOOD, {"prompts": ["q <think>"], "think_opened": [False]}, 1.0, "the column knows better"),
        (
            "r</think><answer>4</answer>",
            {"prompts": ["q <think>"], "think_opened": [None]},
            1.0,
            "a hole in the column",
        ),
        (GOOD, {"solution": ["4"], "trainer_state": None, "log_metric": print}, 1.0, "TRL's other keywords"),
    ],
)
def test_what_the_prompt_has_opened(completion, kwargs, expected, reason):
    assert format_reward([completion], **kwargs) == [expected], reason


def test_think_only():
    assert think_only_format_reward([message("<think>r</think>4"), GOOD, "4"]) == [1.0, 0.0, 0.0]
    assert think_only_format_reward(["r</think>4"], prompts=["q <think>"]) == [1.0]


@pytest.mark.parametrize("kwargs", [{"prompts": ["q"]}, {"think_opened": [True]}])
def test_a_column_of_another_length_is_a_bug(kwargs):
    with pytest.raises(ValueError, match="zip"):
        format_reward([GOOD, GOOD], **kwargs)


def test_where_we_differ_from_trl():
    empty, prefilled = "<think></think>4", "r</think>4"
    assert think_format_reward([message(empty)]) == [1.0]  # empty reasoning earns the reward there
    assert think_only_format_reward([message(empty)]) == [0.0]
    assert think_format_reward([message(prefilled)]) == [0.0]  # and a prefilled tag never does
    assert think_only_format_reward([message(prefilled)], think_opened=[True]) == [1.0]


def test_picklable_for_the_async_worker():
    assert pickle.loads(pickle.dumps(format_reward)) is format_reward
