/* lib/base/json_page.h: a page of a list that is in memory, as who asks wants it: `n` rows (0, or missing:
 * all) behind the first `after`. A list that changes between two pages may show a row twice, or not at all.
 */
#ifndef SILKTALK_BASE_JSON_PAGE_H
#define SILKTALK_BASE_JSON_PAGE_H

#include "base/json.h"

struct json_page {
    uint64_t skip, left, at;
    bool more;
};
struct json_page json_page_of(const struct json *params); /* NULL: all of it */
bool json_page_has(struct json_page *p);                  /* asked of each row: is it to be shown? */
/* "next": what `after` is for the next page, or null: there is none. */
void json_page_end(const struct json_page *p, struct json_out *o);

#endif
