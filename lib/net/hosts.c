#include "net/hosts.h"

#include <stdio.h>

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static struct bytes without_dot(struct bytes name) {
    return bytes_ends(name, ".") ? bytes_sub(name, 0, name.n - 1) : name;
}

static bool same_name(struct bytes a, struct bytes b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    }
    return true;
}

static bool is_localhost(struct bytes name) {
    struct bytes what = BYTES("localhost");
    if (name.n < what.n) return false;
    size_t before = name.n - what.n;
    return same_name(bytes_skip(name, before), what) && (before == 0 || name.p[before - 1] == '.');
}

static bool next_word(struct bytes *line, struct bytes *word) {
    *line = bytes_trim(*line);
    size_t n = 0;
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t') n++;
    *word = bytes_take(line, n);
    return n > 0;
}

static size_t add(struct ip ip, unsigned families, struct ip *out, size_t n, size_t max) {
    if ((families & (ip.version == 4 ? HOSTS_IP4 : HOSTS_IP6)) == 0 || n == max) return n;
    for (size_t i = 0; i < n; i++) {
        if (ip_eq(&out[i], &ip)) return n;
    }
    out[n] = ip;
    return n + 1;
}

static bool names(struct bytes line, struct bytes name, struct ip *ip) {
    struct bytes word;
    line = bytes_sub(line, 0, bytes_index(line, '#'));
    if (!next_word(&line, &word) || !ip_parse(word, ip)) return false;
    while (next_word(&line, &word)) {
        if (same_name(without_dot(word), name)) return true;
    }
    return false;
}

size_t hosts_find(const char *path, struct bytes name, unsigned families, struct ip *out, size_t max) {
    static const uint8_t one[16] = {[15] = 1}, local[4] = {127, 0, 0, 1};
    char text[HOSTS_LINE_MAX];
    size_t n = 0, seen = 0;
    bool whole = true; /* text begins at the beginning of a line */
    name = without_dot(name);
    if (is_localhost(name)) {
        n = add(ip_of(6, one), families, out, n, max);
        return add(ip_of(4, local), families, out, n, max);
    }
    FILE *f = fopen(path, "re");
    while (f != NULL && seen < HOSTS_BYTES_MAX && fgets(text, sizeof text, f) != NULL) {
        struct bytes line = bytes_of(text);
        struct ip ip;
        bool ends = bytes_ends(line, "\n") || feof(f);
        seen += line.n;
        if (whole && ends && names(line, name, &ip)) n = add(ip, families, out, n, max);
        whole = ends;
    }
    if (f != NULL) fclose(f);
    return n;
}
