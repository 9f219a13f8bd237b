/* HTTP clients of a node: who is told what, and what those get who do not keep the rules. */
#include "node/http.h"

#include "node/tokens.h"
#include "tests/node/help.h"

static char said[1 << 20];

static const struct endpoint loopback = {.ip = {4, {127, 0, 0, 1}}, .port = 999},
                             elsewhere = {.ip = {4, {10, 0, 0, 7}}, .port = 999};

/* All that the node writes to it. */
static const char *drain(struct world *w, uint32_t id) {
    struct node *n = node_of(w, 0);
    size_t at = strlen(said);
    for (struct bytes tx; (tx = node_http_tx(n, id)).n > 0;) {
        size_t part = MIN(tx.n, sizeof said - at - 1);
        memcpy(said + at, tx.p, part);
        said[at += part] = 0;
        node_http_sent(n, id, tx.n);
    }
    return said;
}

static uint32_t client(struct world *w, const struct endpoint *from) {
    uint32_t id = node_http_accepted(node_of(w, 0), from, false);
    CHECK(id != 0);
    return id;
}

static const char *ask_with(struct world *w, uint32_t id, const char *text) {
    said[0] = 0;
    node_http_received(node_of(w, 0), id, bytes_of(text));
    world_turn(w, w->nodes[0]);
    world_run(w, 100); /* the store */
    return drain(w, id);
}

static int ask(struct world *w, const struct endpoint *from, const char *line, const char *fields) {
    char text[2000];
    uint32_t id = client(w, from);
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n%s\r\n", line, fields);
    const char *answer = ask_with(w, id, text);
    node_http_gone(node_of(w, 0), id);
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

static struct world *world_with_tokens(char text[SCOPE_COUNT][200]) {
    struct world *w = quiet_world();
    struct tokens t = {NULL, 0};
    struct why why = {OK, ""};
    struct buf file = {.max = TOKENS_FILE_MAX};
    node_with(w, ANY);
    for (size_t i = 0; i < SCOPE_COUNT; i++) {
        uint8_t random[TOKEN_BYTES] = {(uint8_t)i};
        char token[TOKEN_TEXT];
        CHECK(tokens_add(&t, bytes_of(scope_name((enum scope)i)), (enum scope)i, (struct wall){0}, random,
                         token, &why) == OK);
        snprintf(text[i], 200, "Authorization: Bearer %s\r\n", token);
    }
    CHECK(tokens_write(&t, &file) && node_http_tokens(node_of(w, 0), buf_view(&file), &why) == OK);
    tokens_free(&t);
    buf_free(&file);
    return w;
}

TEST(who_asks_decides_what_is_told) {
    char token[SCOPE_COUNT][200];
    struct world *w = world_with_tokens(token);
    static const struct {
        const char *line;
        int none, far, read, messages, admin; /* without a token here, from elsewhere; with one here */
    } rows[] = {{"GET /livez", 200, 401, 200, 200, 200},
                {"GET /readyz", 200, 401, 200, 200, 200},
                {"GET /health", 200, 200, 200, 200, 200},
                {"HEAD /health", 200, 200, 200, 200, 200},
                {"GET /figures?span=minute&names=up_seconds,peers", 200, 401, 200, 200, 200},
                {"GET /figures?names=password", 400, 401, 400, 400, 400},
                {"GET /nothing", 404, 401, 404, 404, 404},
                {"POST /health", 405, 401, 405, 405, 405},
                {"GET /api/v1/status", 401, 401, 200, 200, 200},
                {"GET /api/v1/peers", 401, 401, 200, 200, 200},
                {"GET /api/v1/limits", 401, 401, 200, 200, 200},
                {"GET /api/v1/config", 401, 401, 200, 200, 200},
                {"GET /api/v1/outbox?limit=1", 401, 401, 200, 200, 200},
                {"GET /api/v1/outbox?limit=-1", 401, 401, 400, 400, 400},
                {"GET /api/v1/outbox?limit=0", 401, 401, 400, 400, 400},
                {"GET /api/v1/peers?limit=many", 401, 401, 400, 400, 400},
                {"GET /api/v1/report?since=2026-01-01T00:00:00Z", 401, 401, 200, 200, 200},
                {"GET /api/v1/figures?span=hour&names=peers", 401, 401, 200, 200, 200},
                {"GET /api/v1/events?limit=5&type=warn", 401, 401, 200, 200, 200},
                {"GET /api/v1/events?type=nonsense", 401, 401, 400, 400, 400},
                {"GET /api/v1/log/stats?by=day", 401, 401, 200, 200, 200},
                {"GET /api/v1/log/stats?by=year", 401, 401, 400, 400, 400},
                {"GET /api/v1/checks/daily", 401, 401, 200, 200, 200},
                {"GET /api/v1/checks/hourly", 401, 401, 400, 400, 400},
                {"GET /api/v1/peers?all=1&limit=2&after=12D3", 401, 401, 200, 200, 200},
                {"GET /api/v1/peers/nobody", 401, 401, 404, 404, 404},
                {"GET /api/v1/peers/%zz", 401, 401, 400, 400, 400},
                {"GET /api/v1/messages", 401, 401, 403, 200, 200},
                {"GET /api/v1/messages/012345", 401, 401, 403, 404, 404},
                {"DELETE /api/v1/outbox/012345", 401, 401, 403, 404, 404},
                {"POST /api/v1/messages", 401, 401, 403, 400, 400},
                {"POST /api/v1/connect", 401, 401, 403, 403, 400}};
    for (size_t i = 0; i < LEN(rows); i++) {
        int got[] = {ask(w, &loopback, rows[i].line, ""), ask(w, &elsewhere, rows[i].line, ""),
                     ask(w, &loopback, rows[i].line, token[SCOPE_READ]),
                     ask(w, &loopback, rows[i].line, token[SCOPE_MESSAGES]),
                     ask(w, NULL, rows[i].line, token[SCOPE_ADMIN])};
        int want[] = {rows[i].none, rows[i].far, rows[i].read, rows[i].messages, rows[i].admin};
        for (size_t k = 0; k < LEN(got); k++)
            CHECK(got[k] == want[k], "%s, caller %zu: %d, not %d", rows[i].line, k, got[k], want[k]);
    }
    CHECK(ask(w, &elsewhere, "GET /api/v1/status", token[SCOPE_READ]) == 200);
    CHECK(ask(w, &elsewhere, "GET /api/v1/messages", token[SCOPE_ADMIN]) == 403, "in clear off this host");
    CHECK(ask(w, &elsewhere, "GET /health", "") == 200 && strstr(said, "\"status\":\"healthy\"") != NULL);
    CHECK(strstr(said, "version") == NULL && strstr(said, "12D3") == NULL);
    end_world(w);
}

TEST(a_message_is_sent_read_and_deleted) {
    char token[SCOPE_COUNT][200], text[2000], body[300], line[200], id[33] = "";
    struct world *w = world_with_tokens(token);
    size_t b = node_with(w, ANY);
    must_connect(w, 0, b);
    send_text(w, b, 0, "to read");
    world_run(w, 1000);
    snprintf(body, sizeof body, "{\"peer\":\"%s\",\"body\":\"over HTTP\"}", world_address(w, b));
    uint32_t c = client(w, &loopback);
    snprintf(text, sizeof text,
             "POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s",
             token[SCOPE_MESSAGES], strlen(body), body);
    const char *answer = ask_with(w, c, text);
    CHECK(strstr(answer, "HTTP/1.1 202 ") == answer && strstr(answer, "\"queued\"") != NULL, "%s", answer);
    world_run(w, 1000);
    CHECK(inbox_is(w, b, "over HTTP "));
    snprintf(text, sizeof text, "GET /api/v1/messages HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
             token[SCOPE_MESSAGES]);
    answer = ask_with(w, c, text); /* on the same connection */
    const char *at = strstr(answer, "\"id\":\"");
    CHECK(at != NULL, "%s", answer);
    memcpy(id, at + 6, 32);
    node_http_gone(node_of(w, 0), c);
    snprintf(line, sizeof line, "GET /api/v1/messages/%s", id);
    CHECK(ask(w, NULL, line, token[SCOPE_MESSAGES]) == 200 && strstr(said, "to read") != NULL);
    snprintf(line, sizeof line, "DELETE /api/v1/messages/%s", id);
    CHECK(ask(w, NULL, line, token[SCOPE_MESSAGES]) == 200);
    CHECK(inbox_is(w, 0, ""));
    end_world(w);
}

TEST(pages_of_other_sites_and_other_names_are_refused) {
    char token[SCOPE_COUNT][200], fields[400];
    struct world *w = world_with_tokens(token);
    static const struct {
        int status;
        const char *line, *fields;
    } rows[] = {{200, "GET /health", "Origin: http://127.0.0.1:8080\r\n"},
                {403, "GET /health", "Origin: http://evil.example\r\n"},
                {403, "GET /health", "Origin: null\r\n"},
                {403, "GET /health", "Sec-Fetch-Site: cross-site\r\n"},
                {403, "GET /health", "Sec-Fetch-Site: same-site\r\n"},
                {200, "GET /health", "Sec-Fetch-Site: same-origin\r\n"},
                {200, "GET /health", "Sec-Fetch-Site: none\r\n"},
                {403, "POST /api/v1/reload", "Sec-Fetch-Site: cross-site\r\n"}};
    for (size_t i = 0; i < LEN(rows); i++) {
        snprintf(fields, sizeof fields, "%s%s", token[SCOPE_ADMIN], rows[i].fields);
        CHECK(ask(w, &loopback, rows[i].line, fields) == rows[i].status, "%s", rows[i].fields);
    }
    static const struct {
        int status;
        const char *host;
    } hosts[] = {
        {200, "localhost"},    {200, "LOCALHOST:8080"},         {200, "[::1]:8080"}, {200, "192.168.1.4"},
        {421, "evil.example"}, {421, "127.0.0.1.evil.example"}, {421, ""},           {421, "localhost.evil"}};
    for (size_t i = 0; i < LEN(hosts); i++) {
        char text[300];
        snprintf(text, sizeof text, "GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i].host);
        CHECK(atoi(ask_with(w, client(w, &loopback), text) + 9) == hosts[i].status, "%s", hosts[i].host);
    }
    CHECK(atoi(ask_with(w, client(w, &loopback), "GET /livez HTTP/1.1\r\n\r\n") + 9) == 400, "no host");
    CHECK(atoi(ask_with(w, client(w, NULL), "GET /livez HTTP/1.0\r\n\r\n") + 9) == 200, "a unix socket");
    end_world(w);
}

TEST(the_page_comes_with_a_policy_of_hashes) {
    struct world *w = quiet_world();
    node_with(w, ANY);
    CHECK(ask(w, &loopback, "GET /", "") == 500, "this node has none");
    node_of(w, 0)->page = BYTES("<style>abc</style><script></script>");
    CHECK(ask(w, &loopback, "GET /", "Sec-Fetch-Site: cross-site\r\n") == 200, "a link to it");
    CHECK(strstr(said, "; style-src 'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='; script-src "
                       "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; \r\n") != NULL);
    CHECK(strstr(said, "Content-Security-Policy: default-src 'none'; connect-src 'self'; ") != NULL);
    CHECK(ask(w, &elsewhere, "GET /", "") == 401);
    end_world(w);
}

TEST(guessing_is_stopped_for_a_minute) {
    char token[SCOPE_COUNT][200];
    struct world *w = world_with_tokens(token);
    for (int i = 0; i < HTTP_GUESSES_MAX; i++)
        CHECK(ask(w, &loopback, "GET /health", "Authorization: Bearer x\r\n") == 401);
    CHECK(ask(w, &loopback, "GET /health", "Authorization: Bearer x\r\n") == 429);
    CHECK(ask(w, &loopback, "GET /health", token[SCOPE_READ]) == 429, "the right one could be a guess too");
    CHECK(ask(w, &loopback, "GET /health", "") == 200);
    CHECK(ask(w, &elsewhere, "GET /health", token[SCOPE_READ]) == 200, "another address");
    world_run(w, 90000);
    CHECK(ask(w, &loopback, "GET /health", token[SCOPE_READ]) == 200, "%s", said);
    end_world(w);
}

TEST(slow_idle_and_greedy_clients_lose_their_connection_alone) {
    struct world *w = quiet_world();
    node_with(w, ANY);
    struct node *n = node_of(w, 0);
    uint32_t slow = client(w, &loopback), idle = client(w, &loopback), huge = client(w, &loopback);
    said[0] = 0;
    node_http_received(n, slow, BYTES("GET /health HT"));
    world_run(w, HTTP_REQUEST_MS + 1000);
    CHECK(strstr(drain(w, slow), "HTTP/1.1 408 ") != NULL && node_http_done(n, slow));
    CHECK(node_http_done(n, idle), "it never asked");
    static char big[HTTP_HEAD_MAX];
    memset(big, 'a', sizeof big);
    said[0] = 0;
    CHECK(node_http_room(n, huge) == 0, "it is over as well");
    huge = client(w, &loopback);
    node_http_received(n, huge, bytes_at(big, sizeof big));
    CHECK(strstr(drain(w, huge), "HTTP/1.1 431 ") != NULL && node_http_done(n, huge));
    said[0] = 0;
    uint32_t body = client(w, &loopback);
    node_http_received(n, body,
                       BYTES("POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n"));
    CHECK(strstr(drain(w, body), "HTTP/1.1 413 ") != NULL && node_http_done(n, body));
    end_world(w);
}

/* Its memory would be anybody's to fill: 32 clients of maxBody each. */
TEST(no_body_is_awaited_from_who_may_not_send_one) {
    char token[SCOPE_COUNT][200], text[500];
    struct world *w = world_with_tokens(token);
    struct node *n = node_of(w, 0);
    static const char head[] =
        "POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %u\r\n\r\n";
    snprintf(text, sizeof text, head, "", 1000000u);
    uint32_t id = client(w, &loopback);
    CHECK(atoi(ask_with(w, id, text) + 9) == 401 && node_http_done(n, id), "%s", said);
    snprintf(text, sizeof text, head, "Authorization: Bearer x\r\n", 1000000u);
    id = client(w, &loopback);
    CHECK(atoi(ask_with(w, id, text) + 9) == 401 && node_http_done(n, id), "%s", said);
    snprintf(text, sizeof text, head, token[SCOPE_READ], 1000000u);
    id = client(w, &loopback);
    CHECK(atoi(ask_with(w, id, text) + 9) == 403 && node_http_done(n, id), "%s", said);
    snprintf(text, sizeof text, head, token[SCOPE_MESSAGES], 4u);
    id = client(w, &loopback);
    CHECK(*ask_with(w, id, text) == 0 && !node_http_done(n, id), "%s", said);
    CHECK(atoi(ask_with(w, id, "[[]]") + 9) == 400, "%s", said);
    snprintf(text, sizeof text, "GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
             HTTP_BODY_EXTRA + 1);
    id = client(w, &loopback);
    CHECK(atoi(ask_with(w, id, text) + 9) == 413 && node_http_done(n, id), "%s", said);
    end_world(w);
}

/* Nobody has to close a connection but we: what it never reads must not keep its place. */
TEST(who_reads_no_answer_is_cut) {
    struct world *w = quiet_world();
    node_with(w, ANY);
    struct node *n = node_of(w, 0);
    uint32_t half = client(w, &loopback), last = client(w, &loopback), deaf = client(w, &loopback);
    node_http_received(n, half, BYTES("GET /health HT"));
    node_http_received(n, last, BYTES("GET /livez HTTP/1.0\r\nHost: a\r\n\r\n"));
    node_http_received(n, deaf, BYTES("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"));
    world_run(w, HTTP_REQUEST_MS + 1000);
    CHECK(node_http_tx(n, half).n > 0 && !node_http_done(n, half) && !node_http_cut(n, half), "408 waits");
    world_run(w, HTTP_IDLE_MS + 1000);
    CHECK(node_http_done(n, half) && node_http_cut(n, half));
    CHECK(node_http_done(n, last) && node_http_cut(n, last));
    CHECK(node_http_done(n, deaf) && node_http_cut(n, deaf), "what TLS holds of it goes too");
    end_world(w);
}

TEST(answers_that_nobody_reads_take_no_place_from_others) {
    struct world *w = quiet_world();
    node_with(w, ANY);
    struct node *n = node_of(w, 0);
    uint32_t first = 0;
    for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++) {
        uint32_t id = client(w, &loopback);
        node_http_received(n, id, BYTES("GET /livez HTTP/1.0\r\nHost: a\r\n\r\n"));
        if (i == 0) first = id;
        world_run(w, 10);
    }
    CHECK(!node_http_accepting(n));
    node_http_make_room(n);
    CHECK(node_http_cut(n, first) && node_http_done(n, first));
    end_world(w);
}

TEST(the_longest_idle_one_yields) {
    struct world *w = quiet_world();
    node_with(w, ANY);
    struct node *n = node_of(w, 0);
    uint32_t ids[HTTP_CLIENTS_MAX];
    for (size_t i = 0; i < LEN(ids); i++) {
        CHECK(node_http_accepting(n));
        ids[i] = client(w, &loopback);
        world_run(w, 10);
    }
    CHECK(!node_http_accepting(n) && node_http_accepted(n, &loopback, false) == 0);
    CHECK(node_http_next(n) == ids[0] && node_http_done(n, ids[0]) && !node_http_done(n, ids[1]));
    node_http_gone(n, ids[0]);
    CHECK(node_http_accepting(n));
    uint32_t last = client(w, &loopback);
    CHECK(atoi(ask_with(w, last,
                        "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\nHost: "
                        "localhost\r\nConnection: close\r\n\r\n") +
               9) == 200);
    world_run(w, 10);
    CHECK(strstr(drain(w, last) + 20, "HTTP/1.1 200 ") != NULL, "both requests are answered");
    CHECK(node_http_done(n, last));
    end_world(w);
}

TEST(every_cut_and_refused_memory_is_survived) {
    static const char text[] =
        "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    struct world *w = quiet_world();
    node_with(w, ANY);
    for (size_t i = 1; i < sizeof text - 1; i++) {
        uint32_t id = client(w, &loopback);
        said[0] = 0;
        node_http_received(node_of(w, 0), id, bytes_at(text, i));
        node_http_received(node_of(w, 0), id, bytes_at(text + i, sizeof text - 1 - i));
        CHECK(atoi(drain(w, id) + 9) == 401, "cut at %zu", i);
        node_http_gone(node_of(w, 0), id);
    }
    for (long k = 0; k < 40; k++) {
        uint32_t id = client(w, &loopback);
        mem_fail_after(k);
        node_http_received(node_of(w, 0), id, BYTES("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        mem_fail_after(-1);
        drain(w, id);
        node_http_gone(node_of(w, 0), id);
    }
    end_world(w);
}
