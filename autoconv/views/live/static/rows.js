// The rows that are not elementwise.  ROWS[name](operands, params, shape, dtype) gives [result, run]: run computes the
// result's elements from the operands' memory, or is null where the result is a view of it.

const moved = (x, shape, strides, offset = x.offset) => [view(x.data, x.dtype, shape, strides, offset), null];

ROWS.identity = ROWS.stop_gradient = ([x]) => [x, null];
ROWS.reshape = ([x], p, shape) => {
  const [y, run] = dense(x);
  return [view(y.data, y.dtype, shape, inOrder(shape), y.offset), run];
};
ROWS.permute_dims = ([x], { axes }, shape) => moved(x, shape, axes.map(a => x.strides[a]));
ROWS.flip = ([x], { axis }, shape) => {
  const turned = new Set(axis), n = x.shape.length;
  const at = i => turned.has(i) || turned.has(i - n);
  let offset = x.offset;
  if (product(shape)) x.strides.forEach((s, i) => { if (at(i)) offset += s * (shape[i] - 1); });
  return moved(x, shape, x.strides.map((s, i) => at(i) ? -s : s), offset);
};
const broadcast = (x, shape) => {
  const more = shape.length - x.shape.length;
  return shape.map((n, i) => i < more || x.shape[i - more] === 1 ? 0 : x.strides[i - more]);
};
ROWS.broadcast_to = ([x], p, shape) => moved(x, shape, broadcast(x, shape));
ROWS.crop = ([x], { width }, shape) =>
  moved(x, shape, x.strides, product(shape) ? x.offset + width.reduce((s, [low], i) => s + low * x.strides[i], 0) : 0);
ROWS.index = ([x], p, shape) => {
  if (p.cells) return gathered(x, p.cells, shape);
  return moved(x, shape, ...keyed(x, p, shape));
};
// A key of whole numbers and slices as strides and offset: p.keys has [axis, start, step] (step null: one place), and
// an axis of null where there is a new one.
function keyed(x, { keys }, shape) {
  const strides = [];
  let offset = x.offset;
  for (const [axis, start, step] of keys) {
    if (axis !== null && product(shape)) offset += start * x.strides[axis];
    if (axis === null) strides.push(0); else if (step !== null) strides.push(step * x.strides[axis]);
  }
  return [strides, offset];
}
function gathered(x, cells, shape) {
  const [y, run] = dense(x), made = alloc(x.dtype, shape), ys = flat(y), out = made.data;
  return [made, () => { if (run) run(); for (let i = 0; i < cells.length; i++) out[i] = ys[cells[i]]; }];
}
ROWS.scatter = ([x], p, shape, dtype) => {
  const y = alloc(dtype, shape);
  if (p.cells) {
    const [d, run] = dense(x), xs = flat(d);
    return [y, () => { if (run) run(); for (let i = 0; i < p.cells.length; i++) y.data[p.cells[i]] = xs[i]; }];
  }
  const [strides, offset] = keyed(y, p, x.shape);
  return [y, copier(view(y.data, dtype, x.shape, strides, offset), x)];
};
ROWS.pad = ([x], { width }, shape, dtype) => {
  const y = alloc(dtype, shape);
  return [y, copier(ROWS.crop([y], { width }, x.shape)[0], x)];
};
ROWS.concat = (xs, { axis }, shape, dtype) => {
  const y = alloc(dtype, shape), at = axis < 0 ? axis + shape.length : axis;
  let offset = 0;
  const runs = xs.map(x => {
    const part = view(y.data, dtype, x.shape, y.strides, offset * y.strides[at]);
    offset += x.shape[at];
    return copier(part, x);
  });
  return [y, () => runs.forEach(run => run())];
};
ROWS.cast = ([x], p, shape, dtype) => {
  const [d, copy] = dense(x), y = alloc(dtype, shape), xs = flat(d), ys = y.data, n = ys.length;
  const run = dtype === 'b1'
    ? () => { for (let i = 0; i < n; i++) ys[i] = xs[i] !== 0 ? 1 : 0; }
    : () => { for (let i = 0; i < n; i++) ys[i] = xs[i]; };
  return [y, finished(y, copy ? () => { copy(); run(); } : run)];
};

// ---- windows and places along an axis

function framed(x, { axes, window, stride, dilation }, shape) {
  const first = axes[0], end = axes[axes.length - 1] + 1, steps = x.strides.slice(first, end);
  return [...x.strides.slice(0, first), ...steps.map((s, i) => s * stride[i]), ...steps.map((s, i) => s * dilation[i]),
    ...x.strides.slice(end)];
}
ROWS.windows = ([x], p, shape) => moved(x, shape, framed(x, p, shape));
ROWS.overlap_add = ([x], p, shape, dtype) => {
  const y = alloc(dtype, shape), add = copier(view(y.data, dtype, x.shape, framed(y, p), 0), x, true);
  return [y, finished(y, () => { y.data.fill(0); add(); })];
};
// [outer, size, inner] of an axis: the elements before it, its own, and those behind it
const around = (shape, axis) => [product(shape.slice(0, axis)), shape[axis], product(shape.slice(axis + 1))];
const place = (i, size) => {
  const at = i < 0 ? i + size : i;
  if (!(at >= 0 && at < size)) throw new RangeError(`there is no place ${i} among ${size}`);
  return at;
};
ROWS.take = ([x, i], { axis }, shape, dtype) => {
  const at = axis < 0 ? axis + x.shape.length : axis, [outer, size, inner] = around(x.shape, at);
  const y = alloc(dtype, shape), xs = flat(x), ys = y.data, is = flat(i), n = is.length;
  return [y, () => {
    for (let o = 0, to = 0; o < outer; o++) for (let k = 0; k < n; k++) {
      const from = (o * size + place(is[k], size)) * inner;
      for (let j = 0; j < inner; j++) ys[to++] = xs[from + j];
    }
  }];
};
ROWS.scatter_add = ([x, i], { axis, size }, shape, dtype) => {
  const [outer, , inner] = around(shape, axis), y = alloc(dtype, shape), xs = flat(x), ys = y.data, is = flat(i);
  const sums = dtype === 'f4' || dtype === 'f2' ? new Float64Array(ys.length) : ys, n = is.length;
  return [y, finished(y, () => {
    sums.fill(0);
    for (let o = 0, from = 0; o < outer; o++) for (let k = 0; k < n; k++) {
      const to = (o * size + place(is[k], size)) * inner;
      for (let j = 0; j < inner; j++) sums[to + j] += xs[from++];
    }
    if (sums !== ys) ys.set(sums);
  })];
};
ROWS.argsort = ([x], { axis }, shape, dtype) => {
  const [outer, size, inner] = around(shape, axis < 0 ? axis + shape.length : axis), y = alloc(dtype, shape);
  const xs = flat(x), ys = y.data, places = Array.from({ length: size }, (_, k) => k);
  return [y, () => {
    for (let o = 0; o < outer; o++) for (let j = 0; j < inner; j++) {
      const at = k => (o * size + k) * inner + j, value = k => xs[at(k)];
      const sorted = places.slice().sort((a, b) => { // a NaN comes last; equal ones keep their order
        const u = value(a), v = value(b);
        return u < v ? -1 : u > v ? 1 : u === v ? a - b : (u !== u) - (v !== v) || a - b;
      });
      for (let k = 0; k < size; k++) ys[at(k)] = sorted[k];
    }
  }];
};

// ---- sums: added in double precision and rounded once

function summed(x, kept, gone, y) { // y's elements in order are sums over the axes ``gone`` of x
  const pick = axes => merged(axes.map(a => x.shape[a]), [axes.map(a => x.strides[a])]);
  const [ks, [kt]] = pick(kept), [gs, [gt]] = pick(gone);
  const n = gs.length ? gs.pop() : 1, step = gt.length > gs.length ? gt.pop() : 0;
  const starts = offsets(ks, kt, x.offset), outer = offsets(gs, gt), xs = x.data, ys = y.data;
  if (product(x.shape) === 0) return () => ys.fill(0);
  return finished(y, () => {
    for (let k = 0; k < starts.length; k++) {
      let s = 0;
      for (let g = 0; g < outer.length; g++)
        for (let i = 0, at = starts[k] + outer[g]; i < n; i++, at += step) s += xs[at];
      ys[k] = s;
    }
  });
}
const axesOf = x => x.shape.map((_, i) => i);
ROWS.sum = ([x], { axis }, shape, dtype) => {
  const all = axesOf(x), given = axis === null || axis === undefined ? all : [axis].flat();
  const gone = new Set(given.map(a => a < 0 ? a + all.length : a)), y = alloc(dtype, shape);
  return [y, summed(x, all.filter(a => !gone.has(a)), [...gone].sort((a, b) => a - b), y)];
};
ROWS.sum_to = ([x], p, shape, dtype) => {
  const all = axesOf(x), more = all.length - shape.length, y = alloc(dtype, shape);
  const gone = new Set(all.filter(a => a < more || (shape[a - more] === 1 && x.shape[a] !== 1)));
  return [y, summed(x, all.filter(a => !gone.has(a)), [...gone], y)];
};
