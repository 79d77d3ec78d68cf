"""Waiting for what a page says, also where its content policy forbids evaluation, or where a frame that is out of sight
gets no animation frames (Playwright's own ways then fail, or wait for ever)."""

READY = "document.body && document.body.dataset.ready"


def until(frame, expression, seconds=20):
    """Wait until a JavaScript expression is true in a page or frame, which may still be on its way there."""
    last = None
    for _ in range(10 * seconds):
        try:
            if frame.evaluate(expression):
                return
        except Exception as error:  # the page that was asked is being replaced
            if type(error).__module__.partition(".")[0] != "playwright":
                raise
            last = error
        frame.page.wait_for_timeout(100) if hasattr(frame, "page") else frame.wait_for_timeout(100)
    raise AssertionError(f"after {seconds} seconds this is not true: {expression}" + (f" ({last})" if last else ""))


def ready(frame, dark=None, seconds=90):
    """Wait until a page of ours is there, and as dark as it should be."""
    until(frame, READY, seconds)
    if dark is not None:
        until(frame, f"document.documentElement.dataset.theme === '{'dark' if dark else 'light'}'", seconds)
