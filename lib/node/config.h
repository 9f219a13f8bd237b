/* lib/node/config.h: the configuration as one typed value, made of INI texts; no files here (ops/ reads and
 * writes them). Sources: operations.md S3.
 *
 * A struct config is immutable once made: a reload makes a new one and the node compares them. */
#ifndef SILKTALK_NODE_CONFIG_H
#define SILKTALK_NODE_CONFIG_H

#include "base/json.h"
#include "base/json_page.h"
#include "base/limit.h"
#include "base/log.h"
#include "node/config_keys.h"
#include "proto/multiaddr.h"

enum { CONFIG_FILE_MAX = 1 << 20, CONFIG_LINE_MAX = 8192, CONFIG_FILES_MAX = 64 };

enum config_type {
    CONFIG_TEXT,
    CONFIG_PATH,
    CONFIG_URL,
    CONFIG_PROGRAM,
    CONFIG_COUNT,
    CONFIG_RATE,
    CONFIG_TIME,
    CONFIG_SIZE,
    CONFIG_PERCENT,
    CONFIG_BOOL,
    CONFIG_CHOICE,
    CONFIG_MODE,
    CONFIG_PEERS,
    CONFIG_CIDRS,
    CONFIG_IPS,
    CONFIG_MULTIADDRS,
    CONFIG_BOOTSTRAPS,
    CONFIG_LISTENS,
    CONFIG_HOSTS
};
enum config_applies { CONFIG_RELOAD, CONFIG_RESTART };
#define CONFIG_KEY_SYMBOL(section, key, ...) CONFIG_##section##_##key,
enum config_key { CONFIG_KEYS(CONFIG_KEY_SYMBOL) CONFIG_KEY_COUNT };

struct config_row {
    const char *section, *key, *name; /* name: "connection.maxConnections" */
    enum config_type type;
    const char *value, *range, *meaning;
    enum config_applies applies;
};
extern const struct config_row config_rows[CONFIG_KEY_COUNT];

/* Items as bytes: binary multiaddrs, binary peer ids, paths of LISTENS' unix sockets; CIDRs and IPs parsed.
 */
struct config_list {
    struct bytes *items;
    char **texts;          /* as written */
    struct cidr *cidrs;    /* CONFIG_CIDRS; IPS, LISTENS: .base (LISTENS: version 0 is a unix socket) */
    uint16_t *ports;       /* LISTENS */
    struct peer_id *peers; /* CONFIG_PEERS; BOOTSTRAPS: the one in it */
    size_t n;
};
union config_value {
    char *text;     /* TEXT, PATH (absolute), URL, PROGRAM (see text_words); "": none, off */
    uint64_t count; /* COUNT, RATE (per second), SIZE, BOOL, CHOICE (index), MODE, PERCENT (thousandths) */
    int64_t ms;     /* TIME */
    struct config_list list;
};
struct config_entry {
    union config_value value;
    char *text;   /* normalised, as `config get` prints it; lists comma-separated */
    char *source; /* "default", or "FILE:LINE" */
};
struct config {
    struct config_entry entries[CONFIG_KEY_COUNT];
    uint64_t limits[LIMIT_COUNT]; /* from their keys, or [limits] NAME, or the default */
    bool limit_set[LIMIT_COUNT];  /* set by [limits] */
};
/* cfg(config, connection_maxConnections).count */
#define cfg(config, name) ((config)->entries[CONFIG_##name].value)

struct config_home { /* what the bracketed defaults stand for; all absolute paths, borrowed while building */
    const char *home, *socket, *hostname, *socketmode; /* "0660" system, "0600" per user */
    const char *monitor, *log, *tokens;                /* NULL: in the home */
};
/* Building: texts in order (later wins; a LIST key repeated within one file adds up), then finish checks
 * ranges and what belongs together (minConnections <= maxConnections, reservedForTrusted <= max/2, redialMin
 * <= redialMax...). */
struct config_builder;
struct config_builder *config_builder_new(const struct config_home *home);
void config_builder_free(struct config_builder *b);
/* E_INPUT: "FILE:LINE: unknown key [connection] maxConnection; did you mean maxConnections?" ... */
enum err config_builder_add(struct config_builder *b, const char *file, struct bytes text, struct why *w);
enum err config_builder_finish(struct config_builder *b, struct config **out, struct why *w);
/* Warnings that do not stop a start, a line each (an empty allowlist refuses all...). */
bool config_warnings(const struct config *c, struct buf *out);
void config_free(struct config *c);

/* Looks up "section.key" (case matters): CONFIG_KEY_COUNT if there is none; `near` (NULL is fine) gets the
 * most alike name. */
enum config_key config_find(struct bytes name, const char **near);
/* Is this text a good value for the key by itself? Takes the forms of `config set`: comma list or JSON array.
 */
enum err config_check_value(enum config_key key, struct bytes value, struct why *w);
/* Are two configurations equal in this key? */
bool config_same(const struct config *a, const struct config *b, enum config_key key);
/* Members key value default source applies pending of `config list`; `pending` from the running one (NULL:
 * none); `page` NULL: all. */
void config_list_json(const struct config *c, const struct config *running, bool changed_only,
                      struct json_page *page, struct json_out *o);
bool config_schema_json(struct buf *out); /* `config list --schema`: JSON Schema of all keys */
/* The commented default INI, every key shown; `defaults`: those of one home (NULL: of none, for manuals). */
bool config_sample(const struct config *defaults, struct buf *out);
bool config_manual(struct buf *out); /* the key part of silktalk.ini(5), mdoc */

/* Editing a file's text without losing comments or order: sets (value NULL: removes) one key. The last
 * occurrence that counts is changed in place, others of the same key are removed; a missing section or key is
 * added at the end of its section (beside its commented sample, if there). */
enum err config_edit(struct bytes old, enum config_key key, const struct bytes *value, struct buf *out,
                     struct why *w);

#endif
