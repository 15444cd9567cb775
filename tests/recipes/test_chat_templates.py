"""The chat templates of the recipes' models show the whole response, so that the reasoning is trained and judged."""

from pathlib import Path

import pytest
import trl
from transformers import AutoTokenizer

from r1_trl.completion import think_opened_by
from r1_trl.miniature import resolve_model_path
from r1_trl.preference.text import template_problem
from tests.recipes.folders import ON_A_CARD, settings

TEMPLATES = {"Qwen2.5": "qwen2_5", "Qwen3-4B-Instruct-2507": "qwen3_instruct_2507", "Llama-3.1": "llama3_1"}
QUESTION = [{"role": "user", "content": "1 + 1?"}]


def template_of(model):
    """TRL's copy of the published template."""
    file = next(file for start, file in TEMPLATES.items() if model.split("/")[1].startswith(start))
    return (Path(trl.__file__).parent / "chat_templates" / f"{file}.jinja").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ON_A_CARD, ids=lambda folder: folder.name)
@pytest.mark.parametrize("file", ["sft.yaml", "safety.yaml"])
def test_template_shows_the_reasoning_and_opens_none(folder, file):
    tokenizer = AutoTokenizer.from_pretrained(resolve_model_path("miniature:base"))
    tokenizer.chat_template = template_of(settings(folder / file)["model_name_or_path"])
    assert template_problem(tokenizer, "response") is None
    prompt = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True, tokenize=False)
    assert not think_opened_by(prompt)
