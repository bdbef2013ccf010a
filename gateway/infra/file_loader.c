#include "file_loader.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "mem.h"

enum { DEPTH_MOST = 8 };

struct load {
    struct http_files *files;
    size_t left;
    struct error *error;
};

static enum status read_file(struct load *load, const char *file, const char *path, size_t size)
{
    if (size > load->left)
        return error_set(load->error, STATUS_TOO_LARGE,
                         "%s: the files to serve are too large together", file);
    FILE *stream = fopen(file, "rb");
    if (!stream)
        return error_set(load->error, STATUS_IO, "%s: %s", file, strerror(errno));
    uint8_t *body = mem_alloc(size + 1);
    size_t got = fread(body, 1, size, stream);
    fclose(stream);
    if (got != size) {
        free(body);
        return error_set(load->error, STATUS_IO, "%s: changed while it was read", file);
    }
    load->left -= size;
    http_files_add(load->files, path, body, size);
    return STATUS_OK;
}

static enum status read_directory(struct load *load, const char *directory, const char *path,
                                  unsigned depth);

static enum status read_entry(struct load *load, const char *file, const char *path, unsigned depth)
{
    struct stat info;
    if (stat(file, &info) != 0)
        return error_set(load->error, STATUS_IO, "%s: %s", file, strerror(errno));
    if (S_ISREG(info.st_mode))
        return read_file(load, file, path, (size_t)info.st_size);
    if (S_ISDIR(info.st_mode) && depth < DEPTH_MOST)
        return read_directory(load, file, path, depth + 1);
    return STATUS_OK;
}

/* The recursion is bounded by DEPTH_MOST. */
static enum status read_directory(struct load *load, const char *directory, const char *path,
                                  unsigned depth)
{
    DIR *stream = opendir(directory);
    if (!stream)
        return error_set(load->error, STATUS_IO, "%s: %s", directory, strerror(errno));
    enum status status = STATUS_OK;
    const struct dirent *entry;
    while (status == STATUS_OK && (entry = readdir(stream))) {
        if (entry->d_name[0] == '.')
            continue;
        struct buffer names = {0};
        buffer_append_format(&names, "%s/%s%c%s/%s", directory, entry->d_name, 0, path,
                             entry->d_name);
        buffer_append_byte(&names, 0);
        const char *file = (const char *)buffer_peek(&names).data;
        status = read_entry(load, file, file + strlen(file) + 1, depth);
        buffer_deinit(&names);
    }
    closedir(stream);
    return status;
}

enum status file_loader_read(const char *directory, size_t most_bytes, struct http_files *files,
                             struct error *error)
{
    struct load load = {files, most_bytes, error};
    return read_directory(&load, directory, "", 0);
}
