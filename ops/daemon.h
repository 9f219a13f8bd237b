/* ops/daemon.h: the daemon's parts, for ops/daemon*.c alone: where node, loop, net and store are joined.
 *
 *   daemon.c         start, turns, signals, reload, stop
 *   daemon_link.c    connections: sockets <-> the node's connections; listeners; names
 *   daemon_control.c control socket, monitor.sock
 *   daemon_http.c    HTTP sockets
 *   daemon_webhook.c alerts.webhook
 *   daemon_log.c     log lines to stderr, journal, file and log server
 *   daemon_measure.c what the process uses, for `status` */
#ifndef SILKTALK_OPS_DAEMON_H
#define SILKTALK_OPS_DAEMON_H

#include "base/map.h"
#include "base/mem.h"
#include "crypto/tls.h"
#include "loop/clocks.h"
#include "loop/host.h"
#include "loop/lock.h"
#include "loop/log_writer.h"
#include "loop/loop.h"
#include "loop/notify.h"
#include "loop/signals.h"
#include "net/closing.h"
#include "net/control.h"
#include "net/dns.h"
#include "net/interfaces.h"
#include "net/log_remote.h"
#include "net/tcp.h"
#include "node/node.h"
#include "ops/cli.h"
#include "ops/local_health.h"
#include "store/store.h"

enum { LISTENERS_MAX = 16, ENDED_MAX = 64 };

struct daemon_log {
    struct log_writer *writer;
    struct log_remote *remote; /* NULL: off */
    char path[PATH_SIZE];      /* "": no file */
    char remote_url[512];
    struct syslog_origin origin;
    bool first;              /* the opening under way is that of the start */
    struct mono reopen_by;   /* 0: no reopening is under way */
    uint64_t remote_dropped; /* by earlier servers */
    uint64_t lost_told;
    struct mono lost_at;
};
struct listener {
    int fd; /* -1: free place */
    struct endpoint wanted, local;
};
struct link { /* one TCP connection */
    struct daemon *daemon;
    int fd;
    uint32_t id;
    uint8_t key[4];
    bool connecting;
    unsigned interest;
};
/* HTTP: see daemon_http.c */
enum { WEB_LINKS = 40, WEB_LISTENERS = 8, WEB_OLD = 4 };
struct web {
    struct web_link {
        struct daemon *daemon;
        int fd; /* -1: free */
        uint32_t id;
        unsigned interest;
        bool ended;               /* the client sends no more */
        struct tls *tls;          /* NULL: in clear */
        struct buf plain, cipher; /* what the node has not taken yet; what the socket has not */
    } links[WEB_LINKS];
    struct web_listener {
        struct daemon *daemon;
        int fd;                    /* -1: free */
        char text[256], path[256]; /* as in http.listen; of a unix socket */
    } listeners[WEB_LISTENERS];
    struct tls_identity *identity;     /* http.tlsCert; NULL: none */
    struct tls_identity *old[WEB_OLD]; /* replaced ones that connections may use still */
    struct mono again;                 /* one of them could not be opened */
    bool told;
};
struct daemon {
    struct cli *cli;
    const struct home *home;
    struct identity identity;
    struct log log;
    struct daemon_log sink;
    struct lock lock;
    struct loop *loop;
    struct signals signals;
    struct notify notify;
    struct store *store;
    struct control *control, *monitor; /* monitor: for reading alone; NULL: none */
    struct dns *dns;                   /* opened at the first name */
    struct closing *closing;
    struct node *node;
    struct tcp_acceptor acceptor;
    struct listener listeners[LISTENERS_MAX];
    bool accepting, paused;
    struct map links;          /* by connection id */
    uint32_t ended[ENDED_MAX]; /* control clients that ask no more, but wait for answers */
    size_t n_ended;
    struct web web;
    struct webhook *webhook; /* a request that is under way, or NULL */
    struct mono next_interfaces, next_status, measured, next_measure;
    struct local_health local;
    int64_t worst_turn_us; /* since health was measured */
    size_t listeners_lost; /* since the listeners were set */
    bool stopping, finish_now, draining, reloading;
    struct mono stop_at;
    struct host host;
    struct log_tally tally;
    char log_folder[PATH_SIZE], data_folder[PATH_SIZE], files_folder[PATH_SIZE];
    uint64_t slow_seen;
    const char *slow_part; /* of the last slow turn */
    struct why why;
};

/* ---- daemon_link.c */
/* Listens at all of network.listen that is not open yet; others are closed. First opens, then closes: on
 * failure everything is as it was. Kernels without IPv6 skip such an address with a log line. */
enum err listeners_set(struct daemon *d, const struct config *config, struct why *w);
void listeners_close(struct daemon *d);
void listeners_tell(struct daemon *d);                            /* concrete addresses to the node */
void links_effect(struct daemon *d, const struct node_effect *e); /* DIAL, CLOSE, RESOLVE */
void links_flush(struct daemon *d);                               /* writes what the node has */
void links_turn(struct daemon *d); /* after the node's turn: accepting, pauses, names */
void links_close(struct daemon *d);
struct mono links_deadline(const struct daemon *d);

/* Asks for a name's addresses or texts; links_turn hands the answer on, by its tag: 32 bits are the node's
 * queries. */
#define WEBHOOK_TAG (UINT64_C(1) << 32)
#define LOG_SERVER_TAG (UINT64_C(1) << 33)
enum err links_ask_name(struct daemon *d, uint64_t tag, enum dns_want want, const char *name, struct why *w);

/* ---- daemon_webhook.c */
void webhook_post(struct daemon *d, uint32_t id, struct bytes body); /* EFFECT_POST */
void webhook_resolved(struct daemon *d, const struct dns_answer *a);
void webhook_turn(struct daemon *d);
struct mono webhook_deadline(const struct daemon *d);
void webhook_close(struct daemon *d);

/* ---- daemon_control.c */
enum err sockets_open(struct daemon *d, const struct config *config); /* the control socket must open */
void sockets_answer(struct daemon *d, const struct node_effect *e);   /* ANSWER */
void sockets_flush(struct daemon *d); /* all answers so far go out */
void sockets_tick(struct daemon *d);
void sockets_turn(
    struct daemon *d); /* after the node's turn: who asks no more and has all answers is let go */
void sockets_close(struct daemon *d);
struct mono sockets_deadline(const struct daemon *d);

/* ---- daemon_http.c */
void http_init(struct daemon *d);
void http_listen(struct daemon *d, const struct config *config); /* opens and closes; never fails */
/* Tokens, certificate and key, anew; on failure nothing has changed. */
enum err http_read_secrets(struct daemon *d, const struct config *config, struct why *w);
void http_turn(struct daemon *d);
void http_close(struct daemon *d);
struct mono http_sockets_deadline(const struct daemon *d);

/* ---- daemon_log.c */
enum err sink_open(struct daemon *d, struct why *w); /* the thread; lines go to stderr */
enum err sink_watch(struct daemon *d);               /* in the loop */
void sink_file(struct daemon *d, const char *path);  /* names the file; "": none */
void sink_rotation(struct daemon *d, const struct config *c);
void sink_remote(struct daemon *d, const struct config *c);
void sink_start(struct daemon *d);  /* opens the file, behind the lines so far */
void sink_reopen(struct daemon *d); /* the same again: done when sink_opening says no */
bool sink_opening(const struct daemon *d);
bool sink_opened(struct daemon *d); /* takes the news, logs it */
void sink_resolved(struct daemon *d, const struct dns_answer *a);
void sink_turn(struct daemon *d);  /* lines to writer and server */
void sink_flush(struct daemon *d); /* waits until they are written, or too long */
void sink_close(struct daemon *d);
struct mono sink_deadline(const struct daemon *d);
void sink_health(const struct daemon *d, struct health_facts *out);
void sink_measure(const struct daemon *d, struct node_resources *out);

/* ---- daemon_measure.c */
/* What process and host use goes to the node, unless that is known and younger than age_ms. */
enum { MEASURE_ASKED_MS = 1000 }; /* before an answer that may show it */
void measure(struct daemon *d, int64_t age_ms);
void measure_health(struct daemon *d); /* every few seconds, by itself */

#endif
