// The page of derivations: a form, and a worker in which Python runs, so that a loop without an end can be stopped.

const at = (name) => document.getElementById(name);

// each a program and what is claimed of it; with `course`, functions that are marked as that course's
const EXAMPLES = [
  {
    title: "A weight of a convolution: where the thinking went astray",
    program: `i = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], name="i", subscripts="flat")
w1 = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w1", subscripts="flat")
w2 = ac.tensor([[0.5, 1.0], [-1.0, 0.25]], name="w2", subscripts="flat")
o1 = ac.conv2d(i, w1)
o2 = ac.conv2d(o1, w2)
C = ac.sum((o2 - 1.0) ** 2)`,
    of: "C",
    wrt: "w1[0, 0]",
    claim: "(i[0,0] + i[0,1] + i[1,0] + i[1,1]) * sum(w2) * 2*(o2 - 1)",
  },
  {
    title: "A whole kernel, as a convolution",
    program: `x = ac.tensor(np.arange(16.0).reshape(4, 4) % 5, name="x")
w = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w")
y = ac.conv2d(x, w)
d = y - 1.0
E = ac.sum(d ** 2) / 2`,
    of: "E",
    wrt: "w",
    claim: "conv(x, d)",
  },
  {
    title: "Softmax and cross-entropy",
    program: `z = ac.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 1.0]], name="z")
t = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
E = ac.losses.cross_entropy(z, [1, 0])`,
    of: "E",
    wrt: "z",
    claim: "(softmax(z) - t) / 2",
  },
  {
    title: "A backward function of a course: ReLU",
    program: `def forward(x):
    return np.maximum(x, 0), x

def backward(dout, cache):
    return dout * np.maximum(cache, 0)`,
    course: "cs231n.relu",
  },
];

let worker = null;
let asked = 0;

function show(example) {
  at("program").value = example.program;
  at("of-formula").hidden = "course" in example;
  at("of-function").hidden = !("course" in example);
  for (const name of ["of", "wrt", "claim", "course"]) at(name).value = example[name] ?? "";
  at("program").rows = example.program.split("\n").length + 1;
  at("answer").hidden = true;
}

function working(on, said = "") {
  at("run").disabled = on;
  at("stop").hidden = !on;
  at("status").textContent = said;
}

function answer(text, failed = false) {
  at("answer").hidden = false;
  at("answer").textContent = text;
  at("answer").classList.toggle("failed", failed);
}

function start() {
  worker = new Worker(new URL("derivation-worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.courses) {
      at("courses").replaceChildren(...data.courses.map((name) => Object.assign(document.createElement("option"), { value: name })));
    } else if (data.status) {
      working(true, data.status);
    } else if (data.id === asked) {
      working(false);
      answer(data.text, data.failed);
    }
  };
  worker.onerror = (event) => {
    worker.terminate();
    worker = null;
    working(false);
    answer(`Python could not be started: ${event.message || "is there a network?"}`, true);
  };
}

at("derivation").addEventListener("submit", (event) => {
  event.preventDefault();
  if (worker === null) start();
  working(true, "Checking");
  const form = Object.fromEntries(["program", "of", "wrt", "claim", "course"].map((name) => [name, at(name).value]));
  form.kind = at("of-formula").hidden ? "function" : "formula";
  worker.postMessage({ id: ++asked, form });
});

at("stop").addEventListener("click", () => {
  worker?.terminate();
  worker = null;
  working(false, "Stopped");
});

EXAMPLES.forEach((example, k) => at("example").add(new Option(example.title, k)));
at("example").addEventListener("change", () => show(EXAMPLES[at("example").value]));
show(EXAMPLES[0]);
document.documentElement.dataset.derivation = "ready";
