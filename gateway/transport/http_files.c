#include "http_files.h"

#include <assert.h>
#include <stdio.h>

#include <uthash.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "mem.h"

enum { ETAG_SIZE = 19 }; /* 16 digits in quotes, with the NUL */

struct file {
    UT_hash_handle hh;
    char *path;
    const char *content_type;
    uint8_t *body;
    size_t size;
    char etag[ETAG_SIZE];
};

struct http_files {
    struct file *files;
};

const char *http_content_type(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=UTF-8"},
        {".js", "text/javascript; charset=UTF-8"},
        {".mjs", "text/javascript; charset=UTF-8"},
        {".css", "text/css; charset=UTF-8"},
        {".json", "application/json"},
        {".map", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".webp", "image/webp"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=UTF-8"},
        {".webmanifest", "application/manifest+json"},
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static struct file *find(const struct http_files *files, struct bytes path)
{
    struct file *file;
    HASH_FIND(hh, files->files, path.data, path.size, file);
    return file;
}

static void remove_file(struct http_files *files, struct file *file)
{
    HASH_DELETE(hh, files->files, file);
    free(file->path);
    free(file->body);
    free(file);
}

void http_files_add(struct http_files *files, const char *path, uint8_t *body, size_t size)
{
    assert(path[0] == '/');
    static const char index[] = "/index.html";
    size_t length = strlen(path);
    if (length >= sizeof(index) - 1 && strcmp(path + length - (sizeof(index) - 1), index) == 0)
        length -= sizeof(index) - 2; /* keeps the '/' */
    struct file *old = find(files, bytes_of(path, length));
    if (old)
        remove_file(files, old);
    struct file *file = mem_new(struct file);
    file->path = mem_string(bytes_of(path, length));
    file->content_type = http_content_type(path);
    file->body = body;
    file->size = size;
    snprintf(file->etag, sizeof(file->etag), "\"%016llx\"",
             (unsigned long long)XXH3_64bits(body, size));
    HASH_ADD_KEYPTR(hh, files->files, file->path, length, file);
}

size_t http_files_count(const struct http_files *files)
{
    return HASH_COUNT(files->files);
}

static bool is_known(const struct http_request *request, const struct file *file)
{
    struct bytes known;
    if (!http_request_field(request, "if-none-match", &known))
        return false;
    return bytes_equal(known, BYTES_LITERAL("*")) ||
           memmem(known.data, known.size, file->etag, ETAG_SIZE - 1);
}

static void serve(void *route, struct http_exchange *exchange, const struct http_request *request,
                  int64_t now_ms)
{
    (void)now_ms;
    struct http_files *files = route;
    struct buffer path = {0};
    const struct file *file = NULL;
    if (http_percent_decode(request->path, false, &path) == STATUS_OK)
        file = find(files, buffer_peek(&path));
    buffer_deinit(&path);
    if (!file) {
        http_exchange_refuse(exchange, 404);
        return;
    }
    if (request->method != HTTP_GET && request->method != HTTP_HEAD) {
        struct http_field allow = {BYTES_LITERAL("Allow"), BYTES_LITERAL("GET, HEAD")};
        http_exchange_answer(
            exchange, &(struct http_answer){.code = 405, .fields = &allow, .field_count = 1});
        return;
    }
    struct http_field fields[] = {
        {BYTES_LITERAL("ETag"), bytes_of_string(file->etag)},
        {BYTES_LITERAL("Cache-Control"), BYTES_LITERAL("no-cache")},
        {BYTES_LITERAL("X-Content-Type-Options"), BYTES_LITERAL("nosniff")},
    };
    struct http_answer answer = {.code = 200, .fields = fields, .field_count = 3};
    if (is_known(request, file)) {
        answer.code = 304;
    } else {
        answer.content_type = file->content_type;
        answer.body = bytes_of(file->body, file->size);
    }
    http_exchange_answer(exchange, &answer);
}

void http_files_attach(struct http_files *files, struct http_server *http)
{
    http_server_add_route(http,
                          &(struct http_route){.path = "/", .request = serve, .route = files});
}

struct http_files *http_files_new(void)
{
    return mem_new(struct http_files);
}

void http_files_free(struct http_files *files)
{
    if (!files)
        return;
    struct file *file, *next;
    HASH_ITER(hh, files->files, file, next)
        remove_file(files, file);
    free(files);
}
