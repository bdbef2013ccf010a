/* What a server under load costs, read from /proc. */
#ifndef TESTS_BENCH_LOAD_SERVER_H
#define TESTS_BENCH_LOAD_SERVER_H

#include <stdint.h>

/* CPU of the process so far, in microseconds, all threads; also of its children that are alive. */
double server_cpu_us(int pid);
/* Resident memory in bytes, of the process and its children. */
double server_resident_bytes(int pid);
/* Memory of the kernel's TCP sockets, whole machine, in bytes. */
double kernel_socket_bytes(void);

#endif
