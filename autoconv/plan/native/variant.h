/* The machine's instructions for one instruction set, one element type and one number of lanes.
 *
 * Included once for each combination, with T (float or double), L (lanes), MASK (the integer type of T's size) and NAME(x) (a
 * suffix) defined.  Read in this order.
 */
#include "vector.h"
#include "contract.h"
#include "functions.h"
#include "map.h"
#include "block.h"
#include "reduce.h"
#undef V
#undef U
#undef M
#undef EACH
#undef EVEN
#undef ODD
