"""A real server on loopback: `transformers serve` with the miniature. Greedy answers are those of `generate`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from r1_trl.sampling import OpenAISampler, Request, sample_completions
from r1_trl.tasks.arithmetic import question_rows

for module in ("fastapi", "uvicorn"):
    pytest.importorskip(module, reason="`transformers serve` needs it")

# The server decodes greedily unless the generation config that it is given says otherwise.
SAMPLE = {"generation_config": '{"do_sample": true, "top_k": 0, "eos_token_id": 1, "pad_token_id": 0}'}


@pytest.fixture(scope="module")
def url(base_path, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [str(Path(sys.executable).parent / "transformers"), "serve", base_path, "--device", "cpu"]
    log = (tmp_path_factory.mktemp("server") / "log").open("wb")
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", port],
        stdout=log,
        stderr=log,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        for _ in range(600):
            assert server.poll() is None, Path(log.name).read_text()
            try:
                httpx2.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx2.ConnectError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def ask(url, base_path, prompts, **settings):
    sampler = OpenAISampler([url], base_path, max_completion_length=40, max_concurrent_requests=4, **settings)
    found = dict(sampler.sample([Request(prompt, seed) for seed, prompt in enumerate(prompts)]))
    return [found[index] for index in range(len(prompts))]


def test_texts_are_answered_as_by_generate(url, base_path):
    tokenizer = AutoTokenizer.from_pretrained(base_path)
    prompts = [
        tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        for row in question_rows("train", 6)
    ]
    model = AutoModelForCausalLM.from_pretrained(base_path)
    expected = sample_completions(model, tokenizer, prompts, 1, 40, temperature=0.0)
    assert ask(url, base_path, prompts, temperature=0.0) == [answer for (answer,) in expected]
    assert all("</answer>" in answer.completion for (answer,) in expected)


def test_truncated(url, base_path):
    sampler = OpenAISampler([url], base_path, max_completion_length=3, temperature=0.0)
    ((_, answer),) = sampler.sample([Request("question : what is 5 + 3 ?", 0)])
    assert (answer.num_tokens, answer.truncated) == (3, True)


def test_conversations_are_sampled(url, base_path):
    prompts = [question_rows("train", 1)[0]["prompt"]] * 12
    answers = ask(url, base_path, prompts, temperature=1.0, top_p=1.0, extra_body=SAMPLE)
    assert len({answer.completion for answer in answers}) > 1
    assert all(answer.completion.startswith("<think>") for answer in answers)  # put back from `reasoning_content`
