/* What is wrong with a file, collected: an operator sees every fault at once, in the order of the
 * file. The list has a limit, since one wrong indentation can make a thousand faults of one; what
 * is beyond it is counted, so that "no problems" is never said by mistake. */
#include "problems.h"

#include <stdarg.h>
#include <stdio.h>

#include "mem.h"

void problems_deinit(struct problems *problems)
{
    free(problems->items);
    *problems = (struct problems){0};
}

void problems_add_error(struct problems *problems, const struct error *error)
{
    if (problems->count == PROBLEMS_LIMIT) {
        problems->omitted++;
        return;
    }
    problems->items = mem_resize(problems->items, problems->count + 1, sizeof(*problems->items));
    problems->items[problems->count++] = *error;
}

void problems_add(struct problems *problems, unsigned line, unsigned column, const char *format,
                  ...)
{
    /* A line of 0 says that there is no place: a variable, or the whole of it. */
    struct error error = {.status = STATUS_INVALID, .line = line, .column = column};
    va_list list;
    va_start(list, format);
    vsnprintf(error.text, sizeof(error.text), format, list);
    va_end(list);
    problems_add_error(problems, &error);
}

static bool comes_after(const struct error *a, const struct error *b)
{
    return a->line > b->line || (a->line == b->line && a->column > b->column);
}

void problems_sort(struct problems *problems)
{
    /* By insertion: stable, and the list is short. */
    for (size_t i = 1; i < problems->count; i++) {
        struct error moved = problems->items[i];
        size_t at = i;
        for (; at && comes_after(&problems->items[at - 1], &moved); at--)
            problems->items[at] = problems->items[at - 1];
        problems->items[at] = moved;
    }
}

/* file:line:column: as compilers write it, so that editors jump there. */
void problems_render(const struct problems *problems, const char *file, struct buffer *out)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct error *problem = &problems->items[i];
        if (problem->line)
            buffer_append_format(out, "%s:%u:%u: ", file ? file : "-", problem->line,
                                 problem->column);
        buffer_append_format(out, "%s\n", problem->text);
    }
    if (problems->omitted)
        buffer_append_format(out, "and %zu more\n", problems->omitted);
}
