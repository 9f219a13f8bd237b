#include "crypto/pem.h"

#include "base/mem.h"

enum { KEY_ROOM = 16384 };

static void append(void *user, const void *data, size_t n) {
    buf_add(user, bytes_at(data, n));
}

void pem_begin(struct pem *p, struct bytes text, const char *kind) {
    *p = (struct pem){.rest = text, .object = {.max = PEM_OBJECT_MAX}, .kind = kind};
    br_pem_decoder_init(&p->decoder);
    buf_reserve(&p->object, MIN(text.n, (size_t)KEY_ROOM)); /* a key at once: growing would leave copies */
}

bool pem_next(struct pem *p) {
    bool wanted = false;
    buf_clear(&p->object);
    for (;;) {
        size_t n = br_pem_decoder_push(&p->decoder, p->rest.p, p->rest.n);
        p->rest = bytes_skip(p->rest, n);
        switch (br_pem_decoder_event(&p->decoder)) {
        case BR_PEM_BEGIN_OBJ:
            wanted = bytes_ends(bytes_of(br_pem_decoder_name(&p->decoder)), p->kind);
            br_pem_decoder_setdest(&p->decoder, wanted ? append : NULL, &p->object);
            buf_clear(&p->object);
            break;
        case BR_PEM_END_OBJ:
            if (wanted && p->object.n > 0) return true;
            break;
        case BR_PEM_ERROR: return false;
        default:
            if (p->rest.n == 0 || n == 0) return false;
        }
    }
}

void pem_end(struct pem *p) {
    buf_wipe(&p->object);
    mem_wipe(&p->decoder, sizeof p->decoder);
}
