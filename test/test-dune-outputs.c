/* test-dune-outputs.c - system calls that write to the program's memory: afterwards exactly the pages whose contents
 * changed are dirty. A table of calls, each with its output inside a page and across the boundary of two; the pages
 * around are watched too. Plain stores could not give these bits: the kernel writes through its own mapping.
 *
 * And the table is complete enough to notice: each call again, in a process in which the monitor has no entry for it
 * (DUNE_LOSE), and then it must be found not to be marked.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no */
#include "dune-check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <termios.h>

enum { N = 6 };
static char *base;   /* N pages: the output is in 2, or in 2 and 3 */
static char *inputs; /* for what must not count as output */
static int file, pipes[2], sockets[2], timer, server;
static char name[64];

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	return syscall(number, a, b, c, d, e, f);
}
#define C(number, ...) call_padded(SYS_##number, __VA_ARGS__, 0, 0, 0, 0, 0)
#define call_padded(number, a, b, c, d, e, f, ...)                                                                     \
	call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static void feed(size_t length)
{
	char bytes[4096];

	memset(bytes, 'x', sizeof(bytes));
	CHECK_EQ(write(pipes[1], bytes, length), (ssize_t)length);
}

static void feed_socket(size_t length)
{
	char bytes[4096];

	memset(bytes, 'y', sizeof(bytes));
	CHECK_EQ(send(sockets[1], bytes, length, 0), (ssize_t)length);
}

static long do_read(char *o) { feed(100); return C(read, pipes[0], o, 4000); }
static long do_pread(char *o) { return C(pread64, file, o, 3000, 10); }
static long do_readv(char *o)
{
	struct iovec v[] = { { o, 10 }, { inputs, 10 }, { o + 30, 20 } };

	feed(40);
	return C(readv, pipes[0], v, 3);
}
static long do_preadv(char *o)
{
	struct iovec v[] = { { o, 5 }, { o + 20, 200 } };

	return C(preadv, file, v, 2, 0, 0);
}
static long do_recvfrom(char *o) { feed_socket(50); return C(recvfrom, sockets[0], o, 4000, 0, 0, 0); }
static long do_recvfrom_address(char *o)
{
	struct sockaddr_in to;
	socklen_t length = sizeof(to);
	int s = socket(AF_INET, SOCK_DGRAM, 0), fd = socket(AF_INET, SOCK_DGRAM, 0);
	char byte;
	long r;

	memset(&to, 0, sizeof(to));
	to.sin_family = AF_INET;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(s, (struct sockaddr *)&to, sizeof(to)) || getsockname(s, (struct sockaddr *)&to, &length) ||
	    sendto(fd, "q", 1, 0, (struct sockaddr *)&to, sizeof(to)) != 1) {
		close(s), close(fd);
		return -1000; /* no network in here */
	}
	length = 500;
	r = C(recvfrom, s, &byte, 1, 0, o, &length);
	close(s), close(fd);
	return r;
}
static long do_recvmsg(char *o)
{
	struct iovec v = { o, 30 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	feed_socket(30);
	return C(recvmsg, sockets[0], &m, 0);
}
static long do_recvmsg_control(char *o)
{
	struct iovec v = { inputs, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct cmsghdr *head = (struct cmsghdr *)control;
	long r;

	head->cmsg_len = CMSG_LEN(sizeof(int));
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	m.msg_control = control;
	m.msg_controllen = sizeof(control);
	CHECK_EQ(sendmsg(sockets[1], &m, 0), 1);
	m.msg_control = o;
	m.msg_controllen = 24;
	r = C(recvmsg, sockets[0], &m, MSG_CMSG_CLOEXEC);
	if (r == 1)
		close(*(int *)(o + CMSG_LEN(0)));
	return r;
}
static long do_recvmmsg(char *o)
{
	struct iovec v = { o, 30 };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };

	feed_socket(20);
	return C(recvmmsg, sockets[0], &m, 1, 0, 0);
}
static long do_stat(char *o) { return C(stat, "/", o); }
static long do_lstat(char *o) { return C(lstat, "/", o); }
static long do_fstat(char *o) { return C(fstat, file, o); }
static long do_newfstatat(char *o) { return C(newfstatat, AT_FDCWD, "/", o, 0); }
static long do_statx(char *o) { return C(statx, AT_FDCWD, "/", 0, 0x7ff, o); }
static long do_statfs(char *o) { return C(statfs, "/", o); }
static long do_fstatfs(char *o) { return C(fstatfs, file, o); }
static long close_two(char *o, long r)
{
	int fds[2];

	memcpy(fds, o, 8);
	if (!r)
		close(fds[0]), close(fds[1]);
	return r;
}
static long do_pipe(char *o) { return close_two(o, C(pipe, o, 0)); }
static long do_pipe2(char *o) { return close_two(o, C(pipe2, o, 0)); }
static long do_socketpair(char *o) { return close_two(o, C(socketpair, AF_UNIX, SOCK_STREAM, 0, o)); }
static long do_getitimer(char *o) { return C(getitimer, ITIMER_REAL, o); }
static long do_setitimer(char *o) { struct itimerval z = { 0 }; return C(setitimer, ITIMER_REAL, &z, o); }
static long do_sendfile(char *o)
{
	long r;

	*(long *)inputs = 0;
	memset(o, 0, 8);
	dune_dirty_take(base, N * PAGE, NULL);
	r = C(sendfile, pipes[1], file, o, 100);
	CHECK_EQ(read(pipes[0], inputs, 100), 100);
	return r;
}
static long do_getsockname(char *o) { socklen_t n = 100; return C(getsockname, server, o, &n); }
static long do_getpeername(char *o) { socklen_t n = 2; return C(getpeername, sockets[0], o, &n); }
static long do_accept(char *o)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t n = sizeof(a), m = 100;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	long r;

	CHECK(!getsockname(server, (struct sockaddr *)&a, &n));
	CHECK(!connect(fd, (struct sockaddr *)&a, n));
	r = C(accept4, server, o, &m, 0);
	close((int)r);
	close(fd);
	return r;
}
static long do_getsockopt(char *o) { socklen_t n = 4; return C(getsockopt, sockets[0], SOL_SOCKET, SO_TYPE, o, &n); }
static long do_wait4(char *o)
{
	pid_t pid = fork();

	if (!pid)
		_exit(3);
	return C(wait4, pid, o, 0, 0);
}
static long do_wait4_usage(char *o)
{
	pid_t pid = fork();

	if (!pid)
		_exit(3);
	return C(wait4, pid, 0, 0, o);
}
static long do_waitid(char *o)
{
	pid_t pid = fork();

	if (!pid)
		_exit(3);
	return C(waitid, P_PID, pid, o, WEXITED, 0);
}
static long do_uname(char *o) { return C(uname, o); }
static long do_getdents64(char *o)
{
	int fd = open("/proc/self", O_RDONLY);
	long r = C(getdents64, fd, o, 600);
	close(fd);
	return r;
}
static long do_getcwd(char *o) { return C(getcwd, o, 3000); }
static long do_readlink(char *o) { return C(readlink, "/proc/self/exe", o, 3000); }
static long do_readlinkat(char *o) { return C(readlinkat, AT_FDCWD, "/proc/self/exe", o, 10); }
static long do_gettimeofday(char *o) { return C(gettimeofday, o, 0); }
static long do_getrlimit(char *o) { return C(getrlimit, RLIMIT_CORE, o); }
static long do_prlimit64(char *o) { return C(prlimit64, 0, RLIMIT_CORE, 0, o); }
static long do_getrusage(char *o) { return C(getrusage, RUSAGE_SELF, o); }
static long do_sysinfo(char *o) { return C(sysinfo, o); }
static long do_times(char *o) { return C(times, o); }
static long do_getgroups(char *o)
{
	long r = C(getgroups, 1000, o);

	return r ? r : -1000; /* in none */
}
static long do_getresuid(char *o) { return C(getresuid, o, o + 4, o + 8); }
static long do_getresgid(char *o) { return C(getresgid, o, o + 4, o + 8); }
static long do_capget(char *o)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };

	return C(capget, &h, o);
}
static long do_rt_sigpending(char *o) { return C(rt_sigpending, o, 8); }
static long do_rt_sigprocmask(char *o) { return C(rt_sigprocmask, 0, 0, o, 8); }
static long do_rt_sigaction(char *o) { return C(rt_sigaction, SIGUSR2, 0, o, 8); }
static long do_sigaltstack(char *o) { return C(sigaltstack, 0, o); }
static long do_rt_sigtimedwait(char *o)
{
	uint64_t set = 1UL << (SIGUSR1 - 1), old;
	struct timespec t = { 5, 0 };
	long r;

	C(rt_sigprocmask, SIG_BLOCK, &set, &old, 8);
	raise(SIGUSR1);
	r = C(rt_sigtimedwait, &set, o, &t, 8);
	C(rt_sigprocmask, SIG_SETMASK, &old, 0, 8);
	return r;
}
static long do_sched_getparam(char *o) { return C(sched_getparam, 0, o); }
static long do_sched_rr_get_interval(char *o) { return C(sched_rr_get_interval, 0, o); }
static long do_sched_getattr(char *o) { return C(sched_getattr, 0, o, 48, 0); }
static long do_sched_getaffinity(char *o) { return C(sched_getaffinity, 0, 1024, o); }
static long do_adjtimex(char *o) { memset(o, 0, 208); dune_dirty_take(base, N * PAGE, NULL); return C(adjtimex, o); }
static long do_time(char *o) { return C(time, o); }
static long do_epoll_wait(char *o)
{
	int e = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLOUT, .data.u64 = 5 };
	long r;

	epoll_ctl(e, EPOLL_CTL_ADD, pipes[1], &event);
	r = C(epoll_wait, e, o, 10, 1000);
	close(e);
	return r;
}
static long do_epoll_pwait(char *o)
{
	int e = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLOUT, .data.u64 = 5 };
	uint64_t mask = 0;
	long r;

	epoll_ctl(e, EPOLL_CTL_ADD, pipes[1], &event);
	r = C(epoll_pwait, e, o, 10, 1000, &mask, 8);
	close(e);
	return r;
}
static long do_poll(char *o)
{
	struct pollfd p[4] = { { pipes[1], POLLOUT, 77 }, { pipes[1], POLLOUT, 77 }, { pipes[1], POLLOUT, 77 },
			       { pipes[1], POLLOUT, 77 } };

	memcpy(o, p, sizeof(p));
	dune_dirty_take(base, N * PAGE, NULL);
	return C(poll, o, 4, 1000);
}
static long do_select(char *o)
{
	memset(o, 0xff, 16);
	dune_dirty_take(base, N * PAGE, NULL);
	/* Of 128 descriptors only a few are open: EBADF writes nothing. */
	CHECK(C(select, 128, 0, o, 0, 0) < 0);
	CHECK_EQ(dune_dirty_take(base, N * PAGE, NULL), 0);
	memset(o, 0, 16);
	o[pipes[1] / 8] = (char)(1 << pipes[1] % 8 | 0);
	((uint64_t *)o)[1] = 0;
	dune_dirty_take(base, N * PAGE, NULL);
	dune_dirty_set(base, 1); /* the words may hold what they held: this case only checks that nothing goes wrong */
	dune_dirty_take(base, N * PAGE, NULL);
	return -1000;
}
static long do_timer_create(char *o)
{
	struct sigevent e = { .sigev_notify = SIGEV_NONE };
	long r = C(timer_create, CLOCK_MONOTONIC, &e, o);

	if (!r)
		syscall(SYS_timer_delete, *(int *)o);
	return r;
}
static long do_timerfd_gettime(char *o) { return C(timerfd_gettime, timer, o); }
static long do_timerfd_settime(char *o) { struct itimerspec z = { 0 }; return C(timerfd_settime, timer, 0, &z, o); }
static long do_clock_gettime(char *o) { return C(clock_gettime, CLOCK_REALTIME, o); }
static long do_clock_getres(char *o) { return C(clock_getres, CLOCK_REALTIME, o); }
static volatile int alarms;
static void on_alarm(int sig) { alarms++; }
static long stop_alarm(bool interrupted)
{
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	return interrupted ? 0 : -1;
}

static long do_nanosleep(char *o)
{
	struct timespec t = { 30, 0 };
	struct itimerval alarm_at = { { 0, 20000 }, { 0, 20000 } };

	setitimer(ITIMER_REAL, &alarm_at, NULL);
	return stop_alarm(C(nanosleep, &t, o) < 0 && errno == EINTR);
}
static long do_clock_nanosleep(char *o)
{
	struct timespec t = { 30, 0 };
	struct itimerval alarm_at = { { 0, 20000 }, { 0, 20000 } };

	setitimer(ITIMER_REAL, &alarm_at, NULL);
	return stop_alarm(C(clock_nanosleep, CLOCK_MONOTONIC, 0, &t, o) < 0 && errno == EINTR);
}
static long do_get_robust_list(char *o) { long n; return C(get_robust_list, 0, o, &n); }
static long do_splice(char *o)
{
	long r;

	memset(o, 0, 8);
	dune_dirty_take(base, N * PAGE, NULL);
	r = C(splice, file, o, pipes[1], 0, 100, 0);
	CHECK_EQ(read(pipes[0], inputs, 100), 100);
	return r;
}
static long do_getcpu(char *o) { return C(getcpu, o, o + 4, 0); }
static long do_getrandom(char *o) { return C(getrandom, o, 33, 0); }
static long do_process_vm_readv(char *o)
{
	struct iovec to[] = { { o, 20 } }, from[] = { { inputs, 20 } };

	memset(inputs, 7, 20);
	return C(process_vm_readv, getpid(), to, 1, from, 1, 0);
}
static long do_process_vm_writev(char *o)
{
	struct iovec to[] = { { o, 20 } }, from[] = { { inputs, 20 } };

	memset(inputs, 7, 20);
	return C(process_vm_writev, getpid(), from, 1, to, 1, 0);
}
static long do_mincore(char *o) { return C(mincore, base, PAGE * N, o) ; }
static long do_fcntl_getlk(char *o)
{
	struct flock l = { .l_type = F_WRLCK };

	memcpy(o, &l, sizeof(l));
	dune_dirty_take(base, N * PAGE, NULL);
	return C(fcntl, file, F_GETLK, o);
}
static long do_fionread(char *o) { return C(ioctl, pipes[0], FIONREAD, o); }
static long do_prctl_name(char *o) { return C(prctl, PR_GET_NAME, o); }
static long do_futex_wake_op(char *o)
{
	memset(o, 0, 4);
	dune_dirty_take(base, N * PAGE, NULL);
	return C(futex, inputs, FUTEX_WAKE_OP, 0, 0, o, FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_EQ, 0));
}
static long do_shmctl(char *o)
{
	int id = shmget(IPC_PRIVATE, 4096, 0600);
	long r = id < 0 ? -1000 : C(shmctl, id, IPC_STAT, o);

	if (id >= 0)
		shmctl(id, IPC_RMID, NULL);
	return r;
}
static long do_semctl(char *o)
{
	int id = semget(IPC_PRIVATE, 8, 0600);
	long r = id < 0 ? -1000 : C(semctl, id, 0, GETALL, o);

	if (id >= 0)
		semctl(id, 0, IPC_RMID);
	return r;
}
static long do_msgrcv(char *o)
{
	struct {
		long type;
		char text[50];
	} m = { 1, "text" };
	int id = msgget(IPC_PRIVATE, 0600);
	long r = -1000;

	if (id < 0)
		return r;
	if (!msgsnd(id, &m, sizeof(m.text), 0))
		r = C(msgrcv, id, o, 100, 0, 0);
	msgctl(id, IPC_RMID, NULL);
	return r;
}
static long do_name_to_handle_at(char *o)
{
	int id;

	*(int *)o = 8;
	dune_dirty_take(base, N * PAGE, NULL);
	C(name_to_handle_at, AT_FDCWD, "/proc", o, &id, 0);
	return -1000; /* file systems differ in what they say */
}
static long do_set_tid(char *o)
{
	long r;

	/* A thread's ids: CLONE_PARENT_SETTID and CHILD_SETTID are libc's at every pthread_create; this is the fork. */
	r = syscall(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, 0, o, 0, 0);
	if (!r)
		_exit(0);
	wait(NULL);
	return r;
}

/* ---- Those that not every kernel, file system or sandbox has: -1000 where they are refused ---- */

static long or_none(long r)
{
	return r < 0 ? -1000 : r;
}
static long do_getdents(char *o)
{
	int fd = open("/proc/self", O_RDONLY);
	long r = C(getdents, fd, o, 600);
	close(fd);
	return r;
}
static long do_clock_adjtime(char *o)
{
	memset(o, 0, 208);
	dune_dirty_take(base, N * PAGE, NULL);
	return or_none(C(clock_adjtime, CLOCK_REALTIME, o));
}
static long do_epoll_pwait2(char *o)
{
	int e = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLOUT, .data.u64 = 5 };
	struct timespec t = { 1, 0 };
	long r;

	epoll_ctl(e, EPOLL_CTL_ADD, pipes[1], &event);
	r = call(441, e, (long)o, 10, (long)&t, 0, 8);
	close(e);
	return or_none(r);
}
static long with_timer(char *o, bool set)
{
	struct sigevent e = { .sigev_notify = SIGEV_NONE };
	struct itimerspec z = { 0 };
	int id;
	long r;

	CHECK(!C(timer_create, CLOCK_MONOTONIC, &e, &id));
	r = set ? C(timer_settime, id, 0, &z, o) : C(timer_gettime, id, o);
	C(timer_delete, id);
	return r;
}
static long do_timer_settime(char *o) { return with_timer(o, true); }
static long do_timer_gettime(char *o) { return with_timer(o, false); }
static long do_copy_file_range(char *o)
{
	int to = (int)C(memfd_create, "to", 0);
	long r;

	memset(o, 0, 8);
	dune_dirty_take(base, N * PAGE, NULL);
	r = C(copy_file_range, file, o, to, 0, 100, 0);
	close(to);
	return or_none(r);
}
static long with_queue(char *o, bool attributes)
{
	struct mq_attr a = { .mq_maxmsg = 1, .mq_msgsize = 100 };
	int q = (int)C(mq_open, "dune-outputs", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &a);
	long r;

	if (q < 0)
		return -1000;
	C(mq_unlink, "dune-outputs");
	CHECK(!C(mq_timedsend, q, "message", 7, 1, 0));
	r = attributes ? C(mq_getsetattr, q, 0, o) : C(mq_timedreceive, q, o, 100, 0, 0);
	close(q);
	return r;
}
static long do_mq_timedreceive(char *o) { return with_queue(o, false); }
static long do_mq_getsetattr(char *o) { return with_queue(o, true); }
static bool has_attribute(void) { return !C(fsetxattr, file, "user.dune", "value", 5, 0); }
static char *path(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "/proc/self/fd/%d", file);
	return text;
}
static long do_getxattr(char *o) { return has_attribute() ? or_none(C(getxattr, path(), "user.dune", o, 100)) : -1000; }
static long do_lgetxattr(char *o) { return or_none(C(lgetxattr, "/proc/self/exe", "security.selinux", o, 100)); }
static long do_fgetxattr(char *o) { return has_attribute() ? C(fgetxattr, file, "user.dune", o, 100) : -1000; }
static long do_listxattr(char *o) { return has_attribute() ? or_none(C(listxattr, path(), o, 100)) : -1000; }
static long do_llistxattr(char *o) { return or_none(C(llistxattr, "/", o, 100)) > 0 ? 0 : -1000; }
static long do_flistxattr(char *o) { return has_attribute() ? C(flistxattr, file, o, 100) : -1000; }
static long do_preadv2(char *o)
{
	struct iovec v[] = { { o, 5 }, { o + 20, 200 } };

	return C(preadv2, file, v, 2, 0, 0, 0);
}
static long do_ppoll(char *o)
{
	struct pollfd p[4] = { { pipes[1], POLLOUT, 77 }, { pipes[1], POLLOUT, 77 }, { pipes[1], POLLOUT, 77 },
			       { pipes[1], POLLOUT, 77 } };
	uint64_t mask = 0;

	memcpy(o, p, sizeof(p));
	dune_dirty_take(base, N * PAGE, NULL);
	return C(ppoll, o, 4, 0, &mask, 8);
}
/* Of two descriptors asked for one is ready: both words of the set are written, the first changes. */
static long do_pselect6(char *o)
{
	int low = pipes[0] < pipes[1] ? pipes[0] : pipes[1], high = low == pipes[0] ? pipes[1] : pipes[0];

	memset(o, 0, 8);
	o[low / 8] = (char)(o[low / 8] | 1 << low % 8);
	o[high / 8] = (char)(o[high / 8] | 1 << high % 8);
	if (((uintptr_t)o & (PAGE - 1)) > PAGE - 8)
		return -1000; /* which of two pages changes depends on the numbers */
	dune_dirty_take(base, N * PAGE, NULL);
	return C(pselect6, high + 1, 0, o, 0, 0, 0);
}
static long do_get_mempolicy(char *o) { return or_none(C(get_mempolicy, o, 0, 0, 0, 0)); }
static long do_sendmmsg(char *o)
{
	struct iovec v = { inputs, 5 };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 }, .msg_len = 77 };
	char rest[16];
	long r;

	if (((uintptr_t)o & (PAGE - 1)) > PAGE - 64)
		o -= 56 - 2; /* what is written, its length, lies across the pages */
	memcpy(o, &m, sizeof(m));
	dune_dirty_take(base, N * PAGE, NULL);
	r = C(sendmmsg, sockets[1], o, 1, 0);
	CHECK_EQ(recv(sockets[0], rest, sizeof(rest), 0), 5);
	return ((uintptr_t)o & (PAGE - 1)) > PAGE - 64 ? -1000 : r;
}
static long do_accept_old(char *o)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t n = sizeof(a), m = 100;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	long r;

	CHECK(!getsockname(server, (struct sockaddr *)&a, &n));
	CHECK(!connect(fd, (struct sockaddr *)&a, n));
	r = C(accept, server, o, &m);
	close((int)r);
	close(fd);
	return r;
}
static long do_msgctl(char *o)
{
	int id = msgget(IPC_PRIVATE, 0600);
	long r = id < 0 ? -1000 : C(msgctl, id, IPC_STAT, o);

	if (id >= 0)
		msgctl(id, IPC_RMID, NULL);
	return r;
}
static long do_cachestat(char *o)
{
	uint64_t range[2] = { 0, 8192 };

	return or_none(call(451, file, (long)range, (long)o, 0, 0, 0));
}

static const struct {
	const char *name;
	long (*fn)(char *);
	long number; /* whose entry marks it; -1: none does, or not always */
} cases[] = {
#define T(x) { #x, do_##x, SYS_##x }
#define T2(x, number) { #x, do_##x, number }
	T(read),
	T2(pread, SYS_pread64),
	T(readv),
	T(preadv),
	T(recvfrom),
	T2(recvfrom_address, SYS_recvfrom),
	T(recvmsg),
	T2(recvmsg_control, SYS_recvmsg),
	T(recvmmsg),
	T(stat),
	T(lstat),
	T(fstat),
	T(newfstatat),
	T(statx),
	T(statfs),
	T(fstatfs),
	T(pipe),
	T(pipe2),
	T(socketpair),
	T(getitimer),
	T(setitimer),
	T(sendfile),
	T(getsockname),
	T(getpeername),
	T2(accept, SYS_accept4),
	T(getsockopt),
	T(wait4),
	T2(wait4_usage, SYS_wait4),
	T(waitid),
	T(uname),
	T(getdents64),
	T(getcwd),
	T(readlink),
	T(readlinkat),
	T(gettimeofday),
	T(getrlimit),
	T(prlimit64),
	T(getrusage),
	T(sysinfo),
	T(times),
	T(getgroups),
	T(getresuid),
	T(getresgid),
	T(capget),
	T(rt_sigpending),
	T2(rt_sigprocmask, -1),
	T2(rt_sigaction, -1),
	T2(sigaltstack, -1),
	T(rt_sigtimedwait),
	T(sched_getparam),
	T(sched_rr_get_interval),
	T(sched_getattr),
	T(sched_getaffinity),
	T(adjtimex),
	T(time),
	T(epoll_wait),
	T(epoll_pwait),
	T(poll),
	T2(select, -1),
	T(timer_create),
	T(timerfd_gettime),
	T(timerfd_settime),
	T(clock_gettime),
	T(clock_getres),
	T(nanosleep),
	T(clock_nanosleep),
	T(get_robust_list),
	T(splice),
	T(getcpu),
	T(getrandom),
	T(process_vm_readv),
	T(process_vm_writev),
	T(mincore),
	T2(fcntl_getlk, SYS_fcntl),
	T2(fionread, SYS_ioctl),
	T2(prctl_name, SYS_prctl),
	T2(futex_wake_op, SYS_futex),
	T(shmctl),
	T2(semctl, SYS_semctl),
	T(msgrcv),
	T2(name_to_handle_at, -1),
	T2(set_tid, -1),
	T(getdents),
	T(clock_adjtime),
	T2(epoll_pwait2, 441),
	T(timer_settime),
	T(timer_gettime),
	T(copy_file_range),
	T(mq_timedreceive),
	T(mq_getsetattr),
	T(getxattr),
	T(lgetxattr),
	T(fgetxattr),
	T(listxattr),
	T(llistxattr),
	T(flistxattr),
	T(preadv2),
	T(ppoll),
	T(pselect6),
	T(get_mempolicy),
	T(sendmmsg),
	T2(accept_old, SYS_accept),
	T(msgctl),
	T2(cachestat, 451),
};

/* How many pages are wrong; -1000: nothing to say. */
static int run_case(size_t i, int across)
{
	static char copy[N * PAGE];
	char *out = across ? base + 3 * PAGE - 4 : base + 2 * PAGE + 128;
	uint64_t bits = 0;
	long result;
	int bad = 0;

	memset(base, 0xa5, N * PAGE);
	memcpy(copy, base, N * PAGE);
	dune_dirty_take(base, N * PAGE, NULL);
	result = cases[i].fn(out);
	dune_dirty_take(base, N * PAGE, &bits);
	if (result == -1000)
		return -1000;
	if (result < 0) {
		dprintf(2, "%s: failed, errno %d\n", cases[i].name, errno);
		return 1;
	}
	for (int page = 0; page < N; page++) {
		bool changed = memcmp(base + page * PAGE, copy + page * PAGE, PAGE);
		bool dirty = bits >> page & 1;

		if (changed != dirty) {
			dprintf(2, "%s%s: page %d is %schanged and %sdirty\n", cases[i].name,
				across ? ", across pages" : "", page, changed ? "" : "not ", dirty ? "" : "not ");
			bad++;
		}
	}
	return bad;
}

static void set_up(void)
{
	static char content[8192];
	struct sigaction action = { .sa_handler = on_alarm };
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	enter_or_skip();
	base = map_pages(N);
	inputs = map_pages(1);
	dune_dirty_track(base, N * PAGE);
	sigaction(SIGALRM, &action, NULL);
	snprintf(name, sizeof(name), "/tmp/dune-outputs.%d", getpid());
	file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(file >= 0);
	unlink(name);
	memset(content, 'f', sizeof(content));
	CHECK_EQ(write(file, content, sizeof(content)), (ssize_t)sizeof(content));
	CHECK(!pipe(pipes) && !socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
	timer = timerfd_create(CLOCK_MONOTONIC, 0);
	server = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!bind(server, (struct sockaddr *)&address, sizeof(sa_family_t)) && !listen(server, 5));
}

/* In a process of its own, with no entry for the call in the monitor's table: 2: not noticed. */
static int without_entry(size_t i)
{
	char number[24];
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		int null = open("/dev/null", O_WRONLY), result;

		snprintf(number, sizeof(number), "%ld", cases[i].number);
		setenv("DUNE_LOSE", number, 1);
		dup2(null, 2);
		set_up();
		result = run_case(i, 0);
		_exit(result == -1000 ? 77 : result ? 1 : 2);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

int main(void)
{
	int done = 0, lost = 0, bad = 0, result;

	/* Before this process enters. Under dune-run it is in Dune mode already, and its children too. */
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases) && !getenv("DUNE_SMALL") && !dune_is_active(); i++) {
		if (cases[i].number < 0)
			continue;
		result = without_entry(i);
		if (result == 77)
			continue;
		lost++;
		if (result != 1) {
			dprintf(2, "%s: that its entry is missing was not noticed (%d)\n", cases[i].name, result);
			bad++;
		}
	}
	set_up();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (int across = 0; across < 2; across++) {
			result = run_case(i, across);
			done += result != -1000;
			bad += result == -1000 ? 0 : result;
		}
	printf("%d calls, %d entries missed, %d wrong\n", done, lost, bad);
	return bad != 0;
}
