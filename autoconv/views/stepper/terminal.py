"""The stepper in a terminal: one command a line, and what happened printed after each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

import numpy as np

from ...render.text import clean
from .condition import locate
from .stepper import Stepper

HELP = """n (or Enter)   over the next call          s          one line, into a call
b              one line back               w          where: the calls around
j N            jump to step N              f, l       first, last
until w[0,0]   on to the next event of a tensor or element
break C        on to where C holds, as in  grad(w) > 3   abs(h[0,1]) <= 0.5   step >= 20
p NAME         print value and gradient    o          open a definition (maximum)
v              the events around           q          quit
h              this help"""


def run(stepper: Stepper, input: TextIO | None = None, output: TextIO | None = None) -> None:
    """Read commands from ``input`` (default: the terminal) until q or its end, and print to ``output``."""
    source, target = input or sys.stdin, output or sys.stdout
    walks = [stepper]  # opened definitions on top

    def say(text: str) -> None:
        target.write(text + "\n")

    say(f"{repr(stepper).splitlines()[0]}   (h for help)")
    while True:
        target.write(f"{'  ' * (len(walks) - 1)}step> ")
        target.flush()
        line = source.readline()
        if not line:
            say("")
            return
        command, _, argument = line.strip().partition(" ")
        if command in ("q", "quit"):
            if len(walks) == 1:
                return
            walks.pop()
            say(repr(walks[-1]))
            continue
        try:
            act(command or "n", argument.strip(), walks, say)
        except (ValueError, TypeError) as error:
            say(str(error))


def act(command: str, argument: str, walks: list[Stepper], say: Callable[[str], None]) -> None:
    """Carry out one command on the topmost walk."""
    stepper = walks[-1]
    if command in ("n", "next"):
        say(reached(stepper) if stepper.over() else "the end; b goes back")
    elif command in ("s", "step"):
        say(shown(stepper) if stepper.next() else "the end; b goes back")
    elif command in ("w", "where"):
        say(around(stepper))
    elif command in ("b", "back"):
        say(shown(stepper) if stepper.back() else "the start; n goes on")
    elif command in ("f", "first", "l", "last"):
        stepper.jump(0 if command[0] == "f" else len(stepper))
        say(shown(stepper) if stepper.event else "the start; n goes on")
    elif command in ("j", "jump"):
        if not argument.isdecimal():
            raise ValueError(f"j needs a step number in 0 .. {len(stepper)}, as in j 12")
        stepper.jump(int(argument))
        say(shown(stepper) if stepper.event else "the start; n goes on")
    elif command in ("until", "u"):
        say(shown(stepper) if stepper.until(argument) else f"{argument}: no further event; this is the end")
    elif command == "break":
        say(shown(stepper) if stepper.breakpoint(argument) else f"{argument}: never holds; this is the end")
    elif command in ("p", "print"):
        say(printed(stepper, argument))
    elif command in ("o", "open"):
        if stepper.event is None:
            raise ValueError("nothing to open yet; n goes on")
        walks.append(stepper.event.open())
        say(f"{walks[-1]!r}\n(q returns)")
    elif command in ("v", "view"):
        say(repr(stepper))
    else:
        if command not in ("h", "help", "?"):
            say(f"unknown command {command!r}")
        say(HELP)


def shown(stepper: Stepper) -> str:
    """The event that happened last, with its formula's operands where they are few."""
    event = stepper.event
    if event is None:
        return ""
    more = "   (o opens it)" if event.opens else ""
    return clean(f"{stepper.position}/{len(stepper)}  {event.text}{more}")


def reached(stepper: Stepper) -> str:
    """The call that has just ended, with what it gives."""
    stop = next(s for s in stepper.stops if s.last + 1 == stepper.position)
    return clean(f"{stepper.position}/{len(stepper)}  {stop.text(stepper)}")


def around(stepper: Stepper) -> str:
    """The calls before and after the position, the next one marked."""
    listed = [s for s in stepper.stops if not s.unit.quiet]
    at = next((k for k, s in enumerate(listed) if s.last + 1 > stepper.position), len(listed))
    first = max(0, min(at - 4, len(listed) - 9))
    rows = [f"{'>' if k == at else ' '} {s.first + 1}-{s.last + 1}  {s.text(stepper)}" for k, s in enumerate(listed)]
    return "\n".join(map(clean, rows[first : first + 9]))


def printed(stepper: Stepper, name: str) -> str:
    """Value and gradient of a tensor or element at this step."""
    line, index = locate(name, stepper.tape, stepper.names)
    state = stepper.state
    rows = []
    for what, array in (("value", state.value(line)), ("grad", state.grad(line))):
        if array is None:
            rows.append(f"{what:<6}not known yet")
        else:
            part = array if index is None else array.reshape(-1)[index]
            rows.append(f"{what:<6}{np.array2string(np.asarray(part), threshold=60, precision=6, prefix='value ')}")
    return f"{clean(name)}  shape {line.shape}\n" + "\n".join(rows)
