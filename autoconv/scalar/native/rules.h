/* The scalar rules in C: value and local derivatives of each operation, as in rules.py; the limits are IEEE arithmetic's. */
#ifndef AUTOCONV_RULES_H
#define AUTOCONV_RULES_H

#include <math.h>

/* 1 if x is the greater, -1 if y is, 0 if neither; a NaN wins over a number. */
static inline int order(double x, double y) { return (x > y) - (x < y) + (x != x) - (y != y); }

static inline int rule_has_two(int code) { return code < NEG || code >= MAX; }

static inline void rule_of_two(int code, double x, double y, double *value, double *dx, double *dy) {
    double side;
    switch (code) {
    case ADD: *value = x + y; *dx = 1; *dy = 1; break;
    case SUB: *value = x - y; *dx = 1; *dy = -1; break;
    case MUL: *value = x * y; *dx = y; *dy = x; break;
    case DIV: *value = x / y; *dx = 1 / y; *dy = -*value / y; break;
    case POWER:
        *value = pow(x, y);
        *dx = y * pow(x, y != 0 ? y - 1 : 1);
        *dy = *value * log(x == 0 ? 1 : x);
        break;
    case MAX: case MAX_FIRST:
        side = order(x, y);
        if (side == 0) side = code == MAX_FIRST;
        *value = side > 0 || x != x ? x : y;
        *dx = (1 + side) / 2; *dy = (1 - side) / 2;
        break;
    default: /* MIN, MIN_FIRST */
        side = -order(x, y);
        if (side == 0) side = code == MIN_FIRST;
        *value = x != x || (side > 0 && y == y) ? x : y;
        *dx = (1 + side) / 2; *dy = (1 - side) / 2;
    }
}

static inline void rule_of_one(int code, double x, double *value, double *dx) {
    switch (code) {
    case NEG: *value = -x; *dx = -1; break;
    case ABS: *value = fabs(x); *dx = x > 0 ? 1 : x < 0 ? -1 : x * 0; break;
    case EXP: *value = *dx = exp(x); break;
    case LOG: *value = log(x); *dx = 1 / x; break;
    case SQRT: *value = sqrt(x); *dx = 0.5 / *value; break;
    case TANH: *value = tanh(x); *dx = 1 - *value * *value; break;
    case SIN: *value = sin(x); *dx = cos(x); break;
    default: *value = cos(x); *dx = -sin(x); /* COS */
    }
}

#endif
