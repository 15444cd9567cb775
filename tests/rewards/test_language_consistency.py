"""The language consistency reward: which text, which target, which number."""

from __future__ import annotations

import pickle
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_trl import language as language_module
from r1_trl.errors import InputError, MissingExtraError
from r1_trl.rewards.language_consistency import LanguageConsistencyReward, language_consistency_reward

EN, ZH = "First we add the two numbers.", "首先我们把两个数相加。"
EN_ZH = LanguageConsistencyReward(["en", "zh"])


def think(reasoning: str, answer: str = "4") -> str:
    return f"<think>{reasoning}</think><answer>{answer}</answer>"


CASES = [
    (think(EN), "en", 1.0, "all of it"),
    (think(EN), "zh", 0.0, "none of it"),
    (think(EN + ZH), "en", 6 / 13, "6 English words, 10 Chinese characters that count as 7 words"),
    (think(EN, answer=ZH), "en", 1.0, "the answer is not reasoning"),
    (ZH + think(EN), "en", 1.0, "nor is what stands before it"),
    (think("$2 + 2 = 4$ `so it is`"), "en", 0.0, "no words"),
    (think(""), "en", 0.0, "empty reasoning"),
    (EN, "en", 0.0, "no reasoning at all"),
    ("", "en", 0.0, "nothing"),
    ("<think>" + EN, "en", 1.0, "reasoning that was cut off"),
    (think(f"{EN} <b>{ZH}</b> https://example.com/path"), "zh", 7 / 13, "tags and URLs are no words"),
]


@pytest.mark.parametrize(("completion", "target", "expected", "reason"), CASES, ids=[case[-1] for case in CASES])
def test_cases(completion, target, expected, reason):
    messages = [{"role": "assistant", "content": completion}]
    assert EN_ZH([completion, messages], language=[target] * 2) == pytest.approx([expected] * 2), reason


def test_reads_a_think_block_that_the_prompt_opened():
    completion = f"{EN}</think><answer>{ZH}</answer>"
    cut_off = EN + ZH
    assert EN_ZH([completion], prompts=["Add 2 and 2. <think>"], language=["en"]) == [1.0]
    assert EN_ZH([cut_off], prompts=["Add 2 and 2. <think>"], language=["en"]) == pytest.approx([6 / 13])
    assert EN_ZH([cut_off], language=["en"], think_opened=[True]) == pytest.approx([6 / 13])
    assert EN_ZH([cut_off], language=["en"], think_opened=[False]) == [0.0]


@pytest.mark.parametrize(
    ("prompt", "column", "expected", "reason"),
    [
        ("二加二等于几？", None, 7 / 13, "the prompt's language"),
        ("What is two and two?", None, 6 / 13, "the prompt's language"),
        ("What is two and two?", "zh", 7 / 13, "the column comes first"),
        ("What is two and two?", "zh-Hans", 7 / 13, "as a tag"),
        ("What is two and two?", "", 6 / 13, "an empty cell asks the prompt"),
        ("求 $x$ 的值是多少：two words", None, 7 / 13, "the language with the most words"),
        ("2 + 2 = ?", None, None, "a bare sum has no language"),
        ("2 + 2 = ?", "en", 6 / 13, "unless the row names it"),
        ("Что это?", None, None, "a prompt in none of the languages"),
        ("What is two and two?", "tlh", None, "a language that is not supported is a bad row"),
        ("What is two and two?", float("nan"), None, "so is an empty cell of pandas"),
    ],
)
def test_target(prompt, column, expected, reason):
    for asked in (prompt, [{"role": "system", "content": ZH * 3}, {"role": "user", "content": prompt}]):
        assert EN_ZH([think(EN + ZH)], prompts=[asked], language=[column]) == [pytest.approx(expected)], reason


def test_without_prompts_and_column_nothing_is_mine():
    assert EN_ZH([think(EN)]) == [None]


@pytest.mark.parametrize(
    ("prompt", "reasoning"),
    [
        ("Quelle est la somme des nombres ?", "Nous devons calculer la somme des deux nombres."),
        ("Wie groß ist die Summe der Zahlen?", "Zuerst addieren wir die beiden Zahlen."),
        ("¿Cuál es la suma de los números?", "Primero sumamos los dos números."),
        ("数の和はいくつですか。", "まず二つの数を足します。"),
        ("두 수의 합은 얼마입니까?", "먼저 두 수를 더합니다."),
        ("Чему равна сумма чисел?", "Сначала сложим два числа."),
        ("ما مجموع العددين؟", "أولاً نجمع العددين."),
        ("दो संख्याओं का योग क्या है?", "पहले हम दोनों संख्याओं को जोड़ते हैं।"),
    ],
)
def test_defaults_tell_the_other_languages(prompt, reasoning):
    completions = [think(reasoning), think(EN), think(ZH)]
    assert language_consistency_reward(completions, prompts=[prompt] * 3) == [1.0, 0.0, 0.0]


def test_logs_the_share_of_rows_without_a_language():
    logged = {}
    rewards = EN_ZH([think(EN)] * 4, language=["en", "tlh", None, "zh"], log_metric=logged.__setitem__)
    assert rewards == [1.0, None, None, 0.0]
    assert logged == {"language_consistency/unknown_language": 0.5}


def test_takes_what_trl_passes():
    kwargs = {"prompts": ["What is two and two?"], "completion_ids": [[1]], "trainer_state": None, "solution": ["4"]}
    for reward in (EN_ZH, language_consistency_reward):
        assert reward(completions=[think(EN)], log_metric=lambda *_: None, log_extra=None, **kwargs) == [1.0]
        assert reward.__name__ == "language_consistency_reward"


def test_batches_of_other_lengths_are_a_bug():
    with pytest.raises(ValueError, match="zip"):
        EN_ZH([think(EN)] * 2, language=["en"])


def test_pickles():
    again = pickle.loads(pickle.dumps(LanguageConsistencyReward(["en", "zh-Hans"])))
    assert again.languages == ("en", "zh")
    assert again.__name__ == "language_consistency_reward"
    assert again([think(EN + ZH)], language=["zh"]) == pytest.approx([7 / 13])


@pytest.mark.parametrize(("languages", "message"), [(["en", "tlh"], "'tlh' is not supported"), ([], "is empty")])
def test_refuses_unknown_languages_when_built(languages, message):
    with pytest.raises(InputError, match=message):
        LanguageConsistencyReward(languages)


def test_refuses_when_built_what_needs_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "lingua", None)
    monkeypatch.setattr(language_module, "_detector_installed", lambda: False)
    with pytest.raises(MissingExtraError, match=r"telling en, fr apart needs lingua-language-detector"):
        LanguageConsistencyReward(["en", "fr", "zh"])
    assert language_consistency_reward([think(EN), think(ZH)], language=["en", "zh"]) == [1.0, 1.0]
    with pytest.raises(MissingExtraError):
        language_consistency_reward([think(EN)], language=["fr"])


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "<answer>", EN, ZH, "$", "`", "\\(", "\ud800"]) | st.text(),
        max_size=12,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_completion_scores_between_0_and_1(parts):
    text = "".join(parts)
    for reward in EN_ZH([text] * 3, prompts=[text] * 3, language=["en", None, text]):
        assert reward is None or 0 <= reward <= 1
