/* kernel.h in single and in double precision, for the instruction set SET. */
#define T float
#define MASK int32_t
#define SQRT_ sqrtf
#define EXP_ expf
#define LOG_ logf
#define LOG1P_ log1pf
#define TANH_ tanhf
#define SIN_ sinf
#define COS_ cosf
#define ERF_ erff
#define POW_ powf
#define SUFFIX JOIN(SET, JOIN(_float, L))
#if BYTES >= 64
#define L 16
#include "kernel.h"
#undef L
#endif
#if BYTES >= 32
#define L 8
#include "kernel.h"
#undef L
#endif
#define L 4
#include "kernel.h"
#undef L
#undef T
#undef MASK
#undef SQRT_
#undef EXP_
#undef LOG_
#undef LOG1P_
#undef TANH_
#undef SIN_
#undef COS_
#undef ERF_
#undef POW_
#undef SUFFIX

#define T double
#define MASK int64_t
#define SQRT_ sqrt
#define EXP_ exp
#define LOG_ log
#define LOG1P_ log1p
#define TANH_ tanh
#define SIN_ sin
#define COS_ cos
#define ERF_ erf
#define POW_ pow
#define SUFFIX JOIN(SET, JOIN(_double, L))
#if BYTES >= 64
#define L 8
#include "kernel.h"
#undef L
#endif
#if BYTES >= 32
#define L 4
#include "kernel.h"
#undef L
#endif
#define L 2
#include "kernel.h"
#undef L
#undef T
#undef MASK
#undef SQRT_
#undef EXP_
#undef LOG_
#undef LOG1P_
#undef TANH_
#undef SIN_
#undef COS_
#undef ERF_
#undef POW_
#undef SUFFIX
