/* The floor: the least that a program must do to make N machines around one router on this kernel.
 *
 * For each machine: unshare() a network namespace, bind-mount it on a tmpfs, and one batch of netlink messages (veth
 * pair with one queue, lo up, address, default route); then one batch in the router (raise, proxy_arp, /32 route).
 * No library, no process, no acknowledgement but the last. Prints the milliseconds it took.
 *
 *   cc -O2 -o floor floor.c && ./floor 100
 *   ./floor 100 hold         keeps it until its standard input ends
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *buffer;
static size_t used;
static int sequence;

static void die(const char *what) { perror(what); exit(1); }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void put(const char *path, const char *value) {
    int f = open(path, O_WRONLY);
    if (f < 0 || write(f, value, strlen(value)) < 0) die(path);
    close(f);
}

static struct nlmsghdr *message(int type, int flags, const void *head, int size) {
    struct nlmsghdr *m = (void *)(buffer + used);
    memset(m, 0, NLMSG_SPACE(size));
    m->nlmsg_type = type;
    m->nlmsg_flags = flags | NLM_F_REQUEST;
    m->nlmsg_seq = ++sequence;
    memcpy(NLMSG_DATA(m), head, size);
    m->nlmsg_len = NLMSG_SPACE(size);
    return m;
}

static struct rtattr *attribute(struct nlmsghdr *m, int type, const void *data, int size) {
    struct rtattr *a = (void *)((char *)m + m->nlmsg_len);
    a->rta_type = type;
    a->rta_len = RTA_LENGTH(size);
    memset(RTA_DATA(a), 0, RTA_ALIGN(size));
    if (size) memcpy(RTA_DATA(a), data, size);
    m->nlmsg_len += RTA_SPACE(size);
    return a;
}

static void number(struct nlmsghdr *m, int type, unsigned value) { attribute(m, type, &value, 4); }
static void close_nest(struct nlmsghdr *m, struct rtattr *a) { a->rta_len = (char *)m + m->nlmsg_len - (char *)a; }
static void done(struct nlmsghdr *m) { used += NLMSG_ALIGN(m->nlmsg_len); }

static int rtnetlink(void) {
    int one = 1, size = 16 << 20, s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (s < 0) die("socket");
    setsockopt(s, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    return s;
}

/* Everything is executed inside send(); the last message asks for an acknowledgement, errors come unasked. */
static void flush(int s) {
    struct nlmsghdr *m = (void *)buffer, *last = m;
    char answer[65536];
    int left = used;
    for (; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) last = m;
    last->nlmsg_flags |= NLM_F_ACK;
    if (send(s, buffer, used, 0) != (ssize_t)used) die("send");
    left = recv(s, answer, sizeof answer, 0);
    m = (void *)answer;
    struct nlmsgerr *e = NLMSG_DATA(m);
    if (left < 0 || m->nlmsg_type != NLMSG_ERROR || e->error) { errno = -e->error; die("netlink"); }
    used = 0;
}

static void raise_link(int index) {
    struct ifinfomsg i = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    done(message(RTM_NEWLINK, 0, &i, sizeof i));
}

static unsigned address_of(int i) { return htonl(10u << 24 | 1 << 16 | (i >> 8) << 8 | (i & 255)); }

static void machine(int i, int router) {
    int s = rtnetlink();
    char name[16];
    unsigned char mac[6] = {2, 0, 0, 0, i >> 8, i}, far_mac[6] = {2, 1, 0, 0, i >> 8, i};
    struct ifinfomsg near = {.ifi_index = 2, .ifi_flags = IFF_UP, .ifi_change = IFF_UP}, far = {.ifi_index = i + 2};
    struct nlmsghdr *m = message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &near, sizeof near);
    attribute(m, IFLA_IFNAME, "eth0", 5);
    attribute(m, IFLA_ADDRESS, mac, 6);
    number(m, IFLA_NUM_TX_QUEUES, 1);
    number(m, IFLA_NUM_RX_QUEUES, 1);
    struct rtattr *info = attribute(m, IFLA_LINKINFO, 0, 0);
    attribute(m, IFLA_INFO_KIND, "veth", 4);
    struct rtattr *data = attribute(m, IFLA_INFO_DATA, 0, 0), *peer = attribute(m, VETH_INFO_PEER, 0, 0);
    memcpy((char *)m + m->nlmsg_len, &far, sizeof far);
    m->nlmsg_len += sizeof far;
    attribute(m, IFLA_IFNAME, name, snprintf(name, sizeof name, "v%d", i) + 1);
    attribute(m, IFLA_ADDRESS, far_mac, 6);
    number(m, IFLA_NUM_TX_QUEUES, 1);
    number(m, IFLA_NUM_RX_QUEUES, 1);
    number(m, IFLA_NET_NS_FD, router);
    close_nest(m, peer);
    close_nest(m, data);
    close_nest(m, info);
    done(m);
    raise_link(1);
    unsigned ip = address_of(i), gateway = (ip & htonl(0xffffff00)) | htonl(254);
    struct ifaddrmsg a = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 2};
    m = message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &a, sizeof a);
    attribute(m, IFA_LOCAL, &ip, 4);
    attribute(m, IFA_ADDRESS, &ip, 4);
    done(m);
    struct rtmsg r = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC,
                      .rtm_type = RTN_UNICAST};
    m = message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &r, sizeof r);
    attribute(m, RTA_GATEWAY, &gateway, 4);
    number(m, RTA_OIF, 2);
    done(m);
    flush(s);
    close(s);
}

static void router_port(int i) {
    struct ifinfomsg link = {.ifi_index = i + 2, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct nlmsghdr *m = message(RTM_NEWLINK, 0, &link, sizeof link);
    struct rtattr *spec = attribute(m, IFLA_AF_SPEC, 0, 0), *inet = attribute(m, AF_INET, 0, 0),
                  *conf = attribute(m, IFLA_INET_CONF, 0, 0);
    number(m, IPV4_DEVCONF_PROXY_ARP, 1);
    close_nest(m, conf);
    close_nest(m, inet);
    close_nest(m, spec);
    done(m);
    unsigned ip = address_of(i);
    struct rtmsg r = {.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_table = RT_TABLE_MAIN,
                      .rtm_protocol = RTPROT_STATIC, .rtm_scope = RT_SCOPE_LINK, .rtm_type = RTN_UNICAST};
    m = message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &r, sizeof r);
    attribute(m, RTA_DST, &ip, 4);
    number(m, RTA_OIF, i + 2);
    done(m);
}

int main(int count, char **words) {
    int machines = count > 1 ? atoi(words[1]) : 100;
    char directory[] = "/tmp/netemu-floor-XXXXXX", path[64];
    struct rlimit limit = {machines + 64, machines + 64};
    setrlimit(RLIMIT_NOFILE, &limit);
    buffer = malloc(machines * 512 + 65536);
    /* Mounts in a mount namespace of our own: everything is gone when we end. */
    if (unshare(CLONE_NEWNS) || mount("none", "/", 0, MS_PRIVATE | MS_REC, 0)) die("unshare");
    if (!mkdtemp(directory) || mount("floor", directory, "tmpfs", 0, 0)) die("tmpfs");
    double start = now();
    if (unshare(CLONE_NEWNET)) die("unshare");
    int router = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    put("/proc/sys/net/ipv4/ip_forward", "1");
    put("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    int s = rtnetlink();
    raise_link(1);
    flush(s);
    for (int i = 0; i < machines; i++) {
        if (unshare(CLONE_NEWNET)) die("unshare");
        int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        snprintf(path, sizeof path, "%s/%d", directory, i);
        close(open(path, O_CREAT | O_EXCL | O_RDONLY, 0444));
        if (mount("/proc/self/ns/net", path, 0, MS_BIND, 0)) die("mount");
        machine(i, router);
        (void)fd;
    }
    for (int i = 0; i < machines; i++) router_port(i);
    flush(s);
    printf("%.2f\n", now() - start);
    fflush(stdout);
    if (count > 2) while (read(0, path, sizeof path) > 0); /* hold it until our input ends */
    umount2(directory, MNT_DETACH);
    rmdir(directory);
    return 0;
}
