/* The floor of listing: readall FOLDER
 * reads every byte of FOLDER/session-.../status.json and prints how many there were. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char buffer[1 << 16];

int main(int argc, char **argv) {
    if (argc != 2) return 64;
    DIR *folder = opendir(argv[1]);
    if (!folder) return 66;
    long long bytes = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strncmp(entry->d_name, "session-", 8) != 0) continue;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s/status.json", argv[1], entry->d_name);
        int fd = open(path, O_RDONLY);
        if (fd < 0) return 66;
        for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;) bytes += got;
        close(fd);
    }
    closedir(folder);
    printf("%lld\n", bytes);
    return 0;
}
