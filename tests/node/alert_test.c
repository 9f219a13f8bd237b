/* What is told, in words and as an object; when; and its signature, checked against openssl's. */
#include "node/alert.h"

#include "base/mem.h"
#include "tests/test.h"

static const char sick[] =
    "{\"schema\":\"silktalk.health/1\",\"status\":\"unhealthy\",\"peer_id\":\"12D3\",\"checks\":["
    "{\"name\":\"node\",\"status\":\"ok\",\"level\":null,\"message\":\"runs\",\"judged\":true},"
    "{\"name\":\"disk\",\"status\":\"warning\",\"level\":\"P2\",\"message\":\"85%\",\"judged\":true,"
    "\"since\":\"2026-02-22T10:00:00.000Z\",\"fix\":\"free space\"},"
    "{\"name\":\"peers\",\"status\":\"critical\",\"level\":\"P1\",\"message\":\"0 "
    "con|nected\\nx\",\"judged\":true,"
    "\"since\":\"2026-02-22T10:15:30.123Z\",\"fix\":\"ask\"},"
    "{\"name\":\"clock\",\"status\":\"unknown\",\"level\":null,\"message\":\"?\",\"judged\":true},"
    "{\"name\":\"backup\",\"status\":\"unknown\",\"level\":null,\"message\":\"later\",\"judged\":false}]}";

static struct config *config_with(const char *ini) {
    struct config_home home = {.home = "/h", .socket = "/h/s", .hostname = "web-01", .socketmode = "0600"};
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    struct why w = {OK, ""};
    CHECK(config_builder_add(b, "test", bytes_of(ini), &w) == OK, "%s", w.text);
    CHECK(config_builder_finish(b, &c, &w) == OK, "%s", w.text);
    config_builder_free(b);
    return c;
}

TEST(findings_down_to_a_level) {
    struct json_doc *doc = json_parse(bytes_of(sick), NULL);
    char out[ALERT_FINDINGS_MAX];
    static const char *const want[] = {"", "peers:P1", "disk:P2,peers:P1,clock:P2",
                                       "disk:P2,peers:P1,clock:P2"};
    for (int least = 0; least < 4; least++) {
        alert_findings(json_root(doc), least, out);
        CHECK(strcmp(out, want[least]) == 0, "%d: %s", least, out);
    }
    CHECK(alert_level(out, BYTES("disk")) == 2 && alert_level(out, BYTES("peers")) == 1);
    CHECK(alert_level(out, BYTES("dis")) == -1 && alert_level(out, BYTES("")) == -1);
    CHECK(alert_level("disk:P9", BYTES("disk")) == -1 && alert_level("disk:P", BYTES("disk")) == -1);
    out[0] = 0;
    size_t n = 0;
    while (alert_add(out, "abcdefgh", 1)) n++;
    CHECK(n == (ALERT_FINDINGS_MAX - 1 + 1) / 12 && strlen(out) == 12 * n - 1, "%zu", n);
    json_free(doc);
}

TEST(told_on_change_recovery_and_repeat) {
    struct wall told = {1000000}, soon = {1000001}, late = {1000000 + 5000};
    CHECK(strcmp(alert_event("", told, "a:P1", soon, 5000), "problem") == 0);
    CHECK(strcmp(alert_event("a:P2", told, "a:P1", soon, 5000), "problem") == 0);
    CHECK(strcmp(alert_event("a:P2", told, "", soon, 5000), "recovery") == 0);
    CHECK(alert_event("", told, "", late, 5000) == NULL &&
          alert_event("a:P1", told, "a:P1", soon, 5000) == NULL);
    CHECK(strcmp(alert_event("a:P1", told, "a:P1", late, 5000), "repeat") == 0);
}

TEST(the_object_has_evidence_deadlines_and_contacts) {
    struct config *c = config_with("[contacts]\noperations = Ann \"x\"\n");
    struct json_doc *doc = json_parse(bytes_of(sick), NULL);
    struct buf out = {.max = 65536};
    struct alert a = {.event = "problem",
                      .findings = "disk:P2,peers:P1",
                      .health = json_root(doc),
                      .config = c,
                      .now = {1771755330123},
                      .id = {0xab}};
    CHECK(alert_write(&a, &out) && bytes_ends(buf_view(&out), "}\n"));
    struct json_doc *back = json_parse(buf_view(&out), NULL);
    const struct json *v = json_root(back), *f = json_get(v, "findings"), *peers = json_at(f, 1);
    CHECK(json_count(f) == 2 && bytes_is(json_get_bytes(v, "event"), "problem"));
    CHECK(bytes_is(json_get_bytes(v, "id"), "ab000000000000000000000000000000"));
    CHECK(bytes_is(json_get_bytes(v, "node"), "web-01") && bytes_is(json_get_bytes(v, "peer_id"), "12D3"));
    CHECK(bytes_is(json_get_bytes(v, "text"), "peers 0 con nected x; disk 85%"), "%.*s", (int)out.n,
          (const char *)out.p);
    CHECK(bytes_is(json_get_bytes(peers, "level"), "P1") && bytes_is(json_get_bytes(peers, "fix"), "ask"));
    CHECK(bytes_is(json_get_bytes(peers, "respond_by"), "2026-02-22T10:45:30.123Z"));
    CHECK(bytes_is(json_get_bytes(peers, "solve_by"), "2026-02-22T14:15:30.123Z"));
    CHECK(bytes_is(json_get_bytes(json_at(f, 0), "respond_by"), "2026-02-22T12:00:00.000Z"));
    CHECK(bytes_is(json_get_bytes(json_at(f, 0), "solve_by"), "2026-02-23T10:00:00.000Z"));
    CHECK(bytes_is(json_get_bytes(json_get(v, "contacts"), "operations"), "Ann \"x\""));
    CHECK(json_is_null(json_get(json_get(v, "contacts"), "security")));
    CHECK(json_count(json_get(json_get(v, "health"), "checks")) == 5);
    json_free(back);
    for (size_t max = 0; max < out.n; max += 37) {
        struct buf small = {.max = max};
        CHECK(!alert_write(&a, &small), "%zu", max);
        buf_free(&small);
    }
    buf_clear(&out);
    alert_words(json_root(doc), "", &out); /* nothing is told: how all is */
    CHECK(bytes_starts(buf_view(&out), "peers 0 con nected x; disk 85%; clock ?"), "%s", buf_cstr(&out));
    buf_free(&out);
    json_free(doc);
    config_free(c);
}

/* printf '1771755330.{"a":1}\n' | openssl dgst -sha256 -hmac secret */
TEST(the_signature_is_of_time_and_body) {
    struct buf out = {.max = ALERT_SIGNATURE_MAX};
    CHECK(alert_sign(BYTES("secret"), (struct wall){1771755330999}, BYTES("{\"a\":1}\n"), &out));
    CHECK(bytes_is(buf_view(&out), "SilkTalk-Signature: t=1771755330,v1="
                                   "29fc6ac205a395df9e0e6c75830467143ead60c862828b6fa0b2269163c3ada1\r\n"),
          "%s", buf_cstr(&out));
    buf_free(&out);
    struct buf small = {.max = 60};
    CHECK(!alert_sign(BYTES("secret"), (struct wall){1}, BYTES("x"), &small) && small.n == 0);
    buf_free(&small);
}
