#include "http_pages.h"

#include <assert.h>

#include "mem.h"

struct http_pages {
    struct http_page pages[HTTP_PAGES];
};

static void answer_page(void *route, struct http_exchange *exchange,
                        const struct http_request *request, int64_t now_ms)
{
    (void)now_ms;
    const struct http_page *page = route;
    if (request->method != HTTP_GET && request->method != HTTP_HEAD) {
        struct http_field allow = {BYTES_LITERAL("Allow"), BYTES_LITERAL("GET, HEAD")};
        http_exchange_answer(
            exchange, &(struct http_answer){.code = 405, .fields = &allow, .field_count = 1});
        return;
    }
    struct buffer body = {0};
    const char *content_type = "text/plain; charset=UTF-8";
    unsigned code = page->render(page->context, &body, &content_type);
    struct http_field cache = {BYTES_LITERAL("Cache-Control"), BYTES_LITERAL("no-store")};
    http_exchange_answer(exchange, &(struct http_answer){.code = code,
                                                         .content_type = content_type,
                                                         .fields = &cache,
                                                         .field_count = 1,
                                                         .body = buffer_peek(&body)});
    buffer_deinit(&body);
}

struct http_pages *http_pages_new(struct http_server *http, const struct http_page *pages,
                                  size_t count)
{
    assert(count <= HTTP_PAGES);
    struct http_pages *own = mem_new(struct http_pages);
    for (size_t i = 0; i < count; i++) {
        own->pages[i] = pages[i];
        http_server_add_route(http, &(struct http_route){.path = pages[i].path,
                                                         .request = answer_page,
                                                         .route = &own->pages[i]});
    }
    return own;
}
