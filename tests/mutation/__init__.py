"""Planted faults, and whether the tests notice: ``make mutants``, or ``python -m mutation`` in this folder's parent.

mutants     the faults: drawn from the syntax tree of each room, and a list by hand
__main__    plants one after the other in a copy of the tree, runs the room's tests, and reports
"""
