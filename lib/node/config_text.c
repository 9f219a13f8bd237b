/* The configuration as text: listing, schema, the commented sample, the manual page, and edits of a file. */
#include <stdio.h>

#include "base/mem.h"
#include "node/config.h"
#include "node/config_value.h"

#define SECTION_ROW(name, text) {#name, text},
static const struct { const char *name, *text; } sections[] = {CONFIG_SECTIONS(SECTION_ROW)};

static const char *type_name(enum config_type t) {
    static const char *const names[] = {"text",
                                        "path",
                                        "URL",
                                        "program and its words",
                                        "number",
                                        "rate per second",
                                        "duration",
                                        "size",
                                        "percentage",
                                        "yes or no",
                                        "choice",
                                        "octal mode",
                                        "list of Peer IDs",
                                        "list of CIDR blocks",
                                        "list of IP addresses",
                                        "list of multiaddrs",
                                        "list of multiaddrs with /p2p/",
                                        "list of IP:PORT and unix:PATH",
                                        "list of host names and addresses"};
    return names[t];
}

void config_list_json(const struct config *c, const struct config *running, bool changed_only,
                      struct json_page *page, struct json_out *o) {
    for (size_t k = 0; k < CONFIG_KEY_COUNT; k++) {
        const struct config_row *row = &config_rows[k];
        const struct config_entry *entry = &c->entries[k];
        if (changed_only && strcmp(entry->source, "default") == 0) continue;
        if (page != NULL && !json_page_has(page)) continue;
        json_open(o, NULL, '{');
        json_put_str(o, "key", row->name);
        json_put_str(o, "value", entry->text);
        json_put_str(o, "default", row->value);
        json_put_str(o, "source", entry->source);
        json_put_str(o, "applies", row->applies == CONFIG_RELOAD ? "reload" : "restart");
        if (running != NULL) json_put_bool(o, "pending", !config_same(c, running, (enum config_key)k));
        json_shut(o, '}');
    }
}

static const char *shown_default(const struct config_row *row) {
    if (strcmp(row->value, "<hostname>") == 0) return "the host's name";
    if (strcmp(row->value, "<socket>") == 0) return "control.sock of the home, or /run/silktalk/control.sock";
    if (strcmp(row->value, "<socketmode>") == 0) return "0660, or 0600 in a user's home";
    if (strcmp(row->value, "<monitor>") == 0)
        return "monitor.sock of the home, or /run/silktalk/monitor.sock";
    if (strcmp(row->value, "<log>") == 0)
        return "log/silktalk.log of the home, or /var/log/silktalk/silktalk.log";
    if (strcmp(row->value, "<tokens>") == 0) return "tokens of the home, or /etc/silktalk/tokens";
    return row->value;
}

static const char *schema_type(enum config_type t) {
    return t == CONFIG_COUNT     ? "integer"
           : t == CONFIG_PERCENT ? "number"
           : t == CONFIG_BOOL    ? "boolean"
           : config_is_list(t)   ? "array"
                                 : "string";
}

/* Of the schema's own type, so that a validator takes it; what is worked out at run time is told in words. */
static void schema_default(const struct config_row *row, struct json_out *o) {
    struct bytes rest = bytes_of(row->value), item;
    if (row->value[0] == '<') {
        json_put_str(o, "x-default", shown_default(row));
    } else if (row->type == CONFIG_COUNT || row->type == CONFIG_PERCENT) {
        json_put_raw(o, "default", rest);
    } else if (row->type == CONFIG_BOOL) {
        json_put_bool(o, "default", strcmp(row->value, "yes") == 0);
    } else if (config_is_list(row->type)) {
        json_open(o, "default", '[');
        while (bytes_split(&rest, ',', &item)) json_put(o, NULL, bytes_trim(item));
        json_shut(o, ']');
    } else {
        json_put_str(o, "default", row->value);
    }
}

static void schema_range(const struct config_row *row, struct json_out *o) {
    const char *dots = strstr(row->range, "..");
    if (row->range[0] != 0) json_put_str(o, "x-range", row->range);
    if (dots == NULL) return;
    struct bytes least = bytes_at(row->range, (size_t)(dots - row->range)), most = bytes_of(dots + 2);
    bool number = row->type == CONFIG_COUNT || row->type == CONFIG_PERCENT, list = config_is_list(row->type);
    if (!number && !list && row->type != CONFIG_TEXT) return; /* a text with a unit */
    json_put_raw(o, number ? "minimum" : list ? "minItems" : "minLength", least);
    json_put_raw(o, number ? "maximum" : list ? "maxItems" : "maxLength", most);
}

static void schema_key(const struct config_row *row, struct json_out *o) {
    json_open(o, row->key, '{');
    json_put_str(o, "type", schema_type(row->type));
    json_put_str(o, "description", row->meaning);
    schema_default(row, o);
    json_put_str(o, "x-form", type_name(row->type));
    if (row->type == CONFIG_CHOICE) {
        struct bytes rest = bytes_of(row->range), word;
        json_open(o, "enum", '[');
        while (bytes_split(&rest, '|', &word)) json_put(o, NULL, word);
        json_shut(o, ']');
    } else {
        schema_range(row, o);
    }
    json_put_str(o, "x-applies", row->applies == CONFIG_RELOAD ? "reload" : "restart");
    if (config_is_list(row->type)) {
        json_open(o, "items", '{');
        json_put_str(o, "type", "string");
        json_shut(o, '}');
    }
    json_shut(o, '}');
}

/* Limits that no key sets: [limits] NAME. */
static void schema_limits(struct json_out *o) {
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        if (limit_rows[i].key != NULL) continue;
        json_open(o, limit_rows[i].name, '{');
        json_put_str(o, "type", "integer");
        json_put_uint(o, "default", limit_rows[i].value);
        json_put_uint(o, "minimum", limit_rows[i].least);
        json_put_uint(o, "maximum", limit_rows[i].most);
        json_put_str(o, "x-applies", "reload");
        json_shut(o, '}');
    }
}

bool config_schema_json(struct buf *out) {
    struct json_out o = json_begin(out);
    json_open(&o, NULL, '{');
    json_put_str(&o, "$schema", "https://json-schema.org/draft/2020-12/schema");
    json_put_str(&o, "title", "silktalk.ini");
    json_put_str(&o, "type", "object");
    json_put_bool(&o, "additionalProperties", false);
    json_open(&o, "properties", '{');
    for (size_t s = 0; s < LEN(sections); s++) {
        json_open(&o, sections[s].name, '{');
        json_put_str(&o, "type", "object");
        json_put_str(&o, "description", sections[s].text);
        json_put_bool(&o, "additionalProperties", false);
        json_open(&o, "properties", '{');
        if (strcmp(sections[s].name, "limits") == 0) schema_limits(&o);
        for (size_t k = 0; k < CONFIG_KEY_COUNT; k++)
            if (strcmp(config_rows[k].section, sections[s].name) == 0) schema_key(&config_rows[k], &o);
        json_shut(&o, '}');
        json_shut(&o, '}');
    }
    json_shut(&o, '}');
    json_shut(&o, '}');
    return json_end(&o);
}

/* What stands behind the # of a line: taken as it is, it must be the default. */
static const char *sample_value(const struct config *defaults, size_t k) {
    if (defaults != NULL) return defaults->entries[k].text;
    return config_rows[k].value[0] == '<' && config_rows[k].value[1] != 'h' ? "" : config_rows[k].value;
}

bool config_sample(const struct config *defaults, struct buf *out) {
    bool good = buf_add_text(
        out, "# Configuration of the SilkTalk node. Every key is shown with its default; take the # away to "
             "set one.\n"
             "# `silktalk config set SECTION.KEY VALUE` changes this file and a running node in one step;\n"
             "# `silktalk config check` checks it. Durations: 90s 15m 24h 7d; sizes: B KiB MiB GiB;\n"
             "# lists: commas, a JSON array, or the key repeated. Full description: silktalk.ini(5).\n");
    for (size_t s = 0; s < LEN(sections); s++) {
        good &= buf_add_format(out, "\n# %s\n[%s]\n", sections[s].text, sections[s].name);
        for (size_t k = 0; k < CONFIG_KEY_COUNT; k++) {
            const struct config_row *row = &config_rows[k];
            if (strcmp(row->section, sections[s].name) != 0) continue;
            good &= buf_add_format(out, "# %s", row->meaning);
            if (row->range[0] != 0) good &= buf_add_format(out, " (%s)", row->range);
            if (row->applies == CONFIG_RESTART) good &= buf_add_text(out, "; needs a restart");
            good &= buf_add_format(out, "\n#%s = %s\n", row->key, sample_value(defaults, k));
        }
    }
    return good;
}

static bool mdoc_text(struct buf *out, const char *text) {
    bool good = true;
    for (const char *c = text; *c != 0; c++) {
        if (*c == '\\')
            good &= buf_add_text(out, "\\e");
        else if (*c == '-')
            good &= buf_add_text(out, "\\-");
        else if (c == text && (*c == '.' || *c == '\''))
            good &= buf_add_format(out, "\\&%c", *c);
        else
            good &= buf_add_byte(out, (uint8_t)*c);
    }
    return good;
}

static bool manual_key(const struct config_row *row, struct buf *out) {
    bool word = row->range[0] != 0 && strstr(row->range, "..") == NULL && row->type != CONFIG_CHOICE;
    const char *schemes = word ? strchr(row->range, '|') : NULL;
    bool good = buf_add_format(out, ".It Va \"%s = ", row->key) &&
                mdoc_text(out, row->value[0] == 0 ? "none" : shown_default(row));
    good &= buf_add_text(out, "\"\n") && mdoc_text(out, row->meaning) &&
            buf_add_format(out, ";\n%s", type_name(row->type));
    if (schemes != NULL)
        good &= buf_add_text(out, ": ") && mdoc_text(out, schemes + 1) && buf_add_text(out, "://");
    if (word)
        good &= buf_add_format(out, "; %.*s: not set", (int)strcspn(row->range, "|"), row->range);
    else if (row->range[0] != 0)
        good &= buf_add_text(out, ", ") && mdoc_text(out, row->range);
    return good && buf_add_text(out, row->applies == CONFIG_RESTART ? "; needs a restart\n" : "\n");
}

static bool manual_limits(struct buf *out) {
    bool good = true;
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        const struct limit_row *l = &limit_rows[i];
        if (l->key == NULL)
            good &= buf_add_format(out, ".It Va \"%s = %llu\"\n%s\n", l->name, (unsigned long long)l->value,
                                   l->unit);
    }
    return good;
}

bool config_manual(struct buf *out) {
    bool good = buf_add_text(
        out, ".Sh DESCRIPTION\nThe file is INI text in UTF\\-8; lines that begin with ; or # are comments.\n"
             "After it, the files of conf.d beside it are read in the order of their names;\n"
             "what comes later wins.\n"
             "A running node applies a change with\n.Xr silktalk\\-reload 1 ,\nall of it or nothing;\n"
             "keys that need a restart say so.\n.Pp\n"
             "Keys are shown below as KEY = default, each with its meaning, form and range.\n"
             "Commands name a key with its section: connection.maxConnections.\n"
             "Durations are written 500ms, 90s, 15m, 24h or 7d;\na number without unit is seconds.\n"
             "Sizes have B, KiB, MiB, GiB or TiB.\n"
             "Lists are written with commas, as a JSON array,\nor with the key repeated.\n"
             "yes, true and 1 are the same, as are no, false and 0.\n");
    for (size_t s = 0; s < LEN(sections); s++) {
        good &= buf_add_format(out, ".Ss Section %s\n", sections[s].name) && mdoc_text(out, sections[s].text);
        good &= buf_add_text(out, "\n.Bl -tag -width Ds\n");
        for (size_t k = 0; k < CONFIG_KEY_COUNT; k++)
            if (strcmp(config_rows[k].section, sections[s].name) == 0)
                good &= manual_key(&config_rows[k], out);
        if (strcmp(sections[s].name, "limits") == 0) good &= manual_limits(out);
        good &= buf_add_text(out, ".El\n");
    }
    return good;
}

/* ---- edits: line by line, all others stay as they are */

static struct bytes key_name(struct bytes line, bool *sample) {
    line = bytes_trim(line);
    *sample = line.n > 0 && (line.p[0] == '#' || line.p[0] == ';');
    if (*sample) line = bytes_skip(line, 1);
    size_t equals = MIN(bytes_index(line, '='), bytes_index(line, ':'));
    return equals < line.n ? bytes_trim(bytes_sub(line, 0, equals)) : (struct bytes){NULL, 0};
}

static bool section_name(struct bytes line, struct bytes *name) {
    if (bytes_starts(line, "\xef\xbb\xbf")) line = bytes_skip(line, 3); /* an editor's byte order mark */
    line = bytes_trim(line);
    if (line.n == 0 || line.p[0] != '[') return false;
    size_t end = bytes_index(line, ']');
    if (end == line.n) return false;
    *name = bytes_trim(bytes_sub(line, 1, end - 1));
    return true;
}

struct place { /* what a first walk over the lines finds; line numbers from 1, 0: none */
    size_t last_key, sample, section_end, lines;
};

/* These two as the parser sees it: a value goes on in indented lines, whatever comments stand between. */
static bool is_comment(struct bytes line) {
    line = bytes_trim(line);
    return line.n == 0 || line.p[0] == '#' || line.p[0] == ';';
}

static bool continues(struct bytes line) {
    return line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t') && !is_comment(line);
}

static struct place find_place(struct bytes text, const struct config_row *row) {
    struct place p = {0};
    struct bytes line, name;
    bool inside = false, sample;
    size_t any_key = 0; /* line of the last key of this section, whichever it is */
    for (size_t i = 1; bytes_split(&text, '\n', &line); i++) {
        bool more = any_key > 0 && continues(line); /* even one that looks like a section */
        p.lines = i;
        if (!more && section_name(line, &name)) {
            inside = bytes_is(name, row->section);
            any_key = 0;
            if (inside) p.section_end = i;
            continue;
        }
        if (!more && !is_comment(line)) any_key = i;
        if (!inside) continue;
        if (bytes_trim(line).n > 0) p.section_end = i;
        if (more) {
            if (p.sample > any_key) p.sample = 0; /* it stands inside another key's value */
            continue;
        }
        if (!bytes_is(key_name(line, &sample), row->key)) continue;
        if (sample)
            p.sample = i;
        else
            p.last_key = i;
    }
    return p;
}

/* The comment behind a value, with the blank before it; empty: none. */
static struct bytes inline_comment(struct bytes line) {
    line = bytes_sub(line, 0, line.n - bytes_ends(line, "\r"));
    for (size_t i = MIN(bytes_index(line, '='), bytes_index(line, ':')); i + 1 < line.n; i++)
        if (line.p[i + 1] == ';' && (line.p[i] == ' ' || line.p[i] == '\t')) return bytes_skip(line, i);
    return (struct bytes){NULL, 0};
}

static bool put_key(struct buf *out, const struct config_row *row, const struct bytes *value,
                    struct bytes comment, bool crlf) {
    return buf_add_format(out, "%s = ", row->key) && buf_add(out, *value) && buf_add(out, comment) &&
           buf_add_text(out, crlf ? "\r\n" : "\n");
}

enum err config_edit(struct bytes old, enum config_key key, const struct bytes *value, struct buf *out,
                     struct why *w) {
    const struct config_row *row = &config_rows[key];
    struct place p = find_place(old, row);
    struct bytes text = old, line, name;
    bool inside = false, sample, skipping = false, in_key = false, good = true;
    bool crlf = bytes_has(old, BYTES("\r\n")), ends = bytes_ends(old, "\n") || old.n == 0;
    for (size_t i = 1; bytes_split(&text, '\n', &line); i++) {
        bool more = in_key && continues(line), head = !more && section_name(line, &name);
        if (head) inside = bytes_is(name, row->section);
        in_key = !head && (in_key || !is_comment(line));
        bool ours = inside && !more && bytes_is(key_name(line, &sample), row->key) && !sample;
        bool drop = ours || (skipping && continues(line)); /* its indented continuation lines go with it */
        skipping = drop || (skipping && is_comment(line));
        if (i == p.last_key && value != NULL) good &= put_key(out, row, value, inline_comment(line), crlf);
        if (!drop) {
            good &= buf_add(out, line);
            if (text.n > 0 || ends || i < p.lines) good &= buf_add_byte(out, '\n');
        }
        bool here = p.last_key == 0 && value != NULL && i == (p.sample != 0 ? p.sample : p.section_end);
        if (here) {
            if (out->n > 0 && out->p[out->n - 1] != '\n') good &= buf_add_byte(out, '\n');
            good &= put_key(out, row, value, (struct bytes){NULL, 0}, crlf);
        }
    }
    if (value != NULL && p.section_end == 0) {
        if (out->n > 0 && out->p[out->n - 1] != '\n') good &= buf_add_byte(out, '\n');
        good &= buf_add_format(out, "%s\n[%s]%s\n", crlf ? "\r" : "", row->section, crlf ? "\r" : "") &&
                put_key(out, row, value, (struct bytes){NULL, 0}, crlf);
    }
    return good ? OK : fail(w, E_LIMIT, "the configuration would be larger than 1 MiB");
}
