#include "tests/fuzz/fuzz.h"

#include "crypto/rng.h"

#include <sanitizer/lsan_interface.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    MUST(crypto_open() == OK);
    return 0;
}

static uint64_t number(struct bytes *in, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        struct bytes one = bytes_take(in, 1);
        v = v << 8 | (one.n == 0 ? 0 : one.p[0]);
    }
    return v;
}
uint8_t fuzz_u8(struct bytes *in) {
    return (uint8_t)number(in, 1);
}
uint16_t fuzz_u16(struct bytes *in) {
    return (uint16_t)number(in, 2);
}
uint32_t fuzz_u32(struct bytes *in) {
    return (uint32_t)number(in, 4);
}
uint64_t fuzz_u64(struct bytes *in) {
    return number(in, 8);
}

struct bytes fuzz_part(struct bytes *in) {
    size_t n = fuzz_u8(in);
    if (n == 255) n = fuzz_u16(in);
    return bytes_take(in, n);
}

struct bytes fuzz_exact(struct bytes view) {
    if (view.n == 0) return (struct bytes){NULL, 0}; /* as an empty buffer is */
    uint8_t *p = malloc(view.n);
    MUST(p != NULL);
    memcpy(p, view.p, view.n);
    return bytes_at(p, view.n);
}

void fuzz_free(struct bytes copy) {
    free((void *)(uintptr_t)copy.p);
}

void fuzz_no_leak(size_t blocks_before) {
    if (mem_blocks() == blocks_before) return;
    fprintf(stderr, "%zu blocks before, %zu after\n", blocks_before, mem_blocks());
    __lsan_do_leak_check();
    abort();
}

const char *fuzz_file(unsigned place, struct bytes text) {
    static int files[4];
    static char names[4][32];
    MUST(place < LEN(files));
    if (files[place] == 0) {
        files[place] = memfd_create("fuzz", MFD_CLOEXEC);
        MUST(files[place] > 0);
        snprintf(names[place], sizeof names[place], "/proc/self/fd/%d", files[place]);
    }
    MUST(ftruncate(files[place], 0) == 0);
    MUST(pwrite(files[place], text.p, text.n, 0) == (ssize_t)text.n);
    return names[place];
}

void fuzz_place(const char *name, char *out, size_t max) {
    const char *folder = getenv("TMPDIR");
    int n = snprintf(out, max, "%s/%s-%d", folder == NULL ? "/tmp" : folder, name, (int)getpid());
    MUST(n > 0 && (size_t)n < max);
}
