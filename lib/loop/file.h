/* lib/loop/file.h: whole small files: read with a limit, replaced atomically, and the folders they live in.
 *
 * Every failure gives one sentence with the path and the system's reason. E_NOT_FOUND: no such file or
 * folder; E_DENIED: permissions; E_LIMIT: too large, or no space; E_INPUT: not a regular file, a link where
 * none may be or to nothing, or a mode that is too wide; E_MEMORY; E_IO: all else. These calls may wait for
 * the disk: not for the loop's thread while it serves peers, except where a person waits for the result
 * (configuration, identity). */
#ifndef SILKTALK_LOOP_FILE_H
#define SILKTALK_LOOP_FILE_H

#include "base/base.h"

#include <sys/types.h>

struct file_facts {
    mode_t mode; /* permission bits, 07777 */
    uid_t uid;
    gid_t gid;
    uint64_t size;
    struct wall changed;
    uint64_t inode, device;
    bool folder, link, regular;
};
enum { FILE_NO_LINK = 1 }; /* the last part of the path may not be a symbolic link */
#define FILE_ANY_MODE 07777u

/* Appends the regular file to `out` (at most `max` bytes, and out->max). `widest` has the permission bits
 * that the file may have (0600: a secret; FILE_ANY_MODE); a wider file is not read (E_INPUT, facts are
 * filled). facts may be NULL. Wipe `out` yourself if it held a secret; one block is reserved at once, so no
 * copies of the content stay behind. */
enum err file_read(const char *path, unsigned flags, size_t max, mode_t widest, struct buf *out,
                   struct file_facts *facts, struct why *w);
enum err file_facts(const char *path, struct file_facts *out, struct why *w); /* of a link: the link's own */
/* New content or none: temporary file in the same folder, fsync, rename, fsync of the folder. The mode is
 * exactly `mode`, whatever the umask. uid and gid ((uid_t)-1: as it comes) are set before the rename. */
enum err file_replace(const char *path, struct bytes content, mode_t mode, struct why *w);
enum err file_replace_as(const char *path, struct bytes content, mode_t mode, uid_t uid, gid_t gid,
                         struct why *w);
/* The same for a file that must not exist yet: E_REFUSED when it does, and it is left as it is. */
enum err file_create(const char *path, struct bytes content, mode_t mode, struct why *w);
/* Makes the folder and the missing ones above it (those with mode 0755 minus umask, the last with exactly
 * `mode`). One that is there already is left as it is. *made (may be NULL): the last one is new. */
enum err file_mkdirs(const char *path, mode_t mode, bool *made, struct why *w);
enum err file_remove(const char *path, struct why *w);      /* OK also when it is not there */
enum err file_sync_folder(const char *path, struct why *w); /* makes names in it durable */
/* errno as one of ours, by the list above. */
enum err file_error(int error_number);

#endif
