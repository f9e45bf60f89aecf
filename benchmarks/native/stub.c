/* A `claude` that costs as little as a program can: it reads nothing, writes one valid result
 * line and exits with 0. If CPR_BENCH_FIFO names a FIFO, it first waits until whoever opened
 * that for writing closes it: a task that is there and does nothing. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const char line[] =
    "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"done\","
    "\"num_turns\":1,\"total_cost_usd\":0.001}\n";

int main(void) {
    const char *fifo = getenv("CPR_BENCH_FIFO");
    if (fifo) {
        char byte;
        int fd = open(fifo, O_RDONLY);
        if (fd < 0 || read(fd, &byte, 1) != 0) return 1;
    }
    return write(1, line, sizeof line - 1) == (ssize_t)(sizeof line - 1) ? 0 : 1;
}
