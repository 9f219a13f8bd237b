#include "proto/url.h"

#include <stdio.h>

enum { HTTP_PORT = 80, HTTPS_PORT = 443, LABEL_MAX = 63 };

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

/* Labels of letters, digits, '-' and '_'; the last one is no number: that would be half of an address. */
static bool is_name(struct bytes host) {
    struct bytes label = {NULL, 0};
    bool digits = true;
    if (host.n == 0 || host.p[host.n - 1] == '.') return false;
    while (host.n > 0) {
        bytes_split(&host, '.', &label);
        if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-') return false;
        digits = true;
        for (size_t i = 0; i < label.n; i++) {
            uint8_t c = lower(label.p[i]);
            digits &= is_digit(c);
            if (!is_digit(c) && (c < 'a' || c > 'z') && c != '-' && c != '_') return false;
        }
    }
    bool hex = label.n > 1 && label.p[0] == '0' && lower(label.p[1]) == 'x';
    return !digits && !hex;
}

static enum err read_host(struct bytes host, struct url *out, struct why *w) {
    bool bracket = host.n > 1 && host.p[0] == '[';
    if (bracket) {
        host = bytes_sub(host, 1, host.n - 2);
        out->is_ip = bytes_index(host, ':') < host.n && ip_parse(host, &out->ip);
        if (!out->is_ip) return fail(w, E_INPUT, "the address in brackets is no IPv6 address");
    } else {
        out->is_ip = bytes_index(host, ':') == host.n && ip_parse(host, &out->ip);
    }
    if (!out->is_ip && !is_name(host)) return fail(w, E_INPUT, "it names no host");
    if (!bytes_cstr(host, out->host, sizeof out->host)) return fail(w, E_INPUT, "the host is too long");
    for (char *c = out->host; *c != 0; c++) *c = (char)lower((uint8_t)*c);
    return OK;
}

static enum err read_authority(struct bytes text, struct url *out, struct why *w) {
    size_t shut = bytes_starts(text, "[") ? bytes_index(text, ']') + 1 : bytes_index(text, ':');
    struct bytes host = bytes_sub(text, 0, shut), port = bytes_skip(text, shut);
    uint64_t number = out->tls ? HTTPS_PORT : HTTP_PORT;
    if (bytes_index(text, '@') < text.n)
        return fail(w, E_INPUT, "it has a user or password in it: use a token file");
    if (shut > text.n) return fail(w, E_INPUT, "a bracket is not closed");
    if (port.n > 0 &&
        (port.p[0] != ':' || !bytes_to_u64(bytes_skip(port, 1), UINT16_MAX, &number) || number == 0))
        return fail(w, E_INPUT, "its port is no number of 1 to 65535");
    out->port = (uint16_t)number;
    return read_host(host, out, w);
}

enum err url_read(struct bytes text, struct url *out, struct why *w) {
    size_t scheme = bytes_index(text, ':'), end = 0;
    char word[8] = "";
    *out = (struct url){.tls = false};
    for (size_t i = 0; i < scheme && i + 1 < sizeof word; i++) word[i] = (char)lower(text.p[i]);
    out->tls = strcmp(word, "https") == 0;
    if ((!out->tls && strcmp(word, "http") != 0) || !bytes_starts(bytes_skip(text, scheme), "://"))
        return fail(w, E_INPUT, "it begins with neither https:// nor http://");
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] >= 127 || text.p[i] == '#' || text.p[i] == '\\')
            return fail(w, E_INPUT, "it has a character that no address has");
    text = bytes_skip(text, scheme + 3);
    while (end < text.n && text.p[end] != '/' && text.p[end] != '?') end++;
    enum err e = read_authority(bytes_sub(text, 0, end), out, w);
    if (e != OK) return e;
    text = bytes_skip(text, end);
    size_t lead = text.n > 0 && text.p[0] == '/' ? 0 : 1; /* "http://host?a=b" asks for /?a=b */
    out->target[0] = '/';
    if (!bytes_cstr(text, out->target + lead, sizeof out->target - lead))
        return fail(w, E_INPUT, "its path is too long");
    return OK;
}

void url_authority(const struct url *u, bool with_port, char out[URL_FIELD_MAX + 1]) {
    bool six = u->is_ip && strchr(u->host, ':') != NULL;
    char port[8] = "";
    if (with_port || u->port != (u->tls ? HTTPS_PORT : HTTP_PORT))
        snprintf(port, sizeof port, ":%u", u->port);
    snprintf(out, URL_FIELD_MAX + 1, "%s%.253s%s%s", six ? "[" : "", u->host, six ? "]" : "", port);
}

bool url_same_server(const struct url *a, const struct url *b) {
    return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}
