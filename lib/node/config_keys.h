/* lib/node/config_keys.h: every configuration key, one row each (operations.md S3). The parser, `config
 * list`, the commented sample, man page, completion and `struct config` come from this table.
 *
 * Columns: section; key; type; default as text ("" of a LIST: none; a PATH in angle brackets is worked out
 * from the home, see config.h); range "least..most" or choices "a|b" ("" none); applies: RELOAD or RESTART;
 * meaning. Types: TEXT, PATH, URL, PROGRAM (words to run, quotes group them), COUNT, RATE ("5/s"), TIME
 * (bare: seconds), SIZE, PERCENT, BOOL, CHOICE, MODE (octal), and lists: PEERS, CIDRS, IPS, MULTIADDRS
 * (dialable or listenable), BOOTSTRAPS (multiaddrs with /p2p/), LISTENS (IP:PORT, unix:PATH, or off), HOSTS
 * (name or IP, with or without :PORT). The range of a TEXT, PATH, URL or PROGRAM without ".." begins with the
 * word that means "not set"; a URL's goes on with its schemes: "off|udp|tcp". A list may be the word none. */
#ifndef SILKTALK_NODE_CONFIG_KEYS_H
#define SILKTALK_NODE_CONFIG_KEYS_H

#define CONFIG_SECTIONS(X)                                                                                   \
    X(node, "this node: its name and where things are")                                                      \
    X(network, "addresses, name servers, private network")                                                   \
    X(connection, "connections: how many, how long")                                                         \
    X(discovery, "how peers are found")                                                                      \
    X(messages, "direct messages: sizes, times, quotas")                                                     \
    X(files, "large files: what is taken, from whom, how much")                                              \
    X(database, "the store of all durable state")                                                            \
    X(health, "what is judged healthy")                                                                      \
    X(http, "status page, health, metrics and API over HTTP")                                                \
    X(https, "this node as a client of HTTPS servers")                                                       \
    X(logging, "what is logged, and how")                                                                    \
    X(contacts, "people, named in alerts and reports")                                                       \
    X(alerts, "who is told when the node's health changes")                                                  \
    X(access, "who may connect")                                                                             \
    X(limits, "any other named limit: see `silktalk diag limits`")

/* clang-format off */
#define CONFIG_KEYS(X)                                                                                         \
    X(node, name, TEXT, "<hostname>", "1..63", RELOAD, "name for people, of A-Z a-z 0-9 . _ -; proves nothing") \
    X(node, identity, PATH, "<home>/identity.key", "", RESTART, "private key of this node")                     \
    X(node, data, PATH, "<home>/data", "", RESTART, "folder of the database")                                   \
    X(node, socket, PATH, "<socket>", "", RESTART, "control socket")                                            \
    X(node, monitorSocket, PATH, "<monitor>", "", RESTART, "socket for reading alone, of group silktalk-monitor") \
    X(node, socketGroup, TEXT, "silktalk", "0..63", RESTART, "group that may use the control socket")           \
    X(node, socketMode, MODE, "<socketmode>", "0600..0777", RESTART, "mode of the control socket (octal)")      \
    X(node, memoryMax, SIZE, "256MiB", "32MiB..1TiB", RELOAD, "most memory for buffers of all connections")     \
    X(node, stopTimeout, TIME, "5s", "0s..10m", RELOAD, "time for a graceful stop")                             \
    X(node, configHistory, COUNT, "10", "1..1000", RELOAD, "earlier versions of the configuration that are kept") \
    X(network, listen, MULTIADDRS, "/ip4/0.0.0.0/tcp/4001, /ip6/::/tcp/4001", "0..16", RELOAD, "addresses to listen on") \
    X(network, announce, MULTIADDRS, "", "0..16", RELOAD, "addresses to tell peers, instead of the detected ones") \
    X(network, noAnnounce, CIDRS, "", "0..64", RELOAD, "detected addresses not to tell peers")                  \
    X(network, dnsServers, IPS, "", "0..8", RELOAD, "name servers, instead of the system's")                    \
    X(network, swarmKey, PATH, "<home>/swarm.key", "", RESTART, "private network key, used if the file exists") \
    X(network, privateOnly, BOOL, "no", "", RESTART, "refuse to start without a private network key")           \
    X(network, maxUpload, SIZE, "0", "0B..1TiB", RELOAD, "bytes per second to all peers together, at least 16 KiB (0: no limit)") \
    X(network, maxDownload, SIZE, "0", "0B..1TiB", RELOAD, "bytes per second from all peers together, at least 16 KiB (0: no limit)") \
    X(network, perf, BOOL, "no", "", RELOAD, "serve /perf/1.0.0 to peers (bandwidth tests)")                     \
    X(connection, maxConnections, COUNT, "300", "1..10000", RELOAD, "hard cap, in and out, never exceeded")     \
    X(connection, minConnections, COUNT, "10", "0..10000", RELOAD, "below: bootstrap and known peers are dialed") \
    X(connection, maxConnectionsPerPeer, COUNT, "5", "1..100", RELOAD, "above: the oldest idle one is closed")  \
    X(connection, maxConnectionsPerAddress, COUNT, "32", "1..10000", RELOAD, "per IPv4 address or IPv6 /64")    \
    X(connection, inboundConnectionThreshold, RATE, "5/s", "1/s..1000/s", RELOAD, "new connections per address") \
    X(connection, maxIncomingPendingConnections, COUNT, "32", "1..1000", RELOAD, "handshakes not finished, inbound") \
    X(connection, reservedForTrusted, COUNT, "10", "0..5000", RELOAD, "connections kept free for access.allowPeers (at most half)") \
    X(connection, maxStreams, COUNT, "256", "8..4096", RELOAD, "inbound streams of a connection")               \
    X(connection, dialTimeout, TIME, "10s", "1s..2m", RELOAD, "one address: TCP connection")                    \
    X(connection, handshakeTimeout, TIME, "10s", "1s..2m", RELOAD, "security and muxer negotiation")            \
    X(connection, maxParallelDials, COUNT, "32", "1..500", RELOAD, "dials at the same time")                    \
    X(connection, idleTimeout, TIME, "10m", "5s..24h", RELOAD, "a connection unused so long is closed (not bootstrap or trusted peers)") \
    X(connection, keepAlive, TIME, "30s", "5s..24h", RELOAD, "ping a silent connection")                        \
    X(connection, redialMin, TIME, "1s", "100ms..1h", RELOAD, "first wait before dialing again; doubles, with 25% jitter") \
    X(connection, redialMax, TIME, "5m", "100ms..1h", RELOAD, "longest wait before dialing again")              \
    X(discovery, bootstrap, BOOTSTRAPS, "", "0..64", RELOAD, "peers to stay connected to, with /p2p/")          \
    X(messages, maxBody, SIZE, "1MiB", "1KiB..3MiB", RELOAD, "largest body taken and sent")                     \
    X(messages, ratePerPeer, RATE, "100/s", "1/s..10000/s", RELOAD, "messages taken from one peer (burst: 5 s worth)") \
    X(messages, from, CHOICE, "known", "known|any|allowed", RELOAD, "who may send to us")                       \
    X(messages, expiry, TIME, "7d", "1m..90d", RELOAD, "life of messages sent, unless --expires says otherwise") \
    X(messages, retention, TIME, "30d", "0s..3650d", RELOAD, "read messages are deleted after (0: never)")      \
    X(messages, spoolMax, COUNT, "1000", "1..1000000", RELOAD, "messages that wait for a stopped node")         \
    X(messages, outboxMax, COUNT, "10000", "1..10000000", RELOAD, "undelivered messages")                       \
    X(messages, outboxMaxBytes, SIZE, "256MiB", "1MiB..1TiB", RELOAD, "undelivered messages together")          \
    X(messages, outboxMaxPerPeer, COUNT, "1000", "1..10000000", RELOAD, "undelivered messages to one peer")     \
    X(messages, inboxMax, COUNT, "100000", "1..100000000", RELOAD, "messages kept")                             \
    X(messages, inboxMaxBytes, SIZE, "1GiB", "1MiB..1TiB", RELOAD, "messages kept, together")                   \
    X(messages, retryMin, TIME, "1s", "100ms..1h", RELOAD, "first wait before sending again; doubles, with jitter") \
    X(messages, retryMax, TIME, "5m", "1s..1h", RELOAD, "longest wait before sending again")                    \
    X(messages, inboxPerPeer, COUNT, "10000", "1..100000000", RELOAD, "messages kept from one peer")            \
    X(messages, inboxBytesPerPeer, SIZE, "64MiB", "64KiB..1TiB", RELOAD, "messages kept from one peer, together") \
    X(messages, inboxBytesStrangers, SIZE, "16MiB", "0B..1TiB", RELOAD, "messages kept from all unknown peers together") \
    X(files, receiveDir, PATH, "<home>/files", "", RESTART, "folder of received files")                         \
    X(files, maxSize, SIZE, "4GiB", "1MiB..1024TiB", RELOAD, "largest file taken")                              \
    X(files, quota, SIZE, "16GiB", "1MiB..1024TiB", RELOAD, "all files that are kept or being sent, together")  \
    X(files, from, CHOICE, "known", "known|any|allowed|none", RELOAD, "whose files are taken without asking")   \
    X(database, cacheSize, SIZE, "8MiB", "1MiB..1GiB", RELOAD, "memory for database pages")                    \
    X(database, maxSize, SIZE, "4GiB", "16MiB..1TiB", RELOAD, "largest database file")                         \
    X(health, window, TIME, "5m", "1m..1h", RELOAD, "latency and errors are judged over this time")             \
    X(health, minSamples, COUNT, "20", "1..1000000", RELOAD, "fewer messages or operations than this in the window: no verdict") \
    X(health, certWarning, TIME, "21d", "0s..3650d", RELOAD, "time that a certificate has left")                \
    X(health, certCritical, TIME, "3d", "0s..3650d", RELOAD, "time that a certificate has left")                \
    X(health, cpuNormal, PERCENT, "50", "0..100", RELOAD, "processor use: of the host, or the node's share of one core, over 60 s") \
    X(health, cpuWarning, PERCENT, "70", "0..100", RELOAD, "processor use: of the host, or the node's share of one core, over 60 s") \
    X(health, cpuCritical, PERCENT, "90", "0..100", RELOAD, "processor use: of the host, or the node's share of one core, over 60 s") \
    X(health, memoryNormal, PERCENT, "70", "0..100", RELOAD, "memory use, of the host or its cgroup")           \
    X(health, memoryWarning, PERCENT, "80", "0..100", RELOAD, "memory use, of the host or its cgroup")          \
    X(health, memoryCritical, PERCENT, "95", "0..100", RELOAD, "memory use, of the host or its cgroup")         \
    X(health, diskNormal, PERCENT, "70", "0..100", RELOAD, "use of the fullest disk: data, logs, backups; space or inodes") \
    X(health, diskWarning, PERCENT, "80", "0..100", RELOAD, "use of the fullest disk: data, logs, backups; space or inodes") \
    X(health, diskCritical, PERCENT, "90", "0..100", RELOAD, "use of the fullest disk: data, logs, backups; space or inodes") \
    X(health, connectionsNormal, COUNT, "<5/6 of connection.maxConnections>", "0..10000", RELOAD, "connections, in and out") \
    X(health, connectionsWarning, COUNT, "<14/15 of connection.maxConnections>", "0..10000", RELOAD, "connections, in and out") \
    X(health, connectionsCritical, COUNT, "<connection.maxConnections>", "0..10000", RELOAD, "connections, in and out") \
    X(health, latencyNormal, TIME, "100ms", "1ms..1h", RELOAD, "time from a message to its receipt: of 95 in 100") \
    X(health, latencyWarning, TIME, "500ms", "1ms..1h", RELOAD, "time from a message to its receipt: of 95 in 100") \
    X(health, latencyCritical, TIME, "1s", "1ms..1h", RELOAD, "time from a message to its receipt: of 95 in 100") \
    X(health, errorsNormal, PERCENT, "0.1", "0..100", RELOAD, "messages and streams that failed")               \
    X(health, errorsWarning, PERCENT, "1", "0..100", RELOAD, "messages and streams that failed")                \
    X(health, errorsCritical, PERCENT, "5", "0..100", RELOAD, "messages and streams that failed")               \
    X(health, outboxAgeWarning, TIME, "1h", "1s..90d", RELOAD, "age of the oldest undelivered message")         \
    X(health, outboxAgeCritical, TIME, "1d", "1s..90d", RELOAD, "age of the oldest undelivered message")        \
    X(health, backupAgeWarning, TIME, "26h", "0s..3650d", RELOAD, "age of the newest verified backup (0: off)") \
    X(health, backupAgeCritical, TIME, "50h", "0s..3650d", RELOAD, "age of the newest verified backup (0: off)") \
    X(health, clockWarning, TIME, "5s", "1ms..1d", RELOAD, "how far the clock is off those of peers")           \
    X(health, clockCritical, TIME, "1m", "1ms..1d", RELOAD, "how far the clock is off those of peers")          \
    X(health, peersMin, COUNT, "1", "0..10000", RELOAD, "fewer connected peers than this is a fault, where peers are known") \
    X(health, probeHosts, HOSTS, "", "0..16", RELOAD, "hosts that tell whether the network is there at all")    \
    X(http, listen, LISTENS, "127.0.0.1:8080", "0..8", RELOAD, "where HTTP is served: IP:PORT, unix:PATH, or off") \
    X(http, tokenFile, PATH, "<tokens>", "", RESTART, "access tokens: a line each with name, scope, expiry, sha256") \
    X(http, tlsCert, PATH, "none", "none", RESTART, "certificate chain (PEM): TLS on all addresses")            \
    X(http, tlsKeyFile, PATH, "none", "none", RESTART, "private key of the certificate (PEM)")                  \
    X(http, allowHosts, HOSTS, "", "0..64", RELOAD, "host names by which browsers may ask, beside localhost and node.name") \
    X(https, caFile, PATH, "system", "system", RESTART, "certificates of trusted authorities (PEM)")            \
    X(https, proxy, URL, "none", "none|http", RELOAD, "proxy for requests to other servers")                    \
    X(logging, level, CHOICE, "info", "debug|info|warn|error", RELOAD, "least important lines to log")          \
    X(logging, format, CHOICE, "text", "text|json", RELOAD, "text lines, or one JSON object a line")            \
    X(logging, file, PATH, "<log>", "off", RESTART, "log file")                                                 \
    X(logging, rotation, CHOICE, "builtin", "builtin|external", RELOAD, "who starts a new log file: the node, or logrotate") \
    X(logging, maxSize, SIZE, "100MiB", "64KiB..1TiB", RELOAD, "a new log file is begun at this size (and at midnight)") \
    X(logging, retention, TIME, "30d", "1d..3650d", RELOAD, "old log files are deleted after")                  \
    X(logging, compress, BOOL, "yes", "", RELOAD, "old log files are compressed (gzip)")                        \
    X(logging, remote, URL, "off", "off|udp|tcp", RELOAD, "log server, as udp:// or tcp://HOST:PORT (RFC 5424)") \
    X(contacts, operations, TEXT, "none", "none", RELOAD, "who runs this node")                                 \
    X(contacts, development, TEXT, "none", "none", RELOAD, "who can mend the program")                          \
    X(contacts, security, TEXT, "none", "none", RELOAD, "who is told of attacks")                               \
    X(alerts, peers, PEERS, "", "0..16", RELOAD, "peers that get a message")                                    \
    X(alerts, webhook, URL, "none", "none|https|http", RELOAD, "address that gets a POST request")              \
    X(alerts, webhookTokenFile, PATH, "none", "none", RESTART, "file with the bearer token for the webhook")    \
    X(alerts, webhookSecretFile, PATH, "none", "none", RESTART, "file with the secret that signs what the webhook gets") \
    X(alerts, minLevel, CHOICE, "P2", "P0|P1|P2|P3", RELOAD, "least urgent finding that is told")               \
    X(alerts, repeat, TIME, "4h", "1m..365d", RELOAD, "told again after this time, while it lasts")             \
    X(alerts, mailTo, TEXT, "none", "none", RELOAD, "mail address for health-check")                            \
    X(alerts, exec, PROGRAM, "none", "none", RELOAD, "program for health-check: words, quotes group them; no shell") \
    X(access, mode, CHOICE, "open", "open|allowlist", RELOAD, "allowlist: only allowPeers may connect")         \
    X(access, allowPeers, PEERS, "", "0..1000", RELOAD, "peers that are trusted (and, in allowlist mode, the only ones)") \
    X(access, denyPeers, PEERS, "", "0..1000", RELOAD, "peers that may not connect")                            \
    X(access, allowCidrs, CIDRS, "", "0..1000", RELOAD, "if set: only from these blocks")                       \
    X(access, denyCidrs, CIDRS, "", "0..1000", RELOAD, "blocks that may not connect")
/* clang-format on */

#endif
