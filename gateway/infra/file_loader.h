/* Reads a directory into http_files, once, at start. Not a watcher. */
#ifndef GATEWAY_INFRA_FILE_LOADER_H
#define GATEWAY_INFRA_FILE_LOADER_H

#include "http_files.h"
#include "status.h"

/* Regular files of the directory and what lies below it, but for names that begin with a dot.
 * STATUS_IO: something cannot be read; STATUS_TOO_LARGE: more than `most_bytes` together. */
enum status file_loader_read(const char *directory, size_t most_bytes, struct http_files *files,
                             struct error *error) MUST_CHECK;

#endif
