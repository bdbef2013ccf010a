#include "load_server.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Sums `one` over a process and its children. */
static double over_family(int pid, double (*one)(int pid))
{
    char path[64];
    double sum = one(pid);
    int child;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return sum;
    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers */
    while (fscanf(file, "%d", &child) == 1)
        sum += over_family(child, one);
    fclose(file);
    return sum;
}

/* The process's own clock: also has what threads took that have ended. */
static double cpu_of(int pid)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &time))
        return 0;
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static double resident_of(int pid)
{
    char path[64];
    long size, resident = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

double server_cpu_us(int pid)
{
    return over_family(pid, cpu_of);
}

double server_resident_bytes(int pid)
{
    return over_family(pid, resident_of);
}

double kernel_socket_bytes(void)
{
    char line[256];
    long pages = 0;
    FILE *file = fopen("/proc/net/sockstat", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "TCP: inuse %*d orphan %*d tw %*d alloc %*d mem %ld", &pages) == 1)
            break;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}
