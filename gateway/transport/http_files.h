/* Static files, served from memory: content types, ETag and If-None-Match, GET and HEAD. There is
 * no path to climb out of, since only what was added is there. Not a file system:
 * infra/file_loader.h reads the directory. */
#ifndef GATEWAY_TRANSPORT_HTTP_FILES_H
#define GATEWAY_TRANSPORT_HTTP_FILES_H

#include "http_server.h"

struct http_files;

struct http_files *http_files_new(void);
/* After http_server_free(). NULL is fine. */
void http_files_free(struct http_files *files);

/* `path` begins with '/'; "/x/index.html" is also served as "/x/". The body becomes the server's
 * (malloc). A later file of the same path replaces the earlier one. */
void http_files_add(struct http_files *files, const char *path, uint8_t *body, size_t size);
size_t http_files_count(const struct http_files *files);

/* Serves them under "/": the last resort of the server's routes. */
void http_files_attach(struct http_files *files, struct http_server *http);

/* By the name's ending; "application/octet-stream" if it says nothing. Static. */
const char *http_content_type(const char *path);

#endif
