"""Rewards by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from r1_trl.errors import InputError
from r1_trl.rewards import accuracy_reward, format_reward, get_reward, think_only_format_reward


def test_short_names():
    assert get_reward("accuracy_reward") is accuracy_reward
    assert get_reward("format_reward") is format_reward
    assert get_reward("think_only_format_reward") is think_only_format_reward


def test_arguments_make_the_class_behind_the_name():
    reward = get_reward("language_consistency_reward", languages=["en", "zh"])
    assert type(reward).__name__ == "LanguageConsistencyReward"
    assert reward.__name__  # TRL logs rewards under this
    assert callable(get_reward("language_consistency_reward"))
    assert get_reward("accuracy_reward", deadline=2.0).deadline == 2.0


def test_dotted_paths(tmp_path, monkeypatch):
    (tmp_path / "their_rewards.py").write_text(
        "def flat(completions, **kwargs):\n    return [0.5] * len(completions)\n"
        "class Scaled:\n    __name__ = 'scaled'\n"
        "    def __init__(self, factor=1.0):\n        self.factor = factor\n"
        "    def __call__(self, completions, **kwargs):\n        return [self.factor] * len(completions)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert get_reward("their_rewards.flat")(["a", "b"]) == [0.5, 0.5]
    assert get_reward("their_rewards.Scaled", factor=2.0)(["a"]) == [2.0]
    assert get_reward("their_rewards.Scaled")(["a"]) == [1.0]
    with pytest.raises(InputError, match="takes no arguments"):
        get_reward("their_rewards.flat", factor=2.0)
    with pytest.raises(InputError, match="unexpected keyword argument 'facto'"):
        get_reward("their_rewards.Scaled", facto=2.0)
    with pytest.raises(InputError, match="did you mean 'flat'"):
        get_reward("their_rewards.flatt")


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("format_rewrad", {}, "did you mean 'format_reward'"),
        ("zzz", {}, "known: accuracy_reward, format_reward"),
        ("format_reward", {"languages": ["en"]}, "'format_reward' takes no arguments, got languages"),
        ("accuracy_reward", {"languages": ["en"]}, "unexpected keyword argument 'languages'"),
        ("accuracy_reward", {"workers": 0}, "`workers: 0` must be positive"),
        ("some/reward-model", {}, "helpful_reward: {model_name_or_path: some/reward-model}"),
        ("./runs/reward.v1", {}, "`./runs/reward.v1` is the path of a model: score with a reward model by"),
        ("no_such_package.rewards.mine", {}, "there is no module 'no_such_package'"),
    ],
)
def test_mistakes_name_value_and_remedy(name, kwargs, message):
    with pytest.raises(InputError) as error:
        get_reward(name, **kwargs)
    assert message in str(error.value)
    assert name in str(error.value)


def test_importing_rewards_is_light():
    code = (
        "import sys; from r1_trl.rewards import accuracy_reward, format_reward, get_reward; "
        "heavy = {'torch', 'transformers', 'math_verify', 'sympy'} & set(sys.modules); assert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, timeout=60).returncode == 0
