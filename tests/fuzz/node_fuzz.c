/* A whole node. The fuzzer is its peers, its operator, its store, its names and its clock: connections whose
 * far end holds the keys, so that frames and messages get past the encryption; control requests; answers of
 * the store, good and bad; time. */
#include "base/pb.h"
#include "proto/file.h"
#include "tests/fuzz/world.h"

#include <fcntl.h>
#include <unistd.h>

static struct world w;

static const char *const configs[] = {
    "",
    "[network]\nperf = yes\n[messages]\nfrom = any\nratePerPeer = 3/s\n[files]\nfrom = any\n"
    "[logging]\nlevel = debug\n",
    "[access]\nmode = allowlist\nallowPeers = \1\n[discovery]\nbootstrap = \6\n",
    "[connection]\nmaxConnections = 3\nmaxConnectionsPerPeer = 1\nmaxStreams = 8\nreservedForTrusted = 1\n"
    "minConnections = 3\nmaxIncomingPendingConnections = 2\n[messages]\nfrom = any\nmaxBody = 1KiB\n"
    "[files]\nfrom = none\n",
    "[discovery]\nbootstrap = \7, \6\n[messages]\nfrom = allowed\n[access]\ndenyPeers = \4\n"
    "denyCidrs = 10.9.0.0/16\n[network]\nannounce = /ip4/1.2.3.4/tcp/1\n[files]\nfrom = allowed\n",
    "[limits]\nknown_peers = 100\npeer_addresses = 2\nmessages_in_flight = 2\nidentify_pushes = 1\n"
    "ping_streams = 1\ndial_addresses = 2\n[messages]\nfrom = any\n",
};
static const char *const proposals[8] = {"/ipfs/id/1.0.0",
                                         "/ipfs/id/push/1.0.0",
                                         "/ipfs/ping/1.0.0",
                                         MESSAGE_PROTOCOL,
                                         "/perf/1.0.0",
                                         "/other",
                                         "ls",
                                         FILE_PROTOCOL};
static const char *const keys[] = {
    "peer",       "peers",   "body",    "body_base64", "subject",  "content_type", "reply_to",
    "expires_ms", "wait",    "wait_ms", "id",          "n",        "after",        "unread",
    "search",     "from",    "mark",    "read",        "older_ms", "count",        "interval_ms",
    "up",         "down",    "name",    "all",         "level",    "component",    "for_ms",
    "drain_ms",   "changed", "v",       "x",           "file",     "progress"};

/* ---- what is said on a stream */

static void put_message(struct bytes *in, struct buf *out) {
    uint8_t how = fuzz_u8(in);
    struct message m = {.id = {how}, .sent_ms = (uint64_t)w.now.wall.ms};
    m.expires_ms = how & 1 ? fuzz_u64(in) >> 1 : (uint64_t)w.now.wall.ms + 600000;
    m.body = fuzz_part(in);
    if (how & 2) m.subject = fuzz_part(in);
    if (how & 4) m.content_type = fuzz_part(in);
    if (how & 8) m.has_reply_to = true;
    if (how & 16) memcpy(m.id, w.last_id, MESSAGE_ID);
    if (how & 32) m.sent_ms = 0;
    message_frame_write(out, &m);
}

static void put_receipt(struct bytes *in, struct buf *out) {
    struct receipt r = {.received_ms = 9};
    uint8_t how = fuzz_u8(in);
    memcpy(r.id, w.last_id, MESSAGE_ID);
    r.status = (enum receipt_status)(how % 8);
    if (how & 128) r.id[3] ^= 1;
    message_receipt_write(out, &r);
}

static void put_offer(struct bytes *in, struct buf *out) {
    uint8_t how = fuzz_u8(in);
    struct file_offer o = {.id = {how}, .sent_ms = (uint64_t)w.now.wall.ms, .has_hash = (how & 1) == 0};
    o.name = how & 2 ? fuzz_part(in) : BYTES("name");
    o.size = how & 4 ? fuzz_u64(in) : fuzz_u8(in);
    if (how & 8) o.subject = fuzz_part(in);
    if (how & 16) memcpy(o.id, w.last_id, MESSAGE_ID);
    o.expires_ms = how & 32 ? fuzz_u64(in) : 0;
    o.has_reply_to = (how & 64) != 0;
    file_offer_write(out, &o);
}

static void put_answer(struct bytes *in, struct buf *out) {
    uint8_t how = fuzz_u8(in);
    struct file_answer a = {.status = how % 9, .received_ms = how & 128};
    a.offset = how & 64 ? fuzz_u64(in) : how & 32 ? 100 : fuzz_u8(in);
    file_answer_write(out, &a);
}

/* Pieces of what a peer may say, up to a mark of the end. */
static void put_speech(struct bytes *in, struct buf *out, const struct identity *who) {
    for (int i = 0; i < 8; i++) {
        uint8_t what = fuzz_u8(in);
        switch (what % 8) {
        case 0: return;
        case 1: put_message(in, out); break;
        case 2: put_receipt(in, out); break;
        case 3: far_identify(who, out); break;
        case 4:
            if (what & 128)
                put_offer(in, out);
            else if (what & 64)
                put_answer(in, out);
            else
                buf_add(out, fuzz_part(in));
            break;
        case 5: { /* one piece with its length before it */
            struct bytes part = fuzz_part(in);
            wr_lp(out, part);
            break;
        }
        case 6: {
            static const uint8_t zeros[32];
            buf_add(out, bytes_at(zeros, sizeof zeros));
            break;
        }
        case 7: wr_u64(out, fuzz_u16(in)); break; /* perf asks for so many bytes */
        }
    }
}

static void put_proposal(struct buf *out, const char *name, bool header) {
    if (header) buf_add_text(out, "\x13/multistream/1.0.0\n");
    wr_varint(out, strlen(name) + 1);
    buf_add_format(out, "%s\n", name);
}

static void open_stream(struct bytes *in, struct far *f) {
    uint8_t what = fuzz_u8(in);
    struct buf data = {.max = 1 << 20};
    f->next_id += 2;
    put_proposal(&data, proposals[what % LEN(proposals)], (what & 64) == 0);
    put_speech(in, &data, f->self);
    far_frame(f, 0, what & 128 ? 5 : 1, f->next_id, (uint32_t)data.n, buf_view(&data));
    buf_free(&data);
}

/* More on a stream of ours, or on one that the node has opened (agreed to first, if asked for). */
static void more_data(struct bytes *in, struct far *f) {
    uint8_t what = fuzz_u8(in);
    struct buf data = {.max = 1 << 20};
    struct far_stream *s = &f->streams[what % FAR_STREAMS];
    uint32_t id = what & 8 ? s->id : f->next_id - (what & 16 ? 2u : 0u);
    struct rd r = rd_of(buf_view(&s->said));
    rd_lp(&r, 1024);
    rd_lp(&r, 1024);
    if ((what & 40) == 40 && !r.bad) { /* agreed: both lines come back */
        buf_add(&data, bytes_sub(buf_view(&s->said), 0, s->said.n - r.in.n));
        buf_drop(&s->said, s->said.n - r.in.n);
    } else if (what & 32) {
        buf_add_text(&data, "\x13/multistream/1.0.0\n\x03na\n");
    }
    put_speech(in, &data, f->self);
    far_frame(f, 0, what & 64 ? 4 : 0, id, (uint32_t)data.n, buf_view(&data));
    buf_free(&data);
}

static void any_frame(struct bytes *in, struct far *f) {
    uint8_t how = fuzz_u8(in), id = fuzz_u8(in);
    struct bytes payload = how & 8 ? fuzz_part(in) : (struct bytes){NULL, 0};
    uint32_t length = how & 16 ? fuzz_u32(in) : how & 8 ? (uint32_t)payload.n : fuzz_u8(in);
    uint32_t stream = id < 32 ? id : id < 128 ? f->next_id - id % 4u * 2u : f->streams[id % FAR_STREAMS].id;
    unsigned flags = how >> 5 | (how & 4 ? 8u : 0u); /* 8: reset */
    far_frame(f, how == 255 ? 256u : how % 4u, flags, how % 4 < 2 ? stream : 0, length, payload);
}

/* ---- requests */

static void put_value(struct bytes *in, struct buf *line, uint8_t kind) {
    struct buf text = {.max = 1 << 20};
    if ((kind & 15) == 15) { /* a file */
        buf_add_format(line, "{\"name\":\"%s\",\"bytes\":%d}", kind & 16 ? "a/b" : "name", fuzz_u8(in));
        return;
    }
    switch (kind % 8) {
    case 0: buf_add_format(line, "%d", fuzz_u8(in)); break;
    case 1: buf_add_format(line, "%lld", (long long)fuzz_u64(in)); break;
    case 2: buf_add_text(line, kind & 8 ? "true" : "false"); break;
    default:
        if (kind % 8 == 3) buf_add_text(line, "[\"");
        world_text(&w, fuzz_part(in), &text);
        if (kind % 8 != 3) buf_add_text(line, "\"");
        for (size_t i = 0; i < text.n; i++)
            if (text.p[i] >= 0x20 && text.p[i] != '"' && text.p[i] != '\\') buf_add_byte(line, text.p[i]);
        buf_add_text(line, kind % 8 == 3 ? "\",\"\1\"]" : "\"");
        break;
    }
    buf_free(&text);
}

static void request(struct bytes *in, bool raw) {
    uint8_t client = fuzz_u8(in), method = fuzz_u8(in);
    struct node_client who = {.id = 1u + client % 4, .uid = 0, .pid = 7, .fd = -1};
    if (client & 64) who.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct buf line = {.max = 1 << 20}, text = {.max = 1 << 20};
    size_t n = 0;
    while (control_rows[n].name != NULL) n++;
    if (raw) {
        buf_add(&line, fuzz_part(in));
    } else {
        buf_add_format(&line, "{\"id\":%u,\"method\":\"%s\",\"params\":{", client,
                       control_rows[method % n].name);
        for (int i = 0, fields = fuzz_u8(in) % 6; i < fields; i++) {
            buf_add_format(&line, "%s\"%s\":", i == 0 ? "" : ",", keys[fuzz_u8(in) % LEN(keys)]);
            put_value(in, &line, fuzz_u8(in));
        }
        buf_add_text(&line, "}}");
    }
    world_text(&w, buf_view(&line), &text);
    struct bytes copy = fuzz_exact(buf_view(&text));
    if (client >= 128) mem_fail_after(client % 32); /* one allocation fails */
    node_request(w.node, &who, copy);
    mem_fail_after(-1);
    if (who.fd >= 0) close(who.fd);
    node_client_busy(w.node, who.id);
    fuzz_free(copy);
    buf_free(&line);
    buf_free(&text);
}

/* ---- the store's bad answers, rows made of pieces */

/* Which operation that waits: by its number, or the first of a kind. */
static size_t place(uint8_t which) {
    for (size_t i = 0; which >= 128 && i < w.n_ops; i++)
        if (w.ops[i]->kind == (enum store_kind)(which - 128)) return i;
    return which;
}

static void bad_store(struct bytes *in) {
    size_t which = place(fuzz_u8(in));
    uint8_t how = fuzz_u8(in);
    struct buf rows = {.max = 1 << 20};
    if (how < 16) {
        world_store_badly(&w, which, (enum err)(1 + how), (struct bytes){NULL, 0});
        return;
    }
    for (int i = 0; i < 16; i++) {
        uint8_t what = fuzz_u8(in);
        const struct peer_id *id = &w.who[what / 8 % WORLD_WHO].peer;
        if (what % 8 == 0) break;
        switch (what % 8) {
        case 1:
            wr_u8(&rows, id->n);
            buf_add(&rows, peer_id_view(id));
            break;
        case 2: wr_u8(&rows, fuzz_u8(in)); break;
        case 3: wr_u16(&rows, fuzz_u8(in)); break;
        case 4: wr_u32(&rows, fuzz_u8(in)); break;
        case 5: wr_u64(&rows, what & 128 ? fuzz_u64(in) : fuzz_u8(in)); break;
        case 6: buf_add(&rows, fuzz_part(in)); break;
        case 7: { /* a frame with its length, or an address with its */
            struct buf frame = {.max = 1 << 20};
            put_message(in, &frame);
            wr_u32(&rows, (uint32_t)frame.n);
            buf_add(&rows, buf_view(&frame));
            buf_free(&frame);
            break;
        }
        }
    }
    world_store_badly(&w, which, OK, buf_view(&rows));
    buf_free(&rows);
}

static void resolved(struct bytes *in) {
    uint8_t how = fuzz_u8(in);
    if (w.n_resolves == 0) return;
    uint32_t id = w.resolves[--w.n_resolves].id;
    if (how & 1) {
        node_resolve_done(w.node, id, NULL, &(struct why){E_NOT_FOUND, "no such name"});
        return;
    }
    struct buf all[8];
    struct bytes texts[8];
    struct node_resolved answer = {.n_ips = how / 2 % 8, .texts = texts, .n_texts = how / 16 % 8};
    for (size_t i = 0; i < answer.n_ips; i++)
        answer.ips[i] = (struct ip){i % 2 == 0 ? 4 : 6, {10, 0, 0, fuzz_u8(in), [15] = (uint8_t)i}};
    for (size_t i = 0; i < answer.n_texts; i++) {
        uint8_t kind = fuzz_u8(in);
        all[i] = (struct buf){.max = 1 << 17};
        if ((kind & 1) == 0) buf_add_text(&all[i], "dnsaddr=");
        if (kind & 2)
            world_text(&w, fuzz_part(in), &all[i]);
        else
            world_text(&w, kind & 4 ? BYTES("\7") : BYTES("/ip4/10.0.0.2/tcp/4001/p2p/\3"), &all[i]);
        texts[i] = buf_view(&all[i]);
    }
    node_resolve_done(w.node, id, &answer, NULL);
    for (size_t i = 0; i < answer.n_texts; i++) buf_free(&all[i]);
}

/* ---- the operator's and the kernel's part */

static void reconfigure(struct bytes *in) {
    static const struct config_home home = {
        .home = "/h", .socket = "/h/control.sock", .hostname = "host", .socketmode = "0600"};
    uint8_t how = fuzz_u8(in);
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    struct buf text = {.max = 1 << 20}, changed = {.max = 8192}, pending = {.max = 8192};
    world_text(&w, how & 1 ? fuzz_part(in) : bytes_of(configs[how / 2 % LEN(configs)]), &text);
    bool good = config_builder_add(b, "y", buf_view(&text), NULL) == OK;
    if (good && config_builder_finish(b, &c, NULL) == OK) node_reconfigure(w.node, c, &changed, &pending);
    struct why no = {E_INPUT, "the file is wrong"};
    if (w.reload_asked) node_reloaded(w.node, c == NULL ? &no : NULL, buf_view(&changed), buf_view(&pending));
    config_builder_free(b);
    buf_free(&text);
    buf_free(&changed);
    buf_free(&pending);
}

static void connect_far(struct bytes *in) {
    uint8_t how = fuzz_u8(in), who = fuzz_u8(in);
    struct endpoint remote = {.ip = {4, {10, who & 128 ? 9 : 0, 0, who & 15}}, .port = who},
                    local = {.ip = {4, {10, 0, 0, 100}}, .port = 4001};
    if (who & 64) remote.ip = (struct ip){4, {127, 0, 0, 1}};
    node_accepting(w.node);
    struct far *f = world_free_far(&w);
    uint32_t id = node_accepted(w.node, &remote, &local);
    if (id == 0) return;
    const uint8_t *key = w.private != ((how & 64) != 0) ? w.swarm_key : NULL;
    const struct identity *self = how & 32 ? &w.self : &w.who[who % WORLD_WHO];
    far_begin(f, id, true, (how & 1) != 0, self, key, (how & 2) == 0, id);
    f->polite = (how & 4) == 0;
    f->reading = (how & 8) == 0;
}

static void others(struct bytes *in, uint8_t what) {
    char text[200];
    struct endpoint at[3] = {{.ip = {4, {10, 0, 0, 100}}, .port = 4001},
                             {.ip = {6, {0x20, 1, [15] = 1}}, .port = 4001},
                             {.ip = {4, {10, 0, 0, fuzz_u8(in) % 4}}, .port = 4001}};
    struct node_resources r = {.resident_bytes = 1, .cpu_us = fuzz_u16(in), .fds = 3};
    int64_t drain;
    switch (what % 6) {
    case 0: node_listening(w.node, at, what / 6 % 4); break;
    case 1: node_client_gone(w.node, 1u + what / 6 % 4); break;
    case 2:
        node_dump(w.node);
        node_status_line(w.node, text, sizeof text);
        node_paused(w.node);
        node_outbox(w.node);
        break;
    case 3: node_measured(w.node, &r); break;
    case 4: node_stop_asked(w.node, &drain); break;
    case 5:
        if (what > 250) node_stop(w.node);
        break;
    }
}

static int lowest_descriptor(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0);
    close(fd);
    return fd;
}

static void step(struct bytes *in) {
    uint8_t what = fuzz_u8(in);
    struct far *f = world_far(&w, what / 32);
    switch (what % 32) {
    case 0:
    case 1:
    case 2: connect_far(in); break;
    case 3:
        if (f != NULL) world_deliver(&w, f->id, fuzz_part(in));
        break;
    case 4:
        if (f != NULL) any_frame(in, f);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        if (f != NULL) open_stream(in, f);
        break;
    case 9:
    case 10:
    case 11:
        if (f != NULL) more_data(in, f);
        break;
    case 12:
    case 13:
    case 14:
    case 15:
    case 16: request(in, false); break;
    case 17: request(in, true); break;
    case 18:
    case 19: {
        int64_t ms = fuzz_u16(in) * (what & 64 ? 1000LL : 1LL);
        w.now.mono = mono_add_ms(w.now.mono, ms);
        w.now.wall.ms += what & 128 ? -ms : ms; /* the wall clock may be set back */
        break;
    }
    case 20: world_store(&w, what / 32); break;
    case 21: bad_store(in); break;
    case 22:
    case 23: world_dialed(&w, what / 32, fuzz_u8(in) & (what & 32 ? 255 : 20)); break;
    case 24: resolved(in); break;
    case 25:
        if (f != NULL) node_hangup(w.node, f->id, E_CLOSED, "the other side closed the connection");
        break;
    case 26: reconfigure(in); break;
    case 27: others(in, fuzz_u8(in)); break;
    case 28:
        if (f != NULL) f->reading = !f->reading;
        break;
    case 29: w.by_hand = !w.by_hand; break;
    case 30:
        if (f != NULL) node_sent(w.node, f->id, fuzz_u16(in)); /* more than there is, too */
        break;
    case 31:
        if (what & 128)
            *(what & 64 ? what & 32 ? &w.fail_stored : &w.fail_tick : &w.fail_after) = fuzz_u8(in) % 64;
        else if (f != NULL)
            f->polite = !f->polite;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    int lowest = lowest_descriptor();
    uint8_t how = fuzz_u8(&in);
    if (!world_begin(&w, configs[how % 8 % LEN(configs)], (how & 64) != 0, (how & 128) != 0)) return 0;
    world_run(&w);
    for (int i = 0; i < 150 && in.n > 0; i++) {
        step(&in);
        world_run(&w);
    }
    if (n % 2 == 0) { /* one half of them end as the daemon ends, the other half at once */
        node_stop(w.node);
        w.by_hand = false;
        world_run(&w);
        for (size_t i = 0; i < WORLD_FARS; i++)
            if (w.fars[i].id != 0) node_hangup(w.node, w.fars[i].id, E_CLOSED, "end");
        world_run(&w);
        MUST(node_drained(w.node));
    }
    world_end(&w);
    fuzz_no_leak(blocks);
    MUST(lowest_descriptor() == lowest);
    return 0;
}
