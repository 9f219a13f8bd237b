/* ops/home.h: which home a command works on, where its files are (operations.md S12), and its configuration.
 */
#ifndef SILKTALK_OPS_HOME_H
#define SILKTALK_OPS_HOME_H

#include "loop/file.h"
#include "node/config.h"

enum { PATH_SIZE = 512 };

struct home {
    bool system;            /* laid out as /var/lib/silktalk with /etc/silktalk, else as ~/.silktalk */
    char dir[PATH_SIZE];    /* HOME: absolute */
    char conf[PATH_SIZE];   /* CONF */
    char socket[PATH_SIZE]; /* default of node.socket, or what --socket says */
    char log_file[PATH_SIZE];
    char spool[PATH_SIZE];
    char hostname[64];
    bool socket_given; /* by --socket or SILKTALK_SOCKET: counts more than node.socket */
};
struct home_choice { /* from the command line; NULL: not given */
    const char *home, *config, *socket;
};
/* Finds the home: --home or SILKTALK_HOME; the system's for root and the user silktalk; else ~/.silktalk, if
 * `creates` or it has a config.ini; else the system's. E_INPUT: a path is too long. */
enum err home_find(struct home *h, const struct home_choice *choice, bool creates, struct why *w);
bool home_exists(const struct home *h); /* CONF is there */
/* Reads CONF and conf.d/ (NAME.ini, in name order) beside it; a missing CONF gives the defaults. E_INPUT,
 * E_DENIED... with file and line. */
enum err home_config(const struct home *h, struct config **out, struct why *w);
/* The same with one key set by the command line, which counts most. */
enum err home_config_with(const struct home *h, enum config_key key, const char *value, struct config **out,
                          struct why *w);
/* Makes what is missing of: folders, identity.key (0600), CONF with the commented sample. *made says what was
 * made (words for people, "" if nothing). */
struct home_made {
    bool folder, config, identity;
};
enum err home_create(const struct home *h, struct home_made *made, struct why *w);
/* A leftover of the JavaScript program (config.json in the home): its path, or "". */
void home_old_installation(const struct home *h, char out[PATH_SIZE]);
/* The identity, from cfg(config, node_identity). E_NOT_FOUND; E_INPUT also when its mode is wider than 0600.
 */
enum err home_identity(const struct config *c, struct identity *id, struct why *w);

#endif
