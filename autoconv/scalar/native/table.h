/* Made by scalar/header.py from the table in primitives.py; a test compares them.  Do not edit. */
#ifndef AUTOCONV_TABLE_H
#define AUTOCONV_TABLE_H

enum {
    LEAF, OLDER, ADD, SUB, MUL, DIV, POWER, NEG, ABS, EXP, LOG, SQRT, TANH, SIN, COS, MAXIMUM, MAXIMUM_FIRST, MINIMUM, MINIMUM_FIRST,
    CODES, ADD_NUMBER = CODES, FROM_NUMBER, MUL_NUMBER, DIV_NUMBER, INTO_NUMBER, POWER_NUMBER, SQUARE, RELU, STEPS
};

#define NAMES "input", "input", "add", "sub", "mul", "div", "power", "neg", "abs", "exp", "log", "sqrt", "tanh", "sin", "cos", "maximum", "maximum", "minimum", "minimum"
#define HAS_TWO(code) ((code) == ADD || (code) == SUB || (code) == MUL || (code) == DIV || (code) == POWER || (code) == MAXIMUM || (code) == MAXIMUM_FIRST || (code) == MINIMUM || (code) == MINIMUM_FIRST)

/* whether a slope of 0 passes 0 on, whatever the cotangent is */
#define CHOOSES(code) ((code) == ABS || (code) == MAXIMUM || (code) == MAXIMUM_FIRST || (code) == MINIMUM || (code) == MINIMUM_FIRST)

/* value and derivatives of a row of two operands, and of one */
#define RULES_OF_TWO \
    case ADD: *value = A + B; *dx = 1; *dy = 1; break; \
    case SUB: *value = A - B; *dx = 1; *dy = -1; break; \
    case MUL: *value = A * B; *dx = B; *dy = A; break; \
    case DIV: *value = A / B; *dx = 1 / B; *dy = -Y / B; break; \
    case POWER: *value = F(pow)(A, B); *dx = (B == 0) ? 0 : (F(pow)(A, B - 1) * B); *dy = Y * F(log)(((A == 0) ? (B >= 0) : 0) ? 1 : A); break; \
    case MAXIMUM: *value = ((A > B) || (A != A)) ? A : B; *dx = (ORDER(A, B) > 0) ? 1 : ((ORDER(A, B) < 0) ? 0 : (T)0.5); *dy = (ORDER(A, B) > 0) ? 0 : ((ORDER(A, B) < 0) ? 1 : (T)0.5); break; \
    case MAXIMUM_FIRST: *value = ((A >= B) || (A != A)) ? A : B; *dx = ((A >= B) || (A != A)) ? 1 : 0; *dy = ((A >= B) || (A != A)) ? 0 : 1; break; \
    case MINIMUM: *value = ((A < B) || (A != A)) ? A : B; *dx = (ORDER(-A, -B) > 0) ? 1 : ((ORDER(-A, -B) < 0) ? 0 : (T)0.5); *dy = (ORDER(-A, -B) > 0) ? 0 : ((ORDER(-A, -B) < 0) ? 1 : (T)0.5); break; \
    case MINIMUM_FIRST: *value = ((A <= B) || (A != A)) ? A : B; *dx = ((B >= A) || (A != A)) ? 1 : 0; *dy = ((B >= A) || (A != A)) ? 0 : 1; break;
#define RULES_OF_ONE \
    case NEG: *value = -A; *dx = -1; break; \
    case ABS: *value = F(fabs)(A); *dx = (A > 0) ? 1 : ((A < 0) ? -1 : ((A == 0) ? 0 : A)); break; \
    case EXP: *value = F(exp)(A); *dx = Y; break; \
    case LOG: *value = F(log)(A); *dx = 1 / A; break; \
    case SQRT: *value = F(sqrt)(A); *dx = 1 / (2 * Y); break; \
    case TANH: *value = F(tanh)(A); *dx = 1 - (Y * Y); break; \
    case SIN: *value = F(sin)(A); *dx = F(cos)(A); break; \
    case COS: *value = F(cos)(A); *dx = -F(sin)(A); break;

/* the same on vectors, and with a number C; on the way back a cotangent is passed on to ga and gb */
#define FORWARD \
    case ADD: VALUE(A + B); \
    case SUB: VALUE(A - B); \
    case MUL: VALUE(A * B); \
    case DIV: VALUE(A / B); \
    case POWER: VALUE(F(pow)(A, B)); \
    case NEG: VALUE(-A); \
    case ABS: VALUE(F(fabs)(A)); \
    case EXP: VALUE(F(exp)(A)); \
    case LOG: VALUE(F(log)(A)); \
    case SQRT: VALUE(F(sqrt)(A)); \
    case TANH: VALUE(F(tanh)(A)); \
    case SIN: VALUE(F(sin)(A)); \
    case COS: VALUE(F(cos)(A)); \
    case MAXIMUM: VALUE(((A > B) || (A != A)) ? A : B); \
    case MAXIMUM_FIRST: VALUE(((A >= B) || (A != A)) ? A : B); \
    case MINIMUM: VALUE(((A < B) || (A != A)) ? A : B); \
    case MINIMUM_FIRST: VALUE(((A <= B) || (A != A)) ? A : B); \
    case ADD_NUMBER: VALUE(A + C); \
    case FROM_NUMBER: VALUE(C - A); \
    case MUL_NUMBER: VALUE(A * C); \
    case DIV_NUMBER: VALUE(A / C); \
    case INTO_NUMBER: VALUE(C / A); \
    case POWER_NUMBER: VALUE(F(pow)(A, C)); \
    case SQUARE: VALUE(A * A); \
    case RELU: VALUE((0 >= A) ? 0 : A);
#define BACKWARD \
    case ADD: PASS_ON(ga, +) PASS_ON(gb, +) break; \
    case SUB: PASS_ON(ga, +) PASS_ON(gb, -) break; \
    case MUL: PASS(ga, B) PASS(gb, A) break; \
    case DIV: PASS(ga, 1 / B) PASS(gb, -Y / B) break; \
    case POWER: PASS(ga, (B == 0) ? 0 : (F(pow)(A, B - 1) * B)) PASS(gb, Y * F(log)(((A == 0) ? (B >= 0) : 0) ? 1 : A)) break; \
    case NEG: PASS_ON(ga, -) break; \
    case ABS: PASS_CHOSEN(ga, (A > 0) ? 1 : ((A < 0) ? -1 : ((A == 0) ? 0 : A))) break; \
    case EXP: PASS(ga, Y) break; \
    case LOG: PASS(ga, 1 / A) break; \
    case SQRT: PASS(ga, 1 / (2 * Y)) break; \
    case TANH: PASS(ga, 1 - (Y * Y)) break; \
    case SIN: PASS(ga, F(cos)(A)) break; \
    case COS: PASS(ga, -F(sin)(A)) break; \
    case MAXIMUM: PASS_CHOSEN(ga, (ORDER(A, B) > 0) ? 1 : ((ORDER(A, B) < 0) ? 0 : (T)0.5)) PASS_CHOSEN(gb, (ORDER(A, B) > 0) ? 0 : ((ORDER(A, B) < 0) ? 1 : (T)0.5)) break; \
    case MAXIMUM_FIRST: PASS_WHERE(ga, (A >= B) || (A != A), D, 0) PASS_WHERE(gb, (A >= B) || (A != A), 0, D) break; \
    case MINIMUM: PASS_CHOSEN(ga, (ORDER(-A, -B) > 0) ? 1 : ((ORDER(-A, -B) < 0) ? 0 : (T)0.5)) PASS_CHOSEN(gb, (ORDER(-A, -B) > 0) ? 0 : ((ORDER(-A, -B) < 0) ? 1 : (T)0.5)) break; \
    case MINIMUM_FIRST: PASS_WHERE(ga, (B >= A) || (A != A), D, 0) PASS_WHERE(gb, (B >= A) || (A != A), 0, D) break; \
    case ADD_NUMBER: PASS_ON(ga, +) break; \
    case FROM_NUMBER: PASS_ON(ga, -) break; \
    case MUL_NUMBER: PASS(ga, C) break; \
    case DIV_NUMBER: PASS(ga, 1 / C) break; \
    case INTO_NUMBER: PASS(ga, -Y / A) break; \
    case POWER_NUMBER: PASS(ga, (C == 0) ? 0 : (F(pow)(A, C - 1) * C)) break; \
    case SQUARE: PASS(ga, A + A) break; \
    case RELU: PASS_WHERE(ga, 0 >= A, 0, D) break;

/* which values the way back needs: bit 0 the first operand, bit 1 the second, bit 2 the result */
#define NEEDED_BACK \
    case ADD: case SUB: case NEG: case ADD_NUMBER: case FROM_NUMBER: case MUL_NUMBER: case DIV_NUMBER: return 0; \
    case ABS: case LOG: case SIN: case COS: case POWER_NUMBER: case SQUARE: case RELU: return 1; \
    case MUL: case MAXIMUM: case MAXIMUM_FIRST: case MINIMUM: case MINIMUM_FIRST: return 3; \
    case EXP: case SQRT: case TANH: return 4; \
    case INTO_NUMBER: return 5; \
    case DIV: return 6; \
    case POWER: return 7;

#endif
