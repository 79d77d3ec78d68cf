/* Vectors of L numbers without intrinsics: loads and stores at any address, sums over lanes by shuffles.
 *
 * Included by variant.h with T (float or double), L (lanes), MASK (the integer type of T's size) and NAME(x) (a suffix) defined.
 */
typedef T NAME(V) __attribute__((vector_size(sizeof(T) * L), aligned(sizeof(T) * L), may_alias));
typedef T NAME(U) __attribute__((vector_size(sizeof(T) * L), aligned(sizeof(T)), may_alias));
typedef MASK NAME(M) __attribute__((vector_size(sizeof(T) * L), may_alias));
#define V NAME(V)
#define U NAME(U)
#define M NAME(M)
#define AT(p) (*(U *)(p))
#define FROM(p) ((V) * (const U *)(p))
#define ZERO ((V){0})
#define SPREAD(s) ((s) - ZERO) /* x - 0 is x, for a signed zero and NaN too */
#define PICK(condition, a, b) ((V)(((M)(a) & (M)(condition)) | ((M)(b) & ~(M)(condition))))

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
static inline __attribute__((always_inline)) T NAME(total)(V a) {
  T t[L] __attribute__((aligned(sizeof(T) * L)));
  AT(t) = a;
  UNROLL for (int h = L / 2; h; h /= 2) UNROLL for (int i = 0; i < h; i++) t[i] += t[i + h];
  return t[0];
}
/* L x L numbers, rows as columns, by perfect shuffles */
#define LOW(i, D) ((i) & 1 ? L + (i) / 2 : (i) / 2)
#define HIGH(i, D) ((i) & 1 ? L + L / 2 + (i) / 2 : L / 2 + (i) / 2)
static inline __attribute__((always_inline)) void NAME(transpose)(V *a) {
  V b[L];
  for (int step = 1; step < L; step *= 2) {
    UNROLL for (int i = 0; i < L / 2; i++) b[2 * i] = SHUFFLE(a[i], a[i + L / 2], M, EACH(LOW, 0)), b[2 * i + 1] = SHUFFLE(a[i], a[i + L / 2], M, EACH(HIGH, 0));
    UNROLL for (int i = 0; i < L; i++) a[i] = b[i];
  }
}
#undef LOW
#undef HIGH
