/* Numbers, durations, sizes and times of people. */
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

static void check_duration(struct bytes in, int64_t bare) {
    int64_t ms = -1, again = -2;
    char text[32];
    if (!duration_parse(in, bare, &ms)) return;
    MUST(ms >= 0);
    duration_config(ms, text);
    MUST(duration_parse(bytes_of(text), 0, &again) && again == ms);
    duration_text(ms, text);
}

static void check_size(struct bytes in) {
    uint64_t v = 0, again = 1;
    char text[32];
    if (!size_parse(in, &v)) return;
    size_config(v, text);
    MUST(size_parse(bytes_of(text), &again) && again == v);
    size_text(v, text);
}

static void check_time(struct bytes in) {
    struct wall t = {0}, again = {0};
    char text[32];
    if (!wall_parse(in, &t)) return;
    wall_text(t, text);
    /* an offset may lead out of the four-digit years */
    if (strlen(text) == 24) MUST(wall_parse(bytes_of(text), &again) && again.ms == t.ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    uint8_t what = fuzz_u8(&in);
    uint64_t v;
    char text[32];
    if (what % 5 == 4) { /* numbers as text, any of them */
        v = fuzz_u64(&in);
        wall_text((struct wall){(int64_t)v}, text);
        MUST(strlen(text) < sizeof text);
        duration_text((int64_t)v, text);
        duration_config((int64_t)v, text);
        size_text(v, text);
        size_config(v, text);
        return 0;
    }
    in = fuzz_exact(bytes_sub(in, 0, 200));
    switch (what % 5) {
    case 0: check_duration(in, 1000); break;
    case 1: check_duration(in, 0); break;
    case 2: check_size(in); break;
    case 3: check_time(in); break;
    }
    if (bytes_to_u64(in, 1000, &v)) MUST(v <= 1000 && in.n <= 20);
    fuzz_free(in);
    return 0;
}
