// Which element of which line an element is computed from, told by running the rows on the places of elements in place
// of their numbers: wiring rows carry a place along, sums and contractions read many, elementwise rows the same place.

const WIRING = new Set(['identity', 'stop_gradient', 'cast', 'reshape', 'permute_dims', 'flip', 'broadcast_to', 'pad', 'crop',
  'index', 'scatter', 'take', 'windows']);
const COLLECTS = { // rows that add elements up, as the adjoint that says where each goes: [row, params]
  sum: (p, shape) => {
    const gone = new Set(p.axis === null || p.axis === undefined ? shape.map((_, i) => i)
      : [p.axis].flat().map(a => a < 0 ? a + shape.length : a));
    return ['broadcast_to', {}, shape.map((n, i) => gone.has(i) ? 1 : n)];
  },
  sum_to: () => ['broadcast_to', {}],
  overlap_add: p => ['windows', p],
  scatter_add: p => ['take', p],
};

function indexOf(e, shape) { // the place of element e along each axis
  const index = new Array(shape.length);
  for (let i = shape.length - 1; i >= 0; i--) { index[i] = e % shape[i]; e = Math.floor(e / shape[i]); }
  return index;
}
const dot = (index, strides) => index.reduce((s, n, i) => s + n * strides[i], 0);

class Reading {
  constructor(program) {
    this.program = program;
    this.tables = new Map();
  }
  row(line) { return this.program.lines[line][0]; }
  shape(line) { return this.program.lines[line][3]; }
  value(line, e) {
    const x = this.program.values[line];
    return x.data[x.offset + dot(indexOf(e, x.shape), x.strides)];
  }

  run(row, operands, params, shape) {
    const [y, run] = ROWS[row](operands, params || {}, shape, 'f8');
    if (run) run();
    return listed(y);
  }
  places(shape) {
    const x = alloc('f8', shape);
    for (let i = 0; i < x.data.length; i++) x.data[i] = i + 1;
    return x;
  }
  kept(line, fixed, make) { // tables of places that depend on no input are made once
    if (!fixed) return make();
    if (!this.tables.has(line)) this.tables.set(line, make());
    return this.tables.get(line);
  }
  others(operands) { // what a row reads besides the operand that it moves: indices
    return operands.slice(1).map(x => dense(this.program.values[x])).map(([x, run]) => { if (run) run(); return x; });
  }

  // Element e of a wiring line: [operand, its element], or null for a zero of its own (padding).
  source(line, e) {
    const [row, operands, , shape, params] = this.program.lines[line];
    if (row === 'concat') {
      const axis = params.axis < 0 ? params.axis + shape.length : params.axis, index = indexOf(e, shape);
      for (const x of operands) {
        const own = this.shape(x);
        if (index[axis] < own[axis]) return [x, dot(index, inOrder(own))];
        index[axis] -= own[axis];
      }
    }
    const table = this.kept(line, operands.length === 1, () =>
      this.run(row === 'cast' ? 'identity' : row, [this.places(this.shape(operands[0])), ...this.others(operands)], params, shape));
    return table[e] ? [operands[0], table[e] - 1] : null;
  }

  // The elements that a row which adds up collects in its element e.
  collected(line, e) {
    const [row, operands, , shape, params] = this.program.lines[line], from = this.shape(operands[0]);
    const table = this.kept(line, operands.length === 1, () => {
      const [adjoint, p, before] = COLLECTS[row](params || {}, from);
      const places = this.places(shape);
      const start = before ? view(places.data, 'f8', before, inOrder(before), 0) : places;
      const needed = adjoint === 'windows' ? { ...p, window: from.slice(p.axes[p.axes.length - 1] + 1).slice(0, p.axes.length) } : p;
      return this.run(adjoint, [start, ...this.others(operands)], needed, from);
    });
    const found = [];
    for (let j = 0; j < table.length; j++) if (table[j] === e + 1) found.push(j);
    return found;
  }

  // The pairs (element of a, element of b) whose products element e of a contraction adds up.
  pairs(line, e) {
    const [, [a, b], , shape, { spec }] = this.program.lines[line], [given, result] = spec.split('->');
    const [inA, inB] = given.split(','), sa = this.shape(a), sb = this.shape(b), at = {}, size = {};
    [...inA].forEach((c, i) => { size[c] = sa[i]; });
    [...inB].forEach((c, i) => { size[c] = sb[i]; });
    indexOf(e, shape).forEach((n, i) => { at[result[i]] = n; });
    const terms = [...new Set(inA + inB)].filter(c => !(c in at));
    const step = (names, own) => terms.map(c => [...names].reduce((s, d, i) => s + (d === c ? own[i] : 0), 0));
    const start = (names, own) => [...names].reduce((s, c, i) => s + (at[c] || 0) * own[i], 0);
    const oa = inOrder(sa), ob = inOrder(sb), sizes = terms.map(c => size[c]);
    const left = offsets(sizes, step(inA, oa), start(inA, oa)), right = offsets(sizes, step(inB, ob), start(inB, ob));
    return Array.from(left, (x, i) => [x, right[i]]);
  }

  // Every element of the lines from first on that element e of a line depends on: a Map from line to a mask.
  reach(line, e) {
    const masks = new Map([[line, new Uint8Array(product(this.shape(line)))]]);
    masks.get(line)[e] = 1;
    const mark = (x, j) => {
      if (!masks.has(x)) masks.set(x, new Uint8Array(product(this.shape(x))));
      masks.get(x)[j] = 1;
    };
    for (let i = line; i >= 0; i--) {
      const mask = masks.get(i), row = this.row(i), operands = this.program.lines[i][1];
      if (!mask || !ROWS[row]) continue;
      const some = [];
      mask.forEach((v, j) => { if (v) some.push(j); });
      const cost = row === 'contract' ? some.length * product(this.shape(operands[0])) / Math.max(1, mask.length) : 0;
      if (row === 'argsort' || cost > 2e7 || (COLLECTS[row] && some.length > 400)) {
        for (const x of operands) for (let j = 0; j < product(this.shape(x)); j++) mark(x, j);
      } else if (row === 'contract') {
        for (const j of some) for (const [u, v] of this.pairs(i, j)) { mark(operands[0], u); mark(operands[1], v); }
      } else if (COLLECTS[row]) {
        for (const j of some) for (const u of this.collected(i, j)) mark(operands[0], u);
      } else if (WIRING.has(row) || row === 'concat') {
        for (const j of some) { const from = this.source(i, j); if (from) mark(...from); }
      } else {
        for (const x of operands) for (const j of some) mark(x, j);
      }
    }
    return masks;
  }
}

// ---- equations: an element written in the elements of the lines that have names

const SUM = 1, PRODUCT = 2, ATOM = 5; // how tightly a text binds, as in autoconv/render/notation.py
const SLOT = 0xE000;

function short(x) { // four significant digits, as pages write numbers
  if (typeof x !== 'number' || !isFinite(x)) return x === Infinity ? 'inf' : x === -Infinity ? '-inf' : x !== x ? 'nan' : String(x);
  if (x === 0) return '0';
  const e = Math.floor(Math.log10(Math.abs(Number(x.toPrecision(4)))));
  if (e < -4 || e >= 6) return x.toExponential(3).replace(/\.?0+e/, 'e').replace(/e([+-])(\d)$/, 'e$10$2');
  return String(Number(x.toPrecision(Math.max(4, Math.min(6, e + 1)))));
}
const within = (text, binds, least) => binds >= least ? text : `(${text})`;

class Equations {
  // names: Map from a line to {of: element -> its name, cotangent}; templates: of rows, [text, binds, needs]
  constructor(reading, names, templates) {
    Object.assign(this, { reading, names, templates });
  }

  number(x) { return { num: short(x), numBinds: x < 0 || /e/.test(short(x)) ? SUM : ATOM }; }
  leaf(text, value) { return { text, binds: ATOM, value, ...this.number(value) }; }

  // The terms that element e of a line is the sum of: {text, num, value}, with padding counted but left out.
  terms(line, e) {
    const found = { terms: [], padding: 0, cut: 0 };
    this.flatten(line, e, 1, found, true);
    return found;
  }
  flatten(line, e, sign, found, start) {
    const { reading } = this, row = reading.row(line), operands = reading.program.lines[line][1];
    if (found.terms.length >= 4096) { found.cut++; return; }
    if (!start && this.names.has(line)) return void this.put(this.expression(line, e, 0), sign, found);
    if (row === 'add' || row === 'sub') {
      this.flatten(operands[0], e, sign, found);
      this.flatten(operands[1], e, row === 'add' ? sign : -sign, found);
    } else if (row === 'neg') this.flatten(operands[0], e, -sign, found);
    else if (COLLECTS[row]) for (const j of reading.collected(line, e)) this.flatten(operands[0], j, sign, found);
    else if (row === 'contract') {
      const [a, b] = operands;
      for (const [i, j] of reading.pairs(line, e)) {
        if (found.terms.length >= 4096) { found.cut++; continue; }
        this.put(this.times(this.expression(a, i, 0), this.expression(b, j, 0)), sign, found);
      }
    } else if (WIRING.has(row) || row === 'concat') {
      const from = reading.source(line, e);
      if (from) this.flatten(from[0], from[1], sign, found); else found.padding++;
    } else this.put(this.expression(line, e, 0, true), sign, found);
  }
  put(term, sign, found) {
    if (term.zero) { found.padding++; return; }
    if (sign < 0) {
      term = { ...term, text: '-' + within(term.text, term.binds, PRODUCT), num: '-' + within(term.num, term.numBinds, PRODUCT),
        binds: SUM, numBinds: SUM, value: -term.value };
    }
    found.terms.push(term);
  }
  times(a, b) {
    if (a.zero || b.zero) return { zero: true };
    if (a.cotangent && !b.cotangent) return this.times(b, a); // i dC/do, as it is written by hand
    return { text: `${within(a.text, a.binds, PRODUCT)}·${within(b.text, b.binds, PRODUCT)}`, binds: PRODUCT,
      num: `${within(a.num, a.numBinds, PRODUCT)}·${within(b.num, b.numBinds, PRODUCT)}`, numBinds: PRODUCT, value: a.value * b.value };
  }

  expression(line, e, depth, start) {
    const { reading } = this, [row, operands] = reading.program.lines[line], value = reading.value(line, e);
    if (!start && this.names.has(line)) {
      const { of, cotangent } = this.names.get(line);
      return { ...this.leaf(of(e), value), cotangent };
    }
    if (!ROWS[row]) return this.leaf(short(value), value);
    if (WIRING.has(row) || row === 'concat') {
      const from = reading.source(line, e);
      return from ? this.expression(from[0], from[1], depth) : { zero: true, ...this.leaf('0', 0) };
    }
    if (row === 'contract' || COLLECTS[row]) {
      const found = this.terms(line, e), { terms } = found;
      if (terms.length === 1 && !found.cut) return terms[0];
      if (terms.length > 4 || !terms.length || found.cut) return this.leaf(terms.length ? `(sum of ${terms.length + found.cut})` : '0', value);
      return { text: terms.map(t => t.text).join(' + ').replace(/\+ -/g, '- '), binds: SUM, value, num: short(value), numBinds: this.number(value).numBinds };
    }
    const known = this.templates[row];
    if (!known || depth > 6) return this.leaf(`${row}(…)`, value);
    const [text, binds, needs] = known, parts = operands.map(x => this.expression(x, e, depth + 1));
    const filled = (k, b) => text.replace(/[\uE000-\uE00F]/g, c => {
      const i = c.charCodeAt(0) - SLOT;
      return within(parts[i][k], parts[i][b], needs[i]);
    });
    const made = filled('text', 'binds');
    if (made.length > 120) return this.leaf(`${row}(…)`, value);
    return { text: made, binds, num: filled('num', 'numBinds'), numBinds: binds, value };
  }
}
