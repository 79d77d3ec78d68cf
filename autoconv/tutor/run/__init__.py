"""A tape run again with its sweep: the sites of the sweep, its composed calls as single steps, the run itself."""
