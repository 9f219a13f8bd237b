/* ops/words.h: the second words of verbs (`config set`), for completion. NULL: the verb has none; else
 * NULL-terminated. */
#ifndef SILKTALK_OPS_WORDS_H
#define SILKTALK_OPS_WORDS_H

const char *const *words_of(const char *verb);

#endif
