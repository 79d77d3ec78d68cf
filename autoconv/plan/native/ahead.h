/* Looking ahead: while the contractions of a block keep the processor busy, what the next block loads and stores is brought into
 * the cache that a processor has to itself, a few cache lines at a time, as fast as the work of a block allows for.
 */
enum { LINE = 64 };     /* bytes of a cache line */
enum { PRODUCTS = 64 }; /* products of vectors that are made at least while a line is brought from far */
enum { MOST = 64 };     /* lines at a time */
typedef struct {
  const int64_t *next, *last; /* the instructions whose arrays are still to come */
  const char *at, *end;       /* what is left of the array that is being brought */
  void *const *arrays;
  Py_ssize_t first, examples; /* the next block */
  int64_t pace;               /* lines for 65536 products */
  int bytes;                  /* of a number */
} Ahead;
_Static_assert((int)LOAD_ARRAY == (int)STORE_ARRAY && (int)LOAD_COUNT == (int)STORE_COUNT, "read alike here");
_Static_assert((int)GEMM_WORK == (int)DOT_WORK && (int)GEMM_WORK == (int)LANEWISE_WORK, "read alike here");

/* lines for 65536 products of vectors in a program whose blocks have so many examples */
static int64_t pace_of(const int64_t *code, Py_ssize_t count, Py_ssize_t examples, int bytes) {
  int64_t work = 0, lines = 0;
  for (const int64_t *w = code; w < code + count * WIDTH; w += WIDTH) {
    if (w[0] == LOAD || w[0] == STORE) lines += w[LOAD_COUNT] * examples * bytes / LINE;
    if (w[0] == GEMM || w[0] == DOT || w[0] == LANEWISE) work += w[GEMM_WORK];
  }
  const int64_t pace = work ? lines * 65536 / work + 1 : 0;
  return pace < 65536 / PRODUCTS ? pace : 65536 / PRODUCTS;
}
/* go on to the next array, if this one has come */
static inline void next_ahead(Ahead *a) {
  for (; a->at >= a->end && a->next < a->last; a->next += WIDTH) {
    const int64_t *w = a->next;
    if ((w[0] != LOAD && w[0] != STORE) || !a->arrays[w[LOAD_ARRAY]]) continue;
    a->at = (const char *)a->arrays[w[LOAD_ARRAY]] + a->first * w[LOAD_COUNT] * a->bytes;
    a->end = a->at + a->examples * w[LOAD_COUNT] * a->bytes;
  }
}
/* so many products will be made */
static inline __attribute__((always_inline)) void look_ahead(Ahead *a, int64_t products) {
  const char *at = a->at;
  if (at >= a->end) return;
  int64_t lines = 1 + (products * a->pace >> 16);
  for (lines = lines < MOST ? lines : MOST; lines > 0; lines--, at += LINE) __builtin_prefetch(at, 0, 2);
  a->at = at;
}
