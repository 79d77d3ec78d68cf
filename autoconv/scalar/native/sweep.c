/* The sweep back over segments, youngest first, each row by row (see sweep and pull in recording.py). */
#include "scalar.h"

typedef struct {
    Segment **items; /* a heap: the youngest segment first */
    Py_ssize_t count, room;
} Heap;

static int push(Heap *heap, Segment *segment) {
    if (heap->count == heap->room) {
        Py_ssize_t room = heap->room ? heap->room * 2 : 16;
        Segment **items = PyMem_Realloc(heap->items, room * sizeof(Segment *));
        if (!items) return -1;
        heap->items = items;
        heap->room = room;
    }
    Py_ssize_t k = heap->count++;
    for (; k && heap->items[(k - 1) / 2]->serial < segment->serial; k = (k - 1) / 2)
        heap->items[k] = heap->items[(k - 1) / 2];
    heap->items[k] = segment;
    return 0;
}

static Segment *pop(Heap *heap) {
    Segment *first = heap->items[0], *moved = heap->items[--heap->count];
    Py_ssize_t k = 0;
    for (Py_ssize_t child; (child = 2 * k + 1) < heap->count; k = child) {
        if (child + 1 < heap->count && heap->items[child + 1]->serial > heap->items[child]->serial) child++;
        if (heap->items[child]->serial <= moved->serial) break;
        heap->items[k] = heap->items[child];
    }
    heap->items[k] = moved;
    return first;
}

/* Add a cotangent to a row of a segment that still waits. */
static int seed(Heap *heap, Segment *segment, uint32_t row, double g) {
    if (!segment->pending) {
        segment->pending = PyMem_Calloc(segment->count, sizeof(double));
        segment->last = 0;
        if (!segment->pending) return -1;
        if (push(heap, segment) < 0) {
            PyMem_Free(segment->pending);
            segment->pending = NULL;
            return -1;
        }
    }
    segment->pending[row] += g;
    if ((Py_ssize_t)row > segment->last) segment->last = row;
    return 0;
}

/* A row with cotangent 0 passes nothing on (0 times an infinite slope is 0 here).
 *
 * Most operations read the one before them, whose cotangent is wanted at once.  It is added up in "next" as well as in memory:
 * in a chain, waiting for the number just stored to be loaded again takes longer than all the rest. */
static void pull(const Row *restrict rows, double *restrict g, Py_ssize_t last) {
    double here = g[last];
    for (Py_ssize_t row = last; row > 0; row--) {
        double next = g[row - 1];
        if (here != 0) {
            const Py_ssize_t a = rows[row].a, b = rows[row].b_code & ROW_MASK;
            double to_a = here * rows[row].da, to_b = here * rows[row].db;
            if (here - here != 0 && CHOOSES(rows[row].b_code >> CODE_SHIFT)) { /* infinite or NaN, and a slope of 0 that was chosen */
                to_a = rows[row].da == 0 ? 0 : to_a;
                to_b = rows[row].db == 0 ? 0 : to_b;
            }
            g[a] += to_a;
            g[b] += to_b;
            next = a == row - 1 ? next + to_a : next;
            next = b == row - 1 ? next + to_b : next;
        }
        here = next;
    }
    g[0] = 0;
}

/* Keep the cotangents of a segment, added to those of earlier sweeps. */
static void keep(Segment *s) {
    if (s->grad_count > s->last + 1) {
        for (Py_ssize_t k = 0; k <= s->last; k++) s->grads[k] += s->pending[k];
        PyMem_Free(s->pending);
    } else {
        for (Py_ssize_t k = 0; k < s->grad_count; k++) s->pending[k] += s->grads[k];
        PyMem_Free(s->grads);
        s->grads = s->pending;
        s->grad_count = s->last + 1;
    }
    s->pending = NULL;
}

/* Add the derivatives of a row to the gradients of everything it was computed from; -1 if there is no memory for them. */
int sweep(Segment *segment, uint32_t row) {
    Heap heap = {NULL, 0, 0};
    int failed = seed(&heap, segment, row, 1.0);
    while (!failed && heap.count) {
        Segment *s = pop(&heap);
        segment_close(s);
        pull(s->rows, s->pending, s->last);
        for (Py_ssize_t k = 0; k < s->leaf_count; k++)
            if ((Py_ssize_t)s->leaves[k].row <= s->last) s->leaves[k].leaf->grad += s->pending[s->leaves[k].row];
        for (Py_ssize_t k = 0; k < s->older_count && !failed; k++) {
            const Older *older = &s->older[k];
            if ((Py_ssize_t)older->row <= s->last && s->pending[older->row] != 0)
                failed = seed(&heap, older->home, older->there, s->pending[older->row]);
        }
        keep(s);
    }
    for (Py_ssize_t k = 0; k < heap.count; k++) {
        PyMem_Free(heap.items[k]->pending);
        heap.items[k]->pending = NULL;
    }
    PyMem_Free(heap.items);
    if (failed) PyErr_NoMemory();
    return failed;
}
