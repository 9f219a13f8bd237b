#include "node/store_op.h"

#include "base/mem.h"

enum { OP_BYTES_MAX = 16 << 20 };

struct store_op *store_op_new(enum store_kind kind) {
    struct store_op *op = NEW(struct store_op);
    if (op == NULL) return NULL;
    op->kind = kind;
    op->fd = -1;
    op->in.max = op->out.max = OP_BYTES_MAX;
    return op;
}

void store_op_free(struct store_op *op) {
    if (op == NULL) return;
    buf_free(&op->in);
    buf_free(&op->out);
    mem_free(op);
}

void store_op_list_free(struct store_op *first) {
    while (first != NULL) {
        struct store_op *next = first->next;
        store_op_free(first);
        first = next;
    }
}

bool space_ask(struct buf *in, enum space_kind use, const char *folder) {
    size_t n = strlen(folder);
    return n < 512 && wr_u8(in, (uint8_t)use) && wr_u16(in, (uint16_t)n) && buf_add_text(in, folder);
}

bool space_write(struct buf *out, enum space_kind use, const struct space_use *s) {
    return wr_u8(out, (uint8_t)use) && wr_u64(out, s->total) && wr_u64(out, s->used) &&
           wr_u64(out, s->available) && wr_u64(out, s->inodes) && wr_u64(out, s->inodes_free) &&
           wr_u64(out, s->folder_bytes) && wr_u64(out, s->device);
}

bool space_read(struct bytes out, struct space_use spaces[SPACE_USES]) {
    struct rd r = rd_of(out);
    for (size_t i = 0; i < SPACE_USES; i++) spaces[i] = (struct space_use){0};
    while (r.in.n > 0) {
        uint8_t use = rd_u8(&r);
        struct space_use s = {.total = rd_u64(&r)};
        s.used = rd_u64(&r);
        s.available = rd_u64(&r);
        s.inodes = rd_u64(&r);
        s.inodes_free = rd_u64(&r);
        s.folder_bytes = rd_u64(&r);
        s.device = rd_u64(&r);
        if (r.bad || use >= SPACE_USES) return false;
        spaces[use] = s;
    }
    return true;
}

int64_t space_permille(const struct space_use *s) {
    if (s->total == 0) return -1;
    double all = (double)s->used + (double)s->available;
    int64_t bytes = all <= 0 ? 1000 : (int64_t)((double)s->used * 1000 / all);
    if (s->inodes == 0) return bytes;
    int64_t inodes = (int64_t)((double)(s->inodes - MIN(s->inodes_free, s->inodes)) * 1000 /
                               (double)s->inodes);
    return MAX(bytes, inodes);
}
