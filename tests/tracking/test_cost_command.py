"""`r1-trl cost`: what it sums, shows and projects, on folders that hold records of stages."""

import json

import pytest

from r1_trl.errors import InputError
from r1_trl.stages.cost import format_cost, main
from r1_trl.stages.record import write_stage_record
from r1_trl.tracking.cost import GIB, stage_cost
from r1_trl.tracking.projection import Target, log_prob_passes, project, stage_flops
from r1_trl.tracking.run_cost import run_cost
from r1_trl.tracking.run_folder import read_run

ARGUMENTS = {"beta": 0.001, "gradient_accumulation_steps": 4, "steps_per_generation": 4, "num_iterations": 1}


def write_stage(folder, command, device="NVIDIA GeForce RTX 3090", arguments=None, **cost):
    known = {"tokens_generated": 0, "tokens_trained": 0, "peak_memory": GIB, "model_params": 1_000_000} | cost
    ledger = stage_cost(known.pop("wall_seconds", 3600.0), device=device, **known)
    write_stage_record(str(folder), command, arguments or {}, {}, {}, ledger["wall_seconds"], ledger)


@pytest.fixture
def folder(tmp_path):
    """Cold start, GRPO and evaluation, an hour each."""
    write_stage(tmp_path / "sft", "sft", tokens_trained=1000)
    write_stage(
        tmp_path / "grpo", "grpo", arguments=ARGUMENTS, tokens_generated=700, tokens_trained=900, peak_memory=2 * GIB
    )
    write_stage(tmp_path / "grpo_evaluation", "evaluate", tokens_generated=500)
    (tmp_path / "pipeline.json").write_text(json.dumps({"stages": {"sft": {}, "grpo": {}, "grpo_evaluation": {}}}))
    return tmp_path


def test_sums(folder):
    cost = run_cost(read_run(folder))
    assert [row["stage"] for row in cost["stages"]] == ["sft", "grpo", "grpo_evaluation"]
    assert cost["total"] == {
        "wall_seconds": 10800,
        "device_hours": 3.0,
        "tokens_generated": 1200,
        "tokens_trained": 1900,
        "usd": pytest.approx(0.66),
        "peak_memory_gb": 2.0,
    }
    assert not any(cost["unknown"].values())
    assert run_cost(read_run(folder), gpu_hour_usd=2.0)["total"]["usd"] == 6.0


def test_the_table(folder, capsys):
    main([str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split("  ")[0] == "stage"
    grpo = "grpo  1:00:00  1.0000  1 x NVIDIA GeForce RTX 3090  700  900  2.00  0.2200"
    assert lines[3].split() == grpo.split()
    assert lines[5].split() == ["total", "3:00:00", "3.0000", "1,200", "1,900", "2.00", "0.6600"]
    assert lines[-1].split() == ["total", "147,000", "294,000"]


def test_a_record_from_before_the_ledger_is_shown_as_far_as_it_goes(tmp_path):
    write_stage_record(str(tmp_path / "old"), "grpo", {}, {}, {}, 1800.0)
    record = json.loads((tmp_path / "old" / "stage.json").read_text()) | {"device": "Tesla T4", "processes": 2}
    (tmp_path / "old" / "stage.json").write_text(json.dumps(record))
    state = {"global_step": 2, "log_history": [{"step": 1, "num_tokens": 5.0}, {"step": 2, "num_tokens": 8.0}]}
    (tmp_path / "old" / "trainer_state.json").write_text(json.dumps(state))
    cost = run_cost(read_run(tmp_path))
    (row,) = cost["stages"]
    assert (row["device_hours"], row["tokens_trained"], row["tokens_generated"]) == (1.0, 8, None)
    assert row["usd"] == 0.59
    assert cost["unknown"]["tokens_generated"] == ["old"]


def test_a_run_that_goes_on_is_read_from_its_last_log(tmp_path):
    logs = [{"step": 1, "cost/wall_hours": 0.25, "cost/device_hours": 0.5, "cost/tokens_trained": 40}]
    checkpoint = tmp_path / "grpo" / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": 1, "log_history": logs}))
    (checkpoint / "complete.json").write_text("{}")
    cost = run_cost(read_run(tmp_path))
    (row,) = cost["stages"]
    assert (row["finished"], row["wall_seconds"], row["device_hours"], row["tokens_trained"]) == (False, 900, 0.5, 40)
    assert "grpo (not ended)" in format_cost(cost)


def test_sampling_that_goes_on_has_its_seconds(tmp_path):
    (tmp_path / "samples.jsonl").touch()
    (tmp_path / "samples.run.json").write_text(json.dumps({"seconds": 12.5}))
    (row,) = run_cost(read_run(tmp_path))["stages"]
    assert (row["finished"], row["wall_seconds"], row["tokens_generated"]) == (False, 12.5, None)


def test_a_cost_that_is_no_mapping_is_refused(tmp_path):
    (tmp_path / "stage.json").write_text(json.dumps({"stage": "sft", "cost": [1]}))
    with pytest.raises(InputError, match=r"stage\.json: `cost` is no mapping"):
        main([str(tmp_path)])


def test_a_total_in_part_says_so(folder, capsys):
    write_stage_record(str(folder / "old"), "grpo", {}, {}, {}, 60.0)  # without tokens, memory or price
    main([str(folder)])
    total = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("total"))
    assert total.split("  ")[-1].strip() == "≥ 0.6600"
    assert "≥ 1,200" in total
    assert "≥ 2.00" in total
    assert "≥ 3:01:00" not in total


def test_a_total_of_nothing_known_is_none(tmp_path, capsys):
    write_stage_record(str(tmp_path / "old"), "grpo", {}, {}, {}, 60.0)
    write_stage(tmp_path / "sft", "sft", tokens_trained=5)
    main([str(tmp_path)])
    total = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("total"))
    assert total.split()[3:5] == ["-", "5"]


def test_a_size_and_a_speed_stand_in_for_those_of_an_old_run(tmp_path):
    write_stage(tmp_path / "sft", "sft", device="cpu", tokens_trained=1000, model_params=None)
    file = tmp_path / "out.json"
    main([str(tmp_path), "--model_params", "7e9", "--card", "H100", "--utilisation", "0.4", "--json", str(file)])
    (row,) = json.loads(file.read_text())["projection"]["stages"]
    assert row["device_hours"] == pytest.approx(6 * 7e9 * 1000 / (0.4 * 989e12) / 3600)
    assert row["measured_flops_per_second"] is None


def test_flops_in_closed_form():
    assert stage_flops(10.0, 3, 5) == 2 * 10 * 3 + 6 * 10 * 5
    assert stage_flops(10.0, 3, 5, passes=1.0) == 2 * 10 * 3 + 8 * 10 * 5


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({"beta": 0.0}, 0.0),
        ({"beta": 0.001}, 1.0),
        ({"beta": 0.0, "gradient_accumulation_steps": 2, "steps_per_generation": 8}, 1.0),  # the old policy
        ({"beta": 0.001, "gradient_accumulation_steps": 2, "steps_per_generation": 2, "num_iterations": 2}, 1.0),
    ],
)
def test_passes_for_log_probabilities(settings, passes):
    assert log_prob_passes(settings) == passes


def test_onto_its_own_size_and_card_a_run_costs_what_it_cost(folder):
    run = read_run(folder)
    cost = run_cost(run)
    for target in (Target(), Target(1_000_000.0)):
        projection = project(run, cost, target)
        assert projection["device_hours"] == pytest.approx(3.0)
        assert projection["usd"] == pytest.approx(0.66)


def test_hours_follow_size_and_peak(folder, capsys):
    file = folder / "cost.json"
    main([str(folder), "--model_params", "7e9", "--card", "rtx 4090", "--json", str(file)])
    projection = json.loads(file.read_text())["projection"]
    assert projection["device_hours"] == pytest.approx(3 * 7000 * 71.0 / 165.2)
    assert projection["usd"] == pytest.approx(projection["device_hours"] * 0.34)
    sft, grpo, _ = projection["stages"]
    assert sft["utilisation"] == pytest.approx(6 * 1e6 * 1000 / 3600 / 71e12)
    assert grpo["flops"] == 7e9 * (2 * 700 + 8 * 900)
    assert "An estimate" in capsys.readouterr().out


def test_a_share_of_the_peak_stands_in_for_the_measured_one(tmp_path):
    write_stage(tmp_path / "sft", "sft", device="cpu", tokens_trained=10**9)
    run = read_run(tmp_path / "sft")
    cost = run_cost(run)
    assert project(run, cost, Target())["device_hours"] == pytest.approx(1.0)
    main([str(tmp_path / "sft"), "--card", "H100", "--utilisation", "0.4", "--json", str(tmp_path / "out.json")])
    hours = json.loads((tmp_path / "out.json").read_text())["projection"]["device_hours"]
    assert hours == pytest.approx(6 * 1e6 * 1e9 / (0.4 * 989e12) / 3600)


def test_stages_without_a_model_are_left_out(folder):
    write_stage_record(str(folder / "merged"), "merge", {}, {}, {}, 60.0)
    run = read_run(folder)
    projection = project(run, run_cost(run), Target())
    assert projection["left_out"] == ["merged"]
    assert projection["device_hours"] == pytest.approx(3.0)


def without_ledger(folder):
    write_stage_record(str(folder / "old"), "sft", {}, {}, {}, 1.0)


def without_size(folder):
    write_stage(folder / "served", "evaluate", tokens_generated=1, model_params=None)


def without_end(folder):
    (folder / "late").mkdir()
    (folder / "late" / "samples.jsonl").touch()


def on_a_cpu(folder):
    write_stage(folder / "cpu", "sft", device="cpu", tokens_trained=1)


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (without_ledger, "old: the stage has no `model_params`"),
        (without_size, "served: the stage has no `model_params`"),
        (without_end, "late: the stage has not ended"),
        (on_a_cpu, r"cpu ran on `cpu`, whose peak is not in the table.*--utilisation"),
    ],
)
def test_a_projection_that_lacks_something_is_refused(folder, add, message):
    add(folder)
    with pytest.raises(InputError, match=message):
        main([str(folder), "--card", "H100"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--card", "abacus"], "`card: abacus` is not in the table"),
        (["--model_params", "0"], "`--model_params 0` must be positive"),
        (["--model_params", "7B"], "command line: argument --model_params"),
        (["--card", "H100", "--utilisation", "40"], r"must be in \(0, 1\]"),
        (["--utilisation", "0.4"], "name it by `--card`"),
        (["--gpu_hour_usd", "-1"], "gpu_hour_usd"),
        (["--card_hour_usd", "-1"], "`--card_hour_usd -1` must be dollars"),
        (["--gpu_hours", "1"], "command line: unrecognized arguments"),
    ],
)
def test_bad_flags_are_refused(folder, flags, message):
    with pytest.raises(InputError, match=message):
        main([str(folder), *flags])
