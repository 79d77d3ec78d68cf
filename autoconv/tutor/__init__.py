"""The tutor: "am I right?", answered from the tape.

In the order data flows: ``replay`` runs a tape on other inputs; ``formula`` and ``claim`` read what the user believes;
``place`` is a line of the sweep at which something can go wrong, and the ``mistakes_*`` files are the bank of what does;
``mutation`` plants a mistake in the sweep; ``fit`` compares arrays element by element; ``diagnose`` searches; ``differences``
recognises finite differences; ``forwards`` tries other forward programs; ``check`` puts it together and ``verdict`` says it.
``exercise`` makes worksheets of a run's numbers, which ``check`` marks.
"""
