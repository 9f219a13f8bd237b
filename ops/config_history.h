/* ops/config_history.h: the versions of the configuration file (operations.md S3): who changed what, when,
 * and the whole text, so that each can be shown and brought back.
 *
 * A version is one file NNNNNN.ini in the history folder (0700): a comment line with JSON, then the text. The
 * newest one is what CONF holds. A change is written there first, as NNNNNN.ini.new; after CONF is replaced
 * it loses that ending. So a crash between the two is told from an edit by hand: by the content of CONF. */
#ifndef SILKTALK_OPS_CONFIG_HISTORY_H
#define SILKTALK_OPS_CONFIG_HISTORY_H

#include "ops/cli.h"

enum { HISTORY_FILE_MAX = CONFIG_FILE_MAX + (1 << 19), HISTORY_HEAD_MAX = 1 << 18, HISTORY_LIST_MAX = 2000 };

struct history {
    char folder[PATH_SIZE];
    int lock; /* descriptor of the folder; -1: not open */
    bool as_owner;
};
struct history_version {
    unsigned number; /* 0: none */
    struct json_doc *head;
    struct buf file;   /* owned: all of it */
    struct bytes text; /* into file */
};
/* Makes the folder where it is missing and takes its lock (waits c->timeout_ms: E_BUSY). E_DENIED, E_LIMIT
 * (disk full), E_IO: nothing is open. In between, root acts as the owner of CONF's home. */
enum err history_open(struct history *h, struct cli *c);
/* Ends what a crash interrupted, and records what was edited by hand: `current` is CONF as it is now (empty:
 * it can not be read), *facts has its time. */
enum err history_catch_up(struct history *h, struct cli *c, struct bytes current,
                          const struct file_facts *facts);
/* To look only: no lock, nothing is written. E_NOT_FOUND: there is no history. */
enum err history_look(struct history *h, struct cli *c);
void history_close(struct history *h);

/* Numbers of all versions, rising; at most HISTORY_LIST_MAX, the newest ones. */
enum err history_list(const struct history *h, unsigned numbers[HISTORY_LIST_MAX], size_t *n, struct why *w);
/* E_NOT_FOUND: no such version. Free it with history_version_free. */
enum err history_read(const struct history *h, unsigned number, struct history_version *out, struct why *w);
void history_version_free(struct history_version *v);

/* A change that is about to be made: its record, durable. Then replace CONF and call history_done. */
enum err history_begin(struct history *h, struct cli *c, const char *command, struct bytes old,
                       struct bytes text);
/* CONF is what it is (`current`): the change becomes a version, or is forgotten. Keeps `keep` earlier ones.
 */
void history_done(struct history *h, struct bytes current, uint64_t keep);
/* Members of the object {key, old, new} for each key that the two texts set differently; old and new null:
 * not set. A text that is no valid configuration: nothing. */
void history_changes(struct cli *c, struct bytes old, struct bytes text, struct json_out *o);

#endif
