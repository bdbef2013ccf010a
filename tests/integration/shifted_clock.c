/* To be preloaded: a wall clock that is SHIFTED_CLOCK_MS ahead of the machine's, as on a machine whose
 * clock is wrong. All other clocks are right. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time)
{
    const char *shift = getenv("SHIFTED_CLOCK_MS");
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && shift)
        time->tv_sec += strtol(shift, NULL, 10) / 1000;
    return result;
}
