"""Servers that refuse, stumble, hang, die and return: every answer comes, once, and nobody is overrun."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from r1_trl.errors import InputError
from r1_trl.sampling import OpenAISampler, Request, Sample, servers
from tests.sampling.misbehaving_server import ANSWER, MisbehavingServer

CHAT = [{"role": "user", "content": "2 + 2"}]


@pytest.fixture(autouse=True)
def short_rests(monkeypatch):
    monkeypatch.setattr(servers, "FIRST_REST", 0.05)
    monkeypatch.setattr(servers, "LONGEST_REST", 0.2)


def sample(urls, count=6, prompt="2 + 2", **settings):
    settings = {"max_completion_length": 20, "request_timeout": 10.0, "server_timeout": 5.0, **settings}
    sampler = OpenAISampler(urls, "my-model", **settings)
    found = list(sampler.sample([Request(prompt, seed) for seed in range(count)]))
    assert sorted(index for index, _ in found) == list(range(count))
    return [answer for _, answer in sorted(found)]


@pytest.mark.parametrize(("prompt", "key"), [("2 + 2", "prompt"), (CHAT, "messages")], ids=["text", "conversation"])
def test_what_is_asked(prompt, key):
    with MisbehavingServer() as server:
        answers = sample([server.url], 3, prompt, temperature=0.7, top_p=0.9, extra_body={"top_k": -1})
        assert answers == [Sample(ANSWER, 9, False)] * 3
        assert sorted(body["seed"] for body in server.requests) == [0, 1, 2]
        expected = {"model": "my-model", key: prompt, "max_tokens": 20, "temperature": 0.7, "top_p": 0.9, "top_k": -1}
        assert all({**expected, "seed": body["seed"]} == body for body in server.requests)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "<answer>4</answer>", "reasoning_content": "2 + 2"}, "<think>2 + 2</think><answer>4</answer>"),
        ({"content": "<answer>4</answer>", "reasoning": "2 + 2"}, "<think>2 + 2</think><answer>4</answer>"),
        ({"content": None, "reasoning_content": "2 +"}, "<think>2 +</think>"),
        ({"content": "4 \ud800"}, "4 ?"),
    ],
    ids=["parsed by the server", "by vLLM's newer name", "cut off", "a lone surrogate"],
)
def test_message(message, text):
    with MisbehavingServer(lambda number, body: message) as server:
        assert [answer.completion for answer in sample([server.url], 1, CHAT)] == [text]


@pytest.mark.parametrize("failure", [429, 500, 503, "drop", "hang"])
def test_a_failure_is_tried_again(failure):
    with MisbehavingServer(lambda number, body: failure if number in (0, 3) else ANSWER) as server:
        assert sample([server.url], 6, request_timeout=0.3) == [Sample(ANSWER, 9, False)] * 6
        assert len(server.requests) >= 8


NO_ANSWERS = [
    b'{"error": {"message": "overloaded", "code": 502}}',
    b'{"choices": []}',
    b'{"choices": [{"index": 0}]}',
    b'{"choices": [',
    b"null",
    b"<html>gateway</html>",
]


@pytest.mark.parametrize("prompt", ["2 + 2", CHAT], ids=["text", "conversation"])
@pytest.mark.parametrize("response", NO_ANSWERS, ids=["error", "no choice", "no text", "cut off", "null", "a page"])
def test_a_200_without_an_answer_is_a_failure(response, prompt):
    with MisbehavingServer(lambda number, body: response if number in (0, 3) else ANSWER) as server:
        assert sample([server.url], 6, prompt) == [Sample(ANSWER, 9, False)] * 6
    with MisbehavingServer(lambda number, body: response) as server, pytest.raises(InputError, match="no server"):
        sample([server.url], 2, prompt, server_timeout=0.3)


def test_a_page_in_place_of_the_list_of_models():
    with MisbehavingServer(lambda number, body: 503 if number == 0 else ANSWER, models=b"<html></html>") as server:
        assert sample([server.url], 2) == [Sample(ANSWER, 9, False)] * 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_one_prompt_is_refused_for_does_not_end_the_run(status):
    with MisbehavingServer(lambda number, body: status if body["seed"] == 2 else ANSWER) as server:
        answers = sample([server.url])
        assert len(server.requests) == 6
    assert [answer.refusal is None for answer in answers] == [True, True, False, True, True, True]
    assert f"status {status}" in answers[2].refusal
    assert answers[2][:3] == ("", 0, True)


@pytest.mark.parametrize("broken", ["a proxy", "the key is gone"])
@pytest.mark.timeout(20)
def test_a_client_that_cannot_be_made_ends_the_run(monkeypatch, broken):
    if broken == "a proxy":
        monkeypatch.setenv("ALL_PROXY", "nonsense://127.0.0.1:9")
    with pytest.raises(InputError, match="no client can be made for http" if broken == "a proxy" else "NO_SUCH_KEY"):
        sample(["http://127.0.0.1:8/v1"], api_key_env=None if broken == "a proxy" else "NO_SUCH_KEY")


def test_a_bug_reaches_the_main_thread(monkeypatch):
    monkeypatch.setattr(OpenAISampler, "_client", lambda self, url: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sample(["http://127.0.0.1:8/v1"])


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_for_good_ends_the_run(status):
    with MisbehavingServer(lambda number, body: status) as server:
        with pytest.raises(InputError, match=f"127.0.0.1.*status {status}"):
            sample([server.url])
        assert len(server.requests) <= 6


def test_back_pressure():
    with MisbehavingServer(seconds=0.02) as server:
        sample([server.url], 40, max_concurrent_requests=4)
        assert server.most_in_flight == 4


def test_servers_share_the_work():
    with MisbehavingServer(seconds=0.3) as one, MisbehavingServer(seconds=0.3) as other:
        sample([one.url, other.url], 8, max_concurrent_requests=8)
        assert (len(one.requests), len(other.requests)) == (4, 4)


def test_the_one_with_the_fewest_outstanding_is_asked():
    """A server that is eight times as fast does most of the work."""
    with MisbehavingServer(seconds=0.05) as fast, MisbehavingServer(seconds=0.4) as slow:
        sample([fast.url, slow.url], 60, max_concurrent_requests=3)
        assert len(fast.requests) > 2 * len(slow.requests) > 0
        assert (fast.most_in_flight, slow.most_in_flight) == (3, 3)


def test_one_that_refuses_quickly_does_not_draw_all_requests():
    with MisbehavingServer(lambda number, body: 500) as broken, MisbehavingServer(seconds=0.02) as good:
        sample([broken.url, good.url], 60, max_concurrent_requests=3)
        assert len(good.requests) == 60
        assert len(broken.requests) < 12


def test_a_server_that_dies_and_returns():
    with MisbehavingServer(seconds=0.02) as steady:
        first = MisbehavingServer(seconds=0.02)
        returned: list[MisbehavingServer] = []

        def die_and_return():
            time.sleep(0.3)
            first.__exit__()
            time.sleep(0.4)
            returned.append(MisbehavingServer(port=first.port).__enter__())

        with first:
            life = threading.Thread(target=die_and_return)
            life.start()
            answers = sample([first.url, steady.url], 240, max_concurrent_requests=2)
            life.join()
        assert answers == [Sample(ANSWER, 9, False)] * 240
        assert first.requests
        assert returned[0].seen["GET"] >= 1  # looked at before it was trusted
        assert returned[0].requests
        returned[0].__exit__()


def test_the_only_server_is_not_there_yet():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    started = []
    timer = threading.Timer(0.6, lambda: started.append(MisbehavingServer(port=port).__enter__()))
    timer.start()
    assert len(sample([f"http://127.0.0.1:{port}/v1"], 3)) == 3
    started[0].__exit__()


@pytest.mark.parametrize("behave", [lambda number, body: 503, lambda number, body: "drop"], ids=["503", "drop"])
def test_no_server_answers(behave):
    with MisbehavingServer(behave) as server:
        started = time.monotonic()
        with pytest.raises(InputError, match=r"no server has answered .*`server_timeout`.*127\.0\.0\.1"):
            sample([server.url], server_timeout=0.6)
        assert 0.6 < time.monotonic() - started < 5


def test_leaving_early_stops_the_requests():
    with MisbehavingServer(seconds=0.05) as server:
        sampler = OpenAISampler([server.url], "my-model", max_concurrent_requests=2)
        answers = sampler.sample([Request("2 + 2", seed) for seed in range(1000)])
        next(answers)
        answers.close()
        time.sleep(0.2)  # what has been sent arrives
        asked = len(server.requests)
        time.sleep(0.2)
        assert len(server.requests) == asked < 10


def test_the_key_comes_from_the_environment_and_only_when_named(monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-1")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-2")
    with MisbehavingServer() as server:
        sample([server.url], 1)
        sample([server.url], 1, api_key_env="MY_KEY")
        sent = [str(headers) for headers in server.headers]
    assert "secret" not in sent[0]
    assert "Bearer secret-1" in sent[1]
