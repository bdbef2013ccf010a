/* Whether the memory of the process may end in a file. It holds keys and tokens, so that by default
 * it may not: neither as a core dump nor to a debugger of another user. */
#ifndef COMMON_EDGE_CORE_DUMPS_H
#define COMMON_EDGE_CORE_DUMPS_H

/* Before the first secret is read. */
void core_dumps_forbid(void);
/* As it was before core_dumps_forbid(). */
void core_dumps_allow(void);

#endif
