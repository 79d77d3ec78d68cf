/* Memory for rows: small pieces as Python has them, large ones in huge pages where the system has such.
 *
 * A recording writes every row once, so in new memory most of its time goes into the first touch of each page.  A huge
 * page is touched once for every five hundred small ones. */
#include "scalar.h"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

#define SMALL_ROOM 8192 /* rows: what is larger has memory of its own */

#ifdef MADV_HUGEPAGE

#define HUGE_PAGE ((size_t)1 << 21)
#define TRACED 0x61757463 /* the domain of this memory for tracemalloc */

static size_t pages(Py_ssize_t room) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return ((size_t)room * sizeof(Row) + page - 1) / page * page;
}

/* So many rows from a multiple of a huge page on. */
static Row *map_rows(Py_ssize_t room) {
    size_t size = pages(room);
    char *found = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)found % HUGE_PAGE) % HUGE_PAGE, after = HUGE_PAGE - before;
    if (before) munmap(found, before);
    if (after) munmap(found + before + size, after);
    madvise(found + before, size, MADV_HUGEPAGE); /* a wish: without huge pages all is as before */
    PyTraceMalloc_Track(TRACED, (uintptr_t)(found + before), (size_t)room * sizeof(Row));
    return (Row *)(found + before);
}

static void unmap_rows(Row *rows, Py_ssize_t room) {
    PyTraceMalloc_Untrack(TRACED, (uintptr_t)rows);
    munmap(rows, pages(room));
}

static void shorten(Row *rows, Py_ssize_t room, Py_ssize_t wanted) {
    PyTraceMalloc_Track(TRACED, (uintptr_t)rows, (size_t)wanted * sizeof(Row));
    if (pages(wanted) < pages(room)) munmap((char *)rows + pages(wanted), pages(room) - pages(wanted));
}

#else

static Row *map_rows(Py_ssize_t room) { return PyMem_Malloc((size_t)room * sizeof(Row)); }
static void unmap_rows(Row *rows, Py_ssize_t room) { PyMem_Free(rows); }
static void shorten(Row *rows, Py_ssize_t room, Py_ssize_t wanted) { PyMem_Realloc(rows, (size_t)wanted * sizeof(Row)); }

#endif

Row *rows_new(Py_ssize_t room) {
    return room > SMALL_ROOM ? map_rows(room) : PyMem_Malloc((size_t)room * sizeof(Row));
}

void rows_free(Row *rows, Py_ssize_t room) {
    if (rows && room > SMALL_ROOM) unmap_rows(rows, room);
    else PyMem_Free(rows);
}

/* The next larger room; what outgrows the small ones goes to "limit" at once, for memory that is not touched costs nothing. */
Py_ssize_t rows_more(Py_ssize_t room, Py_ssize_t limit) {
    return room < SMALL_ROOM || room >= limit ? 2 * room : limit;
}

/* The first "count" of these rows in memory for "wanted" ones; NULL, and all is as it was, if there is none. */
Row *rows_resized(Row *rows, Py_ssize_t count, Py_ssize_t room, Py_ssize_t wanted) {
    if (room <= SMALL_ROOM && wanted <= SMALL_ROOM) return PyMem_Realloc(rows, (size_t)wanted * sizeof(Row));
    if (wanted > SMALL_ROOM && wanted < room) {
        shorten(rows, room, wanted);
        return rows;
    }
    Row *made = rows_new(wanted);
    if (!made) return NULL;
    memcpy(made, rows, (size_t)count * sizeof(Row));
    rows_free(rows, room);
    return made;
}
