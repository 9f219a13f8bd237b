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
