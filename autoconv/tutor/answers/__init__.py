"""The verdicts: on claims that need no search, on those that agree with the gradient, and on those that differ."""
