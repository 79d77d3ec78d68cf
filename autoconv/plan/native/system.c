/* system.h, for Windows and for POSIX. */
#include "system.h"

#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef _WIN32
#include <malloc.h>
#include <process.h>
#include <stdint.h>
#include <windows.h>

_Static_assert(sizeof(Lock) == sizeof(SRWLOCK) && sizeof(Condition) == sizeof(CONDITION_VARIABLE), "a word each");
void lock(Lock *one) { AcquireSRWLockExclusive((SRWLOCK *)one); }
void unlock(Lock *one) { ReleaseSRWLockExclusive((SRWLOCK *)one); }
void wait_on(Condition *changed, Lock *held) { SleepConditionVariableSRW((CONDITION_VARIABLE *)changed, (SRWLOCK *)held, INFINITE, 0); }
void wake_all(Condition *changed) { WakeAllConditionVariable((CONDITION_VARIABLE *)changed); }
int start_thread(void (*work)(void *), void *argument) { return _beginthread(work, 0, argument) != (uintptr_t)-1; }
void *aligned_memory(size_t alignment, size_t bytes) { return _aligned_malloc(bytes, alignment); }
void free_aligned(void *memory) { _aligned_free(memory); }
void when_forked(void (*child)(void)) { (void)child; } /* there are no forks */
#else
void lock(Lock *one) { pthread_mutex_lock(one); }
void unlock(Lock *one) { pthread_mutex_unlock(one); }
void wait_on(Condition *changed, Lock *held) { pthread_cond_wait(changed, held); }
void wake_all(Condition *changed) { pthread_cond_broadcast(changed); }

typedef struct {
  void (*work)(void *);
  void *argument;
} Start;
static void *begin(void *given) {
  const Start start = *(Start *)given;
  free(given);
  start.work(start.argument);
  return 0;
}
int start_thread(void (*work)(void *), void *argument) {
  pthread_t id;
  Start *start = malloc(sizeof *start);
  if (!start) return 0;
  *start = (Start){work, argument};
  if (pthread_create(&id, 0, begin, start)) {
    free(start);
    return 0;
  }
  pthread_detach(id);
  return 1;
}
/* Large memory stands on large pages, where the system gives them to whom asks: with small ones, weights and sums that are read
 * a row of vectors at a time would have a page for every row or two, more than a processor keeps in mind. */
enum { LARGE_PAGE = 1 << 21 };
void *aligned_memory(size_t alignment, size_t bytes) {
  void *memory = 0;
#ifdef MADV_HUGEPAGE
  const int large = bytes >= 2 * (size_t)LARGE_PAGE;
#else
  const int large = 0;
#endif
  if (posix_memalign(&memory, large ? (size_t)LARGE_PAGE : alignment, bytes)) return 0;
#ifdef MADV_HUGEPAGE
  if (large) madvise(memory, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#endif
  return memory;
}
void free_aligned(void *memory) { free(memory); }
void when_forked(void (*child)(void)) { pthread_atfork(0, 0, child); }
#endif
