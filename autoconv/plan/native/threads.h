/* Threads: one pool for all programs, used by one run at a time.
 *
 * A run is a row of phases, each of so many tasks.  A thread takes tasks that nobody has, its own share first, since what these
 * read is in its cache; and begins once all tasks of the phases before are done.  So nobody waits for a thread that sleeps or
 * has lost its processor, except for the task it has in hand; and since a task is the same work whoever takes it, the numbers
 * do not depend on who does.
 */
typedef struct {
  atomic_int value, sleeping;
} __attribute__((aligned(64))) Count; /* each on a cache line of its own */
static struct {
  Lock lock, run;
  Condition changed;
  Count runs, done, left; /* runs begun; in this one: tasks done, threads that have left */
  int size, parts, joined, first[MOST_THREADS];
  Job *job;
} pool = {LOCK, LOCK, CONDITION, {0, 0}, {0, 0}, {0, 0}, 1, 0, 0, {0}, 0};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}
/* whether a count has come to ``least``, though it may have begun anew after the largest number */
static int there(Count *count, int least) { return (int)((unsigned)atomic_load_explicit(&count->value, memory_order_acquire) - (unsigned)least) >= 0; }
/* spin briefly, then sleep, until it has */
static void wait_for(Count *count, int least) {
  for (int spin = 0; spin < 4000; spin++) {
    if (there(count, least)) return;
    relax();
  }
  lock(&pool.lock);
  atomic_fetch_add(&count->sleeping, 1);
  while (!there(count, least)) wait_on(&pool.changed, &pool.lock);
  atomic_fetch_sub(&count->sleeping, 1);
  unlock(&pool.lock);
}
/* Who is about to sleep has the lock from adding itself to its wait, so either it sees the change or it is seen here. */
static void add_one(Count *count) {
  atomic_fetch_add(&count->value, 1);
  if (!atomic_load(&count->sleeping)) return;
  lock(&pool.lock);
  wake_all(&pool.changed);
  unlock(&pool.lock);
}

/* ---- a thread's way through the phases: task ``task`` of the one whose first task is number ``begin`` of the run */
typedef struct {
  Job *job;
  int part, begin, tasks, seen, task;
} Way;
static void enter(Way *way, Py_ssize_t tasks) {
  way->begin += way->tasks;
  way->tasks = (int)tasks;
  way->seen = 0;
}
static int take(Way *way) {
  atomic_char *taken = way->job->taken + way->begin;
  for (const int n = way->tasks, own = (int)((Py_ssize_t)n * way->part / way->job->parts); way->seen < n;) {
    way->task = (own + way->seen++) % n;
    if (atomic_load_explicit(&taken[way->task], memory_order_relaxed)) continue;
    wait_for(&pool.done, way->begin);
    if (!atomic_exchange(&taken[way->task], 1)) return 1;
  }
  return 0;
}
#define PHASE(way, tasks) for (enter(&(way), tasks); take(&(way)); add_one(&pool.done))

/* One thread's way through a run; ``part``: its number, which says whose memory it uses. */
/* A stretch's sums are added to those of the chunk's stretches before it (none if ``first``), after the last into ``sums`` */
static void stretched(void *older, void *sums, Py_ssize_t n, int bytes, int first, int end) {
  if (first) memcpy(older, sums, (size_t)(n * bytes));
  else if (bytes == sizeof(float)) {
    const float *a = older, *b = sums;
    float *out = end ? sums : older;
    for (Py_ssize_t k = 0; k < n; k++) out[k] = a[k] + b[k];
  } else {
    const double *a = older, *b = sums;
    double *out = end ? sums : older;
    for (Py_ssize_t k = 0; k < n; k++) out[k] = a[k] + b[k];
  }
}
static void work(Job *job, int part) {
  Way way = {job, part, 0, 0, 0, 0};
  for (Pass *pass = job->passes; pass < job->passes + job->count; pass++) {
    const Program *p = pass->program;
    const Variant *variant = pass->variant;
    const Py_ssize_t step = p->cell, blocks = (job->examples + step - 1) / step;
    if (p->packings || p->finites)
      PHASE(way, job->parts)
        if (!variant->pack(p, pass->arrays, way.task, job->parts)) atomic_store(&job->wrong, 1);
    if (pass->cooperative)
      for (Py_ssize_t b = 0; b < blocks; b++)
        for (const int64_t *phase = p->phase; phase < p->phase + p->phases * PHASE_WIDTH; phase += PHASE_WIDTH) {
          PHASE(way, phase[PHASE_COUNT]) {
            Thread t = {.memory = pass->memory[0], .sums = pass->sums[0], .arrays = pass->arrays, .first = b == 0};
            const Py_ssize_t left = job->examples - b * step;
            variant->block(p, &t, b * step, least(left, step), p->task + (phase[PHASE_FIRST] + way.task) * TASK_WIDTH);
            if (t.wrong) atomic_store(&job->wrong, 1);
          }
        }
    else
      PHASE(way, pass->chunks) {
        const Py_ssize_t chunk = way.task, end = blocks * (chunk + 1) / pass->chunks;
        const int64_t whole[TASK_WIDTH] = {[TASK_END] = p->count, [TASK_PARTS] = 1};
        Thread t = {.memory = pass->memory[part], .sums = pass->sums[chunk], .arrays = pass->arrays, .first = 1};
        const Py_ssize_t begin = blocks * chunk / pass->chunks;
        for (Py_ssize_t b = begin; b < end; b++) {
          const Py_ssize_t last = (b - begin + 1) % STRETCH == 0 || b + 1 == end; /* block of a stretch */
          if (b + 1 < blocks) t.ahead = (Ahead){p->code, p->code + p->count * WIDTH, 0, 0, pass->arrays, (b + 1) * step, least(job->examples - (b + 1) * step, step), p->pace, variant->bytes};
          else t.ahead.at = t.ahead.end, t.ahead.next = t.ahead.last;
          variant->block(p, &t, b * step, least(job->examples - b * step, step), whole);
          t.first = last;
          if (last && end - begin > STRETCH) stretched(pass->older[part], t.sums, p->numbers, variant->bytes, b - begin < STRETCH, b + 1 == end);
        }
        if (t.wrong) atomic_store(&job->wrong, 1);
      }
    PHASE(way, job->parts)
      if (!variant->collect(pass, way.task, job->parts)) atomic_store(&job->wrong, 1);
  }
  if (job->updates || job->tested >= 0 || job->guard >= 0) PHASE(way, job->parts) job->passes->variant->update(job, way.task, job->parts);
}
/* Job, parts and the number of runs change together under the lock, so a worker never sees those of two runs. */
static void worker(void *number) {
  int part = (int)(intptr_t)number, seen = pool.first[part];
  for (;;) {
    wait_for(&pool.runs, (int)((unsigned)seen + 1));
    lock(&pool.lock);
    seen = atomic_load(&pool.runs.value);
    Job *job = part < pool.parts ? pool.job : 0;
    pool.joined += job != 0;
    unlock(&pool.lock);
    if (!job) continue;
    work(job, part);
    add_one(&pool.left);
  }
}
/* Run a job on this thread and on whoever joins it. */
static void run_job(Job *job) {
  lock(&pool.lock);
  atomic_store(&pool.done.value, 0);
  atomic_store(&pool.left.value, 0);
  pool.joined = 0;
  pool.parts = job->parts;
  if (job->parts > 1) {
    pool.job = job;
    atomic_fetch_add(&pool.runs.value, 1);
    wake_all(&pool.changed);
  }
  unlock(&pool.lock);
  work(job, 0);
  lock(&pool.lock);
  pool.job = 0;
  const int joined = pool.joined;
  unlock(&pool.lock);
  wait_for(&pool.left, joined); /* then all tasks are done, and the job may go */
}
/* Have threads for so many parts; how many parts there can be. */
static int enlist(int parts) {
  while (pool.size < parts) {
    pool.first[pool.size] = atomic_load(&pool.runs.value);
    if (!start_thread(worker, (void *)(intptr_t)pool.size)) return pool.size;
    pool.size++;
  }
  return parts;
}
static void after_fork(void) {
  pool.size = 1;
  pool.job = 0;
  pool.lock = pool.run = (Lock)LOCK;
  pool.changed = (Condition)CONDITION;
  atomic_store(&pool.runs.sleeping, 0);
  atomic_store(&pool.done.sleeping, 0);
  atomic_store(&pool.left.sleeping, 0);
}
