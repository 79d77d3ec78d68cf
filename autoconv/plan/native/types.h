/* variant.h in single and in double precision, for the instruction set SET. */
#define T float
#define SINGLE
#define MASK int32_t
#define SQRT_ sqrtf
#define SIN_ sinf
#define COS_ cosf
#define ERF_ erff
#define ERFC_ erfcf
#define POW_ powf
#define MANTISSA 23
#define BIAS 127
#define MAGIC 12582912.0
#define LN2_HIGH 0.693359375
#define LN2_LOW -2.12194440054690583e-4
#define EXP_LEAST -105
#define EXP_MOST 90
#define LEAST_NORMAL 1.17549435e-38f
#define TWO_TO_MANTISSA 8388608.0f
#define EXP_COEFFICIENTS (T)(1. / 5040), (T)(1. / 720), (T)(1. / 120), (T)(1. / 24), (T)(1. / 6), (T)0.5, 1
#define LOG_COEFFICIENTS 0.24279078841f, 0.28498786688f, 0.40000972152f, 0.66666662693f
#define SUFFIX JOIN(SET, JOIN(_float, L))
#if BYTES >= 64
#define L 16
#include "variant.h"
#undef L
#endif
#if BYTES >= 32
#define L 8
#include "variant.h"
#undef L
#endif
#define L 4
#include "variant.h"
#undef L
#include "untyped.h"

#define T double
#define MASK int64_t
#define SQRT_ sqrt
#define SIN_ sin
#define COS_ cos
#define ERF_ erf
#define ERFC_ erfc
#define POW_ pow
#define MANTISSA 52
#define BIAS 1023
#define MAGIC 6755399441055744.0
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define EXP_LEAST -750
#define EXP_MOST 715
#define LEAST_NORMAL 2.2250738585072014e-308
#define TWO_TO_MANTISSA 4503599627370496.0
#define EXP_COEFFICIENTS \
  1. / 6227020800, 1. / 479001600, 1. / 39916800, 1. / 3628800, 1. / 362880, 1. / 40320, 1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 0.5, 1
#define LOG_COEFFICIENTS \
  1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01
#define SUFFIX JOIN(SET, JOIN(_double, L))
#if BYTES >= 64
#define L 8
#include "variant.h"
#undef L
#endif
#if BYTES >= 32
#define L 4
#include "variant.h"
#undef L
#endif
#define L 2
#include "variant.h"
#undef L
#include "untyped.h"
