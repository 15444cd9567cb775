"""Folders as stages leave them, with completions as hostile as they come."""

import json

import pandas as pd

HOSTILE = {
    "script": "<script>window.hacked = 1</script>",
    "end of script": "</script><img src=x onerror='window.hacked = 2'>",
    "template": "{{ 7 * 7 }} {% raw %} ${window.hacked = 3}",
    "right to left": "\u202eterces\u202c \u2066x\u2069",
    "null and controls": "a\x00b\x1bc\x7f",
    "quotes": "\"'`<!-- ]]> &lt;b&gt;",
    "latex": r"\frac{1}{2} $x^2$ \boxed{4}",
    "astral": "𝔘𝔫𝔦 🧮 ok",
    "nothing": "",
    "long": "x" * 1_000_000,
}
TEXTS = tuple(HOSTILE.values())
EVALUATION = {"pass@1_ci95": [0.4, 0.6], "cons@4": 0.5, "mean_completion_tokens": 20.0, "questions": 8}
ARGUMENTS = {"learning_rate": 1e-6, "reward_funcs": ["accuracy_reward"], "hub_token": "hf_topsecret", "seed": 0}


def grpo_logs(steps=10, better=0.5):
    """Logs of a GRPO run: held-out ones at the ends."""
    logs = []
    for step in range(1, steps + 1):
        share = better * step / steps
        logs.append(
            {
                "step": step,
                "reward": 1 + share,
                "kl": 0.001 * step,
                "entropy": 0.5 - 0.01 * step,
                "completions/mean_length": 10.0 + step,
                "completions/clipped_ratio": 0.0,
                "frac_reward_zero_std": 0.25,
                "clip_ratio/region_mean": 0.0,
                "rewards/accuracy_reward/mean": share,
                "rewards/format_reward/mean": 1.0,
                "rewards/language_consistency_reward/mean": share,
                "reflection/words_per_thousand": 1.0 + step,
            }
        )
    held_out = [{"step": step, "eval_pass@1": better * step / steps} for step in (1, steps)]
    return [*logs, *held_out]


def write_stage(folder, command, logs=None, **record):
    """A stage that has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "stage": command,
        "wall_seconds": 60.0,
        "metrics": {},
        "inputs": {"model": {"name": "miniature:base"}},
        "device": "cpu, 2 cores",
        "versions": {"python": "3.11.7", "trl": "1.16.0"},
        "arguments": {**ARGUMENTS, "output_dir": str(folder)},
        **record,
    }
    (folder / "stage.json").write_text(json.dumps(content))
    if logs is not None:
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": 10, "log_history": logs}))
    return folder


def write_evaluation(folder, model, share, questions="held out", **record):
    """The evaluation of a model on questions."""
    inputs = {"model": {"name": model, "sha256": None}, "questions": {"name": "datasets", "sha256": questions}}
    return write_stage(folder, "evaluate", metrics={**EVALUATION, "pass@1": share}, inputs=inputs, **record)


def write_completions(folder, step, texts, right=1.0, **columns):
    """The completions of one training step."""
    table = pd.DataFrame(
        {
            "step": step,
            "prompt": [[{"role": "user", "content": f"question {index}"}] for index in range(len(texts))],
            "completion": [[{"role": "assistant", "content": text}] for text in texts],
            "accuracy_reward": right,
            "format_reward": 0.5,
            "solution": "4",
            "verdict": "right" if right else "wrong",
            "advantage": 0.25,
            **columns,
        }
    )
    (folder / "completions").mkdir(exist_ok=True)
    table.to_parquet(folder / "completions" / f"completions_{step:05d}.parquet")


def damage(file):
    """Spoils the data of a parquet file, but not the description at its end."""
    data = bytearray(file.read_bytes())
    data[4 : len(data) // 2] = bytes(0xFF for _ in data[4 : len(data) // 2])
    file.write_bytes(data)


def write_samples(folder, verdicts, answer="4"):
    """The samples of an evaluation, a question each."""
    pd.DataFrame(
        {
            "question": range(len(verdicts)),
            "prompt": [[{"role": "user", "content": f"sum {index}"}] for index in range(len(verdicts))],
            "completion": f"<think>so {answer}</think><answer>{answer}</answer>",
            "correct": verdicts,
            "well_formed": 1.0,
            "source": [f"source {index % 2}" for index in range(len(verdicts))],
            "solution": "4",
        }
    ).to_parquet(folder / "samples.parquet")


def write_run(folder, texts=TEXTS, better=0.5, **arguments):
    """Cold start, its evaluation, GRPO and its evaluation."""
    start = write_stage(folder / "cold_start", "sft", [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}])
    grpo = folder / "grpo"
    settings = {**ARGUMENTS, "output_dir": str(grpo), "model_name_or_path": str(start), **arguments}
    write_stage(grpo, "grpo", grpo_logs(better=better), arguments=settings)
    for step, right in ((1, 0.0), (10, 1.0)):
        write_completions(grpo, step, texts, right)
    for name, share, verdicts in (("cold_start", 0.25, [0.0, 0.0]), ("grpo", 0.75, [0.0, 1.0])):
        evaluation = write_evaluation(folder / f"{name}_evaluation", name, share)
        write_samples(evaluation, verdicts, answer=name)
    return folder
