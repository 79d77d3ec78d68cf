/* A small machine for compiled tapes: it runs a program of instructions over blocks of examples, on several threads.
 *
 * kernel.h holds the instructions and is included once for each instruction set, element type and number of lanes; which one
 * runs is chosen when a program is made.  ``Machine(...)`` makes a program from bytes that the planner wrote, ``run(arrays, ...)``
 * runs it with the interpreter lock released.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef UNROLL
#define UNROLL _Pragma("GCC unroll 64")
#endif
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, type, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, type, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif
enum { WIDTH = 24, UPDATE_WIDTH = 16, MOST_THREADS = 64, MOST_CHUNKS = 64, SOME = 64, STRIP = 1024 };
enum { SGD = 1, ADAM };
enum { MAP = 1, GATHER, LOAD, STORE, SPLAT, CHOOSE, PLACE, CLEAR, TOTAL, GEMM, DOT, OUTER, STRIPS };
enum { IN_MEMORY = -1, IN_SUMS = -2, IN_PACKED = -3, NOWHERE = -4 };              /* or the number of an array */
enum { GROWS = 1, POSITIVE_PART = 2, BIAS_OF_VECTORS = 4, ROWS_OUTSIDE = 8, ADDS = 16 }; /* of a contraction */
enum { COPY = 1, ADD, SUB, MUL, DIV, NEG, ABS, SIGN, MAXIMUM, MINIMUM, GREATER, LESS, GREATER_EQUAL, LESS_EQUAL, EQUAL, NOT_EQUAL, WHERE, SLOPE,
       SQRT, EXP, LOG, LOG1P, TANH, SIN, COS, ERF, POWER };

typedef struct {
  void *memory, *sums, *const *arrays;
  int first, wrong; /* whether this is the first block of a chunk, so that its sums are stored; whether a place was out of range */
} Thread;
typedef struct {
  const int64_t *code, *result, *packing;
  const int *tables;
  void *packed;
  long count, results, packings, cells, numbers, packs;
  int cell, chunks; /* numbers of a cell, which is the examples of a block; the most chunks of blocks with sums of their own */
} Program;
typedef struct Job Job;
typedef struct {
  const char *set;
  int bytes, lanes, registers;
  void (*block)(const Program *, Thread *, long, int);
  void (*pack)(const Program *, void *const *, int, int);
  void (*collect)(Job *, int);
} Kernel;
struct Job {
  const Program *program;
  const Kernel *kernel;
  void *memory[MOST_THREADS], *sums[MOST_CHUNKS], *const *arrays;
  int parts, chunks, tested; /* tested: the array whose numbers must be finite for the updates to be made, or -1 */
  long examples, updates;
  const int64_t *update;
  atomic_int next, wrong, infinite;
};

#include "kernels.h"
#include "threads.h"

/* ---- the Python type */
typedef struct {
  PyObject_HEAD Program program;
  const Kernel *kernel;
  void *memory[MOST_THREADS], *sums[MOST_CHUNKS], *blocks[5];
} Machine;

static void *aligned(size_t bytes) {
  void *p = 0;
  if (posix_memalign(&p, 128, bytes + 256)) return 0;
  memset(p, 0, bytes + 256);
  return p;
}
static void *copied(PyObject *bytes) {
  Py_ssize_t n = PyBytes_GET_SIZE(bytes);
  void *p = aligned((size_t)n);
  if (p) memcpy(p, PyBytes_AS_STRING(bytes), (size_t)n);
  return p;
}
static void machine_free(Machine *self) {
  for (int i = 0; i < MOST_THREADS; i++) free(self->memory[i]);
  for (int i = 0; i < MOST_CHUNKS; i++) free(self->sums[i]);
  for (int i = 0; i < 5; i++) free(self->blocks[i]);
  Py_TYPE(self)->tp_free((PyObject *)self);
}
static PyObject *machine_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
  PyObject *code, *tables, *results, *packing;
  long cells, numbers, packs;
  int bytes, lanes, cell, chunks;
  (void)keywords;
  if (!PyArg_ParseTuple(args, "SSSSllliiii", &code, &tables, &results, &packing, &cells, &numbers, &packs, &bytes, &lanes, &cell, &chunks)) return 0;
  const Kernel *kernel = find_kernel(bytes, lanes);
  if (!kernel) return PyErr_Format(PyExc_ValueError, "no kernel for %d bytes in %d lanes", bytes, lanes);
  Machine *self = (Machine *)type->tp_alloc(type, 0);
  if (!self) return 0;
  self->kernel = kernel;
  PyObject *parts[] = {code, tables, results, packing};
  int failed = !(self->blocks[4] = aligned((size_t)packs * (size_t)bytes));
  for (int i = 0; i < 4; i++) failed |= !(self->blocks[i] = copied(parts[i]));
  if (failed) {
    Py_DECREF(self);
    return PyErr_NoMemory();
  }
  self->program = (Program){self->blocks[0], self->blocks[2], self->blocks[3], self->blocks[1], self->blocks[4], PyBytes_GET_SIZE(code) / (8 * WIDTH),
                            PyBytes_GET_SIZE(results) / 64, PyBytes_GET_SIZE(packing) / 64, cells, numbers, packs, cell, chunks};
  return (PyObject *)self;
}
/* memory for the threads and chunks of a run, kept for the next; whether there was enough */
static int provide(Machine *self, Job *job) {
  size_t bytes = (size_t)self->kernel->bytes;
  for (int k = 0; k < job->parts; k++) {
    if (!self->memory[k] && !(self->memory[k] = aligned((size_t)self->program.cells * bytes))) return 0;
    job->memory[k] = self->memory[k];
  }
  for (int k = 0; k < job->chunks; k++) {
    if (!self->sums[k] && !(self->sums[k] = aligned((size_t)self->program.numbers * bytes))) return 0;
    job->sums[k] = self->sums[k];
  }
  return 1;
}
static int least(long a, long b) { return (int)(a < b ? a : b); }

/* run(arrays, examples, threads, updates, tested): True; False if a place was out of range, None if the array of that number
 * (if given) is not finite.  The updates are made only if it is True. */
static PyObject *machine_run(Machine *self, PyObject *args) {
  PyObject *list, *updates;
  long examples;
  int parts, tested = -1;
  if (!PyArg_ParseTuple(args, "O!liS|i", &PyList_Type, &list, &examples, &parts, &updates, &tested)) return 0;
  Py_ssize_t count = PyList_GET_SIZE(list), held = 0;
  Py_buffer *views = calloc((size_t)count + 1, sizeof *views);
  void **arrays = calloc((size_t)count + 1, sizeof *arrays);
  int failed = !views || !arrays, enough = 1;
  for (; !failed && held < count; held++) {
    if (PyList_GET_ITEM(list, held) == Py_None) continue;
    if ((failed = PyObject_GetBuffer(PyList_GET_ITEM(list, held), &views[held], PyBUF_C_CONTIGUOUS))) break;
    arrays[held] = views[held].buf;
  }
  Job job = {&self->program, self->kernel, {0}, {0}, arrays, 1, 1, tested, examples, PyBytes_GET_SIZE(updates) / (8 * UPDATE_WIDTH), (const int64_t *)PyBytes_AS_STRING(updates), 0, 0, 0};
  if (!failed) {
    Py_BEGIN_ALLOW_THREADS;
    pthread_mutex_lock(&pool.run);
    long blocks = (examples + self->program.cell - 1) / self->program.cell;
    job.chunks = least(least(blocks, self->program.chunks), MOST_CHUNKS);
    if (job.chunks < 1) job.chunks = 1;
    job.parts = enlist(least(least(parts, MOST_THREADS), job.chunks));
    if ((enough = provide(self, &job))) {
      if (job.parts > 1) start(&job);
      work(&job, 0);
    }
    pthread_mutex_unlock(&pool.run);
    Py_END_ALLOW_THREADS;
  }
  while (held > 0)
    if (views[--held].obj) PyBuffer_Release(&views[held]);
  free(views);
  free(arrays);
  if (!enough) return PyErr_NoMemory();
  if (failed) return 0;
  if (atomic_load(&job.infinite)) Py_RETURN_NONE;
  return PyBool_FromLong(!atomic_load(&job.wrong));
}
static PyMethodDef methods[] = {
    {"run", (PyCFunction)machine_run, METH_VARARGS, "run(arrays, examples, threads, updates, tested=-1): run the program, then make the updates; no update and False if a place was out of range, None if the array number tested is not finite."},
    {0}};
static PyTypeObject MachineType = {PyVarObject_HEAD_INIT(0, 0).tp_name = "autoconv.plan._machine.Machine",
                                   .tp_basicsize = sizeof(Machine),
                                   .tp_dealloc = (destructor)machine_free,
                                   .tp_flags = Py_TPFLAGS_DEFAULT,
                                   .tp_doc = "Machine(code, tables, results, packing, cells, numbers, packs, bytes, lanes, cell, chunks): a program in the machine's own terms.",
                                   .tp_methods = methods,
                                   .tp_new = machine_new};
/* kernels(): (instruction set, bytes of an element, lanes, registers for a tile) of each kernel this processor runs */
static PyObject *kernels(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  PyObject *list = PyList_New(0);
  for (const Kernel *k = all_kernels; list && k->set; k++) {
    if (!supported(k->set)) continue;
    PyObject *item = Py_BuildValue("siii", k->set, k->bytes, k->lanes, k->registers);
    if (!item || PyList_Append(list, item)) Py_CLEAR(list);
    Py_XDECREF(item);
  }
  return list;
}
static PyMethodDef functions[] = {{"kernels", kernels, METH_NOARGS, "The kernels that this processor can run."}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_machine", "The native machine of compiled tapes.", -1, functions};

PyMODINIT_FUNC PyInit__machine(void) {
  if (PyType_Ready(&MachineType) < 0) return 0;
  PyObject *m = PyModule_Create(&module);
  if (!m) return 0;
  Py_INCREF(&MachineType);
  if (PyModule_AddObject(m, "Machine", (PyObject *)&MachineType) < 0) return 0;
  pthread_atfork(0, 0, after_fork);
  return m;
}
