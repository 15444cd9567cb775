"""The parser: case tables with the reason beside each, and properties on hostile text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.completion import (
    Completion,
    completion_text,
    parse_completion,
    prompt_text,
    read_completion,
    think_opened_by,
)

TAGS = ("<think>", "</think>", "<answer>", "</answer>")

# (text, think_opened, reasoning, answer, problem, reason)
CASES = [
    ("<think>r</think><answer>4</answer>", False, "r", "4", None, "the template"),
    (" \n<think>\nr\n</think>\n\n<answer> 4 </answer>\n", False, "r", "4", None, "white space anywhere"),
    ("r</think><answer>4</answer>", True, "r", "4", None, "the prompt has opened the block"),
    ("<think>r</think><answer>4</answer>", True, "r", "4", "<think>, which has no place here", "a second <think>"),
    ("r</think><answer>4</answer>", False, "r", "4", "no <think>", "nobody has opened it; the answer is plain"),
    ("<think></think><answer>4</answer>", False, None, "4", "empty reasoning", "TRL's own reward takes it"),
    ("<think> \n</think><answer>4</answer>", False, None, "4", "empty reasoning", "white space is empty"),
    ("</think><answer>4</answer>", True, None, "4", "empty reasoning", "empty behind an opened block"),
    ("<think>r</think><answer> </answer>", False, "r", None, "empty answer", "nothing to grade"),
    ("<think>r</think>", False, "r", None, "no <answer>", "stops after thinking"),
    ("<think>r</think>4", False, "r", "4", "no <answer>", "what follows the reasoning"),
    ("<think>r</think><answer>4", False, "r", None, "no </answer>", "may be cut off: 4 of 42"),
    ("<think>r</think>4</answer>", False, "r", None, "no <answer>", "half a pair of tags"),
    ("<think>r</think></answer>4<answer>", False, "r", None, "</answer> before <answer>", "the wrong way round"),
    (
        "<think>r<answer>4</answer>",
        False,
        "r<answer>4</answer>",
        None,
        "no </think>",
        "an answer inside the reasoning",
    ),
    ("r <answer>4</answer>", True, "r <answer>4</answer>", None, "no </think>", "the prompt's block is never closed"),
    ("r", True, "r", None, "no </think>", "cut off while thinking"),
    ("<think>r<answer>4</answer></think>", False, "r<answer>4</answer>", None, "<answer> before </think>", "inside"),
    ("<think>r <answer>3</answer></think><answer>4</answer>", False, "r <answer>3</answer>", "4", "2 <answer>", "one"),
    ("<think>r</think><answer>4</answer><answer>5</answer>", False, "r", None, "2 <answer>", "hedging"),
    ("<think>r</think><answer>4</answer><answer>4</answer>", False, "r", None, "2 <answer>", "two blocks, whatever"),
    ("<think>r</think><answer>4</answer> ok", False, "r", "4", "text after </answer>", "open-r1 takes it"),
    ("<think>r</think> so <answer>4</answer>", False, "r", "4", "text between </think> and <answer>", "talk between"),
    ("Hi <think>r</think><answer>4</answer>", False, "r", "4", "text before <think>", "talk before"),
    ("</think><think>r<answer>4</answer>", False, "r<answer>4</answer>", None, "</think> before <think>", "reopened"),
    ("<think>r</think><think>s</think><answer>4</answer>", False, "r\ns", "4", "2 <think>", "two blocks"),
    ("<think>r<think>s</think><answer>4</answer>", False, "r s", "4", "2 <think>", "nested"),
    ("<think>r</think><answer>4</answer><think>s", False, "r\ns", None, "2 <think>", "thinks again, never closes"),
    ("r<think>s</think>t<think>u</think>4", True, "r s\nu", "4", "<think>, which has no place here", "between blocks"),
    ("<think>r</think>3</think>4", False, "r\n3", "4", "2 </think>", "what follows the LAST </think>"),
    ("The answer is 4.", False, None, "The answer is 4.", "no <think>", "no tags at all"),
    ("<answer>4</answer>", False, None, "4", "no <think>", "an answer without thinking"),
    ("", False, None, None, "no <think>", "nothing"),
    ("", True, None, None, "no </think>", "nothing"),
    ("<Think>r</Think><answer>4</answer>", False, None, "4", "no <think>", "tags are matched to the letter"),
    (
        "<thi<think>nk>r</think><answer>4</answer>",
        False,
        "nk>r",
        "4",
        "text before <think>",
        "no tag out of two halves",
    ),
]


@pytest.mark.parametrize(("text", "think_opened", "reasoning", "answer", "problem", "reason"), CASES)
def test_parse(text, think_opened, reasoning, answer, problem, reason):
    assert parse_completion(text, think_opened) == Completion(reasoning, answer, problem), reason


@pytest.mark.parametrize(
    ("text", "think_opened", "answer", "problem", "reason"),
    [
        ("<think>r</think> It is 4.", False, "It is 4.", None, "a chat model"),
        ("r</think> It is 4.", True, "It is 4.", None, "a chat template that opens the block"),
        ("<think>r</think> ", False, None, "empty answer", "nothing after thinking"),
        ("<think></think>4", False, "4", "empty reasoning", "nothing inside"),
        ("Hi<think>r</think>4", False, "4", "text before <think>", "talk before"),
        ("<think>r</think><answer>4</answer>", False, "4", "<answer>, which has no place here", "the other format"),
        ("4", False, "4", "no <think>", "no thinking"),
    ],
)
def test_think_only(text, think_opened, answer, problem, reason):
    parsed = parse_completion(text, think_opened, answer_tags=False)
    assert (parsed.answer, parsed.problem, parsed.well_formed) == (answer, problem, problem is None), reason


bodies = st.text(max_size=60).filter(lambda s: s.strip() and not any(tag in s for tag in TAGS))
soup = st.lists(st.one_of(st.sampled_from(TAGS), st.text(max_size=8), st.just(" ")), max_size=14).map("".join)


@given(bodies, bodies, st.booleans())
def test_well_formed_text_round_trips(reasoning, answer, think_opened):
    text = f"{reasoning}</think>\n<answer>{answer}</answer>"
    parsed = parse_completion(text if think_opened else "<think>" + text, think_opened)
    assert parsed == Completion(reasoning.strip(), answer.strip(), None)


@given(bodies, bodies, st.sampled_from(TAGS), st.data())
def test_any_extra_tag_breaks_the_form(reasoning, answer, tag, data):
    text = f"<think>{reasoning}</think><answer>{answer}</answer>"
    at = data.draw(st.integers(0, len(text)))
    broken = text[:at] + tag + text[at:]
    assert not parse_completion(broken).well_formed


@given(soup, st.booleans(), st.booleans())
def test_never_raises_and_keeps_its_promises(text, think_opened, answer_tags):
    parsed = parse_completion(text, think_opened, answer_tags)
    for part in (parsed.reasoning, parsed.answer):
        assert part is None or (part and part == part.strip())
    assert not parsed.well_formed or (parsed.reasoning and parsed.answer)
    if text.count("<think>") + think_opened and "</think>" not in text:
        assert parsed.answer is None


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000_000,
        "<think>" * 100_000,
        "</think>" * 100_000,
        "<think></think>" * 100_000,
        "<answer>" * 100_000,
        "<think>r</think>" + "<answer>4</answer>" * 100_000,
        "<thin" * 1_000_000,
        "<" * 10_000_000,
        " " * 10_000_000,
        "<think>\ud800\x00</think><answer>\udfff\x00</answer>" + "\x00" * 1_000_000,
    ],
    ids=lambda text: ascii(text[:16]),
)
def test_hostile_text_is_fast(text):
    for think_opened in (False, True):
        start = time.perf_counter()
        parse_completion(text, think_opened)
        assert time.perf_counter() - start < 1


TEXTS = [
    ("text", "text", "a string"),
    ([{"role": "assistant", "content": "text"}], "text", "a message"),
    ([{"content": "text"}], "text", "TRL's own examples leave the role out"),
    (
        [{"role": "assistant", "content": [{"type": "text", "text": "te"}, {"type": "text", "text": "xt"}]}],
        "text",
        "parts",
    ),
    ([{"role": "assistant", "content": [{"type": "image"}]}], "", "an image says nothing"),
    ([{"role": "assistant", "content": None}], "", "a tool call"),
    ([{"role": "assistant", "content": "a"}, {"role": "tool", "content": "4"}, {"content": "b"}], "a\nb", "no tools"),
    ([{"role": "assistant", "content": "4", "reasoning_content": "r"}], "<think>r</think>4", "Qwen3 in TRL"),
    ([{"role": "assistant", "content": "4", "thinking": "r"}], "<think>r</think>4", "LFM2.5 in TRL"),
    ([], "", "no message"),
]


@pytest.mark.parametrize(("completion", "text", "reason"), TEXTS)
def test_completion_text(completion, text, reason):
    assert completion_text(completion) == text, reason


@pytest.mark.parametrize(
    "wrong", [None, 4, b"text", {"content": "a"}, ["text"], [{"content": 4}], [{"content": ["a"]}]], ids=ascii
)
def test_wrong_types_are_bugs(wrong):
    for read, role in ((completion_text, "assistant"), (prompt_text, "user"), (think_opened_by, "assistant")):
        with pytest.raises(TypeError):  # a message of another role is not read
            read([{"role": role, **wrong[0]}] if isinstance(wrong, list) and isinstance(wrong[0], dict) else wrong)
    with pytest.raises(TypeError):
        parse_completion(wrong)


@pytest.mark.parametrize(
    ("prompt", "opened", "reason"),
    [
        ("2 + 2? <think>", True, "a text"),
        ("2 + 2? <think>\n \n", True, "white space after it"),
        ("2 + 2?", False, "not there"),
        ("<think> 2 + 2?", False, "not at the end"),
        ([{"role": "user", "content": "<think>"}], False, "the user's words"),
        ([{"role": "user", "content": "2?"}, {"role": "assistant", "content": "<think>\n"}], True, "a prefill"),
        (
            [{"role": "assistant", "content": "<think>"}, {"role": "user", "content": "2?"}],
            False,
            "not the last message",
        ),
        ([], False, "no message"),
    ],
)
def test_think_opened_by(prompt, opened, reason):
    assert think_opened_by(prompt) is opened, reason


def test_prompt_text():
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert prompt_text(messages) == "a\nb"
    assert prompt_text("a") == "a"


def test_read_completion_asks_the_prompt_unless_told():
    text = "r</think><answer>4</answer>"
    assert read_completion(text, "2 + 2? <think>").well_formed
    assert not read_completion(text, "2 + 2? <think>", think_opened=False).well_formed
    assert read_completion(text, "2 + 2?", think_opened=True).well_formed
    assert not read_completion(text).well_formed


def test_reasoning_in_a_field_of_its_own_is_a_whole_block():
    message = {"role": "assistant", "reasoning_content": "r", "content": "<answer>4</answer>"}
    for think_opened in (False, True):
        assert read_completion([message], "2 + 2?", think_opened) == Completion("r", "4", None)
