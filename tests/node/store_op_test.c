/* tests/node/store_op_test.c: operations for the store come empty, with room, and go without a trace */
#include "node/store_op.h"

#include "base/mem.h"
#include "tests/test.h"

TEST(an_operation_begins_empty) {
    for (unsigned kind = 0; kind < STORE_KINDS; kind++) {
        struct store_op *op = store_op_new((enum store_kind)kind);
        CHECK(op != NULL && op->kind == kind && op->fd == -1 && op->next == NULL && op->err == OK);
        CHECK(op->in.n == 0 && op->out.n == 0 && op->peer.n == 0 && op->seq == 0 && op->count == 0);
        CHECK(op->in.max == 16 << 20 && op->out.max == 16 << 20 && op->text[0] == '\0' && !op->more);
        CHECK(op->status == RECEIPT_NONE);
        store_op_free(op);
    }
}

TEST(a_message_of_the_largest_size_fits) { /* as an outbox row: seq, tries, length, frame */
    struct store_op *op = store_op_new(STORE_OUTBOX_LOAD);
    CHECK(op != NULL && buf_room(&op->out) >= MESSAGE_FRAME_MAX + 4 + 8 + 8 + 4);
    store_op_free(op);
}

TEST(operations_are_freed_with_their_bytes_alone_or_as_a_list) {
    size_t blocks = mem_blocks();
    struct store_op *first = NULL;
    for (unsigned i = 0; i < 5; i++) {
        struct store_op *op = store_op_new(STORE_PEER_PUT);
        CHECK(op != NULL && buf_add_text(&op->in, "request") && buf_add_text(&op->out, "answer"));
        op->next = first;
        first = op;
    }
    CHECK(mem_blocks() == blocks + 15);
    struct store_op *one = first;
    first = first->next;
    store_op_free(one);
    CHECK(mem_blocks() == blocks + 12);
    store_op_list_free(first);
    CHECK(mem_blocks() == blocks);
    store_op_free(NULL);
    store_op_list_free(NULL);
}

TEST(without_memory_there_is_none) {
    size_t blocks = mem_blocks();
    mem_fail_after(0);
    CHECK(store_op_new(STORE_TOTALS) == NULL);
    mem_fail_after(-1);
    CHECK(mem_blocks() == blocks);
}
