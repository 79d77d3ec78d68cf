/* One block of examples through instructions: some vectors of L examples in every cell, or one example whose cells are numbers.
 *
 * ``p->cell`` is how many numbers a cell has (a multiple of L, or 1).  A contraction's operands stand in the memory of the thread, in the
 * sums of the chunk, in the packed arrays of the program, or in an array of the caller (``place``).
 */
static inline T *NAME(place)(const Program *p, const Thread *t, int64_t where) {
  return where == IN_MEMORY ? t->memory : where == IN_SUMS ? t->sums : where == IN_PACKED ? p->packed : where == NOWHERE ? 0 : t->arrays[where];
}
/* out[c] = sum over k of x[c][k], for vectors and for single numbers */
static void NAME(gather)(const int64_t *w, const int *tables, const T *m, T *o, int add, long begin, long end) {
  const int *os = tables + w[3], *xs = tables + w[4] + begin * w[5];
  for (long c = begin; c < end; c++) {
    V s = ZERO, r = ZERO;
    long k = 0;
    for (; k + 2 <= w[5]; k += 2, xs += 2) s += FROM(m + xs[0]), r += FROM(m + xs[1]);
    if (k < w[5]) s += FROM(m + *xs++);
    AT(o + os[c]) = add ? FROM(o + os[c]) + (s + r) : s + r;
  }
  if (end < w[2]) return;
  for (os = tables + w[8], xs = tables + w[9]; os < tables + w[8] + w[7]; os++) {
    T s = 0;
    for (long k = 0; k < w[5]; k++) s += m[*xs++];
    o[*os] = add ? o[*os] + s : s;
  }
}
/* examples of an array (N, count) into cells; lanes without an example are zero */
static void NAME(load)(const T *x, long count, const int *os, T *m, int n, int cell) {
  long e = 0;
  if (cell == 1) {
    for (; e < count; e++) m[os[e]] = x[e];
    return;
  }
  if (n == L)
    for (; e + L <= count; e += L) {
      V square[L];
      for (int l = 0; l < L; l++) square[l] = FROM(x + l * count + e);
      NAME(transpose)(square);
      for (int l = 0; l < L; l++) AT(m + os[e + l]) = square[l];
    }
  for (; e < count; e++) {
    T *o = m + os[e];
    for (int l = 0; l < L; l++) o[l] = l < n ? x[l * count + e] : 0;
  }
}
/* cells into examples of an array (N, count) */
static void NAME(store)(T *x, long count, const int *os, const T *m, int n) {
  long e = 0;
  if (n == L)
    for (; e + L <= count; e += L) {
      V square[L];
      for (int l = 0; l < L; l++) square[l] = FROM(m + os[e + l]);
      NAME(transpose)(square);
      for (int l = 0; l < L; l++) AT(x + l * count + e) = square[l];
    }
  for (; e < count; e++)
    for (int l = 0; l < n; l++) x[l * count + e] = m[os[e] + l];
}
/* w[2] vectors for each k, transposed into L rows of w[4] numbers (a multiple of L) */
static void NAME(turn)(const int64_t *w, const int *bs, T *m, long begin, long end) {
  bs += begin * w[2];
  for (long k = begin; k < end; k++) {
    T *rows = m + w[5] + k * L * w[4];
    for (long e = 0; e < w[2]; e += L) {
      V square[L];
      for (int l = 0; l < L; l++) square[l] = e + l < w[2] ? FROM(m + bs[e + l]) : ZERO;
      NAME(transpose)(square);
      for (int l = 0; l < L; l++) AT(rows + l * w[4] + e) = square[l];
    }
    bs += w[2];
  }
}
/* The instructions task[0] to task[1]; of each that can be shared, part task[2] of task[3]. */
static void NAME(block)(const Program *p, Thread *t, long first, int n, const int64_t *task) {
  const int *tables = p->tables;
  T *m = t->memory;
  const int cell = p->cell, part = (int)task[2], parts = (int)task[3];
#define FROM_OF(count) ((count) * part / parts)
#define TO_OF(count) ((count) * (part + 1) / parts)
  for (const int64_t *w = p->code + task[0] * WIDTH; w < p->code + task[1] * WIDTH; w += WIDTH) {
    switch (w[0]) {
    case MAP: NAME(map)(w, tables, m, FROM_OF(w[2]), TO_OF(w[2])); break;
    case STRIPS: { /* the w[1] elementwise instructions that follow, in w[2] strips: strip s of one is table[s] to table[s + 1] */
      const int64_t *last = w + w[1] * WIDTH;
      for (long s = 0; s < w[2]; s++) {
        const int *ends = tables + w[3] + s;
        for (const int64_t *one = w + WIDTH; one <= last; one += WIDTH, ends += w[2] + 1) NAME(map)(one, tables, m, ends[0], ends[1]);
      }
      w = last;
      break;
    }
    case GATHER: NAME(gather)(w, tables, m, NAME(place)(p, t, w[6]), w[6] == IN_SUMS && !t->first, FROM_OF(w[2]), TO_OF(w[2])); break;
    case LOAD: { /* w[5] = 1: the array keeps whole cells, block by block, as only the machine reads it */
      const T *x = (const T *)t->arrays[w[4]] + first * w[2];
      const int *os = tables + w[3];
      for (int g = 0; g < cell; g += L, x += L * w[2])
        if (w[5] == 1)
          for (long e = 0; e < w[2]; e++) AT(m + os[e] + g) = FROM(x + e * L);
        else NAME(load)(x, w[2], os, m + g, least(n - g, L), cell);
      break;
    }
    case STORE: {
      T *x = (T *)t->arrays[w[4]] + first * w[2];
      const int *os = tables + w[3];
      for (int g = 0; g < cell; g += L, x += L * w[2])
        if (w[5] == 1)
          for (long e = 0; e < w[2]; e++) AT(x + e * L) = FROM(m + os[e] + g);
        else if (cell == 1)
          for (long e = 0; e < w[2]; e++) x[e] = m[os[e]];
        else NAME(store)(x, w[2], os, m + g, least(n - g, L));
      break;
    }
    case SPLAT: { /* numbers of an array, each into all lanes of a cell (or of a vector: w[5] = L), or (w[5] = 1) into one number */
      const T *x = t->arrays[w[4]];
      const int *os = tables + w[3];
      for (long e = 0; e < w[2]; e++)
        if (w[5] == 1) m[os[e]] = x[e];
        else
          for (int g = 0; g < w[5]; g += L) AT(m + os[e] + g) = SPREAD(x[e]);
      break;
    }
    case CHOOSE: { /* out = x[place - example * w[2]], the place of each example from an array of int64 */
      const int64_t *place = (const int64_t *)t->arrays[w[4]] + first;
      const int *xs = tables + w[3];
      T *o = m + tables[w[5]];
      for (int l = 0; l < cell; l++) {
        int64_t c = l < n ? place[l] - (first + l) * w[2] : 0;
        if (c < 0 || c >= w[2]) t->wrong = 1, c = 0;
        o[l] = m[xs[c] + l];
      }
      break;
    }
    case PLACE: { /* the adjoint: zero cells, and x at the place of each example */
      const int64_t *place = (const int64_t *)t->arrays[w[4]] + first;
      const int *os = tables + w[3];
      const T *x = m + tables[w[5]];
      for (long e = 0; e < w[2]; e++)
        for (int l = 0; l < cell; l++) m[os[e] + l] = 0;
      for (int l = 0; l < n; l++) {
        int64_t c = place[l] - (first + l) * w[2];
        if (c < 0 || c >= w[2]) t->wrong = 1;
        else m[os[c] + l] = x[l];
      }
      break;
    }
    case CLEAR: /* lanes without an example must not count in what sums over examples */
      if (n < cell)
        for (long e = 0; e < w[2]; e++)
          for (int l = n; l < cell; l++) m[tables[w[3] + e] + l] = 0;
      break;
    case TOTAL: { /* sums[c] = sum over k and lanes of x[c][k] */
      T *sums = t->sums;
      for (long c = FROM_OF(w[2]); c < TO_OF(w[2]); c++) {
        const int *xs = tables + w[4] + c * w[5];
        V s = ZERO, r = ZERO;
        long k = 0;
        for (; k + 2 <= w[5]; k += 2, xs += 2) s += FROM(m + xs[0]), r += FROM(m + xs[1]);
        if (k < w[5]) s += FROM(m + *xs++);
        sums[w[3] + c] = (t->first ? 0 : sums[w[3] + c]) + NAME(total)(s + r);
      }
      break;
    }
    case TURN: NAME(turn)(w, tables + w[3], m, FROM_OF(w[1]), TO_OF(w[1])); break;
    case GEMM: {
      NAME(Gemm) g = {NAME(place)(p, t, w[2]), NAME(place)(p, t, w[3]), NAME(place)(p, t, w[5]), NAME(place)(p, t, w[4]),
                      tables + w[7], tables + w[8], tables + w[9], tables + w[10], tables + w[11], tables + w[12], tables + w[13], w[1], (int)w[6], w[6] & GROWS && !t->first};
      NAME(all_of_gemm)(w, tables, &g, part, parts);
      break;
    }
    case DOT: {
      NAME(Dot) d = {NAME(place)(p, t, w[2]), NAME(place)(p, t, w[3]), NAME(place)(p, t, w[4]), tables + w[7], tables + w[8], tables + w[9], tables + w[10], tables + w[11], tables + w[12], w[1], 0};
      NAME(all_of_dot)(w, tables, d, t->first, part, parts);
      break;
    }
    }
  }
#undef FROM_OF
#undef TO_OF
}
/* ---- arrays of weights as rows of whole vectors: packed[to + k * pitch + i] = array[base[i] + step[k]], zero beyond */
static void NAME(pack)(const Program *p, void *const *arrays, int part, int parts) {
  for (const int64_t *w = p->packing; w < p->packing + p->packings * 8; w += 8) { /* array, to, rows, columns, pitch, base, step */
    const T *x = arrays[w[0]];
    const int *base = p->tables + w[5], *step = p->tables + w[6];
    for (long k = w[2] * part / parts; k < w[2] * (part + 1) / parts; k++) {
      T *o = (T *)p->packed + w[1] + k * w[4];
      for (long i = 0; i < w[3]; i++) o[i] = x[base[i] + step[k]];
      for (long i = w[3]; i < w[4]; i++) o[i] = 0;
    }
  }
}
