/* The extension autoconv.scalar._native: the type Scalar, and what tests and recorders of programs ask of its recording. */
#include "scalar.h"

static PyObject *module_limit(PyObject *module, PyObject *rows) {
    Py_ssize_t before = segment_limit, limit = PyLong_AsSsize_t(rows);
    if (limit == -1 && PyErr_Occurred()) return NULL;
    if (limit < 4 || limit > MAX_LIMIT) return PyErr_Format(PyExc_ValueError, "limit: %zd rows; use 4 to %zd", limit, MAX_LIMIT);
    segment_limit = limit;
    return PyLong_FromSsize_t(before);
}

static PyObject *module_close(PyObject *module, PyObject *unused) {
    Segment *segment = segment_open();
    if (segment) segment_close(segment);
    Py_RETURN_NONE;
}

static PyObject *module_segments(PyObject *module, PyObject *unused) { return PyLong_FromSsize_t(segments_alive); }

static PyMethodDef module_methods[] = {
    {"limit", module_limit, METH_O, "Rows that a new segment takes; returns the limit so far."},
    {"close", module_close, METH_NOARGS, "Close this thread's segment."},
    {"segments", module_segments, METH_NOARGS, "How many segments there are."},
    {"watch", scalar_watch, METH_O, "Refuse, with this text, that values of Scalars leave the tape in this thread; None: allow it.  Returns the text so far."},
    {"record", scalar_record, METH_VARARGS, "record(code, x) or record(code, x, y): an operation whose rule is Python's."},
    {"extend", scalar_extend, METH_VARARGS, "Take over rows of the table that have no rule here: their rule, names and arities, and methods."},
    {"vectors", replay_vectors, METH_VARARGS, "The instruction set that programs use: \"baseline\", \"avx2\" or \"avx512\"; a name chooses it."},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "autoconv.scalar._native", "Scalars in C, on the recording that recording.py describes.", -1, module_methods,
};

PyMODINIT_FUNC PyInit__native(void) {
    if (scalar_ready() < 0 || PyType_Ready(&SegmentType) < 0 || PyType_Ready(&ProgramType) < 0) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module && (PyModule_AddObjectRef(module, "Scalar", (PyObject *)&ScalarType) < 0 ||
                   PyModule_AddObjectRef(module, "Segment", (PyObject *)&SegmentType) < 0 ||
                   PyModule_AddObjectRef(module, "Program", (PyObject *)&ProgramType) < 0))
        Py_CLEAR(module);
    return module;
}
