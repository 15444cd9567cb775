"""The templates, against the words of the paper."""

import pytest

from r1_trl.completion import prompt_text, think_opened_by
from r1_trl.prompts import BASE_TEMPLATE, SYSTEM_PROMPT, base_prompt, chat_prompt

PAPER = """A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The
assistant first thinks about the reasoning process in the mind and then provides the user with the answer. The
reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e.,
<think> reasoning process here </think> <answer> answer here </answer>. User: prompt. Assistant:"""


def test_template_is_the_papers_to_the_letter():
    assert " ".join(PAPER.split()) == BASE_TEMPLATE


@pytest.mark.parametrize("question", ["What is 2 + 2?", "Explain the word prompt.", "{} %s \\1", ""])
def test_question_stands_in_the_place_of_the_word(question):
    head, tail = BASE_TEMPLATE.split("prompt. ")
    assert base_prompt(question) == f"{head}{question}. {tail}"


def test_prompts_do_not_open_the_thinking():
    assert not think_opened_by(base_prompt("1 + 1"))
    assert not think_opened_by(chat_prompt("1 + 1"))


def test_system_prompt_is_no_part_of_the_question():
    assert prompt_text(chat_prompt("计算 1 + 1")) == "计算 1 + 1"
    assert BASE_TEMPLATE.startswith(SYSTEM_PROMPT)
