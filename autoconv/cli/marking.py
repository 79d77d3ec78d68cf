"""The command mark: the functions of a student's file, judged as those of a course."""

from __future__ import annotations

import argparse
import json

from ..files import check_writable, replace_file
from .named import UserError


def run(arguments: argparse.Namespace) -> int:
    """autoconv mark: exit status 0 all right, 1 not, 2 for a bad call."""
    from ..marking.report import mark

    if arguments.time_limit <= 0 or arguments.memory <= 0:
        raise UserError("--time-limit and --memory must be above 0")
    if arguments.html:  # before anything is run
        if not arguments.html.lower().endswith((".html", ".htm")):
            raise UserError(f"--html {arguments.html}: the name must end in .html")
        check_writable(arguments.html)
    report = mark(
        arguments.file,
        arguments.course,
        only=arguments.only,
        time_limit=arguments.time_limit,
        memory=arguments.memory << 20,
    )
    if arguments.gradescope:
        with open(arguments.gradescope, "w", encoding="utf-8") as file:
            json.dump(report.gradescope(), file, indent=2)
    if arguments.html:
        replace_file(
            arguments.html, report.page(points=arguments.points, hints_only=arguments.hints_only).encode("utf-8")
        )
    if arguments.json:
        print(json.dumps(report.json(arguments.hints_only), indent=2))
    else:
        print(report.text(points=arguments.points, hints_only=arguments.hints_only))
    return report.status


def options(command: argparse.ArgumentParser) -> None:
    """The options of the command."""
    command.add_argument(
        "file",
        help="the student's .py file, of functions, classes or autograd Functions called as the layers; "
        "it runs in processes of its own, with limits",
    )
    command.add_argument("--course", required=True, help="cs231n, deeplearning, ..: see autoconv.courses()")
    command.add_argument("--only", action="append", metavar="LAYER", help='as "conv"; may be given again')
    command.add_argument("--points", action="store_true", help="one for each forward and each gradient that is right")
    command.add_argument("--json", action="store_true", help="the report as JSON (docs/marking.md has the schema)")
    command.add_argument(
        "--hints-only", action="store_true", help="no numbers and no answers, only where and a question"
    )
    command.add_argument("--html", metavar="FILE", help="write the report as a page besides")
    command.add_argument("--gradescope", metavar="FILE", help="write the results.json of a Gradescope autograder")
    command.add_argument(
        "--time-limit", type=float, default=20.0, metavar="SECONDS", help="for each layer (default: %(default)g)"
    )
    command.add_argument("--memory", type=int, default=2048, metavar="MB", help="of the process (default: %(default)s)")
