"""Rewrites for the native machine alone: they change roundings, or signs of zero, and save passes over the batch."""
