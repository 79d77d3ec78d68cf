"""Students by hands that had read nothing of the marking when they wrote: right functions, and wrong ones made of them.

A student is a file: the functions (or the class) of one layer of a course, in a style of their own.  A wrong one is
the same file with a change, with the words that its mistake may be named by, and the lines on which it stands.  Some
changes are a line, some are another formula, two slips, or stand in what the forward keeps.  ``unrelated`` are
functions that have nothing to do with their layer.
"""
