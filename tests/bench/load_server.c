#include "load_server.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
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

static double cpu_of(int pid)
{
    char path[320];
    double sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return 0;
    for (struct dirent *task; (task = readdir(tasks));) {
        unsigned long long running_ns;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, task->d_name);
        FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!file)
            continue;
        if (fscanf(file, "%llu", &running_ns) == 1)
            sum += (double)running_ns / 1000;
        fclose(file);
    }
    closedir(tasks);
    return sum;
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
