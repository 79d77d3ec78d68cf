"""Rewrites for the native machine alone: exact ones, or guarded by bounds (``..program.rewrite`` has the rule)."""
