/* What the machine asks of the operating system: locks, a condition to wait for, threads, aligned memory.
 *
 * system.c says it in the words of POSIX and of Windows (whose own header, with its many names, is included there alone).  A lock
 * and a condition need no setting up beyond LOCK and CONDITION, and are never taken down.
 */
#ifndef SYSTEM_H
#define SYSTEM_H
#include <stddef.h>
#ifdef _WIN32
typedef struct {
  void *word;
} Lock, Condition; /* SRWLOCK and CONDITION_VARIABLE, which are a word each */
#define LOCK {0}
#define CONDITION {0}
#else
#include <pthread.h>
typedef pthread_mutex_t Lock;
typedef pthread_cond_t Condition;
#define LOCK PTHREAD_MUTEX_INITIALIZER
#define CONDITION PTHREAD_COND_INITIALIZER
#endif
void lock(Lock *one);
void unlock(Lock *one);
void wait_on(Condition *changed, Lock *held);
void wake_all(Condition *changed);
int start_thread(void (*work)(void *), void *argument); /* a thread that nobody waits for; whether there is one */
void *aligned_memory(size_t alignment, size_t bytes);   /* not set; 0 if there is none */
void free_aligned(void *memory);
void when_forked(void (*child)(void)); /* call it in the child of every fork from now on */
#endif
