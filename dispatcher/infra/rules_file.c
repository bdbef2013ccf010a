/* The rules file: read whole, watched by its signature, replaced as a whole.
 *
 * It is looked at and not waited for: a file that is mounted into a container is swapped by a
 * symbolic link, and notifications of such changes differ between file systems, while a stat every
 * few seconds costs nothing and works everywhere.
 *
 * Invariant: there is always a good set of rules. A reload that fails leaves the one that was
 * there, and its signature is taken all the same, so that one bad file is told once and not at
 * every look. */
#include "rules_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

/* Which content a path leads to: a ConfigMap swaps a symbolic link, an editor renames, a careless
 * one writes in place. */
struct signature {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct rules_file {
    const char *path;
    const struct layout *layout;
    struct rule_set *rules;
    struct signature signature;
};

/* A file that is not there has a signature too (zero), so that its coming back is a change. */
static struct signature signature_of(const char *path)
{
    struct stat stat_of;
    if (stat(path, &stat_of) != 0)
        return (struct signature){0};
    return (struct signature){.device = stat_of.st_dev,
                              .inode = stat_of.st_ino,
                              .size = stat_of.st_size,
                              .changed = stat_of.st_mtim};
}

static bool signature_is_same(const struct signature *a, const struct signature *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Nothing is believed of the size that stat() gives: the file may be a pipe, or grow while it is
 * read. */
static enum status read_rules_text(const char *path, struct buffer *text, struct problems *problems)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int descriptor = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = descriptor < 0 ? -1 : 1;
    while (count > 0 && buffer_size(text) <= RULES_FILE_SIZE_LIMIT) {
        count = read(descriptor, buffer_reserve(text, 65536), 65536);
        if (count > 0)
            buffer_commit(text, (size_t)count);
        else if (count < 0 && errno == EINTR)
            count = 1;
    }
    int code = errno;
    if (descriptor >= 0 && !is_stdin)
        close(descriptor);
    if (count < 0) {
        problems_add(problems, 0, 0, "%s: %s", path, strerror(code));
        return STATUS_IO;
    }
    if (buffer_size(text) > RULES_FILE_SIZE_LIMIT) {
        problems_add(problems, 0, 0, "%s: larger than %d bytes", path, RULES_FILE_SIZE_LIMIT);
        return STATUS_IO;
    }
    return STATUS_OK;
}

enum status rules_file_read(const char *path, const struct layout *layout, struct rule_set **set,
                            struct problems *problems)
{
    auto_buffer struct buffer text = {0};
    enum status status = read_rules_text(path, &text, problems);
    return status == STATUS_OK ? rule_set_parse(buffer_peek(&text), layout, set, problems) : status;
}

enum status rules_file_open(const char *path, const struct layout *layout, struct rules_file **file,
                            struct problems *problems)
{
    struct rule_set *rules = NULL;
    struct signature signature = signature_of(path);
    enum status status = rules_file_read(path, layout, &rules, problems);
    if (status != STATUS_OK)
        return status;
    *file = mem_new(struct rules_file);
    **file =
        (struct rules_file){.path = path, .layout = layout, .rules = rules, .signature = signature};
    return STATUS_OK;
}

void rules_file_close(struct rules_file *file)
{
    if (!file)
        return;
    rule_set_free(file->rules);
    free(file);
}

const struct rule_set *rules_file_rules(const struct rules_file *file)
{
    return file->rules;
}

bool rules_file_changed(const struct rules_file *file)
{
    struct signature now = signature_of(file->path);
    return !signature_is_same(&now, &file->signature);
}

/* The old rules are the caller's to free, when nothing points into them any more. The same text
 * gives the same revision, and is no reload: a deployment that touches the file changes nothing. */
enum rules_reload rules_file_reload(struct rules_file *file, struct rule_set **old,
                                    struct problems *problems)
{
    struct rule_set *rules = NULL;
    /* Signed before it is read: what changes in between is seen next time. */
    file->signature = signature_of(file->path);
    if (rules_file_read(file->path, file->layout, &rules, problems) != STATUS_OK)
        return RULES_BAD;
    if (bytes_equal(rule_set_revision(rules), rule_set_revision(file->rules))) {
        rule_set_free(rules);
        return RULES_SAME;
    }
    *old = file->rules;
    file->rules = rules;
    return RULES_NEW;
}
