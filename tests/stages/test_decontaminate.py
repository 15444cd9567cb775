"""`r1-trl data decontaminate`: what it writes and prints, and that a source may be larger than memory."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from r1_trl.errors import InputError
from r1_trl.stages.data_tools import main
from r1_trl.tasks.sources import load_split

LEAKED = "A farmer has 17 sheep and all but nine of them die; how many are left?"
PROOF = "Since n squared is even, n is even as well, which contradicts the choice of n."
TRAIN = [
    {"question": "What is 1 + 1?", "answer": "#### 2"},
    {"question": LEAKED, "answer": "#### 9"},
    {"question": "Prove it.", "answer": f"{PROOF}\n#### 7"},
    {"question": None, "answer": "#### 3"},
]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def settings(tmp_path):
    pd.DataFrame(TRAIN).to_json(tmp_path / "train.jsonl", orient="records", lines=True)
    rows = [{"problem": LEAKED, "solution": "9"}, {"problem": "Is it?", "solution": f"{PROOF}\n#### 7"}]
    pd.DataFrame(rows).to_json(tmp_path / "exam.jsonl", orient="records", lines=True)
    mapping = {"question": "question", "solution": "answer"}
    train = {
        "path": str(tmp_path / "train.jsonl"),
        "source": "train",
        "column_mapping": mapping,
        "solution_format": "gsm8k",
    }
    exam = {"path": str(tmp_path / "exam.jsonl"), "source": "exam", "column_mapping": {"question": "problem"}}
    return {
        "output_dir": str(tmp_path / "out"),
        "datasets": [train, {"path": "miniature:questions"}],
        "evaluation_datasets": [
            {**exam, "solution_format": "gsm8k"},
            {"path": "miniature:questions", "split": "test", "source": "sums"},
        ],
    }


def run(tmp_path, settings, *flags):
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    main(["decontaminate", "--config", str(tmp_path / "config.yaml"), *flags])


def test_rows_report_and_table(tmp_path, settings, capsys):
    run(tmp_path, settings)
    out = tmp_path / "out"
    clean = lines(out / "clean.jsonl")
    assert len(clean) == 8193
    assert clean[0] == {
        "prompt": [{"role": "user", "content": "What is 1 + 1?"}],
        "solution": "2",
        "source": "train",
        "language": None,
    }
    first, second = lines(out / "dropped.jsonl")
    assert (first["row"], first["column"], first["match"]) == (1, "prompt", "ngram")
    assert (first["evaluation_set"], first["evaluation_row"], first["evaluation_column"]) == ("exam", 0, "question")
    assert first["text"] == "a farmer has 17 sheep and all but nine of"
    assert first["dropped"]["prompt"][0]["content"] == LEAKED
    # the whole reference solution counts, not only the gold that `solution_format` takes out of it
    assert (second["row"], second["column"], second["evaluation_column"]) == (2, "solution", "solution")
    report = json.loads((out / "decontamination.json").read_text())
    assert report["evaluation_sets"] == {"exam": 2, "sums": 1024}
    assert report["sources"]["train"] == {
        "rows": 4,
        "dropped": 2,
        "without_question": 1,
        "kept": 1,
        "dropped_by": {"exam": 2},
    }
    assert report["sources"]["miniature:questions"]["dropped"] == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert table[0] == ["source", "rows", "dropped", "kept", "exam", "sums"]
    assert table[1] == ["train", "4", "2", "1", "2", "0"]


def test_parquet_and_one_dataset(tmp_path, settings):
    pd.DataFrame([{"question": LEAKED}, {"question": "Who?"}]).to_csv(tmp_path / "rows.csv", index=False)
    settings = {**settings, "datasets": [], "dataset_name": str(tmp_path / "rows.csv")}
    run(tmp_path, settings, "--output_format", "parquet")
    rows = load_split(str(tmp_path / "out" / "clean.parquet"))
    assert [row["prompt"][0]["content"] for row in rows] == ["Who?"]


def test_the_second_run_finds_nothing(tmp_path, settings):
    run(tmp_path, settings)
    clean = {"path": str(tmp_path / "out" / "clean.jsonl")}
    run(tmp_path, {**settings, "datasets": [clean], "output_dir": str(tmp_path / "again")})
    assert lines(tmp_path / "again" / "clean.jsonl") == lines(tmp_path / "out" / "clean.jsonl")
    report = json.loads((tmp_path / "again" / "decontamination.json").read_text())
    assert set(report["sources"]) == {str(tmp_path / "out" / "clean.jsonl")}


WATCHED = """
import resource, sys
from r1_trl.stages.data_tools import main
main(["decontaminate", "--config", sys.argv[1], "--output_dir", sys.argv[2] + "-first", "--dataset", sys.argv[3]])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
main(["decontaminate", "--config", sys.argv[1], "--output_dir", sys.argv[2], "--dataset", sys.argv[4]])
print("grown by", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_source(tmp_path, settings):
    """300 MB of rows after 30 MB of rows: the peak stays within 100 MB."""
    row = json.dumps({"question": "Who?", "note": "x" * 300_000}) + "\n"
    for name, count in {"small": 100, "large": 1000}.items():
        with (tmp_path / f"{name}.jsonl").open("w") as file:
            file.writelines(row for _ in range(count))
    config = {"evaluation_datasets": settings["evaluation_datasets"]}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    paths = [str(tmp_path / name) for name in ("config.yaml", "out", "small.jsonl", "large.jsonl")]
    done = subprocess.run([sys.executable, "-c", WATCHED, *paths], capture_output=True, text=True, check=True)
    grown = int(done.stdout.split("grown by")[1]) * (1 if sys.platform == "darwin" else 1024)
    (tmp_path / "large.jsonl").unlink()
    (tmp_path / "out" / "clean.jsonl").unlink()
    assert grown < 100 * 2**20


BAD = [
    ({"output_dir": None}, ["`output_dir` is missing"], "no folder"),
    ({"evaluation_datasets": []}, ["`evaluation_datasets` is missing"], "nothing to keep out"),
    ({"datasets": []}, ["`dataset_name`", "`datasets`"], "no rows"),
    ({"dataset_name": "x.jsonl"}, ["once"], "rows named twice"),
    ({"datasets": [{"path": "miniature:questions", "weight": 1}]}, ["`weight`", "every row"], "a part of a source"),
    ({"test_split_size": 0.1}, ["`test_split_size`", "every row"], "a part of the questions"),
    ({"output_format": "csv"}, ["`output_format: csv`", "jsonl, parquet"], "an unknown format"),
    ({"ngram_size": 0}, ["`ngram_size: 0`"], "no word"),
    ({"evaluation_datasets": [{"path": "miniature:questions"}] * 2}, ["two sets", "`source`"], "two of a name"),
    (
        {"evaluation_datasets": [{"path": "{tmp}/exam.jsonl"}]},
        ["no question", "`problem`", "column_mapping"],
        "no question",
    ),
    ({"evaluation_datasets": [{"path": "{tmp}/none.jsonl"}]}, ["none.jsonl", "no such file"], "no such file"),
    ({"output_dir": "{tmp}", "dataset_name": "{tmp}/clean.jsonl", "datasets": []}, ["written over"], "its own input"),
    ({"evaluation_dataset": []}, ["`evaluation_dataset`", "did you mean `evaluation_datasets`"], "an unknown key"),
]


@pytest.mark.parametrize(("changes", "words", "reason"), BAD, ids=[case[-1] for case in BAD])
def test_refused(tmp_path, settings, changes, words, reason):
    text = json.dumps({key: value for key, value in {**settings, **changes}.items() if value is not None})
    with pytest.raises(InputError) as error:
        run(tmp_path, json.loads(text.replace("{tmp}", str(tmp_path))))
    assert [word for word in words if word not in str(error.value)] == []
    assert not (tmp_path / "out").exists()


def test_unknown_tool(capsys):
    with pytest.raises(InputError, match="unknown tool `decontaminat`; did you mean `decontaminate`"):
        main(["decontaminat"])
    main(["--help"])
    assert "decontaminate" in capsys.readouterr().out
