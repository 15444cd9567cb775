"""What `make benchmark` measured keeps its bounds."""

import json
from pathlib import Path

from tests.benchmarks import verifiers


def test_measured_speed_keeps_its_bounds():
    measured = json.loads(Path(verifiers.__file__).with_suffix(".json").read_text())
    assert measured["results"].keys() == {*verifiers.CASES, "code, 64 × 5 tests"}
    verifiers.assert_fast(measured["results"])
