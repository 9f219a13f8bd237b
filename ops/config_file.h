/* ops/config_file.h: changing the home's configuration file, for `config`, `bootstrap` and `import`: one
 * change at a time (a lock), checked whole before it is made, recorded, and then told to a running node. */
#ifndef SILKTALK_OPS_CONFIG_FILE_H
#define SILKTALK_OPS_CONFIG_FILE_H

#include "ops/config_history.h"

struct config_file {
    struct history history;
    struct buf old; /* what CONF holds; empty: it is not there, or can not be read */
    struct file_facts facts;
    bool open, there, unreadable; /* there, but no file of text that can be edited */
};
enum { CONFIG_FILE_REPAIR = 1 }; /* open also what is missing, a folder, too large: to put another there */
/* Takes the lock, reads CONF, and records what was edited by hand since the last change. With --dry-run only
 * reads. E_NOT_FOUND, E_DENIED (not the file's owner), E_INPUT, E_BUSY, E_LIMIT (disk full). Close it always.
 */
enum err config_file_open(struct cli *c, unsigned flags, struct config_file *f);
void config_file_close(struct config_file *f);
/* Replaces all of it: E_INPUT when the node would not take it, E_LIMIT, E_IO: CONF is as it was. What could
 * not be read stays beside it, as CONF.aside-TIME. */
enum err config_file_write(struct cli *c, struct config_file *f, const char *command, struct bytes text);
/* One key; value NULL: unset. Comments, order, mode and owner stay. */
enum err config_file_edit(struct cli *c, struct config_file *f, const char *command, enum config_key key,
                          const struct bytes *value);

struct config_outcome {
    const char *word; /* applied, restart needed, applied at the next start, would be changed */
    struct buf keys;  /* those that need a restart, comma list; owned */
};
/* Tells a running node. `key`: the one that matters (CONFIG_KEY_COUNT: all). */
enum err config_file_tell(struct cli *c, enum config_key key, struct config_outcome *out);
/* Opens, edits, closes, tells. */
enum err config_file_set(struct cli *c, const char *command, enum config_key key, const struct bytes *value,
                         struct config_outcome *out);
/* Records what was edited by hand, if that is possible; says nothing. */
void config_file_note(struct cli *c);

#endif
