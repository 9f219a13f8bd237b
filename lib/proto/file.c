#include "proto/file.h"

#include "base/pb.h"
#include "base/text.h"

const char *file_name_fault(struct bytes name) {
    if (name.n == 0 || name.n > FILE_NAME_MAX) return "a file's name has 1 to 255 bytes";
    if (!utf8_valid(name)) return "the file's name is not UTF-8";
    if (name.p[0] == '.' || name.p[0] == '-') return "the file's name begins with a dot or a dash";
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '/') return "the file's name holds a slash";
    for (size_t at = 0; at < name.n;) {
        uint32_t c;
        size_t n = utf8_read(bytes_skip(name, at), &c);
        if (n == 0 || utf8_control(c)) return "the file's name holds control characters";
        at += n;
    }
    return NULL;
}

enum err file_frame_next(struct bytes *in, struct bytes *frame, bool *whole) {
    struct rd r = rd_of(*in);
    *whole = false;
    uint64_t n = rd_varint(&r);
    if (r.bad) return OK;
    if (n > FILE_FRAME_MAX) return E_LIMIT;
    if (r.in.n < n) return OK;
    *frame = rd_take(&r, n);
    *in = r.in;
    *whole = true;
    return OK;
}

static bool copy_exactly(uint8_t *to, size_t n, const struct pb_field *f) {
    if (!f->is_bytes || f->data.n != n) return false;
    memcpy(to, f->data.p, n);
    return true;
}

static enum err check(const struct file_offer *o, bool typed, struct why *w) {
    struct message m = {.sent_ms = o->sent_ms,
                        .expires_ms = o->expires_ms,
                        .subject = o->subject,
                        .content_type = o->content_type};
    enum err e = message_check(&m, w); /* its rules hold here too */
    const char *fault = file_name_fault(o->name);
    if (o->size > INT64_MAX) fault = "the size is out of range";
    if (!o->has_hash) fault = "the hash is missing";
    if (!typed) fault = "a member has the wrong type";
    return e != OK || fault == NULL ? e : fail(w, E_INPUT, "%s", fault);
}

enum err file_offer_read(struct bytes frame, struct file_offer *o, struct why *w) {
    struct rd r = rd_of(frame);
    struct pb_field f;
    bool has_id = false, typed = true;
    *o = (struct file_offer){.size = 0};
    while (pb_next(&r, &f)) {
        if (f.number == 1 && !(has_id = copy_exactly(o->id, sizeof o->id, &f)))
            return fail(w, E_PROTO, "an id that has not 16 bytes");
        if (f.number == 7 && !(o->has_reply_to = copy_exactly(o->reply_to, sizeof o->reply_to, &f)))
            return fail(w, E_PROTO, "a reply_to that has not 16 bytes");
        if (f.number == 10 && !(o->has_hash = copy_exactly(o->hash, sizeof o->hash, &f)))
            return fail(w, E_PROTO, "a hash that has not 32 bytes");
        bool text = f.number == 3 || f.number == 5 || f.number == 8;
        bool number = f.number == 2 || f.number == 6 || f.number == 9;
        typed &= !(text && !f.is_bytes) && !(number && f.is_bytes);
        switch (f.number) {
        case 2: o->sent_ms = f.value; break;
        case 3: o->content_type = f.data; break;
        case 5: o->subject = f.data; break;
        case 6: o->expires_ms = f.value; break;
        case 8: o->name = f.data; break;
        case 9: o->size = f.value; break;
        default: break;
        }
    }
    if (r.bad || !has_id) return fail(w, E_PROTO, "malformed offer of a file");
    return check(o, typed, w);
}

bool file_offer_write(struct buf *out, const struct file_offer *o) {
    uint8_t space[FILE_FRAME_MAX];
    struct buf b = {space, 0, sizeof space, sizeof space};
    bool good = pb_put_bytes(&b, 1, bytes_at(o->id, sizeof o->id)) && pb_put_uint(&b, 2, o->sent_ms);
    if (o->content_type.n > 0) good = good && pb_put_bytes(&b, 3, o->content_type);
    if (o->subject.n > 0) good = good && pb_put_bytes(&b, 5, o->subject);
    if (o->expires_ms > 0) good = good && pb_put_uint(&b, 6, o->expires_ms);
    if (o->has_reply_to) good = good && pb_put_bytes(&b, 7, bytes_at(o->reply_to, sizeof o->reply_to));
    good = good && pb_put_bytes(&b, 8, o->name) && pb_put_uint(&b, 9, o->size);
    if (o->has_hash) good = good && pb_put_bytes(&b, 10, bytes_at(o->hash, sizeof o->hash));
    return good && wr_lp(out, buf_view(&b));
}

enum err file_answer_read(struct bytes frame, struct file_answer *a, struct why *w) {
    struct rd r = rd_of(frame);
    struct pb_field f;
    *a = (struct file_answer){.status = FILE_TAKEN};
    while (pb_next(&r, &f)) {
        if (f.number > 3) continue;
        if (f.is_bytes) return fail(w, E_PROTO, "a member of an answer has the wrong type");
        if (f.number == 1) a->status = f.value <= FILE_OFFERED ? (unsigned)f.value : (unsigned)RECEIPT_BUSY;
        if (f.number == 2) a->offset = f.value;
        if (f.number == 3) a->received_ms = f.value;
    }
    return r.bad ? fail(w, E_PROTO, "malformed answer to a file") : OK;
}

bool file_answer_write(struct buf *out, const struct file_answer *a) {
    uint8_t space[64];
    struct buf b = {space, 0, sizeof space, sizeof space};
    bool good = true;
    if (a->status != FILE_TAKEN) good = pb_put_uint(&b, 1, a->status);
    if (a->offset > 0) good = good && pb_put_uint(&b, 2, a->offset);
    if (a->received_ms > 0) good = good && pb_put_uint(&b, 3, a->received_ms);
    return good && wr_lp(out, buf_view(&b));
}
