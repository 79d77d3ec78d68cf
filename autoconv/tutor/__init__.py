"""The tutor: "am I right?", answered from the tape.

Three doors: ``check`` compares a claim with the gradient and says what went wrong, ``certificate`` has one gradient
from independent sources, ``breaking`` makes a mistake on purpose.  What they answer with is in ``verdict`` and in their
own files.

The rooms behind them, in the order in which a claim passes through:

    run          the tape run again, at these inputs or others, and its sweep; its sites, and calls as single steps
    claim        what the user believes: an array, a formula, a function, ..; how numbers are compared
    bank         the mistakes: each is a mutation of the sweep; and what some of them lead to on paper
    search       which mutations give the claim exactly, and how they are told
    conventions  right for another program: ties broken otherwise, another forward, another geometry
    evidence     what does not come from the tape: finite differences, textbook formulas in plain loops
    answers      the verdict: claims that need no search, claims that agree, claims that do not
"""
