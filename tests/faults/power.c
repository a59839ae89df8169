/* LD_PRELOAD: writes down what would survive a power cut. Below the folder $CIT_POWER_BELOW every creation, renaming and
 * removal is appended to $CIT_POWER_DIR/log as "number what inode path[\tpath]"; what a file held when it was synced is
 * copied to $CIT_POWER_DIR/NUMBER. $CIT_POWER_DIR/count is mapped by all processes and holds the next number.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile int64_t *count;
static const char *below, *place;
static int logged = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void)
{
    char path[PATH_MAX];
    below = getenv("CIT_POWER_BELOW");
    place = getenv("CIT_POWER_DIR");
    if (!below || !place)
        return;
    snprintf(path, sizeof path, "%s/count", place);
    int fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    snprintf(path, sizeof path, "%s/log", place);
    logged = REAL(open)(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (mapped != MAP_FAILED)
        count = mapped;
}

static int whole(int dir, const char *path, char *out)
{
    char link[64], folder[PATH_MAX];
    ssize_t length;
    if (path[0] == '/')
        return snprintf(out, PATH_MAX, "%s", path);
    if (dir == AT_FDCWD)
        length = getcwd(folder, sizeof folder) ? (ssize_t)strlen(folder) : 0;
    else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        length = readlink(link, folder, sizeof folder - 1);
    }
    folder[length > 0 ? length : 0] = 0;
    return snprintf(out, PATH_MAX, "%s/%s", folder, path);
}

static int64_t note(char what, uint64_t inode, const char *path, const char *other)
{
    if (!count || strncmp(path, below, strlen(below)) != 0)
        return -1;
    char line[PATH_MAX * 2 + 64];
    int64_t number = __sync_fetch_and_add(count, 1);
    int length = snprintf(line, sizeof line, "%lld %c %llu %s%s%s\n", (long long)number, what,
                          (unsigned long long)inode, path, other ? "\t" : "", other ? other : "");
    if (REAL(write)(logged, line, length) < 0)
        return -1;
    return number;
}

static uint64_t inode_at(const char *path)
{
    struct stat found;
    return lstat(path, &found) ? 0 : found.st_ino;
}

static int opened(int fd, const char *path, int flags, int existed)
{
    struct stat found;
    if (fd >= 0 && (flags & (O_CREAT | O_TRUNC)) && !fstat(fd, &found) && S_ISREG(found.st_mode)) {
        if (!existed)
            note('C', found.st_ino, path, NULL);
        else if (flags & O_TRUNC)
            note('T', found.st_ino, path, NULL);
    }
    return fd;
}

#define OPEN(name, dir, args) \
    mode_t mode = 0; \
    char full[PATH_MAX] = ""; \
    int existed = 1; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, int); va_end(list); } \
    if (count && (flags & (O_CREAT | O_TRUNC))) { whole(dir, path, full); existed = inode_at(full) != 0; } \
    return opened(REAL(name) args, full, flags, existed);

int open(const char *path, int flags, ...) { OPEN(open, AT_FDCWD, (path, flags, mode)) }
int open64(const char *path, int flags, ...) { OPEN(open64, AT_FDCWD, (path, flags, mode)) }
int openat(int dir, const char *path, int flags, ...) { OPEN(openat, dir, (dir, path, flags, mode)) }
int openat64(int dir, const char *path, int flags, ...) { OPEN(openat64, dir, (dir, path, flags, mode)) }

static int synced(int fd, int done)
{
    char link[64], path[PATH_MAX], copy[PATH_MAX], data[1 << 16];
    struct stat found;
    if (!count || done || fstat(fd, &found))
        return done;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return done;
    path[length] = 0;
    if (S_ISDIR(found.st_mode)) {
        note('B', found.st_ino, path, NULL);
        return done;
    }
    int from = REAL(open)(link, O_RDONLY | O_CLOEXEC);
    int64_t number = note('S', found.st_ino, path, NULL);
    if (from < 0 || number < 0)
        return done;
    snprintf(copy, sizeof copy, "%s/%lld", place, (long long)number);
    int to = REAL(open)(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while ((length = read(from, data, sizeof data)) > 0 && REAL(write)(to, data, length) == length)
        ;
    close(from);
    close(to);
    return done;
}
int fsync(int fd) { return synced(fd, REAL(fsync)(fd)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)(fd)); }

#define TWO(name, a, from, b, to, args, what) \
    char one[PATH_MAX], two[PATH_MAX]; \
    int done = REAL(name) args; \
    if (count && !done) { whole(a, from, one); whole(b, to, two); note(what, inode_at(two), one, two); } \
    return done;
int rename(const char *from, const char *to) { TWO(rename, AT_FDCWD, from, AT_FDCWD, to, (from, to), 'R') }
int renameat(int a, const char *from, int b, const char *to) { TWO(renameat, a, from, b, to, (a, from, b, to), 'R') }
int link(const char *from, const char *to) { TWO(link, AT_FDCWD, from, AT_FDCWD, to, (from, to), 'L') }
int linkat(int a, const char *from, int b, const char *to, int flags) { TWO(linkat, a, from, b, to, (a, from, b, to, flags), 'L') }

#define ONE(name, dir, path, args, what) \
    char full[PATH_MAX]; \
    int done = REAL(name) args; \
    if (count && !done) { whole(dir, path, full); note(what, 0, full, NULL); } \
    return done;
int unlink(const char *path) { ONE(unlink, AT_FDCWD, path, (path), 'U') }
int rmdir(const char *path) { ONE(rmdir, AT_FDCWD, path, (path), 'U') }
int unlinkat(int dir, const char *path, int flags) { ONE(unlinkat, dir, path, (dir, path, flags), 'U') }
int mkdir(const char *path, mode_t mode) { ONE(mkdir, AT_FDCWD, path, (path, mode), 'M') }
int mkdirat(int dir, const char *path, mode_t mode) { ONE(mkdirat, dir, path, (dir, path, mode), 'M') }
