// Python, started at the first question: Pyodide and NumPy from their public address, autoconv's wheel from this site.

const HERE = new URL("../", import.meta.url);

// what a question is in Python: (kind, program, of, wrt, claim, course) -> the text of the verdict
const ASK = `
import ast, traceback, warnings
import numpy as np
import autoconv as ac

def ask(kind, program, of, wrt, claim, course):
    space = {"ac": ac, "np": np}
    said = []
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            exec(compile(program, "<what is computed>", "exec"), space)
            if kind == "function":
                if "backward" not in space:
                    raise ValueError("the program must define backward(dout, cache), and may define forward(...)")
                said.append(str(ac.check_backward(space["backward"], space.get("forward"), like=course.strip())))
            else:
                output, at = (eval(compile(text.strip(), f"<{what}>", "eval"), space)
                              for text, what in ((of, "the output"), (wrt, "differentiated by")))
                names = {name: value for name, value in space.items() if name not in ("ac", "np", "__builtins__")}
                said.append(str(ac.check(claim.strip(), of=output, wrt=at, names=names)))
        said += [f"{w.category.__name__}: {w.message}" for w in warned]
        return "\\n".join(said), False
    except BaseException as error:
        here = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith("<what")]
        place = f"line {here[-1].lineno}: " if here else ""
        return f"{place}{type(error).__name__}: {error}", True
`;

let ready = null;

async function start() {
  postMessage({ status: "Loading Python" });
  const { runtime, wheel } = await (await fetch(new URL("runtime.json", HERE))).json();
  const base = new URL(runtime, HERE).href;
  const { loadPyodide } = await import(`${base}pyodide.mjs`);
  const python = await loadPyodide({ indexURL: base });
  postMessage({ status: "Loading NumPy and autoconv" });
  await python.loadPackage("numpy", { messageCallback: () => {} });
  const packed = await (await fetch(new URL(wheel, HERE))).arrayBuffer();
  python.unpackArchive(packed, "wheel");
  python.runPython(ASK);
  postMessage({ courses: python.runPython("sorted(str(name) for name in ac.courses())").toJs() });
  return python.globals.get("ask");
}

onmessage = async ({ data: { id, form } }) => {
  try {
    ready ??= start();
    const ask = await ready;
    postMessage({ status: "Checking" });
    const answered = ask(form.kind, form.program, form.of, form.wrt, form.claim, form.course);
    const [text, failed] = answered.toJs();
    answered.destroy();
    postMessage({ id, text, failed });
  } catch (error) {
    ready = null;
    postMessage({ id, text: `Python could not be started: ${error.message ?? error}`, failed: true });
  }
};
