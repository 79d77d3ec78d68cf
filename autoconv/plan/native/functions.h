/* exp, log, log1p, expm1 and tanh of L numbers at a time, within three units in the last place, by the usual reductions.
 *
 *   exp   x = n ln 2 + r, a Taylor polynomial of r, times 2^n in two steps (so that denormal results round once)
 *   log   x = m 2^e with m between sqrt(1/2) and sqrt(2); log m = 2 artanh(f / (2 + f)), f = m - 1 (FreeBSD's coefficients)
 *   log1p log(1 + x) and what the addition lost;   tanh  e / (e + 2) with e = exp(2 |x|) - 1
 */
#define BITS(x) ((M)(x))
#define WHOLE(n) SPREAD((T)(n))
static inline __attribute__((always_inline)) V NAME(power_of_two)(M n) { return (V)((n + BIAS) << MANTISSA); }
/* (exp(r) - 1) / r by Horner's rule, and n, for x = n ln 2 + r */
static inline __attribute__((always_inline)) V NAME(reduced)(V x, M *n, V *r) {
  V t = x * (T)1.44269504088896340736 + (T)MAGIC;
  *n = BITS(t) - BITS(WHOLE(MAGIC));
  V k = t - (T)MAGIC;
  *r = (x - k * (T)LN2_HIGH) - k * (T)LN2_LOW;
  V p = WHOLE(0);
  static const T inverse[] = {EXP_COEFFICIENTS};
  UNROLL for (int i = 0; i < (int)(sizeof inverse / sizeof *inverse); i++) p = p * *r + inverse[i];
  return p;
}
static inline __attribute__((always_inline)) V NAME(exp_)(V x) {
  M n;
  V r, c = PICK(x < (T)EXP_LEAST, WHOLE(EXP_LEAST), PICK(x > (T)EXP_MOST, WHOLE(EXP_MOST), x));
  V p = NAME(reduced)(c, &n, &r);
  M half = n >> 1;
  V y = (p * r + (T)1) * NAME(power_of_two)(half) * NAME(power_of_two)(n - half);
  return PICK(x != x, x, y);
}
static inline __attribute__((always_inline)) V NAME(tanh_)(V x) {
  M n, sign = BITS(x) & BITS(WHOLE(-0.0));
  V r, a = (V)(BITS(x) ^ sign), c = PICK(a > (T)22, WHOLE(22), a);
  V p = NAME(reduced)(c + c, &n, &r), two = NAME(power_of_two)(n);
  V e = p * r * two + (two - (T)1);
  return PICK(x != x, x, (V)(BITS(e / (e + (T)2)) | sign));
}
/* exp(x) - 1 = (2^n - 1) + 2^n (exp(r) - 1); beyond +-40 the 1 or the exponential is no part of any digit */
static inline __attribute__((always_inline)) V NAME(expm1_)(V x) {
  M n;
  V r, c = PICK(x < (T)-40, WHOLE(-40), PICK(x > (T)40, WHOLE(40), x));
  V p = NAME(reduced)(c, &n, &r), two = NAME(power_of_two)(n);
  V e = p * r * two + (two - (T)1);
  return PICK((x != x) | (x == 0), x, PICK(x > (T)40, NAME(exp_)(x), e));
}
static inline __attribute__((always_inline)) V NAME(softsign_)(V x) {
  V a = (V)(BITS(x) & ~BITS(WHOLE(-0.0)));
  return PICK(a == (T)INFINITY, (V)(BITS(WHOLE(1)) | (BITS(x) & BITS(WHOLE(-0.0)))), x / (a + (T)1));
}
static inline __attribute__((always_inline)) V NAME(log_)(V x) {
  M tiny = (M)(x < (T)LEAST_NORMAL);
  V y = PICK(tiny, x * (T)TWO_TO_MANTISSA, x);
  M size = BITS(y) & ~BITS(WHOLE(-0.0)); /* of a negative number the result is NaN */
  M from = BITS(WHOLE(0.70710678118654752440)), e = (size - from) >> MANTISSA; /* arithmetic shift */
  V m = (V)(size - (e << MANTISSA)), f = m - (T)1, s = f / (f + (T)2), z = s * s, q = WHOLE(0);
  static const T artanh[] = {LOG_COEFFICIENTS};
  UNROLL for (int i = 0; i < (int)(sizeof artanh / sizeof *artanh); i++) q = q * z + artanh[i];
  V k = __builtin_convertvector(e - (tiny & MANTISSA), V), h = f * f * (T)0.5;
  V l = k * (T)LN2_HIGH - ((h - (s * (h + q * z) + k * (T)LN2_LOW)) - f);
  l = PICK(x == (T)INFINITY, x, l);
  l = PICK(x == 0, WHOLE(-INFINITY), l);
  return PICK((x < 0) | (x != x), WHOLE(NAN), l);
}
static inline __attribute__((always_inline)) V NAME(log1p_)(V x) {
  V u = x + (T)1, lost = x - (u - (T)1);
  V y = NAME(log_)(u) + lost / u;
  return PICK((u == (T)INFINITY) | (u == 0), NAME(log_)(u), PICK(u == (T)1, x, y));
}
/* log(e^x + e^y): the larger one, and what the other adds to it; of equal ones, infinities too, log 2 */
static inline __attribute__((always_inline)) V NAME(logaddexp_)(V x, V y) {
  V apart = x - y, most = PICK(x > y, x, y), near = (V)(BITS(apart) | BITS(WHOLE(-0.0)));
  return PICK(x == y, x + (T)0.69314718055994530942, most + NAME(log1p_)(NAME(exp_)(near)));
}
#define BY_LANES(name, call) \
  static inline V NAME(name)(V x, V y) { \
    T a[L], b[L]; \
    AT(a) = x, AT(b) = y; \
    for (int l = 0; l < L; l++) a[l] = call; \
    return FROM(a); \
  }
BY_LANES(sqrt_, SQRT_(a[l]))
BY_LANES(sin_, SIN_(a[l]))
BY_LANES(cos_, COS_(a[l]))
BY_LANES(erf_, ERF_(a[l]))
BY_LANES(erfc_, ERFC_(a[l]))
BY_LANES(pow_, POW_(a[l], b[l]))
#undef BY_LANES
#undef BITS
#undef WHOLE
