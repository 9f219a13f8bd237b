#include "node/alert.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/hash.h"

/* operations.md S8: how soon somebody looks at it, and how soon it is mended. */
static const struct {
    int64_t respond_ms, solve_ms;
} times[] = {{15 * 60000LL, 2 * 3600000LL},
             {30 * 60000LL, 4 * 3600000LL},
             {2 * 3600000LL, 24 * 3600000LL},
             {24 * 3600000LL, 7 * 24 * 3600000LL}};
enum { LEVELS = LEN(times), UNKNOWN_LEVEL = 2, NAME_MAX = 32 };

/* ---- what is wrong, as text */

bool alert_add(char findings[ALERT_FINDINGS_MAX], const char *name, int level) {
    size_t used = strlen(findings), room = ALERT_FINDINGS_MAX - used;
    int n = snprintf(findings + used, room, "%s%.*s:P%d", used > 0 ? "," : "", NAME_MAX, name, level);
    if (n > 0 && (size_t)n < room) return true;
    findings[used] = 0;
    return false;
}

int alert_level(const char *findings, struct bytes name) {
    struct bytes list = bytes_of(findings), one;
    while (bytes_split(&list, ',', &one)) {
        size_t n = bytes_index(one, ':');
        if (!bytes_eq(bytes_sub(one, 0, n), name) || n + 3 != one.n || one.p[n + 1] != 'P') continue;
        int level = one.p[n + 2] - '0';
        return level >= 0 && level < LEVELS ? level : -1;
    }
    return -1;
}

static int level_of(const struct json *check) {
    struct bytes level = json_get_bytes(check, "level");
    bool good = level.n == 2 && level.p[0] == 'P' && level.p[1] >= '0' && level.p[1] < '0' + LEVELS;
    return good ? level.p[1] - '0' : UNKNOWN_LEVEL;
}

void alert_findings(const struct json *health, int least, char out[ALERT_FINDINGS_MAX]) {
    size_t i = 0;
    const struct json *check, *checks = json_get(health, "checks");
    out[0] = 0;
    while (json_item(checks, &i, &check)) {
        char name[NAME_MAX + 1];
        bool bad = health_status_of(json_get_bytes(check, "status")) != HEALTH_OK &&
                   json_get_bool(check, "judged", true) && level_of(check) <= least;
        if (bad && bytes_cstr(json_get_bytes(check, "name"), name, sizeof name))
            alert_add(out, name, level_of(check));
    }
}

const char *alert_event(const char *before, struct wall told, const char *findings, struct wall now,
                        int64_t repeat_ms) {
    if (strcmp(before, findings) != 0) return findings[0] == 0 ? "recovery" : "problem";
    return findings[0] != 0 && now.ms - told.ms >= repeat_ms ? "repeat" : NULL;
}

void alert_words(const struct json *health, const char *findings, struct buf *out) {
    const struct json *check, *checks = json_get(health, "checks");
    size_t before = out->n;
    for (int level = 0; level < LEVELS; level++)
        for (size_t i = 0; json_item(checks, &i, &check);)
            if (alert_level(findings, json_get_bytes(check, "name")) == level) {
                if (out->n > before) buf_add_text(out, "; ");
                health_message(check, out);
            }
    if (out->n == before) health_words(health, NULL, out);
}

/* ---- the object */

static void put_findings(const struct alert *a, struct json_out *o) {
    static const char *const levels[] = {"P0", "P1", "P2", "P3"};
    const struct json *check, *checks = json_get(a->health, "checks");
    json_open(o, "findings", '[');
    for (size_t i = 0; json_item(checks, &i, &check);) {
        struct bytes name = json_get_bytes(check, "name");
        int level = alert_level(a->findings, name);
        struct wall since;
        if (level < 0) continue;
        if (!wall_parse(json_get_bytes(check, "since"), &since)) since = a->now;
        json_open(o, NULL, '{');
        json_put(o, "finding", name);
        json_put_str(o, "level", levels[level]);
        json_put_value(o, "status", json_get(check, "status"));
        json_put_value(o, "evidence", json_get(check, "message"));
        json_put_value(o, "fix", json_get(check, "fix"));
        json_put_wall(o, "since", since);
        json_put_wall(o, "respond_by", (struct wall){since.ms + times[level].respond_ms});
        json_put_wall(o, "solve_by", (struct wall){since.ms + times[level].solve_ms});
        json_shut(o, '}');
    }
    json_shut(o, ']');
}

static void put_contact(struct json_out *o, const char *key, const char *value) {
    json_put_str(o, key, value != NULL && value[0] != 0 ? value : NULL);
}

bool alert_write(const struct alert *a, struct buf *out) {
    struct buf words = {.max = 8192}, id = {.max = 2 * ALERT_ID};
    struct json_out o = json_begin(out);
    alert_words(a->health, a->findings, &words);
    hex_encode(&id, bytes_at(a->id, sizeof a->id));
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.alert/1");
    json_put(&o, "id", buf_view(&id));
    json_put_str(&o, "event", a->event);
    json_put_wall(&o, "time", a->now);
    json_put_str(&o, "node", cfg(a->config, node_name).text);
    json_put_value(&o, "peer_id", json_get(a->health, "peer_id"));
    json_put_value(&o, "status", json_get(a->health, "status"));
    json_put(&o, "text", buf_view(&words));
    put_findings(a, &o);
    json_open(&o, "contacts", '{');
    put_contact(&o, "operations", cfg(a->config, contacts_operations).text);
    put_contact(&o, "development", cfg(a->config, contacts_development).text);
    put_contact(&o, "security", cfg(a->config, contacts_security).text);
    json_shut(&o, '}');
    json_put_value(&o, "health", a->health);
    json_shut(&o, '}');
    buf_free(&words);
    buf_free(&id);
    return json_end(&o) && buf_add_text(out, "\n");
}

bool alert_sign(struct bytes secret, struct wall now, struct bytes body, struct buf *out) {
    uint8_t mac[SHA256_SIZE];
    struct buf signed_text = {.max = body.n + 32};
    size_t before = out->n;
    bool good = buf_add_format(&signed_text, "%lld.", (long long)(now.ms / 1000)) &&
                buf_add(&signed_text, body);
    if (good) {
        hash_hmac_sha256(secret, buf_view(&signed_text), mac);
        good = buf_add_format(out, "SilkTalk-Signature: t=%lld,v1=", (long long)(now.ms / 1000)) &&
               hex_encode(out, bytes_at(mac, sizeof mac)) && buf_add_text(out, "\r\n");
        mem_wipe(mac, sizeof mac);
    }
    if (!good) out->n = before;
    buf_free(&signed_text);
    return good;
}
