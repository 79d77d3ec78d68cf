/* Segments: stretches of recording, freed without recursion when nobody holds them any more (see recording.py).
 *
 * Which segment is open for a thread is looked up among the open ones, which nobody owns: a segment lives as long as a
 * computed Scalar or a younger segment holds it.  Closing gives an oversized buffer back, so that a long recording writes
 * into memory that is already there. */
#include "scalar.h"
#include "rules.h"

Py_ssize_t segment_limit = (1 << 22) / sizeof(Row), segments_alive = 0; /* 4 MB: two huge pages (memory.c) */

static uint64_t next_serial = 1;
static Segment *open_segments = NULL;

/* ---- buffers of rows */

#define SPARES 4
#define FIRST_ROOM 64
static struct { Row *rows; Py_ssize_t room; } spares[SPARES];

static void give_back(Row *rows, Py_ssize_t room) {
    int smallest = 0;
    for (int k = 1; k < SPARES; k++)
        if (spares[k].room < spares[smallest].room) smallest = k;
    if (room > spares[smallest].room) {
        rows_free(spares[smallest].rows, spares[smallest].room);
        spares[smallest].rows = rows;
        spares[smallest].room = room;
    } else
        rows_free(rows, room);
}

static Row *take(Py_ssize_t *room) {
    int largest = 0;
    for (int k = 1; k < SPARES; k++)
        if (spares[k].room > spares[largest].room) largest = k;
    Row *rows = spares[largest].rows;
    *room = spares[largest].room;
    spares[largest].rows = NULL;
    spares[largest].room = 0;
    if (!rows) {
        *room = FIRST_ROOM;
        rows = rows_new(FIRST_ROOM);
    }
    return rows;
}

static void set_space(Segment *s) { s->space = s->room < s->limit ? s->room : s->limit; }

static int reserve(Segment *s, Py_ssize_t more) {
    if (s->count + more <= s->room) return 0;
    Py_ssize_t room = rows_more(s->room, s->limit);
    Row *rows = rows_resized(s->rows, s->count, s->room, room);
    if (!rows) {
        PyErr_NoMemory();
        return -1;
    }
    s->rows = rows;
    s->room = room;
    set_space(s);
    return 0;
}

/* Give back what an array has too much. */
static void fit(void **entries, Py_ssize_t count, Py_ssize_t *room, size_t size) {
    void *made = count && count < *room ? PyMem_Realloc(*entries, count * size) : NULL;
    if (!made) return;
    *entries = made;
    *room = count;
}

static int grow(void **entries, Py_ssize_t count, Py_ssize_t *room, size_t size) {
    if (count < *room) return 0;
    Py_ssize_t more = *room ? *room * 2 : 8;
    void *made = PyMem_Realloc(*entries, more * size);
    if (!made) {
        PyErr_NoMemory();
        return -1;
    }
    *entries = made;
    *room = more;
    return 0;
}

/* ---- opening, closing, freeing */

Segment *segment_open(void) {
    unsigned long thread = PyThread_get_thread_ident();
    for (Segment *s = open_segments; s; s = s->after)
        if (s->thread == thread) return s;
    return NULL;
}

static Segment *segment_new(void) {
    Segment *s = PyObject_New(Segment, &SegmentType);
    if (!s) return NULL;
    memset((char *)s + sizeof(PyObject), 0, sizeof(Segment) - sizeof(PyObject));
    s->rows = take(&s->room);
    if (!s->rows) {
        PyObject_Free(s);
        return (Segment *)PyErr_NoMemory();
    }
    memset(s->rows, 0, sizeof(Row));
    s->count = 1;
    s->limit = segment_limit;
    set_space(s);
    s->serial = next_serial++;
    s->thread = PyThread_get_thread_ident();
    s->after = open_segments;
    if (open_segments) open_segments->before = s;
    open_segments = s;
    segments_alive++;
    return s;
}

/* Take no more rows, and let the inputs go: they enter the next segment afresh. */
static void stop(Segment *s) {
    s->limit = s->space = 0;
    for (Py_ssize_t k = 0; k < s->leaf_count; k++)
        if (s->leaves[k].leaf->home == s) s->leaves[k].leaf->home = NULL;
    PyMem_Free(s->places);
    s->places = NULL;
    s->place_room = 0;
    if (s->before) s->before->after = s->after;
    else open_segments = s->after;
    if (s->after) s->after->before = s->before;
    s->before = s->after = NULL;
}

void segment_close(Segment *s) {
    if (!s->limit) return;
    stop(s);
    fit((void **)&s->leaves, s->leaf_count, &s->leaf_room, sizeof(Leaf));
    fit((void **)&s->older, s->older_count, &s->older_room, sizeof(Older));
    if (s->count == s->room) return;
    const int mostly_free = s->count * 2 <= s->room;
    Row *rows = mostly_free ? rows_new(s->count) : rows_resized(s->rows, s->count, s->room, s->count);
    if (!rows) return;
    if (mostly_free) {
        memcpy(rows, s->rows, (size_t)s->count * sizeof(Row));
        give_back(s->rows, s->room);
    }
    s->rows = rows;
    s->room = s->count;
}

static void segment_free(Segment *s) {
    give_back(s->rows, s->room);
    for (Py_ssize_t k = 0; k < s->leaf_count; k++) Py_DECREF(s->leaves[k].leaf);
    for (Py_ssize_t k = 0; k < s->older_count; k++) Py_DECREF(s->older[k].home);
    Py_XDECREF(s->names);
    PyMem_Free(s->leaves);
    PyMem_Free(s->older);
    PyMem_Free(s->grads);
    PyObject_Free(s);
    segments_alive--;
}

/* A segment that goes may be the last to hold an older one, and so on: they wait in a list instead of in the C stack. */
static void segment_dealloc(PyObject *self) {
    static Segment *waiting = NULL;
    static int freeing = 0;
    Segment *s = (Segment *)self;
    if (s->limit) stop(s);
    s->after = waiting;
    waiting = s;
    if (freeing) return;
    freeing = 1;
    while (waiting) {
        s = waiting;
        waiting = s->after;
        segment_free(s);
    }
    freeing = 0;
}

/* ---- Scalars from elsewhere */

static uint32_t *place(Segment *s, const Segment *home, uint32_t there) {
    uint64_t hash = ((uint64_t)(uintptr_t)home >> 4) * UINT64_C(0x9E3779B97F4A7C15) + there;
    hash = (hash ^ hash >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    for (Py_ssize_t k = (Py_ssize_t)(hash >> 32) & (s->place_room - 1);; k = (k + 1) & (s->place_room - 1)) {
        uint32_t found = s->places[k];
        if (!found || (s->older[found - 1].home == home && s->older[found - 1].there == there)) return &s->places[k];
    }
}

static int more_places(Segment *s) {
    if ((s->older_count + 1) * 2 <= s->place_room) return 0;
    Py_ssize_t room = s->place_room ? s->place_room * 2 : 16;
    uint32_t *made = PyMem_Calloc(room, sizeof(uint32_t));
    if (!made) {
        PyErr_NoMemory();
        return -1;
    }
    PyMem_Free(s->places);
    s->places = made;
    s->place_room = room;
    for (Py_ssize_t k = 0; k < s->older_count; k++)
        *place(s, s->older[k].home, s->older[k].there) = (uint32_t)k + 1;
    return 0;
}

/* The row of x in s, which has room; written if it is not here yet. */
static int enter(Segment *s, Scalar *x, uint32_t *row) {
    if (x->home == s) {
        *row = x->row;
        return 0;
    }
    *row = (uint32_t)s->count;
    if (x->computed) {
        if (more_places(s) < 0 || grow((void **)&s->older, s->older_count, &s->older_room, sizeof(Older)) < 0) return -1;
        uint32_t *at = place(s, x->home, x->row);
        if (*at) {
            *row = s->older[*at - 1].row;
            return 0;
        }
        s->older[s->older_count] = (Older){*row, x->row, x->home};
        Py_INCREF(x->home);
        *at = (uint32_t)++s->older_count;
    } else {
        if (grow((void **)&s->leaves, s->leaf_count, &s->leaf_room, sizeof(Leaf)) < 0) return -1;
        s->leaves[s->leaf_count++] = (Leaf){*row, x};
        Py_INCREF(x);
        x->home = s;
        x->row = *row;
    }
    s->rows[s->count++] = (Row){x->value, 0, 0, (uint32_t)(x->computed ? OLDER : LEAF) << CODE_SHIFT};
    return 0;
}

/* Mark all rows that the marked ones up to "last" were computed from. */
void segment_ancestors(const Segment *s, char *marks, Py_ssize_t last) {
    for (Py_ssize_t row = last; row > 0; row--)
        if (marks[row]) marks[s->rows[row].a] = marks[s->rows[row].b_code & ROW_MASK] = 1;
    marks[0] = 0;
}

/* Read on a level: segments of which each is held by the one above alone. */
typedef struct {
    Segment **items;
    Py_ssize_t count;
} Level;

/* The segments that those of a level read and nobody else holds.  All of them are marked for what is read there if "all", else
 * those that were held by somebody else when they were looked at last. */
static Level below(Level level, int all) {
    Level found = {NULL, 0};
    Py_ssize_t most = 0;
    for (Py_ssize_t i = 0; i < level.count; i++) most += level.items[i]->older_count;
    if (most) found.items = PyMem_Malloc(most * sizeof(Segment *));
    if (!found.items) return found;
    for (Py_ssize_t i = 0; i < level.count; i++)
        for (Py_ssize_t k = 0; k < level.items[i]->older_count; k++) level.items[i]->older[k].home->reads++;
    for (Py_ssize_t i = 0; i < level.count; i++)
        for (Py_ssize_t k = 0; k < level.items[i]->older_count; k++) {
            Segment *home = level.items[i]->older[k].home;
            if (home->reads > 0 && home->older_count) {
                if (home->reads != Py_REFCNT(home)) home->passed = 1;
                else {
                    found.items[found.count++] = home;
                    if (all || home->passed) home->marks = PyMem_Calloc(home->count, 1);
                }
            }
            home->reads = 0;
            if (home->marks) home->marks[level.items[i]->older[k].there] = 1;
        }
    return found;
}

/* Let go what the segments that s reads hold in vain (release in recording.py). */
static void release(Segment *s) {
    Level level = {&s, 1};
    for (int first = 1; level.count; first = 0) {
        Level next = below(level, first);
        Py_ssize_t dropped_count = 0, most = 0;
        for (Py_ssize_t i = 0; i < next.count; i++) most += next.items[i]->marks ? next.items[i]->older_count : 0;
        Segment **dropped = most ? PyMem_Malloc(most * sizeof(Segment *)) : NULL;
        for (Py_ssize_t i = 0; i < next.count; i++) {
            Segment *home = next.items[i];
            if (!home->marks) continue;
            if (dropped) {
                Py_ssize_t kept = 0;
                segment_ancestors(home, home->marks, home->count - 1);
                for (Py_ssize_t j = 0; j < home->older_count; j++)
                    if (home->marks[home->older[j].row]) home->older[kept++] = home->older[j];
                    else dropped[dropped_count++] = home->older[j].home;
                home->older_count = kept;
                home->passed = 0;
            }
            PyMem_Free(home->marks);
            home->marks = NULL;
        }
        for (Py_ssize_t k = 0; k < dropped_count; k++) Py_DECREF(dropped[k]);
        PyMem_Free(dropped);
        if (!first) PyMem_Free(level.items);
        level = next;
    }
    if (level.items != &s) PyMem_Free(level.items);
}

/* The thread's open segment as a new reference, with room for one more row, and the rows in it of x and y (may be NULL).
 * What a segment reads is closed and older than itself, so that a sweep can go segment by segment. */
Segment *segment_meet(Scalar *x, Scalar *y, uint32_t *a, uint32_t *b) {
    Segment *s = segment_open();
    Scalar *both[2] = {x, y};
    int full = !s || s->count + (y ? 2 : 1) >= s->limit;
    for (int k = 0; k < 2; k++)
        if (both[k] && both[k]->computed && both[k]->home != s) {
            segment_close(both[k]->home);
            full = full || both[k]->home->serial > s->serial;
        }
    if (full) {
        if (s) {
            Py_INCREF(s);
            release(s);
            segment_close(s);
            Py_DECREF(s);
        }
        s = segment_new();
        if (!s) return NULL;
    } else
        Py_INCREF(s);
    if (reserve(s, 3) < 0 || enter(s, x, a) < 0 || (y && enter(s, y, b) < 0)) {
        Py_DECREF(s);
        return NULL;
    }
    return s;
}

/* ---- what flatten.py reads */

static PyObject *get_serial(PyObject *self, void *closure) {
    return PyLong_FromUnsignedLongLong(((Segment *)self)->serial);
}

static PyObject *get_leaves(PyObject *self, void *closure) {
    Segment *s = (Segment *)self;
    PyObject *list = PyList_New(s->leaf_count);
    for (Py_ssize_t k = 0; list && k < s->leaf_count; k++) {
        PyObject *entry = Py_BuildValue("(IO)", s->leaves[k].row, s->leaves[k].leaf);
        if (!entry) Py_CLEAR(list);
        else PyList_SET_ITEM(list, k, entry);
    }
    return list;
}

static PyObject *get_older(PyObject *self, void *closure) {
    Segment *s = (Segment *)self;
    PyObject *list = PyList_New(s->older_count);
    for (Py_ssize_t k = 0; list && k < s->older_count; k++) {
        PyObject *entry = Py_BuildValue("(IOI)", s->older[k].row, s->older[k].home, s->older[k].there);
        if (!entry) Py_CLEAR(list);
        else PyList_SET_ITEM(list, k, entry);
    }
    return list;
}

static PyObject *get_names(PyObject *self, void *closure) {
    Segment *s = (Segment *)self;
    if (!s->names) return PyDict_New();
    Py_INCREF(s->names);
    return s->names;
}

static PyObject *segment_bytes(PyObject *self, PyObject *unused) {
    Segment *s = (Segment *)self;
    return PyBytes_FromStringAndSize((const char *)s->rows, s->count * (Py_ssize_t)sizeof(Row));
}

/* The value of an operation whose rule is Python's; -1 for an error. */
static int other_value(int code, double x, double y, double *value) {
    const int arity = other_arity(code);
    PyObject *found = arity == 2 ? PyObject_CallFunction(other_rule, "idd", code, x, y)
                      : arity    ? PyObject_CallFunction(other_rule, "id", code, x)
                                 : NULL;
    if (!found) return -1;
    *value = PyTuple_Check(found) && PyTuple_GET_SIZE(found) ? PyFloat_AsDouble(PyTuple_GET_ITEM(found, 0)) : -1;
    Py_DECREF(found);
    return *value == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *segment_values(PyObject *self, PyObject *unused) {
    Segment *s = (Segment *)self;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, s->count * (Py_ssize_t)sizeof(double));
    if (!bytes) return NULL;
    double *values = (double *)PyBytes_AS_STRING(bytes), dx, dy;
    for (Py_ssize_t k = 0; k < s->count; k++) {
        const Row *row = s->rows + k;
        const uint32_t a = row->a, b = row->b_code & ROW_MASK;
        const int code = (int)(row->b_code >> CODE_SHIFT);
        if (code <= OLDER) values[k] = row->da;
        else if (code >= CODES) {
            if (other_value(code, a ? values[a] : row->da, b ? values[b] : row->db, &values[k]) < 0) {
                Py_DECREF(bytes);
                return NULL;
            }
        } else if (HAS_TWO(code))
            rule_of_two(code, a ? values[a] : row->da, b ? values[b] : row->db, &values[k], &dx, &dy);
        else
            rule_of_one(code, values[a], &values[k], &dx);
    }
    return bytes;
}

static PyObject *segment_needed(PyObject *self, PyObject *rows) {
    Segment *s = (Segment *)self;
    Py_ssize_t last = 0;
    PyObject *marks = PyByteArray_FromStringAndSize(NULL, s->count), *item;
    PyObject *iterator = marks ? PyObject_GetIter(rows) : NULL;
    if (!iterator) {
        Py_XDECREF(marks);
        return NULL;
    }
    memset(PyByteArray_AS_STRING(marks), 0, s->count);
    while ((item = PyIter_Next(iterator))) {
        Py_ssize_t row = PyLong_AsSsize_t(item);
        Py_DECREF(item);
        if (row < 0 || row >= s->count) {
            if (!PyErr_Occurred()) PyErr_SetString(PyExc_IndexError, "needed: no such row");
            break;
        }
        PyByteArray_AS_STRING(marks)[row] = 1;
        last = row > last ? row : last;
    }
    Py_DECREF(iterator);
    if (PyErr_Occurred()) {
        Py_DECREF(marks);
        return NULL;
    }
    segment_ancestors(s, PyByteArray_AS_STRING(marks), last);
    return marks;
}

static PyGetSetDef segment_getset[] = {
    {"serial", get_serial, NULL, "Younger segments have larger ones.", NULL},
    {"leaves", get_leaves, NULL, "(row, input) for each input that was read.", NULL},
    {"older", get_older, NULL, "(row, segment, its row) for each Scalar of an older segment.", NULL},
    {"names", get_names, NULL, "{row: name}", NULL},
    {NULL},
};

static PyMethodDef segment_methods[] = {
    {"bytes", segment_bytes, METH_NOARGS, "The rows as they stand in memory."},
    {"values", segment_values, METH_NOARGS, "The values of the rows, calculated again."},
    {"needed", segment_needed, METH_O, "A mark for each row that the given ones were computed from."},
    {NULL},
};

PyTypeObject SegmentType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "autoconv.scalar._native.Segment",
    .tp_doc = "A stretch of recording.",
    .tp_basicsize = sizeof(Segment),
    .tp_dealloc = segment_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_getset = segment_getset,
    .tp_methods = segment_methods,
};
