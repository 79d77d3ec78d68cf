"""The page's interpreter in node: programs go in as the data of a page, the values of their lines come back."""

import base64
import json
import shutil
import subprocess

import numpy as np

from autoconv.views.live.column import engine
from autoconv.views.live.encode import Numbers, dtype_name, encoded
from autoconv.views.live.recorded import with_sweep

NODE = shutil.which("node") or shutil.which("nodejs")
MISSING = "the page's JavaScript is tested with node: apt install nodejs"
LOOP = """
const input = require('readline').createInterface({ input: process.stdin });
const base64 = x => Buffer.from(Float64Array.from(x).buffer).toString('base64');
(async () => {
  for await (const text of input) {
    const job = JSON.parse(text);
    let answer;
    try {
      const arrays = unpacked(job.packed, job.arrays);
      const inputs = job.inputs.map(([dtype, k]) => MEMORY[dtype].from(arrays[k]));
      const program = new Program(job.lines, arrays, inputs);
      job.lines.forEach(([row], i) => { if (row === 'argument') program.touch(i); });
      program.run();
      answer = job.outputs.map(i => [program.values[i].shape, base64(listed(program.values[i]))]);
    } catch (error) { answer = String(error.stack); }
    process.stdout.write(JSON.stringify(answer) + '\\n');
  }
})();
"""


class Node:
    """A node process that runs programs; ``close`` ends it."""

    def __init__(self, folder):
        script = folder / "engine.js"
        script.write_text(engine() + LOOP, encoding="utf-8")
        self.process = subprocess.Popen(
            [NODE, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    def run(self, program, arguments, outputs=None):
        """The values of these lines of a program (its outputs), in float64, for arrays as arguments."""
        numbers = Numbers()
        lines = encoded(program, numbers)
        inputs = [[dtype_name(x.dtype), numbers.add(x)] for x in arguments]
        job = {"lines": lines, "inputs": inputs, "outputs": program.outputs if outputs is None else outputs}
        found = self.ask({**job, "arrays": numbers.described, "packed": numbers.packed()})
        return [np.frombuffer(base64.b64decode(data), "<f8").reshape(shape) for shape, data in found]

    def gradients(self, tape, wrt, *also):
        """(the tape's one output, the gradients of ``wrt`` (None: not reached), the values of the lines ``also``)."""
        arguments = [x for x in tape if x.primitive is None and not x.constant]
        program, value, grad = with_sweep(tape, arguments)
        first = [tape.outputs[0], *also]
        asked = [*[value[id(x)] for x in first], *[grad[id(x)] for x in wrt if id(x) in grad]]
        y, *rest = self.run(program, [x.value for x in arguments], asked)
        found = iter(rest[len(also) :])
        return y, [next(found) if id(x) in grad else None for x in wrt], rest[: len(also)]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
