"""Each filter on answers that it is for and that it is not for; hostile text in linear time; the funnel adds up."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.completion import parse_completion
from r1_trl.errors import InputError
from r1_trl.prompts import base_prompt
from r1_trl.rejection.candidates import make_candidates, pass_rates
from r1_trl.rejection.config import RejectionSamplingConfig
from r1_trl.rejection.filters import answer_filters, apply_filters, has_code_block, longest_paragraph
from r1_trl.rejection.funnel import make_funnel
from r1_trl.rejection.rows import sft_rows
from r1_trl.rejection.selection import group_filters, normalise, select
from r1_trl.sampling import Sample

EN_ZH = {"languages": ["en", "zh"]}


def candidate(reasoning="add two and two", answer="4", verdict=1.0, question=0, number=0, truncated=False, **row):
    sample = Sample(f"<think>{reasoning}</think> <answer>{answer}</answer>", len(reasoning), truncated)
    row = {"prompt": f"What is two and two, for the {question}th time?", **row}
    (made,) = make_candidates([row], [[sample]], [False])
    return replace(made, question=question, number=number, verdict=verdict)


CASES = [
    ({}, {}, None, "a good answer"),
    ({"verdict": 0.0}, {}, "wrong", "wrong"),
    ({"verdict": 0.5}, {}, "wrong", "right in part"),
    ({"verdict": None}, {}, "unverified", "nobody graded it"),
    ({"verdict": None}, {"keep_unverified": True}, None, "nobody graded it, and it may stay"),
    ({"truncated": True}, {}, "truncated", "cut off"),
    ({"answer": ""}, {}, "malformed", "no answer"),
    ({"reasoning": "先算 add two and two 再加"}, {}, "mixed_language", "a bit of Chinese"),
    ({"reasoning": "先算 add two and two 再加"}, {"min_language_consistency": 0.5}, None, "and half is enough"),
    ({"reasoning": "两个数相加得四", "language": "zh"}, {}, None, "Chinese that was asked for"),
    ({"reasoning": "两个数相加得四"}, {}, "mixed_language", "Chinese to an English prompt"),
    ({"reasoning": "两个数相加得四", "prompt": "2 + 2"}, {}, None, "a prompt in no language"),
    ({"reasoning": "so " * 700}, {}, "long_paragraph", "one paragraph of 2,100 characters"),
    ({"reasoning": "so " * 700}, {"max_paragraph_characters": 2100}, None, "and that many are allowed"),
    ({"reasoning": "so " * 700}, {"max_paragraph_characters": None}, None, "and any number is"),
    ({"reasoning": ("so " * 500 + "\n \n") * 2}, {}, None, "two paragraphs of 1,500"),
    ({"reasoning": "Let me run it:\n```python\nprint(4)\n```"}, {}, "code_block", "a fenced block"),
    ({"reasoning": "Let me run it:\n  ~~~\nprint(4)"}, {}, "code_block", "tildes, never closed"),
    ({"reasoning": "Let me run it:\n```\nprint(4)\n```"}, {"allow_code_blocks": True}, None, "and code is allowed"),
    ({"reasoning": "The key is called ``` here"}, {}, None, "backticks within a line"),
]


@pytest.mark.parametrize(("answer", "settings", "falls_at", "reason"), CASES, ids=[case[-1] for case in CASES])
def test_filter(answer, settings, falls_at, reason):
    filters = answer_filters(RejectionSamplingConfig(**EN_ZH, **settings))
    kept, fallen = apply_filters([candidate(**answer)], filters)
    assert [name for name, group in fallen.items() if group] == ([falls_at] if falls_at else []), reason
    assert len(kept) == (falls_at is None)


def test_answers_without_tags():
    sample = Sample("<think>add two and two</think>It is 4.", 9, False)
    for tags, problem in ((True, "no <answer>"), (False, None)):
        (made,) = make_candidates([{"prompt": "2 + 2"}], [[sample]], [False], answer_tags=tags)
        assert made.parsed.problem == problem


@pytest.mark.parametrize("text", ["\n" * 10**6, " \n" * 10**6, "`" * 10**6, "\n`" * 10**6, "\n" + " " * 10**6])
def test_hostile_text(text):
    started = time.monotonic()
    longest_paragraph(text)
    has_code_block(text)
    assert time.monotonic() - started < 5


@given(st.lists(st.text("ab \n", max_size=30), max_size=5))
def test_longest_paragraph(lines):
    text = "\n".join(lines)
    longest, current = 0, []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            current.append(line)
        elif current:
            longest, current = max(longest, len("\n".join(current).strip())), []
    assert longest_paragraph(text) == longest


ANSWERS = st.lists(
    st.builds(
        candidate,
        reasoning=st.sampled_from(["add two and two", "add  two\nand two", "先算二", "so " * 700, "x\n```\ny"]),
        answer=st.sampled_from(["4", ""]),
        verdict=st.sampled_from([1.0, 0.0, None]),
        question=st.integers(0, 3),
        truncated=st.booleans(),
    ),
    max_size=30,
)


@given(ANSWERS, st.integers(1, 3), st.sampled_from(["random", "shortest"]))
def test_the_funnel_adds_up(answers, most, selection):
    answers = [replace(answer, number=number) for number, answer in enumerate(answers)]
    config = RejectionSamplingConfig(**EN_ZH, max_pass_rate=0.9)
    rates = {candidate(question=0).asks: 1.0, candidate(question=1).asks: 0.5}
    left, fallen = apply_filters(answers, answer_filters(config) | group_filters(rates, config))
    kept = select(left, most, selection, seed=0)
    fallen["max_per_question"] = [answer for answer in left if answer not in kept]
    steps = make_funnel(len(answers), {name: len(group) for name, group in fallen.items()})
    assert len(answers) - sum(step["fell"] for step in steps) == steps[-1]["left"] == len(kept)
    assert sorted(a.number for group in [*fallen.values(), kept] for a in group) == list(range(len(answers)))
    for before, step in zip([{"left": len(answers)}, *steps], steps, strict=False):
        assert step["left"] == before["left"] - step["fell"] >= 0
        assert step["share"] == (round(step["fell"] / before["left"], 4) if before["left"] else 0.0)
    assert all(answer.question != 0 for answer in kept)  # its pass rate is above the window
    assert all(sum(a.question == q for a in kept) <= most for q in range(4))
    assert len({(a.row["prompt"], normalise(a.sample.completion)) for a in kept}) == len(kept)


def test_duplicates_are_of_one_prompt():
    config = RejectionSamplingConfig(**EN_ZH)
    answers = [candidate(), candidate("add  two\n and two"), candidate("add 2 and two"), candidate(prompt="Another?")]
    kept, _ = apply_filters(answers, group_filters({}, config))
    assert kept == [answers[0], answers[2], answers[3]]
    kept, _ = apply_filters(answers, group_filters({}, RejectionSamplingConfig(**EN_ZH, deduplicate=False)))
    assert kept == answers


def test_selection():
    answers = [candidate("so" * (9 - number), question=number % 2, number=number) for number in range(8)]
    assert [a.number for a in select(answers, 1, "shortest", 0)] == [6, 7]
    assert select(answers, None, "random", 0) == answers
    drawn = {tuple(a.number for a in select(answers, 2, "random", seed)) for seed in range(20)}
    assert len(drawn) > 10
    assert select(answers, 2, "random", 3) == select(answers, 2, "random", 3)
    others = [answer for answer in answers if answer.question == 1]
    assert select(others, 2, "random", 3) == [a for a in select(answers, 2, "random", 3) if a.question == 1]


@pytest.mark.parametrize("selection", ["random", "shortest"])
def test_rows_that_repeat_a_prompt_are_one_question(selection):
    prompts = ["2 + 2", [{"role": "user", "content": "2 + 2"}], "2 + 2"]
    answers = [candidate(prompt=prompts[n % 3], question=n % 3, number=n, verdict=float(n % 2)) for n in range(12)]
    rates = pass_rates(answers[:9])
    assert sorted(rates.values()) == [1 / 3, 2 / 3]
    kept = select(answers, 2, selection, 0)
    assert sorted(isinstance(answer.row["prompt"], str) for answer in kept) == [False, False, True, True]
    rows = sft_rows(answers, rates, "my-data", "my-model", {(a.question, a.number): 0 for a in answers})
    assert len({row["pass_rate"] for row in rows if row["question"] != 1}) == 1


@pytest.mark.parametrize(
    ("prompt", "opened", "user", "content"),
    [
        ([{"role": "user", "content": "2 + 2"}], False, "2 + 2", "<think>so</think> <answer>4</answer>"),
        ([{"role": "user", "content": "2 + 2"}], True, "2 + 2", "<think>so</think> <answer>4</answer>"),
        ("2 + 2 <think>\n", True, "2 + 2", "<think>so</think> <answer>4</answer>"),
        (base_prompt("2 + 2"), False, "2 + 2", "<think>so</think> <answer>4</answer>"),
        (f"{base_prompt('2 + 2')} <think>\n", True, "2 + 2", "<think>so</think> <answer>4</answer>"),
    ],
    ids=["conversation", "opened by the template", "opened by the text", "R1-Zero's", "R1-Zero's, opened"],
)
def test_rows_are_whole_conversations(prompt, opened, user, content):
    text = content.removeprefix("<think>") if opened else content
    (made,) = make_candidates([{"prompt": prompt, "id": "q7"}], [[Sample(text, 9, False)]], [opened])
    (row,) = sft_rows([replace(made, verdict=1.0)], {made.asks: 0.25}, "my-data", "my-model", {(0, 0): 42})
    assert row == {
        "prompt": [{"role": "user", "content": user}],
        "completion": [{"role": "assistant", "content": content}],
        "question": 0,
        "id": "q7",
        "source": "my-data",
        "language": None,
        "model": "my-model",
        "sample": 0,
        "seed": 42,
        "pass_rate": 0.25,
        "verified": True,
        "num_tokens": 9,
    }
    assert parse_completion(content).well_formed


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min_language_consistency": 1.5}, ["`min_language_consistency: 1.5`", "share from 0 to 1"]),
        ({"min_pass_rate": -0.1}, ["`min_pass_rate: -0.1`"]),
        ({"min_pass_rate": 0.8, "max_pass_rate": 0.2}, ["`min_pass_rate: 0.8` is above `max_pass_rate: 0.2`"]),
        ({"max_per_question": 0}, ["`max_per_question: 0`", "at least 1"]),
        ({"max_paragraph_characters": 0}, ["`max_paragraph_characters: 0`"]),
        ({"selection": "longest"}, ["`selection: longest`", "random, shortest"]),
        ({"judge_model": "m"}, ["`judge_base_url` is missing"]),
        ({"judge_base_url": ["http://localhost/v1"]}, ["`judge_model` is missing"]),
    ],
)
def test_thresholds_out_of_range(settings, words):
    with pytest.raises(InputError) as refused:
        RejectionSamplingConfig(**settings)
    assert [word for word in words if word not in str(refused.value)] == []
