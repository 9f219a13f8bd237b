/* lib/proto/identify.c: what peers tell each other about themselves. In: bytes are collected, bounded as they
 * come, and read when the stream has ended. Out: one message, or two when the signed record is long. */
#include "proto/identify.h"

#include "base/pb.h"
#include "base/text.h"
#include "proto/multiaddr.h"

enum {
    FIELD_KEY = 1,
    FIELD_ADDRESS = 2,
    FIELD_PROTOCOL = 3,
    FIELD_OBSERVED = 4,
    FIELD_PROTOCOL_VERSION = 5,
    FIELD_AGENT = 6,
    FIELD_RECORD = 8
};
enum { LENGTH_BYTES = 2 }; /* of a length from 128 to 16,383 */
enum { STORE_MAX = IDENTIFY_MESSAGES_MAX * (IDENTIFY_MESSAGE_MAX + LENGTH_BYTES) };

/* ---- in */

void identify_start(struct identify_reader *r) {
    *r = (struct identify_reader){.store = {.max = STORE_MAX}};
}

void identify_free(struct identify_reader *r) {
    buf_free(&r->store);
    r->result = (struct identify){0};
    r->messages = r->whole = 0;
}

/* Counts the messages that are complete now. */
static enum err count_messages(struct identify_reader *r) {
    struct rd rd = rd_of(bytes_skip(buf_view(&r->store), r->whole));
    while (rd.in.n > 0) {
        if (r->messages == IDENTIFY_MESSAGES_MAX) {
            return fail(&r->why, E_LIMIT, "identify: more than %d messages", IDENTIFY_MESSAGES_MAX);
        }
        uint64_t n = rd_varint(&rd);
        if (rd.bad) return OK;
        if (n > IDENTIFY_MESSAGE_MAX) {
            return fail(&r->why, E_LIMIT, "identify: a message of more than %d bytes", IDENTIFY_MESSAGE_MAX);
        }
        rd_take(&rd, n);
        if (rd.bad) return OK;
        r->messages++;
        r->whole = r->store.n - rd.in.n;
    }
    return OK;
}

enum err identify_input(struct identify_reader *r, struct bytes in) {
    if (r->why.code != OK) return r->why.code;
    while (in.n > 0) { /* in steps, so that a wrong length stops it before the rest is copied */
        struct bytes part = bytes_take(&in, IDENTIFY_MESSAGE_MAX);
        if (part.n > buf_room(&r->store)) return fail(&r->why, E_LIMIT, "identify: too many bytes");
        if (!buf_add(&r->store, part)) return fail(&r->why, E_MEMORY, "identify: no memory");
        enum err e = count_messages(r);
        if (e != OK) return e;
    }
    return OK;
}

/* Up to max bytes of it, at the border of a character; none of what is not UTF-8. */
static struct bytes text_cut(struct bytes text, size_t max) {
    if (!utf8_valid(text)) return (struct bytes){NULL, 0};
    size_t n = MIN(text.n, max);
    while (n > 0 && n < text.n && (text.p[n] & 0xc0) == 0x80) n--;
    return bytes_sub(text, 0, n);
}

static bool protocol_valid(struct bytes name) {
    return name.n > 0 && name.n <= IDENTIFY_PROTOCOL_MAX && utf8_valid(name);
}

/* One bad address or name costs itself only (protocols.md section 17, 28). */
static void field_merge(struct identify *id, const struct pb_field *f, struct bytes *key) {
    switch (f->number) {
    case FIELD_KEY: *key = f->data; break;
    case FIELD_ADDRESS:
        id->has_addrs = true;
        if (id->n_addrs < IDENTIFY_ADDRESSES_MAX && multiaddr_valid(f->data)) {
            id->addrs[id->n_addrs++] = f->data;
        }
        break;
    case FIELD_PROTOCOL:
        id->has_protocols = true;
        if (id->n_protocols < IDENTIFY_PROTOCOLS_MAX && protocol_valid(f->data)) {
            id->protocols[id->n_protocols++] = f->data;
        }
        break;
    case FIELD_OBSERVED:
        id->has_observed = multiaddr_valid(f->data);
        id->observed = id->has_observed ? f->data : (struct bytes){NULL, 0};
        break;
    case FIELD_PROTOCOL_VERSION: id->protocol_version = text_cut(f->data, IDENTIFY_AGENT_MAX); break;
    case FIELD_AGENT:
        id->has_agent = true;
        id->agent = text_cut(f->data, IDENTIFY_AGENT_MAX);
        break;
    case FIELD_RECORD: id->record = f->data; break;
    default: break;
    }
}

static bool merge(struct identify_reader *r, struct bytes *key) {
    struct rd all = rd_of(buf_view(&r->store));
    while (all.in.n > 0) {
        struct rd message = rd_of(rd_lp(&all, IDENTIFY_MESSAGE_MAX));
        struct pb_field f;
        while (pb_next(&message, &f)) {
            if (f.is_bytes) field_merge(&r->result, &f, key);
        }
        if (message.bad || all.bad) return false;
    }
    return true;
}

static enum err key_check(struct identify_reader *r, struct bytes encoded, const struct peer_id *peer) {
    struct public_key key;
    struct peer_id id;
    if (encoded.n == 0) return OK;
    if (public_key_read(encoded, &key, NULL) != OK) return fail(&r->why, E_VERIFY, "identify: no public key");
    public_key_peer_id(&key, &id);
    return peer_id_eq(&id, peer) ? OK : fail(&r->why, E_VERIFY, "identify: the key is another peer's");
}

/* What a valid record says about addresses counts more than what stands beside it. */
static enum err record_check(struct identify_reader *r, const struct peer_id *peer) {
    struct identify *id = &r->result;
    struct peer_record record;
    struct why w = {0};
    if (id->record.n == 0) return OK;
    enum err e = peer_record_open(id->record, peer, &record, &w);
    if (e == E_PROTO) {
        id->record = (struct bytes){NULL, 0};
        return OK;
    }
    if (e != OK) return fail(&r->why, e, "identify: %s", w.text);
    id->signed_record = id->has_addrs = true;
    id->record_seq = record.seq;
    id->n_addrs = MIN(record.n, (size_t)IDENTIFY_ADDRESSES_MAX);
    for (size_t i = 0; i < id->n_addrs; i++) id->addrs[i] = record.addrs[i];
    return OK;
}

enum err identify_end(struct identify_reader *r, const struct peer_id *peer) {
    struct bytes key = {NULL, 0};
    enum err e = r->why.code;
    if (e == OK && r->store.n == 0) e = fail(&r->why, E_PROTO, "identify: nothing was said");
    if (e == OK && r->whole < r->store.n) e = fail(&r->why, E_PROTO, "identify: message cut short");
    if (e == OK && !merge(r, &key)) e = fail(&r->why, E_PROTO, "identify: malformed message");
    if (e == OK) e = key_check(r, key, peer);
    if (e == OK) e = record_check(r, peer);
    if (e != OK) r->result = (struct identify){0};
    return e;
}

/* ---- out */

/* Bytes of all fields but addresses and record. */
static size_t fixed_size(const struct identify_self *s) {
    size_t n = pb_size_bytes(FIELD_KEY, sizeof(s->self->public_key)) +
               pb_size_bytes(FIELD_PROTOCOL_VERSION, strlen(s->protocol_version)) +
               pb_size_bytes(FIELD_AGENT, strlen(s->agent));
    for (size_t i = 0; s->protocols[i] != NULL; i++) {
        n += pb_size_bytes(FIELD_PROTOCOL, strlen(s->protocols[i]));
    }
    return n + (s->observed.n > 0 ? pb_size_bytes(FIELD_OBSERVED, s->observed.n) : 0);
}

/* Addresses as far as `room` goes: the caller has the most useful ones first. */
static bool addresses_write(const struct identify_self *s, size_t room, struct buf *out) {
    for (size_t i = 0; i < s->n_addrs; i++) {
        size_t n = pb_size_bytes(FIELD_ADDRESS, s->addrs[i].n);
        if (s->addrs[i].n == 0 || n > room) continue;
        if (!pb_put_bytes(out, FIELD_ADDRESS, s->addrs[i])) return false;
        room -= n;
    }
    return true;
}

static bool first_write(const struct identify_self *s, struct buf *out) {
    size_t fixed = fixed_size(s);
    struct bytes key = bytes_at(s->self->public_key, sizeof(s->self->public_key));
    if (fixed > out->max || !pb_put_bytes(out, FIELD_KEY, key)) return false;
    if (!addresses_write(s, out->max - fixed, out)) return false;
    for (size_t i = 0; s->protocols[i] != NULL; i++) {
        if (!pb_put_bytes(out, FIELD_PROTOCOL, bytes_of(s->protocols[i]))) return false;
    }
    if (s->observed.n > 0 && !pb_put_bytes(out, FIELD_OBSERVED, s->observed)) return false;
    return pb_put_bytes(out, FIELD_PROTOCOL_VERSION, bytes_of(s->protocol_version)) &&
           pb_put_bytes(out, FIELD_AGENT, bytes_of(s->agent));
}

bool identify_write(const struct identify_self *s, struct buf *out) {
    struct buf first = {.max = IDENTIFY_SEND_MAX - LENGTH_BYTES}, second = {.max = IDENTIFY_MESSAGE_MAX};
    size_t before = out->n, record = s->record.n == 0 ? 0 : pb_size_bytes(FIELD_RECORD, s->record.n);
    bool done = first_write(s, &first);
    struct buf *place = record <= buf_room(&first) ? &first : &second;
    if (done && record > 0 && record <= buf_room(place)) done = pb_put_bytes(place, FIELD_RECORD, s->record);
    done = done && wr_lp(out, buf_view(&first)) && (second.n == 0 || wr_lp(out, buf_view(&second)));
    if (!done) out->n = before;
    buf_free(&first);
    buf_free(&second);
    return done;
}
