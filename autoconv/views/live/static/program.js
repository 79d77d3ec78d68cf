// A program: lines as data, each prepared once (its memory, its tables of places), then run as often as an input changes.
// A line is [row, operands, dtype, shape, params], or ['argument', number, dtype, shape], ['array', number, dtype,
// shape], ['number', value, dtype, shape].

const TAKES_VIEWS = new Set(['identity', 'stop_gradient', 'reshape', 'permute_dims', 'flip', 'broadcast_to', 'sum_to',
  'pad', 'crop', 'index', 'scatter', 'windows', 'overlap_add', 'concat', 'cast', 'sum', 'contract']);

class Program {
  // arrays: typed arrays of the page; inputs: one typed array for each argument, kept and written by the caller
  constructor(lines, arrays, inputs) {
    this.lines = lines;
    this.values = [];
    this.inputs = inputs;
    this.steps = []; // {line, operands, run}, in order
    this.stamps = new Float64Array(lines.length).fill(-1); // the age of what a line was computed from
    const copies = new Map();
    lines.forEach((line, i) => this.values.push(this.prepared(line, i, arrays, copies)));
    this.changed = new Uint8Array(lines.length).fill(1); // since the reader asked last
  }

  prepared([row, operands, dtype, shape, params], i, arrays, copies) {
    if (row === 'argument') {
      const data = this.inputs[operands];
      return view(data, dtype, shape, data.length === product(shape) ? inOrder(shape) : shape.map(() => 0), 0);
    }
    if (row === 'array') return view(typed(arrays[operands], dtype), dtype, shape, inOrder(shape), 0);
    if (row === 'number') return view(MEMORY[dtype].of(restored(operands)), dtype, shape, shape.map(() => 0), 0);
    const given = operands.map(x => {
      const v = this.values[x];
      if (TAKES_VIEWS.has(row) || isDense(v)) return v;
      if (!copies.has(x)) {
        const [y, run] = dense(v);
        copies.set(x, y);
        if (this.fixed(x)) run(); else this.steps.push({ line: x, operands: [x], run, copies: true });
      }
      return copies.get(x);
    });
    const [y, run] = ROWS[row](given, params || {}, shape, dtype);
    this.steps.push({ line: i, operands, run, copies: false });
    return y;
  }

  fixed(x) { return this.lines[x][0] === 'array' || this.lines[x][0] === 'number'; }

  // The steps that these lines need, as a mask.
  needed(lines) {
    const mask = new Uint8Array(this.lines.length), waiting = [...lines];
    while (waiting.length) {
      const x = waiting.pop();
      if (mask[x]) continue;
      mask[x] = 1;
      if (ROWS[this.lines[x][0]]) waiting.push(...this.lines[x][1]);
    }
    return mask;
  }

  // Mark an argument as new; the lines that read it are computed again at the next run.
  touch(line) {
    this.stamps[line] = ++this.clock;
    this.changed[line] = 1;
  }
  clock = 0;

  // Compute what is out of date (of the lines in mask, where one is given), in order; told(done, all) now and then.
  run(mask, told) {
    const { steps, stamps, changed } = this;
    let last = told ? performance.now() : 0;
    for (let k = 0; k < steps.length; k++) {
      const { line, operands, run, copies } = steps[k];
      if (mask && !mask[line]) continue;
      let newest = 0;
      for (const x of operands) if (stamps[x] > newest) newest = stamps[x];
      if (copies ? newest > (steps[k].stamp ?? -1) : newest > stamps[line]) {
        if (run) run();
        if (copies) steps[k].stamp = newest; else { stamps[line] = newest; changed[line] = 1; }
      }
      if (told && performance.now() - last > 100) { last = performance.now(); told(k, steps.length); }
    }
  }
}

function typed(array, dtype) { // what the page holds may be packed in a smaller dtype
  return array instanceof MEMORY[dtype] ? array : MEMORY[dtype].from(array);
}
function restored(x) { // a number as JSON has it
  return typeof x === 'string' ? Number(x) : x;
}

// ---- the numbers of a page: one zlib stream in base64, each array plane by plane (all first bytes, all second, ...)

function unpacked(text, described) {
  const all = described.reduce((sum, [dtype, count]) => sum + count * MEMORY[dtype].BYTES_PER_ELEMENT, 0);
  const bytes = inflated(Uint8Array.from(atob(text), c => c.charCodeAt(0)), all);
  let at = 0;
  return described.map(([dtype, count]) => {
    const size = MEMORY[dtype].BYTES_PER_ELEMENT, together = new Uint8Array(count * size);
    for (let b = 0; b < size; b++) for (let i = 0; i < count; i++) together[i * size + b] = bytes[at++];
    return new MEMORY[dtype](together.buffer);
  });
}
