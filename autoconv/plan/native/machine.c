/* The native machine of compiled tapes: it interprets programs of vector instructions over blocks of examples, on several threads.
 *
 * instruction_set.h (written by setup.py from instruction_set.py) names the opcodes and the words of each instruction.
 * variant.h interprets them and is included once for each processor instruction set, element type and number of lanes; which
 * variant runs a program is chosen when the program is made.  ``Machine(...)`` makes a program (of one fused kernel) from the bytes
 * that the planner wrote; ``run(machines, arrays, ...)`` runs some of them in order with the interpreter lock released.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "instruction_set.h"
#include "system.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* vectors wider than the processor's are passed to functions that are inlined */
#endif
#ifndef UNROLL
#define UNROLL _Pragma("GCC unroll 64")
#endif
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, type, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, type, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif
enum { MOST_THREADS = 64, MOST_CHUNKS = 64 };
enum { SOME = 64 };    /* terms of a dot product at a time */
enum { SHORT = 128 };  /* terms of a long sum that are added up by themselves */
enum { NEAREST = 1 << 15 }; /* bytes of the nearest cache, or less */
enum { NEARER = 3 << 17 }; /* bytes that leave room in the cache behind it */
enum { STRIP = 1024 }; /* numbers of a gradient at a time */
enum { STRETCH = 256 }; /* blocks whose sums are added up by themselves, so that an error does not grow with the number of examples */

#include "ahead.h"

typedef struct {
  void *memory, *sums, *const *arrays;
  int first, wrong; /* whether this is the first block of a chunk, so that its sums are stored; whether a place was out of range */
  Ahead ahead;
} Thread;
typedef struct {
  const int64_t *code, *result, *packing, *finite, *phase, *task;
  const int *tables;
  void *packed;
  Py_ssize_t count, results, packings, finites, phases, arrays, cells, numbers, packs;
  int64_t pace; /* how far a block looks ahead (ahead.h) */
#ifdef TIMED
  _Atomic int64_t *spent; /* nanoseconds of all threads on each instruction */
#endif
  int cell, chunks; /* numbers of a cell, which is the examples of a block; the most chunks of blocks with sums of their own */
} Program;
/* built with -DTIMED, the machine keeps the time of each instruction, for benchmarks/instructions.py; else these are nothing */
#ifdef TIMED
#include <time.h>
static int64_t now(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}
#define TIME_FROM(w) const int64_t *const timed = w; const int64_t begun = now()
#define TIME_TO(p) atomic_fetch_add(&(p)->spent[(timed - (p)->code) / WIDTH], now() - begun)
#else
#define TIME_FROM(w)
#define TIME_TO(p)
#endif
typedef struct Job Job;
typedef struct Pass Pass;
typedef struct {
  const char *set;
  int bytes, lanes, registers;
  void (*block)(const Program *, Thread *, Py_ssize_t, int, const int64_t *);
  int (*pack)(const Program *, void *const *, int, int); /* this and the next: whether all is finite that has to be */
  int (*collect)(const Pass *, int, int);
  void (*update)(Job *, int, int);
} Variant; /* of the interpreter: for one processor instruction set, element type and number of lanes */
/* One program of a run: its arrays are a stretch of those of the run.  A chunk is a stretch of blocks with sums of its own; each is
 * one thread's task.  If there are fewer blocks than threads (``cooperative``), the blocks run one after the other, and the
 * threads share the tasks of each. */
struct Pass {
  const Program *program;
  const Variant *variant;
  void *const *arrays, *const *memory, *const *sums, *const *older; /* older: the sums of a chunk's stretches before this one */
  int chunks, cooperative;
};
struct Job {
  Pass *passes;
  void *const *arrays;
  int count, parts;
  int tested, guard; /* arrays whose numbers must be finite for the updates to be made, or -1; guard: for anything to be right */
  Py_ssize_t examples, updates;
  const int64_t *update;
  atomic_int wrong, infinite;
  atomic_char *taken; /* of each task whether a thread has it */
};
static int least(Py_ssize_t a, Py_ssize_t b) { return (int)(a < b ? a : b); }
/* the pass and its result whose array has this number in the run */
static const Pass *pass_of(const Job *job, int64_t array, const int64_t **result) {
  for (const Pass *pass = job->passes; pass < job->passes + job->count; pass++) {
    const Program *p = pass->program;
    for (const int64_t *r = p->result; r < p->result + p->results * RESULT_WIDTH; r += RESULT_WIDTH)
      if (pass->arrays + r[RESULT_ARRAY] == job->arrays + array) {
        *result = r;
        return pass;
      }
  }
  return 0;
}

#include "variants.h"
#include "threads.h"

/* ---- the Python type */
enum { CODE, TABLES, RESULTS, PACKINGS, FINITES, PHASES, TASKS, PACKED, SPENT, BLOCKS };
typedef struct {
  PyObject_HEAD Program program;
  const Variant *variant;
  void *memory[MOST_THREADS], *older[MOST_THREADS], *sums[MOST_CHUNKS], *blocks[BLOCKS];
} Machine;
/* The threads' memory, which one program after the other uses: nothing in it outlives a program's pass.  In front of it stand
 * zeros that nobody overwrites, of which each program sees the last as its cell of zeros. */
enum { ZEROS = 1024 }; /* bytes */
static struct {
  void *of[MOST_THREADS];
  size_t bytes[MOST_THREADS];
  atomic_long machines; /* that may use it */
} shared;

static void *aligned(size_t bytes) {
  void *p = aligned_memory(128, bytes + 256);
  return p ? memset(p, 0, bytes + 256) : 0;
}
static void *copied(PyObject *bytes) {
  Py_ssize_t n = PyBytes_GET_SIZE(bytes);
  void *p = aligned((size_t)n);
  if (p) memcpy(p, PyBytes_AS_STRING(bytes), (size_t)n);
  return p;
}
static void machine_free(Machine *self) {
  for (int i = 0; i < MOST_THREADS; i++) free_aligned(self->older[i]);
  for (int i = 0; i < MOST_CHUNKS; i++) free_aligned(self->sums[i]);
  for (int i = 0; i < BLOCKS; i++) free_aligned(self->blocks[i]);
  if (atomic_fetch_sub(&shared.machines, 1) == 1) { /* the last one: none runs, since a run holds its own */
    lock(&pool.run);
    for (int i = 0; i < MOST_THREADS; i++) {
      free_aligned(shared.of[i]);
      shared.of[i] = 0;
      shared.bytes[i] = 0;
    }
    unlock(&pool.run);
  }
  Py_TYPE(self)->tp_free((PyObject *)self);
}
static PyObject *machine_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
  PyObject *of[PACKED];
  Program p = {0};
  int bytes, lanes;
  (void)keywords;
  if (!PyArg_ParseTuple(args, "SSSSSSSnnnniiii", &of[CODE], &of[TABLES], &of[RESULTS], &of[PACKINGS], &of[FINITES], &of[PHASES], &of[TASKS], &p.arrays, &p.cells, &p.numbers, &p.packs, &bytes, &lanes, &p.cell, &p.chunks)) return 0;
  const Variant *variant = find_variant(bytes, lanes);
  if (!variant) return PyErr_Format(PyExc_ValueError, "no variant for %d bytes in %d lanes", bytes, lanes);
  Machine *self = (Machine *)type->tp_alloc(type, 0);
  if (!self) return 0;
  atomic_fetch_add(&shared.machines, 1);
  self->variant = variant;
  int failed = !(self->blocks[PACKED] = aligned((size_t)p.packs * (size_t)bytes));
  for (int i = 0; i < PACKED; i++) failed |= !(self->blocks[i] = copied(of[i]));
  if (failed) {
    Py_DECREF(self);
    return PyErr_NoMemory();
  }
  p.code = self->blocks[CODE], p.result = self->blocks[RESULTS], p.packing = self->blocks[PACKINGS], p.tables = self->blocks[TABLES];
  p.finite = self->blocks[FINITES], p.phase = self->blocks[PHASES], p.task = self->blocks[TASKS], p.packed = self->blocks[PACKED];
  p.count = PyBytes_GET_SIZE(of[CODE]) / (8 * WIDTH);
  p.results = PyBytes_GET_SIZE(of[RESULTS]) / (8 * RESULT_WIDTH);
  p.packings = PyBytes_GET_SIZE(of[PACKINGS]) / (8 * PACKING_WIDTH);
  p.finites = PyBytes_GET_SIZE(of[FINITES]) / (8 * FINITE_WIDTH);
  p.phases = PyBytes_GET_SIZE(of[PHASES]) / (8 * PHASE_WIDTH);
#ifdef TIMED
  self->blocks[SPENT] = aligned((size_t)p.count * sizeof *p.spent);
  if (!(p.spent = self->blocks[SPENT])) {
    Py_DECREF(self);
    return PyErr_NoMemory();
  }
#endif
  p.pace = pace_of(p.code, p.count, p.cell, bytes);
  self->program = p;
  return (PyObject *)self;
}
static PyTypeObject MachineType = {PyVarObject_HEAD_INIT(0, 0).tp_name = "autoconv.plan._machine.Machine",
                                   .tp_basicsize = sizeof(Machine),
                                   .tp_dealloc = (destructor)machine_free,
                                   .tp_flags = Py_TPFLAGS_DEFAULT,
                                   .tp_doc = "Machine(code, tables, results, packing, finite, phases, tasks, arrays, cells, numbers, packs, bytes, lanes, cell, chunks): one fused kernel in the machine's own terms.",
                                   .tp_new = machine_new};

/* memory of at least so many bytes for threads ``from`` up to ``to``, beside the zeros; whether there was enough */
static int share_memory(int from, int to, size_t bytes) {
  for (int k = from; k < to; k++) {
    if (shared.bytes[k] >= bytes) continue;
    free_aligned(shared.of[k]);
    shared.bytes[k] = 0;
    if (!(shared.of[k] = aligned(ZEROS + bytes))) return 0;
    shared.bytes[k] = bytes;
  }
  return 1;
}
/* the sums of the chunks of a pass, kept for the next run; whether there was memory enough */
static int provide(Machine *self, int threads, int chunks, int stretches) {
  size_t bytes = (size_t)self->variant->bytes;
  const Program *p = &self->program;
  for (int k = 0; k < threads; k++) self->memory[k] = (char *)shared.of[k] + ZEROS - (size_t)(p->cell > self->variant->lanes ? p->cell : self->variant->lanes) * bytes;
  for (int k = 0; stretches > 1 && k < threads; k++)
    if (!self->older[k] && !(self->older[k] = aligned((size_t)self->program.numbers * bytes))) return 0;
  for (int k = 0; k < chunks; k++)
    if (!self->sums[k] && !(self->sums[k] = aligned((size_t)self->program.numbers * bytes))) return 0;
  return 1;
}
/* Decide how many threads there are and how the passes use them; whether there was memory enough. */
static int prepare(Job *job, PyObject *machines) {
  int parts = 1;
  Py_ssize_t tasks = 0;
  for (int k = 0; k < job->count; k++) {
    const Program *p = job->passes[k].program;
    const Py_ssize_t blocks = (job->examples + p->cell - 1) / p->cell;
    const int cooperative = p->phases > 0;
    int chunks = cooperative || blocks < 1 ? 1 : least(least(blocks, p->chunks), MOST_CHUNKS);
    if (chunks < blocks && chunks > job->parts) chunks -= chunks % job->parts; /* so many for each thread */
    const int useful = cooperative ? job->parts : least(job->parts, chunks);
    job->passes[k].cooperative = cooperative;
    job->passes[k].chunks = chunks;
    if (useful > parts) parts = useful;
    for (Py_ssize_t i = 0; i < p->phases; i++) tasks += blocks * p->phase[i * PHASE_WIDTH + PHASE_COUNT];
    tasks += chunks;
  }
  job->parts = enlist(least(parts, MOST_THREADS));
  size_t most = 0, most_alone = 0; /* of programs of which each thread runs blocks of its own */
  for (int k = 0; k < job->count; k++) {
    const size_t bytes = (size_t)job->passes[k].program->cells * (size_t)job->passes[k].variant->bytes;
    if (bytes > most) most = bytes;
    if (bytes > most_alone && !job->passes[k].cooperative) most_alone = bytes;
  }
  if (!share_memory(0, 1, most) || !share_memory(1, job->parts, most_alone)) return 0;
  for (int k = 0; k < job->count; k++) {
    Pass *pass = &job->passes[k];
    tasks += 2 * job->parts; /* to pack and to collect */
    const Py_ssize_t blocks = (job->examples + pass->program->cell - 1) / pass->program->cell;
    const int stretches = pass->cooperative || blocks / pass->chunks < STRETCH ? 1 : 2; /* or more */
    if (!provide((Machine *)PyTuple_GET_ITEM(machines, k), pass->cooperative ? 1 : job->parts, pass->chunks, stretches)) return 0;
  }
  return (job->taken = calloc((size_t)(tasks + job->parts), sizeof *job->taken)) != 0;
}
/* run(machines, arrays, examples, threads, updates, tested, guard): True; False if a place was out of range or an array that has
 * to be finite, as that of number guard (if given), is not; None if that of number tested is not.  The updates are made only if it is True. */
static PyObject *machine_run(PyObject *module, PyObject *args) {
  PyObject *machines, *list, *updates;
  Job job = {.tested = -1, .guard = -1};
  (void)module;
  if (!PyArg_ParseTuple(args, "O!O!niS|ii", &PyTuple_Type, &machines, &PyList_Type, &list, &job.examples, &job.parts, &updates, &job.tested, &job.guard)) return 0;
  Py_ssize_t count = PyList_GET_SIZE(list), held = 0, used = 0;
  job.count = (int)PyTuple_GET_SIZE(machines);
  job.updates = PyBytes_GET_SIZE(updates) / (8 * UPDATE_WIDTH);
  job.update = (const int64_t *)PyBytes_AS_STRING(updates);
  Py_buffer *views = calloc((size_t)count + 1, sizeof *views);
  void **arrays = calloc((size_t)count + 1, sizeof *arrays);
  Pass *passes = job.passes = calloc((size_t)job.count + 1, sizeof *passes);
  job.arrays = arrays;
  int failed = !views || !arrays || !passes, enough = !failed;
  for (int k = 0; !failed && k < job.count; k++) {
    Machine *one = (Machine *)PyTuple_GET_ITEM(machines, k);
    if ((failed = Py_TYPE(one) != &MachineType || used + one->program.arrays > count)) PyErr_SetString(PyExc_ValueError, "run: machines and arrays do not agree");
    else passes[k] = (Pass){&one->program, one->variant, arrays + used, one->memory, one->sums, one->older, 1, 0}, used += one->program.arrays;
  }
  for (; !failed && held < count; held++) {
    if (PyList_GET_ITEM(list, held) == Py_None) continue;
    if ((failed = PyObject_GetBuffer(PyList_GET_ITEM(list, held), &views[held], PyBUF_C_CONTIGUOUS))) break;
    arrays[held] = views[held].buf;
  }
  if (!failed) {
    Py_BEGIN_ALLOW_THREADS;
    lock(&pool.run);
    if ((enough = prepare(&job, machines))) run_job(&job);
    unlock(&pool.run);
    Py_END_ALLOW_THREADS;
  }
  while (held > 0)
    if (views[--held].obj) PyBuffer_Release(&views[held]);
  free(views);
  free(arrays);
  free(passes);
  free(job.taken);
  if (!enough) return PyErr_NoMemory();
  if (failed) return 0;
  if (atomic_load(&job.infinite)) Py_RETURN_NONE;
  return PyBool_FromLong(!atomic_load(&job.wrong));
}
/* variants(): (processor instruction set, bytes of an element, lanes, vector registers, whether a vector is taken in two halves) of
 * each variant that this processor runs */
static PyObject *variants(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  PyObject *list = PyList_New(0);
  for (const Variant *k = all_variants; list && k->set; k++) {
    if (!supported(k->set)) continue;
    PyObject *item = Py_BuildValue("siiii", k->set, k->bytes, k->lanes, k->registers, k->bytes * k->lanes == 64 && in_halves());
    if (!item || PyList_Append(list, item)) Py_CLEAR(list);
    Py_XDECREF(item);
  }
  return list;
}
#ifdef TIMED
/* spent(machine): the nanoseconds on each of its instructions since it was asked last, as bytes of int64 */
static PyObject *spent(PyObject *module, PyObject *machine) {
  (void)module;
  if (Py_TYPE(machine) != &MachineType) return PyErr_Format(PyExc_TypeError, "spent: a machine is wanted");
  Program *p = &((Machine *)machine)->program;
  PyObject *bytes = PyBytes_FromStringAndSize(0, p->count * (Py_ssize_t)sizeof(int64_t));
  for (Py_ssize_t i = 0; bytes && i < p->count; i++) {
    const int64_t one = atomic_exchange(&p->spent[i], 0);
    memcpy(PyBytes_AS_STRING(bytes) + i * (Py_ssize_t)sizeof one, &one, sizeof one);
  }
  return bytes;
}
#endif
static PyMethodDef functions[] = {
#ifdef TIMED
    {"spent", spent, METH_O, "The nanoseconds on each instruction of a machine since it was asked last."},
#endif
    {"variants", variants, METH_NOARGS, "(processor instruction set, bytes of an element, lanes, vector registers, whether a vector is taken in two halves) of each variant that this processor can run."},
    {"run", machine_run, METH_VARARGS, "run(machines, arrays, examples, threads, updates, tested=-1, guard=-1): run the programs in order, then make the updates; no update and False if a place was out of range or the array number guard is not finite, None if the array number tested is not finite."},
    {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_machine", "The native machine of compiled tapes.", -1, functions};

PyMODINIT_FUNC PyInit__machine(void) {
  if (PyType_Ready(&MachineType) < 0) return 0;
  PyObject *m = PyModule_Create(&module);
  if (!m) return 0;
  Py_INCREF(&MachineType);
  if (PyModule_AddObject(m, "Machine", (PyObject *)&MachineType) < 0) return 0;
  if (PyModule_AddStringConstant(m, "instruction_set", INSTRUCTION_SET) < 0) return 0;
  when_forked(after_fork);
  return m;
}
