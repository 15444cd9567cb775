"""`r1-trl data judge-pairs`: by a rule, by a server, killed and resumed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from datasets import Dataset

from r1_trl.errors import InputError
from r1_trl.sampling.answer_file import AnswerFile
from r1_trl.sampling.run import hash_prompts
from r1_trl.sampling.sampler import Sample
from r1_trl.stages.judge_pairs import main, read_samples
from r1_trl.tasks.sources import load_split
from tests.preference.reward_data import run_reward_model

ANSWERS = re.compile(r"<answer_a>\n(.*?)\n</answer_a>.*<answer_b>\n(.*?)\n</answer_b>", re.DOTALL)


def near(question, answer_a, answer_b):
    """A rule: the nearer to the sum the better, and the one that stands first a bit more so."""
    gold = sum(int(number) for number in re.findall(r"-?\d+", question.replace("- ", "-")))
    scores = [10.0 - min(9, abs(gold - int(answer))) for answer in (answer_a, answer_b)]
    return min(10.0, scores[0] + 0.5), scores[1]


class Judge(BaseHTTPRequestHandler):
    """Answers as an LLM server does: the greater number is better, and every 7th reply has no verdict."""

    asked = 0
    delay = 0.0

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked += 1
        time.sleep(self.delay)
        prompt = request["messages"][0]["content"]
        first, second = (int(text) for text in ANSWERS.search(prompt).groups())
        verdict = "[[8, 3]]" if first > second else "[[3, 8]]"
        text = "I cannot say." if (first + second) % 7 == 0 else f"They differ.\n{verdict}"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": request["model"], "choices": [choice]}
        body["usage"] = {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # the kernel drops connections that wait in a longer line


@pytest.fixture
def server():
    Judge.asked, Judge.delay = 0, 0.0
    running = Server(("127.0.0.1", 0), Judge)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/v1"
    running.shutdown()


def prompts(size):
    return [[{"role": "user", "content": f"what is {n} + 3 ?"}] for n in range(size)]


def write(folder, content, name="rows.jsonl", rows=None):
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows or []))
    settings = {"output_dir": str(folder / "pairs"), "dataset_name": str(folder / name), **content}
    config = folder / "judge.yaml"
    config.write_text(json.dumps(settings))
    return ["--config", str(config)]


def candidates(size):
    return [
        {"prompt": prompt, "responses": [f"<think>so</think><answer>{n + 3}</answer>", str(n + 6), "<think>oh"]}
        for n, prompt in enumerate(prompts(size))
    ]


def read(folder, name):
    return [json.loads(line) for line in (folder / "pairs" / name).read_text().splitlines()]


def test_by_a_rule(tmp_path, capsys):
    rows = [*candidates(40), {"prompt": prompts(1)[0], "responses": ["3", "3"]}]
    main(write(tmp_path, {"judge_function": "tests.stages.test_judge_pairs.near"}, rows=rows))
    pairs = read(tmp_path, "pairs.jsonl")
    assert len(pairs) == 40
    assert all(pair["chosen"][0]["content"].startswith("<think>so") for pair in pairs)
    assert all(pair["judge"] == "tests.stages.test_judge_pairs.near" for pair in pairs)
    assert all(len(pair["votes"]) == 4 for pair in pairs)
    assert len({pair["margin"] for pair in pairs}) > 1, "the order of the answers is drawn for each vote"
    funnel = json.loads((tmp_path / "pairs" / "funnel.json").read_text())
    assert funnel == {
        "prompts": 41,
        "prompts with different answers": 40,
        "prompts with a comparable pair": 40,
        "pairs": 40,
        "votes": 160,
        "votes without a verdict": 0,
        "pairs with all votes": 40,
        "pairs kept (margin > 1)": 40,
    }
    assert json.loads((tmp_path / "pairs" / "stage.json").read_text())["metrics"] == funnel
    assert re.search(r"pairs kept \(margin > 1\) +40", capsys.readouterr().out)


def test_pairs_train_a_reward_model(tmp_path):
    main(write(tmp_path, {"judge_function": "tests.stages.test_judge_pairs.near"}, rows=candidates(32)))
    assert load_split(str(tmp_path / "pairs" / "pairs.jsonl")).num_rows == 32
    run = run_reward_model(tmp_path, "helpful", dataset_name=str(tmp_path / "pairs" / "pairs.jsonl"), max_steps=1)
    assert (run / "reward_model.json").is_file()


def test_by_a_server_from_samples(tmp_path, server):
    path = tmp_path / "samples.jsonl"
    with AnswerFile(path, {"prompts": hash_prompts(prompts(14))}, exact=False) as file:
        for question in range(14):
            for number, answer in enumerate((10, 11)):
                file.append((question, number), Sample(f"<think>so</think>{answer + question}", 5, False))
    judge = {"judge_base_url": [server], "judge_model": "judge", "samples_file": str(path)}
    main(write(tmp_path, judge, rows=[{"prompt": prompt} for prompt in prompts(20)]))
    assert Judge.asked == 14 * 4
    funnel = json.loads((tmp_path / "pairs" / "funnel.json").read_text())
    assert (funnel["prompts"], funnel["pairs"], funnel["votes"]) == (20, 14, 56)
    assert funnel["votes without a verdict"] == 2 * 4, "every 7th pair adds up so"
    pairs = read(tmp_path, "pairs.jsonl")
    assert len(pairs) == 12
    assert all(pair["margin"] == 5.0 and pair["candidates"] == [1, 0] for pair in pairs)
    assert all(set(map(tuple, pair["votes"])) == {(8.0, 3.0)} for pair in pairs), "whatever the order"

    main(write(tmp_path, judge, rows=[{"prompt": prompt} for prompt in prompts(20)]))
    assert Judge.asked == 14 * 4, "nothing is asked twice"
    with pytest.raises(InputError, match="holds answers of another run: `seed` was `42`"):
        main(write(tmp_path, {**judge, "seed": 1}, rows=[{"prompt": prompt} for prompt in prompts(20)]))
    others = [{"prompt": [{"role": "user", "content": "why ?"}]}] * 20
    with pytest.raises(InputError, match=r"samples\.jsonl` answers other prompts"):
        main(write(tmp_path, judge, rows=others))


def test_samples_of_a_part_of_a_mixture(tmp_path):
    """`num_questions: 3` of two sources takes two rows of the larger one and one of the other."""
    rows = Dataset.from_dict({"prompt": [f"{n} + 1" for n in range(9)], "source": ["a"] * 6 + ["b"] * 3})
    path = tmp_path / "samples.jsonl"
    with AnswerFile(path, {"prompts": hash_prompts(["0 + 1", "1 + 1", "6 + 1"])}, exact=False) as file:
        for question in range(3):
            file.append((question, 0), Sample(f"answer {question}", 5, False))
    answers = read_samples(path, rows, "datasets")
    assert [row for row, given in enumerate(answers) if given] == [0, 1, 6]
    with pytest.raises(InputError, match="answers other prompts"):
        read_samples(path, rows, "rows.jsonl")


def test_killed_and_resumed(tmp_path, server):
    Judge.delay = 0.05
    judge = {"judge_base_url": [server], "judge_model": "judge", "judge_max_concurrent_requests": 2}
    words = write(tmp_path, judge, rows=candidates(30))
    command = [sys.executable, "-c", "import sys; from r1_trl.stages.judge_pairs import main; main(sys.argv[1:])"]
    votes = tmp_path / "pairs" / "votes.jsonl"
    running = subprocess.Popen(
        [*command, *words], env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not votes.is_file() or votes.read_text().count("\n") < 30):
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    kept = votes.read_text().count("\n")
    assert 30 <= kept < 120
    assert not (tmp_path / "pairs" / "pairs.jsonl").exists()
    before, Judge.delay = Judge.asked, 0.0
    main(words)
    assert Judge.asked - before == 120 - kept
    assert votes.read_text().count("\n") == 120
    resumed = read(tmp_path, "pairs.jsonl")
    main(write(tmp_path, {**judge, "output_dir": str(tmp_path / "again")}, rows=candidates(30)))
    assert resumed == [json.loads(line) for line in (tmp_path / "again" / "pairs.jsonl").read_text().splitlines()]


RULE = {"judge_function": "tests.stages.test_judge_pairs.near"}
LLM = {"judge_base_url": ["http://localhost:1/v1"], "judge_model": "judge"}
BAD = [
    ({}, None, ["name one judge"], "no judge"),
    ({**RULE, **LLM}, None, ["name one judge"], "two judges"),
    ({"judge_function": "nowhere.near"}, None, ["no judge 'nowhere.near'"], "unknown rule"),
    ({"judge_function": "tests.stages.test_judge_pairs.nearer"}, None, ["did you mean 'near'"], "unknown function"),
    ({"judge_base_url": ["localhost:1"], "judge_model": "x"}, None, ["`judge_base_url: localhost:1`"], "no address"),
    ({"judge_base_url": ["http://localhost:1/v1"]}, None, ["`judge_model` is missing"], "no model"),
    ({**LLM, "judge_api_key_env": "NO_SUCH"}, None, ["`judge_api_key_env: NO_SUCH`"], "no key"),
    ({**LLM, "judge_prompt_file": "nowhere.txt"}, None, ["`judge_prompt_file: nowhere.txt`"], "no prompt"),
    ({**RULE, "num_votes": 0}, None, ["`num_votes: 0` must be at least 1"], "no vote"),
    ({**RULE, "max_length_ratio": 0.5}, None, ["`max_length_ratio: 0.5` must be at least 1"], "a ratio below 1"),
    ({**RULE, "min_margin": -1}, None, ["`min_margin: -1` must be at least 0"], "a negative margin"),
    ({**LLM, "judge_top_p": 2.0}, None, ["`judge_top_p: 2.0`"], "a nucleus above 1"),
    ({**LLM, "judge_request_timeout": 0}, None, ["`judge_request_timeout: 0"], "no time"),
    ({**RULE, "scores": "summary"}, None, ["`scores: summary` must be answer or response"], "unknown part"),
    ({**RULE, "num_vote": 4}, None, ["`num_vote`", "did you mean `num_votes`"], "unknown key"),
    ({**RULE, "dataset_name": None}, None, ["`dataset_name` is missing"], "no prompts"),
    (RULE, {"prompt": "1"}, ["no column `responses`", "judge-pairs"], "no candidates"),
    (RULE, {"prompt": "1", "responses": "2"}, ["row 0: must be a list of texts"], "no list"),
    ({**RULE, "samples_file": "nowhere.jsonl"}, None, ["`samples_file: nowhere.jsonl`: no such file"], "no samples"),
]


@pytest.mark.parametrize(("content", "row", "words", "reason"), BAD, ids=[case[-1] for case in BAD])
def test_bad_input_is_refused_before_anybody_is_asked(tmp_path, content, row, words, reason):
    row = row or {"prompt": "1 + 1 =", "responses": ["2", "3"]}
    config = write(tmp_path, content, rows=[row])
    settings = json.loads((tmp_path / "judge.yaml").read_text())
    (tmp_path / "judge.yaml").write_text(json.dumps({k: v for k, v in settings.items() if v is not None}))
    with pytest.raises(InputError) as error:
        main(config)
    assert [word for word in words if word not in str(error.value)] == [], str(error.value)
    assert not (tmp_path / "pairs").exists()
