/* report.c - what the monitor says: messages, the trace (DUNE_TRACE=file), the report of a crash. No stdio: it must
 * work on any thread at any time. */
#include <stdarg.h>

#include "monitor.h"

static void put(char **at, char *end, char c)
{
	if (*at < end)
		*(*at)++ = c;
}

static void put_number(char **at, char *end, uint64_t value, unsigned base, bool negative)
{
	char digits[24];
	int n = 0;

	if (negative)
		put(at, end, '-');
	do
		digits[n++] = "0123456789abcdef"[value % base];
	while (value /= base);
	while (n)
		put(at, end, digits[--n]);
}

/* %s %d %u %x %ld %lu %lx; NUL at the end. Returns the length. */
static size_t vformat(char *to, size_t size, const char *format, va_list args)
{
	char *at = to, *end = to + size - 1;

	for (; *format; format++) {
		bool is_long = false;
		long value;

		if (*format != '%') {
			put(&at, end, *format);
			continue;
		}
		if (*++format == 'l') {
			is_long = true;
			format++;
		}
		switch (*format) {
		case 's':
			for (const char *s = va_arg(args, const char *); s && *s; s++)
				put(&at, end, *s);
			break;
		case 'd':
			value = is_long ? va_arg(args, long) : va_arg(args, int);
			put_number(&at, end, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, value < 0);
			break;
		case 'u':
		case 'x':
			put_number(&at, end, is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned),
				   *format == 'x' ? 16 : 10, false);
			break;
		default:
			put(&at, end, *format);
		}
	}
	*at = 0;
	return (size_t)(at - to);
}

size_t format(char *to, size_t size, const char *text, ...)
{
	va_list args;
	size_t n;

	va_start(args, text);
	n = vformat(to, size, text, args);
	va_end(args);
	return n;
}

void say(const char *text, ...)
{
	char line[512];
	va_list args;
	size_t n;

	va_start(args, text);
	n = vformat(line, sizeof(line), text, args);
	va_end(args);
	SYS3(write, 2, line, n);
}

void trace_call(struct thread *t, long number, const long a[6], long result)
{
	char line[256];

	if (dune.trace <= 0)
		return;
	SYS3(write, dune.trace, line,
	     format(line, sizeof(line), "%d %d call %ld(%lx, %lx, %lx, %lx, %lx, %lx) = %s%ld\n", dune.pid, t->tid,
		    number, (unsigned long)a[0], (unsigned long)a[1], (unsigned long)a[2], (unsigned long)a[3],
		    (unsigned long)a[4], (unsigned long)a[5], result == RESTART ? "again " : "",
		    result == RESTART ? 0 : result));
}

void trace_exit(struct thread *t, const char *what, uint64_t value)
{
	char line[128];

	if (dune.trace <= 0)
		return;
	SYS3(write, dune.trace, line, format(line, sizeof(line), "%d %d %s %lx at %lx\n", dune.pid, t->tid, what, value,
					     (unsigned long)t->regs->rip));
}

/* DUNE_STATISTICS=file: a line when a process ends or calls exec. */
void report_statistics(void)
{
	char line[256], name[17] = { 0 };
	struct dune_statistics *n = &dune.stats;

	if (dune.statistics <= 0)
		return;
	SYS2(prctl, 16 /* PR_GET_NAME */, name);
	SYS3(write, dune.statistics, line,
	     format(line, sizeof(line),
		    "%d %s exits %lu calls %lu faults %lu signals %lu flushes %lu slots %u vcpus %u\n",
		    (int)SYS0(getpid), name, n->exits, n->system_calls, n->faults, n->signals, n->flushes, dune.slots,
		    dune.vcpus));
	__builtin_memset(n, 0, sizeof(*n));
}

void crash_report(struct thread *t, const char *what)
{
	struct kvm_regs *r = t->regs;
	struct mapping m;

	say("dune: process %d, thread %d: %s\n", (int)SYS0(getpid), (int)SYS0(gettid), what);
	say("  rip %lx rsp %lx rflags %lx cr2 %lx\n", (long)r->rip, (long)r->rsp, (long)r->rflags,
	    *(long *)(t->vcpu->area + AREA_DATA + DATA_CR2));
	say("  rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx\n", (long)r->rax, (long)r->rbx, (long)r->rcx,
	    (long)r->rdx, (long)r->rsi, (long)r->rdi, (long)r->rbp);
	say("  r8 %lx r9 %lx r10 %lx r11 %lx r12 %lx r13 %lx r14 %lx r15 %lx\n", (long)r->r8, (long)r->r9, (long)r->r10,
	    (long)r->r11, (long)r->r12, (long)r->r13, (long)r->r14, (long)r->r15);
	for (int i = 0; i < 3; i++) {
		uintptr_t at = i == 0 ? r->rip : i == 1 ? r->rsp : *(uint64_t *)(t->vcpu->area + AREA_DATA + DATA_CR2);
		uint64_t *pte = at < USER_END ? pte_of(t->root, at, false) : NULL;

		if (at >= USER_END || maps_find(at, &m) || m.start > at)
			say("  %s %lx: nothing is mapped there", i == 0 ? "rip" : i == 1 ? "rsp" : "cr2", (long)at);
		else
			say("  %s %lx: mapping %lx-%lx %s%s%s", i == 0 ? "rip" : i == 1 ? "rsp" : "cr2", (long)at,
			    (long)m.start, (long)m.end, m.read ? "r" : "-", m.write ? "w" : "-", m.exec ? "x" : "-");
		say(", page-table entry %lx\n", pte ? (long)*pte : 0L);
	}
}

/* The vCPU cannot go on. The process ends; nothing else has noticed. */
void die(struct thread *t, const char *what)
{
	struct sys_sigaction dfl = { 0 };
	uint64_t none = 0;

	crash_report(t, what);
	say("  exit reason %d, detail %lx\n", (int)t->run->exit_reason,
	    t->run->exit_reason == KVM_EXIT_MMIO ? (long)t->run->mmio.phys_addr : (long)t->run->internal.suberror);
	sys_sigaction(SIGABRT, &dfl, NULL);
	sys_sigmask(SIG_SETMASK, &none, NULL);
	SYS3(tgkill, SYS0(getpid), SYS0(gettid), SIGABRT);
	for (;;)
		SYS1(exit_group, 134);
}
