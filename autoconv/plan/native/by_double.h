/* power, erf and erfc of L numbers in single precision at a time, by way of double precision: right to the last place but for
 * numbers that lie, to 1e-9 of themselves, halfway between two.
 *
 *   power  x = m 2^e, m between sqrt(1/2) and sqrt(2); log2 x = e + 2 artanh(f / (2 + f)) / ln 2, f = m - 1; then 2^(y log2 x)
 *   erfc   t exp(-x^2 + P(2 t - 1)), t = 2 / (2 + x), x >= 0; P: a polynomial through the Chebyshev points of (0, 1]
 *   erf    1 - erfc(x), near 0 its series
 *
 * Where a lane is no ordinary number (infinite, NaN, a result that is denormal or too large), the C library does all lanes.
 */
typedef double NAME(D) __attribute__((vector_size(8 * L), may_alias));
typedef int64_t NAME(N) __attribute__((vector_size(8 * L), may_alias));
#define D NAME(D)
#define TO(x, type) __builtin_convertvector(x, type)
static inline __attribute__((always_inline)) int NAME(every)(M condition) {
  int32_t of[L], all = -1;
  memcpy(of, &condition, sizeof of);
  for (int l = 0; l < L; l++) all &= of[l];
  return all;
}
/* c[0] x^(n - 1) + .. + c[n - 1]: even and odd powers by themselves, so that half as many operations wait for one another */
static inline __attribute__((always_inline)) D NAME(polynomial)(const double *c, const int n, D x) {
  D z = x * x, of[2] = {z * 0 + c[0], z * 0 + c[1]};
  UNROLL for (int i = 2; i < n; i++) of[i % 2] = of[i % 2] * z + c[i];
  return n % 2 ? of[1] * x + of[0] : of[0] * x + of[1];
}
#define POLYNOMIAL(c, x) NAME(polynomial)(c, sizeof c / sizeof *c, x)
/* 2^t for -1000 < t < 1000 */
static inline __attribute__((always_inline)) D NAME(two_to)(D t) {
  D k = (t + 6755399441055744.0) - 6755399441055744.0, r = (t - k) * 0.69314718055994530942;
  static const double inverse[] = {1. / 362880, 1. / 40320, 1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 0.5, 1, 1};
  return POLYNOMIAL(inverse, r) * (D)((TO(TO(k, M), NAME(N)) + 1023) << 52);
}
static inline V NAME(pow_by_double)(V x, V y) {
  M signs = (M)SPREAD(-0.0f), n = TO(y, M), integral = (TO(n, V) == y) & (y > -4194304) & (y < 4194304);
  M size = (M)x & ~signs, e = (size - (M)SPREAD(0.70710678118654752440f)) >> MANTISSA;
  D f = TO((V)(size - (e << MANTISSA)), D) - 1, s = f / (f + 2);
  static const double artanh[] = {1. / 15, 1. / 13, 1. / 11, 1. / 9, 1. / 7, 1. / 5, 1. / 3, 1};
  D t = (TO(e, D) + s * POLYNOMIAL(artanh, s * s) * 2.88539008177792681472) * TO(y, D);
  V about = TO(t, V);
  M zero = (x == 0) & (y > 0) & (y < (T)INFINITY), odd = integral & (n << 31) & (M)x; /* the sign */
  M ordinary = ((V)size >= (T)LEAST_NORMAL) & ((V)size < (T)INFINITY) & (about > -125) & (about < 127) & ((x > 0) | integral);
  if (NAME(every)(ordinary | zero)) return (V)((M)PICK(zero, ZERO, TO(NAME(two_to)(t), V)) | odd);
  return NAME(pow_)(x, y);
}
/* erfc(x) for 0 <= x <= 9 */
static inline __attribute__((always_inline)) D NAME(tail)(D x) {
  D t = 2 / (2 + x);
  static const double of_u[] = {-3.7251527545404115e-06, -8.1212545858981331e-06, 3.4692393129272062e-05, 4.1795894288491657e-05, -0.00017558777286100474, -7.1197309317045884e-05,
                                0.00067396036057986179, -0.00015613427577858141, -0.0023458258421988438, 0.0017613393655944438, 0.0088249332822122883,
                                -0.0098729804594479813, -0.046895609485449984, 0.047343320367387011, 0.67264322395648224, -0.67179408416035724};
  return t * NAME(two_to)((POLYNOMIAL(of_u, 2 * t - 1) - x * x) * 1.44269504088896340736);
}
static inline V NAME(erfc_by_double)(V x, V unused) {
  (void)unused;
  if (!NAME(every)(x < 9)) return NAME(erfc_)(x, x); /* NaN too */
  V size = (V)((M)x & ~(M)SPREAD(-0.0f)), a = PICK(size > 9, SPREAD(9.0f), size);
  D y = NAME(tail)(TO(a, D));
  return PICK(x < 0, TO(2 - y, V), TO(y, V));
}
static inline V NAME(erf_by_double)(V x, V unused) {
  (void)unused;
  V size = (V)((M)x & ~(M)SPREAD(-0.0f)), a = PICK(size > 9, SPREAD(9.0f), size);
  D w = TO(x, D);
  static const double series[] = {-1. / 75600, 1. / 9360, -1. / 1320, 1. / 216, -1. / 42, 1. / 10, -1. / 3, 1};
  V near = TO(w * POLYNOMIAL(series, w * w) * 1.12837916709551257390, V), far = TO(1 - NAME(tail)(TO(a, D)), V);
  V y = PICK(a < 0.5f, near, (V)((M)far | ((M)x & (M)SPREAD(-0.0f))));
  return PICK(x != x, x, y);
}
#undef POLYNOMIAL
#undef D
#undef TO
