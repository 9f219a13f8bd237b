/* The bytes of large files: copied, read, written, checked, renamed; what a crash leaves, damage, full disks.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "files_help.h"
#include "store/files.h"

TEST(file_is_copied_queued_read_and_ended) {
    static const size_t sizes[] = {0, 1, FILE_SLICE, FILE_SLICE + 1, sizeof content};
    struct db *db = begin();
    size_t blocks = mem_blocks();
    for (size_t i = 0; i < LEN(sizes); i++) {
        int64_t seq = added(db, i + 1, sizes[i]);
        copy_all(db, seq, sizes[i]);
        struct store_op op = file_op(STORE_FILE_QUEUE, 0);
        run_op(db, &op, OK);
        struct rd r = rd_of(buf_view(&op.out));
        CHECK(op.count == 1 && !op.more && (int64_t)rd_u64(&r) == seq);
        CHECK(bytes_eq(rd_take(&r, rd_u8(&r)), peer_id_view(&(struct peer_id[]){peer_number(9)}[0])));
        CHECK((int64_t)rd_u64(&r) == NOW_MS && rd_u64(&r) == sizes[i]);
        op_end(&op);
        for (size_t at = 0; at < sizes[i]; at += PART) {
            op = file_op(STORE_FILE_READ, seq);
            op.count = at;
            op.bytes = MIN((size_t)PART, sizes[i] - at);
            run_op(db, &op, OK);
            CHECK(bytes_eq(buf_view(&op.out), bytes_at(content + at, (size_t)op.bytes)), "at %zu", at);
            op_end(&op);
        }
        op = file_op(STORE_FILE_TRIED, seq);
        op.count = sizes[i] / 2;
        op.bytes = 3;
        op.flags = FILE_WAITS;
        snprintf(op.text, sizeof op.text, "no answer");
        run_op(db, &op, OK);
        op_end(&op);
        check_row(db, i, "state", "offered");
        check_row(db, i, "last_error", "no answer");
        CHECK(total_of(db, "files_out") == 1 && total_of(db, "files_bytes") == (int64_t)sizes[i]);
        CHECK(entries("outgoing") == 1);
        simply(db, STORE_FILE_ENDED, seq, OK);
        check_row(db, i, "state", "complete");
        CHECK(entries("outgoing") == 0 && total_of(db, "files_bytes") == 0, "the copy goes");
        simply(db, STORE_FILE_READ, seq, E_NOT_FOUND);
        simply(db, STORE_FILE_ENDED, seq, OK);
    }
    CHECK(mem_blocks() == blocks);
    db_close(db);
}

/* SEED=810100 NODES=5-50: a row whose commit failed leaves its number to the next one. */
TEST(file_copy_is_of_its_own_source) {
    struct db *db = begin();
    char out[300], in[300];
    struct why w;
    uint64_t done = 0;
    uint8_t hash[FILE_HASH], want[FILE_HASH];
    bool whole = false;
    join(out, sizeof out, home, "outgoing");
    join(in, sizeof in, home, "files");
    struct files *f = files_new(out, in);
    struct buf read = {.max = 100};
    CHECK(files_copy_begin(f, 1, source_of(bytes_at(content, 50)), 50, &w) == OK);
    CHECK(files_copy_begin(f, 1, source_of(bytes_at(content + 1, 50)), 50, &w) == OK);
    CHECK(files_copy(f, 1, 50, &done, &whole, hash, &w) == OK && whole);
    hash_sha256(bytes_at(content + 1, 50), want);
    CHECK(memcmp(hash, want, sizeof want) == 0);
    CHECK(files_read(f, 1, 0, 50, &read, &w) == OK && bytes_eq(buf_view(&read), bytes_at(content + 1, 50)));
    buf_free(&read);
    files_free(f);
    db_close(db);
}

TEST(file_reads_stay_within_a_slice_and_the_file) {
    struct db *db = begin();
    int64_t seq = added(db, 1, FILE_SLICE + 10);
    copy_all(db, seq, FILE_SLICE + 10);
    static const struct {
        uint64_t at, n;
        enum err want;
    } reads[] = {{0, FILE_SLICE, OK},     {0, FILE_SLICE + 1, E_INPUT},     {FILE_SLICE + 10, 1, E_NOT_FOUND},
                 {FILE_SLICE + 9, 1, OK}, {FILE_SLICE + 9, 2, E_NOT_FOUND}, {INT64_MAX, 1, E_IO}};
    for (size_t i = 0; i < LEN(reads); i++) {
        struct store_op op = file_op(STORE_FILE_READ, seq);
        op.count = reads[i].at;
        op.bytes = reads[i].n;
        run_op(db, &op, reads[i].want);
        op_end(&op);
    }
    db_close(db);
}

TEST(file_source_that_is_none_or_changes) {
    struct db *db = begin();
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    struct store_op op = add(db, 1, pipes[0], 10, 1 << 30, 10, E_INPUT);
    op_end(&op);
    close(pipes[1]);
    op = add(db, 1, open(home, O_RDONLY | O_DIRECTORY), 10, 1 << 30, 10, E_INPUT);
    op_end(&op);
    op = add(db, 1, -1, 10, 1 << 30, 10, E_INPUT);
    op_end(&op);
    op = add(db, 1, source_of(bytes_at(content, 11)), 10, 1 << 30, 10, E_INPUT);
    op_end(&op);
    op = file_op(STORE_FILE_ADD, 0);
    op.fd = source_of(bytes_at(content, 5));
    CHECK(buf_add_text(&op.in, "no offer"));
    run_op(db, &op, E_INPUT);
    op_end(&op);
    CHECK(rows(db) == 0 && entries("outgoing") == 0, "nothing is left of them");
    static const off_t ends[] = {sizeof content + 1, FILES_HASH_BYTES + 5, FILES_HASH_BYTES};
    for (size_t i = 0; i < LEN(ends); i++) {
        int64_t seq = added(db, i + 1, sizeof content);
        op = file_op(STORE_FILE_COPY, seq);
        run_op(db, &op, OK);
        CHECK(op.more && op.count == FILES_HASH_BYTES && truncate(source, ends[i]) == 0);
        for (int turn = 0; turn < 20 && op.err == OK && op.more; turn++) db_run(db, &op);
        CHECK(op.err == E_INPUT && bytes_has(bytes_of(op.why.text), BYTES("changed")), "%s", op.why.text);
        op_end(&op);
        simply(db, STORE_FILE_CANCEL, seq, OK); /* as the node does */
        CHECK(rows(db) == 0 && entries("outgoing") == 0);
    }
    db_close(db);
}

TEST(file_is_received_and_in_the_inbox_once) {
    static const size_t sizes[] = {0, 1, PART, sizeof content};
    for (size_t i = 0; i < LEN(sizes); i++) {
        struct db *db = begin();
        struct bytes data = bytes_at(content, sizes[i]);
        struct file_offer o = offer_of(1, data);
        int64_t seq = taken(db, &o, 0);
        write_from(db, seq, 0, data);
        CHECK(checked(db, seq, OK) == RECEIPT_STORED);
        check_row(db, 0, "state", "complete");
        CHECK(total_of(db, "inbox") == 1 && total_of(db, "messages_in") == 1 && entries("files") == 1);
        check_saved(db, data);
        CHECK(status_of(db, 5, &o, true) == RECEIPT_DUPLICATE);
        simply(db, STORE_FILE_CHECK, seq, E_NOT_FOUND);
        db = reopen(db);
        CHECK(status_of(db, 5, &o, false) == RECEIPT_DUPLICATE && total_of(db, "inbox") == 1);
        db_close(db);
    }
}

TEST(file_parts_must_fit) {
    struct db *db = begin();
    struct file_offer o = offer_of(1, bytes_at(content, 1000));
    int64_t seq = taken(db, &o, 0);
    write_at(db, seq, 0, bytes_at(content, 1001), false, E_INPUT);
    write_at(db, seq, 1001, bytes_at(content, 0), false, E_INPUT);
    write_at(db, seq, UINT64_MAX, bytes_at(content, 2), false, E_INPUT);
    write_at(db, seq, 0, bytes_at(content, 400), false, OK);
    write_at(db, seq, 399, bytes_at(content, 10), false, E_BUSY);
    write_at(db, seq + 1, 0, bytes_at(content, 10), false, E_NOT_FOUND);
    write_at(db, seq, 400, bytes_at(content + 400, 600), true, OK);
    CHECK(checked(db, seq, OK) == RECEIPT_STORED);
    write_at(db, seq, 0, bytes_at(content, 10), false, E_NOT_FOUND);
    db_close(db);
}

TEST(file_goes_on_after_a_restart) {
    struct db *db = begin();
    struct bytes data = bytes_at(content, sizeof content);
    struct file_offer o = offer_of(1, data);
    int64_t seq = taken(db, &o, 0);
    for (size_t at = 0; at < (size_t)4 * PART; at += PART)
        CHECK(write_at(db, seq, at, bytes_at(content + at, PART), false, OK) <= at + PART);
    CHECK(taken(db, &o, (uint64_t)4 * PART) == seq, "another connection goes on where this one was");
    db = reopen(db); /* a process that was killed: what is known to be on disk counts */
    struct store_op op = offered(db, 5, &o, true);
    uint64_t from = op.count;
    CHECK(op.status == RECEIPT_NONE && from <= (uint64_t)4 * PART);
    op_end(&op);
    write_from(db, seq, (size_t)from, data);
    CHECK(checked(db, seq, OK) == RECEIPT_STORED);
    check_saved(db, data);
    db_close(db);
}

/* However fast the bytes come: the disk has all but FILES_SYNC_MOST of them. */
TEST(file_that_comes_fast_loses_little) {
    struct db *db = begin();
    struct file_offer o = offer_of(1, bytes_at(content, FILE_SLICE));
    o.size = FILES_SYNC_MOST + 2 * FILES_SYNC_BYTES + 1;
    int64_t seq = taken(db, &o, 0);
    for (uint64_t at = 0; at + FILE_SLICE < o.size; at += FILE_SLICE) {
        uint64_t end = at + FILE_SLICE;
        uint64_t safe = write_at(db, seq, at, bytes_at(content, FILE_SLICE), false, OK);
        CHECK(safe <= end && end - safe < FILES_SYNC_MOST, "%" PRIu64 " of %" PRIu64, safe, end);
        CHECK((safe >= FILES_SYNC_BYTES) == (end >= FILES_SYNC_BYTES), "the first ones at once");
    }
    db_close(db);
}

/* More files than are held open: none is told to be safe that only another slot has written. */
TEST(file_safe_bytes_are_synced_ones) {
    struct db *db = begin();
    int64_t seqs[FILES_OPEN + 8];
    struct file_offer o[LEN(seqs)];
    for (size_t i = 0; i < LEN(seqs); i++) {
        o[i] = offer_of(i + 1, bytes_at(content, 3000));
        seqs[i] = taken(db, &o[i], 0);
    }
    for (size_t at = 0; at < 2000; at += 1000)
        for (size_t i = 0; i < LEN(seqs); i++)
            CHECK(write_at(db, seqs[i], at, bytes_at(content + at, 1000), false, OK) == 0,
                  "nothing was synced yet");
    for (size_t i = 0; i < LEN(seqs); i++) {
        CHECK(write_at(db, seqs[i], 2000, bytes_at(content + 2000, 1000), true, OK) == 3000);
        CHECK(checked(db, seqs[i], OK) == RECEIPT_STORED, "file %zu", i);
    }
    db_close(db);
}

TEST(file_with_a_wrong_hash_begins_anew) {
    struct db *db = begin();
    struct bytes data = bytes_at(content, 2 * FILE_SLICE + 7);
    struct file_offer o = offer_of(1, data);
    int64_t seq = taken(db, &o, 0);
    content[FILE_SLICE + 1] ^= 1;
    write_from(db, seq, 0, data);
    CHECK(checked(db, seq, OK) == RECEIPT_BUSY && entries("files") == 0 && total_of(db, "inbox") == 0);
    content[FILE_SLICE + 1] ^= 1;
    CHECK(taken(db, &o, 0) == seq);
    write_from(db, seq, 0, data);
    CHECK(checked(db, seq, OK) == RECEIPT_STORED);
    db_close(db);
    db = begin(); /* cut behind our back */
    seq = taken(db, &o, 0);
    write_from(db, seq, 0, data);
    char path[300];
    join(path, sizeof path, home, "files/00000001.part");
    db = reopen(db);
    CHECK(truncate(path, 5) == 0 && checked(db, seq, OK) == RECEIPT_BUSY);
    CHECK(taken(db, &o, 0) == seq);
    write_from(db, seq, 0, data);
    db = reopen(db);
    CHECK(unlink(path) == 0 && checked(db, seq, OK) == RECEIPT_BUSY && taken(db, &o, 0) == seq);
    db_close(db);
}

TEST(file_crash_between_renaming_and_commit) {
    struct db *db = begin();
    struct bytes data = bytes_at(content, FILE_SLICE + 7);
    struct file_offer o = offer_of(1, data);
    int64_t seq = taken(db, &o, 0);
    char part[300], whole[300];
    write_from(db, seq, 0, data);
    join(part, sizeof part, home, "files/00000001.part");
    join(whole, sizeof whole, home, "files/00000001-big.bin");
    db = reopen(db);
    CHECK(rename(part, whole) == 0);
    CHECK(taken(db, &o, data.n) == seq);
    CHECK(checked(db, seq, OK) == RECEIPT_STORED && entries("files") == 1 && total_of(db, "inbox") == 1);
    check_saved(db, data);
    db_close(db);
}

/* The whole one is damaged before its row is committed: that one goes, and the file comes once more. */
TEST(file_that_is_damaged_under_its_last_name_begins_anew) {
    struct db *db = begin();
    struct bytes data = bytes_at(content, 1000);
    struct file_offer o = offer_of(1, data);
    int64_t seq = taken(db, &o, 0);
    char part[300], whole[300];
    join(part, sizeof part, home, "files/00000001.part");
    join(whole, sizeof whole, home, "files/00000001-big.bin");
    write_from(db, seq, 0, data);
    db = reopen(db);
    CHECK(rename(part, whole) == 0 && truncate(whole, 999) == 0 && truncate(whole, 1000) == 0);
    CHECK(checked(db, seq, OK) == RECEIPT_BUSY && entries("files") == 0);
    CHECK(taken(db, &o, 0) == seq);
    write_from(db, seq, 0, data);
    CHECK(checked(db, seq, OK) == RECEIPT_STORED);
    check_saved(db, data);
    o = offer_of(2, data); /* and one that is cancelled in this state leaves nothing */
    seq = taken(db, &o, 0);
    write_from(db, seq, 0, data);
    db = reopen(db);
    join(part, sizeof part, home, "files/00000002.part");
    join(whole, sizeof whole, home, "files/00000002-big.bin");
    CHECK(rename(part, whole) == 0);
    simply(db, STORE_FILE_CANCEL, seq, OK);
    CHECK(entries("files") == 1);
    db_close(db);
}

TEST(file_disk_is_full) {
    home = test_dir();
    char small[300], in[310], out[310];
    join(small, sizeof small, home, "small");
    CHECK(mkdir(small, 0700) == 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", small, "tmpfs", 0, "size=1m") != 0)
        SKIP("a small disk can not be mounted here");
    for (size_t i = 0; i < sizeof content; i++) content[i] = (uint8_t)i;
    snprintf(in, sizeof in, "%s/in", small);
    snprintf(out, sizeof out, "%s/out", small);
    struct db *db = open_with(out, in);
    struct store_op op = add(db, 1, source_of(bytes_at(content, 2 << 20)), 2 << 20, 1 << 30, 10, E_LIMIT);
    CHECK(bytes_has(bytes_of(op.why.text), BYTES("no space left")), "%s", op.why.text);
    op_end(&op);
    CHECK(rows(db) == 0 && entries("small/out") == 0, "nothing stays of what does not fit");
    struct bytes data = bytes_at(content, 2 << 20);
    struct file_offer o = offer_of(1, data);
    int64_t seq = taken(db, &o, 0);
    write_at(db, seq, 0, bytes_at(content, PART), false, E_LIMIT); /* its space is taken at the beginning */
    CHECK(receive(db, 1, 1, "messages go on") == RECEIPT_STORED);
    CHECK(mount("tmpfs", small, "tmpfs", MS_REMOUNT, "size=8m") == 0);
    struct store_op again = offered(db, 5, &o, true);
    CHECK(again.status == RECEIPT_NONE);
    op_end(&again);
    write_from(db, seq, (size_t)again.count, data);
    CHECK(checked(db, seq, OK) == RECEIPT_STORED, "and with room it is sent again");
    db_close(db);
    umount2(small, MNT_DETACH);
}

/* The syncs of one folder: so many fail, then they are counted. */
static struct {
    struct stat folder;
    unsigned bad, good;
} syncs;

int fsync(int fd) { /* the linker takes this one for everybody */
    struct stat st;
    if (syncs.folder.st_ino != 0 && fstat(fd, &st) == 0 && st.st_ino == syncs.folder.st_ino &&
        st.st_dev == syncs.folder.st_dev) {
        if (syncs.bad > 0) {
            syncs.bad--;
            errno = EIO;
            return -1;
        }
        syncs.good++;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* SEED=852498 NODES=5-50: the folder was made, the sync of its name was bad, and nobody tried that again: a
 * power cut took the folder, with a file that was complete. */
TEST(file_folder_lasts_as_long_as_what_is_in_it) {
    db_close(begin());
    char above[300], out[310], in[310];
    join(above, sizeof above, home, "above");
    snprintf(out, sizeof out, "%s/out", above);
    snprintf(in, sizeof in, "%s/in", above);
    CHECK(mkdir(above, 0700) == 0 && stat(above, &syncs.folder) == 0);
    struct db *db = open_with(out, in);
    struct bytes data = bytes_at(content, 1000);
    struct file_offer o = offer_of(1, data);
    int64_t seq = taken(db, &o, 0);
    syncs.bad = 2;
    write_at(db, seq, 0, data, true, E_IO);
    write_at(db, seq, 0, data, true, E_IO);
    CHECK(syncs.bad == 0 && syncs.good == 0 && entries("above/in") == 0);
    write_from_all(db, seq, data);
    CHECK(syncs.good == 1, "%u", syncs.good);
    syncs.bad = 1;
    struct store_op op = add(db, 2, source_of(data), data.n, 1 << 30, 1000, E_IO);
    op_end(&op);
    CHECK(syncs.bad == 0 && syncs.good == 1);
    copy_all(db, added(db, 2, data.n), data.n);
    CHECK(syncs.good == 2, "%u", syncs.good);
    copy_all(db, added(db, 3, data.n), data.n);
    CHECK(syncs.good == 2, "once is enough");
    db_close(db);
    db = open_with(out, in); /* whoever made it may not have come to it */
    o = offer_of(4, data);
    seq = taken(db, &o, 0);
    write_from_all(db, seq, data);
    CHECK(syncs.good == 3, "%u", syncs.good);
    memset(&syncs, 0, sizeof syncs);
    db_close(db);
}

TEST(file_needs_folders) {
    home = test_dir();
    struct db *db = open_in(home);
    for (int kind = STORE_FILE_ADD; kind <= STORE_FILE_LIST; kind++) {
        struct store_op op = file_op((enum store_kind)kind, 1);
        db_run(db, &op);
        bool fine = kind == STORE_FILE_TRIED || kind == STORE_FILE_ADD;
        CHECK(kind != STORE_FILE_QUEUE || (op.err == OK && op.count == 0 && !op.more), "an empty list");
        CHECK(fine || kind == STORE_FILE_QUEUE || op.err == E_FAILED, "kind %d: %s", kind, err_name(op.err));
        op_end(&op);
    }
    db_close(db);
}
