"""What a reward model reads of a completion."""

import pytest
from transformers import AutoTokenizer

from r1_trl.preference.text import response_ids, scored_text, template_problem

WHOLE = "<think>2 + 2</think> <answer>4</answer>"
CASES = [
    # completion, scores, prompt, think_opened, expected, reason
    (WHOLE, "answer", None, None, "4", "without its tags"),
    (WHOLE, "answer", "2 + 2 =", None, " 4", "a text prompt that ends in a word"),
    (WHOLE, "answer", "2 + 2 =\n", None, "4", "a text prompt that ends in white space"),
    (WHOLE, "response", "2 + 2 =", None, WHOLE, "the response as it is"),
    ("<think>2 + 2</think> It is 4.", "answer", None, None, "It is 4.", "no answer tags"),
    ("2 + 2</think>4", "answer", "2 + 2? <think>", None, " 4", "the prompt opens the thinking"),
    ("2 + 2", "answer", None, True, None, "the template opens the thinking, which goes on"),
    ("<think>2 + 2", "answer", None, None, None, "cut off"),
    ("<think>2 + 2", "response", None, None, "<think>2 + 2", "cut off, and judged as it is"),
    (
        [{"role": "assistant", "content": WHOLE}],
        "answer",
        [{"role": "user", "content": "2 + 2?"}],
        None,
        "4",
        "messages",
    ),
    (
        [{"role": "assistant", "reasoning_content": "2 + 2", "content": "4"}],
        "response",
        None,
        None,
        "<think>2 + 2</think>4",
        "reasoning in a field of its own",
    ),
]


@pytest.mark.parametrize(("completion", "scores", "prompt", "opened", "expected", "reason"), CASES)
def test_scored_text(completion, scores, prompt, opened, expected, reason):
    assert scored_text(completion, scores, prompt, opened) == expected, reason


def test_response_is_ended_once(base_path):
    tokenizer = AutoTokenizer.from_pretrained(base_path)
    end = tokenizer.eos_token_id
    for prompt, text in (("what is 2 + 2 ?", " 4"), ("what is 2 + 2 ?", " 4 <|end|>")):
        assert response_ids(tokenizer, prompt, text).count(end) == 1
    conversation = [{"role": "user", "content": "what is 2 + 2 ?"}]
    assert response_ids(tokenizer, conversation, "4")[-2:] == [tokenizer.convert_tokens_to_ids("4"), end]


@pytest.mark.parametrize(
    ("template", "scores", "problem"),
    [
        (None, "response", None),
        ("{% for m in messages %}{{ m['content'].split('</think>')[-1] }}{% endfor %}", "response", "leaves the"),
        ("{% for m in messages %}{{ m['content'].split('</think>')[-1] }}{% endfor %}", "answer", None),
        ("", "answer", "no chat template"),
    ],
)
def test_template_problem(base_path, template, scores, problem):
    tokenizer = AutoTokenizer.from_pretrained(base_path)
    if template is not None:
        tokenizer.chat_template = template
    found = template_problem(tokenizer, scores)
    assert problem in found if problem else found is None
