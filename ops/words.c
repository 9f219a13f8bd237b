#include "ops/words.h"

#include <stddef.h>
#include <string.h>

const char *const *words_of(const char *verb) {
    static const struct {
        const char *verb, *words[10];
    } rows[] = {{"config", {"init", "list", "get", "set", "unset", "check", "path", NULL}},
                {"peer", {"show", "name", "forget", NULL}},
                {"bootstrap", {"list", "test", "add", "remove", NULL}},
                {"inbox", {"delete", NULL}},
                {"outbox", {"retry", "cancel", NULL}},
                {"log", {"level", NULL}},
                {"diag", {"limits", NULL}},
                {"completion", {"bash", "zsh", "fish", NULL}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].verb, verb) == 0) return rows[i].words;
    return NULL;
}
