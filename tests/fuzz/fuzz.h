/* tests/fuzz/fuzz.h: what the fuzz targets share. A target is a file NAME_fuzz.c with LLVMFuzzerTestOneInput;
 * README.md says how they are run. A target draws its decisions off the front of the input, so that what is
 * cut off by the fuzzer still is a whole story, and uses no clock, no kernel randomness and no state of the
 * run before. */
#pragma once
#include "base/base.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What must hold whatever the input was. */
#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* Numbers off the front of the input; 0 for what is missing. */
uint8_t fuzz_u8(struct bytes *in);
uint16_t fuzz_u16(struct bytes *in);
uint32_t fuzz_u32(struct bytes *in);
uint64_t fuzz_u64(struct bytes *in);
/* A part of it: one byte of length (255: two more follow), then so many bytes, or those that are left. */
struct bytes fuzz_part(struct bytes *in);
/* A copy in a block of exactly its size, so that one byte too far is seen; fuzz_free. */
struct bytes fuzz_exact(struct bytes view);
void fuzz_free(struct bytes copy);
/* As many blocks of memory are in use as before; if not, where the others come from is shown. */
void fuzz_no_leak(size_t blocks_before);
/* A file that is in memory only and holds `text`; the name opens it until the next call with the same place.
 */
const char *fuzz_file(unsigned place, struct bytes text);
/* The path of `name` in the folder for temporary files, followed by this process's number, so that targets
 * run side by side; `out` must hold all of it. */
void fuzz_place(const char *name, char *out, size_t max);
