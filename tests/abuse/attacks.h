/* tests/abuse/attacks.h: every attack, by name. An attack connects as often as it likes and prints one line a
 * connection (wire_report), or one that sums up. tests/abuse/README.md says what each has to end in. */
#pragma once
#include "tests/abuse/wire.h"

struct attack {
    const char *name;
    void (*run)(struct target *t);
};
extern const struct attack attacks_handshake[], attacks_noise[], attacks_mux[],
    attacks_app[]; /* end: name NULL */
