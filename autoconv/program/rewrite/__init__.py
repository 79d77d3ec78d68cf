"""Exact rewrites: passes from program to program with the same numbers, bit by bit (see ``rewrite.Rewrite``)."""
