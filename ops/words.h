/* ops/words.h: what may stand behind a verb, for completion: its second words (`config set`), and what kind
 * of thing comes after the verb or the second word. */
#ifndef SILKTALK_OPS_WORDS_H
#define SILKTALK_OPS_WORDS_H

enum words_next {
    NEXT_NOTHING,
    NEXT_PEER,  /* names and Peer IDs that the node knows */
    NEXT_KEY,   /* a configuration key */
    NEXT_VERB,  /* one of ours */
    NEXT_PAGE,  /* of the manual */
    NEXT_LEVEL, /* of logging */
    NEXT_FILE,
    NEXT_KINDS
};
struct words_row {
    const char *verb, *word; /* word NULL: what follows the verb itself */
    enum words_next next;
};
extern const struct words_row words_rows[]; /* ends with a NULL verb */

#endif
