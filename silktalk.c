/* silktalk.c: the table of applets, and dispatch by name; nothing else. `silktalk help`, the manual pages and
 * completion come from this table and from what each ops/NAME.c says of itself (ops/cli.h). */
#include "ops/cli.h"

/* symbol, name, group, flags, one line */
/* clang-format off */
#define APPLETS(X)                                                                                              \
    X(daemon, "daemon", NODE, AP_CREATES, "run the node in the foreground")                                    \
    X(start, "start", NODE, AP_CREATES, "start the node in the background and wait until it is ready")         \
    X(stop, "stop", NODE, 0, "stop the node gracefully and wait for it")                                       \
    X(restart, "restart", NODE, AP_CREATES, "stop and start the node")                                         \
    X(reload, "reload", NODE, AP_NODE, "read the configuration again and reopen the logs")                     \
    X(status, "status", NODE, AP_NODE | AP_WATCH, "the node at a glance")                                                 \
    X(top, "top", NODE, AP_NODE | AP_WATCH, "the node live: peers, rates, latency, queues")                               \
    X(report, "report", NODE, AP_NODE | AP_WATCH, "trends of the node's own figures, and when a limit will be reached")   \
    X(events, "events", NODE, AP_NODE, "what happens, as it happens")                                          \
    X(health, "health", NODE, AP_PLUGIN, "is the node well? one line for monitoring systems, within 3 s")      \
    X(health_check, "health-check", NODE, AP_PLUGIN, "health, and tell somebody when it changes")              \
    X(check, "check", NODE, AP_PLUGIN, "the daily, weekly or monthly list, looked at by machine")              \
    X(maintenance, "maintenance", NODE, AP_NODE, "silence alerts for a while, and tell peers")                 \
    X(netcheck, "netcheck", NODE, AP_NODE, "try listener, bootstrap peers, names and clock")                   \
    X(selftest, "selftest", HELP, 0, "try what this program is made of, on this machine")                      \
    X(id, "id", NODE, 0, "this node's Peer ID and addresses")                                                  \
    X(log, "log", NODE, AP_NODE, "show or change what is logged")                                              \
    X(diag, "diag", NODE, AP_NODE, "limits: used, most, hits and what happens there")                          \
    X(peers, "peers", PEERS, AP_NODE, "connected and known peers")                                             \
    X(peer, "peer", PEERS, AP_NODE, "one peer: show, name, forget")                                            \
    X(connect, "connect", PEERS, AP_NODE, "connect to an address or a known peer")                             \
    X(disconnect, "disconnect", PEERS, AP_NODE, "close all connections to a peer")                             \
    X(bootstrap, "bootstrap", PEERS, 0, "peers to stay connected to: list, test, add, remove")                 \
    X(ping, "ping", PEERS, AP_NODE, "measure the round trip, or the bandwidth, to a peer")                     \
    X(explain, "explain", PEERS, AP_NODE, "why a peer is or is not connected: every step")                     \
    X(send, "send", MESSAGES, 0, "send a message to one or more peers")                                        \
    X(inbox, "inbox", MESSAGES, AP_NODE | AP_RAW, "list, search, follow and delete received messages")         \
    X(read, "read", MESSAGES, AP_NODE, "show one message, or save it")                                         \
    X(outbox, "outbox", MESSAGES, 0, "messages not delivered yet: list, retry, cancel")                  \
    X(file, "file", MESSAGES, AP_NODE, "large files: list, accept, save, cancel")                              \
    X(config, "config", CONFIG, AP_INIT, "make, show, check and change the configuration")                  \
    X(token, "token", CONFIG, 0, "access tokens for HTTP: create, revoke, list")                                \
    X(import, "import", CONFIG, AP_CREATES, "bring an old JavaScript installation over")                       \
    X(migrate, "migrate", CONFIG, AP_CREATES | AP_HIDDEN, "the same as import")                                \
    X(applets, "applets", HELP, 0, "list the applets, or install links to them")                               \
    X(completion, "completion", HELP, 0, "completion script for bash, zsh or fish")                            \
    X(man, "man", HELP, 0, "manual pages")                                                                     \
    X(version, "version", HELP, 0, "version, and the licences of what is inside")                              \
    X(help, "help", HELP, 0, "this overview, or the help of one verb")
/* clang-format on */

APPLETS(APPLET_DECLARE)
const struct applet applets[] = {APPLETS(APPLET_ROW){0}};

int main(int argc, char **argv) {
    return cli_run(argc, argv);
}
