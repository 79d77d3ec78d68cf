/* After the blocks: the sums of all chunks, added in the order of the chunks, into result arrays, and the optimiser's step. */

/* ``count`` numbers of result r from number ``from`` on: the same bits whichever thread ran which chunk */
static void NAME(reduced_sums)(const Pass *pass, const int64_t *r, Py_ssize_t from, Py_ssize_t count, T *out) {
  Py_ssize_t columns = r[RESULT_COLUMNS] == r[RESULT_PITCH] ? r[RESULT_ROWS] * r[RESULT_COLUMNS] : r[RESULT_COLUMNS], pitch = r[RESULT_PITCH];
  for (int c = 0; c < pass->chunks; c++) {
    const T *sums = (const T *)pass->sums[c] + r[RESULT_FIRST];
    if (r[RESULT_ORDER] == BY_COLUMNS) {
      for (Py_ssize_t e = 0; e < count; e++) out[e] = (c ? out[e] : 0) + sums[(from + e) % r[RESULT_ROWS] * pitch + (from + e) / r[RESULT_ROWS]];
      continue;
    }
    if (r[RESULT_ORDER] >= 0) {
      const int *place = pass->program->tables + r[RESULT_ORDER] + from;
      for (Py_ssize_t e = 0; e < count; e++) out[e] = (c ? out[e] : 0) + sums[place[e]];
      continue;
    }
    Py_ssize_t row = from / columns, column = from % columns;
    for (Py_ssize_t e = 0; e < count; row++, column = 0) {
      Py_ssize_t n = columns - column < count - e ? columns - column : count - e;
      const T *restrict s = sums + row * pitch + column;
      T *restrict o = out + e;
      if (c)
        for (Py_ssize_t k = 0; k < n; k++) o[k] += s[k];
      else
        memcpy(o, s, (size_t)n * sizeof(T));
      e += n;
    }
  }
}
/* one optimiser's row on L numbers of a parameter p with gradient g, its new value o (maybe p itself) and the slots m and v */
static inline __attribute__((always_inline)) void NAME(descend)(const int kind, const T *p, T *o, T *m, T *v, const T *g, const T *h) {
  T rate = h[0], decay = h[1], a = h[2], b = h[3], c = h[4], e = h[5], of_mean = h[7], of_square = h[8], keep = h[9];
  V old = FROM(p), d = FROM(g) + decay * old;
  if (kind == SGD) {
    AT(o) = old - rate * d;
  } else if (kind == MOMENTUM) { /* a momentum, b the share of the gradient, c whether to look ahead (Nesterov) */
    V moved = a * FROM(m) + b * d;
    AT(m) = moved;
    if (c != 0) moved = d + a * moved;
    AT(o) = old - rate * moved;
  } else { /* Adam: a, b the betas, c the root of v's correction, e epsilon */
    V mean = FROM(m) + of_mean * (d - FROM(m)), square = b * FROM(v) + of_square * d * d;
    AT(m) = mean;
    AT(v) = square;
    AT(o) = old * keep - rate * mean / (NAME(sqrt_)(square, square) / c + e);
  }
}
/* the same on n numbers from number i on, the last of them by way of a vector that they do not fill */
static inline __attribute__((always_inline)) void NAME(descend_all)(const int kind, void *const *arrays, const int64_t *w, Py_ssize_t i, Py_ssize_t n, const T *g) {
  double numbers[8];
  memcpy(numbers, w + UPDATE_NUMBER0, sizeof numbers);
  T h[10] = {0, 0, 0, 0, 0, 0, 0, (T)(1 - numbers[2]), (T)(1 - numbers[3]), (T)(1 - numbers[6])}; /* numbers[6]: decay that is no part of the gradient */
  for (int k = 0; k < 6; k++) h[k] = (T)numbers[k];
  T *of[4];
  for (int k = 0; k < 4; k++) of[k] = w[UPDATE_VALUE + k] < 0 ? 0 : (T *)arrays[w[UPDATE_VALUE + k]] + i;
  Py_ssize_t k = 0;
  for (; k + L <= n; k += L) NAME(descend)(kind, of[0] + k, of[1] + k, of[2] ? of[2] + k : 0, of[3] ? of[3] + k : 0, g + k, h);
  if (k == n) return;
  T last[5][L] = {{0}};
  const size_t bytes = (size_t)(n - k) * sizeof(T);
  memcpy(last[4], g + k, bytes);
  for (int x = 0; x < 4; x++)
    if (of[x]) memcpy(last[x], of[x] + k, bytes);
  NAME(descend)(kind, last[0], last[1], last[2], last[3], last[4], h);
  for (int x = 1; x < 4; x++)
    if (of[x]) memcpy(of[x] + k, last[x], bytes);
}
static void NAME(one_update)(void *const *arrays, const int64_t *w, Py_ssize_t i, Py_ssize_t n, const T *g) {
  if (w[UPDATE_METHOD] == ADAM) NAME(descend_all)(ADAM, arrays, w, i, n, g);
  else if (w[UPDATE_SLOT0] >= 0) NAME(descend_all)(MOMENTUM, arrays, w, i, n, g);
  else NAME(descend_all)(SGD, arrays, w, i, n, g);
}
/* Of a result by columns: L columns from ``column`` on at n rows from ``row`` on, as squares that are transposed, DEEP numbers from
 * one column to the next; the same bits as reduced_sums'. */
enum { NAME(DEEP) = 128 };
static void NAME(reduced_columns)(const Pass *pass, const int64_t *r, Py_ssize_t row, Py_ssize_t column, Py_ssize_t n, T *out) {
  const Py_ssize_t pitch = r[RESULT_PITCH], at = r[RESULT_FIRST] + row * pitch + column;
  for (Py_ssize_t k = 0; k < n; k += L) {
    V square[L];
    for (int l = 0; l < L; l++) {
      square[l] = ZERO;
      for (int c = 0; k + l < n && c < pass->chunks; c++) {
        const V one = FROM((const T *)pass->sums[c] + at + (k + l) * pitch);
        if (c) square[l] += one;
        else square[l] = one;
      }
    }
    NAME(transpose)(square);
    for (int l = 0; l < L; l++) AT(out + l * NAME(DEEP) + k) = square[l];
  }
}
/* this part's share of a result by columns: into its array, or (if there is a row w of an update) into the parameter */
static void NAME(by_columns)(const Pass *pass, const int64_t *r, int part, int parts, void *const *arrays, const int64_t *w) {
  const Py_ssize_t rows = r[RESULT_ROWS], columns = r[RESULT_COLUMNS], end = rows * (part + 1) / parts;
  T some[L * NAME(DEEP)];
  for (Py_ssize_t n, row = rows * part / parts; row < end; row += n) {
    n = end - row < NAME(DEEP) ? end - row : NAME(DEEP);
    for (Py_ssize_t column = 0; column < columns; column += L) {
      NAME(reduced_columns)(pass, r, row, column, n, some);
      for (Py_ssize_t l = 0; l < L && column + l < columns; l++) {
        const Py_ssize_t i = (column + l) * rows + row;
        if (w) NAME(one_update)(arrays, w, i, n, some + l * NAME(DEEP));
        else memcpy((T *)pass->arrays[r[RESULT_ARRAY]] + i, some + l * NAME(DEEP), (size_t)n * sizeof(T));
      }
    }
  }
}
/* whether this part's share of the sums that have to be finite is */
static int NAME(finite_sums)(const Pass *pass, const int64_t *r, int part, int parts) {
  int finite = 1;
  for (int c = 0; c < pass->chunks; c++)
    for (Py_ssize_t row = r[RESULT_ROWS] * part / parts; row < r[RESULT_ROWS] * (part + 1) / parts; row++)
      finite &= NAME(all_finite)((const T *)pass->sums[c] + r[RESULT_FIRST] + row * r[RESULT_PITCH], r[RESULT_COLUMNS]);
  return finite;
}
/* this part's share of every result that is wanted as an array; whether what has to be finite is */
static int NAME(collect)(const Pass *pass, int part, int parts) {
  const Program *p = pass->program;
  int finite = 1;
  for (const int64_t *r = p->result; r < p->result + p->results * RESULT_WIDTH; r += RESULT_WIDTH) {
    Py_ssize_t size = r[RESULT_ROWS] * r[RESULT_COLUMNS], from = size * part / parts;
    if (r[RESULT_FINITE]) finite &= NAME(finite_sums)(pass, r, part, parts);
    if (pass->arrays[r[RESULT_ARRAY]] && r[RESULT_ORDER] == BY_COLUMNS) NAME(by_columns)(pass, r, part, parts, 0, 0);
    else if (pass->arrays[r[RESULT_ARRAY]]) NAME(reduced_sums)(pass, r, from, size * (part + 1) / parts - from, (T *)pass->arrays[r[RESULT_ARRAY]] + from);
  }
  return finite;
}
/* whether the numbers of a result are finite; every thread finds the same */
static int NAME(finite)(const Job *job, int array) {
  T some[STRIP];
  const int64_t *r;
  const Pass *pass = pass_of(job, array, &r);
  if (!pass) return 1;
  for (Py_ssize_t n, i = 0, size = r[RESULT_ROWS] * r[RESULT_COLUMNS]; i < size; i += n) {
    n = size - i < STRIP ? size - i : STRIP;
    NAME(reduced_sums)(pass, r, i, n, some);
    if (!NAME(all_finite)(some, n)) return 0;
  }
  return 1;
}
/* this part's share of every parameter (its gradient: the result of array UPDATE_GRADIENT), if all numbers are as they must be */
static void NAME(update)(Job *job, int part, int parts) {
  if (atomic_load(&job->wrong)) return;
  if (job->guard >= 0 && !NAME(finite)(job, job->guard)) {
    atomic_store(&job->wrong, 1);
    return;
  }
  if (job->tested >= 0 && !NAME(finite)(job, job->tested)) {
    atomic_store(&job->infinite, 1);
    return;
  }
  for (const int64_t *w = job->update; w < job->update + job->updates * UPDATE_WIDTH; w += UPDATE_WIDTH) {
    Py_ssize_t end = w[UPDATE_SIZE] * (part + 1) / parts;
    const int64_t *r;
    const Pass *pass = pass_of(job, w[UPDATE_GRADIENT], &r);
    if (!pass) continue;
    if (r[RESULT_ORDER] == BY_COLUMNS) {
      NAME(by_columns)(pass, r, part, parts, job->arrays, w);
      continue;
    }
    T some[STRIP];
    Py_ssize_t columns = r[RESULT_COLUMNS] == r[RESULT_PITCH] ? r[RESULT_ROWS] * r[RESULT_COLUMNS] : r[RESULT_COLUMNS];
    int direct = pass->chunks == 1 && r[RESULT_ORDER] < 0 && (columns % L == 0 || columns == w[UPDATE_SIZE]); /* the sums are the gradient, row by row */
    for (Py_ssize_t n, i = w[UPDATE_SIZE] * part / parts; i < end; i += n) {
      Py_ssize_t row = direct ? i / columns : 0, column = i - row * columns;
      n = direct ? columns - column : STRIP;
      if (n > end - i) n = end - i;
      if (!direct) NAME(reduced_sums)(pass, r, i, n, some);
      NAME(one_update)(job->arrays, w, i, n, direct ? (const T *)pass->sums[0] + r[RESULT_FIRST] + row * r[RESULT_PITCH] + column : some);
    }
  }
}
