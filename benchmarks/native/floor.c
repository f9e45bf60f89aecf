/* The floor of starting tasks: floor FOLDER N P PROGRAM [ARGUMENT...]
 * runs PROGRAM N times, at most P at once, each with a new file in FOLDER as its stdout. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 5) return 64;
    int total = atoi(argv[2]), parallel = atoi(argv[3]), next = 0, running = 0;
    while (next < total || running) {
        while (next < total && running < parallel) {
            char path[PATH_MAX];
            snprintf(path, sizeof path, "%s/task-%d.jsonl", argv[1], next++);
            int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
            if (fd < 0) return 73;
            pid_t pid = fork();
            if (pid < 0) return 71;
            if (pid == 0) {
                dup2(fd, 1);
                execv(argv[4], argv + 4);
                _exit(127);
            }
            close(fd);
            running++;
        }
        int status;
        if (wait(&status) < 0 || status != 0) return 70;
        running--;
    }
    return 0;
}
