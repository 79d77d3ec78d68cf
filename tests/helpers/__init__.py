"""What several test files share: nets, hand-written gradients, marks.  Nothing here is a test."""
