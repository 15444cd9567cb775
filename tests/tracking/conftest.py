"""A short run of the miniature as words of the command line, and an environment in which W&B is offline."""

import http.server
import os
import threading

import pytest


@pytest.fixture
def words(tmp_path):
    flags = {
        "output_dir": tmp_path / "run",
        "model_name_or_path": "miniature:base",
        "max_steps": 2,
        "logging_steps": 1,
        "per_device_train_batch_size": 32,
        "eval_strategy": "no",
        "eval_on_start": False,
        "save_strategy": "no",
        "max_completion_length": 24,
    }
    named = [word for key, value in flags.items() for word in (f"--{key}", str(value))]
    return ["grpo", "--config", "recipes/miniature_cpu/grpo.yaml", *named]


@pytest.fixture
def offline(monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture
def refused(request, offline, monkeypatch):
    """A W&B server that answers each request by the status in `request.param`."""

    class Refusal(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(request.param)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 as http.server calls it

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.delenv("WANDB_MODE")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
