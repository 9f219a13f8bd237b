/* tests/sim/run.c: SEED [COUNT [NODES [twice | verbose | messages]...]]: runs the scenario of so many seeds;
 * a failure names its seed. NODES: so many, or 5-50: as the seed chooses, or 0: 2 to 12, small networks more
 * often. twice: each seed is run again and must do exactly the same. messages: without
 * files and all else that came later (scenario.h). */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/sim/scenario.h"

static double seconds(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC); /* clock_gettime is the simulation's (posix.h) */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool has_word(int argc, char **argv, const char *word) {
    for (int i = 4; i < argc; i++)
        if (strcmp(argv[i], word) == 0) return true;
    return false;
}

static struct scenario_size size_of(const char *text) {
    char *end;
    size_t least = strtoul(text, &end, 0);
    return (struct scenario_size){least, *end == '-' ? strtoul(end + 1, NULL, 0) : least};
}

int main(int argc, char **argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
    const char *nodes = argc > 3 ? argv[3] : "0";
    bool verbose = has_word(argc, argv, "verbose"), twice = has_word(argc, argv, "twice"),
         only_messages = has_word(argc, argv, "messages");
    size_t failures = 0, messages = 0, delivered = 0, failed = 0, crashes = 0, files[3] = {0};
    uint64_t events = 0;
    double began = seconds();
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < count; i++, seed++) {
        struct scenario_result r, again;
        scenario_run(seed, size_of(nodes), only_messages, verbose, &r);
        if (twice && r.broken[0] == 0) {
            scenario_run(seed, size_of(nodes), only_messages, false, &again);
            if (again.trace != r.trace || again.events != r.events)
                snprintf(r.broken, sizeof r.broken, "two runs of this seed differ: %llx, %llx",
                         (unsigned long long)r.trace, (unsigned long long)again.trace);
        }
        if (r.broken[0] != 0) {
            failures++;
            printf("SEED=%llu NODES=%s: %s\n", (unsigned long long)seed, nodes, r.broken);
        }
        if (count == 1)
            printf("trace %016llx: %zu nodes, %zu messages, %zu delivered, %zu failed, %zu files, %zu "
                   "delivered, "
                   "%zu failed, %zu crashes, %llu events, %lld s\n",
                   (unsigned long long)r.trace, r.nodes, r.messages, r.delivered, r.failed, r.files,
                   r.files_delivered, r.files_failed, r.crashes, (unsigned long long)r.events,
                   (long long)r.virtual_ms / 1000);
        messages += r.messages;
        delivered += r.delivered;
        failed += r.failed;
        crashes += r.crashes;
        files[0] += r.files;
        files[1] += r.files_delivered;
        files[2] += r.files_failed;
        events += r.events;
    }
    double took = seconds() - began;
    printf("%zu seeds, %zu broken: %zu messages, %zu delivered, %zu failed; %zu files, %zu delivered, %zu "
           "failed; "
           "%zu crashes, %llu events; %.1f s, %.2f seeds/s\n",
           count, failures, messages, delivered, failed, files[0], files[1], files[2], crashes,
           (unsigned long long)events, took, (double)count / (took > 0 ? took : 1));
    return failures == 0 ? 0 : 1;
}
