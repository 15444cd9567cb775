"""What a mixture's settings may be; anything else is refused before a row is read."""

import pytest
from trl import DatasetMixtureConfig
from trl.scripts.utils import DatasetConfig

from r1_trl.errors import InputError
from r1_trl.tasks.config import R1DatasetConfig, R1DatasetMixtureConfig, read_source

ENTRIES = [
    ({}, ["no `path`"], "no path"),
    ({"path": 7}, ["`path: 7`", "text"], "a number for a path"),
    ({"path": "x", "colum_mapping": {}}, ["`colum_mapping`", "did you mean `column_mapping`"], "an unknown key"),
    ({"path": "x", "column_mapping": ["a"]}, ["`column_mapping: ['a']`", "a mapping"], "a list for a mapping"),
    ({"path": "x", "column_mapping": {"question": 1}}, ["`column_mapping", "question: problem"], "no name"),
    ({"path": "x", "solution_format": "gsm"}, ["`solution_format: gsm`", "`gsm8k`"], "an unknown extractor"),
    ({"path": "x", "solution_format": None}, ["`solution_format: None`"], "no extractor"),
    ({"path": "x", "language": "xx"}, ["'xx'", "choose from"], "an unknown language"),
    ({"path": "x", "reward_funcs": "a"}, ["`reward_funcs: a`", "a list"], "a string for a list"),
    ({"path": "x", "reward_funcs": []}, ["`reward_funcs: []`", "at least one"], "an empty list"),
    ({"path": "x", "verifier_args": ["a"]}, ["`verifier_args", "a mapping or its JSON"], "a list of arguments"),
    ({"path": "x", "weight": 0}, ["`weight: 0`", "above 0"], "a weight of nothing"),
    ({"path": "x", "weight": "much"}, ["`weight: much`", "a number"], "a word for a weight"),
    ({"path": "x", "weight": True}, ["`weight: True`"], "a boolean for a weight"),
    ({"path": "x", "fraction": -1}, ["`fraction: -1`", "above 0"], "a negative fraction"),
    ({"path": "x", "size": 1.5}, ["`size: 1.5`", "a number of rows"], "half a row"),
    ({"path": "x", "reasoning_gym": 3}, ["`reasoning_gym: 3`", "a mapping"], "no options"),
]


@pytest.mark.parametrize(("entry", "words", "reason"), ENTRIES, ids=[case[-1] for case in ENTRIES])
def test_an_entry_is_refused(entry, words, reason):
    with pytest.raises(InputError) as error:
        R1DatasetMixtureConfig(datasets=[entry])
    message = str(error.value)
    assert [word for word in words if word not in message] == []


ONE, TWO = {"path": "one.jsonl"}, {"path": "two.jsonl"}
MIXTURES = [
    ({"datasets": [{**ONE, "weight": 1}, TWO]}, ["`two.jsonl`", "`weight`", "to all or to none"], "half the weights"),
    ({"datasets": [{**ONE, "fraction": 1}, TWO]}, ["`two.jsonl`", "`fraction`"], "half the fractions"),
    ({"datasets": [{**ONE, "fraction": 1, "weight": 1}]}, ["`weight` and `fraction`"], "both"),
    ({"datasets": [{**ONE, "fraction": 1}], "streaming": True}, ["`fraction`", "`weight`"], "a fraction of a stream"),
    ({"datasets": [ONE], "mixture_size": 9}, ["`mixture_size: 9`", "`weight`"], "a size without weights"),
    ({"mixture_size": 0}, ["`mixture_size: 0`"], "no row"),
    ({"mixture_seed": -1}, ["`mixture_seed: -1`"], "a negative seed"),
    ({"test_split_size": 100}, ["`test_split_size: 100`", "0 and 1"], "a number of rows, as TRL takes it"),
    ({"prompt_format": "zero"}, ["`prompt_format: zero`", "r1_zero"], "an unknown format"),
    ({"prompt_format": "r1_zero", "system_prompt": "Think."}, ["`system_prompt`", "`r1_zero`"], "no place for it"),
]


@pytest.mark.parametrize(("settings", "words", "reason"), MIXTURES, ids=[case[-1] for case in MIXTURES])
def test_a_mixture_is_refused(settings, words, reason):
    with pytest.raises(InputError) as error:
        R1DatasetMixtureConfig(**settings)
    assert [word for word in words if word not in str(error.value)] == []


def test_trls_keys_keep_working():
    settings = {
        "path": "json",
        "name": "main",
        "data_dir": "rows",
        "data_files": {"train": "a.jsonl"},
        "split": "train[:10%]",
        "columns": ["prompt"],
        "fraction": 0.5,
    }
    ours = R1DatasetMixtureConfig(datasets=[dict(settings)], test_split_size=0.1)
    theirs = DatasetMixtureConfig(datasets=[dict(settings)], test_split_size=0.1)
    assert isinstance(ours, DatasetMixtureConfig)
    assert isinstance(ours.datasets[0], DatasetConfig)
    assert {name: getattr(ours.datasets[0], name) for name in settings} == vars(theirs.datasets[0])
    assert read_source(theirs.datasets[0], "datasets") == ours.datasets[0]


def test_verifier_args_become_json():
    assert R1DatasetConfig("x", verifier_args={"options": ["甲", "乙"]}).verifier_args == '{"options": ["甲", "乙"]}'
