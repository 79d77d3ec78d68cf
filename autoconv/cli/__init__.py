"""The command line: ``autoconv demo | train | evaluate | predict | graph | step | live | explain | check | exercise``,
``convert`` and ``info``.

Errors are one clear line and exit status 2.  Code is only ever run from files that the user names on the command line,
never because a checkpoint names them.  named and modelled (what the user names), training, looking, exercising and
converting (the commands).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from .. import __version__, models
from ..train import TrainingError
from . import converting, exercising, looking, marking, modelled, training
from .named import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 for an error the user can mend, 130 after Ctrl-C.

    141 where the reader of the output went away, as ``head`` does: the status of a program that ends so.
    """
    arguments = parser().parse_args(argv)
    try:
        status = arguments.run(arguments) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        with suppress(OSError, ValueError):  # what is left to write at the end of the program goes nowhere, in silence
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UserError, ValueError, TypeError, OSError, TrainingError, RuntimeError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            text = f"{error.filename}: {error.strerror}"
        print(f"autoconv {arguments.command}: error: {' '.join(text.split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"autoconv {arguments.command}: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="autoconv",
        description="Convolutional networks as recorded scalar arithmetic: train them, look inside them.",
        epilog="examples:\n"
        "  autoconv demo\n"
        "  autoconv train --data digits --epochs 10 --checkpoint digits.safetensors\n"
        "  autoconv evaluate digits.safetensors --data digits\n"
        "  autoconv graph net.py:loss --output loss.svg",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"autoconv {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    def command(
        name: str, run: Callable[[argparse.Namespace], int | None], summary: str, *examples: str
    ) -> argparse.ArgumentParser:
        epilog = "examples:\n" + "\n".join(f"  autoconv {name} {example}".rstrip() for example in examples)
        made = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        return made

    demo = command(
        "demo",
        training.demo,
        "train a small network on real handwritten digits and show what it did",
        "",
        "--folder /tmp/demo",
    )
    demo.add_argument("--folder", default="autoconv-demo", help="where to write (default: %(default)s)")
    demo.add_argument("--quiet", action="store_true", help="no progress bar")

    train = command(
        "train", training.train, "train a model and keep checkpoints",
        "--data digits --epochs 10 --checkpoint digits.safetensors",
        "--data digits --epochs 20 --checkpoint digits.safetensors --resume",
        "--data mnist/ --model lenet --optimizer sgd --lr 0.05 --momentum 0.9 --schedule cosine",
        "--data images/ --model net.py:make_model",
        "--data images/ --backend xla --hosts 2 --host 0 --coordinator 10.0.0.1:1234 --checkpoint net.safetensors",
    )  # fmt: skip
    _data_options(train)
    train.add_argument(
        "--model", default="cnn", help=f"{', '.join(models.PRESETS)}, or file.py:make_model (default: %(default)s)"
    )
    train.add_argument("--optimizer", choices=training.OPTIMIZERS, default="adam", help="default: %(default)s")
    train.add_argument("--lr", type=float, help="learning rate (default: the optimiser's; sgd 0.01)")
    train.add_argument("--momentum", type=float, help="for sgd and rmsprop")
    train.add_argument("--nesterov", action="store_true", help="for sgd with momentum")
    train.add_argument("--weight-decay", type=float, help="default: the optimiser's")
    train.add_argument(
        "--schedule",
        choices=["none", "step", "cosine"],
        default="none",
        help="of the learning rate, over the epochs (default: %(default)s)",
    )
    train.add_argument(
        "--step-size", type=int, default=10, help="epochs between steps of the step schedule (default: %(default)s)"
    )
    train.add_argument("--epochs", type=int, default=10, help="default: %(default)s")
    train.add_argument("--batch-size", type=int, default=64, help="default: %(default)s")
    train.add_argument("--checkpoint", metavar="FILE", help="write here after every epoch")
    train.add_argument("--resume", action="store_true", help="go on from --checkpoint, bit for bit as if never stopped")
    train.add_argument("--accumulate", type=int, default=1, help="batches for each step (default: %(default)s)")
    train.add_argument("--backend", help="native, numpy or xla (default: AUTOCONV_BACKEND, else native)")
    train.add_argument(
        "--devices", metavar="N", help="with xla: devices that share a batch; or 4,2: for the batch, for parameters"
    )
    train.add_argument(
        "--shard", action="append", metavar="PATTERN=AXIS",
        help='with xla: parameters that devices share, as "fc1.weight=0"; may be given again',
    )  # fmt: skip
    train.add_argument(
        "--hosts", metavar="N", help="with xla: processes that train together; auto: as SLURM, Kubernetes or MPI says"
    )
    train.add_argument("--host", type=int, metavar="K", help="which of them this is, from 0")
    train.add_argument("--coordinator", metavar="ADDRESS:PORT", help="where host 0 waits for the others")
    train.add_argument("--quiet", action="store_true", help="no progress bar")

    test = command(
        "evaluate",
        training.run_evaluate,
        "loss, accuracy and confusion table of a checkpoint on held-out data",
        "digits.safetensors --data digits",
        "net.safetensors --data images/ --model net.py:make_model",
    )
    test.add_argument("checkpoint", help="a file written by autoconv train or demo")
    _data_options(test)
    test.add_argument("--model", help="file.py:make_model, or another preset than the checkpoint names")

    predict = command(
        "predict",
        training.predict,
        "what a trained model sees in pictures",
        "digits.safetensors seven.png",
        "net.safetensors --model net.py:make_model cat.jpg dog.jpg --top 5",
    )
    predict.add_argument("checkpoint", help="a file written by autoconv train or demo")
    predict.add_argument("pictures", nargs="+", metavar="picture", help="files; they are scaled to the model's size")
    predict.add_argument("--model", help="file.py:make_model, or another preset than the checkpoint names")
    predict.add_argument("--top", type=int, default=3, help="how many classes are told (default: %(default)s)")

    graph = command(
        "graph",
        looking.draw,
        "draw the tensor that a function returns",
        "net.py:loss",
        "net.py:loss --zoom calls --output loss.svg",
        'net.py:loss --zoom scalars --focus "w[0,0]" --direction up',
        "model.onnx --zoom calls --shape 1,3,32,32",
    )
    _function(graph)
    graph.add_argument("--zoom", help="model, calls, lines or scalars (default: lines)")
    graph.add_argument(
        "--focus",
        action="append",
        metavar="ELEMENT",
        help='draw a slice only: of an element as "w[0,0]"; may be given again',
    )
    graph.add_argument(
        "--direction", choices=["up", "down", "both"], default="both", help="of the slice (default: %(default)s)"
    )
    graph.add_argument("--backward", action="store_true", help="draw the recorded sweep beside it")
    graph.add_argument("--fold", action="store_true", help="draw equal structure once, with its count")
    graph.add_argument(
        "--output", metavar="FILE", help=".svg, .html, .dot, .png or .pdf (default: the function's name with .svg)"
    )

    step = command(
        "step",
        looking.walk,
        "walk through forward and backward one event at a time",
        "net.py:loss",
        "net.py:loss --output walk.html",
    )
    _function(step)
    step.add_argument("--output", metavar="FILE", help="write the interactive page (.html) instead")

    live = command(
        "live",
        looking.live,
        "write a page in which the calculation runs: change a weight or a pixel, and all follows",
        "net.py:loss",
        "net.py:loss -o net.html",
        "model.onnx --shape 1,3,32,32",
    )
    _function(live)
    live.add_argument("-o", "--output", metavar="FILE", help=".html (default: the function's name with .html)")

    explain = command(
        "explain",
        looking.explain,
        "the equation of one gradient, with the run's own numbers",
        'net.py:loss --at "w1[0,0]"',
        'net.py:loss --at "w1[0,0]" --depth 1 --format latex',
    )
    _function(explain)
    explain.add_argument(
        "--at", required=True, metavar="ELEMENT", help='the element, as "w1[0,0]" or "%%7[0]" (a line of the tape)'
    )
    explain.add_argument("--depth", type=int, help="levels that are written out (default: all)")
    explain.add_argument("--format", choices=looking.FORMATS, default="text", help="default: %(default)s")
    explain.add_argument("--output", metavar="FILE", help="write to a file")

    judge = command(
        "check",
        looking.check,
        "is the gradient you derived right? exit status 0 right, 1 wrong (as well: right only at these inputs, "
        "or not to be told), 2 bad call",
        'net.py:loss --wrt w --formula "(i[0,0] + i[0,1]) * 2*(o2 - y)"',
        "net.py:loss --wrt w --claim claim.npy",
    )
    _function(judge)
    judge.add_argument("--wrt", required=True, metavar="TENSOR", help='what the gradient is of, as "w" or "w[0,0]"')
    given = judge.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "--claim", metavar="FILE", help="your gradient as an array in a .npy file (or several by name in a .npz)"
    )
    given.add_argument(
        "--formula",
        help="your gradient as a formula in the names of the tensors; or its shape, as (3, 3); "
        "or sum, mean, same for all",
    )

    sheet = command(
        "exercise",
        exercising.run,
        "a worksheet with numbers left out, and its key; or marks for a filled-in one",
        "net.py:loss --blanks 5 --nice-numbers --out sheet.ipynb",
        "net.py:loss --of graph --seed 3 --out sheet.html",
        "--mark answers.json --key sheet.key.json",
    )
    exercising.options(sheet)

    mark = command(
        "mark",
        marking.run,
        "judge the backward functions of a student's file; exit status 0 all right, 1 not, 2 bad call",
        "layers.py --course cs231n",
        "layers.py --course cs231n --points --hints-only",
        "layers.py --course deeplearning --only conv --json",
    )
    marking.options(mark)

    convert = command(
        "convert",
        converting.run,
        "read an ONNX file and write it again, or its gradient as plain ONNX",
        "a.onnx b.onnx",
        "net.onnx gradient.onnx --gradient",
        "detector.onnx gradient.onnx --gradient --loss mse --shape image=1,3,224,224",
    )
    converting.options(convert)

    info = command(
        "info", training.info, "versions and what is available here; or what a model consists of", "", "model.onnx"
    )
    info.add_argument("model", nargs="?", help="model.onnx, or file.py:module")
    return top


def _data_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        default="digits",
        help="digits, a .npz with x and y, a folder with IDX files, or one with a folder of images per class "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--seed", type=int, default=0, help="of the split, the initial weights and the shuffling (default: %(default)s)"
    )


def _function(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "function",
        help="file.py:function, called without arguments; it returns a Tensor or a Scalar, or that and locals() to "
        "name the lines.  Or a model: model.onnx, or file.py:module (of autoconv or PyTorch); gradients are of the sum "
        "of its output",
    )
    modelled.options(command)
