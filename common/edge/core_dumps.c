/* Whether the memory of the process may end in a file. PR_SET_DUMPABLE is what keeps other
 * processes of the same user from it as well: it closes /proc/PID/mem and ptrace(). It gives
 * /proc/PID to root too, but a process may read its own all the same, as process_metrics.c does. */
#include "core_dumps.h"

#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "log.h"

/* Set once, by the main thread before there are others. */
static struct {
    struct rlimit before;
    bool known; /* `before` is */
} state;

void core_dumps_forbid(void)
{
    state.known = getrlimit(RLIMIT_CORE, &state.before) == 0;
    /* The soft limit alone, so that it can be taken back; what runs before main() has no secrets. */
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = state.before.rlim_max};
    if (!state.known || setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        log_warning("core dumps cannot be forbidden");
}

void core_dumps_allow(void)
{
    if (!state.known || setrlimit(RLIMIT_CORE, &state.before) != 0 ||
        prctl(PR_SET_DUMPABLE, 1) != 0)
        log_warning("core dumps cannot be allowed");
    else
        log_warning("core dumps are allowed: keys and tokens may be in them");
}
