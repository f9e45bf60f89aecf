"""Sessions as pandas DataFrames: the only place that imports pandas."""
