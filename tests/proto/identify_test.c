/* tests/proto/identify_test.c: what peers tell of themselves: ours, theirs, and what nobody should say */
#include "proto/identify.h"

#include "base/mem.h"
#include "base/pb.h"
#include "tests/test.h"

#define ADDRESS "\x04\x01\x02\x03\x04\x06\x0f\xa1" /* /ip4/1.2.3.4/tcp/4001 */
#define OBSERVED "\x04\x09\x09\x09\x09\x06\x00\x07"

static struct identity identity_of(uint64_t seed) {
    struct rng rng = rng_seeded(seed);
    struct identity id;
    CHECK(crypto_open() == OK);
    identity_make(&id, &rng);
    return id;
}

static const char *const protocols[] = {"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", NULL};

static struct identify_self self_of(const struct identity *id, const struct bytes *addrs, size_t n) {
    return (struct identify_self){.self = id,
                                  .agent = "silktalk/1",
                                  .protocol_version = "ipfs/0.1.0",
                                  .protocols = protocols,
                                  .addrs = addrs,
                                  .n_addrs = n,
                                  .observed = BYTES(OBSERVED)};
}

/* Everything at once. The reader is the caller's to free, result and error stand in it. */
static enum err read_all(struct identify_reader *r, struct bytes in, const struct peer_id *peer) {
    identify_start(r);
    enum err e = identify_input(r, in);
    enum err ended = identify_end(r, peer);
    CHECK(e == OK || ended == e); /* errors are final */
    CHECK((ended == OK) == (r->why.code == OK) && (ended == OK || r->why.text[0] != '\0'), "%s", r->why.text);
    return ended;
}

static bool is_empty(const struct identify *id) {
    static const struct identify empty;
    return memcmp(id, &empty, sizeof(empty)) == 0;
}

TEST(ours_is_these_fields_in_this_order) {
    struct identity id = identity_of(1);
    struct bytes addrs[] = {BYTES(ADDRESS), BYTES(""), BYTES("\x04\x05\x06\x07\x08\x06\x00\x09")};
    struct identify_self s = self_of(&id, addrs, 3);
    struct buf out = {.max = 5000}, want = {.max = 5000}, whole = {.max = 5000};
    s.record = BYTES("record");
    CHECK(pb_put_bytes(&want, 1, bytes_at(id.public_key, 36)) && pb_put_bytes(&want, 2, addrs[0]) &&
          pb_put_bytes(&want, 2, addrs[2]) && pb_put_bytes(&want, 3, bytes_of(protocols[0])) &&
          pb_put_bytes(&want, 3, bytes_of(protocols[1])) && pb_put_bytes(&want, 4, BYTES(OBSERVED)) &&
          pb_put_bytes(&want, 5, BYTES("ipfs/0.1.0")) && pb_put_bytes(&want, 6, BYTES("silktalk/1")) &&
          pb_put_bytes(&want, 8, BYTES("record")) && wr_lp(&whole, buf_view(&want)));
    CHECK(identify_write(&s, &out) && bytes_eq(buf_view(&out), buf_view(&whole)));
    buf_free(&out);
    buf_free(&want);
    buf_free(&whole);
}

TEST(ours_is_read_in_any_pieces) {
    struct rng rng = rng_seeded(test_seed());
    struct identity id = identity_of(2);
    struct bytes addrs[] = {BYTES(ADDRESS)};
    struct identify_self s = self_of(&id, addrs, 1);
    struct buf record = {.max = 5000}, out = {.max = 5000};
    CHECK(peer_record_seal(&id, 77, addrs, 1, &record));
    s.record = buf_view(&record);
    CHECK(identify_write(&s, &out));
    for (unsigned round = 0; round < 50; round++) {
        struct identify_reader r;
        struct bytes rest = buf_view(&out);
        identify_start(&r);
        while (rest.n > 0) CHECK(identify_input(&r, bytes_take(&rest, 1 + rng_below(&rng, 60))) == OK);
        CHECK(identify_end(&r, &id.peer) == OK, "%s", r.why.text);
        const struct identify *got = &r.result;
        CHECK(bytes_is(got->agent, "silktalk/1") && bytes_is(got->protocol_version, "ipfs/0.1.0"));
        CHECK(bytes_eq(got->observed, BYTES(OBSERVED)) && got->n_protocols == 2 && got->n_addrs == 1);
        CHECK(bytes_is(got->protocols[1], protocols[1]) && bytes_eq(got->addrs[0], addrs[0]));
        CHECK(got->has_protocols && got->has_addrs && got->has_observed && got->has_agent);
        CHECK(got->signed_record && got->record_seq == 77 && bytes_eq(got->record, buf_view(&record)));
        identify_free(&r);
    }
    buf_free(&record);
    buf_free(&out);
}

TEST(cut_anywhere_or_any_bit_flipped) {
    struct identity id = identity_of(3);
    struct bytes addrs[] = {BYTES(ADDRESS)};
    struct identify_self s = self_of(&id, addrs, 1);
    struct buf out = {.max = 5000}, record = {.max = 1000};
    size_t blocks = mem_blocks();
    CHECK(peer_record_seal(&id, 5, addrs, 1, &record));
    s.record = buf_view(&record);
    CHECK(identify_write(&s, &out));
    for (size_t n = 0; n < out.n; n++) {
        struct identify_reader r;
        CHECK(read_all(&r, bytes_at(out.p, n), &id.peer) == E_PROTO && is_empty(&r.result), "%zu", n);
        identify_free(&r);
    }
    for (size_t bit = 0; bit < 8 * out.n; bit++) {
        struct identify_reader r;
        out.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum err e = read_all(&r, buf_view(&out), &id.peer);
        CHECK(e == OK || e == E_PROTO || e == E_VERIFY || e == E_LIMIT, "bit %zu: %s", bit, err_name(e));
        CHECK(e == OK || is_empty(&r.result), "bit %zu", bit);
        CHECK(e != OK || r.result.record.n == 0 || bytes_eq(r.result.record, buf_view(&record)), "bit %zu",
              bit);
        out.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        identify_free(&r);
    }
    buf_free(&out);
    buf_free(&record);
    CHECK(mem_blocks() == blocks);
}

/* ---- messages of others */

/* One message with one field more. */
static void put(struct buf *wire, uint32_t number, struct bytes value) {
    struct buf message = {.max = 1 << 16};
    CHECK(pb_put_bytes(&message, number, value) && wr_lp(wire, buf_view(&message)));
    buf_free(&message);
}

TEST(messages_are_merged) {
    struct identity id = identity_of(4);
    struct buf wire = {.max = 5000};
    struct identify_reader r;
    put(&wire, 6, BYTES("first"));
    put(&wire, 3, BYTES("/a"));
    put(&wire, 1, bytes_at(id.public_key, 36));
    put(&wire, 3, BYTES("/b"));
    put(&wire, 99, BYTES("of tomorrow"));
    put(&wire, 6, BYTES("second"));
    CHECK(read_all(&r, buf_view(&wire), &id.peer) == OK);
    CHECK(bytes_is(r.result.agent, "second") && r.result.n_protocols == 2 && r.result.has_protocols);
    CHECK(!r.result.has_addrs && !r.result.has_observed && !r.result.signed_record && r.result.has_agent);
    identify_free(&r);
    CHECK(read_all(&r, BYTES("\0"), &id.peer) == OK && is_empty(&r.result)); /* an empty message */
    identify_free(&r);
    CHECK(read_all(&r, BYTES(""), &id.peer) == E_PROTO); /* no message at all */
    identify_free(&r);
    CHECK(read_all(&r, BYTES("\2\x08\1"), &id.peer) == OK &&
          is_empty(&r.result)); /* a key that is a number */
    identify_free(&r);
    CHECK(read_all(&r, BYTES("\1\x0b"), &id.peer) == E_PROTO); /* a group */
    identify_free(&r);
    buf_free(&wire);
}

TEST(one_bad_entry_costs_itself_only) {
    struct identity id = identity_of(5);
    struct identify_reader r;
    struct buf wire = {.max = 5000};
    put(&wire, 2, BYTES("\x04\x01\x02"));
    put(&wire, 2, BYTES(ADDRESS));
    put(&wire, 3, BYTES("/\xff"));
    put(&wire, 3, BYTES(""));
    put(&wire, 3, BYTES("/good"));
    put(&wire, 4, BYTES("\x04\x01\x02"));
    put(&wire, 6, BYTES("\xff"));
    put(&wire, 5, BYTES("\xc3"));
    CHECK(read_all(&r, buf_view(&wire), &id.peer) == OK, "%s", r.why.text);
    CHECK(r.result.n_addrs == 1 && bytes_eq(r.result.addrs[0], BYTES(ADDRESS)));
    CHECK(r.result.n_protocols == 1 && bytes_is(r.result.protocols[0], "/good"));
    CHECK(!r.result.has_observed && r.result.observed.n == 0);
    CHECK(r.result.has_agent && r.result.agent.n == 0 && r.result.protocol_version.n == 0);
    identify_free(&r);
    buf_free(&wire);
}

TEST(the_key_must_be_the_peers) {
    struct identity id = identity_of(6), other = identity_of(7);
    static const uint8_t nonsense[36];
    const struct {
        struct bytes key;
        enum err want;
    } rows[] = {{bytes_at(id.public_key, 36), OK},
                {bytes_at(other.public_key, 36), E_VERIFY},
                {bytes_at(nonsense, 36), E_VERIFY},
                {bytes_at(id.public_key, 35), E_VERIFY},
                {BYTES(""), OK}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf wire = {.max = 1000};
        struct identify_reader r;
        put(&wire, 6, BYTES("agent"));
        put(&wire, 1, rows[i].key);
        CHECK(read_all(&r, buf_view(&wire), &id.peer) == rows[i].want, "row %zu", i);
        CHECK(is_empty(&r.result) == (rows[i].want != OK), "row %zu", i);
        identify_free(&r);
        buf_free(&wire);
    }
}

TEST(a_signed_record_counts_more_than_what_stands_beside_it) {
    struct identity id = identity_of(8), other = identity_of(9);
    struct bytes addrs[] = {BYTES(ADDRESS), BYTES("\x04\x05\x06\x07\x08\x06\x00\x09")};
    for (unsigned row = 0; row < 5; row++) {
        struct buf wire = {.max = 5000}, record = {.max = 1000};
        struct identify_reader r;
        CHECK(peer_record_seal(row == 1 ? &other : &id, 5, addrs, 2, &record));
        if (row == 2) record.p[record.n - 1] ^= 1; /* the signature */
        if (row == 3) record.p[40] ^= 1; /* the payload's type: something else, perhaps of tomorrow */
        if (row == 4) record.n /= 2;
        put(&wire, 8, buf_view(&record));
        put(&wire, 2, BYTES("\x04\x09\x09\x09\x09\x06\x00\x09"));
        enum err e = read_all(&r, buf_view(&wire), &id.peer);
        CHECK(e == (row == 1 || row == 2 ? E_VERIFY : OK), "row %u: %s", row, r.why.text);
        CHECK(r.result.signed_record == (row == 0) && (r.result.record.n > 0) == (row == 0), "row %u", row);
        CHECK(r.result.n_addrs == (row == 0 ? 2U : e == OK ? 1U : 0U), "row %u", row);
        CHECK(row != 0 || bytes_eq(r.result.addrs[1], addrs[1]));
        identify_free(&r);
        buf_free(&wire);
        buf_free(&record);
    }
}

/* ---- limits */

TEST(a_message_at_its_limit) {
    static uint8_t body[IDENTIFY_MESSAGE_MAX + 1];
    struct identity id = identity_of(10);
    for (size_t n = IDENTIFY_MESSAGE_MAX; n <= IDENTIFY_MESSAGE_MAX + 1; n++) {
        struct buf message = {.max = 20000}, wire = {.max = 20000};
        struct identify_reader r;
        CHECK(pb_put_bytes(&message, 15, bytes_at(body, n - 3)) && message.n == n);
        CHECK(wr_lp(&wire, buf_view(&message)));
        enum err e = read_all(&r, buf_view(&wire), &id.peer);
        CHECK(e == (n <= IDENTIFY_MESSAGE_MAX ? OK : E_LIMIT), "%zu: %s", n, err_name(e));
        identify_free(&r);
        CHECK(read_all(&r, bytes_at(wire.p, 2), &id.peer) == (n <= IDENTIFY_MESSAGE_MAX ? E_PROTO : E_LIMIT));
        CHECK(r.store.n == 2, "a length that is too large is not waited for");
        identify_free(&r);
        buf_free(&message);
        buf_free(&wire);
    }
}

TEST(ten_messages_of_any_size_and_no_more) {
    static uint8_t body[IDENTIFY_MESSAGE_MAX];
    struct identity id = identity_of(11);
    for (size_t size = 10; size <= IDENTIFY_MESSAGE_MAX; size += IDENTIFY_MESSAGE_MAX - 10) {
        struct buf wire = {.max = 1 << 20};
        struct identify_reader r;
        for (size_t n = 1; n <= IDENTIFY_MESSAGES_MAX + 1; n++) {
            struct buf message = {.max = 20000};
            size_t head = size < 100 ? 2 : 3;
            CHECK(pb_put_bytes(&message, 15, bytes_at(body, size - head)) && message.n == size);
            CHECK(wr_lp(&wire, buf_view(&message)));
            buf_free(&message);
            enum err e = read_all(&r, buf_view(&wire), &id.peer);
            CHECK(e == (n <= IDENTIFY_MESSAGES_MAX ? OK : E_LIMIT), "%zu of %zu: %s", n, size, err_name(e));
            identify_free(&r);
        }
        identify_start(&r); /* a byte at a time; the first byte too many is refused */
        size_t at = 0;
        while (identify_input(&r, bytes_at(wire.p + at, 1)) == OK) at++;
        CHECK(at == (wire.n / (IDENTIFY_MESSAGES_MAX + 1)) * IDENTIFY_MESSAGES_MAX, "%zu", at);
        CHECK(r.why.code == E_LIMIT && identify_input(&r, BYTES("x")) == E_LIMIT);
        identify_free(&r);
        buf_free(&wire);
    }
}

TEST(lists_and_texts_at_their_limits) {
    struct identity id = identity_of(12);
    static uint8_t text[200];
    memset(text, 'x', sizeof(text));
    for (size_t extra = 0; extra < 2; extra++) {
        struct buf message = {.max = 8192}, wire = {.max = 10000};
        struct identify_reader r;
        for (size_t i = 0; i < IDENTIFY_PROTOCOLS_MAX + extra; i++)
            CHECK(pb_put_bytes(&message, 3, BYTES("/p")));
        for (size_t i = 0; i < IDENTIFY_ADDRESSES_MAX + extra; i++)
            CHECK(pb_put_bytes(&message, 2, BYTES(ADDRESS)));
        CHECK(pb_put_bytes(&message, 6, bytes_at(text, IDENTIFY_AGENT_MAX + extra)) &&
              wr_lp(&wire, buf_view(&message)));
        CHECK(read_all(&r, buf_view(&wire), &id.peer) == OK);
        CHECK(r.result.n_protocols == IDENTIFY_PROTOCOLS_MAX && r.result.n_addrs == IDENTIFY_ADDRESSES_MAX);
        CHECK(r.result.agent.n == IDENTIFY_AGENT_MAX, "%zu", r.result.agent.n);
        identify_free(&r);
        buf_clear(&wire);
        put(&wire, 3, bytes_at(text, IDENTIFY_PROTOCOL_MAX + extra));
        CHECK(read_all(&r, buf_view(&wire), &id.peer) == OK && r.result.n_protocols == 1 - extra);
        identify_free(&r);
        buf_free(&wire);
        buf_free(&message);
    }
    struct buf wire = {.max = 1000};
    struct identify_reader r;
    memcpy(text + IDENTIFY_AGENT_MAX - 2, "\xe4\xb8\xad", 3); /* a character over the border */
    put(&wire, 6, bytes_at(text, sizeof(text)));
    CHECK(read_all(&r, buf_view(&wire), &id.peer) == OK && r.result.agent.n == IDENTIFY_AGENT_MAX - 2);
    identify_free(&r);
    buf_free(&wire);
}

TEST(memory_may_fail_at_any_time) {
    struct identity id = identity_of(13);
    struct bytes addrs[] = {BYTES(ADDRESS)};
    struct identify_self s = self_of(&id, addrs, 1);
    struct buf wire = {.max = 5000}, record = {.max = 1000};
    CHECK(peer_record_seal(&id, 5, addrs, 1, &record));
    s.record = buf_view(&record);
    bool written = false;
    for (long i = 0; !written; i++) {
        struct buf out = {.max = 5000};
        mem_fail_after(i);
        written = identify_write(&s, &out);
        mem_fail_after(-1);
        CHECK(i < 50 && (i > 0 || !written) && (out.n > 0) == written, "%ld", i);
        buf_free(&out);
    }
    CHECK(identify_write(&s, &wire));
    size_t blocks = mem_blocks();
    enum err e = E_MEMORY;
    for (long i = 0; e == E_MEMORY; i++) {
        struct identify_reader r;
        mem_fail_after(i);
        e = read_all(&r, buf_view(&wire), &id.peer);
        mem_fail_after(-1);
        CHECK(e == OK ? i > 1 && r.result.signed_record : is_empty(&r.result), "%ld: %s", i, err_name(e));
        identify_free(&r);
        CHECK(mem_blocks() == blocks, "%ld", i);
    }
    CHECK(e == OK);
    buf_free(&wire);
    buf_free(&record);
}

/* ---- what we say, when there is too much of it */

TEST(addresses_go_as_far_as_they_fit) {
    struct identity id = identity_of(14);
    static struct bytes addrs[1000];
    for (size_t i = 0; i < LEN(addrs); i++) addrs[i] = BYTES(ADDRESS);
    for (size_t n = 0; n <= LEN(addrs); n += 40) {
        struct identify_self s = self_of(&id, addrs, n);
        struct buf out = {.max = 20000}, record = {.max = 1000};
        struct identify_reader r;
        CHECK(peer_record_seal(&id, 5, addrs, 3, &record));
        s.record = buf_view(&record);
        CHECK(identify_write(&s, &out), "%zu", n);
        struct rd rd = rd_of(buf_view(&out));
        size_t first = rd_lp(&rd, IDENTIFY_SEND_MAX).n + 2;
        CHECK(!rd.bad && first <= IDENTIFY_SEND_MAX, "%zu: %zu", n, first);
        CHECK(n < 440 || first > IDENTIFY_SEND_MAX - 20, "%zu: room is left: %zu", n, first);
        CHECK(read_all(&r, buf_view(&out), &id.peer) == OK && r.result.signed_record, "%zu: %s", n,
              r.why.text);
        CHECK(r.result.n_protocols == 2 && bytes_is(r.result.agent, "silktalk/1"), "%zu", n);
        CHECK((r.messages == 2) == (rd.in.n > 0) && (n < 440 || r.messages == 2), "%zu: %zu", n, r.messages);
        identify_free(&r);
        buf_free(&out);
        buf_free(&record);
    }
}

TEST(too_long_a_list_of_protocols_is_refused) {
    struct identity id = identity_of(15);
    struct identify_self s = self_of(&id, NULL, 0);
    static char name[3 * IDENTIFY_SEND_MAX];
    const char *const one[] = {name, NULL};
    memset(name, 'p', IDENTIFY_SEND_MAX);
    s.protocols = one;
    size_t fits = 0;
    for (size_t n = IDENTIFY_SEND_MAX; fits == 0; n--) { /* the longest that fits fills the message */
        struct buf out = {.max = 20000};
        name[n] = '\0';
        CHECK(buf_add_text(&out, "old") && n > 3900);
        if (identify_write(&s, &out)) {
            fits = n;
            CHECK(out.n == 3 + IDENTIFY_SEND_MAX, "%zu", out.n);
        }
        CHECK(fits > 0 || bytes_is(buf_view(&out), "old"), "%zu", n);
        buf_free(&out);
    }
    struct buf out = {.max = 20000};
    s.record = bytes_of("r"); /* no room in the first: a second message */
    CHECK(identify_write(&s, &out) && out.n == IDENTIFY_SEND_MAX + 4);
    buf_clear(&out);
    static uint8_t record[IDENTIFY_MESSAGE_MAX];
    s.record = bytes_at(record, IDENTIFY_MESSAGE_MAX - 3);
    CHECK(identify_write(&s, &out) && out.n == IDENTIFY_SEND_MAX + 2 + IDENTIFY_MESSAGE_MAX);
    buf_clear(&out);
    s.record = bytes_at(record, IDENTIFY_MESSAGE_MAX - 2); /* too long even there: left out */
    CHECK(identify_write(&s, &out) && out.n == IDENTIFY_SEND_MAX);
    buf_free(&out);
    out.max = IDENTIFY_SEND_MAX + 3;
    s.record = bytes_of("r");
    CHECK(!identify_write(&s, &out) && out.n == 0);
    buf_free(&out);
}
