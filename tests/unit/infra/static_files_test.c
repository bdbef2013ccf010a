/* A folder of files read at the start: what is taken, and what is not waited for. */
#include "static_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

static char folder[] = "/tmp/static-files-XXXXXX";

static char *path_of(const char *name)
{
    static char path[sizeof(folder) + 64];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(pipes_and_links_are_passed_over)
{
    struct static_files *files = NULL;
    struct error error = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_text("index.html", "hello");
    ck_assert_int_eq(mkfifo(path_of("pipe"), 0600), 0);
    ck_assert_int_eq(symlink("/etc/passwd", path_of("link")), 0);
    ck_assert_msg(static_files_open(folder, &files, &error) == STATUS_OK, "%s", error.text);
    static_files_close(files);
    static const char *const names[] = {"index.html", "pipe", "link"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_int_eq(unlink(path_of(names[i])), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_named)
{
    struct static_files *files = NULL;
    struct error error = {0};
    ck_assert_int_eq(static_files_open("/nowhere/page", &files, &error), STATUS_IO);
    ck_assert_ptr_nonnull(strstr(error.text, "/nowhere/page: No such file"));
}
END_TEST

TEST_PROGRAM("static_files", pipes_and_links_are_passed_over, a_folder_that_is_not_there_is_named)
