/* The extension autoconv.program.record._calls: Python's profiling hook in C, for a recorder that looks at every call.
 *
 * outside.py says what is looked for, and has the same Hook in Python: read that first.  Nearly all calls are of functions
 * that were called before and are of no interest.  So Python sorts each function once, and hears again only of those that
 * may be of interest. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>
#include <stdint.h>
#include <stddef.h>
#include <structmember.h>

enum { ORDINARY, PERHAPS, BESIDE }; /* the answers of ``sort``, as in outside.py */

typedef struct {
    const void *key; /* a code object, or the definition of a built-in function; NULL: free */
    PyObject *kept;  /* the code object: no other one may come to lie in its place meanwhile */
    int kind;
} Known;

typedef struct {
    PyObject_HEAD
    PyObject *sort, *told;
    Py_ssize_t beside; /* how many of the calls that are going on are beside the result */
    int found;
    Known *known; /* open addressing, at most half full */
    size_t size, count;
} Hook;

static Known *place(Known *known, size_t size, const void *key) {
    uint64_t mixed = (uint64_t)(uintptr_t)key * UINT64_C(0x9E3779B97F4A7C15);
    size_t at = (size_t)(mixed >> 32) & (size - 1);
    while (known[at].key && known[at].key != key) at = (at + 1) & (size - 1);
    return known + at;
}

static int grow(Hook *hook) {
    size_t size = hook->size ? 2 * hook->size : 1024;
    Known *known = PyMem_Calloc(size, sizeof(Known));
    if (!known) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < hook->size; i++)
        if (hook->known[i].key) *place(known, size, hook->known[i].key) = hook->known[i];
    PyMem_Free(hook->known);
    hook->known = known, hook->size = size;
    return 0;
}

/* The kind of a function or code object, which Python says the first time.  A built-in function of interest has a
 * definition that is never freed, so what was freed and is there again is of no interest either. */
static int kind_of(Hook *hook, const void *key, PyObject *x, PyObject *kept) {
    if (hook->size) {
        Known *found = place(hook->known, hook->size, key);
        if (found->key) return found->kind;
    }
    PyObject *said = PyObject_CallOneArg(hook->sort, x);
    if (!said) return -1;
    int kind = (int)PyLong_AsLong(said);
    Py_DECREF(said);
    if (kind == -1 && PyErr_Occurred()) return -1;
    if (2 * (hook->count + 1) > hook->size && grow(hook) < 0) return -1;
    Known *found = place(hook->known, hook->size, key);
    if (!found->key) {
        *found = (Known){key, kept, kind};
        Py_XINCREF(kept);
        hook->count++;
    }
    return kind;
}

static int tell(Hook *hook, PyFrameObject *frame, PyObject *x) {
    PyObject *said = PyObject_CallFunctionObjArgs(hook->told, (PyObject *)frame, x, NULL);
    if (!said) return -1;
    int found = PyObject_IsTrue(said);
    Py_DECREF(said);
    if (found < 0) return -1;
    hook->found = found;
    return 0;
}

static int entered(Hook *hook, PyFrameObject *frame, PyObject *code) {
    int kind = kind_of(hook, code, code, code);
    if (kind < 0) return -1;
    if (kind == BESIDE) hook->beside++;
    return kind == PERHAPS && !hook->found && !hook->beside ? tell(hook, frame, code) : 0;
}

static int left(Hook *hook, PyObject *code) {
    int kind = kind_of(hook, code, code, code);
    if (kind == BESIDE && hook->beside > 0) hook->beside--;
    return kind < 0 ? -1 : 0;
}

static int look(Hook *hook, PyFrameObject *frame, int what, PyObject *arg) {
    if (what == PyTrace_C_CALL) {
        if (hook->found || hook->beside || !arg || !PyCFunction_Check(arg)) return 0;
        int kind = kind_of(hook, ((PyCFunctionObject *)arg)->m_ml, arg, NULL);
        return kind == PERHAPS ? tell(hook, frame, arg) : kind < 0 ? -1 : 0;
    }
    if (what != PyTrace_CALL && (what != PyTrace_RETURN || hook->beside <= 0)) return 0;
    PyObject *code = (PyObject *)PyFrame_GetCode(frame);
    int done = what == PyTrace_CALL ? entered(hook, frame, code) : left(hook, code);
    Py_DECREF(code);
    return done;
}

/* As Python does with a hook that raises: it ends. */
static int see(PyObject *self, PyFrameObject *frame, int what, PyObject *arg) {
    int done = look((Hook *)self, frame, what, arg);
    if (done < 0) PyEval_SetProfile(NULL, NULL);
    return done;
}

static PyObject *hook_begin(PyObject *self, PyObject *unused) {
    PyEval_SetProfile(see, self);
    Py_RETURN_NONE;
}

/* As a function for sys.setprofile: a recording inside a recording gives the hook back in this way. */
static PyObject *hook_call(PyObject *self, PyObject *args, PyObject *kwargs) {
    PyObject *frame, *arg;
    const char *event;
    if (!PyArg_ParseTuple(args, "O!sO", &PyFrame_Type, &frame, &event, &arg)) return NULL;
    int what = !strcmp(event, "call") ? PyTrace_CALL : !strcmp(event, "return") ? PyTrace_RETURN
             : !strcmp(event, "c_call") ? PyTrace_C_CALL : PyTrace_C_RETURN;
    if (look((Hook *)self, (PyFrameObject *)frame, what, arg) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *hook_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *sort, *told;
    if (!PyArg_ParseTuple(args, "OO", &sort, &told)) return NULL;
    Hook *hook = (Hook *)type->tp_alloc(type, 0);
    if (hook) hook->sort = Py_NewRef(sort), hook->told = Py_NewRef(told);
    return (PyObject *)hook;
}

static int hook_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((Hook *)self)->sort);
    Py_VISIT(((Hook *)self)->told);
    return 0;
}

static int hook_clear(PyObject *self) {
    Py_CLEAR(((Hook *)self)->sort);
    Py_CLEAR(((Hook *)self)->told);
    return 0;
}

static void hook_dealloc(PyObject *self) {
    Hook *hook = (Hook *)self;
    PyObject_GC_UnTrack(self);
    hook_clear(self);
    for (size_t i = 0; i < hook->size; i++) Py_XDECREF(hook->known[i].kept);
    PyMem_Free(hook->known);
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef hook_methods[] = {
    {"begin", hook_begin, METH_NOARGS, "Look at the calls of this thread, until sys.setprofile says otherwise."},
    {NULL},
};

static PyMemberDef hook_members[] = {
    {"beside", T_PYSSIZET, offsetof(Hook, beside), 0, "How many of the calls that are going on are beside the result."},
    {NULL},
};

static PyTypeObject HookType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "autoconv.program.record._calls.Hook",
    .tp_doc = "Hook(sort, told): of every call of a function that sort has called PERHAPS, told(frame, function) is asked, until it says yes.",
    .tp_basicsize = sizeof(Hook),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = hook_new,
    .tp_call = hook_call,
    .tp_traverse = hook_traverse,
    .tp_clear = hook_clear,
    .tp_dealloc = hook_dealloc,
    .tp_methods = hook_methods,
    .tp_members = hook_members,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "autoconv.program.record._calls", "Python's profiling hook, for recorders.", -1, NULL,
};

PyMODINIT_FUNC PyInit__calls(void) {
    if (PyType_Ready(&HookType) < 0) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module && PyModule_AddObjectRef(module, "Hook", (PyObject *)&HookType) < 0) Py_CLEAR(module);
    return module;
}
