"""Pairs and labels of the embedded task, and short runs on them, for the tests of reward models."""

import itertools
import json
import random

from r1_trl.stages.reward_model import main
from r1_trl.tasks.arithmetic import LANGUAGES, draw_sums, question_text, reasoning_text

CPU = {"use_cpu": True, "bf16": False, "report_to": "none", "disable_tqdm": True, "dataloader_pin_memory": False}
RUN = {
    **CPU,
    "model_name_or_path": "miniature:base",
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 64,
    "gradient_accumulation_steps": 1,
    "activation_checkpointing": False,
    "logging_steps": 5,
    "save_strategy": "no",
}


def say(reasoning, answer):
    return [{"role": "assistant", "content": f"<think> {reasoning} </think> <answer> {answer} </answer>"}]


def pair_rows(split, size, terms=(2, 2)):
    """The right sum of a few numbers is better than a wrong one; both are reasoned in the same words."""
    rng = random.Random(f"pairs {split}")
    for drawn in itertools.islice(draw_sums(split, 0, terms=terms), size):
        language = rng.choice(LANGUAGES)
        wrong = rng.choice([n for n in range(max(0, drawn.total - 5), drawn.total + 6) if n != drawn.total])
        reasoning = reasoning_text(drawn, language, rng)
        prompt = [{"role": "user", "content": question_text(drawn, language)}]
        chosen, rejected = say(reasoning, drawn.total), say(reasoning, wrong)
        yield {"prompt": prompt, "chosen": chosen, "rejected": rejected, "margin": 3.0}


def label_rows(split, size):
    """Safe is what is reasoned in English: only the whole response tells."""
    rng = random.Random(f"labels {split}")
    for drawn in itertools.islice(draw_sums(split, 0, terms=(2, 3)), size):
        language = rng.choice(LANGUAGES)
        completion = say(reasoning_text(drawn, language, rng), drawn.total)
        prompt = [{"role": "user", "content": question_text(drawn, rng.choice(LANGUAGES))}]
        yield {"prompt": prompt, "completion": completion, "label": int(language == "en")}


def write_rows(folder, make_rows, train=512, test=256):
    folder.mkdir(parents=True, exist_ok=True)
    for split, size in (("train", train), ("test", test)):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in make_rows(split, size)))
    return folder


def run_reward_model(folder, kind, **settings):
    """Trains a reward model on the embedded task in a folder; returns its `output_dir`."""
    data = folder / kind
    if not data.is_dir():
        write_rows(data, {"helpful": pair_rows, "safety": label_rows}[kind])
    output_dir = settings.pop("output_dir", folder / f"{kind}-model")
    content = {"output_dir": str(output_dir), "kind": kind, "dataset_name": str(data), **RUN, **settings}
    config = folder / f"{kind}.yaml"
    config.write_text(json.dumps(content))  # JSON is YAML
    main(["--config", str(config)])
    return output_dir


def held_out(output_dir, metric):
    history = json.loads((output_dir / "trainer_state.json").read_text())["log_history"]
    return [entry[metric] for entry in history if metric in entry]
