"""The tape as plain data, rewritten: a pass is a function from program to program with the same numbers."""
