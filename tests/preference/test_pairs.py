"""Pairs: which are drawn, and which a judge's votes keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.preference.pairs import Pair, draw_votes, find_pairs, judged_row

PROMPT = [{"role": "user", "content": "2 + 2?"}]


@pytest.mark.parametrize(
    ("responses", "different", "pairs", "reason"),
    [
        (["4"], 1, 0, "one answer"),
        (["4", "4", "<think>2 + 2</think><answer>4</answer>"], 1, 0, "the same answer by other reasoning"),
        (["4", "5"], 2, 1, "two answers"),
        (["4", "<think>5", "<answer></answer>"], 1, 0, "no answer"),
        (["four", "It is four, of course."], 2, 0, "lengths that cannot be compared"),
        (["four", "five", "nine"], 3, 2, "no more than asked for"),
    ],
)
def test_find_pairs(responses, different, pairs, reason):
    found = find_pairs(0, PROMPT, responses, "answer", 2.0, 2, seed=0)
    assert (found[0], len(found[1])) == (different, pairs), reason


@given(st.lists(st.text(max_size=12), max_size=8), st.integers(1, 5), st.integers())
def test_pairs_are_different_comparable_and_reproducible(responses, limit, seed):
    different, pairs = find_pairs(3, PROMPT, responses, "response", 1.5, limit, seed)
    assert (different, pairs) == find_pairs(3, PROMPT, responses, "response", 1.5, limit, seed)
    assert len(pairs) == len(set(pairs)) <= limit
    for pair in pairs:
        first, second = pair.answers
        assert first != second
        assert max(map(len, pair.answers)) <= 1.5 * min(map(len, pair.answers))
        assert [responses[i].strip() for i in pair.candidates] == [first, second]


def test_orders_are_drawn_by_chance():
    pairs = [Pair(row, (0, 1), ("4", "5")) for row in range(500)]
    votes = draw_votes(pairs, 4, seed=0)
    assert votes == draw_votes(pairs, 4, seed=0) != draw_votes(pairs, 4, seed=1)
    assert [vote.pair for vote in votes] == [row for row in range(500) for _ in range(4)]
    share = sum(vote.swapped for vote in votes) / len(votes)
    assert 0.45 < share < 0.55


@pytest.mark.parametrize(
    ("scores", "margin", "reason"),
    [
        ([(7, 6), (8, 6)], 1.5, "the first one by more than 1 on average"),
        ([(6, 7), (5, 8)], -2.0, "the second one"),
        ([(7, 6), (7, 6)], None, "by exactly 1"),
        ([(9, 1), (1, 9)], None, "a judge who favours a place"),
    ],
)
def test_votes_are_averaged(scores, margin, reason):
    row = judged_row(Pair(5, (0, 2), ("4", "5")), scores, 1.0, PROMPT, ["<think>so</think>4", "", "5"])
    if margin is None:
        assert row is None, reason
        return
    assert row["margin"] == abs(margin), reason
    chosen, rejected = ("<think>so</think>4", "5") if margin > 0 else ("5", "<think>so</think>4")
    assert row["chosen"] == [{"role": "assistant", "content": chosen}]
    assert row["rejected"] == [{"role": "assistant", "content": rejected}]
    assert row["candidates"] == ([0, 2] if margin > 0 else [2, 0])
    assert sum(one - other for one, other in row["votes"]) / len(scores) == abs(margin)
