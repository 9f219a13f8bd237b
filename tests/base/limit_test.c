/* tests/base/limit_test.c: the table of limits: every row complete and in range, each counted when reached */
#include "base/limit.h"
#include "tests/test.h"

TEST(every_limit_has_a_name_of_its_own_and_a_default_in_range) {
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        const struct limit_row *row = &limit_rows[i];
        CHECK(row->name != NULL && row->unit != NULL && row->outcome != NULL, "row %u", i);
        CHECK(strlen(row->unit) > 0 && strlen(row->outcome) > 0, "%s", row->name);
        CHECK(row->least <= row->value && row->value <= row->most && row->least < row->most, "%s", row->name);
        CHECK(row->most <= INT64_MAX, "%s: too much for a number of the configuration", row->name);
        for (const char *c = row->name; *c != '\0'; c++)
            CHECK((*c >= 'a' && *c <= 'z') || *c == '_', "%s", row->name);
        for (unsigned j = 0; j < i; j++) {
            CHECK(strcmp(row->name, limit_rows[j].name) != 0, "%s", row->name);
            CHECK(row->key == NULL || limit_rows[j].key == NULL || strcmp(row->key, limit_rows[j].key) != 0,
                  "%s", row->key);
        }
    }
}

TEST(limits_start_with_the_defaults_and_nothing_used) {
    struct limits l;
    memset(&l, 0xff, sizeof(l));
    limits_init(&l);
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        CHECK(limit_max(&l, (enum limit_id)i) == limit_rows[i].value, "%s", limit_rows[i].name);
        CHECK(l.of[i].used == 0 && l.of[i].hits == 0, "%s", limit_rows[i].name);
    }
}

TEST(a_limit_lets_n_in_and_counts_the_next_one) {
    struct limits l;
    limits_init(&l);
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        enum limit_id id = (enum limit_id)i;
        uint64_t max = limit_max(&l, id);
        CHECK(max > 0 && !limit_hit(&l, id, 0) && !limit_hit(&l, id, max - 1), "%s", limit_rows[i].name);
        CHECK(l.of[i].hits == 0, "%s", limit_rows[i].name);
        CHECK(limit_hit(&l, id, max) && limit_hit(&l, id, max + 1) && limit_hit(&l, id, UINT64_MAX), "%s",
              limit_rows[i].name);
        CHECK(l.of[i].hits == 3, "%s", limit_rows[i].name);
    }
    l.of[LIMIT_INBOX_STRANGERS].max = 0; /* may be set: strangers get no room at all */
    CHECK(limit_hit(&l, LIMIT_INBOX_STRANGERS, 0));
}
