/* output.c - which memory of the program a system call wrote. The kernel writes through its own mapping, so the
 * guest's dirty bits do not see it; mark_output sets them after the call and before the program goes on.
 *
 * For each call, the arguments that point at results and how to know their size. A call that failed has written
 * nothing (the exceptions are below), but with EFAULT nobody knows how far it came, and then all of its buffers are
 * marked. Calls whose results the monitor writes itself (guest_write) are not here; nor are those that syscall.c
 * refuses. */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/keyctl.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "monitor.h"

enum kind {
	NONE,
	FIX,	/* size bytes */
	RESULT, /* as many bytes as the call returned, at most argument `size` */
	LENGTH, /* argument `size` bytes */
	COUNT_, /* the result times size bytes */
	ADDRESS /* the word that argument `size` points at, and that many bytes, at most what there was room for */
};
struct output {
	uint8_t kind, argument;
	uint16_t size;
};

/* Two outputs each; whatever has more, or needs to look, is in special(). */
static const struct output table[512][2] = {
	[SYS_read] = { { RESULT, 1, 2 } },
	[SYS_pread64] = { { RESULT, 1, 2 } },
	[SYS_recvfrom] = { { RESULT, 1, 2 }, { ADDRESS, 4, 5 } },
	[SYS_stat] = { { FIX, 1, 144 } },
	[SYS_fstat] = { { FIX, 1, 144 } },
	[SYS_lstat] = { { FIX, 1, 144 } },
	[SYS_newfstatat] = { { FIX, 2, 144 } },
	[SYS_statx] = { { FIX, 4, 256 } },
	[SYS_statfs] = { { FIX, 1, 120 } },
	[SYS_fstatfs] = { { FIX, 1, 120 } },
	[SYS_ustat] = { { FIX, 1, 32 } },
	[SYS_pipe] = { { FIX, 0, 8 } },
	[SYS_pipe2] = { { FIX, 0, 8 } },
	[SYS_socketpair] = { { FIX, 3, 8 } },
	[SYS_getitimer] = { { FIX, 1, 32 } },
	[SYS_setitimer] = { { FIX, 2, 32 } },
	[SYS_sendfile] = { { FIX, 2, 8 } },
	[SYS_accept] = { { ADDRESS, 1, 2 } },
	[SYS_accept4] = { { ADDRESS, 1, 2 } },
	[SYS_getsockname] = { { ADDRESS, 1, 2 } },
	[SYS_getpeername] = { { ADDRESS, 1, 2 } },
	[SYS_getsockopt] = { { ADDRESS, 3, 4 } },
	[SYS_sendmmsg] = { { COUNT_, 1, 64 } },
	[SYS_waitid] = { { FIX, 2, 128 }, { FIX, 4, 144 } },
	[SYS_uname] = { { FIX, 0, 390 } },
	[SYS_getdents] = { { RESULT, 1, 2 } },
	[SYS_getdents64] = { { RESULT, 1, 2 } },
	[SYS_getcwd] = { { RESULT, 0, 1 } },
	[SYS_readlink] = { { RESULT, 1, 2 } },
	[SYS_readlinkat] = { { RESULT, 2, 3 } },
	[SYS_gettimeofday] = { { FIX, 0, 16 }, { FIX, 1, 8 } },
	[SYS_getrlimit] = { { FIX, 1, 16 } },
	[SYS_getrusage] = { { FIX, 1, 144 } },
	[SYS_sysinfo] = { { FIX, 0, 112 } },
	[SYS_times] = { { FIX, 0, 32 } },
	[SYS_syslog] = { { RESULT, 1, 2 } },
	[SYS_capget] = { { FIX, 0, 8 }, { FIX, 1, 24 } },
	[SYS_rt_sigpending] = { { LENGTH, 0, 1 } },
	[SYS_rt_sigtimedwait] = { { FIX, 1, 128 } },
	[SYS_sched_getparam] = { { FIX, 1, 4 } },
	[SYS_sched_rr_get_interval] = { { FIX, 1, 16 } },
	[SYS_sched_getattr] = { { LENGTH, 1, 2 } },
	[SYS_sched_getaffinity] = { { RESULT, 2, 1 } },
	[SYS_adjtimex] = { { FIX, 0, 208 } },
	[SYS_clock_adjtime] = { { FIX, 1, 208 } },
	[SYS_getxattr] = { { RESULT, 2, 3 } },
	[SYS_lgetxattr] = { { RESULT, 2, 3 } },
	[SYS_fgetxattr] = { { RESULT, 2, 3 } },
	[SYS_listxattr] = { { RESULT, 1, 2 } },
	[SYS_llistxattr] = { { RESULT, 1, 2 } },
	[SYS_flistxattr] = { { RESULT, 1, 2 } },
	[SYS_time] = { { FIX, 0, 8 } },
	[SYS_epoll_wait] = { { COUNT_, 1, 12 } },
	[SYS_epoll_pwait] = { { COUNT_, 1, 12 } },
	[441 /* epoll_pwait2 */] = { { COUNT_, 1, 12 } },
	[SYS_timer_create] = { { FIX, 2, 4 } },
	[SYS_timer_settime] = { { FIX, 3, 32 } },
	[SYS_timer_gettime] = { { FIX, 1, 32 } },
	[SYS_clock_gettime] = { { FIX, 1, 16 } },
	[SYS_clock_getres] = { { FIX, 1, 16 } },
	[SYS_timerfd_settime] = { { FIX, 3, 32 } },
	[SYS_timerfd_gettime] = { { FIX, 1, 32 } },
	[SYS_mq_timedreceive] = { { RESULT, 1, 2 }, { FIX, 3, 4 } },
	[SYS_mq_getsetattr] = { { FIX, 2, 64 } },
	[SYS_get_robust_list] = { { FIX, 1, 8 }, { FIX, 2, 8 } },
	[SYS_splice] = { { FIX, 1, 8 }, { FIX, 3, 8 } },
	[SYS_copy_file_range] = { { FIX, 1, 8 }, { FIX, 3, 8 } },
	[SYS_prlimit64] = { { FIX, 3, 16 } },
	[SYS_getcpu] = { { FIX, 0, 4 }, { FIX, 1, 4 } },
	[SYS_getrandom] = { { RESULT, 0, 1 } },
	[SYS_lookup_dcookie] = { { RESULT, 1, 2 } },
	[SYS_quotactl] = { { FIX, 3, 112 } },
	[451 /* cachestat */] = { { FIX, 2, 40 } },
	[457 /* statmount */] = { { LENGTH, 1, 2 } },
	[458 /* listmount */] = { { COUNT_, 1, 8 } },
	[459 /* lsm_get_self_attr */] = { { FIX, 2, 4 } },
};

static void mark(uintptr_t at, size_t length)
{
	if (at)
		pt_mark(at, length);
}

/* `left` bytes went into these buffers, in order. */
static void mark_vector(uintptr_t vector, size_t count, size_t left)
{
	struct iovec v;

	for (size_t i = 0; i < count && left; i++) {
		if (guest_read(&v, vector + i * sizeof(v), sizeof(v)))
			return;
		mark((uintptr_t)v.iov_base, MIN(left, v.iov_len));
		left -= MIN(left, v.iov_len);
	}
}

static void mark_message(uintptr_t at, size_t bytes)
{
	struct msghdr m;

	if (guest_read(&m, at, sizeof(m)))
		return;
	mark_vector((uintptr_t)m.msg_iov, m.msg_iovlen, bytes);
	mark((uintptr_t)m.msg_name, MIN(m.msg_namelen, sizeof(struct sockaddr_storage)));
	mark((uintptr_t)m.msg_control, m.msg_controllen);
	mark(at, sizeof(m));
}

static void mark_ioctl(unsigned request, uintptr_t at)
{
	/* Those without a size in their number that write; the rest of the old ones do not. */
	static const struct {
		unsigned short request, size;
	} old[] = { { 0x5401, 36 }, { 0x5405, 18 }, { 0x540f, 4 }, { 0x5411, 4 }, { 0x5413, 8 }, { 0x5415, 4 },
		    { 0x5419, 4 }, { 0x541b, 4 }, { 0x541e, 72 }, { 0x5424, 4 }, { 0x5429, 4 }, { 0x542e, 32 },
		    { 0x5432, 24 }, { 0x5456, 36 }, { 0x545c, 4 }, { 0x1260, 8 }, { 0x125e, 4 }, { 0x1263, 8 },
		    { 0x1264, 8 }, { 0x1265, 2 }, { 0x1267, 2 }, { 0x1268, 4 }, { 0x126c, 2 }, { 0x127a, 4 },
		    { 0x127c, 4 }, { 1, 4 }, { 2, 4 }, { 0x8905, 4 }, { 0x8906, 16 }, { 0x8907, 16 } };

	if (request >> 30 & 2) {
		mark(at, request >> 16 & 0x3fff);
		return;
	}
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
		if (old[i].request == request)
			mark(at, old[i].size);
	if (request >= 0x8910 && request < 0x8a00) { /* of network interfaces */
		struct {
			int length;
			uintptr_t buffer;
		} list;

		mark(at, 40);
		if (request == 0x8912 && !guest_read(&list, at, sizeof(list)) && list.length > 0)
			mark(list.buffer, (size_t)list.length);
	} else if (request >= 0x8b00 && request < 0x8c00) { /* of wireless ones */
		mark(at, 32);
	}
}

static void mark_ptrace(const long a[6])
{
	struct iovec v;

	switch (a[0]) {
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
	case PTRACE_PEEKUSER:
	case PTRACE_GETEVENTMSG:
	case PTRACE_GETSIGMASK:
		mark((uintptr_t)a[3], 8);
		break;
	case PTRACE_GETREGS:
		mark((uintptr_t)a[3], 216);
		break;
	case PTRACE_GETFPREGS:
	case 18 /* PTRACE_GETFPXREGS */:
		mark((uintptr_t)a[3], 512);
		break;
	case PTRACE_GETSIGINFO:
		mark((uintptr_t)a[3], 128);
		break;
	case PTRACE_PEEKSIGINFO:
	case 0x420e /* PTRACE_GET_SYSCALL_INFO: addr is the size */:
		mark((uintptr_t)a[3], a[0] == 0x420e ? (size_t)a[2] : 128 * 32);
		break;
	case PTRACE_GETREGSET:
	case PTRACE_SETREGSET:
		if (!guest_read(&v, (uintptr_t)a[3], sizeof(v)) && a[0] == PTRACE_GETREGSET)
			mark((uintptr_t)v.iov_base, v.iov_len);
		mark((uintptr_t)a[3], sizeof(v));
		break;
	}
}

static void mark_prctl(const long a[6])
{
	switch (a[0]) {
	case PR_GET_NAME:
		mark((uintptr_t)a[1], 16);
		break;
	case PR_GET_TID_ADDRESS:
		mark((uintptr_t)a[1], 8);
		break;
	case PR_GET_PDEATHSIG:
	case PR_GET_UNALIGN:
	case PR_GET_FPEMU:
	case PR_GET_FPEXC:
	case PR_GET_ENDIAN:
	case PR_GET_TSC:
	case PR_GET_CHILD_SUBREAPER:
		mark((uintptr_t)a[1], 4);
		break;
	}
}

static void mark_futex(const long a[6])
{
	switch (a[1] & FUTEX_CMD_MASK) {
	case FUTEX_WAKE_OP:
		mark((uintptr_t)a[4], 4);
		break;
	case FUTEX_LOCK_PI:
	case 13 /* FUTEX_LOCK_PI2 */:
	case FUTEX_TRYLOCK_PI:
	case FUTEX_UNLOCK_PI:
		mark((uintptr_t)a[0], 4);
		break;
	case FUTEX_CMP_REQUEUE_PI:
	case FUTEX_WAIT_REQUEUE_PI:
		mark((uintptr_t)a[4], 4);
		break;
	}
}

static void mark_ipc(long number, const long a[6])
{
	uintptr_t at = (uintptr_t)(number == SYS_semctl ? a[3] : a[2]);
	long command = number == SYS_semctl ? a[2] : a[1];

	command &= ~0x100L; /* IPC_64 */
	if (command == IPC_STAT || (command >= 11 && command <= 19 && number != SYS_semctl))
		mark(at, 120);
	else if (command == 3 /* IPC_INFO */)
		mark(at, 72);
	else if (number == SYS_semctl && command >= 18)
		mark(at, 104);
	else if (number == SYS_semctl && command == 13 /* GETALL */) {
		char ds[104]; /* struct semid64_ds; the number of semaphores is at 80 */

		if (!SYS4(semctl, a[0], 0, IPC_STAT, ds))
			mark(at, 2 * *(size_t *)(ds + 80));
	}
}

/* Returns whether the call is done with. */
static bool special(long number, const long a[6], long result)
{
	size_t bytes = result > 0 ? (size_t)result : result == -EFAULT ? SIZE_MAX : 0, set;

	switch (number) {
	case SYS_readv:
	case SYS_preadv:
	case SYS_preadv2:
		mark_vector((uintptr_t)a[1], (size_t)a[2], bytes);
		return true;
	case SYS_process_vm_readv:
		mark_vector((uintptr_t)a[1], (size_t)a[2], bytes);
		return true;
	case SYS_process_vm_writev:
		if (a[0] == SYS0(getpid) || a[0] == SYS0(gettid))
			mark_vector((uintptr_t)a[3], (size_t)a[4], bytes);
		return true;
	case SYS_vmsplice:
		if ((SYS3(fcntl, a[0], F_GETFL, 0) & O_ACCMODE) == O_RDONLY)
			mark_vector((uintptr_t)a[1], (size_t)a[2], bytes);
		return true;
	case SYS_recvmsg:
		if (result >= 0 || result == -EFAULT)
			mark_message((uintptr_t)a[1], bytes);
		return true;
	case SYS_recvmmsg:
		for (long i = 0; i < result; i++) {
			uint32_t length;

			if (!guest_read(&length, (uintptr_t)a[1] + 64 * (size_t)i + 56, 4))
				mark_message((uintptr_t)a[1] + 64 * (size_t)i, length);
			mark((uintptr_t)a[1] + 64 * (size_t)i, 64);
		}
		mark((uintptr_t)a[4], 16);
		return true;
	case SYS_poll:
	case SYS_ppoll:
		if (result >= 0 || result == -EFAULT)
			mark((uintptr_t)a[0], 8 * (size_t)(unsigned)a[1]);
		if (number == SYS_ppoll)
			mark((uintptr_t)a[2], 16);
		return true;
	case SYS_select:
	case SYS_pselect6:
		set = ((size_t)(unsigned)a[0] + 63) / 64 * 8;
		for (int i = 1; i < 4 && (result >= 0 || result == -EFAULT); i++)
			mark((uintptr_t)a[i], set);
		mark((uintptr_t)a[4], 16);
		return true;
	case SYS_nanosleep:
		if (result == -EINTR)
			mark((uintptr_t)a[1], 16);
		return true;
	case SYS_clock_nanosleep:
		if (result == -EINTR)
			mark((uintptr_t)a[3], 16);
		return true;
	case SYS_wait4:
		if (result > 0) {
			mark((uintptr_t)a[1], 4);
			mark((uintptr_t)a[3], 144);
		}
		return true;
	case SYS_msgrcv:
		if (result >= 0)
			mark((uintptr_t)a[1], 8 + (size_t)result);
		return true;
	case SYS_getgroups:
		if (a[0] && result > 0)
			mark((uintptr_t)a[1], 4 * (size_t)result);
		return true;
	case SYS_getresuid:
	case SYS_getresgid:
		for (int i = 0; i < 3 && !result; i++)
			mark((uintptr_t)a[i], 4);
		return true;
	case SYS_mincore:
		mark((uintptr_t)a[2], (PAGE_UP(a[1]) / PAGE));
		return true;
	case SYS_move_pages:
		mark((uintptr_t)a[4], 4 * (size_t)a[1]);
		return true;
	case SYS_get_mempolicy:
		mark((uintptr_t)a[0], 4);
		mark((uintptr_t)a[1], ((size_t)a[2] + 63) / 64 * 8);
		return true;
	case SYS_keyctl:
		if (result > 0 && (a[0] == KEYCTL_READ || a[0] == KEYCTL_DESCRIBE || a[0] == KEYCTL_GET_SECURITY))
			mark((uintptr_t)a[2], MIN((size_t)a[3], (size_t)result));
		return true;
	case SYS_name_to_handle_at: {
		uint32_t length;

		if (!guest_read(&length, (uintptr_t)a[2], 4))
			mark((uintptr_t)a[2], 8 + (result ? 0 : MIN(length, 128u)));
		mark((uintptr_t)a[3], 4);
		return true;
	}
	case SYS_fcntl:
		if (result >= 0 && (a[1] == F_GETLK || a[1] == 36 /* F_OFD_GETLK */))
			mark((uintptr_t)a[2], 32);
		else if (result >= 0 && (a[1] == 16 || a[1] == 17 || a[1] == 1035 || a[1] == 1037))
			mark((uintptr_t)a[2], 8);
		return true;
	case SYS_ioctl:
		if (result >= 0 || result == -EFAULT)
			mark_ioctl((unsigned)a[1], (uintptr_t)a[2]);
		return true;
	case SYS_prctl:
		mark_prctl(a);
		return true;
	case SYS_futex:
		mark_futex(a);
		return true;
	case SYS_ptrace:
		mark_ptrace(a);
		return true;
	case SYS_shmctl:
	case SYS_semctl:
	case SYS_msgctl:
		if (result >= 0)
			mark_ipc(number, a);
		return true;
	}
	return false;
}

/* What there was room for, of the outputs whose size the kernel overwrites: read before the call. */
uint32_t output_room(long number, const long a[6])
{
	uint32_t room = 0;

	if (number >= 0 && number < 512)
		for (int i = 0; i < 2; i++)
			if (table[number][i].kind == ADDRESS && a[table[number][i].size])
				guest_read(&room, (uintptr_t)a[table[number][i].size], sizeof(room));
	return room;
}

void mark_output(long number, const long a[6], long result, uint32_t room)
{
	if (number == dune.lose)
		return;
	if (number < 0 || number >= 512 || special(number, a, result) || (result < 0 && result != -EFAULT))
		return;
	for (int i = 0; i < 2; i++) {
		const struct output *o = &table[number][i];
		uintptr_t at = (uintptr_t)a[o->argument];
		uint32_t length = 0;

		switch (o->kind) {
		case NONE:
			return;
		case FIX:
			mark(at, o->size);
			break;
		case RESULT:
			mark(at, result < 0 ? (size_t)a[o->size] : MIN((size_t)result, (size_t)a[o->size]));
			break;
		case LENGTH:
			mark(at, (size_t)a[o->size]);
			break;
		case COUNT_:
			mark(at, result < 0 ? 0 : (size_t)result * o->size);
			break;
		case ADDRESS:
			if (!at || guest_read(&length, (uintptr_t)a[o->size], 4))
				break;
			mark((uintptr_t)a[o->size], 4);
			mark(at, MIN(room, length));
			break;
		}
	}
}
