/* The machine's instructions for one instruction set, one element type and one number of lanes.
 *
 * Included once for each combination, with T (float or double), L (lanes), MASK (the integer type of T's size) and NAME(x) (a
 * suffix) defined.  Read in this order.
 */
#include "vector.h"
#include "contract.h"
#include "functions.h"
#ifdef SINGLE
#include "by_double.h"
#define BY_DOUBLE(name) NAME(name##by_double)
#else
#define BY_DOUBLE(name) NAME(name)
#endif
#include "map.h"
#include "block.h"
#include "reduce.h"
#undef BY_DOUBLE
#undef V
#undef U
#undef M
#undef EACH
#undef EVEN
#undef ODD
