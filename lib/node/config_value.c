#include "node/config_value.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "proto/url.h"

enum { TEXT_MAX = 1000, SOCKET_PATH_MAX = 107 }; /* bytes of a text; of a unix socket's path (sun_path) */

bool config_is_list(enum config_type type) {
    return type >= CONFIG_PEERS;
}

static bool is_text(enum config_type type) {
    return type == CONFIG_TEXT || type == CONFIG_PATH || type == CONFIG_URL || type == CONFIG_PROGRAM;
}

void config_value_free(enum config_type type, union config_value *v) {
    if (is_text(type)) mem_free(v->text);
    if (!config_is_list(type)) return;
    for (size_t i = 0; i < v->list.n; i++) {
        mem_free(v->list.texts[i]);
        mem_free((void *)(uintptr_t)v->list.items[i].p);
    }
    mem_free(v->list.texts);
    mem_free(v->list.items);
    mem_free(v->list.cidrs);
    mem_free(v->list.ports);
    mem_free(v->list.peers);
}

/* ---- numbers */

static bool parse_rate(struct bytes text, uint64_t *out) {
    if (bytes_ends(text, "/s")) text.n -= 2;
    return bytes_to_u64(bytes_trim(text), INT64_MAX, out);
}

/* "70", "0.1", "2.125%": in thousandths of a percent. */
static bool parse_percent(struct bytes text, uint64_t *out) {
    uint64_t whole = 0, part = 0;
    if (bytes_ends(text, "%")) text.n--;
    text = bytes_trim(text);
    size_t dot = bytes_index(text, '.');
    struct bytes digits = bytes_skip(text, dot + 1);
    if (!bytes_to_u64(bytes_sub(text, 0, dot), 1000000, &whole)) return false;
    if (dot < text.n && (digits.n > 3 || !bytes_to_u64(digits, 999, &part))) return false;
    for (size_t i = digits.n; dot < text.n && i < 3; i++) part *= 10;
    *out = whole * 1000 + part;
    return true;
}

static bool parse_mode(struct bytes text, uint64_t *out) {
    *out = 0;
    if (text.n < 3 || text.n > 5) return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7') return false;
        *out = *out * 8 + (uint64_t)(text.p[i] - '0');
    }
    return true;
}

static bool parse_bool(struct bytes text, uint64_t *out) {
    static const char *const words[] = {"no", "yes", "false", "true", "0", "1", "off", "on"};
    for (size_t i = 0; i < LEN(words); i++)
        if (bytes_is(text, words[i])) {
            *out = i & 1;
            return true;
        }
    return false;
}

static bool parse_number(enum config_type type, struct bytes text, uint64_t *out) {
    int64_t ms = 0;
    switch ((int)type) {
    case CONFIG_COUNT: return bytes_to_u64(text, INT64_MAX, out);
    case CONFIG_RATE: return parse_rate(text, out);
    case CONFIG_SIZE: return size_parse(text, out);
    case CONFIG_PERCENT: return parse_percent(text, out);
    case CONFIG_MODE: return parse_mode(text, out);
    case CONFIG_BOOL: return parse_bool(text, out);
    case CONFIG_TIME: {
        bool good = duration_parse(text, 1000, &ms);
        *out = (uint64_t)ms;
        return good;
    }
    default: return false;
    }
}

static const char *const forms[] = {[CONFIG_COUNT] = "a number",
                                    [CONFIG_RATE] = "a rate, such as 5/s",
                                    [CONFIG_TIME] = "a duration, such as 90s, 15m, 24h or 7d",
                                    [CONFIG_SIZE] = "a size, such as 64KiB, 1MiB or 4GiB",
                                    [CONFIG_PERCENT] = "a percentage, such as 70 or 0.1",
                                    [CONFIG_BOOL] = "yes or no",
                                    [CONFIG_MODE] = "an octal mode, such as 0660"};

/* "least..most" of the table. */
static bool range_of(enum config_key key, uint64_t *least, uint64_t *most) {
    const struct config_row *row = &config_rows[key];
    const char *dots = strstr(row->range, "..");
    enum config_type type = row->type >= CONFIG_PEERS || row->type == CONFIG_TEXT ? CONFIG_COUNT : row->type;
    if (dots == NULL) return false;
    return parse_number(type, bytes_at(row->range, (size_t)(dots - row->range)), least) &&
           parse_number(type, bytes_of(dots + 2), most);
}

static enum err check_range(enum config_key key, uint64_t v, struct why *w) {
    uint64_t least, most;
    const struct config_row *row = &config_rows[key];
    if (!range_of(key, &least, &most) || (v >= least && v <= most)) return OK;
    return fail(w, E_INPUT, "%s is out of range: %s", row->name, row->range);
}

static void percent_text(uint64_t v, char out[48]) {
    int n = snprintf(out, 48, "%llu.%03u", (unsigned long long)(v / 1000), (unsigned)(v % 1000));
    while (n > 0 && out[n - 1] == '0') out[--n] = 0;
    if (n > 0 && out[n - 1] == '.') out[n - 1] = 0;
}

void config_number_text(enum config_type type, uint64_t v, char out[48]) {
    switch ((int)type) {
    case CONFIG_PERCENT: percent_text(v, out); break;
    case CONFIG_RATE: snprintf(out, 48, "%llu/s", (unsigned long long)v); break;
    case CONFIG_SIZE: size_config(v, out); break;
    case CONFIG_TIME: duration_config((int64_t)v, out); break;
    case CONFIG_BOOL: snprintf(out, 48, "%s", v != 0 ? "yes" : "no"); break;
    case CONFIG_MODE: snprintf(out, 48, "0%llo", (unsigned long long)v); break;
    default: snprintf(out, 48, "%llu", (unsigned long long)v); break;
    }
}

/* ---- choices and texts */

static enum err parse_choice(enum config_key key, struct bytes text, uint64_t *out, struct why *w) {
    struct bytes rest = bytes_of(config_rows[key].range), word;
    for (*out = 0; bytes_split(&rest, '|', &word); (*out)++)
        if (bytes_eq(word, text)) return OK;
    return fail(w, E_INPUT, "%s is one of %s", config_rows[key].name, config_rows[key].range);
}

/* "credential:NAME": a file of systemd's $CREDENTIALS_DIRECTORY. */
static bool is_credential(struct bytes text) {
    if (!bytes_starts(text, "credential:")) return false;
    struct bytes name = bytes_skip(text, strlen("credential:"));
    bool plain = name.n > 0 && name.n <= 255 && name.p[0] != '.';
    for (size_t i = 0; i < name.n; i++)
        plain = plain && name.p[i] > ' ' && name.p[i] != '/' && name.p[i] < 127;
    return plain;
}

static bool is_name_byte(uint8_t c) {
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return c != 0 && strchr(set, c) != NULL;
}

/* The word of the table that means "not set" ("" none): none, off, system. */
static struct bytes unset_word(const struct config_row *row) {
    struct bytes range = bytes_of(row->range), word = {NULL, 0};
    if (is_text(row->type) && strstr(row->range, "..") == NULL) bytes_split(&range, '|', &word);
    return word;
}

/* HOST or HOST:PORT, IPv6 in brackets. */
static bool is_host(struct bytes text, bool port_needed) {
    struct ip ip;
    uint64_t port = 0;
    size_t end = bytes_starts(text, "[") ? bytes_index(text, ']') + 1 : bytes_index(text, ':');
    struct bytes host = bytes_sub(text, 0, end), rest = bytes_skip(text, end);
    if (end > text.n || host.n == 0 || host.n > 253) return false;
    if (rest.n == 0 ? port_needed : rest.p[0] != ':') return false;
    if (rest.n > 0 && (!bytes_to_u64(bytes_skip(rest, 1), 65535, &port) || port == 0)) return false;
    if (host.p[0] == '[') return ip_parse(bytes_sub(host, 1, host.n - 2), &ip) && ip.version == 6;
    for (size_t i = 0; i < host.n; i++)
        if (!is_name_byte(host.p[i])) return false;
    return host.p[0] != '-' && host.p[0] != '.';
}

static enum err parse_url(const struct config_row *row, struct bytes text, struct why *w) {
    struct bytes schemes = bytes_of(row->range), scheme;
    size_t colon = bytes_index(text, ':');
    bool known = false;
    bytes_split(&schemes, '|', &scheme); /* the word for none */
    while (bytes_split(&schemes, '|', &scheme)) known |= bytes_eq(scheme, bytes_sub(text, 0, colon));
    bool log = row->type == CONFIG_URL && strncmp(row->range, "off|", 4) == 0; /* it has no usual port */
    struct bytes rest = bytes_skip(text, colon);
    if (!known || !bytes_starts(rest, "://"))
        return fail(w, E_INPUT, "%s is %.*s, or begins with one of %s://", row->name,
                    (int)bytes_index(bytes_of(row->range), '|'), row->range,
                    row->range + bytes_index(bytes_of(row->range), '|') + 1);
    rest = bytes_skip(rest, 3);
    size_t slash = bytes_index(rest, '/');
    if (log && slash < rest.n) return fail(w, E_INPUT, "%s has a path: only HOST:PORT is used", row->name);
    if (!is_host(bytes_sub(rest, 0, slash), log))
        return fail(w, E_INPUT, "%s: %.*s is no HOST%s", row->name, (int)MIN(slash, (size_t)80),
                    (const char *)rest.p, log ? ":PORT" : " or HOST:PORT");
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] <= ' ' || rest.p[i] >= 127 || rest.p[i] == '#')
            return fail(w, E_INPUT, "%s has a character that no address has", row->name);
    struct url url;
    struct why inner;
    return log || url_read(text, &url, &inner) == OK ? OK : fail(w, E_INPUT, "%s: %s", row->name, inner.text);
}

static enum err parse_program(const struct config_row *row, struct bytes text, struct why *w) {
    struct buf words = {.max = TEXT_MAX + 2};
    size_t n = 0;
    bool good = text_words(text, &words, &n) && n > 0 && words.p[0] != 0;
    buf_free(&words);
    return good ? OK : fail(w, E_INPUT, "%s is a program and its words; a quote has to end", row->name);
}

/* Files that systemd may hand over: secrets and what goes with them. */
static bool takes_credential(const struct config_row *row) {
    return bytes_ends(bytes_of(row->key), "File") || strcmp(row->key, "swarmKey") == 0 ||
           strcmp(row->key, "tlsCert") == 0;
}

static enum err parse_text(enum config_key key, struct bytes text, union config_value *out, struct why *w) {
    const struct config_row *row = &config_rows[key];
    struct bytes unset = unset_word(row);
    enum err e = check_range(key, text.n, w);
    if (e != OK) return e;
    if (text.n > TEXT_MAX) return fail(w, E_INPUT, "%s has more than %d bytes", row->name, TEXT_MAX);
    if (unset.n > 0 && (text.n == 0 || bytes_eq(text, unset))) {
        out->text = mem_text("", 0);
        return out->text == NULL ? fail(w, E_MEMORY, "out of memory") : OK;
    }
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x20 || text.p[i] == 0x7f)
            return fail(w, E_INPUT, "%s has a control character", config_rows[key].name);
    if (key == CONFIG_node_name)
        for (size_t i = 0; i < text.n; i++)
            if (!is_name_byte(text.p[i])) return fail(w, E_INPUT, "node.name is of A-Z a-z 0-9 . _ -");
    bool credential = takes_credential(row) && is_credential(text);
    if (row->type == CONFIG_PATH && !credential && (text.n == 0 || text.p[0] != '/' || text.n > 500))
        return fail(w, E_INPUT, "%s is an absolute path%s%.*s", row->name, unset.n > 0 ? " or " : "",
                    (int)unset.n, (const char *)unset.p);
    if (key == CONFIG_alerts_mailTo && (text.p[0] == '-' || bytes_index(text, ' ') < text.n))
        return fail(w, E_INPUT, "%s is a mail address", row->name);
    if (row->type == CONFIG_URL) e = parse_url(row, text, w);
    if (row->type == CONFIG_PROGRAM) e = parse_program(row, text, w);
    if (e != OK) return e;
    out->text = mem_text(text.p, text.n);
    return out->text == NULL ? fail(w, E_MEMORY, "out of memory") : OK;
}

/* ---- lists */

struct adding {
    enum config_key key;
    struct config_list *list;
    size_t cap;
    struct why *w;
};

static bool grow(struct adding *a) {
    if (a->list->n < a->cap) return true;
    size_t cap = a->cap == 0 ? 8 : a->cap * 2;
    struct config_list *l = a->list;
    struct bytes *items = mem_resize(l->items, cap * sizeof *items);
    if (items != NULL) l->items = items;
    char **texts = mem_resize(l->texts, cap * sizeof *texts);
    if (texts != NULL) l->texts = texts;
    struct cidr *cidrs = mem_resize(l->cidrs, cap * sizeof *cidrs);
    if (cidrs != NULL) l->cidrs = cidrs;
    struct peer_id *peers = mem_resize(l->peers, cap * sizeof *peers);
    if (peers != NULL) l->peers = peers;
    uint16_t *ports = mem_resize(l->ports, cap * sizeof *ports);
    if (ports != NULL) l->ports = ports;
    if (items == NULL || texts == NULL || cidrs == NULL || peers == NULL || ports == NULL) return false;
    a->cap = cap;
    return true;
}

static enum err parse_address(struct adding *a, struct bytes text, struct buf *binary, struct peer_id *peer) {
    const struct config_row *row = &config_rows[a->key];
    struct why inner;
    if (bytes_index(text, ',') < text.n) /* of a JSON array: as a text, the list would be split there */
        return fail(a->w, E_INPUT, "%s: an address with a comma", row->name);
    if (multiaddr_parse(text, binary, &inner) != OK)
        return fail(a->w, E_INPUT, "%s: %.100s", row->name, inner.text);
    struct multiaddr_target t = multiaddr_target(buf_view(binary));
    *peer = t.peer;
    if (a->key == CONFIG_network_listen && (t.host != TARGET_IP || !t.tcp))
        return fail(a->w, E_INPUT, "%s: %.*s is not /ip4 or /ip6 with /tcp", row->name,
                    (int)MIN(text.n, (size_t)80), (const char *)text.p);
    if (row->type == CONFIG_BOOTSTRAPS && t.peer.n == 0)
        return fail(a->w, E_INPUT, "%s: %.*s has no /p2p/ part", row->name, (int)MIN(text.n, (size_t)80),
                    (const char *)text.p);
    return OK;
}

/* "127.0.0.1:8080", "[::1]:8080", "unix:/run/x.sock" (its path goes to `binary`). */
static enum err parse_listen(struct adding *a, struct bytes text, struct buf *binary, struct ip *ip,
                             uint16_t *port) {
    const char *name = config_rows[a->key].name;
    if (bytes_starts(text, "unix:")) {
        struct bytes path = bytes_skip(text, 5);
        if (path.n < 2 || path.p[0] != '/' || path.n > SOCKET_PATH_MAX || bytes_index(path, ',') < path.n)
            return fail(a->w, E_INPUT, "%s: unix: and an absolute path of at most %d bytes", name,
                        SOCKET_PATH_MAX);
        return buf_add(binary, path) ? OK : fail(a->w, E_MEMORY, "out of memory");
    }
    bool six = bytes_starts(text, "[");
    size_t end = six ? bytes_index(text, ']') : bytes_index(text, ':');
    struct bytes host = six ? bytes_sub(text, 1, end - 1) : bytes_sub(text, 0, end),
                 rest = bytes_skip(text, end + (six ? 1 : 0));
    uint64_t v = 0;
    if (!bytes_starts(rest, ":") || !bytes_to_u64(bytes_skip(rest, 1), 65535, &v) || !ip_parse(host, ip) ||
        (ip->version == 6) != six)
        return fail(a->w, E_INPUT, "%s: %.*s is not IP:PORT, unix:PATH or off", name,
                    (int)MIN(text.n, (size_t)80), (const char *)text.p);
    *port = (uint16_t)v;
    return OK;
}

static enum err add_item(struct adding *a, struct bytes text) {
    const struct config_row *row = &config_rows[a->key];
    struct buf binary = {.max = MULTIADDR_MAX};
    struct cidr cidr = {0};
    struct peer_id peer = {0};
    uint16_t port = 0;
    enum err e = OK;
    text = bytes_trim(text);
    if (text.n == 0) return OK;
    if (!grow(a)) return fail(a->w, E_MEMORY, "out of memory");
    switch ((int)row->type) {
    case CONFIG_MULTIADDRS:
    case CONFIG_BOOTSTRAPS: e = parse_address(a, text, &binary, &peer); break;
    case CONFIG_PEERS:
        if (!peer_id_parse(text, &peer))
            e = fail(a->w, E_INPUT, "%s: %.*s is no Peer ID", row->name, (int)MIN(text.n, (size_t)80),
                     (const char *)text.p);
        else if (!buf_add(&binary, peer_id_view(&peer)))
            e = fail(a->w, E_MEMORY, "out of memory");
        break;
    case CONFIG_CIDRS:
        if (!cidr_parse(text, &cidr))
            e = fail(a->w, E_INPUT, "%s: %.*s is no block such as 10.0.0.0/8", row->name,
                     (int)MIN(text.n, (size_t)80), (const char *)text.p);
        break;
    case CONFIG_LISTENS: e = parse_listen(a, text, &binary, &cidr.base, &port); break;
    case CONFIG_HOSTS:
        if (!ip_parse(text, &cidr.base) && !is_host(text, false))
            e = fail(a->w, E_INPUT, "%s: %.*s is no name or address of a host", row->name,
                     (int)MIN(text.n, (size_t)80), (const char *)text.p);
        break;
    default:
        if (!ip_parse(text, &cidr.base))
            e = fail(a->w, E_INPUT, "%s: %.*s is no IP address", row->name, (int)MIN(text.n, (size_t)80),
                     (const char *)text.p);
        break;
    }
    struct config_list *l = a->list;
    char *copy = e == OK ? mem_text(text.p, text.n) : NULL;
    if (e == OK && copy == NULL) e = fail(a->w, E_MEMORY, "out of memory");
    if (e != OK) {
        buf_free(&binary);
        return e;
    }
    l->texts[l->n] = copy;
    l->items[l->n] = buf_view(&binary); /* its memory is the list's now */
    l->cidrs[l->n] = cidr;
    l->ports[l->n] = port;
    l->peers[l->n++] = peer;
    return OK;
}

static bool is_host_list(enum config_type type) {
    return type == CONFIG_LISTENS || type == CONFIG_HOSTS;
}

static enum err parse_list(enum config_key key, struct bytes text, union config_value *out, struct why *w) {
    struct adding a = {.key = key, .list = &out->list, .w = w};
    enum err e = OK;
    text = bytes_trim(text);
    bool off = bytes_is(text, config_rows[key].type == CONFIG_LISTENS ? "off" : "none");
    /* an array, unless it is an IPv6 address in brackets with its port */
    if (off) {
        e = OK; /* the empty list */
    } else if (bytes_starts(text, "[") && (bytes_ends(text, "]") || !is_host_list(config_rows[key].type))) {
        struct why inner;
        struct json_doc *doc = json_parse(text, &inner);
        const struct json *array = doc == NULL ? NULL : json_root(doc);
        if (!json_is_array(array))
            e = fail(w, E_INPUT, "%s is a comma list or a JSON array of texts", config_rows[key].name);
        for (size_t i = 0; e == OK && i < json_count(array); i++) {
            const struct json *item = json_at(array, i);
            e = json_is_text(item) ? add_item(&a, json_bytes(item))
                                   : fail(w, E_INPUT, "%s is an array of texts", config_rows[key].name);
        }
        json_free(doc);
    } else {
        struct bytes part;
        while (e == OK && bytes_split(&text, ',', &part)) e = add_item(&a, part);
    }
    return e == OK ? check_range(key, out->list.n, w) : e;
}

static char *normal_list(enum config_type type, const struct config_list *l) {
    if (l->n == 0 && type == CONFIG_LISTENS) return mem_text("off", 3);
    struct buf text = {.max = CONFIG_FILE_MAX};
    bool whole = true; /* half a list of whom to deny is worse than none */
    for (size_t i = 0; i < l->n; i++) whole &= buf_add_format(&text, "%s%s", i == 0 ? "" : ", ", l->texts[i]);
    char *out = whole ? mem_text(text.p, text.n) : NULL;
    buf_free(&text);
    return out;
}

enum err config_value_parse(enum config_key key, struct bytes text, union config_value *out, char **normal,
                            struct why *w) {
    const struct config_row *row = &config_rows[key];
    char number[48] = "";
    uint64_t v = 0;
    enum err e = OK;
    *out = (union config_value){0};
    *normal = NULL;
    text = bytes_trim(text);
    if (row->type == CONFIG_CHOICE) {
        e = parse_choice(key, text, &v, w);
        if (e == OK) out->count = v;
        if (e == OK) *normal = mem_text(text.p, text.n);
    } else if (is_text(row->type)) {
        e = parse_text(key, text, out, w);
        struct bytes shown = e == OK && out->text[0] == 0 ? unset_word(row) : text;
        if (e == OK) *normal = mem_text(shown.p, shown.n);
    } else if (config_is_list(row->type)) {
        e = parse_list(key, text, out, w);
        if (e == OK) *normal = normal_list(row->type, &out->list);
    } else {
        if (!parse_number(row->type, text, &v))
            e = fail(w, E_INPUT, "%s is %s, not '%.*s'", row->name, forms[row->type],
                     (int)MIN(text.n, (size_t)60), (const char *)text.p);
        if (e == OK) e = check_range(key, v, w);
        if (e == OK && row->type == CONFIG_TIME)
            out->ms = (int64_t)v;
        else if (e == OK)
            out->count = v;
        config_number_text(row->type, v, number);
        if (e == OK) *normal = mem_text(number, strlen(number));
    }
    if (e == OK && *normal == NULL) e = fail(w, E_MEMORY, "out of memory");
    if (e != OK) {
        config_value_free(row->type, out);
        *out = (union config_value){0};
    }
    return e;
}
