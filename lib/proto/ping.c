#include "proto/ping.h"

bool ping_server_input(struct ping_server *p, struct bytes *in, struct buf *out) {
    while (in->n > 0) {
        struct bytes part = bytes_sub(*in, 0, PING_SIZE - p->n);
        if (p->n + part.n == PING_SIZE && !buf_reserve(out, PING_SIZE)) return false;
        memcpy(p->block + p->n, part.p, part.n);
        p->n += part.n;
        *in = bytes_skip(*in, part.n);
        if (p->n < PING_SIZE) continue;
        p->n = 0;
        if (!buf_add(out, bytes_at(p->block, PING_SIZE))) return false;
    }
    return true;
}

bool ping_client_send(struct ping_client *p, struct rng *rng, struct mono now, struct buf *out) {
    rng_fill(rng, p->sent, PING_SIZE);
    p->matched = 0;
    p->at = now;
    return buf_add(out, bytes_at(p->sent, PING_SIZE));
}

enum err ping_client_input(struct ping_client *p, struct bytes *in, struct mono now, bool *done) {
    *done = false;
    if (in->n == 0) return OK;
    if (p->at.us == 0) return E_PROTO; /* an answer to nothing */
    struct bytes part = bytes_take(in, PING_SIZE - p->matched);
    if (memcmp(p->sent + p->matched, part.p, part.n) != 0) return E_PROTO;
    p->matched += part.n;
    if (p->matched < PING_SIZE) return OK;
    p->rtt_us = now.us - p->at.us;
    p->at = MONO_NEVER;
    p->answered++;
    *done = true;
    return OK;
}

void perf_server_input(struct perf_server *p, struct bytes in, bool finished) {
    size_t n = MIN(in.n, sizeof p->head - p->head_n);
    if (n > 0) memcpy(p->head + p->head_n, in.p, n); /* nothing is at NULL */
    p->head_n += n;
    p->received += in.n - n;
    if (!finished || p->sending) return;
    p->sending = true;
    p->to_send = p->head_n == sizeof p->head ? get_u64(p->head) : 0;
}

/* The content does not matter: zeros, straight into the buffer. */
static uint64_t fill(struct buf *out, uint64_t wanted, size_t room) {
    size_t n = (size_t)MIN(wanted, (uint64_t)MIN(room, buf_room(out)));
    uint8_t *place = n == 0 ? NULL : buf_add_space(out, n);
    if (place == NULL) return 0;
    memset(place, 0, n);
    return n;
}

bool perf_server_fill(struct perf_server *p, struct buf *out, size_t room) {
    p->to_send -= fill(out, p->to_send, room);
    return p->to_send == 0;
}

void perf_client_start(struct perf_client *p, uint64_t upload, uint64_t download) {
    *p = (struct perf_client){.to_send = upload, .wanted = download};
}

bool perf_client_fill(struct perf_client *p, struct buf *out, size_t room) {
    if (p->upload_done) return true;
    if (!p->head_sent) {
        if (room < 8 || !wr_u64(out, p->wanted)) return false;
        p->head_sent = true;
        room -= 8;
    }
    p->to_send -= fill(out, p->to_send, room);
    p->upload_done = p->to_send == 0;
    return p->upload_done;
}

enum err perf_client_input(struct perf_client *p, struct bytes in, bool finished, bool *done) {
    *done = false;
    p->received += in.n;
    if (p->received > p->wanted || (in.n > 0 && !p->upload_done)) return E_PROTO;
    if (!finished) return OK;
    if (p->received < p->wanted) return E_CLOSED;
    *done = true;
    return OK;
}
