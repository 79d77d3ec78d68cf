/* A recorded program that runs on other inputs without Python: registers for constants, inputs and results, and one step for
 * each result.  One input runs in double precision, many run in lanes, 128 bytes wide, with the widest vectors there are. */
#include "scalar.h"
#include <math.h>

/* y = a code b, or a code c; the numbers are registers. */
typedef struct {
    double c;
    int32_t a, b, y, code;
} Step;

/* The way back: from the cotangent "own" of y to those of a and b; fresh: bit 0 (1) for the first that reaches a (b). */
typedef struct {
    double c;
    int32_t a, b, y, own, ga, gb;
    uint8_t code, fresh;
} Pull;

typedef struct {
    PyObject_HEAD
    Py_ssize_t constants, first, count; /* values: constants, then inputs up to first, then count results */
    Py_ssize_t registers, cotangents;   /* how many are needed; cotangent 0 is nobody's, then come the inputs' */
    int32_t output, output_cotangent;
    Step *steps;
    Pull *pulls; /* last step first */
    void *spare; /* a workspace to be used again */
    size_t spare_size;
} Program;

typedef struct {
    const double *constants;
    const void *inputs;
    void *values, *gradients;
    Py_ssize_t count;
} Run;

#define REGISTER 128 /* bytes of a register of lanes */
#define SAME(name) name
#define SINGLE(name) name##f

#define TARGET
#define T double
#define F SAME
#define LANES 1
#define NAME(part) part##_one
#include "lanes.h"
#define T double
#define F SAME
#define LANES (int)(REGISTER / sizeof(double))
#define NAME(part) part##_double_base
#include "lanes.h"
#define T float
#define F SINGLE
#define LANES (int)(REGISTER / sizeof(float))
#define NAME(part) part##_float_base
#include "lanes.h"
#undef TARGET

/* (on Windows the wide registers are left alone: gcc does not align its stack for them there, and clang asks a library) */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
#define CHOICES 3
#define TARGET __attribute__((target("avx2")))
#define T double
#define F SAME
#define LANES (int)(REGISTER / sizeof(double))
#define NAME(part) part##_double_avx2
#include "lanes.h"
#define T float
#define F SINGLE
#define LANES (int)(REGISTER / sizeof(float))
#define NAME(part) part##_float_avx2
#include "lanes.h"
#undef TARGET
#define TARGET __attribute__((target("avx512f,avx512vl,avx512dq")))
#define T double
#define F SAME
#define LANES (int)(REGISTER / sizeof(double))
#define NAME(part) part##_double_avx512
#include "lanes.h"
#define T float
#define F SINGLE
#define LANES (int)(REGISTER / sizeof(float))
#define NAME(part) part##_float_avx512
#include "lanes.h"
#undef TARGET
#else
#define CHOICES 1
#endif

typedef void (*Runner)(const Program *, Run *, void *);

static const struct {
    const char *name;
    Runner in_double, in_float;
} choices[CHOICES] = {
    {"baseline", run_double_base, run_float_base},
#if CHOICES > 1
    {"avx2", run_double_avx2, run_float_avx2},
    {"avx512", run_double_avx512, run_float_avx512},
#endif
};

static int chosen = -1;

static int supported(int choice) {
#if CHOICES > 1
    __builtin_cpu_init();
    if (choice == 1) return __builtin_cpu_supports("avx2");
    if (choice == 2) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#endif
    return choice == 0;
}

static int choice(void) {
    for (int k = CHOICES - 1; chosen < 0; k--)
        if (supported(k)) chosen = k;
    return chosen;
}

PyObject *replay_vectors(PyObject *module, PyObject *args) {
    const char *name = NULL;
    if (!PyArg_ParseTuple(args, "|z", &name)) return NULL;
    if (name) {
        int found = -1;
        for (int k = 0; k < CHOICES; k++)
            if (!strcmp(choices[k].name, name) && supported(k)) found = k;
        if (found < 0) return PyErr_Format(PyExc_ValueError, "vectors: '%s' is not to be had on this processor", name);
        chosen = found;
    }
    return PyUnicode_FromString(choices[choice()].name);
}

/* ---- the program */

/* Registers that are taken and given back; the last one given back is taken first, while it is in the cache. */
typedef struct {
    int32_t *idle;
    Py_ssize_t count, size;
} Pool;

static int32_t pool_take(Pool *pool) { return pool->count ? pool->idle[--pool->count] : (int32_t)pool->size++; }
static void pool_give(Pool *pool, int32_t k) { pool->idle[pool->count++] = k; }

/* Which values the way back needs: bit 0 the first operand, bit 1 the second, bit 2 the result. */
static int needed_back(int code) {
    switch (code) {
    NEEDED_BACK
    default: return 7;
    }
}

/* Give every value a register until its last reader, forwards or backwards, is done, and every cotangent one from its first
 * contribution until it is passed on.  So a sum of products runs in the cache, however long it is. */
static int allocate(Program *p, Py_ssize_t output) {
    Py_ssize_t size = p->first + p->count;
    int32_t *place = PyMem_Malloc(size * sizeof(int32_t)), *last = PyMem_Calloc(size, sizeof(int32_t));
    int32_t *idle = PyMem_Malloc((size + 1) * sizeof(int32_t));
    char *keep = PyMem_Calloc(size, 1);
    int failed = !place || !last || !idle || !keep;
    if (failed) goto done;
    for (Py_ssize_t k = 0; k < p->count; k++) {
        const Step *step = p->steps + k;
        int needed = needed_back(step->code);
        keep[step->a] |= needed & 1;
        keep[step->b] |= needed >> 1 & 1;
        keep[p->first + k] |= needed >> 2;
        last[step->a] = last[step->b] = (int32_t)k;
    }
    keep[output] = 1;
    Pool pool = {idle, 0, p->first};
    for (Py_ssize_t k = 0; k < p->first; k++) {
        place[k] = (int32_t)k;
        keep[k] = 1;
    }
    for (Py_ssize_t k = 0; k < p->count; k++) {
        Step *step = p->steps + k;
        Pull *pull = p->pulls + (p->count - 1 - k);
        int32_t a = step->a, b = step->b;
        place[p->first + k] = pool_take(&pool);
        *pull = (Pull){step->c, place[a], place[b], place[p->first + k], 0, a, b, (uint8_t)step->code, 0};
        step->a = place[a];
        step->b = place[b];
        step->y = place[p->first + k];
        if (last[a] == k && !keep[a]) pool_give(&pool, place[a]);
        if (b != a && last[b] == k && !keep[b]) pool_give(&pool, place[b]);
    }
    p->registers = pool.size;
    p->output = place[output];
    const Py_ssize_t inputs = p->first - p->constants;
    pool = (Pool){idle, 0, inputs + 1};
    for (Py_ssize_t k = 0; k < size; k++) place[k] = k < p->constants ? 0 : k < p->first ? (int32_t)(k - p->constants + 1) : -1;
    if (place[output] < 0) place[output] = pool_take(&pool);
    p->output_cotangent = place[output];
    for (Py_ssize_t k = p->count - 1; k >= 0; k--) {
        Pull *pull = p->pulls + (p->count - 1 - k);
        const int32_t own = place[p->first + k], a = pull->ga, b = pull->gb;
        if (place[a] < 0) {
            place[a] = pool_take(&pool);
            pull->fresh |= 1;
        }
        if (HAS_TWO(pull->code) && place[b] < 0) {
            place[b] = pool_take(&pool);
            pull->fresh |= 2;
        }
        pull->own = own < 0 ? 0 : own; /* a result that nobody reads: cotangent 0 */
        pull->ga = place[a];
        pull->gb = HAS_TWO(pull->code) ? place[b] : 0;
        if (own > 0) pool_give(&pool, own);
    }
    p->cotangents = pool.size;
done:
    PyMem_Free(place);
    PyMem_Free(last);
    PyMem_Free(idle);
    PyMem_Free(keep);
    if (failed) PyErr_NoMemory();
    return failed ? -1 : 0;
}

static PyObject *program_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    Py_ssize_t constants, inputs, output;
    Py_buffer codes, a, b, numbers;
    if (!PyArg_ParseTuple(args, "nnny*y*y*y*:Program", &constants, &inputs, &output, &codes, &a, &b, &numbers)) return NULL;
    Py_ssize_t count = codes.len, first = constants + inputs;
    Program *p = NULL;
    if (constants < 0 || inputs < 0 || output < 0 || first + count >= INT32_MAX || output >= first + count ||
        a.len != count * 4 || b.len != count * 4 || numbers.len != count * 8) {
        PyErr_SetString(PyExc_ValueError, "Program: counts that do not agree");
        goto done;
    }
    p = (Program *)type->tp_alloc(type, 0);
    if (!p) goto done;
    p->constants = constants;
    p->first = first;
    p->count = count;
    p->steps = PyMem_Malloc((count + 1) * sizeof(Step));
    p->pulls = PyMem_Malloc((count + 1) * sizeof(Pull));
    if (!p->steps || !p->pulls) {
        PyErr_NoMemory();
        Py_CLEAR(p);
        goto done;
    }
    for (Py_ssize_t k = 0; k < count; k++) {
        Step step = {((double *)numbers.buf)[k], ((int32_t *)a.buf)[k], ((int32_t *)b.buf)[k], 0, ((uint8_t *)codes.buf)[k]};
        if (step.code < ADD || step.code >= STEPS || step.a < 0 || step.b < 0 || step.a >= first + k || step.b >= first + k) {
            PyErr_Format(PyExc_ValueError, "Program: step %zd reads what is not there", k);
            Py_CLEAR(p);
            goto done;
        }
        p->steps[k] = step;
    }
    if (allocate(p, output) < 0) Py_CLEAR(p);
done:
    PyBuffer_Release(&codes);
    PyBuffer_Release(&a);
    PyBuffer_Release(&b);
    PyBuffer_Release(&numbers);
    return (PyObject *)p;
}

static void program_dealloc(PyObject *self) {
    Program *p = (Program *)self;
    PyMem_Free(p->steps);
    PyMem_Free(p->pulls);
    PyMem_RawFree(p->spare);
    Py_TYPE(self)->tp_free(self);
}

/* Run in a workspace of the program, or, where another thread has it, in one of its own. */
static int run_in_workspace(Program *p, Run *run, Runner runner, size_t size_of_register) {
    size_t needed = (size_t)(p->registers + (run->gradients ? p->cotangents : 0)) * size_of_register + 64;
    void *workspace = p->spare;
    size_t size = p->spare_size;
    p->spare = NULL;
    p->spare_size = 0;
    if (size < needed) {
        PyMem_RawFree(workspace);
        workspace = PyMem_RawMalloc(needed);
        size = needed;
    }
    if (!workspace) {
        PyErr_NoMemory();
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    runner(p, run, (void *)(((uintptr_t)workspace + 63) & ~(uintptr_t)63));
    Py_END_ALLOW_THREADS
    if (p->spare) PyMem_RawFree(workspace);
    else {
        p->spare = workspace;
        p->spare_size = size;
    }
    return 0;
}

/* run(constants, inputs, values or None, gradients or None, single): without values, one input, whose value is returned. */
static PyObject *program_run(PyObject *self, PyObject *const *args, Py_ssize_t given) {
    Program *p = (Program *)self;
    Py_buffer buffers[4] = {{NULL}, {NULL}, {NULL}, {NULL}};
    PyObject *result = NULL;
    if (given != 5) return PyErr_Format(PyExc_TypeError, "run: %zd arguments; give 5", given);
    for (int k = 0; k < 4; k++)
        if ((k < 2 || args[k] != Py_None) && PyObject_GetBuffer(args[k], &buffers[k], k < 2 ? PyBUF_SIMPLE : PyBUF_WRITABLE) < 0) goto done;
    const int one = args[2] == Py_None, single = args[4] == Py_True;
    const size_t size = single && !one ? sizeof(float) : sizeof(double);
    const Py_ssize_t count = one ? 1 : buffers[2].len / (Py_ssize_t)size;
    const Py_ssize_t expected = count * (p->first - p->constants) * (Py_ssize_t)size;
    if (buffers[0].len != p->constants * (Py_ssize_t)sizeof(double) || buffers[1].len != expected ||
        (buffers[3].obj && buffers[3].len != expected)) {
        PyErr_SetString(PyExc_ValueError, "run: buffers whose sizes do not agree");
        goto done;
    }
    double value = 0;
    Run run = {buffers[0].buf, buffers[1].buf, one ? &value : buffers[2].buf, buffers[3].obj ? buffers[3].buf : NULL, count};
    Runner runner = one ? run_one : single ? choices[choice()].in_float : choices[choice()].in_double;
    if (run_in_workspace(p, &run, runner, one ? sizeof(double) : REGISTER) == 0) {
        result = one ? PyFloat_FromDouble(value) : Py_None;
        if (!one) Py_INCREF(result);
    }
done:
    for (int k = 0; k < 4; k++)
        if (buffers[k].obj) PyBuffer_Release(&buffers[k]);
    return result;
}

static int are_floats(PyObject *numbers, Py_ssize_t count) {
    if (!PyTuple_CheckExact(numbers) || PyTuple_GET_SIZE(numbers) != count) return 0;
    for (Py_ssize_t k = 0; k < count; k++)
        if (!PyFloat_CheckExact(PyTuple_GET_ITEM(numbers, k))) return 0;
    return 1;
}

/* The numbers at the places "wrt" (a tuple of ints, negative ones from the end) as a tuple. */
static PyObject *picked(const double *numbers, Py_ssize_t count, PyObject *wrt) {
    PyObject *made = PyTuple_New(PyTuple_GET_SIZE(wrt));
    for (Py_ssize_t k = 0; made && k < PyTuple_GET_SIZE(wrt); k++) {
        const Py_ssize_t asked = PyLong_AsSsize_t(PyTuple_GET_ITEM(wrt, k)), i = asked < 0 ? asked + count : asked;
        const int there = i >= 0 && i < count && !(asked == -1 && PyErr_Occurred());
        PyObject *number = there ? PyFloat_FromDouble(numbers[i]) : NULL;
        if (!there && !PyErr_Occurred()) PyErr_Format(PyExc_IndexError, "at: no input %zd among %zd", asked, count);
        if (!number) Py_CLEAR(made);
        else PyTuple_SET_ITEM(made, k, number);
    }
    return made;
}

/* at(constants, numbers, wrt): (value, derivatives by the inputs wrt) at one input, without arrays (see ScalarProgram.at). */
static PyObject *program_at(PyObject *self, PyObject *const *args, Py_ssize_t given) {
    Program *p = (Program *)self;
    const Py_ssize_t width = p->first - p->constants;
    if (given != 3 || !PyBytes_CheckExact(args[0]) || (args[2] != Py_None && !PyTuple_CheckExact(args[2]))) {
        PyErr_SetString(PyExc_TypeError, "at: give constants as bytes, numbers, and a tuple or None");
        return NULL;
    }
    if (PyBytes_GET_SIZE(args[0]) != p->constants * (Py_ssize_t)sizeof(double)) {
        PyErr_SetString(PyExc_ValueError, "at: constants whose size does not agree");
        return NULL;
    }
    if (!are_floats(args[1], width)) Py_RETURN_NONE;
    double *inputs = PyMem_Malloc((2 * width + 1) * sizeof(double)), *gradients = inputs + width, value = 0;
    if (!inputs) return PyErr_NoMemory();
    for (Py_ssize_t k = 0; k < width; k++) inputs[k] = PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(args[1], k));
    Run run = {(const double *)PyBytes_AS_STRING(args[0]), inputs, &value, args[2] == Py_None ? NULL : gradients, 1};
    PyObject *result = NULL;
    if (run_in_workspace(p, &run, run_one, sizeof(double)) == 0) {
        PyObject *slopes = run.gradients ? picked(gradients, width, args[2]) : Py_NewRef(Py_None);
        PyObject *number = slopes ? PyFloat_FromDouble(value) : NULL;
        result = number ? PyTuple_Pack(2, number, slopes) : NULL;
        Py_XDECREF(number);
        Py_XDECREF(slopes);
    }
    PyMem_Free(inputs);
    return result;
}

static PyMethodDef program_methods[] = {
    {"run", (PyCFunction)(void (*)(void))program_run, METH_FASTCALL, "run(constants, inputs, values or None, gradients or None, single)"},
    {"at", (PyCFunction)(void (*)(void))program_at, METH_FASTCALL, "at(constants, numbers, wrt): (value, derivatives or None); None unless numbers are floats, one for each input"},
    {NULL},
};

PyTypeObject ProgramType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "autoconv.scalar._native.Program",
    .tp_doc = "Program(constants, inputs, output, codes, a, b, numbers): counts, the register of the result, and the steps.",
    .tp_basicsize = sizeof(Program),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = program_new,
    .tp_dealloc = program_dealloc,
    .tp_methods = program_methods,
};
