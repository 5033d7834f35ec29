/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.h: memory and scope clean-up.
 *
 * Small allocations of control structures go through the x… family, which ends the process when
 * memory is out: a half-built control structure is worth less than a restart. Buffers for data are
 * allocated once, with a bound, by whoever owns the pipeline.
 *
 * AUTO_FREE and AUTO(type) release what a variable holds when its scope ends; hand a value over
 * with steal(&p). A type becomes usable with AUTO by DEFINE_AUTO(type, type_free) in its header.
 */
#ifndef HF_BASE_MEM_H
#define HF_BASE_MEM_H

#include <stdlib.h>
#include <unistd.h>

/* Never NULL. The caller frees with free(). */
void *xmalloc(size_t n);
/*
 * The same, at the start of a page: for what the kernel copies files to and from. Large buffers of
 * malloc begin 16 bytes into a page, and between a page and such an address some processors copy
 * five times slower.
 */
void *xmalloc_pages(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
/* As xrealloc for `n` members of `size` bytes; ends the process on overflow. */
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
/* NULL stays NULL. */
char *xstrdup0(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* clang takes a variable for unused that is only released */
#define CLEANUP(fn) __attribute__((cleanup(fn), unused))

static inline void auto_free(void *p)
{
	free(*(void **)p);
}
static inline void auto_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define AUTO_FREE CLEANUP(auto_free)
#define AUTO_CLOSE CLEANUP(auto_close)

#define DEFINE_AUTO(type, fn)                                                                      \
	static inline void type##_auto(struct type **p)                                            \
	{                                                                                          \
		fn(*p);                                                                            \
	}                                                                                          \
	struct type
#define AUTO(type) CLEANUP(type##_auto) struct type *

/* Take the pointer out of a variable, so that its scope no longer frees it. */
#define steal(pp)                                                                                  \
	({                                                                                         \
		__typeof__(*(pp)) taken_ = *(pp);                                                  \
		*(pp) = NULL;                                                                      \
		taken_;                                                                            \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define DIV_UP(n, d) ((n) / (d) + ((n) % (d) != 0))

#endif
