"""The judge: what it is asked, and which of its words are a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from r1_trl.rejection.candidates import make_candidates, pass_rates, verify
from r1_trl.rejection.judge import add_verdicts, judge_prompt, needs_judge, read_verdict
from r1_trl.sampling import Sample


def sample(text, truncated=False):
    return Sample(text, 9, truncated)


@pytest.mark.parametrize(
    ("text", "verdict", "reason"),
    [
        ("Same.\nVerdict: right", 1.0, "as asked for"),
        ("Not the same.\n\nVerdict: wrong\n", 0.0, "as asked for"),
        ("**Verdict: right**", 1.0, "bold"),
        ("**Verdict:** Wrong.", 0.0, "bold, a capital, a full stop"),
        ("<think>It says Verdict: wrong</think>\nVerdict: right", 1.0, "after reasoning"),
        ("Verdict: right\nor so I think", None, "not the last line"),
        ("Verdict: right or wrong", None, "both"),
        ("Verdict: not right", None, "a denial"),
        ("Verdict: incorrect", None, "another word"),
        ("right", None, "no verdict line"),
        ("", None, "nothing"),
        ("<think>Verdict: right", None, "still thinking"),
    ],
)
def test_verdict(text, verdict, reason):
    assert read_verdict(sample(text)) == verdict, reason
    assert read_verdict(sample(text, truncated=True)) is None


def test_what_the_judge_sees():
    row = {"prompt": [{"role": "user", "content": "Which city?"}], "solution": "Paris, in France"}
    text = sample("<think>secret {thoughts}</think> <answer>Paris {0}</answer>")
    (with_gold,) = make_candidates([row], [[text]], [False])
    (message,) = judge_prompt(with_gold)
    assert all(word in message["content"] for word in ("Which city?", "Paris, in France", "Paris {0}", "Verdict: "))
    assert "secret" not in message["content"]
    (without_gold,) = make_candidates([{**row, "solution": None}], [[text]], [False])
    assert "reference" not in judge_prompt(without_gold)[0]["content"]


def test_who_is_judged():
    texts = ["<think>so</think><answer>a poem</answer>", "<think>so</think><answer>", "a poem"]
    rows = [{"prompt": "Write.", "solution": "a poem"}, {"prompt": "2 + 2", "solution": "4"}]
    candidates = verify(make_candidates(rows, [[*map(sample, texts), sample(texts[0], True)]] * 2, [False] * 2))
    assert [needs_judge(candidate) for candidate in candidates] == [True, *[False] * 7]
    judged = add_verdicts(candidates, [1.0])
    assert [candidate.verdict for candidate in judged] == [1.0, 0.0, 0.0, 0.0] + [0.0] * 4
    assert pass_rates(judged) == {'"Write."': 0.25, '"2 + 2"': 0.0}
    assert [c.reason for c in judged[:2]] == ["by the judge", "no whole answer"]


def test_an_unreadable_verdict_leaves_the_answer_ungraded():
    (candidate,) = make_candidates([{"prompt": "Write."}], [[sample("<think>a</think><answer>b</answer>")]], [False])
    (judged,) = add_verdicts([candidate], [None])
    assert judged == replace(candidate, reason="by the judge")
    assert pass_rates([judged]) == {}
