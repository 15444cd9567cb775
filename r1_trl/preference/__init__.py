"""Preferences: what a reward model reads, the folder it lives in, and the pairs that it learns from."""
