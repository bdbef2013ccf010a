/* A page for demonstrations, with its scripts. All files are read at the start: no request touches
 * the disk, none can name a path outside, and nothing that is put into the folder later is served
 * by accident.
 *
 * The invariant: what is not in the table does not exist. There is no joining of paths at run time,
 * hence no way to get it wrong. */
#include "static_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define HASH_FUNCTION(key, size, value) (value) = (unsigned)XXH3_64bits(key, size)
#include <uthash.h>

#include "buffer.h"
#include "http_response.h"
#include "mem.h"

struct file {
    char *path; /* as in a request: "/", "/js/main.js" */
    struct buffer content;
    const char *type;
    char tag[20]; /* quoted */
    UT_hash_handle hh;
};

struct static_files {
    struct file *files;
    size_t count;
    size_t bytes;
};

static const char *type_of(const char *path)
{
    static const struct {
        const char *ending, *type;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".mjs", "text/javascript; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".json", "application/json"},
                 {".map", "application/json"},
                 {".svg", "image/svg+xml"},
                 {".png", "image/png"},
                 {".ico", "image/x-icon"},
                 {".woff2", "font/woff2"},
                 {".txt", "text/plain; charset=utf-8"}};
    /* With "nosniff", a wrong type is no more than a file that does not work. */
    const char *ending = strrchr(path, '.');
    for (size_t i = 0; ending && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(ending, types[i].ending) == 0)
            return types[i].type;
    return "application/octet-stream";
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* The limit is for all files together: they stay in memory. */
static enum status read_file_content(int descriptor, struct static_files *files,
                                     struct buffer *content)
{
    for (;;) {
        ssize_t got = read(descriptor, buffer_reserve(content, 65536), 65536);
        if (got < 0)
            return STATUS_IO;
        if (got == 0)
            return STATUS_OK;
        buffer_commit(content, (size_t)got);
        files->bytes += (size_t)got;
        if (files->bytes > STATIC_FILES_BYTES_LIMIT)
            return STATUS_LIMIT;
    }
}

static enum status add_file(struct static_files *files, const char *path, int descriptor,
                            struct error *error)
{
    if (files->count == STATIC_FILES_LIMIT)
        return error_set(error, STATUS_LIMIT, "%s: more than %d files", path, STATIC_FILES_LIMIT);
    struct file *file = mem_new(struct file);
    enum status status = read_file_content(descriptor, files, &file->content);
    if (status != STATUS_OK) {
        buffer_deinit(&file->content);
        free(file);
        return error_set(error, status, "%s: %s", path,
                         status == STATUS_IO ? strerror(errno) : "more than 64 MiB in all");
    }
    struct bytes content = buffer_peek(&file->content);
    snprintf(file->tag, sizeof(file->tag), "\"%016" PRIx64 "\"",
             (uint64_t)XXH3_64bits(content.data, content.size));
    file->path = mem_string(bytes_of_string(path));
    file->type = type_of(path);
    /* A folder is its index. */
    char *name = strrchr(file->path, '/');
    if (strcmp(name, "/index.html") == 0)
        name[1] = '\0';
    HASH_ADD_KEYPTR(hh, files->files, file->path, strlen(file->path), file);
    files->count++;
    return STATUS_OK;
}

static enum status add_folder(struct static_files *files, const char *path, int descriptor,
                              struct error *error);

static enum status add_entry(struct static_files *files, int folder, const char *folder_path,
                             const char *name, struct error *error)
{
    auto_buffer struct buffer path = {0};
    struct stat facts;
    buffer_append_format(&path, "%s/%s", folder_path, name);
    buffer_append_byte(&path, 0);
    const char *text = (const char *)buffer_peek(&path).data;
    /* Not to wait for whoever may write into a pipe; ENXIO: a socket. */
    int descriptor = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0)
        return errno == ELOOP || errno == ENXIO
                   ? STATUS_OK
                   : error_set(error, STATUS_IO, "%s: %s", text, strerror(errno));
    enum status status = STATUS_OK;
    if (fstat(descriptor, &facts) != 0)
        status = error_set(error, STATUS_IO, "%s: %s", text, strerror(errno));
    else if (S_ISDIR(facts.st_mode))
        return add_folder(files, text, descriptor, error);
    else if (S_ISREG(facts.st_mode))
        status = add_file(files, text, descriptor, error);
    close(descriptor);
    return status;
}

/* Takes the descriptor. Recursion: as deep as folders are, and each level holds a descriptor. */
static enum status add_folder(struct static_files *files, const char *path, int descriptor,
                              struct error *error)
{
    DIR *folder = fdopendir(descriptor);
    if (!folder) {
        close(descriptor);
        return error_set(error, STATUS_IO, "%s: %s", path, strerror(errno));
    }
    enum status status = STATUS_OK;
    const struct dirent *entry;
    while (status == STATUS_OK && (errno = 0, entry = readdir(folder)))
        /* Neither "." and "..", nor .git and .env, which lie in such folders now and then. */
        if (entry->d_name[0] != '.')
            status = add_entry(files, descriptor, path, entry->d_name, error);
    if (status == STATUS_OK && errno != 0) /* not the end of the folder */
        status = error_set(error, STATUS_IO, "%s: %s", path, strerror(errno));
    closedir(folder);
    return status;
}

enum status static_files_open(const char *directory, struct static_files **files,
                              struct error *error)
{
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return error_set(error, STATUS_IO, "%s: %s", directory, strerror(errno));
    struct static_files *made = mem_new(struct static_files);
    enum status status = add_folder(made, "", descriptor, error);
    if (status != STATUS_OK) {
        static_files_close(made);
        return status;
    }
    *files = made;
    return STATUS_OK;
}

void static_files_close(struct static_files *files)
{
    struct file *file;
    struct file *next;
    if (!files)
        return;
    HASH_ITER(hh, files->files, file, next) {
        HASH_DEL(files->files, file);
        free(file->path);
        buffer_deinit(&file->content);
        free(file);
    }
    free(files);
}

/* --- Serving ---------------------------------------------------------------------------------- */

static void answer_file(struct http_exchange *exchange, const struct file *file, bool known)
{
    const struct http_field fields[] = {http_field_of("ETag", file->tag),
                                        http_field_of("Cache-Control", "no-cache"),
                                        http_field_of("X-Content-Type-Options", "nosniff")};
    struct http_answer answer = {.code = known ? 304 : 200,
                                 .content_type = known ? NULL : file->type,
                                 .fields = fields,
                                 .field_count = sizeof(fields) / sizeof(fields[0])};
    if (!known)
        answer.body = buffer_peek(&file->content);
    http_exchange_answer(exchange, &answer);
}

static void static_files_request(void *route, struct http_exchange *exchange,
                                 const struct http_request *request, int64_t now_ms)
{
    const struct static_files *files = route;
    auto_buffer struct buffer path = {0};
    struct file *file = NULL;
    struct bytes known;
    (void)now_ms;
    if (request->method != HTTP_GET && request->method != HTTP_HEAD) {
        http_exchange_refuse(exchange, 405, "method");
        return;
    }
    if (http_percent_decode(request->path, false, &path) == STATUS_OK) {
        struct bytes name = buffer_peek(&path);
        HASH_FIND(hh, files->files, name.data, name.size, file);
    }
    if (!file)
        http_exchange_refuse(exchange, 404, "not_found");
    else
        answer_file(exchange, file,
                    http_request_field(request, "if-none-match", &known) &&
                        bytes_equal_string(known, file->tag));
}

void static_files_add_route(struct static_files *files, struct http_server *http)
{
    const struct http_route route = {.path = "/", .request = static_files_request, .route = files};
    http_server_add_route(http, &route);
}
