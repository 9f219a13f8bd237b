/* lib/store/space.h: how full the file systems are that the node writes to, and how much its folders hold. On
 * the store's thread alone: a disk that hangs must not hang the loop. */
#ifndef SILKTALK_STORE_SPACE_H
#define SILKTALK_STORE_SPACE_H

#include "node/store_op.h"

enum { SPACE_FILES_MAX = 20000 }; /* names looked at in a folder; the rest is not counted */

/* False: the folder is not there, or its file system says nothing. Bytes of the folder: of the regular files
 * in it, not below it, as far as they take up blocks. */
bool space_measure(const char *folder, struct space_use *out);
bool space_measure_disk(const char *folder, struct space_use *out); /* the same without folder_bytes */
enum err space_run(struct store_op *op); /* STORE_SPACE */

#endif
