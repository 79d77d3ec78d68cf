"""What tests of the tutor read off a verdict."""


def names_of(verdict):
    """The names of all mistakes in a verdict, alternatives included."""
    return {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}
