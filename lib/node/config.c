#include "node/config.h"

#include <ini.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/config_value.h"

#define CONFIG_ROW(section, key, type, value, range, applies, meaning)                                       \
    {#section, #key, #section "." #key, CONFIG_##type, value, range, meaning, CONFIG_##applies},
const struct config_row config_rows[CONFIG_KEY_COUNT] = {CONFIG_KEYS(CONFIG_ROW)};

#define SECTION_NAME(name, text) #name,
static const char *const section_names[] = {CONFIG_SECTIONS(SECTION_NAME)};

struct config_builder {
    struct config_home home;
    struct config *config;
    char *texts[CONFIG_KEY_COUNT]; /* as written; lists: joined */
    char *sources[CONFIG_KEY_COUNT];
    unsigned set_in[CONFIG_KEY_COUNT]; /* number of the file that set it last */
    char *limit_sources[LIMIT_COUNT];
    unsigned file;
    const char *file_name; /* while one is read */
    struct why *w;
    enum err err;
    int line; /* the last one that was taken; with err: the one that is wrong */
};

/* ---- names */

enum config_key config_find(struct bytes name, const char **near) {
    char text[96];
    size_t best = 4;
    if (near != NULL) *near = NULL;
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
        if (bytes_is(name, config_rows[i].name)) return (enum config_key)i;
    if (near == NULL || !bytes_cstr(name, text, sizeof text)) return CONFIG_KEY_COUNT;
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const char *dot = strchr(text, '.');
        size_t d = text_distance(text, config_rows[i].name);
        if (dot == NULL && strcmp(text, config_rows[i].key) == 0) d = 0; /* without its section */
        if (d < best) {
            best = d;
            *near = config_rows[i].name;
        }
    }
    return CONFIG_KEY_COUNT;
}

static enum err unknown(struct config_builder *b, const char *section, const char *key, int line) {
    char name[256];
    const char *near = NULL;
    bool known = false;
    for (size_t i = 0; i < LEN(section_names); i++) known |= strcmp(section, section_names[i]) == 0;
    snprintf(name, sizeof name, "%.100s.%.100s", section, key);
    config_find(bytes_of(name), &near);
    if (!known) {
        const char *best = NULL;
        size_t distance = MIN(4, strlen(section) / 2 + 1); /* [what] does not mean [http] */
        for (size_t i = 0; i < LEN(section_names); i++)
            if (text_distance(section, section_names[i]) < distance) {
                distance = text_distance(section, section_names[i]);
                best = section_names[i];
            }
        return fail(b->w, E_INPUT, "%.120s:%d: unknown section [%.40s]%s%s%s", b->file_name, line, section,
                    best == NULL ? "" : "; did you mean [", best == NULL ? "" : best,
                    best == NULL ? "" : "]?");
    }
    return fail(b->w, E_INPUT, "%.120s:%d: unknown key %.40s in [%s]%s%s%s", b->file_name, line, key, section,
                near == NULL ? "" : "; did you mean ", near == NULL ? "" : near, near == NULL ? "" : "?");
}

/* ---- reading */

struct config_builder *config_builder_new(const struct config_home *home) {
    struct config_builder *b = NEW(struct config_builder);
    if (b == NULL) return NULL;
    b->home = *home;
    b->config = NEW(struct config);
    if (b->config == NULL) {
        mem_free(b);
        return NULL;
    }
    for (size_t i = 0; i < LIMIT_COUNT; i++) b->config->limits[i] = limit_rows[i].value;
    return b;
}

void config_builder_free(struct config_builder *b) {
    if (b == NULL) return;
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        mem_free(b->texts[i]);
        mem_free(b->sources[i]);
    }
    for (size_t i = 0; i < LIMIT_COUNT; i++) mem_free(b->limit_sources[i]);
    config_free(b->config);
    mem_free(b);
}

static char *source_of(const struct config_builder *b, int line) {
    char text[700];
    int n = snprintf(text, sizeof text, "%.600s:%d", b->file_name, line);
    return mem_text(text, n > 0 ? (size_t)n : 0);
}

static enum err set_limit(struct config_builder *b, const char *name, const char *value, int line) {
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        uint64_t v = 0;
        if (strcmp(limit_rows[i].name, name) != 0) continue;
        if (limit_rows[i].key != NULL)
            return fail(b->w, E_INPUT, "%.120s:%d: the limit %s is set by %s", b->file_name, line, name,
                        limit_rows[i].key);
        if (!size_parse(bytes_trim(bytes_of(value)), &v) || v < limit_rows[i].least || v > limit_rows[i].most)
            return fail(b->w, E_INPUT, "%.120s:%d: limits.%s is a number from %llu to %llu", b->file_name,
                        line, name, (unsigned long long)limit_rows[i].least,
                        (unsigned long long)limit_rows[i].most);
        b->config->limits[i] = v;
        b->config->limit_set[i] = true;
        return OK;
    }
    return fail(b->w, E_INPUT, "%.120s:%d: there is no limit %.60s; see `silktalk diag limits`", b->file_name,
                line, name);
}

/* In a file ; begins a comment there. */
static bool has_comment(struct bytes value) {
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] == ';' && (i == 0 || value.p[i - 1] == ' ' || value.p[i - 1] == '\t')) return true;
    return false;
}

static enum err set_key(struct config_builder *b, enum config_key key, const char *value, int line) {
    struct why inner = {OK, ""};
    union config_value v;
    char *normal = NULL;
    enum err e = OK;
    if (has_comment(bytes_of(value)))
        e = fail(&inner, E_INPUT, "%s begins with a ;, which begins a comment", config_rows[key].name);
    else
        e = config_value_parse(key, bytes_of(value), &v, &normal, &inner);
    if (e != OK) return fail(b->w, e, "%.120s:%d: %s", b->file_name, line, inner.text);
    config_value_free(config_rows[key].type, &v);
    bool joins = config_is_list(config_rows[key].type) && b->set_in[key] == b->file && b->texts[key] != NULL;
    struct buf text = {.max = CONFIG_FILE_MAX};
    bool whole = !joins || b->texts[key][0] == 0 || buf_add_format(&text, "%s, ", b->texts[key]);
    whole = whole && buf_add_text(&text, normal);
    mem_free(normal);
    mem_free(b->texts[key]);
    b->texts[key] = whole ? mem_text(text.p, text.n) : NULL;
    buf_free(&text);
    mem_free(b->sources[key]);
    b->sources[key] = source_of(b, line);
    b->set_in[key] = b->file;
    if (b->texts[key] != NULL && b->sources[key] != NULL) return OK;
    return fail(b->w, E_MEMORY, "%.120s:%d: no memory for so long a list", b->file_name, line);
}

static int on_line(void *user, const char *section, const char *name, const char *value, int line) {
    struct config_builder *b = user;
    char full[256];
    if (b->err != OK) return 0;
    b->line = line;
    if (name == NULL) { /* a new section */
        bool known = false;
        for (size_t i = 0; i < LEN(section_names); i++) known |= strcmp(section, section_names[i]) == 0;
        if (!known) b->err = unknown(b, section, "", line);
        return b->err == OK;
    }
    if (strcmp(section, "limits") == 0) {
        b->err = set_limit(b, name, value == NULL ? "" : value, line);
        return b->err == OK;
    }
    snprintf(full, sizeof full, "%.100s.%.100s", section, name);
    enum config_key key = config_find(bytes_of(full), NULL);
    if (section[0] == 0)
        b->err = fail(b->w, E_INPUT, "%.120s:%d: %.40s stands before the first [section]", b->file_name, line,
                      name);
    else
        b->err = key == CONFIG_KEY_COUNT ? unknown(b, section, name, line)
                                         : set_key(b, key, value == NULL ? "" : value, line);
    return b->err == OK;
}

static enum err check_text(struct config_builder *b, struct bytes text) {
    struct bytes rest = text, line;
    if (text.n > CONFIG_FILE_MAX) return fail(b->w, E_INPUT, "%.120s is larger than 1 MiB", b->file_name);
    if (bytes_index(text, 0) < text.n)
        return fail(b->w, E_INPUT, "%.120s has NUL bytes: it is no text", b->file_name);
    if (!utf8_valid(text)) return fail(b->w, E_INPUT, "%.120s is not UTF-8", b->file_name);
    for (int i = 1; bytes_split(&rest, '\n', &line); i++)
        if (line.n > CONFIG_LINE_MAX - 4)
            return fail(b->w, E_INPUT, "%.120s:%d: the line has more than 8 KiB", b->file_name, i);
    return OK;
}

enum err config_builder_add(struct config_builder *b, const char *file, struct bytes text, struct why *w) {
    struct why own = {OK, ""};
    b->w = w == NULL ? &own : w;
    b->file_name = file;
    b->file++;
    b->err = OK;
    b->line = 0;
    enum err e = check_text(b, text);
    if (e != OK) return e;
    char *copy = mem_text(text.p, text.n);
    if (copy == NULL) return fail(b->w, E_MEMORY, "out of memory");
    int line = ini_parse_string(copy, on_line, b);
    mem_free(copy);
    if (b->err != OK && line >= b->line) return b->err; /* else a line before it could not be read at all */
    if (line > 0) return fail(b->w, E_INPUT, "%.120s:%d: neither [section] nor KEY = VALUE", file, line);
    return line < 0 ? fail(b->w, E_MEMORY, "out of memory") : OK;
}

/* ---- finishing */

static bool add_path(const struct config_builder *b, struct buf *text, const char *path, const char *name) {
    return path != NULL ? buf_add_text(text, path) : buf_add_format(text, "%s/%s", b->home.home, name);
}

static char *default_text(const struct config_builder *b, const char *value) {
    struct buf text = {.max = 2048};
    bool whole; /* that key is finished before those that go by it: the table has it first */
    unsigned long long max = cfg(b->config, connection_maxConnections).count;
    if (strcmp(value, "<hostname>") == 0)
        whole = buf_add_text(&text, b->home.hostname);
    else if (strcmp(value, "<socket>") == 0)
        whole = buf_add_text(&text, b->home.socket);
    else if (strcmp(value, "<socketmode>") == 0)
        whole = buf_add_text(&text, b->home.socketmode);
    else if (strcmp(value, "<monitor>") == 0)
        whole = add_path(b, &text, b->home.monitor, "monitor.sock");
    else if (strcmp(value, "<log>") == 0)
        whole = add_path(b, &text, b->home.log, "log/silktalk.log");
    else if (strcmp(value, "<tokens>") == 0)
        whole = add_path(b, &text, b->home.tokens, "tokens");
    else if (strcmp(value, "<connection.maxConnections>") == 0)
        whole = buf_add_format(&text, "%llu", max);
    else if (strcmp(value, "<5/6 of connection.maxConnections>") == 0)
        whole = buf_add_format(&text, "%llu", max * 5 / 6);
    else if (strcmp(value, "<14/15 of connection.maxConnections>") == 0)
        whole = buf_add_format(&text, "%llu", max * 14 / 15);
    else if (strncmp(value, "<home>", 6) == 0)
        whole = buf_add_format(&text, "%s%s", b->home.home, value + 6);
    else
        whole = buf_add_text(&text, value);
    char *out = whole ? mem_text(text.p, text.n) : NULL;
    buf_free(&text);
    return out;
}

static enum err finish_key(struct config_builder *b, enum config_key k, struct why *w) {
    struct config_entry *entry = &b->config->entries[k];
    char *written = b->texts[k] != NULL ? mem_text(b->texts[k], strlen(b->texts[k]))
                                        : default_text(b, config_rows[k].value);
    if (written == NULL) return fail(w, E_MEMORY, "out of memory");
    enum err e = config_value_parse(k, bytes_of(written), &entry->value, &entry->text, w);
    mem_free(written);
    if (e != OK) return e;
    entry->source = b->sources[k] != NULL ? mem_text(b->sources[k], strlen(b->sources[k]))
                                          : mem_text("default", 7);
    return entry->source == NULL ? fail(w, E_MEMORY, "out of memory") : OK;
}

static void take_limits(struct config *c) {
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        enum config_key k = limit_rows[i].key == NULL ? CONFIG_KEY_COUNT
                                                      : config_find(bytes_of(limit_rows[i].key), NULL);
        if (k != CONFIG_KEY_COUNT) c->limits[i] = c->entries[k].value.count;
    }
}

/* Keys in the order that their values must have; CONFIG_KEY_COUNT: no third one. */
static const enum config_key ordered[][3] = {
    {CONFIG_health_cpuNormal, CONFIG_health_cpuWarning, CONFIG_health_cpuCritical},
    {CONFIG_health_memoryNormal, CONFIG_health_memoryWarning, CONFIG_health_memoryCritical},
    {CONFIG_health_diskNormal, CONFIG_health_diskWarning, CONFIG_health_diskCritical},
    {CONFIG_health_connectionsNormal, CONFIG_health_connectionsWarning, CONFIG_health_connectionsCritical},
    {CONFIG_health_latencyNormal, CONFIG_health_latencyWarning, CONFIG_health_latencyCritical},
    {CONFIG_health_errorsNormal, CONFIG_health_errorsWarning, CONFIG_health_errorsCritical},
    {CONFIG_health_certCritical, CONFIG_health_certWarning, CONFIG_KEY_COUNT},
    {CONFIG_health_outboxAgeWarning, CONFIG_health_outboxAgeCritical, CONFIG_KEY_COUNT},
    {CONFIG_health_backupAgeWarning, CONFIG_health_backupAgeCritical, CONFIG_KEY_COUNT},
    {CONFIG_health_clockWarning, CONFIG_health_clockCritical, CONFIG_KEY_COUNT},
};

static uint64_t number_of(const struct config *c, enum config_key k) {
    const union config_value *v = &c->entries[k].value;
    return config_rows[k].type == CONFIG_TIME ? (uint64_t)v->ms : v->count;
}

static bool is_set(const struct config *c, enum config_key k) {
    return strcmp(c->entries[k].source, "default") != 0;
}

static enum err bend(struct config *c, enum config_key k, uint64_t v, struct why *w) {
    char text[48];
    config_number_text(config_rows[k].type, v, text);
    char *copy = mem_text(text, strlen(text));
    if (copy == NULL) return fail(w, E_MEMORY, "out of memory");
    mem_free(c->entries[k].text);
    c->entries[k].text = copy;
    if (config_rows[k].type == CONFIG_TIME)
        c->entries[k].value.ms = (int64_t)v;
    else
        c->entries[k].value.count = v;
    return OK;
}

/* Two keys, the first of which may not be more: what was set counts, a default gives way. */
static enum err in_order(struct config *c, enum config_key low, enum config_key high, struct why *w) {
    uint64_t a = number_of(c, low), b = number_of(c, high);
    if (a <= b) return OK;
    if (is_set(c, low) && is_set(c, high))
        return fail(w, E_INPUT, "%s: %s is more than %s", c->entries[low].source, config_rows[low].name,
                    config_rows[high].key);
    return is_set(c, low) ? bend(c, high, a, w) : bend(c, low, b, w);
}

static enum err check_order(struct config *c, struct why *w) {
    enum err e = OK;
    for (size_t i = 0; e == OK && i < LEN(ordered); i++) {
        enum config_key a = ordered[i][0], b = ordered[i][1], d = ordered[i][2];
        bool two = d == CONFIG_KEY_COUNT;
        if (a == CONFIG_health_backupAgeWarning && (number_of(c, a) == 0 || number_of(c, b) == 0)) continue;
        if (!two) e = in_order(c, a, d, w); /* the outer two first: then the middle one has room */
        if (e == OK) e = in_order(c, a, b, w);
        if (e == OK && !two) e = in_order(c, b, d, w);
    }
    return e;
}

/* A value that only its default breaks is bent to what was set; two that were set and disagree are an error.
 */
static enum err check_pairs(struct config *c, struct why *w) {
    uint64_t max = cfg(c, connection_maxConnections).count;
    struct config_entry *least = &c->entries[CONFIG_connection_minConnections];
    struct config_entry *reserved = &c->entries[CONFIG_connection_reservedForTrusted];
    if (least->value.count > max) {
        if (strcmp(least->source, "default") != 0)
            return fail(w, E_INPUT, "%s: connection.minConnections is more than maxConnections",
                        least->source);
        least->value.count = max;
    }
    if (reserved->value.count > max / 2) {
        if (strcmp(reserved->source, "default") != 0)
            return fail(w, E_INPUT, "%s: connection.reservedForTrusted is more than half of maxConnections",
                        reserved->source);
        reserved->value.count = max / 2;
    }
    if (cfg(c, connection_redialMin).ms > cfg(c, connection_redialMax).ms)
        return fail(w, E_INPUT, "connection.redialMin is longer than redialMax");
    if (cfg(c, messages_retryMin).ms > cfg(c, messages_retryMax).ms)
        return fail(w, E_INPUT, "messages.retryMin is longer than retryMax");
    if ((cfg(c, http_tlsCert).text[0] == 0) != (cfg(c, http_tlsKeyFile).text[0] == 0))
        return fail(w, E_INPUT, "http.tlsCert and http.tlsKeyFile go together");
    return check_order(c, w);
}

enum err config_builder_finish(struct config_builder *b, struct config **out, struct why *w) {
    enum err e = OK;
    for (size_t k = 0; e == OK && k < CONFIG_KEY_COUNT; k++) e = finish_key(b, (enum config_key)k, w);
    if (e == OK) e = check_pairs(b->config, w);
    if (e != OK) return e;
    take_limits(b->config);
    *out = b->config;
    b->config = NULL;
    return OK;
}

void config_free(struct config *c) {
    if (c == NULL) return;
    for (size_t k = 0; k < CONFIG_KEY_COUNT; k++) {
        config_value_free(config_rows[k].type, &c->entries[k].value);
        mem_free(c->entries[k].text);
        mem_free(c->entries[k].source);
    }
    mem_free(c);
}

enum err config_check_value(enum config_key key, struct bytes value, struct why *w) {
    union config_value v;
    char *normal = NULL;
    if (bytes_index(value, '\n') < value.n || !utf8_valid(value))
        return fail(w, E_INPUT, "%s: one line of text", config_rows[key].name);
    if (has_comment(value))
        return fail(w, E_INPUT, "%s: a ; behind a blank would begin a comment", config_rows[key].name);
    enum err e = config_value_parse(key, value, &v, &normal, w);
    if (e == OK) config_value_free(config_rows[key].type, &v);
    mem_free(normal);
    return e;
}

bool config_same(const struct config *a, const struct config *b, enum config_key key) {
    return strcmp(a->entries[key].text, b->entries[key].text) == 0;
}

bool config_warnings(const struct config *c, struct buf *out) {
    const struct config_list *listen = &cfg(c, network_listen).list;
    bool good = true;
    if (cfg(c, access_mode).count == 1 && cfg(c, access_allowPeers).list.n == 0)
        good &= buf_add_text(out,
                             "access.mode is allowlist and access.allowPeers is empty: nobody may connect\n");
    if (listen->n == 0)
        good &= buf_add_text(out, "network.listen is empty: nobody can connect to this node\n");
    for (size_t i = 0; i < listen->n; i++)
        for (size_t k = i + 1; k < listen->n; k++)
            if (bytes_eq(listen->items[i], listen->items[k]))
                good &= buf_add_format(out, "network.listen names %s twice\n", listen->texts[i]);
    return good;
}
