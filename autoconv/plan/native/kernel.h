/* The machine's instructions for one instruction set, one element type and one number of lanes.
 *
 * Included by machine.c once for each combination, with T (float or double), L (lanes), MASK (the integer type of T's size),
 * ACC (registers that a tile may fill) and NAME(x) (a suffix) defined.  A cell is a vector of L numbers, one number for each
 * example of a block.  All addresses come from int32 tables, in elements; contractions are
 *
 *   GEMM  O[oi[i] + oj[j]] = bias[i] + sum_k S[sb[i] + sk[k]] * V[vb[j] + vk[k]]          S numbers, V and O cells
 *   DOT   O[oi[i] + oj[j]] += sum_k sum_lanes A[ab[i] + ak[k]] * B[bb[j] + bk[k]]         A and B cells, O numbers
 *   OUTER O[i][j] += sum_k sum_lane A[ab[i] + ak[k]][lane] * B'[k][lane][j]               B' the cells of B, transposed
 */
typedef T NAME(V) __attribute__((vector_size(sizeof(T) * L), aligned(sizeof(T) * L), may_alias));
typedef T NAME(U) __attribute__((vector_size(sizeof(T) * L), aligned(sizeof(T)), may_alias));
typedef MASK NAME(M) __attribute__((vector_size(sizeof(T) * L), may_alias));
#define V NAME(V)
#define U NAME(U)
#define M NAME(M)
#define AT(p) (*(V *)(p))
#define ZERO ((V){0})
#define SPREAD(s) ((s) - ZERO) /* x - 0 is x, for a signed zero and NaN too */

/* ---- tiles of GEMM: I x J accumulators that stay in registers */
typedef struct {
  const T *s, *bias;
  T *v, *o;
  const int *sb, *sk, *vb, *vk, *oi, *oj, *ob;
  long k;
  int vectors; /* V and O are unaligned rows of numbers (OUTER) and O is added to */
} NAME(Gemm);

static inline __attribute__((always_inline)) void NAME(gemm)(const NAME(Gemm) *g, int i0, int j0, const int I, const int J) {
  V a[8][4];
  const T *s[8], *v[4];
  UNROLL for (int i = 0; i < I; i++) {
    s[i] = g->s + g->sb[i0 + i];
    V b = ZERO;
    if (g->bias) b = SPREAD(g->bias[g->ob[i0 + i]]);
    UNROLL for (int j = 0; j < J; j++) a[i][j] = b;
  }
  UNROLL for (int j = 0; j < J; j++) v[j] = g->v + g->vb[j0 + j];
  const int *sk = g->sk, *vk = g->vk;
  for (long k = 0, K = g->k; k < K; k++) {
    long so = sk[k], vo = vk[k];
    V x[4];
    UNROLL for (int j = 0; j < J; j++) x[j] = AT(v[j] + vo);
    UNROLL for (int i = 0; i < I; i++) {
      V w = SPREAD(s[i][so]);
      UNROLL for (int j = 0; j < J; j++) a[i][j] += w * x[j];
    }
  }
  if (g->vectors)
    UNROLL for (int i = 0; i < I; i++)
      UNROLL for (int j = 0; j < J; j++) AT(g->o + g->oi[i0 + i] + g->oj[j0 + j]) += a[i][j];
  else
    UNROLL for (int i = 0; i < I; i++)
      UNROLL for (int j = 0; j < J; j++) AT(g->o + g->oi[i0 + i] + g->oj[j0 + j]) = a[i][j];
}
#define TILE(I, J) \
  static void NAME(g##I##_##J)(const NAME(Gemm) *g, int i, int j) { NAME(gemm)(g, i, j, I, J); }
#define COLUMN(J) TILE(1, J) TILE(2, J) TILE(3, J) TILE(4, J) TILE(5, J) TILE(6, J) TILE(7, J) TILE(8, J)
COLUMN(1) COLUMN(2) COLUMN(3) COLUMN(4)
#undef TILE
#define ROW(J) \
  {0, NAME(g1_##J), NAME(g2_##J), NAME(g3_##J), NAME(g4_##J), NAME(g5_##J), NAME(g6_##J), NAME(g7_##J), NAME(g8_##J)}
static void (*const NAME(gemms)[5][9])(const NAME(Gemm) *, int, int) = {{0}, ROW(1), ROW(2), ROW(3), ROW(4)};
#undef ROW
#undef COLUMN

/* ---- tiles of DOT */
static inline __attribute__((always_inline)) T NAME(total)(V a) {
  T t[L] __attribute__((aligned(sizeof(T) * L)));
  AT(t) = a;
  UNROLL for (int h = L / 2; h; h /= 2) UNROLL for (int i = 0; i < h; i++) t[i] += t[i + h];
  return t[0];
}
#if L == 16
#define EACH(F, D) F(0, D), F(1, D), F(2, D), F(3, D), F(4, D), F(5, D), F(6, D), F(7, D), F(8, D), F(9, D), F(10, D), F(11, D), F(12, D), F(13, D), F(14, D), F(15, D)
#elif L == 8
#define EACH(F, D) F(0, D), F(1, D), F(2, D), F(3, D), F(4, D), F(5, D), F(6, D), F(7, D)
#elif L == 4
#define EACH(F, D) F(0, D), F(1, D), F(2, D), F(3, D)
#else
#define EACH(F, D) F(0, D), F(1, D)
#endif
#define EVEN(i, D) ((i) & (D) ? L + (i) - (D) : (i))
#define ODD(i, D) ((i) & (D) ? L + (i) : (i) + (D))
#define FOLD(D) \
  static inline __attribute__((always_inline)) V NAME(fold##D)(V a, V b) { return SHUFFLE(a, b, M, EACH(EVEN, D)) + SHUFFLE(a, b, M, EACH(ODD, D)); }
FOLD(1)
#if L > 2
FOLD(2)
#endif
#if L > 4
FOLD(4)
#endif
#if L > 8
FOLD(8)
#endif
#undef FOLD
/* lane m of the result is the sum of the lanes of v[m] */
static inline __attribute__((always_inline)) V NAME(totals)(V *v) {
  UNROLL for (int i = 0; i < L / 2; i++) v[i] = NAME(fold1)(v[2 * i], v[2 * i + 1]);
#if L > 2
  UNROLL for (int i = 0; i < L / 4; i++) v[i] = NAME(fold2)(v[2 * i], v[2 * i + 1]);
#endif
#if L > 4
  UNROLL for (int i = 0; i < L / 8; i++) v[i] = NAME(fold4)(v[2 * i], v[2 * i + 1]);
#endif
#if L > 8
  v[0] = NAME(fold8)(v[0], v[1]);
#endif
  return v[0];
}
typedef struct {
  const T *a, *b;
  T *o;
  const int *ab, *ak, *bb, *bk, *oi, *oj;
  long k;
} NAME(Dot);

static inline __attribute__((always_inline)) void NAME(dot)(const NAME(Dot) *d, int i0, int j0, const int I, const int J) {
  V a[48];
  const T *p[8], *q[8];
  enum { FULL = 48 };
  UNROLL for (int e = 0; e < I * J; e++) a[e] = ZERO;
  UNROLL for (int i = 0; i < I; i++) p[i] = d->a + d->ab[i0 + i];
  UNROLL for (int j = 0; j < J; j++) q[j] = d->b + d->bb[j0 + j];
  const int *ak = d->ak, *bk = d->bk;
  for (long k = 0, K = d->k; k < K; k++) {
    long ao = ak[k], bo = bk[k];
    V x[8];
    UNROLL for (int j = 0; j < J; j++) x[j] = AT(q[j] + bo);
    UNROLL for (int i = 0; i < I; i++) {
      V y = AT(p[i] + ao);
      UNROLL for (int j = 0; j < J; j++) a[i * J + j] += y * x[j];
    }
  }
  T t[FULL];
  UNROLL for (int e = I * J; e < (I * J + L - 1) / L * L; e++) a[e] = ZERO;
  UNROLL for (int e = 0; e < I * J; e += L) *(U *)(t + e) = NAME(totals)(a + e);
  UNROLL for (int i = 0; i < I; i++)
    UNROLL for (int j = 0; j < J; j++) d->o[d->oi[i0 + i] + d->oj[j0 + j]] += t[i * J + j];
}
#define TILE(I, J) static void NAME(d##I##_##J)(const NAME(Dot) *d, int i, int j) { NAME(dot)(d, i, j, I, J); }
#define COLUMN(J) TILE(1, J) TILE(2, J) TILE(3, J) TILE(4, J) TILE(5, J) TILE(6, J) TILE(7, J)
COLUMN(1) COLUMN(2) COLUMN(3) COLUMN(4)
#undef TILE
#define ROW(J) {0, NAME(d1_##J), NAME(d2_##J), NAME(d3_##J), NAME(d4_##J), NAME(d5_##J), NAME(d6_##J), NAME(d7_##J)}
static void (*const NAME(dots)[5][8])(const NAME(Dot) *, int, int) = {{0}, ROW(1), ROW(2), ROW(3), ROW(4)};
#undef ROW
#undef COLUMN

/* ---- elementwise: for every cell c, out[c] = f(x[c], y[c], z[c]) through the tables of positions */
#define LOOP(expr) \
  for (long c = 0; c < n; c++) { V x = AT(m + xs[c]), y = AT(m + ys[c]), z = AT(m + zs[c]); (void)x, (void)y, (void)z; AT(m + os[c]) = (expr); } break
#define LIBRARY(call) \
  for (long c = 0; c < n; c++) { const T *x = m + xs[c], *y = m + ys[c]; T *o = m + os[c]; (void)y; for (int l = 0; l < L; l++) o[l] = (call); } break
#define PICK(condition, a, b) ((V)(((M)(a) & (condition)) | ((M)(b) & ~(condition))))
#define TRUTH(condition) PICK(condition, SPREAD((T)1), ZERO)
static void NAME(map)(const int64_t *w, const int *tables, T *m) {
  const int *os = tables + w[3], *xs = tables + w[4], *ys = tables + w[5], *zs = tables + w[6];
  long n = w[2];
  double coefficient[3];
  memcpy(coefficient, w + 7, sizeof coefficient);
  V less = SPREAD((T)coefficient[0]), tie = SPREAD((T)coefficient[1]), more = SPREAD((T)coefficient[2]);
  switch (w[1]) {
  case COPY: LOOP(x);
  case ADD: LOOP(x + y);
  case SUB: LOOP(x - y);
  case MUL: LOOP(x * y);
  case DIV: LOOP(x / y);
  case NEG: LOOP(-x);
  case ABS: LOOP((V)((M)x & ~(M)SPREAD((T)-0.0)));
  case SIGN: LOOP(PICK((x > 0) | (x < 0) | (x != x), PICK(x > 0, SPREAD((T)1), PICK(x < 0, SPREAD((T)-1), x)), tie));
  case MAXIMUM: LOOP(PICK((x > y) | (x != x), x, y));
  case MINIMUM: LOOP(PICK((x < y) | (x != x), x, y));
  case GREATER: LOOP(TRUTH(x > y));
  case LESS: LOOP(TRUTH(x < y));
  case GREATER_EQUAL: LOOP(TRUTH(x >= y));
  case LESS_EQUAL: LOOP(TRUTH(x <= y));
  case EQUAL: LOOP(TRUTH(x == y));
  case NOT_EQUAL: LOOP(TRUTH(x != y));
  case WHERE: LOOP(PICK(x != 0, y, z));
  /* x times a coefficient chosen by the order of y and z; a NaN comes before every number, as in the row "order" */
  case SLOPE: LOOP(x * PICK((y > z) | ((y != y) & (z == z)), more, PICK((y < z) | ((y == y) & (z != z)), less, tie)));
  case SQRT: LIBRARY(SQRT_(x[l]));
  case EXP: LIBRARY(EXP_(x[l]));
  case LOG: LIBRARY(LOG_(x[l]));
  case LOG1P: LIBRARY(LOG1P_(x[l]));
  case TANH: LIBRARY(TANH_(x[l]));
  case SIN: LIBRARY(SIN_(x[l]));
  case COS: LIBRARY(COS_(x[l]));
  case ERF: LIBRARY(ERF_(x[l]));
  case POWER: LIBRARY(POW_(x[l], y[l]));
  }
}
#undef LOOP
#undef LIBRARY
#undef TRUTH

/* ---- one block of at most L examples through the whole program */
static void NAME(block)(const Program *p, Thread *t, long first, int n) {
  const int *tables = p->tables;
  T *m = t->memory, *acc = t->sums;
  for (long number = 0; number < p->count; number++) {
    const int64_t *w = p->code + number * WIDTH;
    switch (w[0]) {
    case MAP: NAME(map)(w, tables, m); break;
    case GATHER: { /* out[c] = sum over k of x[c][k] */
      const int *os = tables + w[3], *xs = tables + w[4];
      for (long c = 0; c < w[2]; c++) {
        V s = ZERO;
        for (long k = 0; k < w[5]; k++) s += AT(m + *xs++);
        AT(m + os[c]) = s;
      }
      break;
    }
    case LOAD: { /* examples of an array (N, w[2]) into lanes; lanes without an example are zero */
      const T *x = (const T *)t->arrays[w[4]] + first * w[2];
      const int *os = tables + w[3];
      for (long e = 0; e < w[2]; e++) {
        T *o = m + os[e];
        for (int l = 0; l < n; l++) o[l] = x[l * w[2] + e];
        for (int l = n; l < L; l++) o[l] = 0;
      }
      break;
    }
    case STORE: {
      T *x = (T *)t->arrays[w[4]] + first * w[2];
      const int *os = tables + w[3];
      for (long e = 0; e < w[2]; e++)
        for (int l = 0; l < n; l++) x[l * w[2] + e] = m[os[e] + l];
      break;
    }
    case SPLAT: { /* numbers of an array into all lanes of cells */
      const T *x = t->arrays[w[4]];
      const int *os = tables + w[3];
      for (long e = 0; e < w[2]; e++) AT(m + os[e]) = SPREAD(x[e]);
      break;
    }
    case CHOOSE: { /* out = x[place - example * w[2]], the place of each example from an array of int64 */
      const int64_t *place = (const int64_t *)t->arrays[w[4]] + first;
      const int *xs = tables + w[3];
      T *o = m + tables[w[5]];
      for (int l = 0; l < L; l++) {
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
      for (long e = 0; e < w[2]; e++) AT(m + os[e]) = ZERO;
      for (int l = 0; l < n; l++) {
        int64_t c = place[l] - (first + l) * w[2];
        if (c < 0 || c >= w[2]) t->wrong = 1;
        else m[os[c] + l] = x[l];
      }
      break;
    }
    case CLEAR: /* lanes without an example must not count in what sums over examples */
      if (n < L)
        for (long e = 0; e < w[2]; e++)
          for (int l = n; l < L; l++) m[tables[w[3] + e] + l] = 0;
      break;
    case TOTAL: { /* acc[c] += sum over k and lanes of x[c][k] */
      const int *xs = tables + w[4];
      for (long c = 0; c < w[2]; c++) {
        V s = ZERO, r = ZERO;
        long k = 0;
        for (; k + 2 <= w[5]; k += 2, xs += 2) s += AT(m + xs[0]), r += AT(m + xs[1]);
        if (k < w[5]) s += AT(m + *xs++);
        acc[w[3] + c] += NAME(total)(s + r);
      }
      break;
    }
    case GEMM: {
      NAME(Gemm) g = {(const T *)t->arrays[w[2]], w[3] < 0 ? 0 : (const T *)t->arrays[w[3]], m, m, tables + w[4], tables + w[5], tables + w[6], tables + w[7],
                      tables + w[8], tables + w[9], tables + w[10], w[1], 0};
      for (long j = 0; j < w[14]; j++)
        for (long i = 0; i < w[12]; i++) NAME(gemms)[tables[w[13] + 2 * j + 1]][tables[w[11] + 2 * i + 1]](&g, tables[w[11] + 2 * i], tables[w[13] + 2 * j]);
      break;
    }
    case DOT: /* some positions at a time, so that their cells stay in the cache for all tiles */
      for (long k = 0; k < w[1]; k += 128) {
        NAME(Dot) d = {m, m, acc, tables + w[4], tables + w[5] + k, tables + w[6], tables + w[7] + k, tables + w[8], tables + w[9], w[1] - k < 128 ? w[1] - k : 128};
        for (long j = 0; j < w[14]; j++)
          for (long i = 0; i < w[12]; i++) NAME(dots)[tables[w[13] + 2 * j + 1]][tables[w[11] + 2 * i + 1]](&d, tables[w[11] + 2 * i], tables[w[13] + 2 * j]);
      }
      break;
    case OUTER: { /* w[2] cells of B for each of w[1] / L values of k, transposed into rows of w[3] numbers first */
      const int *bs = tables + w[10];
      T *rows = m + w[15];
      for (long k = 0; k < w[1] / L; k++)
        for (long e = 0; e < w[2]; e++, bs++)
          for (int l = 0; l < L; l++) rows[(k * L + l) * w[3] + e] = m[*bs + l];
      NAME(Gemm) g = {m, 0, rows, acc, tables + w[4], tables + w[5], tables + w[6], tables + w[7], tables + w[8], tables + w[9], 0, w[1], 1};
      for (long j = 0; j < w[14]; j++)
        for (long i = 0; i < w[12]; i++) NAME(gemms)[tables[w[13] + 2 * j + 1]][tables[w[11] + 2 * i + 1]](&g, tables[w[11] + 2 * i], tables[w[13] + 2 * j]);
      break;
    }
    }
  }
}

/* ---- sums of all threads into the result arrays: part number ``part`` of ``parts`` */
static void NAME(collect)(const Program *p, Thread *threads, int part, int parts) {
  for (long r = 0; r < p->results; r++) {
    const int64_t *w = p->result + r * 8; /* array, where in the sums, rows, columns, from one row to the next */
    long pad = w[4], from = w[2] * part / parts, to = w[2] * (part + 1) / parts;
    T *out = threads[0].arrays[w[0]];
    for (long i = from; i < to; i++)
      for (long j = 0; j < w[3]; j++) {
        T s = 0;
        for (int k = 0; k < parts; k++) s += ((const T *)threads[k].sums)[w[1] + i * pad + j];
        out[i * w[3] + j] = s;
      }
  }
}
/* ---- the optimiser's step: new parameters from old ones and gradients, this part's share of every parameter */
static void NAME(update)(const Thread *t, const int64_t *rows, long count, int part, int parts) {
  for (long r = 0; r < count; r++) {
    const int64_t *w = rows + r * WIDTH;
    double h[8];
    memcpy(h, w + 7, sizeof h);
    const T *g = t->arrays[w[1]], *p = t->arrays[w[2]];
    T *o = t->arrays[w[3]], *m = w[4] < 0 ? 0 : t->arrays[w[4]], *v = w[5] < 0 ? 0 : t->arrays[w[5]];
    long from = w[6] * part / parts, to = w[6] * (part + 1) / parts, i = from;
    T rate = (T)h[0], decay = (T)h[1], a = (T)h[2], b = (T)h[3], c = (T)h[4], e = (T)h[5];
    if (w[0] == SGD && !m) {
      for (; i + L <= to; i += L) *(U *)(o + i) = *(const U *)(p + i) - rate * (*(const U *)(g + i) + decay * *(const U *)(p + i));
      for (; i < to; i++) o[i] = p[i] - rate * (g[i] + decay * p[i]);
    } else if (w[0] == SGD) /* a momentum, b the share of the gradient, c whether to look ahead (Nesterov) */
      for (; i < to; i++) {
        T d = g[i] + decay * p[i];
        m[i] = a * m[i] + b * d;
        o[i] = p[i] - rate * (c != 0 ? d + a * m[i] : m[i]);
      }
    else /* Adam: a, b the betas, c the root of v's correction, e epsilon; h[6] the decay that is no part of the gradient */
      for (; i < to; i++) {
        T old = p[i] * (T)(1 - h[6]), d = g[i] + decay * p[i];
        m[i] += (T)(1 - h[2]) * (d - m[i]);
        v[i] = b * v[i] + (T)(1 - h[3]) * d * d;
        o[i] = old - rate * m[i] / (SQRT_(v[i]) / c + e);
      }
    (void)a, (void)b, (void)c, (void)e;
  }
}
#undef V
#undef U
#undef M
#undef EACH
#undef EVEN
#undef ODD
#undef PICK
