/* lib/base/event.h: every line that SilkTalk may log, one row each: symbol, level, component, stable text
 * (operations.md S5: an interface for scripts), and the keys it carries. Help, documentation and tests come
 * from this table. */
#ifndef SILKTALK_BASE_EVENT_H
#define SILKTALK_BASE_EVENT_H

#include "base/base.h"

#define LOG_LEVELS(X) X(DEBUG, "debug", 7) X(INFO, "info", 6) X(WARN, "warn", 4) X(ERROR, "error", 3)
#define LOG_LEVEL_SYMBOL(symbol, name, priority) LEVEL_##symbol,
enum log_level { LOG_LEVELS(LOG_LEVEL_SYMBOL) LEVEL_COUNT };

#define LOG_COMPONENTS(X) X(node) X(net) X(store) X(message) X(control) X(config) X(dns)
#define LOG_COMPONENT_SYMBOL(name) COMPONENT_##name,
enum log_component { LOG_COMPONENTS(LOG_COMPONENT_SYMBOL) COMPONENT_COUNT };

/* clang-format off */
#define EVENTS(X)                                                                                             \
    X(EV_NODE_STARTED, INFO, node, "Node started", "version peer home pid")                                   \
    X(EV_NODE_READY, INFO, node, "Node ready", "total lock config identity database listen")                  \
    X(EV_NODE_STOPPING, INFO, node, "Node stopping", "reason")                                                \
    X(EV_NODE_STOPPED, INFO, node, "Node stopped", "uptime")                                                  \
    X(EV_HOME_CREATED, INFO, node, "Home created", "home config identity")                                    \
    X(EV_STATE, INFO, node, "State", "part")                                                                  \
    X(EV_CONFIG_RELOADED, INFO, config, "Config reloaded", "changed restart_pending")                         \
    X(EV_RELOAD_REJECTED, ERROR, config, "Reload rejected", "file line reason")                               \
    X(EV_LOG_REOPENED, INFO, node, "Log reopened", "path")                                                    \
    X(EV_LOG_LEVEL, INFO, node, "Log level", "part priority for")                                             \
    X(EV_LOG_LOST, WARN, node, "Log lines lost", "count")                                                     \
    X(EV_LOG_SERVER, INFO, node, "Log server connected", "addr")                                              \
    X(EV_LOG_SERVER_LOST, WARN, node, "Log server unreachable", "addr reason")                                \
    X(EV_LISTENING, INFO, net, "Listening", "addr protocol")                                                      \
    X(EV_LISTENER_SKIPPED, INFO, net, "Listener skipped", "addr reason")                                      \
    X(EV_LISTENER_LOST, ERROR, net, "Listener lost", "addr reason")                                           \
    X(EV_IDENTITY_LOADED, INFO, node, "Identity loaded", "peer path")                                         \
    X(EV_IDENTITY_PERMISSIONS, ERROR, node, "Identity permissions", "path mode")                              \
    X(EV_START_REFUSED, ERROR, node, "Start refused", "reason")                                               \
    X(EV_OLD_INSTALLATION, WARN, node, "Old installation found", "path")                                      \
    X(EV_SPOOL_TAKEN, INFO, message, "Spool taken up", "count")                                               \
    X(EV_SPOOL_REFUSED, WARN, message, "Spool entry refused", "entry reason")                                 \
    X(EV_PEER_CONNECTED, INFO, net, "Peer connected", "peer addr direction path")                             \
    X(EV_PEER_DISCONNECTED, INFO, net, "Peer disconnected", "peer reason duration")                           \
    X(EV_CONNECTION_PROBED, DEBUG, net, "Connection probed", "addr")                                          \
    X(EV_CONNECTION_CLOSED, DEBUG, net, "Connection closed", "peer addr reason")                              \
    X(EV_CONNECTION_REFUSED, DEBUG, net, "Connection refused", "addr limit")                                  \
    X(EV_DIAL_STARTED, DEBUG, net, "Dial started", "peer addr")                                               \
    X(EV_DIAL_ENDED, DEBUG, net, "Dial ended", "peer addr reason")                                            \
    X(EV_STREAM, DEBUG, net, "Stream", "peer protocol direction state")                                       \
    X(EV_IDENTIFIED, DEBUG, net, "Peer identified", "peer protocols")                                         \
    X(EV_HANDSHAKE_FAILED, WARN, net, "Failed handshake", "addr peer reason")                                 \
    X(EV_AUTHENTICATION_FAILED, WARN, net, "Failed authentication", "addr peer reason")                       \
    X(EV_ACCESS_FAILED, WARN, net, "Failed access", "peer addr rule")                                         \
    X(EV_PEER_MISBEHAVED, WARN, net, "Peer broke the protocol", "peer addr reason")                           \
    X(EV_BOOTSTRAP_UNREACHABLE, WARN, net, "Bootstrap unreachable", "peer addr tries reason")                 \
    X(EV_DNS_FAILED, DEBUG, dns, "Name not resolved", "name reason")                                          \
    X(EV_LIMIT_REACHED, WARN, node, "Limit reached", "limit max outcome")                                     \
    X(EV_SLOW_TURN, WARN, node, "Slow turn", "took cpu part")                                                   \
    X(EV_DISK_LOW, WARN, store, "Disk space low", "part state")                                                \
    X(EV_CLOCK_OFFSET, WARN, node, "Clock offset", "offset state")                                            \
    X(EV_CERTIFICATE_EXPIRES, WARN, node, "Certificate expires", "path state")                                \
    X(EV_MAINTENANCE, INFO, node, "Maintenance", "state uid")                                                 \
    X(EV_ALERT_TOLD, INFO, node, "Alert told", "kind way to findings")                                       \
    X(EV_ALERT_NOT_TOLD, WARN, node, "Alert not told", "kind way to reason")                                 \
    X(EV_DATABASE_FAULT, ERROR, store, "Database fault", "operation reason")                                  \
    X(EV_MESSAGE_RECEIVED, INFO, message, "Message received", "peer id bytes")                                \
    X(EV_MESSAGE_SENT, INFO, message, "Message sent", "peer id bytes")                                        \
    X(EV_MESSAGE_DELIVERED, INFO, message, "Message delivered", "peer id latency")                            \
    X(EV_MESSAGE_REFUSED, WARN, message, "Message refused", "peer id status")                                 \
    X(EV_MESSAGE_REFUSED_BY, WARN, message, "Message refused by peer", "peer id status")                      \
    X(EV_MESSAGE_EXPIRED, ERROR, message, "Message expired", "peer id")                                       \
    X(EV_FILE_OFFERED, INFO, message, "File offered", "peer id bytes")                                        \
    X(EV_FILE_RECEIVED, INFO, message, "File received", "peer id bytes")                                      \
    X(EV_FILE_SENT, INFO, message, "File sent", "peer id bytes")                                              \
    X(EV_CONTROL_CLIENT, DEBUG, control, "Control client", "uid pid method result")                           \
    X(EV_CONTROL_DROPPED, DEBUG, control, "Control client dropped", "uid pid reason")
/* clang-format on */
#define EVENT_SYMBOL(symbol, level, component, text, keys) symbol,
enum event { EVENTS(EVENT_SYMBOL) EVENT_COUNT };

struct event_row {
    enum log_level level;
    enum log_component component;
    const char *text, *keys;
};
extern const struct event_row event_rows[EVENT_COUNT];
const char *log_level_name(enum log_level level);             /* "info" */
const char *log_component_name(enum log_component component); /* "net" */
int log_level_priority(enum log_level level);                 /* of syslog: 7 6 4 3 */
bool log_level_parse(struct bytes name, enum log_level *out); /* debug info warn error (warning too) */
bool log_component_parse(struct bytes name, enum log_component *out);

#endif
