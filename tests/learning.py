"""What the miniature has to learn, in one place for the measured seeds and for a run of one's own."""


def assert_learned(results):
    """Takes the content of `results.json`."""
    before, after = results["cold_start"], results["grpo"]
    assert after["pass@1"] >= max(0.90, 2.5 * before["pass@1"])
    assert after["mean_completion_tokens"] >= 1.8 * before["mean_completion_tokens"]
    assert before["language_consistency"] <= 0.4
    assert after["language_consistency"] >= 0.95
    assert after["well_formed"] >= 0.98
    assert before["questions"] == after["questions"] >= 512
    assert before["num_generations"] == after["num_generations"] == 16
    assert results["wall_seconds"]["total"] <= 300
