"""What a person meets first: the import, the help, the names."""

import subprocess
import sys
import time

import pytest

import r1_trl
from r1_trl.cli import STAGES, TOOLS, main


def seconds(*words):
    started = time.monotonic()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.monotonic() - started


def test_import_is_light():
    code = "import sys, r1_trl; assert not {'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules)"
    assert min(seconds("-c", code) for _ in range(3)) - min(seconds("-c", "pass") for _ in range(3)) < 0.15


def test_help_answers_in_a_second():
    assert min(seconds("-m", "r1_trl", "--help") for _ in range(3)) < 1.0


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert [name for name in (*STAGES, *TOOLS) if f"\n  {name} " not in text] == []


@pytest.mark.parametrize("stage", STAGES)
def test_help_of_a_stage_is_grouped(stage, capsys):
    with pytest.raises(SystemExit) as ended:
        main([stage, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"r1-trl {stage}: ")
    groups = [
        line.split(".")[0] for line in text.splitlines() if line.split(".")[0] in ("r1_trl", "trl", "transformers")
    ]
    assert groups == sorted(groups, key=["r1_trl", "trl", "transformers"].index)
    assert "--model_name_or_path STR" in text
    assert max(map(len, text.splitlines())) <= 120


def test_public_names_exist():
    assert [name for name in r1_trl.__all__ if not hasattr(r1_trl, name)] == []


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == r1_trl.__version__


def test_bad_input_of_a_tool_for_rows_names_the_tool(capsys, tmp_path):
    (tmp_path / "tool.yaml").write_text("output_dir: out\n")
    assert main(["data", "decontaminate", "--config", str(tmp_path / "tool.yaml")]) == 2
    assert capsys.readouterr().err.startswith(f"r1-trl data decontaminate --config {tmp_path / 'tool.yaml'}: ")
    assert main(["data", "decontaminat"]) == 2
    assert "unknown tool `decontaminat`" in capsys.readouterr().err
