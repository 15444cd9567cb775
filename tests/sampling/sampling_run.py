"""A run of sampling on the miniature, for a process of its own that can be killed."""

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from r1_trl.miniature import resolve_model_path
from r1_trl.sampling.run import sample_to_file
from r1_trl.sampling.transformers import TransformersSampler
from r1_trl.tasks.arithmetic import question_rows

PATH = resolve_model_path("miniature:base")
QUESTIONS, ANSWERS = 60, 8


def run(file: str) -> None:
    torch.set_num_threads(1)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(PATH), AutoTokenizer.from_pretrained(PATH)
    sampler = TransformersSampler(model, tokenizer, 40, temperature=1.0, batch_size=20, seed=5)
    prompts = [row["prompt"] for row in question_rows("train", QUESTIONS)]
    sample_to_file(sampler, prompts, ANSWERS, file, {"seed": 5}, 5)
