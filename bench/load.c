/* Load: how many TCP connections a second, or how many bits, a path between two namespaces takes.
 *
 *   load accept PORT                     accepts and closes, for ever
 *   load connect ADDRESS PORT SECONDS    opens and resets one connection after the other; prints how many a second
 *   load sink PORT                       reads what comes, for ever
 *   load send ADDRESS PORT SECONDS       one connection; prints megabits a second
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char block[128 * 1024];

static void die(const char *what) { perror(what); exit(1); }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static struct sockaddr_in address(const char *host, const char *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    if (host && inet_pton(AF_INET, host, &a.sin_addr) != 1) die(host);
    return a;
}

static void serve(const char *port, int keep) {
    struct sockaddr_in a = address(0, port);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&a, sizeof a) || listen(listener, 4096)) die("listen");
    puts("ready");
    fflush(stdout);
    for (;;) {
        int s = accept(listener, 0, 0);
        while (keep && s >= 0 && read(s, block, sizeof block) > 0);
        if (s >= 0) close(s);
    }
}

static int opened(const struct sockaddr_in *a) {
    struct linger reset = {1, 0}; /* no TIME_WAIT: the ports would run out */
    int s = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (connect(s, (void *)a, sizeof *a)) die("connect");
    return s;
}

int main(int count, char **words) {
    if (count == 3 && !strcmp(words[1], "accept")) serve(words[2], 0);
    if (count == 3 && !strcmp(words[1], "sink")) serve(words[2], 1);
    if (count != 5) { fputs("load accept|sink PORT, load connect|send ADDRESS PORT SECONDS\n", stderr); return 2; }
    struct sockaddr_in a = address(words[2], words[3]);
    double start = now(), end = start + atof(words[4]), done = 0;
    if (!strcmp(words[1], "connect")) {
        for (; now() < end; done++) close(opened(&a));
    } else {
        int s = opened(&a);
        while (now() < end) {
            ssize_t sent = send(s, block, sizeof block, 0);
            if (sent < 0) die("send");
            done += sent * 8 / 1e6;
        }
        close(s);
    }
    printf("%.1f\n", done / (now() - start));
    return 0;
}
