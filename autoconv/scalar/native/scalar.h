/* What the files of this extension share: rows, segments, Scalars.  The design is that of recording.py; read that first. */
#ifndef AUTOCONV_SCALAR_H
#define AUTOCONV_SCALAR_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "table.h" /* the codes of operations, as in rules.py, and their rules */

/* An operation in 24 bytes.  As an operand, a number has row 0 and stands in the place of its derivative; a row for an input
 * or an older Scalar has its value there.  The values of the others follow from these. */
typedef struct {
    double da, db;
    uint32_t a;
    uint32_t b_code; /* the second operand, and the operation in the upper 8 bits */
} Row;

#define CODE_SHIFT 24
#define ROW_MASK ((UINT32_C(1) << CODE_SHIFT) - 1)
#define MAX_LIMIT ((Py_ssize_t)ROW_MASK)

struct Segment;

typedef struct {
    PyObject_HEAD
    double value;
    struct Segment *home; /* where its row stands: owned by a computed Scalar, borrowed by an input (closing takes it away) */
    uint32_t row;
    uint32_t computed;
    double grad;    /* of an input; a computed Scalar's is in its segment */
    PyObject *name; /* of an input */
    PyObject *weak;
} Scalar;

typedef struct {
    uint32_t row;
    Scalar *leaf;
} Leaf;

typedef struct {
    uint32_t row, there;
    struct Segment *home;
} Older;

typedef struct Segment {
    PyObject_HEAD
    Row *rows;
    Py_ssize_t count, space; /* rows written; how many may be written without asking (0 when closed) */
    Py_ssize_t room, limit;  /* rows allocated; rows allowed (0 when closed) */
    uint64_t serial;
    Leaf *leaves;
    Older *older;
    Py_ssize_t leaf_count, leaf_room, older_count, older_room;
    uint32_t *places; /* hash table of older: its index + 1, or 0 */
    Py_ssize_t place_room;
    double *grads, *pending; /* of rows after a sweep; of rows while a sweep is under way */
    Py_ssize_t grad_count, last;
    PyObject *names;             /* {row: name} or NULL */
    struct Segment *before, *after; /* neighbours among the open segments; "after" also links those that wait to be freed */
    unsigned long thread;
    int passed;       /* release has passed it by, because somebody else held it */
    Py_ssize_t reads; /* scratch of release */
    char *marks;
} Segment;

extern PyTypeObject ScalarType, SegmentType;
extern Py_ssize_t segment_limit, segments_alive;

/* memory.c */
Row *rows_new(Py_ssize_t room);
void rows_free(Row *rows, Py_ssize_t room);
Py_ssize_t rows_more(Py_ssize_t room, Py_ssize_t limit);
Row *rows_resized(Row *rows, Py_ssize_t count, Py_ssize_t room, Py_ssize_t wanted);

/* segment.c */
Segment *segment_meet(Scalar *x, Scalar *y, uint32_t *a, uint32_t *b);
Segment *segment_open(void);
void segment_close(Segment *segment);
void segment_ancestors(const Segment *segment, char *marks, Py_ssize_t last);

/* sweep.c */
int sweep(Segment *segment, uint32_t row);

/* arithmetic.c */
extern PyObject *scalar_real;
Scalar *scalar_blank(void);
void scalar_dealloc(PyObject *self);
int scalar_number(PyObject *x, double *value);
int scalar_refused(void);
PyObject *scalar_watch(PyObject *module, PyObject *text);
PyObject *scalar_record(PyObject *module, PyObject *args);

/* scalar.c: the rows of the table that table.h lacks have the codes from CODES on, and a rule in Python */
extern PyObject *other_rule;
PyObject *scalar_extend(PyObject *module, PyObject *args);
int other_arity(int code);
PyObject *scalar_add(PyObject *x, PyObject *y), *scalar_sub(PyObject *x, PyObject *y), *scalar_mul(PyObject *x, PyObject *y);
PyObject *scalar_div(PyObject *x, PyObject *y), *scalar_power(PyObject *x, PyObject *y, PyObject *modulus);
PyObject *scalar_neg(PyObject *x), *scalar_pos(PyObject *x), *scalar_abs(PyObject *x);
PyObject *scalar_exp(PyObject *, PyObject *), *scalar_log(PyObject *, PyObject *), *scalar_sqrt(PyObject *, PyObject *);
PyObject *scalar_tanh(PyObject *, PyObject *), *scalar_sin(PyObject *, PyObject *), *scalar_cos(PyObject *, PyObject *);
PyObject *scalar_relu(PyObject *, PyObject *), *scalar_sigmoid(PyObject *, PyObject *);
PyObject *scalar_maximum(PyObject *, PyObject *, PyObject *), *scalar_minimum(PyObject *, PyObject *, PyObject *);

/* scalar.c */
int scalar_ready(void);

/* replay.c */
PyObject *replay_vectors(PyObject *module, PyObject *args);
extern PyTypeObject ProgramType;

#endif
