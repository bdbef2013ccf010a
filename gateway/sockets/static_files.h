/* A folder of files served under "/", for the demonstration page. Not a web server: everything is
 * read once, at the start, into bounded memory, so that no request ever touches the disk or can
 * name a path outside. */
#ifndef GATEWAY_SOCKETS_STATIC_FILES_H
#define GATEWAY_SOCKETS_STATIC_FILES_H

#include "http_server.h"
#include "status.h"

struct static_files;

enum { STATIC_FILES_LIMIT = 1000, STATIC_FILES_BYTES_LIMIT = 64 * 1024 * 1024 };

/* Files and folders whose names begin with a dot, and links, are left out. STATUS_IO or
 * STATUS_LIMIT with the reason. */
enum status static_files_open(const char *directory, struct static_files **files,
                              struct error *error) MUST_CHECK;
/* After the HTTP server. NULL is fine. */
void static_files_close(struct static_files *files);

/* "/" and what no other route has; index.html for a folder. */
void static_files_add_route(struct static_files *files, struct http_server *http);

#endif
