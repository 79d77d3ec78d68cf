/* A program run forwards and backwards on LANES inputs at once: T is the number type, F the name of its functions, TARGET the
 * instruction set.  Included once for each choice; the loops over lanes are plain C that compilers turn into vectors. */

#if defined(__GNUC__) && !defined(__clang__) /* left as a loop until it is turned into vectors */
#define EACH _Pragma("GCC unroll 1") _Pragma("GCC ivdep") for (int l = 0; l < LANES; l++)
#else
#define EACH for (int l = 0; l < LANES; l++)
#endif
#define TILE 16 /* inputs that are turned from rows into lanes at a time, so that each cache line is read once */
#define VALUE(expression) EACH { y[l] = (expression); } break
/* A lane with cotangent 0 passes nothing on, whatever the slope. */
#define PASS(operand, slope) EACH { T t = d[l] * (slope); operand[l] += d[l] != 0 ? t : 0; }
#define PASS_CHOSEN(operand, slope) EACH { T s = (slope), t = d[l] * s; operand[l] += d[l] != 0 && s != 0 ? t : 0; } /* a slope of 0 is 0 for every cotangent */
#define ORDER(x, y) (((x) > (y)) - ((x) < (y)) + ((x) != (x)) - ((y) != (y)))
#define PASS_ON(operand, sign) EACH { operand[l] = operand[l] sign d[l]; } /* a slope of 1 or -1 */
#define PASS_WHERE(operand, condition, one, other) EACH { operand[l] += (condition) ? one : other; } /* a slope of 1 or 0 */
#define D d[l]
#define A a[l]
#define B b[l]
#define Y y[l]
#define C c

static TARGET void NAME(forward)(const Program *p, T *restrict registers) {
    for (const Step *step = p->steps, *end = step + p->count; step < end; step++) {
        const T *a = registers + (size_t)step->a * LANES, *b = registers + (size_t)step->b * LANES;
        T *restrict y = registers + (size_t)step->y * LANES;
        const T c = (T)step->c;
        switch (step->code) {
        FORWARD
        }
    }
}

static TARGET void NAME(backward)(const Program *p, const T *restrict registers, T *restrict cotangents) {
    memset(cotangents, 0, (size_t)(p->first - p->constants + 1) * LANES * sizeof(T));
    EACH { cotangents[(size_t)p->output_cotangent * LANES + l] = 1; }
    for (const Pull *step = p->pulls, *end = step + p->count; step < end; step++) {
        const T *a = registers + (size_t)step->a * LANES, *y = registers + (size_t)step->y * LANES;
        const T *b = registers + (size_t)step->b * LANES, *own = cotangents + (size_t)step->own * LANES;
        T *ga = cotangents + (size_t)step->ga * LANES, *gb = cotangents + (size_t)step->gb * LANES;
        const T c = (T)step->c;
        T d[LANES];
        EACH { d[l] = own[l]; }
        if (step->fresh & 1) EACH { ga[l] = 0; }
        if (step->fresh & 2) EACH { gb[l] = 0; }
        if (LANES == 1 && d[0] == 0) continue;
        switch (step->code) {
        BACKWARD
        }
    }
}

/* All inputs (N, inputs), LANES at a time; the last block repeats its last input. */
static TARGET void NAME(run)(const Program *p, Run *run, void *workspace) {
    T *registers = workspace, *cotangents = registers + (size_t)p->registers * LANES;
    const T *inputs = run->inputs;
    T *values = run->values, *gradients = run->gradients;
    const Py_ssize_t width = p->first - p->constants;
    for (Py_ssize_t k = 0; k < p->constants; k++)
        EACH { registers[(size_t)k * LANES + l] = (T)run->constants[k]; }
    for (Py_ssize_t start = 0; start < run->count; start += LANES) {
        const int used = run->count - start < LANES ? (int)(run->count - start) : LANES;
        T *restrict x = registers + (size_t)p->constants * LANES;
        for (Py_ssize_t tile = 0; tile < width; tile += TILE)
            for (int l = 0; l < LANES; l++) {
                const T *row = inputs + (size_t)(start + (l < used ? l : used - 1)) * width;
                for (Py_ssize_t j = tile; j < width && j < tile + TILE; j++) x[(size_t)j * LANES + l] = row[j];
            }
        NAME(forward)(p, registers);
        for (int l = 0; l < used; l++) values[start + l] = registers[(size_t)p->output * LANES + l];
        if (!gradients) continue;
        NAME(backward)(p, registers, cotangents);
        const T *g = cotangents + LANES;
        for (Py_ssize_t tile = 0; tile < width; tile += TILE)
            for (int l = 0; l < used; l++) {
                T *row = gradients + (size_t)(start + l) * width;
                for (Py_ssize_t j = tile; j < width && j < tile + TILE; j++) row[j] = g[(size_t)j * LANES + l];
            }
    }
}

#undef EACH
#undef VALUE
#undef TILE
#undef PASS
#undef ORDER
#undef PASS_ON
#undef PASS_WHERE
#undef PASS_CHOSEN
#undef D
#undef A
#undef B
#undef Y
#undef C
#undef T
#undef F
#undef LANES
#undef NAME
