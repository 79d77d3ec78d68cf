/* A small machine for compiled tapes: it runs a program of instructions over blocks of examples, on several threads.
 *
 * kernel.h holds the instructions and is included once for each instruction set, element type and number of lanes; which one
 * runs is chosen when a program is made.  ``Machine(code, tables, results, memory, sums, lanes, bytes)`` makes a program,
 * ``run(arrays, examples)`` runs it with the interpreter lock released.  Threads share the blocks, spin briefly when they
 * wait, then sleep.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define UNROLL _Pragma("GCC unroll 64")
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, type, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, type, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif
enum { WIDTH = 16, MOST_THREADS = 64 };
enum { SGD = 1, ADAM };
enum { MAP = 1, GATHER, LOAD, STORE, SPLAT, CHOOSE, PLACE, CLEAR, TOTAL, GEMM, DOT, OUTER };
enum { COPY = 1, ADD, SUB, MUL, DIV, NEG, ABS, SIGN, MAXIMUM, MINIMUM, GREATER, LESS, GREATER_EQUAL, LESS_EQUAL, EQUAL, NOT_EQUAL, WHERE, SLOPE,
       SQRT, EXP, LOG, LOG1P, TANH, SIN, COS, ERF, POWER };

typedef struct {
  void *memory, *sums, **arrays;
  int wrong;
} Thread;
typedef struct {
  const int64_t *code, *result;
  const int *tables;
  long count, results, cells, numbers;
} Program;
typedef struct {
  const char *set;
  int bytes, lanes, registers;
  void (*block)(const Program *, Thread *, long, int);
  void (*collect)(const Program *, Thread *, int, int);
  void (*update)(const Thread *, const int64_t *, long, int, int);
} Kernel;

#include "kernels.h"

/* ---- threads: one pool for all programs, used by one run at a time */
typedef struct Job Job;
struct Job {
  const Program *program;
  const Kernel *kernel;
  Thread threads[MOST_THREADS];
  int parts;
  long examples, updates;
  const int64_t *update;
};
static struct {
  pthread_mutex_t lock, run;
  pthread_cond_t changed;
  atomic_int generation, waiting, arrived, phase;
  int size, parts, first[MOST_THREADS];
  Job *job;
} pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, 0, 1, 0, {0}, 0};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}
/* spin briefly, then sleep, until the number is another one than ``old`` */
static void wait_for_change(atomic_int *number, int old) {
  for (int spin = 0; spin < 4000; spin++) {
    if (atomic_load_explicit(number, memory_order_acquire) != old) return;
    relax();
  }
  pthread_mutex_lock(&pool.lock);
  while (atomic_load(number) == old) pthread_cond_wait(&pool.changed, &pool.lock);
  pthread_mutex_unlock(&pool.lock);
}
static void change(atomic_int *number) {
  pthread_mutex_lock(&pool.lock);
  atomic_fetch_add(number, 1);
  pthread_cond_broadcast(&pool.changed);
  pthread_mutex_unlock(&pool.lock);
}
static void barrier(int parts) {
  if (parts == 1) return;
  int phase = atomic_load(&pool.phase);
  if (atomic_fetch_add(&pool.arrived, 1) == parts - 1) {
    atomic_store(&pool.arrived, 0);
    change(&pool.phase);
  } else
    wait_for_change(&pool.phase, phase);
}
static void work(Job *job, int part) {
  const Program *p = job->program;
  Thread *t = &job->threads[part];
  int lanes = job->kernel->lanes;
  memset(t->sums, 0, p->numbers * job->kernel->bytes);
  long blocks = (job->examples + lanes - 1) / lanes, end = blocks * (part + 1) / job->parts;
  for (long b = blocks * part / job->parts; b < end; b++) {
    long left = job->examples - b * lanes;
    job->kernel->block(p, t, b * lanes, left < lanes ? (int)left : lanes);
  }
  barrier(job->parts);
  int wrong = 0, parts = job->parts;
  for (int k = 0; k < parts; k++) wrong |= job->threads[k].wrong;
  job->kernel->collect(p, job->threads, part, parts);
  if (job->updates && !wrong) {
    barrier(parts);
    job->kernel->update(t, job->update, job->updates, part, parts);
  }
  barrier(parts); /* after it the job may be gone */
}
/* Job, parts and generation change together under the lock, so a worker never sees those of two runs. */
static void *worker(void *number) {
  int part = (int)(intptr_t)number, seen = pool.first[part];
  for (;;) {
    wait_for_change(&pool.generation, seen);
    pthread_mutex_lock(&pool.lock);
    seen = atomic_load(&pool.generation);
    Job *job = part < pool.parts ? pool.job : 0;
    pthread_mutex_unlock(&pool.lock);
    if (job) work(job, part);
  }
  return 0;
}
static void start(Job *job) {
  pthread_mutex_lock(&pool.lock);
  pool.job = job;
  pool.parts = job->parts;
  atomic_fetch_add(&pool.generation, 1);
  pthread_cond_broadcast(&pool.changed);
  pthread_mutex_unlock(&pool.lock);
}
static void after_fork(void) {
  pool.size = 1;
  pthread_mutex_init(&pool.lock, 0);
  pthread_mutex_init(&pool.run, 0);
  pthread_cond_init(&pool.changed, 0);
  atomic_store(&pool.arrived, 0);
}

/* ---- the Python type */
typedef struct {
  PyObject_HEAD Program program;
  const Kernel *kernel;
  void *storage[MOST_THREADS], *blocks[3];
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
  for (int i = 0; i < MOST_THREADS; i++) free(self->storage[i]);
  for (int i = 0; i < 3; i++) free(self->blocks[i]);
  Py_TYPE(self)->tp_free((PyObject *)self);
}
static PyObject *machine_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
  PyObject *code, *tables, *results;
  long cells, numbers;
  int bytes, lanes;
  (void)keywords;
  if (!PyArg_ParseTuple(args, "SSSllii", &code, &tables, &results, &cells, &numbers, &bytes, &lanes)) return 0;
  const Kernel *kernel = find_kernel(bytes, lanes);
  if (!kernel) return PyErr_Format(PyExc_ValueError, "no kernel for %d bytes in %d lanes", bytes, lanes);
  Machine *self = (Machine *)type->tp_alloc(type, 0);
  if (!self) return 0;
  self->kernel = kernel;
  self->blocks[0] = copied(code), self->blocks[1] = copied(tables), self->blocks[2] = copied(results);
  if (!self->blocks[0] || !self->blocks[1] || !self->blocks[2]) {
    Py_DECREF(self);
    return PyErr_NoMemory();
  }
  self->program = (Program){self->blocks[0], self->blocks[2], self->blocks[1], PyBytes_GET_SIZE(code) / (8 * WIDTH), PyBytes_GET_SIZE(results) / 64, cells, numbers};
  return (PyObject *)self;
}
/* run(arrays, examples, threads, updates): whether every place was in range; the updates are made only then */
static PyObject *machine_run(Machine *self, PyObject *args) {
  PyObject *list;
  long examples;
  int parts;
  PyObject *updates;
  if (!PyArg_ParseTuple(args, "O!liS", &PyList_Type, &list, &examples, &parts, &updates)) return 0;
  Py_ssize_t count = PyList_GET_SIZE(list);
  Py_buffer *views = calloc((size_t)count + 1, sizeof *views);
  void **arrays = calloc((size_t)count + 1, sizeof *arrays);
  Py_ssize_t held = 0;
  int failed = !views || !arrays, wrong = 0;
  for (; !failed && held < count; held++) {
    if (PyObject_GetBuffer(PyList_GET_ITEM(list, held), &views[held], PyBUF_C_CONTIGUOUS)) {
      failed = 1;
      break;
    }
    arrays[held] = views[held].buf;
  }
  long blocks = (examples + self->kernel->lanes - 1) / self->kernel->lanes;
  if (parts > blocks) parts = (int)blocks;
  if (parts > MOST_THREADS) parts = MOST_THREADS;
  if (parts < 1) parts = 1;
  if (!failed) {
    Py_BEGIN_ALLOW_THREADS;
    pthread_mutex_lock(&pool.run);
    long rows = PyBytes_GET_SIZE(updates) / (8 * WIDTH);
    Job job = {&self->program, self->kernel, {{0}}, parts, examples, rows, (const int64_t *)PyBytes_AS_STRING(updates)};
    size_t bytes = (size_t)self->kernel->bytes, cells = (size_t)self->program.cells;
    cells += 64 / bytes - cells % (64 / bytes);
    for (int k = 0; k < parts && !failed; k++) {
      if (!self->storage[k]) self->storage[k] = aligned((cells + (size_t)self->program.numbers) * bytes);
      if (!self->storage[k]) failed = 2;
      job.threads[k] = (Thread){self->storage[k], (char *)self->storage[k] + cells * bytes, arrays, 0};
    }
    while (!failed && pool.size < parts) {
      pthread_t id;
      pool.first[pool.size] = atomic_load(&pool.generation);
      if (pthread_create(&id, 0, worker, (void *)(intptr_t)pool.size)) {
        job.parts = pool.size;
        break;
      }
      pthread_detach(id);
      pool.size++;
    }
    if (!failed) {
      if (job.parts > 1) start(&job);
      work(&job, 0);
      for (int k = 0; k < job.parts; k++) wrong |= job.threads[k].wrong;
    }
    pthread_mutex_unlock(&pool.run);
    Py_END_ALLOW_THREADS;
    if (failed == 2) PyErr_NoMemory();
  }
  while (held > 0) PyBuffer_Release(&views[--held]);
  free(views);
  free(arrays);
  if (failed) return 0;
  return PyBool_FromLong(!wrong);
}
static PyMethodDef methods[] = {
    {"run", (PyCFunction)machine_run, METH_VARARGS, "run(arrays, examples, threads, updates): run the program, then make the updates; False (and no update) if a place was out of range."},
    {0}};
static PyTypeObject MachineType = {PyVarObject_HEAD_INIT(0, 0).tp_name = "autoconv.plan._machine.Machine",
                                   .tp_basicsize = sizeof(Machine),
                                   .tp_dealloc = (destructor)machine_free,
                                   .tp_flags = Py_TPFLAGS_DEFAULT,
                                   .tp_doc = "Machine(code, tables, results, cells, numbers, bytes, lanes): a program in the machine's own terms.",
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
