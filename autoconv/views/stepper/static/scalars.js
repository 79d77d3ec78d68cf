// A line opened into its scalars: one element of what it makes or sends back, computed from the numbers in the page.

// {title, rows: [text]} for the element with flat index i of an event's result (or of its target's gradient).
function scalarOf(trace, event, i) {
  const line = trace.lines[event.line], grid = (role, of) => {
    const found = event.grids.find(([r, , , l]) => r === role && (of === undefined || l === of));
    return found ? trace.arrays[found[2]] : null;
  };
  const known = (x, array, k) => `${trace.lines[x].name}${where(array, k)}`;
  const put = (x) => /^-|^\d+\/\d+$/.test(short(x)) ? `(${short(x)})` : short(x);
  if (event.kind === "input" || event.kind === "forward") {
    const result = grid("result"), name = known(event.line, result, i), value = result.get(i);
    if (line.group === "arithmetic") {
      const operands = line.reads.map((x) => [x, grid("operand", x)]);
      const one = (x, array) => {
        if (!array) return [put(trace.lines[x].number), trace.lines[x].number];
        const k = product(array.shape) === 1 ? 0 : i; return [known(x, array, k), array.get(k)]; };
      const named = operands.map(([x, a]) => trace.lines[x].row === "constant" && one(x, a)[1] !== undefined ? put(one(x, a)[1]) : one(x, a)[0]);
      const filled = operands.map(([x, a]) => put(one(x, a)[1]));
      const write = (parts) => line.formula.replace(/[\uE000-\uE0FF]/g, (slot) => parts[slot.charCodeAt(0) - 0xE000]);
      return { title: `${name} = ${short(value)}`, rows: [write(named), `= ${write(filled)}`, `= ${short(value)}`] };
    }
    if (line.spec) {
      const [a, b] = line.reads.map((x) => grid("operand", x)), [letters, made] = line.spec.split("->"), [la, lb] = letters.split(",");
      return { title: `${name} = ${short(value)}`, rows: products(pinned(made, indexOf(result, i)), [a, la, line.reads[0]], [b, lb, line.reads[1]], trace) };
    }
    if (line.group === "sum" || line.row === "sum") {
      const a = grid("operand", line.reads[0]);
      return { title: `${name} = ${short(value)}`, rows: summed(a, line, result, i, trace) };
    }
    return { title: `${name} = ${short(value)}`, rows: line.group === "wiring" ? ["moved here; nothing is computed"] : [] };
  }
  const after = grid("after"), goal = `gradient of ${known(event.target, after, i)}`, value = after.get(i);
  const before = grid("before"), given = grid("contribution"), rows = [];
  if (event.kind === "accumulate" && line.group === "arithmetic") {
    const g = grid("cotangent"), local = grid("local");
    if (g && local) rows.push(`gradient of ${known(event.line, g, i)} × local derivative`, `= ${put(g.get(i))} × ${put(local.get(i))}`);
  } else if (event.kind === "accumulate" && line.spec) {
    const [letters, made] = line.spec.split("->"), both = letters.split(","), k = event.operand;
    const g = grid("cotangent"), other = grid("operand", line.reads[1 - k]);
    if (g && other) rows.push(...products(pinned(both[k], indexOf(after, i)), [g, made, event.line, "gradient of "], [other, both[1 - k], line.reads[1 - k]], trace));
  } else if (event.kind === "accumulate" && line.group === "sum") rows.push("every summed element receives the gradient of the sum");
  else if (event.kind === "accumulate") rows.push("handed back to where the element came from");
  else if (event.kind === "seed") rows.push("the sweep starts here");
  if (before && given) rows.push(`${short(before.get(i))} + ${put(given.get(i))} = ${short(value)}`);
  return { title: `${goal} = ${short(value)}`, rows };
}

const pinned = (letters, index) => Object.fromEntries([...letters].map((letter, axis) => [letter, index[axis]]));

// The terms of a contraction at the letters in ``at``: products summed over all the others.
function products(at, [a, la, lineA, wordA = ""], [b, lb, lineB, wordB = ""], trace) {
  const sizes = {};
  [...la].forEach((letter, axis) => { sizes[letter] = a.shape[axis]; });
  [...lb].forEach((letter, axis) => { sizes[letter] = b.shape[axis]; });
  const free = Object.keys(sizes).filter((letter) => !(letter in at)), count = product(free.map((letter) => sizes[letter]));
  const rows = [], flat = (array, letters, index) => [...letters].reduce((sum, letter, axis) => sum + index[letter] * array.steps[axis], 0);
  let so = 0, missing = 0;
  for (let n = 0; n < count; n++) {
    const index = { ...at };
    let rest = n;
    for (const letter of [...free].reverse()) { index[letter] = rest % sizes[letter]; rest = Math.floor(rest / sizes[letter]); }
    const [i, j] = [flat(a, la, index), flat(b, lb, index)], [u, v] = [a.get(i), b.get(j)];
    if (u === undefined || v === undefined) { missing++; continue; }
    so += amount(u) * amount(v);
    if (rows.length < 200) rows.push(`${short(u)} × ${short(v)} = ${short(amount(u) * amount(v) + 0)}   sum ${short(so + 0)}`);
  }
  rows.unshift(`Σ ${wordA}${trace.lines[lineA].name} × ${wordB}${trace.lines[lineB].name}, ${count} ${count === 1 ? "term" : "terms"}`);
  if (count - missing > 200) rows.push(`… ${count - missing - 200} more terms`);
  if (missing) rows.push(`${missing} terms have numbers that are not in this page`);
  return rows;
}

function summed(a, line, result, i, trace) {
  const axes = line.axis === undefined ? a.shape.map((_, axis) => axis) : [].concat(line.axis).map((axis) => (axis + a.shape.length) % a.shape.length);
  const index = indexOf(result, i), rows = [], at = a.shape.map(() => 0);
  const kept = a.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis)), keep = result.shape.length === a.shape.length;
  kept.forEach((axis, k) => { at[axis] = index[keep ? axis : k]; });
  const count = product(axes.map((axis) => a.shape[axis]));
  let so = 0, missing = 0;
  for (let n = 0; n < count; n++) {
    let rest = n;
    for (const axis of [...axes].reverse()) { at[axis] = rest % a.shape[axis]; rest = Math.floor(rest / a.shape[axis]); }
    const value = a.get(at.reduce((sum, k, axis) => sum + k * a.steps[axis], 0));
    if (value === undefined) { missing++; continue; }
    so += amount(value);
    if (rows.length < 200) rows.push(`+ ${short(value)}   sum ${short(so + 0)}`);
  }
  if (count - missing > 200) rows.push(`… ${count - missing - 200} more terms`);
  if (missing) rows.push(`${missing} terms have numbers that are not in this page`);
  return [`Σ ${trace.lines[line.reads[0]].name}, ${count} terms`, ...rows];
}
