/* Preloaded into a child process: journals what it does to the files of one folder, so that a test
 * can rebuild them as a loss of power would leave them. With a flag file it plays a full disk, for
 * those files whose path holds what is in the flag file.
 *
 * A record is {op, path length, offset, length} and then path and data:
 * C created, W written, T truncated, S synced, U unlinked, O said on standard output. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct record {
    uint32_t op, path;
    uint64_t offset, length;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static char folder[4096], full[4096];

__attribute__((constructor)) static void start(void) {
    const char *name = getenv("DURABILITY_JOURNAL");
    const char *dir = getenv("DURABILITY_FOLDER");
    const char *flag = getenv("DURABILITY_FULL");
    if (!name || !dir) return;
    snprintf(folder, sizeof folder, "%s", dir);
    snprintf(full, sizeof full, "%s", flag ? flag : "");
    journal = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void raw(const void *data, size_t length) {
    while (length > 0) {
        ssize_t done = syscall(SYS_write, journal, data, length);
        if (done <= 0) abort();
        data = (const char *)data + done;
        length -= (size_t)done;
    }
}

static void note(char op, const char *path, uint64_t offset, const void *data, uint64_t length) {
    struct record record = {(uint32_t)op, (uint32_t)strlen(path), offset, length};
    raw(&record, sizeof record);
    raw(path, record.path);
    if (data) raw(data, length);
}

/* The path below the folder, "" for the folder itself, NULL for anything else. */
static const char *below(const char *path) {
    size_t length = strlen(folder);
    if (journal < 0 || strncmp(path, folder, length)) return NULL;
    if (path[length] == 0) return path + length;
    return path[length] == '/' ? path + length + 1 : NULL;
}

static const char *of(int fd, char *buffer, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, size - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    return below(buffer);
}

static int is_full(const char *path) {
    char part[256];
    if (!full[0]) return 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, full, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return 0;
    ssize_t length = syscall(SYS_read, fd, part, sizeof part - 1);
    syscall(SYS_close, fd);
    part[length > 0 ? length : 0] = 0;
    return strstr(path, part) != NULL;
}

static ssize_t written(int fd, const void *data, size_t length, off_t offset, int positioned) {
    char buffer[4096];
    const char *path = of(fd, buffer, sizeof buffer);
    if (fd == 1 && journal >= 0) {
        pthread_mutex_lock(&mutex);
        note('O', "", 0, data, length);
        ssize_t done = syscall(SYS_write, fd, data, length);
        pthread_mutex_unlock(&mutex);
        return done;
    }
    if (path && is_full(path)) {
        errno = ENOSPC;
        return -1;
    }
    if (!path)
        return positioned ? syscall(SYS_pwrite64, fd, data, length, offset)
                          : syscall(SYS_write, fd, data, length);
    pthread_mutex_lock(&mutex);
    if (!positioned) offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = positioned ? syscall(SYS_pwrite64, fd, data, length, offset)
                              : syscall(SYS_write, fd, data, length);
    if (done > 0) note('W', path, (uint64_t)offset, data, (uint64_t)done);
    pthread_mutex_unlock(&mutex);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return written(fd, data, length, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    return written(fd, data, length, at, 1);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
    return written(fd, data, length, at, 1);
}

static int truncated(int fd, off_t size) {
    char buffer[4096];
    const char *path = of(fd, buffer, sizeof buffer);
    pthread_mutex_lock(&mutex);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (path && !result) note('T', path, (uint64_t)size, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}
int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }

static int synced(int fd, long call) {
    char buffer[4096];
    const char *path = of(fd, buffer, sizeof buffer);
    pthread_mutex_lock(&mutex);
    /* Not really synced: nothing here depends on this machine's power. */
    int result = path ? 0 : (int)syscall(call, fd);
    if (path) note('S', path, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int unlink(const char *name) {
    const char *path = below(name);
    pthread_mutex_lock(&mutex);
    int result = (int)syscall(SYS_unlink, name);
    if (path && !result) note('U', path, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

static int opened(int at, const char *name, int flags, mode_t mode) {
    const char *path = name[0] == '/' ? below(name) : NULL;
    pthread_mutex_lock(&mutex);
    int fresh = path && (flags & O_CREAT) && syscall(SYS_access, name, F_OK);
    int fd = (int)syscall(SYS_openat, at, name, flags, mode);
    if (fresh && fd >= 0) note('C', path, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return fd;
}

#define OPEN(NAME, PARAMETERS, AT)                                                                 \
    int NAME PARAMETERS {                                                                          \
        mode_t mode = 0;                                                                           \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        if (flags & (O_CREAT | __O_TMPFILE)) mode = va_arg(more, mode_t);                          \
        va_end(more);                                                                              \
        return opened(AT, name, flags, mode);                                                      \
    }
OPEN(open, (const char *name, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *name, int flags, ...), AT_FDCWD)
OPEN(openat, (int at, const char *name, int flags, ...), at)
OPEN(openat64, (int at, const char *name, int flags, ...), at)
