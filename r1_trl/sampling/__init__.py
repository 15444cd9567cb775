"""Many answers to many questions: for evaluation, and for rejection sampling."""
