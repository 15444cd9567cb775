"""Rewards by row: each function sees its own rows alone, and the table of rewards is the one worked out by hand."""

import asyncio

import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from r1_trl import InputError, R1GRPOConfig, R1GRPOTrainer
from r1_trl.grpo.routing import Router, check_routes, own_rows

ROUTES = [None, ["rules"], ["model"], ["rules", "pkg.module.model"]]
QUESTION = [{"role": "user", "content": "what is 5 + 3 ?"}]


class Reward:
    """Gives each completion the number of its row, and keeps what it was called with."""

    def __init__(self, name):
        self.__name__ = name
        self.calls = []

    def __call__(self, prompts, completions, completion_ids, number, log_extra, log_metric, trainer_state, **kwargs):
        lengths = {len(prompts), len(completions), len(completion_ids), *map(len, kwargs.values())}
        assert lengths == {len(number)}
        self.calls.append(number)
        log_extra(f"{self.__name__}_saw", number)
        log_metric(f"{self.__name__}/rows", float(len(number)))
        return [float(n) for n in number]


class AsyncReward(Reward):
    async def __call__(self, *args, **kwargs):
        await asyncio.sleep(0)
        return super().__call__(*args, **kwargs)


def make_trainer(base_path, cpu_args, rewards, routes, **settings):
    rows = [{"prompt": QUESTION, "number": i + 1, "reward_funcs": route} for i, route in enumerate(routes)]
    args = R1GRPOConfig(
        **cpu_args,
        per_device_train_batch_size=4 * len(rows),
        num_generations=4,
        shuffle_dataset=False,
        **settings,
    )
    return R1GRPOTrainer(base_path, rewards, args, train_dataset=Dataset.from_list(rows))


@pytest.mark.parametrize("kind", [Reward, AsyncReward])
def test_the_table_of_rewards(base_path, cpu_args, kind):
    rules, model = Reward("rules"), kind("model")
    trainer = make_trainer(base_path, cpu_args, [rules, model], ROUTES, reward_weights=[1.0, 10.0], max_steps=1)
    seen = {}
    original = trainer._calculate_rewards
    trainer._calculate_rewards = lambda *args: seen.setdefault("rewards", original(*args))
    trainer.train()

    none = torch.nan
    expected = torch.tensor([[1, 1], [2, none], [none, 3], [4, 4]]).repeat_interleave(4, dim=0)
    torch.testing.assert_close(seen["rewards"], expected.float(), equal_nan=True)
    assert rules.calls == [[1] * 4 + [2] * 4 + [4] * 4]
    assert model.calls == [[1] * 4 + [3] * 4 + [4] * 4]
    assert list(trainer._logs["extra"]["model_saw"]) == [1] * 4 + [None] * 4 + [3] * 4 + [4] * 4
    log = trainer.state.log_history[0]
    assert log["model/rows"] == 12
    assert log["rewards/rules/mean"] == pytest.approx((1 + 2 + 4) / 3)
    assert log["rewards/model/mean"] == pytest.approx((1 + 3 + 4) / 3)
    assert log["reward"] == pytest.approx((11 + 2 + 30 + 44) / 4)


def test_a_batch_without_own_rows(base_path, cpu_args):
    """The reward is not called, and its column of the table does not keep the values of the batch before."""
    rules, model = Reward("rules"), Reward("model")
    trainer = make_trainer(base_path, cpu_args, [rules, model], [["rules"], ["rules", "model"]], max_steps=1)
    inputs = [{"prompt": QUESTION, "number": 7, "reward_funcs": ["rules", "model"]}] * 4
    answers = [[{"role": "assistant", "content": "8"}]] * 4
    trainer._calculate_rewards(inputs, [QUESTION] * 4, answers, [[1]] * 4)
    expected = {"rules_saw": [7] * 4, "model_saw": [7] * 4}
    assert expected.items() <= trainer._pending_extra_logs.items()
    trainer._pending_extra_logs.clear()
    inputs = [{**row, "reward_funcs": ["rules"]} for row in inputs]
    rewards = trainer._calculate_rewards(inputs, [QUESTION] * 4, answers, [[1]] * 4)
    assert rewards.isnan().tolist() == [[False, True]] * 4
    assert len(model.calls) == 1
    expected = {"rules_saw": [7] * 4, "model_saw": [None] * 4}
    assert expected.items() <= trainer._pending_extra_logs.items()


def test_without_routes_nothing_stands_between():
    module, reward = nn.Linear(1, 1), Reward("rules")
    assert Router().route(reward, "rules", [{"number": 1}]) is reward
    assert Router().route(module, "module", [{"reward_funcs": ["rules"]}]) is module


def test_too_few_rewards_are_a_bug():
    routed = Router().route(lambda **kwargs: [1.0], "rules", [{"reward_funcs": None}] * 2)
    with pytest.raises(ValueError, match="1 values for 2 completions"):
        routed(completions=["a", "b"])


@given(st.lists(st.sampled_from([None, ["a"], ["b"], ["a", "b"]]), min_size=1))
def test_scattered_where_they_came_from(routes):
    rows = [{"reward_funcs": route} for route in routes]
    routed = Router().route(lambda completions: completions, "a", rows)
    expected = [i if route is None or "a" in route else None for i, route in enumerate(routes)]
    assert routed(completions=list(range(len(rows)))) == expected
    assert own_rows("a", rows) == [i for i in expected if i is not None]


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (["rulez"], ["`rulez`", "did you mean `rules`"]),
        ([], ["[]", "null for all"]),
        ("rules", ["'rules'", "a list of names"]),
    ],
    ids=str,
)
def test_refused(base_path, cpu_args, route, words):
    with pytest.raises(InputError) as error:
        check_routes([None, route], ["rules", "model"], "rows.jsonl")
    assert [word for word in ["`rows.jsonl`", "`reward_funcs`", *words] if word not in str(error.value)] == []
    trainer = make_trainer(base_path, cpu_args, [Reward("rules"), Reward("model")], [route] * 2, max_steps=1)
    with pytest.raises(InputError):
        trainer.train()
