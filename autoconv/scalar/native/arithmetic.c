/* The operations of Scalar: each computes a value and its derivatives and writes one row (rules.h). */
#include "scalar.h"
#include "rules.h"

#ifndef SPARE_SCALARS
#define SPARE_SCALARS 1024
#endif

static Scalar *spare[SPARE_SCALARS + 1];
static int spare_count = 0;

/* ---- making and freeing */

static inline Scalar *blank(void) {
    if (SPARE_SCALARS && spare_count) {
        Scalar *made = spare[--spare_count];
        Py_SET_REFCNT((PyObject *)made, 1);
        return made;
    }
    Scalar *made = PyObject_New(Scalar, &ScalarType);
    if (made) made->name = made->weak = NULL;
    return made;
}

Scalar *scalar_blank(void) { return blank(); }

void scalar_dealloc(PyObject *self) {
    Scalar *x = (Scalar *)self;
    if (x->weak) PyObject_ClearWeakRefs(self);
    if (x->computed) Py_DECREF(x->home);
    Py_CLEAR(x->name);
    if (Py_TYPE(self) == &ScalarType && spare_count < SPARE_SCALARS)
        spare[spare_count++] = x;
    else
        Py_TYPE(self)->tp_free(self);
}

/* Write a row into s, whose reference is handed on to the Scalar that it makes. */
static inline PyObject *written(Segment *s, double value, Row row) {
    Scalar *made = blank();
    if (!made) {
        Py_DECREF(s);
        return NULL;
    }
    made->value = value;
    made->home = s;
    made->row = (uint32_t)s->count;
    made->computed = 1;
    s->rows[s->count++] = row;
    return (PyObject *)made;
}

static inline PyObject *two(int code, Scalar *x, Scalar *y, double dx, double dy, double value) {
    Segment *s = x->home;
    uint32_t a = x->row, b = y->row;
    if (s && s == y->home && s->count < s->space)
        Py_INCREF(s);
    else if (!(s = segment_meet(x, y, &a, &b)))
        return NULL;
    return written(s, value, (Row){dx, dy, a, b | (uint32_t)code << CODE_SHIFT});
}

/* "number" is the other operand of an operation on two, on the left or on the right. */
static inline PyObject *one(int code, Scalar *x, double dx, double value, double number, int left) {
    Segment *s = x->home;
    uint32_t i = x->row, operation = (uint32_t)code << CODE_SHIFT;
    if (s && s->count < s->space)
        Py_INCREF(s);
    else if (!(s = segment_meet(x, NULL, &i, NULL)))
        return NULL;
    return written(s, value, left ? (Row){number, dx, 0, i | operation} : (Row){dx, number, i, operation});
}

static unsigned long watched_thread = 0;
static PyObject *watched_text = NULL;
PyObject *scalar_real = NULL; /* numbers.Real */

/* ---- numbers */

static inline int is_scalar(PyObject *x) { return Py_TYPE(x) == &ScalarType; }

/* 1 and the value of a real number or a Scalar, 0 for anything else, -1 for an error. */
int scalar_number(PyObject *x, double *value) {
    if (PyFloat_Check(x)) {
        *value = PyFloat_AS_DOUBLE(x);
        return 1;
    }
    if (PyObject_TypeCheck(x, &ScalarType)) {
        *value = ((Scalar *)x)->value;
        return 1;
    }
    if (!PyLong_Check(x)) {
        int real = PyObject_IsInstance(x, scalar_real);
        if (real <= 0) return real;
    }
    *value = PyFloat_AsDouble(x);
    return *value == -1 && PyErr_Occurred() ? -1 : 1;
}

/* A value that leaves the tape would stay the same when the program runs on other inputs. */
int scalar_refused(void) {
    if (!watched_text || watched_thread != PyThread_get_thread_ident()) return 0;
    PyErr_SetObject(PyExc_TypeError, watched_text);
    return 1;
}

PyObject *scalar_watch(PyObject *module, PyObject *text) {
    PyObject *before = watched_text;
    watched_text = text == Py_None ? NULL : text;
    Py_XINCREF(watched_text);
    watched_thread = PyThread_get_thread_ident();
    if (before) return before;
    Py_RETURN_NONE;
}

/* ---- arithmetic */

static PyObject *binary_rest(int code, PyObject *left, PyObject *right) {
    double value, dx, dy, c;
    int on_left = PyObject_TypeCheck(left, &ScalarType), found;
    if (on_left && PyObject_TypeCheck(right, &ScalarType)) {
        Scalar *x = (Scalar *)left, *y = (Scalar *)right;
        rule_of_two(code, x->value, y->value, &value, &dx, &dy);
        return two(code, x, y, dx, dy, value);
    }
    found = scalar_number(on_left ? right : left, &c);
    if (found < 0) return NULL;
    if (!found) Py_RETURN_NOTIMPLEMENTED;
    Scalar *x = (Scalar *)(on_left ? left : right);
    if (on_left) rule_of_two(code, x->value, c, &value, &dx, &dy);
    else rule_of_two(code, c, x->value, &value, &dy, &dx);
    return one(code, x, dx, value, c, !on_left);
}

static inline PyObject *binary(const int code, PyObject *left, PyObject *right) {
    double value, dx, dy;
    if (is_scalar(left)) {
        Scalar *x = (Scalar *)left;
        if (is_scalar(right)) {
            Scalar *y = (Scalar *)right;
            rule_of_two(code, x->value, y->value, &value, &dx, &dy);
            return two(code, x, y, dx, dy, value);
        }
        if (PyFloat_CheckExact(right)) {
            double c = PyFloat_AS_DOUBLE(right);
            rule_of_two(code, x->value, c, &value, &dx, &dy);
            return one(code, x, dx, value, c, 0);
        }
    }
    return binary_rest(code, left, right);
}

PyObject *scalar_add(PyObject *x, PyObject *y) { return binary(ADD, x, y); }
PyObject *scalar_sub(PyObject *x, PyObject *y) { return binary(SUB, x, y); }
PyObject *scalar_mul(PyObject *x, PyObject *y) { return binary(MUL, x, y); }
PyObject *scalar_div(PyObject *x, PyObject *y) { return binary(DIV, x, y); }

PyObject *scalar_power(PyObject *x, PyObject *y, PyObject *modulus) {
    if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
    return binary_rest(POWER, x, y);
}

static inline PyObject *unary(const int code, PyObject *self) {
    Scalar *x = (Scalar *)self;
    double value, dx;
    rule_of_one(code, x->value, &value, &dx);
    return one(code, x, dx, value, 0, 0);
}

PyObject *scalar_neg(PyObject *x) { return unary(NEG, x); }
PyObject *scalar_abs(PyObject *x) { return unary(ABS, x); }
PyObject *scalar_exp(PyObject *x, PyObject *unused) { return unary(EXP, x); }
PyObject *scalar_log(PyObject *x, PyObject *unused) { return unary(LOG, x); }
PyObject *scalar_sqrt(PyObject *x, PyObject *unused) { return unary(SQRT, x); }
PyObject *scalar_tanh(PyObject *x, PyObject *unused) { return unary(TANH, x); }
PyObject *scalar_sin(PyObject *x, PyObject *unused) { return unary(SIN, x); }
PyObject *scalar_cos(PyObject *x, PyObject *unused) { return unary(COS, x); }

PyObject *scalar_pos(PyObject *x) {
    Py_INCREF(x);
    return x;
}

PyObject *scalar_relu(PyObject *self, PyObject *unused) {
    Scalar *x = (Scalar *)self;
    double value, of_zero, dx;
    rule_of_two(MAXIMUM_FIRST, 0, x->value, &value, &of_zero, &dx);
    return one(MAXIMUM_FIRST, x, dx, value, 0, 1);
}

/* Of a number held constant, or, while a program is recorded, of max(x, 0), which holds for every input. */
PyObject *scalar_sigmoid(PyObject *self, PyObject *unused) {
    const int recorded = watched_text && watched_thread == PyThread_get_thread_ident();
    const int right = ((Scalar *)self)->value >= 0;
    PyObject *number = PyFloat_FromDouble(recorded ? 0 : 1), *x = NULL, *e = NULL, *other = NULL, *sum = NULL, *y = NULL;
    if (number && recorded) { /* e^min(x, 0) / (e^-max(x, 0) + e^min(x, 0)) holds for every input */
        x = binary_rest(MINIMUM, self, number);
        if (x) e = unary(EXP, x);
        Py_XSETREF(x, e ? binary_rest(MAXIMUM, self, number) : NULL);
        Py_XSETREF(x, x ? scalar_neg(x) : NULL);
        if (x) other = unary(EXP, x);
        if (other) sum = scalar_add(e, other);
        if (sum) y = scalar_div(e, sum);
    } else if (number) {
        x = right ? scalar_neg(self) : Py_NewRef(self);
        if (x) e = unary(EXP, x);
        if (e) sum = scalar_add(e, number);
        if (sum) y = scalar_div(right ? number : e, sum);
    }
    Py_XDECREF(number);
    Py_XDECREF(x);
    Py_XDECREF(e);
    Py_XDECREF(other);
    Py_XDECREF(sum);
    return y;
}

static PyObject *greatest(const char *name, int split, int first, PyObject *self, PyObject *args, PyObject *kwargs) {
    static char *keywords[] = {"other", "ties", NULL};
    PyObject *other, *ties = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O", keywords, &other, &ties)) return NULL;
    int code = split;
    if (ties) {
        if (PyUnicode_Check(ties) && PyUnicode_CompareWithASCIIString(ties, "first") == 0) code = first;
        else if (!PyUnicode_Check(ties) || PyUnicode_CompareWithASCIIString(ties, "split"))
            return PyErr_Format(PyExc_ValueError, "%s: ties=%R; use 'split' or 'first'", name, ties);
    }
    PyObject *made = binary_rest(code, self, other);
    if (made == Py_NotImplemented) {
        Py_DECREF(made);
        return PyErr_Format(PyExc_TypeError, "%s: %R of type %s is not a real number or a Scalar", name, other, Py_TYPE(other)->tp_name);
    }
    return made;
}

PyObject *scalar_maximum(PyObject *self, PyObject *args, PyObject *kwargs) {
    return greatest("maximum", MAXIMUM, MAXIMUM_FIRST, self, args, kwargs);
}

PyObject *scalar_minimum(PyObject *self, PyObject *args, PyObject *kwargs) {
    return greatest("minimum", MINIMUM, MINIMUM_FIRST, self, args, kwargs);
}

/* record(code, x) or record(code, x, y): an operation whose rule is Python's. */
PyObject *scalar_record(PyObject *module, PyObject *args) {
    int code;
    PyObject *left, *right = NULL;
    if (!PyArg_ParseTuple(args, "iO|O:record", &code, &left, &right)) return NULL;
    if (other_arity(code) != (right ? 2 : 1)) return PyErr_Format(PyExc_ValueError, "record: no operation %d on so many numbers", code);
    double x, y = 0, value, dx, dy = 0;
    int known = scalar_number(left, &x);
    if (known > 0 && right) known = scalar_number(right, &y);
    if (known < 0) return NULL;
    if (!known) Py_RETURN_NOTIMPLEMENTED;
    PyObject *found = right ? PyObject_CallFunction(other_rule, "idd", code, x, y) : PyObject_CallFunction(other_rule, "id", code, x);
    if (!found) return NULL;
    known = PyArg_ParseTuple(found, right ? "ddd" : "dd", &value, &dx, &dy);
    Py_DECREF(found);
    if (!known) return NULL;
    const int on_left = PyObject_TypeCheck(left, &ScalarType), on_right = right && PyObject_TypeCheck(right, &ScalarType);
    if (on_left && on_right) return two(code, (Scalar *)left, (Scalar *)right, dx, dy, value);
    if (on_left) return one(code, (Scalar *)left, dx, value, y, 0);
    if (on_right) return one(code, (Scalar *)right, dy, value, x, 1);
    PyErr_SetString(PyExc_TypeError, "record: no operand is a Scalar");
    return NULL;
}
