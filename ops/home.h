/* ops/home.h: which home a command works on, where its files are (operations.md S12), and its configuration.
 */
#ifndef SILKTALK_OPS_HOME_H
#define SILKTALK_OPS_HOME_H

#include "loop/file.h"
#include "node/config.h"

enum { PATH_SIZE = 512 };
#define HOME_MONITOR "/run/silktalk/monitor.sock" /* of the system's node */

struct home {
    bool system;            /* laid out as /var/lib/silktalk with /etc/silktalk, else as ~/.silktalk */
    char dir[PATH_SIZE];    /* HOME: absolute */
    char conf[PATH_SIZE];   /* CONF */
    char socket[PATH_SIZE]; /* default of node.socket, or what --socket says */
    char log_file[PATH_SIZE];
    char spool[PATH_SIZE];
    char history[PATH_SIZE]; /* earlier versions of CONF; for one given by --config: CONF.history */
    char hostname[64];
    bool socket_given; /* by --socket or SILKTALK_SOCKET: counts more than node.socket */
};
struct home_choice { /* from the command line; NULL: not given */
    const char *home, *config, *socket;
};
/* Root's commands act as the owner of the home while they are in it, so that no file of root's stays there
 * and nothing is followed that its owner could not open (operations.md S2.1). True: undo it with
 * home_as_self. False: not root, or the home is root's own, or is not there. */
bool home_as_owner(const struct home *h);
void home_as_self(void);
/* The daemon, run by root in the home of another: becomes that user for good, after it made the folders of
 * the socket and of the log, which only root can. OK also when there is nothing to do. */
enum err home_become_owner(const struct home *h, struct why *w);
/* Where a secret's file is: the path itself, or for credential:NAME the file that systemd hands over.
 * E_NOT_FOUND: there is no such folder. */
enum err home_secret(const char *setting, char out[PATH_SIZE], struct why *w);
/* Leaves only the variables of operations.md S12: libraries read others (LOCALDOMAIN, RES_OPTIONS...). */
void home_clean_environment(void);
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
/* The same with `text` in the place of what CONF holds; `folder`: with conf.d. */
enum err home_config_text(const struct home *h, struct bytes text, bool folder, struct config **out,
                          struct why *w);
/* Makes CONF, which is not there, with the mode and group it has to have. E_REFUSED: it is there. */
enum err home_make_conf(const struct home *h, struct bytes text, struct why *w);
/* Makes the home and the folder of CONF, where they are missing. */
enum err home_make_folders(const struct home *h, bool *made, struct why *w);
bool home_personal(char out[PATH_SIZE]);     /* the caller's ~/.silktalk */
bool home_conf_inside(const struct home *h); /* CONF lies in the home: its owner's, not root's */
/* Makes what is missing of: folders, identity.key (0600), CONF with the commented sample. *made says what was
 * made (words for people, "" if nothing). */
struct home_made {
    bool folder, config, identity;
};
enum err home_create(const struct home *h, struct home_made *made, struct why *w);
/* A leftover of the JavaScript program: the path of a config.json in the home or beside CONF, or (not `here`
 * alone) in the caller's ~/.silktalk; or "". */
void home_old_installation(const struct home *h, bool here, char out[PATH_SIZE]);
/* The identity, from cfg(config, node_identity), read as the owner of the home. E_NOT_FOUND; E_INPUT also
 * when its mode is wider than 0600. */
enum err home_identity(const struct home *h, const struct config *c, struct identity *id, struct why *w);

#endif
