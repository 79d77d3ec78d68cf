"""Waiting for what a page says, also where its content policy forbids evaluation (Playwright's own way then fails)."""


def until(frame, expression, seconds=20):
    """Wait until a JavaScript expression is true in a page or frame."""
    for _ in range(10 * seconds):
        if frame.evaluate(expression):
            return
        frame.wait_for_timeout(100)
    raise AssertionError(f"after {seconds} seconds this is not true: {expression}")
