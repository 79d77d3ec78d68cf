/* The three contractions.  All addresses come from int32 tables, in numbers; vectors may stand at any address.
 *
 *   GEMM  O[oi[i] + oj[j]] = bias + sum_k S[sb[i] + sk[k]] * V[vb[j] + vk[k]]                 S numbers, V and O vectors
 *   DOT   O[oi[i] + oj[j]] = sum_k sum_lanes A[ab[i] + ak[k]] * B[bb[j] + bk[k]]              A and B vectors, O numbers
 *   LANEWISE  O[oi[i]] = bias + sum_k S[sb[i] + sk[k]] * V[vb[0] + vk[k]]                     all vectors, each lane by itself
 *
 * A tile is I x J results in registers; every I x J that pays is compiled, the planner chooses.
 */
#ifndef ONE_REGISTER
/* a pointer is kept as it is: not as the sum of two numbers, for each of which the inner loop would need a register */
#define ONE_REGISTER(pointer) __asm__("" : "+r"(pointer)::"memory")
#endif
typedef struct {
  const T *s, *v, *bias;
  T *o;
  const int *sb, *sk, *vb, *vk, *oi, *oj, *ob;
  Py_ssize_t k;
  int flags, add;
  Ahead *ahead;
} NAME(Gemm);

/* H times I rows: those of each further stretch of I are ``further`` numbers from the first I */
static inline __attribute__((always_inline)) void NAME(gemm)(const NAME(Gemm) *g, int i0, int j0, const int I, const int J, const int H, Py_ssize_t further) {
  enum { MORE = 4, TALLEST = 16 };
  const int R = H * I, P = R * J >= 8 ? 1 : R * J >= 4 ? 2 : MORE; /* partial sums, where a tile alone would wait for its additions */
  V a[TALLEST][4], b[MORE][8][4];
  const T *s[8], *v[4];
  UNROLL for (int i = 0; i < I; i++) {
    s[i] = g->s + g->sb[i0 + i];
    ONE_REGISTER(s[i]);
  }
  UNROLL for (int j = 0; j < J; j++) {
    v[j] = g->v + g->vb[j0 + j];
    ONE_REGISTER(v[j]);
  }
  UNROLL for (int i = 0; i < R; i++)
    UNROLL for (int j = 0; j < J; j++) {
      a[i][j] = ZERO;
      UNROLL for (int p = 1; p < P; p++) b[p][i][j] = ZERO;
    }
  if (g->bias && g->flags & BIAS_OF_VECTORS)
    UNROLL for (int i = 0; i < R; i++)
      UNROLL for (int j = 0; j < J; j++) a[i][j] = FROM(g->bias + g->ob[j0 + j]);
  else if (g->bias)
    UNROLL for (int i = 0; i < R; i++)
      UNROLL for (int j = 0; j < J; j++) a[i][j] = SPREAD(g->bias[g->ob[i0 + i]]);
  const Py_ssize_t K = g->k;
  const int *at = g->sk, *const last = at + K; /* both tables by one pointer: the tiles have no register to spare */
  Py_ssize_t apart = g->vk - g->sk;
  ONE_REGISTER(apart);
#define STEP(k, sum) \
  { \
    Py_ssize_t vo = at[(k) + apart], so = at[k]; \
    V x[4]; \
    UNROLL for (int j = 0; j < J; j++) x[j] = FROM(v[j] + vo); \
    UNROLL for (int i = 0; i < R; i++) { \
      if (i && i % I == 0) so += further; \
      V w = SPREAD(s[i % I][so]); \
      UNROLL for (int j = 0; j < J; j++) sum[i][j] += w * x[j]; \
    } \
  }
  const int many = K >= 2 * SHORT; /* a long sum is the sum of shorter ones, so that rounding grows with the root of their number */
  V memory[8 * 4], *whole = memory;
  ONE_REGISTER(whole); /* so it stays there, and the inner loop has all registers for its sums */
  if (many)
    UNROLL for (int e = 0; e < R * J; e++) whole[e] = ZERO;
  while (at < last) {
    const int *const end = last - at < 2 * SHORT ? last : at + SHORT;
    look_ahead(g->ahead, R * J * (end - at));
    if (P > 1)
      for (; at + P <= end; at += P) {
        STEP(0, a)
        UNROLL for (int p = 1; p < P; p++) STEP(p, b[p])
      }
    for (; at < end; at++) STEP(0, a)
    if (many)
      UNROLL for (int i = 0; i < R; i++)
        UNROLL for (int j = 0; j < J; j++) {
          whole[i * J + j] += a[i][j];
          a[i][j] = ZERO;
        }
  }
#undef STEP
  if (many)
    UNROLL for (int i = 0; i < R; i++)
      UNROLL for (int j = 0; j < J; j++) a[i][j] = whole[i * J + j];
  UNROLL for (int p = 1; p < P; p++)
    UNROLL for (int i = 0; i < R; i++)
      UNROLL for (int j = 0; j < J; j++) a[i][j] += b[p][i][j];
#define EVERY(result) \
  UNROLL for (int i = 0; i < R; i++) \
    UNROLL for (int j = 0; j < J; j++) { \
      T *o = g->o + g->oi[i0 + i] + g->oj[j0 + j]; \
      AT(o) = result; \
    }
  if (g->add && g->flags & POSITIVE_PART)
    UNROLL for (int i = 0; i < R; i++)
      UNROLL for (int j = 0; j < J; j++) a[i][j] += FROM(g->o + g->oi[i0 + i] + g->oj[j0 + j]);
  if (g->flags & POSITIVE_PART) EVERY(PICK(a[i][j] <= 0, ZERO, a[i][j]))
  else if (g->add) EVERY(FROM(o) + a[i][j])
  else EVERY(a[i][j])
#undef EVERY
}
#define TILE(I, J) \
  static void NAME(g##I##_##J)(const NAME(Gemm) *g, int i, int j) { NAME(gemm)(g, i, j, I, J, 1, 0); }
#define COLUMN(J) TILE(1, J) TILE(2, J) TILE(3, J) TILE(4, J) TILE(5, J) TILE(6, J) TILE(7, J) TILE(8, J)
COLUMN(1) COLUMN(2) COLUMN(3) COLUMN(4)
#undef TILE
#define ROW(J) \
  {0, NAME(g1_##J), NAME(g2_##J), NAME(g3_##J), NAME(g4_##J), NAME(g5_##J), NAME(g6_##J), NAME(g7_##J), NAME(g8_##J)}
static void (*const NAME(gemms)[5][9])(const NAME(Gemm) *, int, int) = {{0}, ROW(1), ROW(2), ROW(3), ROW(4)};
#undef ROW
#undef COLUMN
/* Two tiles of 8 rows of one vector as one, which reads the vectors of all terms once for both, where these are more than the
 * nearest cache holds: whether the rows stand alike, and it was done.  It takes many registers. */
static inline int NAME(both)(const NAME(Gemm) *g, int i, int j) {
#if BYTES >= 64
  const int *base = g->sb + i, further = base[8] - base[0];
  if (g->k * (Py_ssize_t)sizeof(V) < NEAREST) return 0;
  for (int r = 1; r < 8; r++)
    if (base[8 + r] - base[r] != further) return 0;
  NAME(gemm)(g, i, j, 8, 1, 2, further);
  return 1;
#else
  (void)g, (void)i, (void)j;
  return 0;
#endif
}

typedef struct {
  const T *a, *b;
  T *o;
  const int *ab, *ak, *bb, *bk, *oi, *oj;
  Py_ssize_t k;
  int add;
  Ahead *ahead;
} NAME(Dot);

static inline __attribute__((always_inline)) void NAME(dot)(const NAME(Dot) *d, int i0, int j0, const int I, const int J) {
  enum { FULL = 48 };
  V a[FULL];
  const T *p[8], *q[8];
  UNROLL for (int e = 0; e < I * J; e++) a[e] = ZERO;
  UNROLL for (int i = 0; i < I; i++) {
    p[i] = d->a + d->ab[i0 + i];
    ONE_REGISTER(p[i]);
  }
  UNROLL for (int j = 0; j < J; j++) {
    q[j] = d->b + d->bb[j0 + j];
    ONE_REGISTER(q[j]);
  }
  const int *at = d->ak, *const end = at + d->k;
  Py_ssize_t apart = d->bk - d->ak;
  ONE_REGISTER(apart);
  for (; at < end; at++) {
    Py_ssize_t bo = at[apart], ao = *at;
    V x[8];
    UNROLL for (int j = 0; j < J; j++) x[j] = FROM(q[j] + bo);
    UNROLL for (int i = 0; i < I; i++) {
      V y = FROM(p[i] + ao);
      UNROLL for (int j = 0; j < J; j++) a[i * J + j] += y * x[j];
    }
  }
  T t[FULL];
  UNROLL for (int e = I * J; e < (I * J + L - 1) / L * L; e++) a[e] = ZERO;
  UNROLL for (int e = 0; e < I * J; e += L) AT(t + e) = NAME(totals)(a + e);
  UNROLL for (int i = 0; i < I; i++)
    UNROLL for (int j = 0; j < J; j++) {
      T *o = d->o + d->oi[i0 + i] + d->oj[j0 + j];
      *o = d->add ? *o + t[i * J + j] : t[i * J + j];
    }
}
#define TILE(I, J) static void NAME(d##I##_##J)(const NAME(Dot) *d, int i, int j) { NAME(dot)(d, i, j, I, J); }
#define COLUMN(J) TILE(1, J) TILE(2, J) TILE(3, J) TILE(4, J) TILE(5, J) TILE(6, J) TILE(7, J)
COLUMN(1) COLUMN(2) COLUMN(3) COLUMN(4)
#undef TILE
#define ROW(J) {0, NAME(d1_##J), NAME(d2_##J), NAME(d3_##J), NAME(d4_##J), NAME(d5_##J), NAME(d6_##J), NAME(d7_##J)}
static void (*const NAME(dots)[5][8])(const NAME(Dot) *, int, int) = {{0}, ROW(1), ROW(2), ROW(3), ROW(4)};
#undef ROW
#undef COLUMN

static inline __attribute__((always_inline)) void NAME(lanewise)(const NAME(Gemm) *g, int i0, Py_ssize_t at, const int I) {
  enum { MORE = 4 };
  const int P = I >= 8 ? 1 : I >= 4 ? 2 : MORE; /* partial sums, as in gemm */
  V a[8], b[MORE][8];
  const T *s[8], *v = g->v + g->vb[0] + at;
  UNROLL for (int i = 0; i < I; i++) {
    s[i] = g->s + g->sb[i0 + i] + at;
    a[i] = g->bias ? FROM(g->bias + g->ob[0] + at) : ZERO;
    UNROLL for (int p = 1; p < P; p++) b[p][i] = ZERO;
  }
  const int *sk = g->sk, *vk = g->vk;
#define STEP(k, sum) \
  { \
    Py_ssize_t so = sk[k]; \
    V x = FROM(v + vk[k]); \
    UNROLL for (int i = 0; i < I; i++) sum[i] += FROM(s[i] + so) * x; \
  }
  const Py_ssize_t K = g->k;
  const int many = K >= 2 * SHORT; /* a long sum is the sum of shorter ones */
  V whole[8];
  UNROLL for (int i = 0; i < I; i++) whole[i] = ZERO;
  for (Py_ssize_t k = 0, end; k < K;) {
    end = K - k < 2 * SHORT ? K : k + SHORT;
    if (P > 1)
      for (; k + P <= end; k += P) {
        STEP(k, a)
        UNROLL for (int p = 1; p < P; p++) STEP(k + p, b[p])
      }
    for (; k < end; k++) STEP(k, a)
    if (many)
      UNROLL for (int i = 0; i < I; i++) {
        whole[i] += a[i];
        a[i] = ZERO;
      }
  }
#undef STEP
  if (many)
    UNROLL for (int i = 0; i < I; i++) a[i] = whole[i];
  UNROLL for (int p = 1; p < P; p++)
    UNROLL for (int i = 0; i < I; i++) a[i] += b[p][i];
  UNROLL for (int i = 0; i < I; i++) {
    T *o = g->o + g->oi[i0 + i] + at;
    if (g->add) a[i] += FROM(o);
    else if (g->flags & POSITIVE_PART) a[i] = PICK(a[i] <= 0, ZERO, a[i]);
    AT(o) = a[i];
  }
}
#define TILE(I) \
  static void NAME(l##I)(const NAME(Gemm) *g, int i, Py_ssize_t at) { NAME(lanewise)(g, i, at, I); }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8)
#undef TILE
static void (*const NAME(lanewises)[9])(const NAME(Gemm) *, int, Py_ssize_t) = {0, NAME(l1), NAME(l2), NAME(l3), NAME(l4), NAME(l5), NAME(l6), NAME(l7), NAME(l8)};

/* ---- the tiles of one instruction (all three have the same words); a part takes a share of the longer row of them */
typedef struct {
  const int *tall, *wide;
  Py_ssize_t i, i_end, j, j_end;
} NAME(Tiles);
static inline NAME(Tiles) NAME(share)(const int64_t *w, const int *tables, int part, int parts) {
  NAME(Tiles) t = {tables + w[GEMM_TALL], tables + w[GEMM_WIDE], 0, w[GEMM_TALLS], 0, w[GEMM_WIDES]};
  if (w[GEMM_TALLS] > w[GEMM_WIDES]) t.i = w[GEMM_TALLS] * part / parts, t.i_end = w[GEMM_TALLS] * (part + 1) / parts;
  else t.j = w[GEMM_WIDES] * part / parts, t.j_end = w[GEMM_WIDES] * (part + 1) / parts;
  return t;
}
/* Bring the numbers that a tile reads at terms ``from`` up to ``to`` near: a cache line of each term, or several side by side. */
static inline void NAME(bring)(const T *numbers, const int *steps, Py_ssize_t from, Py_ssize_t to, Py_ssize_t bytes) {
  for (Py_ssize_t k = from; k < to; k++)
    for (Py_ssize_t line = 0; line < bytes; line += LINE) __builtin_prefetch((const char *)(numbers + steps[k]) + line, 0, 3);
}
/* A long sum in short ones: all tiles add SHORT terms before any adds the next, so that the vectors of these terms stay in the
 * nearest cache for all rows; as many tiles at a time as leave their results and numbers in the cache behind it.  Each sum is
 * rounded as that of a tile which makes all terms by itself. */
static void NAME(in_stretches)(const int64_t *w, NAME(Tiles) t, const NAME(Gemm) *g) {
  enum { TILES_AT_HAND = NEARER / (7 * 4 * sizeof(V)), COLUMNS = 4 };
  const Py_ssize_t columns = t.j_end - t.j, rows = t.i_end - t.i, fit = TILES_AT_HAND / rows;
  const Py_ssize_t some = columns < COLUMNS ? columns : fit > COLUMNS ? fit : COLUMNS; /* columns of tiles, and rows */
  const Py_ssize_t many = TILES_AT_HAND / some > 1 ? TILES_AT_HAND / some : 1;
  const int together = !(w[GEMM_FLAGS] & ROWS_OUTSIDE); /* whether the numbers of a tile stand side by side */
  NAME(Gemm) s = *g;
  for (Py_ssize_t i0 = t.i; i0 < t.i_end; i0 += many)
    for (Py_ssize_t j0 = t.j; j0 < t.j_end; j0 += some) {
      const Py_ssize_t i_end = i0 + many < t.i_end ? i0 + many : t.i_end, j_end = j0 + some < t.j_end ? j0 + some : t.j_end;
      for (Py_ssize_t k = 0, end; k < g->k; k = end) {
        end = g->k - k < 2 * SHORT ? g->k : k + SHORT;
        s.sk = g->sk + k, s.vk = g->vk + k, s.k = end - k;
        s.bias = k ? 0 : g->bias;
        s.add = k || g->add;
        s.flags = end < g->k ? g->flags & ~POSITIVE_PART : g->flags;
        for (Py_ssize_t j = j0; j < j_end; j++)
          for (Py_ssize_t i = i0; i < i_end; i++) {
            if (j + 1 < j_end) /* a share of the next column's vectors */
              NAME(bring)(s.v + s.vb[t.wide[2 * j + 2]], s.vk, s.k * (i - i0) / (i_end - i0), s.k * (i + 1 - i0) / (i_end - i0), t.wide[2 * j + 3] * (Py_ssize_t)sizeof(V));
            if (together && j == j0 && i + 1 < i_end) NAME(bring)(s.s + s.sb[t.tall[2 * i + 2]], s.sk, 0, s.k, 1);
            next_ahead(s.ahead);
            NAME(gemms)[t.wide[2 * j + 1]][t.tall[2 * i + 1]](&s, t.tall[2 * i], t.wide[2 * j]);
          }
      }
    }
}
static void NAME(all_of_gemm)(const int64_t *w, const int *tables, const NAME(Gemm) *g, int part, int parts) {
  const NAME(Tiles) t = NAME(share)(w, tables, part, parts);
  const int *tall = t.tall, *wide = t.wide;
  if (t.j_end - t.j == 1 && wide[2 * t.j + 1] == 1)
    for (Py_ssize_t i = t.i; i < t.i_end; i++) {
      next_ahead(g->ahead);
      if (i + 1 < t.i_end && tall[2 * i + 1] == 8 && tall[2 * i + 3] == 8 && NAME(both)(g, tall[2 * i], wide[2 * t.j])) i++;
      else NAME(gemms)[1][tall[2 * i + 1]](g, tall[2 * i], wide[2 * t.j]);
    }
  else if (w[GEMM_FLAGS] & APART && g->k >= 2 * SHORT && t.i_end - t.i > 1 && t.j_end > t.j) NAME(in_stretches)(w, t, g);
  else if (w[GEMM_FLAGS] & ROWS_OUTSIDE)
    for (Py_ssize_t i = t.i; i < t.i_end; i++)
      for (Py_ssize_t j = t.j; j < t.j_end; j++) {
        next_ahead(g->ahead);
        NAME(gemms)[wide[2 * j + 1]][tall[2 * i + 1]](g, tall[2 * i], wide[2 * j]);
      }
  else
    for (Py_ssize_t j = t.j; j < t.j_end; j++)
      for (Py_ssize_t i = t.i; i < t.i_end; i++) {
        next_ahead(g->ahead);
        NAME(gemms)[wide[2 * j + 1]][tall[2 * i + 1]](g, tall[2 * i], wide[2 * j]);
      }
}
/* Some k at a time where results are sums that grow: the cells of a tile's rows then stay in the nearest cache, and those of as
 * many columns as there is room for in the cache behind it. */
static void NAME(all_of_dot)(const int64_t *w, const int *tables, NAME(Dot) d, int first, int part, int parts) {
  const NAME(Tiles) t = NAME(share)(w, tables, part, parts);
  const int *tall = t.tall, *wide = t.wide;
  Py_ssize_t count = d.k, some = w[GEMM_FLAGS] & GROWS ? SOME : count, some_columns = NEARER / (4 * some * (Py_ssize_t)sizeof(V));
  if (some_columns < 1) some_columns = 1;
  for (Py_ssize_t k = 0; k < count; k += some, d.ak += some, d.bk += some) {
    d.k = count - k < some ? count - k : some;
    d.add = k > 0 || w[GEMM_FLAGS] & ADDS || (w[GEMM_FLAGS] & GROWS && !first);
    for (Py_ssize_t j0 = t.j; j0 < t.j_end; j0 += some_columns)
      for (Py_ssize_t i = t.i; i < t.i_end; i++)
        for (Py_ssize_t j = j0; j < t.j_end && j < j0 + some_columns; j++) {
          next_ahead(d.ahead);
          look_ahead(d.ahead, (int64_t)wide[2 * j + 1] * tall[2 * i + 1] * d.k);
          NAME(dots)[wide[2 * j + 1]][tall[2 * i + 1]](&d, tall[2 * i], wide[2 * j]);
        }
  }
}
/* The same; a part takes a share of the tiles or of the vectors, whichever are more. */
static void NAME(all_of_lanewise)(const int64_t *w, const int *tables, NAME(Gemm) g, int first, int part, int parts) {
  const int *tall = tables + w[LANEWISE_TALL], *at = tables + w[LANEWISE_VECTOR_AT];
  const Py_ssize_t talls = w[LANEWISE_TALLS], vectors = w[LANEWISE_VECTORS];
  const Py_ssize_t i_end = talls < vectors ? talls : talls * (part + 1) / parts, v_end = talls < vectors ? vectors * (part + 1) / parts : vectors;
  Py_ssize_t count = g.k, some = g.flags & GROWS ? SOME : count;
  for (Py_ssize_t k = 0; k < count; k += some, g.sk += some, g.vk += some) {
    g.k = count - k < some ? count - k : some;
    g.add = g.flags & GROWS && (k || !first);
    for (Py_ssize_t i = talls < vectors ? 0 : talls * part / parts; i < i_end; i++)
      for (Py_ssize_t v = talls < vectors ? vectors * part / parts : 0; v < v_end; v++) {
        next_ahead(g.ahead);
        look_ahead(g.ahead, (int64_t)tall[2 * i + 1] * g.k);
        NAME(lanewises)[tall[2 * i + 1]](&g, tall[2 * i], at[v]);
      }
  }
}
