// The row ``contract``: letters sorted into batch (in both and in the result), terms (in both, summed) and free ones;
// then a matrix product rows x terms by columns x terms for each batch, in blocks of 4 x 4 whose sums stay in registers.
// An operand that does not lie so (the windows of a convolution, whose elements overlap) is packed first, through tables
// of where each row and each term lies.  Sums are in double precision, rounded once.

const ROOM = {}; // memory to pack into, shared by all lines: [which operand][dtype]
function room(which, like, n) {
  const key = which + like.constructor.name;
  if (!ROOM[key] || ROOM[key].length < n) ROOM[key] = new like.constructor(n);
  return ROOM[key];
}
const counting = (table, step) => table.every((v, i) => v === table[0] + i * step);

ROWS.contract = ([A, B], { spec }, shape, dtype) => {
  const [given, result] = spec.split('->'), [inA, inB] = given.split(',');
  const size = {};
  [...inA].forEach((c, i) => { size[c] = A.shape[i]; });
  [...inB].forEach((c, i) => { size[c] = B.shape[i]; });
  const Y = alloc(dtype, shape);
  const letters = test => [...new Set(inA + inB)].filter(test);
  const batch = [...result].filter(c => inA.includes(c) && inB.includes(c));
  const terms = letters(c => inA.includes(c) && inB.includes(c) && !result.includes(c));
  const rows = [...result].filter(c => inA.includes(c) && !inB.includes(c));
  const columns = [...result].filter(c => inB.includes(c) && !inA.includes(c));
  // the strides of letters in an array, 0 where it has none of them
  const table = (these, x, names) => offsets(these.map(c => size[c]), these.map(c => names.includes(c) ? x.strides[names.indexOf(c)] : 0));
  const aBatch = table(batch, A, inA), bBatch = table(batch, B, inB), yBatch = table(batch, Y, result);
  const aRow = table(rows, A, inA), aTerm = table(terms, A, inA), yRow = table(rows, Y, result);
  const bColumn = table(columns, B, inB), bTerm = table(terms, B, inB), yColumn = table(columns, Y, result);
  const R = aRow.length, C = bColumn.length, T = aTerm.length, as = A.data, bs = B.data, ys = Y.data;
  if (T === 0 || product(shape) === 0) return [Y, () => ys.fill(0)];
  const plain = (x, outer, inner) => counting(inner, 1) && counting(outer, inner.length) && !inner[0] && !outer[0];
  const aPlain = plain(A, aRow, aTerm), bPlain = plain(B, bColumn, bTerm);
  return [Y, finished(Y, () => {
    const left = aPlain ? as : room('a', as, R * T), right = bPlain ? bs : room('b', bs, C * T);
    for (let n = 0; n < yBatch.length; n++) {
      const a0 = A.offset + aBatch[n], b0 = B.offset + bBatch[n];
      if (!aPlain) pack(left, as, a0, aRow, aTerm);
      if (!bPlain) pack(right, bs, b0, bColumn, bTerm);
      multiply(left, aPlain ? a0 : 0, right, bPlain ? b0 : 0, ys, yBatch[n], yRow, yColumn, R, C, T);
    }
  })];
};
function pack(to, from, start, rows, terms) {
  const R = rows.length, T = terms.length;
  for (let r = 0, k = 0; r < R; r++) {
    const at = start + rows[r];
    for (let t = 0; t < T; t++) to[k++] = from[at + terms[t]];
  }
}
function multiply(a, a0, b, b0, y, y0, yRow, yColumn, R, C, T) {
  const rEnd = R - R % 4, cEnd = C - C % 4;
  for (let r = 0; r < rEnd; r += 4) {
    const p0 = a0 + r * T, p1 = p0 + T, p2 = p1 + T, p3 = p2 + T;
    const y_0 = y0 + yRow[r], y_1 = y0 + yRow[r + 1], y_2 = y0 + yRow[r + 2], y_3 = y0 + yRow[r + 3];
    let c = 0;
    for (; c < cEnd; c += 4) {
      const q0 = b0 + c * T, q1 = q0 + T, q2 = q1 + T, q3 = q2 + T;
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
      let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
      for (let t = 0; t < T; t++) {
        const u0 = a[p0 + t], u1 = a[p1 + t], u2 = a[p2 + t], u3 = a[p3 + t];
        const v0 = b[q0 + t], v1 = b[q1 + t], v2 = b[q2 + t], v3 = b[q3 + t];
        s00 += u0 * v0; s01 += u0 * v1; s02 += u0 * v2; s03 += u0 * v3;
        s10 += u1 * v0; s11 += u1 * v1; s12 += u1 * v2; s13 += u1 * v3;
        s20 += u2 * v0; s21 += u2 * v1; s22 += u2 * v2; s23 += u2 * v3;
        s30 += u3 * v0; s31 += u3 * v1; s32 += u3 * v2; s33 += u3 * v3;
      }
      const k0 = yColumn[c], k1 = yColumn[c + 1], k2 = yColumn[c + 2], k3 = yColumn[c + 3];
      y[y_0 + k0] = s00; y[y_0 + k1] = s01; y[y_0 + k2] = s02; y[y_0 + k3] = s03;
      y[y_1 + k0] = s10; y[y_1 + k1] = s11; y[y_1 + k2] = s12; y[y_1 + k3] = s13;
      y[y_2 + k0] = s20; y[y_2 + k1] = s21; y[y_2 + k2] = s22; y[y_2 + k3] = s23;
      y[y_3 + k0] = s30; y[y_3 + k1] = s31; y[y_3 + k2] = s32; y[y_3 + k3] = s33;
    }
    for (; c < C; c++) {
      const q = b0 + c * T, k = yColumn[c];
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (let t = 0; t < T; t++) {
        const v = b[q + t];
        s0 += a[p0 + t] * v; s1 += a[p1 + t] * v; s2 += a[p2 + t] * v; s3 += a[p3 + t] * v;
      }
      y[y_0 + k] = s0; y[y_1 + k] = s1; y[y_2 + k] = s2; y[y_3 + k] = s3;
    }
  }
  for (let r = rEnd; r < R; r++) {
    const p = a0 + r * T, at = y0 + yRow[r];
    let c = 0;
    for (; c < cEnd; c += 4) {
      const q0 = b0 + c * T, q1 = q0 + T, q2 = q1 + T, q3 = q2 + T;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (let t = 0; t < T; t++) {
        const u = a[p + t];
        s0 += u * b[q0 + t]; s1 += u * b[q1 + t]; s2 += u * b[q2 + t]; s3 += u * b[q3 + t];
      }
      y[at + yColumn[c]] = s0; y[at + yColumn[c + 1]] = s1; y[at + yColumn[c + 2]] = s2; y[at + yColumn[c + 3]] = s3;
    }
    for (; c < C; c++) {
      const q = b0 + c * T;
      let s = 0;
      for (let t = 0; t < T; t++) s += a[p + t] * b[q + t];
      y[at + yColumn[c]] = s;
    }
  }
}
