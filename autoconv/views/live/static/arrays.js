// Arrays with strides over typed memory: views cost nothing, and what has to lie in order is copied in order.

const MEMORY = {
  f8: Float64Array, f4: Float32Array, f2: Float32Array, b1: Uint8Array, i1: Int8Array, i2: Int16Array, i4: Int32Array,
  u1: Uint8Array, u2: Uint16Array, u4: Uint32Array,
  i8: Float64Array, u8: Float64Array, // whole numbers up to 2^53 are exact
};
const ROWS = {};

const product = shape => shape.reduce((a, b) => a * b, 1);
function inOrder(shape) { // the strides of an array whose last axis lies innermost
  const strides = new Array(shape.length);
  for (let i = shape.length - 1, step = 1; i >= 0; i--) { strides[i] = step; step *= shape[i]; }
  return strides;
}
const view = (data, dtype, shape, strides, offset) => ({ data, dtype, shape, strides, offset });
function alloc(dtype, shape) {
  return view(new MEMORY[dtype](product(shape)), dtype, shape, inOrder(shape), 0);
}
function isDense(x) {
  for (let i = x.shape.length - 1, step = 1; i >= 0; i--) {
    if (x.shape[i] !== 1 && x.strides[i] !== step && x.data.length !== 0) return false;
    step *= x.shape[i];
  }
  return true;
}
function flat(x) { // the elements of a dense array, in order
  const n = product(x.shape);
  return x.offset === 0 && x.data.length === n ? x.data : x.data.subarray(x.offset, x.offset + n);
}

// float16, truth values and whole numbers of 64 bits have no arithmetic of their own here: what was stored is put right
function finished(y, run) {
  const ys = y.data, n = ys.length;
  if (y.dtype === 'f2') return () => { run(); for (let i = 0; i < n; i++) ys[i] = half(ys[i]); };
  if (y.dtype === 'b1') return () => { run(); for (let i = 0; i < n; i++) if (ys[i]) ys[i] = 1; };
  if (y.dtype === 'i8' || y.dtype === 'u8')
    return () => { run(); for (let i = 0; i < n; i++) ys[i] = ys[i] === ys[i] ? Math.trunc(ys[i]) : 0; };
  return run;
}
function half(x) { // rounded to the nearest float16, ties to even
  const a = Math.abs(x);
  if (!(a < Infinity) || a === 0) return x;
  const step = Math.pow(2, Math.max(Math.floor(Math.log2(a)), -14) - 10), q = a / step, low = Math.floor(q);
  const n = q - low > 0.5 || (q - low === 0.5 && low % 2) ? low + 1 : low;
  return Math.sign(x) * (n * step > 65504 ? Infinity : n * step);
}

// The axes of one or two arrays of a shape with as few axes as their strides allow, the last of them innermost.
function merged(shape, all) {
  const sizes = [], steps = all.map(() => []);
  shape.forEach((n, axis) => {
    if (n === 1) return;
    const last = sizes.length - 1;
    if (last >= 0 && all.every((s, k) => steps[k][last] === s[axis] * n)) {
      sizes[last] *= n;
      all.forEach((s, k) => { steps[k][last] = s[axis]; });
    } else {
      sizes.push(n);
      all.forEach((s, k) => steps[k].push(s[axis]));
    }
  });
  return [sizes, steps];
}
function offsets(shape, strides, start = 0) { // where each element lies, in order
  let found = new Int32Array([start]);
  shape.forEach((n, axis) => {
    const next = new Int32Array(found.length * n), step = strides[axis];
    for (let i = 0, at = 0; i < found.length; i++) for (let j = 0; j < n; j++) next[at++] = found[i] + j * step;
    found = next;
  });
  return found;
}
// to[..] = from[..] (or += with add) for two arrays of one shape
function copier(to, from, add = false) {
  const [sizes, [ts, fs]] = merged(to.shape, [to.strides, from.strides]);
  if (product(to.shape) === 0) return () => {};
  const n = sizes.length ? sizes.pop() : 1, t1 = sizes.length < ts.length ? ts.pop() : 1, f1 = sizes.length < fs.length ? fs.pop() : 1;
  const starts = offsets(sizes, ts, to.offset), reads = offsets(sizes, fs, from.offset), T = to.data, F = from.data;
  if (add) return () => {
    for (let k = 0; k < starts.length; k++)
      for (let i = 0, t = starts[k], f = reads[k]; i < n; i++, t += t1, f += f1) T[t] += F[f];
  };
  if (t1 === 1 && f1 === 1 && n > 32) return () => {
    for (let k = 0; k < starts.length; k++) T.set(F.subarray(reads[k], reads[k] + n), starts[k]);
  };
  return () => {
    for (let k = 0; k < starts.length; k++)
      for (let i = 0, t = starts[k], f = reads[k]; i < n; i++, t += t1, f += f1) T[t] = F[f];
  };
}
function dense(x) { // [the same elements in order, what copies them there, or null for x itself]
  if (isDense(x)) return [x, null];
  const y = alloc(x.dtype, x.shape);
  return [y, copier(y, x)];
}
function listed(x) { // the elements of any array, in order, as a typed array of its own
  if (isDense(x)) return flat(x).slice();
  const y = alloc(x.dtype, x.shape);
  copier(y, x)();
  return y.data;
}
