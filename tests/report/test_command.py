"""The command: what it refuses, what it takes, and that it never leaves half a file."""

import json
import re

import pytest
import yaml

from r1_trl.errors import InputError
from r1_trl.report.command import main, tell_report, write_report
from r1_trl.report.settings import differences, settings_text
from r1_trl.report.tables import cost_table
from r1_trl.tracking.run_folder import StageFolder, read_run
from tests.report.runs import (
    ARGUMENTS,
    damage,
    grpo_logs,
    write_completions,
    write_evaluation,
    write_run,
    write_samples,
    write_stage,
)


def headings(html):
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", html)


def text_of(folder):
    return write_report([folder], folder / "report.html").read_text(encoding="utf-8")


def test_a_whole_run(tmp_path, capsys):
    folder = write_run(tmp_path / "run")
    main([str(folder)])
    assert capsys.readouterr().out.startswith(f"{folder}/report.html: ")
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert headings(html) == ["What changed", "Stages", "Training", "Cost", "Completions", "Configuration"]
    assert "Right answers to 8 held-out questions, after cold_start and after grpo." in html
    assert "hf_topsecret" not in html
    assert "147,000 hours of an H800 and $294,000" in html
    assert list(folder.glob(".*")) == []


def test_the_same_run_gives_the_same_bytes(tmp_path):
    folder = write_run(tmp_path / "run")
    assert text_of(folder) == text_of(folder)


def test_nothing_outside_the_file_is_named(tmp_path):
    html = text_of(write_run(tmp_path / "run"))
    assert re.findall(r'(?:src|href|action)="(?!#|data:)', html) == []
    assert "default-src 'none'" in html


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "`nowhere`: no such folder"),
        (["empty"], "`empty` is no run"),
        (["run", "nowhere"], "`nowhere`: no such folder"),
        (["run", "--output", "empty"], "--output empty: is a folder"),
        (["run", "--output", "file/report.html"], "--output file/report.html: cannot be written"),
    ],
)
def test_bad_input(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    write_stage(tmp_path / "run" / "grpo", "grpo")
    with pytest.raises(InputError, match=re.escape(message)):
        main(words)


def test_a_run_that_has_just_begun(tmp_path):
    folder = tmp_path / "run"
    (folder / "grpo").mkdir(parents=True)
    (folder / "grpo" / "trainer_state.json").write_text(json.dumps({"global_step": 1, "log_history": []}))
    html = text_of(folder)
    assert headings(html) == ["Stages", "Configuration"]
    assert "Not finished" in html


def test_a_training_that_has_not_ended(tmp_path):
    checkpoint = tmp_path / "grpo" / "checkpoint-10"
    checkpoint.mkdir(parents=True)
    (checkpoint / "complete.json").write_text("{}")
    state = {"global_step": 10, "log_history": grpo_logs()}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    html = text_of(tmp_path / "grpo")
    assert headings(html)[:2] == ["What changed", "Stages"]
    assert "Right answers to held-out questions at step 1 and at step 10." in html


def test_one_stage_without_completions_evaluation_or_language_reward(tmp_path):
    logs = [{k: v for k, v in log.items() if "language" not in k and "eval" not in k} for log in grpo_logs()]
    html = text_of(write_stage(tmp_path / "grpo", "grpo", logs))
    assert "Language consistency</h4>" not in html
    assert "Completions</h2>" not in html
    assert "Reward</h4>" in html


def test_a_stage_that_says_nothing_but_its_name(tmp_path):
    folder = tmp_path / "merge"
    folder.mkdir()
    (folder / "stage.json").write_text(json.dumps({"stage": "merge", "metrics": {}}))
    assert "merge" in text_of(folder)


def test_half_a_surrogate_pair_in_a_record(tmp_path):
    html = text_of(write_stage(tmp_path / "sft", "sft", arguments={"run_name": "a\ud800"}))
    assert "sft" in html


def test_a_report_that_fails_leaves_the_old_one(tmp_path):
    folder = write_run(tmp_path / "run", texts=("a",))
    before = text_of(folder)
    (folder / "grpo" / "stage.json").write_text("{")
    with pytest.raises(InputError, match="is no JSON"):
        write_report([folder], folder / "report.html")
    assert (folder / "report.html").read_text(encoding="utf-8") == before


@pytest.mark.parametrize("spoil", [damage, lambda file: file.write_bytes(b"PAR1 half")])
def test_damaged_samples_of_an_evaluation(tmp_path, spoil):
    folder = write_run(tmp_path / "run", texts=("a",))
    spoil(folder / "grpo_evaluation" / "samples.parquet")
    html = text_of(folder)
    assert "Not readable: grpo_evaluation/samples.parquet." in html
    assert "One question, before and after" not in html


def test_a_run_whose_completions_are_all_damaged(tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    write_completions(folder, 1, ["a"])
    (folder / "completions" / "completions_00001.parquet").write_bytes(b"")
    assert "Not readable: grpo/completions_00001.parquet." in text_of(folder)


def test_a_record_with_nothing_in_its_parts(tmp_path):
    parts = dict.fromkeys(("inputs", "metrics", "arguments", "versions"))
    runs = [write_stage(tmp_path / name, "grpo", grpo_logs(), **parts) for name in ("a", "b")]
    assert "GRPO" in text_of(runs[0])
    assert "not recorded yet" in write_report(runs, tmp_path / "report.html").read_text(encoding="utf-8")


def test_benchmarks_of_one_model_lie_side_by_side(tmp_path):
    for name, share, questions in (("math", 0.839, 500), ("aime", 0.289, 30)):
        write_evaluation(tmp_path / "run" / name, "m", share, name)
        record = json.loads((tmp_path / "run" / name / "stage.json").read_text())
        record["metrics"]["questions"] = questions
        (tmp_path / "run" / name / "stage.json").write_text(json.dumps(record))
    html = text_of(tmp_path / "run")
    assert headings(html)[0] == "Results"
    assert '<span class="arrow"' not in html
    assert "math to 500 held-out questions" in html
    assert "aime to 30 held-out questions" in html


def test_runs_are_compared_on_the_questions_that_they_share(tmp_path):
    for run, asked in (("x", (("math", 0.8), ("aime", 0.3))), ("y", (("aime", 0.4), ("code", 0.5)))):
        for place, (questions, share) in enumerate(asked):
            write_evaluation(tmp_path / run / f"{place}_{questions}", "m", share, questions)
    html = write_report([tmp_path / "x", tmp_path / "y"], tmp_path / "r.html").read_text(encoding="utf-8")
    assert re.findall(r'<span class="big">([^<]*)</span>', html) == ["30.0%", "40.0%"]
    html = write_report([tmp_path / "x" / "0_math", tmp_path / "y"], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No two runs share their questions" in html
    assert "Right answers (pass@1)" not in html


def test_the_example_hides_no_character(tmp_path):
    folder = write_run(tmp_path / "run", texts=("a",))
    for name, right in (("cold_start", 0.0), ("grpo", 1.0)):
        write_samples(folder / f"{name}_evaluation", [right], answer="x\u202ey\u200b")
    html = text_of(folder)
    assert "x‹U+202E›y‹U+200B›" in html
    assert not {"\u202e", "\u200b"} & set(html)


def test_the_end_of_a_run_tells_why_there_is_no_report(tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    assert tell_report(folder) == f"Report: {folder}/report.html"
    (folder / "stage.json").write_text("{")
    assert tell_report(folder).startswith(f"No report: {folder}/stage.json is no JSON")


def test_runs_of_one_name_are_told_apart(tmp_path):
    runs = [write_run(tmp_path / parent / "run", texts=("a",)) for parent in ("x", "y")]
    html = write_report([*runs, runs[0]], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>x/run (1) · y/run · x/run (3)</h1>" in html
    assert "The settings are the same." in html


def test_several_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main([str(write_run(tmp_path / "one")), str(write_run(tmp_path / "two", seed=7))])
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert headings(html)[:3] == ["Results", "Differences of the configurations", "Training"]


def test_runs_without_a_common_stage_are_compared_by_command(tmp_path):
    runs = [write_stage(tmp_path / name, "grpo", grpo_logs()) for name in ("slow", "fast")]
    html = write_report(runs, tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<h3>grpo</h3> <span class="what">GRPO</span>' in html


def test_cost_of_stages_old_and_new(tmp_path):
    ledger = {"wall_seconds": 7200.0, "device_hours": 2.0, "tokens_generated": 1000, "tokens_trained": 500}
    write_stage(tmp_path / "run" / "new", "grpo", cost={**ledger, "peak_memory_gb": 1.5, "usd": 4.0})
    write_stage(tmp_path / "run" / "old", "grpo", [])
    table = cost_table(read_run(tmp_path / "run"))
    titles = ["Stage", "Wall time", "Device hours", "Tokens generated", "Tokens trained", "Peak memory", "Cost"]
    assert table.columns == titles
    assert sorted(table.rows) == [
        ["new", "2 h 00 min", "2.0000", "1,000", "500", "1.5 GB", "$4.00"],
        ["old", "1 min 00 s", "0.0167", "", "0", "", ""],
    ]
    assert table.total == ["Total", "2 h 01 min", "2.0167", "≥ 1,000", "500", "≥ 1.5 GB", "≥ $4.00"]


def test_settings_are_yaml_without_secrets():
    text = settings_text({**ARGUMENTS, "nested": {"api_key": "sk-secret", "eos_token": "</s>"}})
    assert yaml.safe_load(text)["learning_rate"] == 1e-6
    assert "topsecret" not in text
    assert "sk-secret" not in text
    assert "</s>" in text


def test_differences_name_the_setting(tmp_path):
    for name, rate in (("a", 1e-6), ("b", 2e-6)):
        folder = tmp_path / name / "grpo"
        settings = {"output_dir": str(folder), "model_name_or_path": f"{tmp_path}/{name}/sft", "learning_rate": rate}
        sources = [{"path": "same", "weight": rate}]
        write_stage(
            folder, "grpo", arguments={**settings, "datasets": sources, **({"only_a": None} if name == "a" else {})}
        )
    stages = [read_run(tmp_path / name).stages[0] for name in ("a", "b")]
    assert differences(stages) == [
        ["learning_rate", "1e-06", "2e-06"],
        ["datasets.0.weight", "1e-06", "2e-06"],
        ["only_a", "null", "not there"],
    ]


def test_a_stage_that_one_run_lacks_is_one_difference(tmp_path):
    write_stage(tmp_path / "a" / "grpo", "grpo", arguments={"learning_rate": 1e-6, "seed": 0})
    [stage] = read_run(tmp_path / "a").stages
    assert differences([stage, None]) == [["the whole stage", "there", "not there"]]
    assert differences([None, None]) == []


def test_a_stage_that_has_not_ended_is_no_stage_with_the_same_settings(tmp_path):
    ended = StageFolder(tmp_path / "a", {"arguments": {"seed": 0}})
    other, begun = StageFolder(tmp_path / "b", {"arguments": {"seed": 1}}), StageFolder(tmp_path / "c")
    assert differences([ended, begun]) == [["the whole stage", "there", "not recorded yet"]]
    assert differences([begun, begun]) == [["the whole stage", "not recorded yet", "not recorded yet"]]
    assert differences([ended, None, begun, other]) == [
        ["the whole stage", "there", "not there", "not recorded yet", "there"],
        ["seed", "0", "", "", "1"],
    ]


def test_a_stage_of_one_run_alone_is_told(tmp_path):
    for name in ("a", "b"):
        write_stage(tmp_path / name / "sft", "sft")
    write_stage(tmp_path / "b" / "grpo", "grpo", grpo_logs())
    html = write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "The settings are the same." not in html
    assert re.search(r"the whole stage</th><td>not there</td><td>there</td><td>grpo</td>", html)
