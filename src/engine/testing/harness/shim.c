/*
 * A layer between a program and the system's library, loaded with LD_PRELOAD: the n-th call of one kind on files below
 * one folder fails, or lies that it was done; and the clock on the wall says another time.
 *
 *   SHIM_FOLDER   only files below it count
 *   SHIM_CALL     the kind: see `names`
 *   SHIM_NTH      the first call that fails, counted from 1; 0 for none
 *   SHIM_FOREVER  1: all later ones too
 *   SHIM_ERRNO    what they fail with; 0: they report success and do nothing
 *   SHIM_CLOCK    seconds that the wall clock is ahead (or behind)
 *   SHIM_BACK     1: it goes back by a second each time it is read
 *
 * On standard error it says STRUCK when the first call failed, and at the end COUNT, the kind, and the calls of it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { OPEN, READ, WRITE, FSYNC, FDATASYNC, RENAME, FTRUNCATE, FALLOCATE, MMAP, UNLINK, MKDIR, STAT, SEEK, KINDS };
static const char *names[KINDS] = {"open", "read", "write", "fsync", "fdatasync", "rename", "ftruncate",
                                   "fallocate", "mmap", "unlink", "mkdir", "stat", "seek"};

static char folder[4096];
static size_t folder_len;
static int chosen = -1, error, forever, back;
static long nth, shift;
static atomic_long counts[KINDS], turns;
static atomic_int struck;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *below = getenv("SHIM_FOLDER"), *call = getenv("SHIM_CALL");
    if (below) folder_len = strlen(strncpy(folder, below, sizeof folder - 1));
    for (int kind = 0; call && kind < KINDS; kind++)
        if (!strcmp(call, names[kind])) chosen = kind;
    nth = number("SHIM_NTH"), forever = number("SHIM_FOREVER"), error = number("SHIM_ERRNO");
    shift = number("SHIM_CLOCK"), back = number("SHIM_BACK");
}

__attribute__((destructor)) static void end(void) {
    for (int kind = 0; folder_len && kind < KINDS; kind++)
        dprintf(2, "COUNT %s %ld\n", names[kind], atomic_load(&counts[kind]));
}

/* 1 when this call is to fail; errno is set then. */
static int strikes(int kind, const char *path) {
    if (!folder_len || !path || strncmp(path, folder, folder_len)) return 0;
    long n = atomic_fetch_add(&counts[kind], 1) + 1;
    if (kind != chosen || !nth || n < nth || (n > nth && !forever)) return 0;
    if (!atomic_exchange(&struck, 1)) syscall(SYS_write, 2, "STRUCK\n", 7);
    errno = error;
    return 1;
}

static int strikes_fd(int kind, int fd) {
    char link[64], path[4096];
    if (!folder_len || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0) return 0;
    path[len] = 0;
    return strikes(kind, path);
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)
#define FAILED(done) (error ? -1 : (done))

static int opened(const char *path, int flags, mode_t mode) {
    REAL(int, "open64", const char *, int, ...);
    /* An open that lies would have no descriptor to return. */
    if (strikes(OPEN, path)) { if (!error) errno = EIO; return -1; }
    return real(path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest);
    return opened(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest);
    return opened(path, flags, mode);
}
ssize_t pread64(int fd, void *to, size_t len, off64_t at) {
    REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
    if (strikes_fd(READ, fd)) return FAILED(0);
    return real(fd, to, len, at);
}
ssize_t write(int fd, const void *from, size_t len) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (strikes_fd(WRITE, fd)) return FAILED((ssize_t)len);
    return real(fd, from, len);
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    if (strikes_fd(FSYNC, fd)) return FAILED(0);
    return real(fd);
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    if (strikes_fd(FDATASYNC, fd)) return FAILED(0);
    return real(fd);
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    if (strikes(RENAME, to)) return FAILED(0);
    return real(from, to);
}
int ftruncate64(int fd, off64_t len) {
    REAL(int, "ftruncate64", int, off64_t);
    if (strikes_fd(FTRUNCATE, fd)) return FAILED(0);
    return real(fd, len);
}
int fallocate(int fd, int mode, off_t at, off_t len) {
    REAL(int, "fallocate", int, int, off_t, off_t);
    if (strikes_fd(FALLOCATE, fd)) return FAILED(0);
    return real(fd, mode, at, len);
}
static void *mapped(void *at, size_t len, int prot, int flags, int fd, off64_t offset) {
    if (fd >= 0 && strikes_fd(MMAP, fd)) { if (!error) errno = ENOMEM; return MAP_FAILED; }
    /* Without dlsym, which may itself map. */
    return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}
void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset) {
    return mapped(at, len, prot, flags, fd, offset);
}
void *mmap64(void *at, size_t len, int prot, int flags, int fd, off64_t offset) {
    return mapped(at, len, prot, flags, fd, offset);
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    if (strikes(UNLINK, path)) return FAILED(0);
    return real(path);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    if (strikes(MKDIR, path)) return FAILED(0);
    return real(path, mode);
}
int statx(int dir, const char *path, int flags, unsigned mask, struct statx *found) {
    REAL(int, "statx", int, const char *, int, unsigned, struct statx *);
    /* The standard library asks with nothing at all whether there is such a call; the compiler thinks nobody may. */
    const char *volatile given = path;
    if (!given) return errno = EFAULT, -1;
    int hit = *path ? strikes(STAT, path) : strikes_fd(STAT, dir);
    if (hit) { if (!error) errno = EIO; return -1; }
    return real(dir, path, flags, mask, found);
}
off64_t lseek64(int fd, off64_t at, int whence) {
    REAL(off64_t, "lseek64", int, off64_t, int);
    if (strikes_fd(SEEK, fd)) return FAILED(0);
    return real(fd, at, whence);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int done = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += shift - (back ? atomic_fetch_add(&turns, 1) : 0);
    return done;
}
