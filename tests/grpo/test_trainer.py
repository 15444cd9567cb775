"""What R1GRPOTrainer adds: rewards learn whether the prompt has opened the thinking."""

from pathlib import Path

import pytest
from datasets import Dataset
from transformers import AutoTokenizer

from r1_trl import R1GRPOConfig, R1GRPOTrainer, format_reward

OPENING = "{{ messages[0]['content'] }}{% if add_generation_prompt %} <think> {% endif %}"
QUESTION = [{"role": "user", "content": "what is 5 + 3 ?"}]


@pytest.mark.parametrize(
    ("template", "prompt", "expected"),
    [
        pytest.param(OPENING, QUESTION, True, id="the template opens it"),
        pytest.param(None, QUESTION, False, id="the template does not"),
        pytest.param(None, "what is 5 + 3 ? <think>", True, id="the text opens it"),
        pytest.param(None, "what is 5 + 3 ?", False, id="the text does not"),
    ],
)
def test_rewards_are_told(cpu_args, base_path, template, prompt, expected):
    seen = []

    def reward(completions, think_opened, **kwargs):
        seen.extend(think_opened)
        return [0.0] * len(completions)

    tokenizer = AutoTokenizer.from_pretrained(base_path)
    tokenizer.chat_template = template or tokenizer.chat_template
    trainer = R1GRPOTrainer(
        base_path,
        [reward, format_reward],
        args=R1GRPOConfig(**cpu_args, max_steps=1, per_device_train_batch_size=16),
        train_dataset=Dataset.from_list([{"prompt": prompt}] * 4),
        processing_class=tokenizer,
    )
    trainer.train()
    assert set(seen) == {expected}


def test_default_arguments_are_the_papers(base_path, questions, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    trainer = R1GRPOTrainer(base_path, format_reward, train_dataset=questions)
    assert (trainer.beta, trainer.epsilon_high, trainer.num_generations) == (0.001, 10.0, 16)


def test_true_resumes_from_the_last_whole_checkpoint(cpu_args, base_path, questions):
    settings = {**cpu_args, "per_device_train_batch_size": 4, "num_generations": 4, "save_steps": 1}

    def trainer(steps):
        args = R1GRPOConfig(**{**settings, "save_strategy": "steps", "max_steps": steps})
        return R1GRPOTrainer(base_path, format_reward, args, train_dataset=questions)

    first, second = trainer(1), trainer(2)
    first.train()
    (Path(cpu_args["output_dir"]) / "checkpoint-9").mkdir()  # half-written
    second.train(resume_from_checkpoint=True)
    assert [log["step"] for log in second.state.log_history if "loss" in log] == [1, 2]
    seen = first.state.num_input_tokens_seen
    assert second.state.num_input_tokens_seen > seen > 0
