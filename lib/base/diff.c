#include "base/diff.h"

#include "base/mem.h"

struct lines { /* each with its newline, if it has one */
    struct bytes *at;
    size_t n;
};

static struct bytes cut_line(struct bytes *text) {
    return bytes_take(text, MIN(bytes_index(*text, '\n') + 1, text->n));
}

static bool split(struct bytes text, struct lines *out) {
    struct bytes rest = text;
    size_t n = 0;
    while (rest.n > 0) {
        cut_line(&rest);
        n++;
    }
    *out = (struct lines){NULL, n};
    out->at = NEW_ARRAY(struct bytes, n + 1);
    for (size_t i = 0; out->at != NULL && i < n; i++) out->at[i] = cut_line(&text);
    return out->at != NULL;
}

struct step {
    char mark; /* ' ' in both, '-' in the first, '+' in the second */
    struct bytes line;
};
struct steps {
    struct step *at;
    size_t n;
};

static void add(struct steps *s, char mark, struct bytes line) {
    s->at[s->n++] = (struct step){mark, line};
}

/* Longest common subsequence by the usual table; a and b are what lies between the common ends. */
static bool compare(const struct bytes *a, size_t n, const struct bytes *b, size_t m, struct steps *out) {
    bool exact = n > 0 && m > 0 && n <= DIFF_LINES_MAX && m <= DIFF_LINES_MAX;
    uint16_t *best = exact ? NEW_ARRAY(uint16_t, (n + 1) * (m + 1)) : NULL;
    size_t i = 0, k = 0, row = m + 1;
    if (exact && best == NULL) return false;
    for (i = n; exact && i-- > 0;)
        for (k = m; k-- > 0;)
            best[i * row + k] = bytes_eq(a[i], b[k]) ? (uint16_t)(best[(i + 1) * row + k + 1] + 1)
                                                     : MAX(best[(i + 1) * row + k], best[i * row + k + 1]);
    for (i = k = 0; exact && i < n && k < m;) {
        if (bytes_eq(a[i], b[k])) {
            add(out, ' ', a[i]);
            i++;
            k++;
        } else if (best[(i + 1) * row + k] >= best[i * row + k + 1]) {
            add(out, '-', a[i++]);
        } else {
            add(out, '+', b[k++]);
        }
    }
    while (i < n) add(out, '-', a[i++]);
    while (k < m) add(out, '+', b[k++]);
    mem_free(best);
    return true;
}

/* Where the lines of a hunk begin, counted from 1; of none: the line before. */
static bool put_range(struct buf *out, char mark, size_t before, size_t n) {
    return buf_add_format(out, "%c%zu,%zu ", mark, before + (n > 0), n);
}

static bool put_hunk(const struct step *s, size_t n, size_t a_before, size_t b_before, struct buf *out) {
    size_t a = 0, b = 0;
    for (size_t i = 0; i < n; i++) {
        a += s[i].mark != '+';
        b += s[i].mark != '-';
    }
    bool good = buf_add_text(out, "@@ ") && put_range(out, '-', a_before, a) &&
                put_range(out, '+', b_before, b) && buf_add_text(out, "@@\n");
    for (size_t i = 0; good && i < n; i++) {
        good = buf_add_byte(out, (uint8_t)s[i].mark) && buf_add(out, s[i].line);
        if (good && !bytes_ends(s[i].line, "\n"))
            good = buf_add_text(out, "\n\\ No newline at end of file\n");
    }
    return good;
}

/* Hunks: steps that are no further than twice the context from the next change. */
static bool put_hunks(const struct steps *s, struct buf *out) {
    size_t a = 0, b = 0; /* lines of either text that lie before step i */
    bool good = true;
    for (size_t i = 0; good && i < s->n;) {
        if (s->at[i].mark == ' ') {
            i++;
            a++;
            b++;
            continue;
        }
        size_t from = i - MIN(i, (size_t)DIFF_CONTEXT), end = i, last = i;
        while (end < s->n && end - last <= 2 * DIFF_CONTEXT + 1) {
            if (s->at[end].mark != ' ') last = end;
            end++;
        }
        end = MIN(last + 1 + DIFF_CONTEXT, s->n);
        good = put_hunk(s->at + from, end - from, a - (i - from), b - (i - from), out);
        for (; i < end; i++) {
            a += s->at[i].mark != '+';
            b += s->at[i].mark != '-';
        }
    }
    return good;
}

bool diff_unified(struct bytes a, const char *a_name, struct bytes b, const char *b_name, struct buf *out) {
    struct lines x = {NULL, 0}, y = {NULL, 0};
    struct steps steps = {NULL, 0};
    size_t head = 0, tail = 0;
    if (bytes_eq(a, b)) return true;
    bool good = split(a, &x) && split(b, &y);
    if (good) steps.at = NEW_ARRAY(struct step, x.n + y.n + 1);
    good = good && steps.at != NULL;
    while (good && head < MIN(x.n, y.n) && bytes_eq(x.at[head], y.at[head])) head++;
    while (good && tail < MIN(x.n, y.n) - head && bytes_eq(x.at[x.n - 1 - tail], y.at[y.n - 1 - tail]))
        tail++;
    for (size_t i = 0; good && i < head; i++) add(&steps, ' ', x.at[i]);
    good = good && compare(x.at + head, x.n - head - tail, y.at + head, y.n - head - tail, &steps);
    for (size_t i = 0; good && i < tail; i++) add(&steps, ' ', x.at[x.n - tail + i]);
    good = good && buf_add_format(out, "--- %s\n+++ %s\n", a_name, b_name) && put_hunks(&steps, out);
    mem_free(steps.at);
    mem_free(x.at);
    mem_free(y.at);
    return good;
}
