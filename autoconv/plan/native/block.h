/* The interpreter: one block of examples through the instructions of a task.
 *
 * A block has ``p->cell`` examples.  A cell is the memory of one virtual register: one number of each example of the block, so
 * some vectors of L examples; or (``p->cell`` = 1) a single number, where the lanes of a vector are channels of one example.
 * A contraction's operands stand in the memory of the thread, in the sums of the chunk (a stretch of blocks), in the packed
 * arrays of the program, or in an array of the caller (``place``).
 */
static inline T *NAME(place)(const Program *p, const Thread *t, int64_t where) {
  return where == IN_MEMORY ? t->memory : where == IN_SUMS ? t->sums : where == IN_PACKED ? p->packed : where == NOWHERE ? 0 : t->arrays[where];
}
/* the sum of numbers side by side */
static inline T NAME(row_sum)(const T *x, Py_ssize_t count) {
  V s = ZERO, r = ZERO;
  Py_ssize_t k = 0;
  for (; k + 2 * L <= count; k += 2 * L) s += FROM(x + k), r += FROM(x + k + L);
  for (; k + L <= count; k += L) s += FROM(x + k);
  T sum = NAME(total)(s + r);
  for (; k < count; k++) sum += x[k];
  return sum;
}
/* out[c] = sum over k of x[c][k], for vectors and for single numbers */
static void NAME(gather)(const int64_t *w, const int *tables, const T *m, T *o, int add, Py_ssize_t begin, Py_ssize_t end) {
  const Py_ssize_t terms = w[GATHER_TERMS];
  const int *os = tables + w[GATHER_OUT], *xs = tables + w[GATHER_X] + begin * terms;
  const T *mx = m + w[GATHER_X_AT];
  for (Py_ssize_t c = begin; c < end; c++) {
    V s = ZERO, r = ZERO;
    Py_ssize_t k = 0;
    for (; k + 2 <= terms; k += 2, xs += 2) s += FROM(mx + xs[0]), r += FROM(mx + xs[1]);
    if (k < terms) s += FROM(mx + *xs++);
    AT(o + os[c]) = add ? FROM(o + os[c]) + (s + r) : s + r;
  }
  if (end < w[GATHER_COUNT]) return;
  for (os = tables + w[GATHER_SINGLE_OUT], xs = tables + w[GATHER_SINGLE_X]; os < tables + w[GATHER_SINGLE_OUT] + w[GATHER_SINGLES]; os++) {
    T s = 0;
    if (w[GATHER_ROWS]) s = NAME(row_sum)(m + *xs, terms), xs += terms;
    else
      for (Py_ssize_t k = 0; k < terms; k++) s += m[*xs++];
    o[*os] = add ? o[*os] + s : s;
  }
}
/* examples of an array (N, count) into cells; lanes without an example are zero */
static void NAME(load)(const T *x, Py_ssize_t count, const int *os, T *m, int n, int cell) {
  Py_ssize_t e = 0;
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
static void NAME(store)(T *x, Py_ssize_t count, const int *os, const T *m, int n) {
  Py_ssize_t e = 0;
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
/* for each k some columns of vectors, transposed into L rows of ``pitch`` numbers (a multiple of L) */
static void NAME(transpose_all)(const int64_t *w, const int *tables, T *m, Py_ssize_t begin, Py_ssize_t end) {
  const Py_ssize_t columns = w[TRANSPOSE_COLUMNS], pitch = w[TRANSPOSE_PITCH];
  const int *bs = tables + w[TRANSPOSE_X];
  bs += begin * columns;
  for (Py_ssize_t k = begin; k < end; k++) {
    T *rows = m + w[TRANSPOSE_OUT] + k * L * pitch;
    for (Py_ssize_t e = 0; e < columns; e += L) {
      V square[L];
      for (int l = 0; l < L; l++) square[l] = e + l < columns ? FROM(m + bs[e + l]) : ZERO;
      NAME(transpose)(square);
      for (int l = 0; l < L; l++) AT(rows + l * pitch + e) = square[l];
    }
    bs += columns;
  }
}
/* The instructions of a task; of each that can be cut into parts, the task's part. */
static void NAME(block)(const Program *p, Thread *t, Py_ssize_t first, int n, const int64_t *task) {
  const int *tables = p->tables;
  T *m = t->memory;
  const int cell = p->cell, part = (int)task[TASK_PART], parts = (int)task[TASK_PARTS];
#define FROM_OF(count) ((count) * part / parts)
#define TO_OF(count) ((count) * (part + 1) / parts)
  for (const int64_t *w = p->code + task[TASK_FIRST] * WIDTH; w < p->code + task[TASK_END] * WIDTH; w += WIDTH) {
    TIME_FROM(w);
    switch (w[0]) {
    case MAP: NAME(map)(w, tables, m, FROM_OF(w[MAP_COUNT]), TO_OF(w[MAP_COUNT])); break;
    case STRIPS: { /* the elementwise instructions that follow, strip by strip: strip s of one is ends[s] to ends[s + 1] */
      const int64_t *last = w + w[STRIPS_COUNT] * WIDTH;
      const Py_ssize_t strips = w[STRIPS_STRIPS];
      for (Py_ssize_t s = 0; s < strips; s++) {
        const int *ends = tables + w[STRIPS_ENDS] + s;
        for (const int64_t *one = w + WIDTH; one <= last; one += WIDTH, ends += strips + 1) NAME(map)(one, tables, m, ends[0], ends[1]);
      }
      w = last;
      break;
    }
    case GATHER: NAME(gather)(w, tables, m, NAME(place)(p, t, w[GATHER_PLACE]), w[GATHER_PLACE] == IN_SUMS && !t->first, FROM_OF(w[GATHER_COUNT]), TO_OF(w[GATHER_COUNT])); break;
    case LOAD: { /* whole: the array keeps whole cells, block by block, as only the machine reads it */
      const T *x = (const T *)t->arrays[w[LOAD_ARRAY]] + first * w[LOAD_COUNT];
      const int *os = tables + w[LOAD_OUT];
      if (w[LOAD_BESIDE]) {
        memcpy(m + w[LOAD_OUT], x, (size_t)w[LOAD_COUNT] * sizeof(T));
        break;
      }
      for (int g = 0; g < cell; g += L, x += L * w[LOAD_COUNT])
        if (w[LOAD_WHOLE] == 1)
          for (Py_ssize_t e = 0; e < w[LOAD_COUNT]; e++) AT(m + os[e] + g) = FROM(x + e * L);
        else NAME(load)(x, w[LOAD_COUNT], os, m + g, least(n - g, L), cell);
      break;
    }
    case STORE: {
      T *x = (T *)t->arrays[w[STORE_ARRAY]] + first * w[STORE_COUNT];
      const int *os = tables + w[STORE_X];
      if (w[STORE_BESIDE]) {
        memcpy(x, m + w[STORE_X], (size_t)w[STORE_COUNT] * sizeof(T));
        break;
      }
      for (int g = 0; g < cell; g += L, x += L * w[STORE_COUNT])
        if (w[STORE_WHOLE] == 1)
          for (Py_ssize_t e = 0; e < w[STORE_COUNT]; e++) AT(x + e * L) = FROM(m + os[e] + g);
        else if (cell == 1)
          for (Py_ssize_t e = 0; e < w[STORE_COUNT]; e++) x[e] = m[os[e]];
        else NAME(store)(x, w[STORE_COUNT], os, m + g, least(n - g, L));
      break;
    }
    case SPLAT: { /* numbers of an array, each into ``width`` numbers: of a cell, of a vector, or one */
      const T *x = t->arrays[w[SPLAT_ARRAY]];
      const int *os = tables + w[SPLAT_OUT];
      for (Py_ssize_t e = 0; e < w[SPLAT_COUNT]; e++)
        if (w[SPLAT_WIDTH] == 1) m[os[e]] = x[e];
        else
          for (int g = 0; g < w[SPLAT_WIDTH]; g += L) AT(m + os[e] + g) = SPREAD(x[e]);
      break;
    }
    case CHOOSE: { /* out = x[place - example * count], the place of each example from an array of int64 */
      const int64_t *place = (const int64_t *)t->arrays[w[CHOOSE_ARRAY]] + first;
      const int *xs = tables + w[CHOOSE_X];
      T *o = m + tables[w[CHOOSE_OUT]];
      for (int l = 0; l < cell; l++) {
        int64_t c = l < n ? place[l] - (first + l) * w[CHOOSE_COUNT] : 0;
        if (c < 0 || c >= w[CHOOSE_COUNT]) t->wrong = 1, c = 0;
        o[l] = m[xs[c] + l];
      }
      break;
    }
    case PLACE: { /* the adjoint: zero cells, and x at the place of each example */
      const int64_t *place = (const int64_t *)t->arrays[w[PLACE_ARRAY]] + first;
      const int *os = tables + w[PLACE_OUT];
      const T *x = m + tables[w[PLACE_X]];
      for (Py_ssize_t e = 0; e < w[PLACE_COUNT]; e++)
        for (int l = 0; l < cell; l++) m[os[e] + l] = 0;
      for (int l = 0; l < n; l++) {
        int64_t c = place[l] - (first + l) * w[PLACE_COUNT];
        if (c < 0 || c >= w[PLACE_COUNT]) t->wrong = 1;
        else m[os[c] + l] = x[l];
      }
      break;
    }
    case CLEAR: /* lanes without an example must not count in what sums over examples */
      if (n < cell)
        for (Py_ssize_t e = 0; e < w[CLEAR_COUNT]; e++)
          for (int l = n; l < cell; l++) m[tables[w[CLEAR_OUT] + e] + l] = 0;
      break;
    case TOTAL: { /* sums[c] = sum over k and lanes of x[c][k] */
      T *sums = t->sums;
      for (Py_ssize_t c = FROM_OF(w[TOTAL_COUNT]); c < TO_OF(w[TOTAL_COUNT]); c++) {
        const int *xs = tables + w[TOTAL_X] + c * w[TOTAL_TERMS];
        V s = ZERO, r = ZERO;
        Py_ssize_t k = 0;
        for (; k + 2 <= w[TOTAL_TERMS]; k += 2, xs += 2) s += FROM(m + xs[0]), r += FROM(m + xs[1]);
        if (k < w[TOTAL_TERMS]) s += FROM(m + *xs++);
        sums[w[TOTAL_OUT] + c] = (t->first ? 0 : sums[w[TOTAL_OUT] + c]) + NAME(total)(s + r);
      }
      break;
    }
    case TRANSPOSE: NAME(transpose_all)(w, tables, m, FROM_OF(w[TRANSPOSE_COUNT]), TO_OF(w[TRANSPOSE_COUNT])); break;
    case GEMM: {
      NAME(Gemm) g = {NAME(place)(p, t, w[GEMM_LEFT]), NAME(place)(p, t, w[GEMM_RIGHT]), NAME(place)(p, t, w[GEMM_BIAS]), NAME(place)(p, t, w[GEMM_OUT]),
                      tables + w[GEMM_LEFT_BASE], tables + w[GEMM_LEFT_STEP], tables + w[GEMM_RIGHT_BASE], tables + w[GEMM_RIGHT_STEP], tables + w[GEMM_OUT_ROW], tables + w[GEMM_OUT_COLUMN], tables + w[GEMM_BIAS_BASE], w[GEMM_TERMS], (int)w[GEMM_FLAGS], w[GEMM_FLAGS] & ADDS || (w[GEMM_FLAGS] & GROWS && !t->first), &t->ahead};
      NAME(all_of_gemm)(w, tables, &g, part, parts);
      break;
    }
    case LANEWISE: {
      NAME(Gemm) g = {NAME(place)(p, t, w[LANEWISE_LEFT]), NAME(place)(p, t, w[LANEWISE_RIGHT]), NAME(place)(p, t, w[LANEWISE_BIAS]), NAME(place)(p, t, w[LANEWISE_OUT]),
                      tables + w[LANEWISE_LEFT_BASE], tables + w[LANEWISE_LEFT_STEP], tables + w[LANEWISE_RIGHT_BASE], tables + w[LANEWISE_RIGHT_STEP], tables + w[LANEWISE_OUT_ROW], tables + w[LANEWISE_OUT_COLUMN], tables + w[LANEWISE_BIAS_BASE], w[LANEWISE_TERMS], (int)w[LANEWISE_FLAGS], 0, &t->ahead};
      NAME(all_of_lanewise)(w, tables, g, t->first, part, parts);
      break;
    }
    case DOT: {
      NAME(Dot) d = {NAME(place)(p, t, w[DOT_LEFT]), NAME(place)(p, t, w[DOT_RIGHT]), NAME(place)(p, t, w[DOT_OUT]), tables + w[DOT_LEFT_BASE], tables + w[DOT_LEFT_STEP], tables + w[DOT_RIGHT_BASE], tables + w[DOT_RIGHT_STEP], tables + w[DOT_OUT_ROW], tables + w[DOT_OUT_COLUMN], w[DOT_TERMS], 0, &t->ahead};
      NAME(all_of_dot)(w, tables, d, t->first, part, parts);
      break;
    }
    }
    TIME_TO(p);
  }
#undef FROM_OF
#undef TO_OF
}
/* ---- arrays of weights as rows of whole vectors: packed[first + row[k] * pitch + i] = array[base[i] + step[k]], zero beyond */

/* L rows whose numbers stand side by side in the array, as squares that are transposed: the first columns, in whole vectors; how many */
static Py_ssize_t NAME(packed_squares)(const T *x, const int *base, Py_ssize_t columns, T *o, const int *row, Py_ssize_t pitch) {
  Py_ssize_t i = 0;
  for (; i + L <= columns; i += L) {
    V square[L];
    for (int l = 0; l < L; l++) square[l] = FROM(x + base[i + l]);
    NAME(transpose)(square);
    for (int l = 0; l < L; l++) AT(o + row[l] * pitch + i) = square[l];
  }
  return i;
}
/* whether so many numbers are finite */
static int NAME(all_finite)(const T *x, Py_ssize_t count) {
  M wrong = {0};
  Py_ssize_t k = 0;
  int all = 1;
  for (; k + L <= count; k += L) {
    const V one = FROM(x + k);
    wrong |= one - one != 0; /* infinity less infinity is NaN */
  }
  for (; k < count; k++) all &= x[k] - x[k] == 0;
  for (int l = 0; l < L; l++) all &= !wrong[l];
  return all;
}
static int NAME(pack)(const Program *p, void *const *arrays, int part, int parts) {
  int finite = 1;
  for (const int64_t *w = p->finite; w < p->finite + p->finites * FINITE_WIDTH; w += FINITE_WIDTH) {
    const Py_ssize_t from = w[FINITE_COUNT] * part / parts, to = w[FINITE_COUNT] * (part + 1) / parts;
    finite &= NAME(all_finite)((const T *)arrays[w[FINITE_ARRAY]] + from, to - from);
  }
  for (const int64_t *w = p->packing; w < p->packing + p->packings * PACKING_WIDTH; w += PACKING_WIDTH) {
    const T *x = arrays[w[PACKING_ARRAY]];
    const int *base = p->tables + w[PACKING_BASE], *step = p->tables + w[PACKING_STEP], *row = p->tables + w[PACKING_ROW];
    const Py_ssize_t columns = w[PACKING_COLUMNS], pitch = w[PACKING_PITCH], end = w[PACKING_ROWS] * (part + 1) / parts;
    T *first = (T *)p->packed + w[PACKING_FIRST];
    int beside = columns % L == 0;
    for (Py_ssize_t i = 0; i < columns; i++) beside &= base[i] - base[0] == i;
    if (beside) { /* rows as they stand in the array */
      for (Py_ssize_t k = w[PACKING_ROWS] * part / parts; k < end; k++)
        for (Py_ssize_t i = 0; i < columns; i += L) AT(first + row[k] * pitch + i) = FROM(x + base[0] + step[k] + i);
      continue;
    }
    for (Py_ssize_t k = w[PACKING_ROWS] * part / parts, some; k < end; k += some) {
      some = k + L <= end && step[k + L - 1] - step[k] == L - 1 ? L : 1; /* steps ascend */
      const Py_ssize_t done = some == L ? NAME(packed_squares)(x + step[k], base, columns, first, row + k, pitch) : 0;
      for (Py_ssize_t l = k; l < k + some; l++) {
        T *o = first + row[l] * pitch;
        for (Py_ssize_t i = done; i < columns; i++) o[i] = x[base[i] + step[l]];
        for (Py_ssize_t i = columns; i < pitch; i++) o[i] = 0;
      }
    }
  }
  return finite;
}
