/* lib/proto/multistream.c: multistream-select 1.0. Both ends share the reading of one line. */
#include "proto/multistream.h"

#define HEADER "/multistream/1.0.0"
#define REFUSAL "na"

static bool line_put(struct buf *out, struct bytes line) {
    size_t before = out->n;
    if (wr_varint(out, line.n + 1) && buf_add(out, line) && buf_add_byte(out, '\n')) return true;
    out->n = before;
    return false;
}

/* Cuts the next whole line off *in, without its newline. False: it is not whole yet (*in as it was), or not
 * one (*e is not OK then). */
static bool line_take(struct bytes *in, struct bytes *line, enum err *e, struct why *w) {
    struct rd r = rd_of(*in);
    uint64_t n = rd_varint(&r);
    *e = OK;
    if (!r.bad && (n == 0 || n > MULTISTREAM_LINE_MAX)) {
        *e = fail(w, E_PROTO, "multistream: length of a message out of range");
        return false;
    }
    *line = rd_take(&r, n);
    if (r.bad) return false;
    *in = r.in;
    if (line->p[--line->n] == '\n') return true;
    *e = fail(w, E_PROTO, "multistream: message without a newline");
    return false;
}

/* ---- listener */

static enum err listener_dead(struct multistream_listener *m, enum err e, const char *text) {
    m->state = MSL_DEAD;
    return fail(&m->why, e, "multistream: %s", text);
}

void multistream_listen(struct multistream_listener *m, const char *const *offers) {
    *m = (struct multistream_listener){.state = MSL_HEADER, .offers = offers};
}

static enum err proposal(struct multistream_listener *m, struct bytes line, struct buf *out) {
    size_t i = 0;
    while (m->offers[i] != NULL && !bytes_is(line, m->offers[i])) i++;
    if (m->offers[i] == NULL) { /* `ls` too: go dropped it, and nobody may depend on it */
        if (++m->tries == MULTISTREAM_TRIES_MAX) return listener_dead(m, E_LIMIT, "too many proposals");
        line = BYTES(REFUSAL);
    }
    if (!line_put(out, line)) return listener_dead(m, E_LIMIT, "output is full");
    if (m->offers[i] != NULL) {
        m->chosen = i;
        m->state = MSL_DONE;
    }
    return OK;
}

enum err multistream_listener_input(struct multistream_listener *m, struct bytes *in, struct buf *out) {
    while (m->state == MSL_HEADER || m->state == MSL_PROPOSALS) {
        struct bytes line;
        enum err e;
        if (!line_take(in, &line, &e, &m->why)) {
            if (e != OK) m->state = MSL_DEAD;
            return e;
        }
        if (m->state == MSL_PROPOSALS) {
            proposal(m, line, out);
        } else if (!bytes_eq(line, BYTES(HEADER))) {
            listener_dead(m, E_PROTO, "not its header");
        } else if (!line_put(out, line)) {
            listener_dead(m, E_LIMIT, "output is full");
        } else {
            m->state = MSL_PROPOSALS;
        }
    }
    return m->why.code;
}

/* ---- dialer */

static enum err dialer_dead(struct multistream_dialer *m, enum err e, const char *text) {
    m->state = MSD_DEAD;
    return fail(&m->why, e, "multistream: %s", text);
}

enum err multistream_dial(struct multistream_dialer *m, const char *const *wants, struct buf *out) {
    *m = (struct multistream_dialer){.state = MSD_HEADER, .wants = wants};
    if (wants[0] == NULL) return dialer_dead(m, E_REFUSED, "nothing to propose");
    size_t before = out->n;
    if (line_put(out, BYTES(HEADER)) && line_put(out, bytes_of(wants[0]))) return OK;
    out->n = before;
    return dialer_dead(m, E_LIMIT, "output is full");
}

static enum err reply(struct multistream_dialer *m, bool optimistic, struct bytes line, struct buf *out) {
    if (bytes_is(line, m->wants[m->proposed])) {
        m->state = MSD_DONE;
        return OK;
    }
    if (!bytes_eq(line, BYTES(REFUSAL))) return dialer_dead(m, E_PROTO, "the answer is not to the proposal");
    if (optimistic || m->wants[m->proposed + 1] == NULL) {
        return dialer_dead(m, E_REFUSED, "the other side speaks no protocol that was proposed");
    }
    m->proposed++;
    return line_put(out, bytes_of(m->wants[m->proposed])) ? OK : dialer_dead(m, E_LIMIT, "output is full");
}

enum err multistream_dialer_input(struct multistream_dialer *m, bool optimistic, struct bytes *in,
                                  struct buf *out) {
    while (m->state == MSD_HEADER || m->state == MSD_REPLY) {
        struct bytes line;
        enum err e;
        if (!line_take(in, &line, &e, &m->why)) {
            if (e != OK) m->state = MSD_DEAD;
            return e;
        }
        if (m->state == MSD_REPLY) {
            reply(m, optimistic, line, out);
        } else if (bytes_eq(line, BYTES(HEADER))) {
            m->state = MSD_REPLY;
        } else {
            dialer_dead(m, E_PROTO, "not its header");
        }
    }
    return m->why.code;
}
