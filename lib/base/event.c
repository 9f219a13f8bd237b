/* lib/base/event.c: the table of log lines as data. */
#include "base/event.h"

#define EVENT_ROW(symbol, level, component, text, keys)                                                      \
    [symbol] = {LEVEL_##level, COMPONENT_##component, text, keys},
const struct event_row event_rows[EVENT_COUNT] = {EVENTS(EVENT_ROW)};

#define LEVEL_NAME(symbol, name, priority) [LEVEL_##symbol] = name,
static const char *const level_names[LEVEL_COUNT] = {LOG_LEVELS(LEVEL_NAME)};

#define LEVEL_PRIORITY(symbol, name, priority) [LEVEL_##symbol] = (priority),
static const int level_priorities[LEVEL_COUNT] = {LOG_LEVELS(LEVEL_PRIORITY)};

#define COMPONENT_NAME(name) [COMPONENT_##name] = #name,
static const char *const component_names[COMPONENT_COUNT] = {LOG_COMPONENTS(COMPONENT_NAME)};

const char *log_level_name(enum log_level level) {
    return (unsigned)level < LEVEL_COUNT ? level_names[level] : "unknown";
}

const char *log_component_name(enum log_component component) {
    return (unsigned)component < COMPONENT_COUNT ? component_names[component] : "unknown";
}

int log_level_priority(enum log_level level) {
    return level_priorities[level];
}

bool log_level_parse(struct bytes name, enum log_level *out) {
    if (bytes_is(name, "warning")) {
        *out = LEVEL_WARN;
        return true;
    }
    for (unsigned i = 0; i < LEVEL_COUNT; i++) {
        if (!bytes_is(name, level_names[i])) continue;
        *out = (enum log_level)i;
        return true;
    }
    return false;
}

bool log_component_parse(struct bytes name, enum log_component *out) {
    for (unsigned i = 0; i < COMPONENT_COUNT; i++) {
        if (!bytes_is(name, component_names[i])) continue;
        *out = (enum log_component)i;
        return true;
    }
    return false;
}
