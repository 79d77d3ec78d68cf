"""What does not come from the tape: finite differences, and textbook formulas in plain loops."""
