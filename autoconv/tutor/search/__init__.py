"""Which mutations of the sweep give a claim: the probes that pass over most, the search, and its result in words."""
