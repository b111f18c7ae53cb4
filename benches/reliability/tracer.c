/* Records what a process does to the files below one folder: compile with cc -shared -fPIC, load with LD_PRELOAD.
 *
 * TRACE_FOLDER is the folder, TRACE_LOG the file that is written. A record is the numbers below, then the path (or the old
 * and the new one), then the bytes. Calls are made and recorded one at a time, so the order of the records is that of the
 * calls. What is written to standard output is recorded too: it is what the process tells the world.
 *
 * Not seen: what is written through a mapping, which is recorded as such, and calls made around the C library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE, TRUNCATE, ALLOCATE, RENAME, LINK, UNLINK, MKDIR, RMDIR, SYNC, SYNC_ALL, TOLD, MAPPED, UNKNOWN };
enum { DURABLE = 1 };

struct record {
    uint32_t what, flags;
    uint64_t inode, at, len, path_len, other_len;
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_len;
static int trace = -1;

__attribute__((constructor)) static void start(void) {
    const char *name = getenv("TRACE_FOLDER"), *out = getenv("TRACE_LOG");
    if (!name || !out || !realpath(name, folder)) return;
    folder_len = strlen(folder);
    trace = syscall(SYS_openat, AT_FDCWD, out, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
}

#define REAL(name) ({ static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); real; })

/* The path below the folder, or NULL. */
static const char *below(const char *path) {
    if (trace < 0 || strncmp(path, folder, folder_len)) return NULL;
    if (path[folder_len] == 0) return path + folder_len;
    return path[folder_len] == '/' ? path + folder_len + 1 : NULL;
}

static const char *of_descriptor(int fd, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = trace < 0 || fd == trace ? -1 : syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
    if (len < 0) return NULL;
    buffer[len] = 0;
    return below(buffer);
}

/* As `below`, for a path as a call gets it: relative to a descriptor, its last part perhaps not there. */
static const char *of_path(int dir, const char *path, char *buffer) {
    char joined[2 * PATH_MAX], parent[PATH_MAX];
    if (trace < 0 || !path) return NULL;
    if (path[0] == '/') snprintf(joined, sizeof joined, "%s", path);
    else if (dir == AT_FDCWD) snprintf(joined, sizeof joined, "./%s", path);
    else {
        char link[64], base[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t len = readlink(link, base, sizeof base - 1);
        if (len < 0) return NULL;
        base[len] = 0;
        snprintf(joined, sizeof joined, "%s/%s", base, path);
    }
    size_t end = strlen(joined);
    while (end > 1 && joined[end - 1] == '/') joined[--end] = 0;
    char *last = strrchr(joined, '/');
    *last = 0;
    if (!realpath(joined[0] ? joined : "/", parent)) return NULL;
    int len = snprintf(buffer, PATH_MAX, "%s/%s", strcmp(parent, "/") ? parent : "", last + 1);
    return len < PATH_MAX ? below(buffer) : NULL;
}

static void put(uint32_t what, uint32_t flags, uint64_t inode, uint64_t at, const void *bytes, uint64_t len,
                const char *path, const char *other) {
    struct record record = {what, flags, inode, at, len, path ? strlen(path) : 0, other ? strlen(other) : 0};
    struct iovec parts[4] = {{&record, sizeof record}, {(void *)path, record.path_len},
                             {(void *)other, record.other_len}, {(void *)bytes, bytes ? len : 0}};
    if (!bytes) record.len = 0;
    syscall(SYS_writev, trace, parts, 4);
}

static uint64_t inode_of(int fd, uint64_t *size) {
    struct stat info;
    if (fstat(fd, &info)) return 0;
    if (size) *size = info.st_size;
    return info.st_ino;
}

static void put_open(int fd, int flags, const char *path) {
    uint64_t size = 0, inode = inode_of(fd, &size);
    put(OPEN, flags & O_TRUNC ? 1 : 0, inode, size, NULL, 0, path, NULL);
}

#define BEGIN int saved; char here[PATH_MAX]; const char *path; pthread_mutex_lock(&turn)
#define END saved = errno; pthread_mutex_unlock(&turn); errno = saved

static int opened(int fd, int dir, const char *name, int flags) {
    char here[PATH_MAX];
    int saved = errno;
    const char *path = fd < 0 || !(flags & (O_WRONLY | O_RDWR | O_CREAT)) ? NULL : of_path(dir, name, here);
    if (path) put_open(fd, flags, path);
    pthread_mutex_unlock(&turn);
    errno = saved;
    return fd;
}

#define MODE mode_t mode = 0; if (flags & (O_CREAT | __O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
#define OPENER(name) int name(const char *file, int flags, ...) { MODE pthread_mutex_lock(&turn); return opened(syscall(SYS_openat, AT_FDCWD, file, flags, mode), AT_FDCWD, file, flags); }
#define OPENER_AT(name) int name(int dir, const char *file, int flags, ...) { MODE pthread_mutex_lock(&turn); return opened(syscall(SYS_openat, dir, file, flags, mode), dir, file, flags); }
OPENER(open)
OPENER(open64)
OPENER_AT(openat)
OPENER_AT(openat64)
int creat(const char *file, mode_t mode) { return open(file, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static void put_written(int fd, const struct iovec *parts, int count, int64_t at, ssize_t done) {
    char here[PATH_MAX];
    const char *path = done > 0 ? of_descriptor(fd, here) : NULL;
    if (done > 0 && fd == STDOUT_FILENO && trace >= 0) put(TOLD, 0, 0, 0, parts[0].iov_base, done, NULL, NULL);
    if (!path) return;
    int flags = fcntl(fd, F_GETFL);
    char *all = malloc(done);
    size_t have = 0;
    for (int i = 0; i < count && have < (size_t)done; i++) {
        size_t len = parts[i].iov_len < done - have ? parts[i].iov_len : done - have;
        memcpy(all + have, parts[i].iov_base, len);
        have += len;
    }
    if (at < 0) at = lseek(fd, 0, SEEK_CUR) - done;
    put(WRITE, flags & O_DSYNC ? DURABLE : 0, inode_of(fd, NULL), at, all, done, path, NULL);
    free(all);
}

#define WRITER(call, parts, count, at) ({ pthread_mutex_lock(&turn); ssize_t done = call; int saved = errno; put_written(fd, parts, count, at, done); pthread_mutex_unlock(&turn); errno = saved; done; })
ssize_t write(int fd, const void *bytes, size_t len) {
    struct iovec part = {(void *)bytes, len};
    return WRITER(syscall(SYS_write, fd, bytes, len), &part, 1, -1);
}
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
    struct iovec part = {(void *)bytes, len};
    return WRITER(syscall(SYS_pwrite64, fd, bytes, len, at), &part, 1, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return pwrite64(fd, bytes, len, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
    return WRITER(syscall(SYS_writev, fd, parts, count), parts, count, -1);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    return WRITER(syscall(SYS_pwritev, fd, parts, count, at, 0), parts, count, at);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }

/* A call on a descriptor that needs no bytes. */
#define ON_FD(call, what, at) ({ BEGIN; int done = call; int kept = errno; path = done ? NULL : of_descriptor(fd, here); if (path) put(what, 0, inode_of(fd, NULL), at, NULL, 0, path, NULL); errno = kept; END; done; })
int ftruncate64(int fd, off64_t len) { return ON_FD(syscall(SYS_ftruncate, fd, len), TRUNCATE, len); }
int ftruncate(int fd, off_t len) { return ftruncate64(fd, len); }
int fallocate64(int fd, int mode, off64_t at, off64_t len) {
    return ON_FD(syscall(SYS_fallocate, fd, mode, at, len), mode & ~FALLOC_FL_KEEP_SIZE ? UNKNOWN : ALLOCATE, mode & FALLOC_FL_KEEP_SIZE ? 0 : at + len);
}
int fallocate(int fd, int mode, off_t at, off_t len) { return fallocate64(fd, mode, at, len); }
int posix_fallocate64(int fd, off64_t at, off64_t len) { return fallocate64(fd, 0, at, len) ? errno : 0; }
int posix_fallocate(int fd, off_t at, off_t len) { return posix_fallocate64(fd, at, len); }
int fsync(int fd) { return ON_FD(syscall(SYS_fsync, fd), SYNC, 0); }
int fdatasync(int fd) { return ON_FD(syscall(SYS_fdatasync, fd), SYNC, 0); }
int syncfs(int fd) { return ON_FD(syscall(SYS_syncfs, fd), SYNC_ALL, 0); }
ssize_t copy_file_range(int from, off64_t *from_at, int fd, off64_t *at, size_t len, unsigned flags) {
    BEGIN;
    ssize_t done = syscall(SYS_copy_file_range, from, from_at, fd, at, len, flags);
    if ((path = of_descriptor(fd, here))) put(UNKNOWN, 0, 0, 0, NULL, 0, path, NULL);
    END;
    return done;
}

/* A call on one name or two. */
#define ON_NAME(call, what, dir, name) ({ BEGIN; path = of_path(dir, name, here); int done = call; int kept = errno; if (!done && path) put(what, 0, 0, 0, NULL, 0, path, NULL); errno = kept; END; done; })
#define ON_NAMES(call, what, flags, dir, name, to_dir, to) ({ BEGIN; char there[PATH_MAX]; path = of_path(dir, name, here); const char *target = of_path(to_dir, to, there); int done = call; int kept = errno; if (!done && (path || target)) put(path && target ? what : UNKNOWN, flags, 0, 0, NULL, 0, path, target); errno = kept; END; done; })
int unlinkat(int dir, const char *name, int flags) { return ON_NAME(syscall(SYS_unlinkat, dir, name, flags), flags & AT_REMOVEDIR ? RMDIR : UNLINK, dir, name); }
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int mkdirat(int dir, const char *name, mode_t mode) { return ON_NAME(syscall(SYS_mkdirat, dir, name, mode), MKDIR, dir, name); }
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
int renameat2(int dir, const char *name, int to_dir, const char *to, unsigned flags) { return ON_NAMES(syscall(SYS_renameat2, dir, name, to_dir, to, flags), flags & 2 ? UNKNOWN : RENAME, 0, dir, name, to_dir, to); }
int renameat(int dir, const char *name, int to_dir, const char *to) { return renameat2(dir, name, to_dir, to, 0); }
int rename(const char *name, const char *to) { return renameat2(AT_FDCWD, name, AT_FDCWD, to, 0); }
int linkat(int dir, const char *name, int to_dir, const char *to, int flags) { return ON_NAMES(syscall(SYS_linkat, dir, name, to_dir, to, flags), LINK, 0, dir, name, to_dir, to); }
int link(const char *name, const char *to) { return linkat(AT_FDCWD, name, AT_FDCWD, to, 0); }

void *mmap64(void *want, size_t len, int protection, int flags, int fd, off64_t at) {
    void *where = (void *)syscall(SYS_mmap, want, len, protection, flags, fd, at);
    if (fd >= 0 && where != MAP_FAILED && protection & PROT_WRITE && flags & MAP_SHARED) {
        BEGIN;
        if ((path = of_descriptor(fd, here))) put(MAPPED, 0, inode_of(fd, NULL), 0, NULL, 0, path, NULL);
        END;
    }
    return where;
}
void *mmap(void *want, size_t len, int protection, int flags, int fd, off_t at) { return mmap64(want, len, protection, flags, fd, at); }
