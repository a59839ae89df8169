/* LD_PRELOAD: a disk that fails. Counts what a process and its children write below a folder, and fails some of it.
 *
 * CIT_DISK_BELOW  the folder; other files are left alone
 * CIT_DISK_STATE  a file that all processes map: "first last errno count", as 64 bit numbers; the operations
 *                 first <= count < last fail with errno
 * CIT_DISK_LOG    a file to which each operation is appended as "count what path"
 *
 * Operations are those that can find a disk full, broken or read-only, or no descriptor left: opening for writing,
 * write, fsync, rename, link, mkdir, ftruncate. Unlinking needs no room, and is none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile int64_t *state;
static const char *below;
static int logged = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("CIT_DISK_STATE");
    const char *log = getenv("CIT_DISK_LOG");
    below = getenv("CIT_DISK_BELOW");
    if (!path || !below)
        return;
    int fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, 4 * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        state = mapped;
    if (log)
        logged = REAL(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* Whether this operation on that path is to fail; errno is set then. */
static int fails(const char *what, const char *path)
{
    if (!state || strncmp(path, below, strlen(below)) != 0)
        return 0;
    int64_t count = __sync_fetch_and_add(&state[3], 1);
    int failing = state[0] <= count && count < state[1];
    if (logged >= 0) {
        char line[PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%lld %s%s %s\n", (long long)count, failing ? "!" : "", what, path);
        if (REAL(write)(logged, line, length) < 0)
            logged = -1;
    }
    if (failing)
        errno = (int)state[2];
    return failing;
}

static int fails_at(const char *what, int dir, const char *path)
{
    char whole[PATH_MAX * 2];
    if (!state)
        return 0;
    if (path[0] == '/')
        return fails(what, path);
    char link[64], folder[PATH_MAX];
    ssize_t length;
    if (dir == AT_FDCWD)
        length = getcwd(folder, sizeof folder) ? (ssize_t)strlen(folder) : -1;
    else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        length = readlink(link, folder, sizeof folder - 1);
    }
    if (length < 0)
        return 0;
    folder[length] = 0;
    snprintf(whole, sizeof whole, "%s/%s", folder, path);
    return fails(what, whole);
}

static int fails_on(const char *what, int fd)
{
    char link[64], path[PATH_MAX];
    if (!state)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails(what, path);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list args; va_start(args, flags); mode = va_arg(args, int); va_end(args); }
#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))

int open(const char *path, int flags, ...)
{
    MODE(flags)
    return WRITES(flags) && fails_at("open", AT_FDCWD, path) ? -1 : REAL(open)(path, flags, mode);
}
int open64(const char *path, int flags, ...)
{
    MODE(flags)
    return WRITES(flags) && fails_at("open", AT_FDCWD, path) ? -1 : REAL(open64)(path, flags, mode);
}
int openat(int dir, const char *path, int flags, ...)
{
    MODE(flags)
    return WRITES(flags) && fails_at("open", dir, path) ? -1 : REAL(openat)(dir, path, flags, mode);
}
int openat64(int dir, const char *path, int flags, ...)
{
    MODE(flags)
    return WRITES(flags) && fails_at("open", dir, path) ? -1 : REAL(openat64)(dir, path, flags, mode);
}
ssize_t write(int fd, const void *data, size_t size) { return fails_on("write", fd) ? -1 : REAL(write)(fd, data, size); }
ssize_t writev(int fd, const struct iovec *parts, int count) { return fails_on("write", fd) ? -1 : REAL(writev)(fd, parts, count); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return fails_on("write", fd) ? -1 : REAL(pwrite64)(fd, data, size, at); }
int fsync(int fd) { return fails_on("fsync", fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails_on("fsync", fd) ? -1 : REAL(fdatasync)(fd); }
int ftruncate64(int fd, off64_t size) { return fails_on("truncate", fd) ? -1 : REAL(ftruncate64)(fd, size); }
int rename(const char *from, const char *to) { return fails_at("rename", AT_FDCWD, to) ? -1 : REAL(rename)(from, to); }
int renameat(int a, const char *from, int b, const char *to) { return fails_at("rename", b, to) ? -1 : REAL(renameat)(a, from, b, to); }
int link(const char *from, const char *to) { return fails_at("link", AT_FDCWD, to) ? -1 : REAL(link)(from, to); }
int symlink(const char *from, const char *to) { return fails_at("link", AT_FDCWD, to) ? -1 : REAL(symlink)(from, to); }
int mkdir(const char *path, mode_t mode) { return fails_at("mkdir", AT_FDCWD, path) ? -1 : REAL(mkdir)(path, mode); }
int mkdirat(int dir, const char *path, mode_t mode) { return fails_at("mkdir", dir, path) ? -1 : REAL(mkdirat)(dir, path, mode); }
