#include "store/space.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static uint64_t folder_bytes(const char *folder) {
    DIR *d = opendir(folder);
    uint64_t bytes = 0;
    if (d == NULL) return 0;
    const struct dirent *e;
    for (size_t i = 0; i < SPACE_FILES_MAX && (e = readdir(d)) != NULL; i++) {
        struct stat st;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            bytes += (uint64_t)st.st_blocks * 512;
    }
    closedir(d);
    return bytes;
}

bool space_measure_disk(const char *folder, struct space_use *out) {
    struct statvfs v;
    struct stat st;
    *out = (struct space_use){0};
    if (statvfs(folder, &v) != 0 || stat(folder, &st) != 0 || v.f_blocks == 0) return false;
    uint64_t block = v.f_frsize == 0 ? v.f_bsize : v.f_frsize;
    out->total = (uint64_t)v.f_blocks * block;
    out->used = (uint64_t)(v.f_blocks - MIN(v.f_bfree, v.f_blocks)) * block;
    out->available = (uint64_t)v.f_bavail * block;
    out->inodes = (uint64_t)v.f_files; /* 0: this file system has no such limit */
    out->inodes_free = (uint64_t)MIN(v.f_favail, v.f_files);
    out->device = (uint64_t)st.st_dev;
    return true;
}

bool space_measure(const char *folder, struct space_use *out) {
    if (!space_measure_disk(folder, out)) return false;
    out->folder_bytes = folder_bytes(folder);
    return true;
}

enum err space_run(struct store_op *op) {
    struct rd r = rd_of(buf_view(&op->in));
    while (r.in.n > 0) {
        uint8_t use = rd_u8(&r);
        struct bytes path = rd_take(&r, rd_u16(&r));
        struct space_use s;
        char folder[512];
        if (r.bad || use >= SPACE_USES || !bytes_cstr(path, folder, sizeof folder))
            return fail(&op->why, E_INPUT, "no list of folders");
        /* Received files may be many, and their bytes are counted in the database. */
        bool there = use == SPACE_FILES ? space_measure_disk(folder, &s) : space_measure(folder, &s);
        if (!there) continue;
        if (!space_write(&op->out, (enum space_kind)use, &s))
            return fail(&op->why, E_MEMORY, "out of memory");
    }
    return OK;
}
