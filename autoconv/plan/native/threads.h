/* Threads: one pool for all programs, used by one run at a time.
 *
 * A run's blocks are cut into chunks, each with sums of its own; threads take chunks as they come free, so a thread that loses
 * its processor for a while costs little, and the sums are added in the order of the chunks whoever made them.
 */
static struct {
  pthread_mutex_t lock, run;
  pthread_cond_t changed;
  atomic_int generation, arrived, phase, sleeping;
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
  atomic_fetch_add(&pool.sleeping, 1);
  while (atomic_load(number) == old) pthread_cond_wait(&pool.changed, &pool.lock);
  atomic_fetch_sub(&pool.sleeping, 1);
  pthread_mutex_unlock(&pool.lock);
}
/* Who is about to sleep has the lock from its count to its wait, so either it sees the change or its count is seen here. */
static void change(atomic_int *number) {
  atomic_fetch_add(number, 1);
  if (!atomic_load(&pool.sleeping)) return;
  pthread_mutex_lock(&pool.lock);
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
  const Kernel *kernel = job->kernel;
  long step = p->cell, blocks = (job->examples + step - 1) / step;
  Thread t = {job->memory[part], 0, job->arrays, 0, 0};
  if (p->packings) {
    kernel->pack(p, job->arrays, part, job->parts);
    barrier(job->parts);
  }
  for (int chunk; (chunk = atomic_fetch_add(&job->next, 1)) < job->chunks;) {
    long end = blocks * (chunk + 1) / job->chunks;
    t.sums = job->sums[chunk];
    t.first = 1;
    for (long b = blocks * chunk / job->chunks; b < end; b++, t.first = 0) {
      long left = job->examples - b * step;
      kernel->block(p, &t, b * step, left < step ? (int)left : (int)step);
    }
  }
  if (t.wrong) atomic_store(&job->wrong, 1);
  barrier(job->parts);
  kernel->collect(job, part);
  barrier(job->parts); /* after it the job may be gone */
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
/* Have threads for so many parts; how many parts there can be. */
static int enlist(int parts) {
  while (pool.size < parts) {
    pthread_t id;
    pool.first[pool.size] = atomic_load(&pool.generation);
    if (pthread_create(&id, 0, worker, (void *)(intptr_t)pool.size)) return pool.size;
    pthread_detach(id);
    pool.size++;
  }
  return parts;
}
static void after_fork(void) {
  pool.size = 1;
  pthread_mutex_init(&pool.lock, 0);
  pthread_mutex_init(&pool.run, 0);
  pthread_cond_init(&pool.changed, 0);
  atomic_store(&pool.arrived, 0);
  atomic_store(&pool.sleeping, 0);
}
