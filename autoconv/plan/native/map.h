/* Elementwise: out = f(x, y, z) through tables of addresses: vectors ``begin`` to ``end``, and after the last vector the single numbers. */
#define LOOP(expr) \
  for (Py_ssize_t c = begin; c < end; c++) { V x = FROM(mx + xs[c]), y = FROM(my + ys[c]), z = FROM(mz + zs[c]); (void)x, (void)y, (void)z; AT(mo + os[c]) = (expr); } \
  for (Py_ssize_t c = 0; c < singles; c++) { V x = SPREAD(m[sx[c]]), y = SPREAD(m[sy[c]]), z = SPREAD(m[sz[c]]); (void)x, (void)y, (void)z; V r = (expr); m[so[c]] = r[0]; } \
  break
/* x y, but 0 where y is 0, even of an infinite x or NaN */
static inline __attribute__((always_inline)) V NAME(times)(V x, V y) { return (V)((M)(x * y) & (M)(y != 0)); }
#define TRUTH(condition) PICK(condition, SPREAD((T)1), ZERO)
static void NAME(map)(const int64_t *w, const int *tables, T *m, Py_ssize_t begin, Py_ssize_t end) {
  const int *os = tables + w[MAP_OUT], *xs = tables + w[MAP_X], *ys = tables + w[MAP_Y], *zs = tables + w[MAP_Z];
  T *mo = m + w[MAP_OUT_AT];
  const T *mx = m + w[MAP_X_AT], *my = m + w[MAP_Y_AT], *mz = m + w[MAP_Z_AT];
  const int *so = tables + w[MAP_SINGLE_OUT], *sx = tables + w[MAP_SINGLE_X], *sy = tables + w[MAP_SINGLE_Y], *sz = tables + w[MAP_SINGLE_Z];
  Py_ssize_t singles = end < w[MAP_COUNT] ? 0 : w[MAP_SINGLES]; /* they belong to the last part */
  double coefficient[3];
  memcpy(coefficient, w + MAP_NUMBER0, sizeof coefficient);
  V less = SPREAD((T)coefficient[0]), tie = SPREAD((T)coefficient[1]), more = SPREAD((T)coefficient[2]);
  switch (w[MAP_OPERATION]) {
  case COPY: LOOP(x);
  case FILL:
    for (Py_ssize_t c = begin; c < end; c++) AT(mo + os[c]) = SPREAD(mx[xs[c]]);
    break;
  case ADD: LOOP(x + y);
  case SUB: LOOP(x - y);
  case MUL: LOOP(x * y);
  case DIV: LOOP(x / y);
  case NEG: LOOP(-x);
  case ABS: LOOP((V)((M)x & ~(M)SPREAD((T)-0.0)));
  case SIGN: LOOP(PICK(x > 0, more, PICK(x < 0, less, PICK(x == 0, tie, x))));
  case MAXIMUM: LOOP(PICK((x > y) | (x != x), x, y));
  case MINIMUM: LOOP(PICK((x < y) | (x != x), x, y));
  case GREATER: LOOP(TRUTH(x > y));
  case LESS: LOOP(TRUTH(x < y));
  case GREATER_EQUAL: LOOP(TRUTH(x >= y));
  case LESS_EQUAL: LOOP(TRUTH(x <= y));
  case EQUAL: LOOP(TRUTH(x == y));
  case NOT_EQUAL: LOOP(TRUTH(x != y));
  case WHERE: LOOP(PICK(x != 0, y, z));
  /* x times a coefficient chosen by the order of y and z, 0 where that is 0; a NaN comes before every number, as in the row "order" */
  case SLOPE:
    if (coefficient[1] == coefficient[2]) { LOOP(NAME(times)(x, PICK((y == y) & ~(y >= z), less, more))); }
    if (coefficient[1] == coefficient[0]) { LOOP(NAME(times)(x, PICK((z == z) & ~(y <= z), more, less))); }
    LOOP(NAME(times)(x, PICK((y > z) | ((y != y) & (z == z)), more, PICK((y < z) | ((y == y) & (z != z)), less, tie))));
  /* the same, but a NaN comes after every number */
  case SLOPE_BELOW: LOOP(NAME(times)(x, PICK((y > z) | ((y == y) & (z != z)), more, PICK((y < z) | ((y != y) & (z == z)), less, tie))));
  case MULTIPLY_NO_NAN: LOOP(NAME(times)(x, y));
  case SQRT: LOOP(NAME(sqrt_)(x, x));
  case EXP: LOOP(NAME(exp_)(x));
  case LOG: LOOP(NAME(log_)(x));
  case LOG1P: LOOP(NAME(log1p_)(x));
  case EXPM1: LOOP(NAME(expm1_)(x));
  case TANH: LOOP(NAME(tanh_)(x));
  case SIN: LOOP(NAME(sin_)(x, x));
  case COS: LOOP(NAME(cos_)(x, x));
  case ERF: LOOP(BY_DOUBLE(erf_)(x, x));
  case ERFC: LOOP(BY_DOUBLE(erfc_)(x, x));
  case LOGADDEXP: LOOP(NAME(logaddexp_)(x, y));
  case SOFTSIGN: LOOP(NAME(softsign_)(x));
  case POWER: LOOP(BY_DOUBLE(pow_)(x, y));
  }
}
#undef LOOP
#undef TRUTH
