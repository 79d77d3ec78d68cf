/* The type Scalar: its attributes, what makes it a float, and its construction (scalar.py says what each method means). */
#include "scalar.h"
#include <structmember.h>

static const char *const operation_names[CODES] = {NAMES};

/* ---- rows of the table that table.h lacks: (name, arity) for each code from CODES on */

PyObject *other_rule = NULL;
static PyObject *others = NULL;

static PyObject *other(int code, Py_ssize_t part) {
    if (!others || code < CODES || code - CODES >= PyTuple_GET_SIZE(others)) return NULL;
    return PyTuple_GET_ITEM(PyTuple_GET_ITEM(others, code - CODES), part);
}

int other_arity(int code) {
    PyObject *arity = other(code, 1);
    return arity ? (int)PyLong_AsLong(arity) : 0;
}

/* extend(rule, ((name, arity), ...), methods): rule(code, *numbers) gives value and derivatives; the methods are Scalar's. */
PyObject *scalar_extend(PyObject *module, PyObject *args) {
    PyObject *rule, *rows, *methods;
    if (!PyArg_ParseTuple(args, "OO!O!:extend", &rule, &PyTuple_Type, &rows, &PyDict_Type, &methods)) return NULL;
    if (PyTuple_GET_SIZE(rows) > 256 - CODES) return PyErr_Format(PyExc_ValueError, "extend: more than %d operations", 256 - CODES);
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(rows); k++) {
        const char *name;
        int arity;
        PyObject *row = PyTuple_GET_ITEM(rows, k);
        if (!PyTuple_Check(row)) return PyErr_Format(PyExc_TypeError, "extend: %R is no pair of name and arity", row);
        if (!PyArg_ParseTuple(row, "si", &name, &arity)) return NULL;
    }
    if (PyDict_Update(ScalarType.tp_dict, methods) < 0) return NULL;
    PyType_Modified(&ScalarType);
    Py_INCREF(rule);
    Py_XSETREF(other_rule, rule);
    Py_INCREF(rows);
    Py_XSETREF(others, rows);
    Py_RETURN_NONE;
}

static PyObject *scalar_backward(PyObject *self, PyObject *unused) {
    Scalar *x = (Scalar *)self;
    if (!x->computed) x->grad += 1;
    else if (sweep(x->home, x->row) < 0) return NULL;
    Py_RETURN_NONE;
}

/* ---- value, gradient, name */

static int undeletable(PyObject *value, const char *name) {
    if (value) return 0;
    PyErr_Format(PyExc_AttributeError, "can't delete attribute '%s'", name);
    return 1;
}

static PyObject *get_data(PyObject *self, void *closure) {
    return scalar_refused() ? NULL : PyFloat_FromDouble(((Scalar *)self)->value);
}

static int set_data(PyObject *self, PyObject *value, void *closure) {
    Scalar *x = (Scalar *)self;
    double v = 0;
    int found;
    if (undeletable(value, "data") || scalar_refused() || (found = scalar_number(value, &v)) < 0) return -1;
    if (x->computed) {
        PyErr_SetString(PyExc_TypeError, "data: this Scalar was computed; only an input can be given a new value");
        return -1;
    }
    if (!found) {
        PyErr_Format(PyExc_TypeError, "data: %R is not a real number", value);
        return -1;
    }
    x->value = v;
    x->home = NULL;
    return 0;
}

static double gradient(const Scalar *x) {
    if (!x->computed) return x->grad;
    return (Py_ssize_t)x->row < x->home->grad_count ? x->home->grads[x->row] : 0;
}

static PyObject *get_grad(PyObject *self, void *closure) { return PyFloat_FromDouble(gradient((Scalar *)self)); }

static int set_grad(PyObject *self, PyObject *value, void *closure) {
    Scalar *x = (Scalar *)self;
    if (undeletable(value, "grad")) return -1;
    PyObject *converted = PyNumber_Float(value);
    if (!converted) return -1;
    double g = PyFloat_AS_DOUBLE(converted);
    Py_DECREF(converted);
    if (!x->computed) {
        x->grad = g;
        return 0;
    }
    Segment *s = x->home;
    if ((Py_ssize_t)x->row >= s->grad_count) {
        double *grads = PyMem_Realloc(s->grads, (x->row + 1) * sizeof(double));
        if (!grads) {
            PyErr_NoMemory();
            return -1;
        }
        memset(grads + s->grad_count, 0, (x->row + 1 - s->grad_count) * sizeof(double));
        s->grads = grads;
        s->grad_count = x->row + 1;
    }
    s->grads[x->row] = g;
    return 0;
}

static PyObject *get_name(PyObject *self, void *closure) {
    Scalar *x = (Scalar *)self;
    PyObject *name = x->computed ? NULL : x->name;
    if (x->computed && x->home->names) {
        PyObject *row = PyLong_FromUnsignedLong(x->row);
        if (!row) return NULL;
        name = PyDict_GetItemWithError(x->home->names, row);
        Py_DECREF(row);
        if (!name && PyErr_Occurred()) return NULL;
    }
    if (!name) Py_RETURN_NONE;
    Py_INCREF(name);
    return name;
}

static int set_name(PyObject *self, PyObject *name, void *closure) {
    Scalar *x = (Scalar *)self;
    if (undeletable(name, "name")) return -1;
    if (!x->computed) {
        Py_INCREF(name);
        Py_XSETREF(x->name, name);
        return 0;
    }
    if (!x->home->names && !(x->home->names = PyDict_New())) return -1;
    PyObject *row = PyLong_FromUnsignedLong(x->row);
    int failed = row ? PyDict_SetItem(x->home->names, row, name) : -1;
    Py_XDECREF(row);
    return failed;
}

static PyObject *get_operation(PyObject *self, void *closure) {
    Scalar *x = (Scalar *)self;
    const int code = x->computed ? (int)(x->home->rows[x->row].b_code >> CODE_SHIFT) : LEAF;
    PyObject *name = other(code, 0);
    return name ? Py_NewRef(name) : PyUnicode_FromString(operation_names[code < CODES ? code : LEAF]);
}

static PyObject *get_place(PyObject *self, void *closure) {
    Scalar *x = (Scalar *)self;
    if (!x->computed) Py_RETURN_NONE;
    return Py_BuildValue("(OI)", x->home, x->row);
}

/* ---- as a float */

static PyObject *scalar_float(PyObject *self) { return get_data(self, NULL); }

static PyObject *scalar_int(PyObject *self) {
    return scalar_refused() ? NULL : PyLong_FromDouble(((Scalar *)self)->value);
}

static int scalar_bool(PyObject *self) { return scalar_refused() ? -1 : ((Scalar *)self)->value != 0; }

static PyObject *scalar_compare(PyObject *self, PyObject *other, int how) {
    double x = ((Scalar *)self)->value, y;
    int found = scalar_number(other, &y);
    if (found < 0) return NULL;
    if (!found) Py_RETURN_NOTIMPLEMENTED;
    if (scalar_refused()) return NULL;
    Py_RETURN_RICHCOMPARE(x, y, how);
}

static PyObject *scalar_repr(PyObject *self) {
    PyObject *name = get_name(self, NULL), *value = PyFloat_FromDouble(((Scalar *)self)->value);
    PyObject *grad = PyFloat_FromDouble(gradient((Scalar *)self)), *text = NULL;
    int named = name ? PyObject_IsTrue(name) : -1;
    if (value && grad && named >= 0)
        text = named ? PyUnicode_FromFormat("Scalar(data=%R, grad=%R, name=%R)", value, grad, name)
                     : PyUnicode_FromFormat("Scalar(data=%R, grad=%R)", value, grad);
    Py_XDECREF(name);
    Py_XDECREF(value);
    Py_XDECREF(grad);
    return text;
}

static PyObject *scalar_format(PyObject *self, PyObject *spec) {
    if (PyUnicode_Check(spec) && !PyUnicode_GET_LENGTH(spec)) return PyObject_Repr(self);
    PyObject *value = get_data(self, NULL);
    PyObject *text = value ? PyObject_Format(value, spec) : NULL;
    Py_XDECREF(value);
    return text;
}

static PyObject *scalar_reduce(PyObject *self, PyObject *unused) {
    Scalar *x = (Scalar *)self;
    if (x->computed) {
        PyErr_SetString(PyExc_TypeError, "copy: this Scalar was computed and stands on a tape; copy float(x) instead");
        return NULL;
    }
    PyObject *state = PyObject_GetAttrString(self, "__dict__");
    if (!state) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return NULL;
        PyErr_Clear();
        state = Py_None;
        Py_INCREF(state);
    }
    return Py_BuildValue("(O(dO)N)", Py_TYPE(self), x->value, x->name ? x->name : Py_None, state);
}

/* ---- construction */

static int become(Scalar *x, PyObject *value, PyObject *name) {
    double v = 0;
    int found = scalar_number(value, &v);
    if (found < 0) return -1;
    if (!found) {
        PyErr_Format(PyExc_TypeError,
                     "Scalar: %R of type %s is not a real number; give an int or a float, or ac.tensor an array",
                     value, Py_TYPE(value)->tp_name);
        return -1;
    }
    if (x->computed) Py_DECREF(x->home);
    x->value = v;
    x->home = NULL;
    x->row = x->computed = 0;
    x->grad = 0;
    Py_XINCREF(name);
    Py_XSETREF(x->name, name);
    return 0;
}

static PyObject *scalar_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    Scalar *x = type == &ScalarType ? scalar_blank() : (Scalar *)type->tp_alloc(type, 0);
    if (!x) return NULL;
    x->value = x->grad = 0;
    x->home = NULL;
    x->row = x->computed = 0;
    return (PyObject *)x;
}

static int scalar_init(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char *keywords[] = {"value", "name", NULL};
    PyObject *value, *name = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:Scalar", keywords, &value, &name)) return -1;
    return become((Scalar *)self, value, name);
}

static PyObject *scalar_call(PyObject *type, PyObject *const *args, size_t flags, PyObject *keywords) {
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    PyObject *x = scalar_new(&ScalarType, NULL, NULL), *positional = NULL, *named = NULL;
    int failed = -1;
    if (!x) return NULL;
    if (!keywords && (count == 1 || count == 2)) {
        failed = become((Scalar *)x, args[0], count == 2 ? args[1] : NULL);
    } else if ((positional = PyTuple_New(count)) && (named = PyDict_New())) {
        failed = 0;
        for (Py_ssize_t k = 0; k < count; k++) {
            Py_INCREF(args[k]);
            PyTuple_SET_ITEM(positional, k, args[k]);
        }
        for (Py_ssize_t k = 0; keywords && !failed && k < PyTuple_GET_SIZE(keywords); k++)
            failed = PyDict_SetItem(named, PyTuple_GET_ITEM(keywords, k), args[count + k]);
        if (!failed) failed = scalar_init(x, positional, named);
    }
    Py_XDECREF(positional);
    Py_XDECREF(named);
    if (failed) Py_CLEAR(x);
    return x;
}

/* ---- the type */

static PyNumberMethods number_methods = {
    .nb_add = scalar_add, .nb_subtract = scalar_sub, .nb_multiply = scalar_mul, .nb_true_divide = scalar_div,
    .nb_power = scalar_power, .nb_negative = scalar_neg, .nb_positive = scalar_pos, .nb_absolute = scalar_abs,
    .nb_float = scalar_float, .nb_int = scalar_int, .nb_bool = scalar_bool,
};

#define SIGNATURE(name, text) #name "($self, /)\n--\n\n" text

static PyMethodDef scalar_methods[] = {
    {"backward", scalar_backward, METH_NOARGS, SIGNATURE(backward, "Add d self / d x to x.grad of every x that this was computed from, and of itself (1).\n\nA second call adds again.")},
    {"relu", scalar_relu, METH_NOARGS, SIGNATURE(relu, "max(0, x), with slope 0 at 0.")},
    {"exp", scalar_exp, METH_NOARGS, SIGNATURE(exp, "e^x.")},
    {"log", scalar_log, METH_NOARGS, SIGNATURE(log, "The natural logarithm.")},
    {"sqrt", scalar_sqrt, METH_NOARGS, SIGNATURE(sqrt, "The square root.")},
    {"tanh", scalar_tanh, METH_NOARGS, SIGNATURE(tanh, "The hyperbolic tangent.")},
    {"sin", scalar_sin, METH_NOARGS, SIGNATURE(sin, "The sine.")},
    {"cos", scalar_cos, METH_NOARGS, SIGNATURE(cos, "The cosine.")},
    {"sigmoid", scalar_sigmoid, METH_NOARGS, SIGNATURE(sigmoid, "1 / (1 + e^-x), so written that nothing overflows.")},
    {"maximum", (PyCFunction)(void (*)(void))scalar_maximum, METH_VARARGS | METH_KEYWORDS, "maximum($self, other, ties='split')\n--\n\nThe larger of two; at a tie half the gradient goes to each, with ties=\"first\" all to self."},
    {"minimum", (PyCFunction)(void (*)(void))scalar_minimum, METH_VARARGS | METH_KEYWORDS, "minimum($self, other, ties='split')\n--\n\nThe smaller of two; ties as in maximum."},
    {"__format__", scalar_format, METH_O, NULL},
    {"__reduce__", scalar_reduce, METH_NOARGS, NULL},
    {NULL},
};

static PyGetSetDef scalar_getset[] = {
    {"data", get_data, set_data, "The value; an input may be given a new one, which what was computed before does not see.", NULL},
    {"grad", get_grad, set_grad, "What backward added up so far.", NULL},
    {"name", get_name, set_name, NULL, NULL},
    {"operation", get_operation, NULL, "The row of the table that made it, or \"input\".", NULL},
    {"_place", get_place, NULL, "(segment, row) of a computed Scalar, None of an input.", NULL},
    {NULL},
};

static PyMemberDef scalar_members[] = {
    {"_v", T_DOUBLE, offsetof(Scalar, value), READONLY, "The value, whoever watches."},
    {NULL},
};

PyDoc_STRVAR(scalar_doc,
"Scalar(value, name=None)\n--\n\n"
"A number that remembers how it was computed.\n\n"
">>> a, b = ac.Scalar(2.0), ac.Scalar(-3.0)\n>>> c = a * b + a.exp()\n>>> c.backward()\n>>> b.grad\n2.0\n\n"
"It mixes with Python's and NumPy's numbers and lives in NumPy arrays of dtype object.  Comparisons compare values,\n"
"hash is the object's own.  A Scalar may be used by several threads, but by one at a time.\n"
"Raises TypeError if value is not a real number.");

PyTypeObject ScalarType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "autoconv.scalar.Scalar",
    .tp_doc = scalar_doc,
    .tp_basicsize = sizeof(Scalar),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = scalar_new,
    .tp_init = scalar_init,
    .tp_vectorcall = scalar_call,
    .tp_dealloc = scalar_dealloc,
    .tp_weaklistoffset = offsetof(Scalar, weak),
    .tp_as_number = &number_methods,
    .tp_richcompare = scalar_compare,
    .tp_repr = scalar_repr,
    .tp_methods = scalar_methods,
    .tp_getset = scalar_getset,
    .tp_members = scalar_members,
};

int scalar_ready(void) {
    PyObject *numbers = PyImport_ImportModule("numbers");
    if (!numbers) return -1;
    scalar_real = PyObject_GetAttrString(numbers, "Real");
    Py_DECREF(numbers);
    if (!scalar_real) return -1;
    ScalarType.tp_hash = PyBaseObject_Type.tp_hash;
    return PyType_Ready(&ScalarType);
}
