"""What the user believes: formulas, every other kind of claim, how numbers are compared, and the whole question."""
