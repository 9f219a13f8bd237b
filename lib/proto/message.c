#include "proto/message.h"

#include "base/pb.h"
#include "base/text.h"

const char *receipt_status_name(enum receipt_status s) {
    switch (s) {
#define STATUS_NAME(name, number)                                                                            \
    case RECEIPT_##name: return #name;
        RECEIPT_STATUSES(STATUS_NAME)
    case RECEIPT_NONE: break;
    }
    return "NONE";
}

enum err message_frame_next(struct bytes *in, struct bytes *frame, bool *whole, size_t *need) {
    struct rd r = rd_of(*in);
    *whole = false;
    *need = 0;
    uint64_t n = rd_varint(&r);
    if (r.bad) return OK;
    if (n > MESSAGE_FRAME_MAX) return E_LIMIT;
    size_t head = in->n - r.in.n;
    *need = head + (size_t)n;
    if (r.in.n < n) return OK;
    *frame = rd_take(&r, n);
    *in = r.in;
    *whole = true;
    return OK;
}

static bool copy_id(uint8_t id[MESSAGE_ID], struct bytes v) {
    if (v.n != MESSAGE_ID) return false;
    memcpy(id, v.p, MESSAGE_ID);
    return true;
}

/* The rules that a receiver answers with INVALID. NULL: all kept. */
static const char *rule_broken(const struct message *m) {
    if (m->sent_ms == 0 || m->sent_ms > INT64_MAX) return "sent_ms is missing or out of range";
    if (m->expires_ms > INT64_MAX) return "expires_ms is out of range";
    if (m->subject.n > MESSAGE_SUBJECT_MAX) return "the subject has more than 256 bytes";
    if (!utf8_valid(m->subject)) return "the subject is not UTF-8";
    if (m->content_type.n > MESSAGE_TYPE_MAX) return "the content type has more than 128 bytes";
    for (size_t i = 0; i < m->content_type.n; i++)
        if (m->content_type.p[i] < 0x20 || m->content_type.p[i] > 0x7e)
            return "the content type is not printable ASCII";
    return NULL;
}

static bool read_message(struct bytes in, struct message_frame *out) {
    struct rd r = rd_of(in);
    struct pb_field f;
    struct message *m = &out->message;
    bool has_id = false, typed = true;
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case 1:
            has_id = f.is_bytes && copy_id(m->id, f.data);
            if (!has_id) return false;
            break;
        case 2:
            typed &= !f.is_bytes;
            m->sent_ms = f.value;
            break;
        case 3:
            typed &= f.is_bytes;
            m->content_type = f.data;
            break;
        case 4:
            typed &= f.is_bytes;
            m->body = f.data;
            break;
        case 5:
            typed &= f.is_bytes;
            m->subject = f.data;
            break;
        case 6:
            typed &= !f.is_bytes;
            m->expires_ms = f.value;
            break;
        case 7:
            m->has_reply_to = f.is_bytes && copy_id(m->reply_to, f.data);
            typed &= m->has_reply_to || (f.is_bytes && f.data.n == 0); /* empty: not there */
            break;
        default: break;
        }
    }
    if (r.bad || !has_id) return false;
    out->verdict = typed && rule_broken(m) == NULL ? RECEIPT_NONE : RECEIPT_INVALID;
    return true;
}

static bool read_receipt(struct bytes in, struct receipt *out) {
    struct rd r = rd_of(in);
    struct pb_field f;
    bool has_id = false;
    out->status = RECEIPT_BUSY;
    while (pb_next(&r, &f)) {
        if (f.number == 1) {
            has_id = f.is_bytes && copy_id(out->id, f.data);
            if (!has_id) return false;
        }
        if (f.number == 2 && !f.is_bytes)
            out->status = f.value >= RECEIPT_STORED && f.value <= RECEIPT_INVALID
                              ? (enum receipt_status)f.value
                              : RECEIPT_BUSY;
        if (f.number == 3 && !f.is_bytes) out->received_ms = f.value;
    }
    return !r.bad && has_id;
}

enum err message_frame_read(struct bytes frame, struct message_frame *out, struct why *w) {
    struct rd r = rd_of(frame);
    struct pb_field f;
    struct bytes message = {NULL, 0}, receipt = {NULL, 0};
    bool has_message = false, has_receipt = false;
    *out = (struct message_frame){.kind = FRAME_UNKNOWN};
    while (pb_next(&r, &f)) {
        if (f.number > 2) continue;
        if (!f.is_bytes) return fail(w, E_PROTO, "a frame's member has the wrong type");
        if (f.number == 1)
            message = f.data;
        else
            receipt = f.data;
        has_message |= f.number == 1;
        has_receipt |= f.number == 2;
    }
    if (r.bad) return fail(w, E_PROTO, "malformed frame");
    if (has_message && has_receipt) return fail(w, E_PROTO, "a frame with both a message and a receipt");
    if (has_message) {
        out->kind = FRAME_MESSAGE;
        return read_message(message, out)
                   ? OK
                   : fail(w, E_PROTO, "malformed message, or an id that has not 16 bytes");
    }
    if (has_receipt) {
        out->kind = FRAME_RECEIPT;
        return read_receipt(receipt, &out->receipt)
                   ? OK
                   : fail(w, E_PROTO, "malformed receipt, or an id that has not 16 bytes");
    }
    return OK;
}

static bool is_default_type(struct bytes type) {
    return type.n == 0 || bytes_is(type, MESSAGE_DEFAULT_TYPE);
}

static size_t message_size(const struct message *m) {
    size_t n = pb_size_bytes(1, MESSAGE_ID) + pb_size_uint(2, m->sent_ms) + pb_size_bytes(4, m->body.n);
    if (!is_default_type(m->content_type)) n += pb_size_bytes(3, m->content_type.n);
    if (m->subject.n > 0) n += pb_size_bytes(5, m->subject.n);
    if (m->expires_ms != 0) n += pb_size_uint(6, m->expires_ms);
    if (m->has_reply_to) n += pb_size_bytes(7, MESSAGE_ID);
    return n;
}

size_t message_frame_size(const struct message *m) {
    size_t frame = pb_size_bytes(1, message_size(m));
    return varint_size(frame) + frame;
}

bool message_frame_write(struct buf *out, const struct message *m) {
    size_t inner = message_size(m), frame = pb_size_bytes(1, inner), start = out->n;
    if (frame > MESSAGE_FRAME_MAX || !buf_reserve(out, varint_size(frame) + frame)) return false;
    bool good = wr_varint(out, frame) && wr_varint(out, 1 << 3 | 2) && wr_varint(out, inner) &&
                pb_put_bytes(out, 1, bytes_at(m->id, MESSAGE_ID)) && pb_put_uint(out, 2, m->sent_ms);
    if (!is_default_type(m->content_type)) good = good && pb_put_bytes(out, 3, m->content_type);
    good = good && pb_put_bytes(out, 4, m->body);
    if (m->subject.n > 0) good = good && pb_put_bytes(out, 5, m->subject);
    if (m->expires_ms != 0) good = good && pb_put_uint(out, 6, m->expires_ms);
    if (m->has_reply_to) good = good && pb_put_bytes(out, 7, bytes_at(m->reply_to, MESSAGE_ID));
    if (!good) out->n = start;
    return good;
}

bool message_receipt_write(struct buf *out, const struct receipt *r) {
    size_t inner = pb_size_bytes(1, MESSAGE_ID) + pb_size_uint(2, r->status) +
                   pb_size_uint(3, r->received_ms);
    size_t frame = pb_size_bytes(2, inner);
    if (!buf_reserve(out, varint_size(frame) + frame)) return false;
    return wr_varint(out, frame) && wr_varint(out, 2 << 3 | 2) && wr_varint(out, inner) &&
           pb_put_bytes(out, 1, bytes_at(r->id, MESSAGE_ID)) && pb_put_uint(out, 2, r->status) &&
           pb_put_uint(out, 3, r->received_ms);
}

enum err message_check(const struct message *m, struct why *w) {
    const char *broken = rule_broken(m);
    return broken == NULL ? OK : fail(w, E_INPUT, "%s", broken);
}
