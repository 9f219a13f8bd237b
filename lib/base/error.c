/* lib/base/error.c: the error table, and the sentence that goes with a code. */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>

#define ERROR_ROW(symbol, name, exit_code, text) [symbol] = {name, text, exit_code},
static const struct {
    const char *name, *text;
    int exit_code;
} rows[ERR_COUNT] = {ERRORS(ERROR_ROW)};

static enum err known(enum err code) {
    return (unsigned)code < ERR_COUNT ? code : E_FAILED;
}

enum err fail(struct why *w, enum err code, const char *format, ...) {
    if (w == NULL) return code;
    char text[sizeof w->text]; /* not at once into w: its old text may be among the arguments */
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) text[0] = '\0';
    memcpy(w->text, text, strlen(text) + 1);
    w->code = code;
    return code;
}

const char *err_name(enum err code) {
    return rows[known(code)].name;
}

const char *err_text(enum err code) {
    return rows[known(code)].text;
}

int err_exit(enum err code) {
    return rows[known(code)].exit_code;
}

enum err err_of_name(const char *name) {
    for (unsigned i = 0; name != NULL && i < ERR_COUNT; i++) {
        if (strcmp(rows[i].name, name) == 0) return (enum err)i;
    }
    return E_FAILED;
}
