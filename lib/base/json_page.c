#include "base/json_page.h"

struct json_page json_page_of(const struct json *params) {
    int64_t after = json_get_int(params, "after", 0), most = json_get_int(params, "n", 0);
    return (struct json_page){.skip = (uint64_t)MAX(after, (int64_t)0),
                              .left = most > 0 ? (uint64_t)most : UINT64_MAX};
}

bool json_page_has(struct json_page *p) {
    if (p->at >= p->skip && p->left == 0) p->more = true;
    if (p->more) return false;
    bool shown = p->at++ >= p->skip;
    p->left -= shown;
    return shown;
}

void json_page_end(const struct json_page *p, struct json_out *o) {
    if (p->more)
        json_put_uint(o, "next", p->at);
    else
        json_put_null(o, "next");
}
