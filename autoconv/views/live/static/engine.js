// The engine of a page: the program with its inputs, what a reader calls its lines, edits, and training.  It touches no
// document, so it runs in a window, in a Web Worker and in node alike.

class Engine {
  // page: the data; arrays: its unpacked numbers
  constructor(page, arrays) {
    Object.assign(this, { page, arrays });
    this.inputs = page.inputs.map(({ dtype, count, start }) =>
      typeof start === 'number' ? MEMORY[dtype].from(arrays[start]) : new MEMORY[dtype](count).fill(restored(start[0])));
    this.first = this.inputs.map(x => x.slice());
    this.program = new Program(page.lines, arrays, this.inputs);
    this.lineOf = []; // of each input
    page.lines.forEach(([row, k], i) => { if (row === 'argument') this.lineOf[k] = i; });
    this.state = (page.train ? page.train.params : []).map(() => ({}));
    this.steps = 0;
    this.cursor = 0;
  }

  // edits: [[node, index, value], ...], or [[node, null, values]] for all of a node's elements
  edit(edits) {
    for (const [node, index, value] of edits) {
      const k = this.page.nodes[node].input, x = this.inputs[k];
      if (index === null) x.set(x.length < value.length ? [value[0]] : value); else x[x.length === 1 ? 0 : index] = value;
      if (this.lineOf[k] !== undefined) this.program.touch(this.lineOf[k]);
    }
  }
  run(told) { this.program.run(null, told); }

  value(node) { return this.read(this.page.nodes[node].value); }
  grad(node) { return this.read(this.page.nodes[node].grad); }
  read(line) { return line < 0 ? null : listed(this.program.values[line]); }

  // What has changed since it was last asked: [[node, value or null, gradient or null], ...]
  news() {
    const { changed } = this.program, found = [];
    this.page.nodes.forEach(({ value, grad }, node) => {
      const v = value >= 0 && changed[value], g = grad >= 0 && changed[grad];
      if (v || g) found.push([node, v ? this.value(node) : null, g ? this.grad(node) : null]);
    });
    changed.fill(0);
    return found;
  }

  // ---- explanations

  equations() {
    if (this.known) return this.known;
    const names = new Map(), loss = this.page.nodes[this.page.loss].name;
    this.page.nodes.forEach(node => {
      const { value, grad } = node;
      if (grad >= 0 && !names.has(grad)) names.set(grad, { of: e => `d${loss}/d${elementName(node, e)}`, cotangent: true });
      if (value >= 0) names.set(value, { of: e => elementName(node, e), cotangent: false });
    });
    this.known = new Equations(new Reading(this.program), names, this.page.templates);
    return this.known;
  }
  explain(node, e, side) {
    const about = this.page.nodes[node], line = side === 'grad' ? about.grad : about.value;
    if (line < 0 || !ROWS[this.page.lines[line][0]]) return null;
    const found = this.equations().terms(line, e), value = this.known.reading.value(line, e);
    const all = found.terms, shown = all.length > 400
      ? all.map((t, i) => [Math.abs(t.value), i]).sort((a, b) => b[0] - a[0]).slice(0, 400).map(([, i]) => all[i]) : all;
    return { value, count: all.length + found.cut, padding: found.padding,
      terms: shown.map(({ text, num, value: v }) => ({ text, num, value: v })) };
  }
  // Masks of the nodes that element e of a node is computed from: [[node, mask], ...]
  reach(node, e) {
    const masks = this.equations().reading.reach(this.page.nodes[node].value, e);
    return this.page.nodes.map(({ value }, k) => [k, masks.get(value)]).filter(([, mask]) => mask);
  }

  // ---- training

  // One step of the optimiser on the next examples of the page's data; the mean loss of these examples.
  train(settings) {
    const { page, program } = this, { train } = page, loss = page.nodes[page.loss].value;
    const grads = train.params.map(node => page.nodes[node].grad);
    this.wanted ||= program.needed([loss, ...grads]);
    const sums = train.params.map(node => new Float64Array(this.inputs[page.nodes[node].input].length));
    const kept = train.feeds.map(({ node }) => this.inputs[page.nodes[node].input].slice());
    const runs = train.batch / train.each;
    let total = 0;
    for (let r = 0; r < runs; r++) {
      this.feed(train.feeds, train.count, this.cursor, train.each);
      this.cursor = (this.cursor + train.each) % train.count;
      program.run(this.wanted);
      total += listed(program.values[loss])[0];
      grads.forEach((g, i) => { const x = listed(program.values[g]), s = sums[i]; for (let j = 0; j < s.length; j++) s[j] += x[j] / runs; });
    }
    this.steps++;
    const options = { ...train.settings, ...settings };
    train.params.forEach((node, i) => {
      const k = page.nodes[node].input, x = this.inputs[k], wide = page.nodes[node].dtype === 'f2' ? Float32Array.from(x) : x;
      OPTIMISERS[train.kind](wide, wide.constructor.from(sums[i]), this.state[i], this.steps, options);
      if (wide !== x) wide.forEach((v, j) => { x[j] = half(v); });
      program.touch(this.lineOf[k]);
    });
    this.back(train.feeds, kept);
    return total / runs;
  }
  // How many of the page's examples have their label as the largest logit.
  test() {
    const { page, program } = this, { examples } = page, logits = page.nodes[page.logits].value;
    const mask = program.needed([logits]), kept = examples.feeds.map(({ node }) => this.inputs[page.nodes[node].input].slice());
    const is = whole => examples.feeds.find(({ node }) => 'iu'.includes(page.nodes[node].dtype[0]) === whole), labels = is(true);
    const each = page.nodes[is(false).node].shape[0];
    let right = 0, count = 0;
    for (let at = 0; labels && at + each <= examples.count; at += each) {
      this.feed(examples.feeds, examples.count, at, each);
      program.run(mask);
      const scores = listed(program.values[logits]), n = scores.length / each;
      for (let i = 0; i < each; i++, count++) {
        const own = scores.slice(i * n, (i + 1) * n);
        right += own.indexOf(Math.max(...own)) === this.arrays[labels.array][at + i] ? 1 : 0;
      }
    }
    this.back(examples.feeds, kept);
    return { right, count };
  }
  feed(feeds, count, start, each) { // examples from start on into the inputs
    for (const { node, array, row } of feeds) {
      const k = this.page.nodes[node].input, x = this.inputs[k], data = this.arrays[array];
      for (let i = 0; i < each; i++) {
        const at = ((start + i) % count) * row;
        for (let j = 0; j < row; j++) x[i * row + j] = data[at + j];
      }
      this.program.touch(this.lineOf[k]);
    }
  }
  back(feeds, kept) {
    feeds.forEach(({ node }, i) => {
      const k = this.page.nodes[node].input;
      this.inputs[k].set(kept[i]);
      this.program.touch(this.lineOf[k]);
    });
  }
  restart() { // the optimiser forgets; the inputs are the page's to put back
    this.state = this.state.map(() => ({}));
    this.steps = this.cursor = 0;
  }
}

function elementName({ name, shape, flat: counted }, e) { // w[0,1]; of flat ones w_2, counted from 1
  if (!shape.length) return name;
  return counted ? (product(shape) === 1 ? name : `${name}_${e + 1}`) : `${name}[${indexOf(e, shape).join(',')}]`;
}
