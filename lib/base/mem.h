/* lib/base/mem.h: heap memory whose failure a test can order.
 *
 * All of SilkTalk's own allocations go through here. Zero-filled, overflow-checked; NULL is a defined outcome
 * that every caller handles (the operation fails, the node goes on). */
#ifndef SILKTALK_BASE_MEM_H
#define SILKTALK_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *mem_new(size_t count, size_t size); /* count * size zero bytes, or NULL */
void *mem_resize(void *p, size_t n); /* as realloc, n > 0; the new part is not initialised; NULL: p stays */
void mem_free(void *p);              /* NULL is fine */
void mem_wipe(void *p, size_t n);    /* overwrites; never optimised away */
char *mem_text(const void *p, size_t n); /* NUL-terminated copy, or NULL */
size_t mem_blocks(void);                 /* blocks now allocated: 0 at the end of a test without leaks */
/* From now on small blocks that this thread frees stay with it, MEM_KEPT_MAX bytes of them at most, and are
 * its next ones: for threads that run as long as the node does. False: they don't (off, or no memory for
 * it), and what was kept is given back. */
bool mem_keep(bool on);
enum { MEM_KEPT_MAX = 2 << 20 };
size_t mem_kept(void); /* bytes kept by this thread */
/* For tests: the allocation after `after` more ones fails, once; -1 ends it. Not thread safe. */
void mem_fail_after(long after);

#define NEW(type) ((type *)mem_new(1, sizeof(type)))
#define NEW_ARRAY(type, n) ((type *)mem_new((n), sizeof(type)))

#endif
