/* The scalar rules on doubles: value and local derivatives of each operation; the limits are IEEE arithmetic's. */
#ifndef AUTOCONV_RULES_H
#define AUTOCONV_RULES_H

#include <math.h>

/* 1 if x is the greater, -1 if y is, 0 if neither; a NaN wins over a number. */
static inline int order(double x, double y) { return (x > y) - (x < y) + (x != x) - (y != y); }

#define A x
#define B y
#define Y (*value)
#define T double
#define F(name) name
#define ORDER order

static inline void rule_of_two(int code, double x, double y, double *value, double *dx, double *dy) {
    switch (code) {
    RULES_OF_TWO
    default: *value = *dx = *dy = 0;
    }
}

static inline void rule_of_one(int code, double x, double *value, double *dx) {
    switch (code) {
    RULES_OF_ONE
    default: *value = *dx = 0;
    }
}

#undef A
#undef B
#undef Y
#undef T
#undef F
#undef ORDER

#endif
