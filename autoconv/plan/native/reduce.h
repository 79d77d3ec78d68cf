/* After the blocks: the sums of all chunks, added in the order of the chunks, into result arrays, and the optimiser's step. */

/* ``count`` numbers of result r from number ``from`` on: the same bits whichever thread ran which chunk */
static void NAME(reduced_sums)(const Program *p, const Job *job, const int64_t *r, long from, long count, T *out) {
  /* r: array, where in the sums, rows, columns, from one row to the next, table of places or -1 */
  long columns = r[3] == r[4] ? r[2] * r[3] : r[3], pitch = r[4];
  for (int c = 0; c < job->chunks; c++) {
    const T *sums = (const T *)job->sums[c] + r[1];
    if (r[5] >= 0) {
      const int *place = p->tables + r[5] + from;
      for (long e = 0; e < count; e++) out[e] = (c ? out[e] : 0) + sums[place[e]];
      continue;
    }
    long row = from / columns, column = from % columns;
    for (long e = 0; e < count; row++, column = 0) {
      long n = columns - column < count - e ? columns - column : count - e;
      const T *restrict s = sums + row * pitch + column;
      T *restrict o = out + e;
      if (c)
        for (long k = 0; k < n; k++) o[k] += s[k];
      else
        memcpy(o, s, (size_t)n * sizeof(T));
      e += n;
    }
  }
}
/* one optimiser's row on numbers i .. i + n of a parameter, with their gradients g */
static void NAME(update)(void *const *arrays, const int64_t *w, long i, long n, const T *restrict g) {
  double h[8];
  memcpy(h, w + 7, sizeof h);
  const T *p = (const T *)arrays[w[2]] + i; /* may be o: an array that nobody else holds is changed in place */
  T *o = (T *)arrays[w[3]] + i, *restrict m = w[4] < 0 ? 0 : (T *)arrays[w[4]] + i, *restrict v = w[5] < 0 ? 0 : (T *)arrays[w[5]] + i;
  T rate = (T)h[0], decay = (T)h[1], a = (T)h[2], b = (T)h[3], c = (T)h[4], e = (T)h[5];
  if (w[0] == SGD && !m) {
    long k = 0;
    for (; k + L <= n; k += L) AT(o + k) = FROM(p + k) - rate * (FROM(g + k) + decay * FROM(p + k));
    for (; k < n; k++) o[k] = p[k] - rate * (g[k] + decay * p[k]);
  } else if (w[0] == SGD) { /* a momentum, b the share of the gradient, c whether to look ahead (Nesterov) */
    for (long k = 0; k < n; k++) {
      T d = g[k] + decay * p[k];
      m[k] = a * m[k] + b * d;
      o[k] = p[k] - rate * (c != 0 ? d + a * m[k] : m[k]);
    }
  } else { /* Adam: a, b the betas, c the root of v's correction, e epsilon; h[6] the decay that is no part of the gradient */
    T keep = (T)(1 - h[6]), of_m = (T)(1 - h[2]), of_v = (T)(1 - h[3]);
    for (long k = 0; k < n; k++) {
      T old = p[k] * keep, d = g[k] + decay * p[k];
      m[k] += of_m * (d - m[k]);
      v[k] = b * v[k] + of_v * d * d;
      o[k] = old - rate * m[k] / (SQRT_(v[k]) / c + e);
    }
  }
}
/* whether the numbers of a result are finite; every thread finds the same */
static int NAME(finite)(const Program *p, const Job *job, const int64_t *r, long size) {
  T some[STRIP];
  for (long n, i = 0; i < size; i += n) {
    n = size - i < STRIP ? size - i : STRIP;
    NAME(reduced_sums)(p, job, r, i, n, some);
    for (long k = 0; k < n; k++)
      if (!(some[k] - some[k] == 0)) return 0;
  }
  return 1;
}
/* this part's share of every result that is wanted as an array, then of every parameter (its gradient: the result of array w[1]) */
static void NAME(collect)(Job *job, int part) {
  const Program *p = job->program;
  void *const *arrays = job->arrays;
  for (const int64_t *r = p->result; r < p->result + p->results * 8; r += 8) {
    long size = r[2] * r[3], from = size * part / job->parts;
    if (arrays[r[0]]) NAME(reduced_sums)(p, job, r, from, size * (part + 1) / job->parts - from, (T *)arrays[r[0]] + from);
  }
  if (atomic_load(&job->wrong)) return;
  for (const int64_t *r = p->result; r < p->result + p->results * 8; r += 8)
    if (r[0] == job->tested && !NAME(finite)(p, job, r, r[2] * r[3])) {
      atomic_store(&job->infinite, 1);
      return;
    }
  for (const int64_t *w = job->update; w < job->update + job->updates * UPDATE_WIDTH; w += UPDATE_WIDTH) {
    long end = w[6] * (part + 1) / job->parts;
    const int64_t *r = p->result;
    T some[STRIP];
    while (r[0] != w[1]) r += 8;
    int direct = job->chunks == 1 && r[5] < 0; /* the sums are the gradient, row by row */
    long columns = r[3] == r[4] ? r[2] * r[3] : r[3];
    for (long n, i = w[6] * part / job->parts; i < end; i += n) {
      long row = direct ? i / columns : 0, column = i - row * columns;
      n = direct ? columns - column : STRIP;
      if (n > end - i) n = end - i;
      if (!direct) NAME(reduced_sums)(p, job, r, i, n, some);
      NAME(update)(arrays, w, i, n, direct ? (const T *)job->sums[0] + r[1] + row * r[4] + column : some);
    }
  }
}
