"""The statistics of an evaluation, apart from the model that it measures."""
