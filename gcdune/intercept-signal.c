/* intercept-signal.c - stands in front of libc's functions that block signals or take them, so that no thread can hide
 * from being stopped, or take the stop for itself, by naming every signal there is. Only the signal that stops threads
 * is left out of what the program asks for. Not part of libgc.so.1 (see intercept.c). */
/* Thread sanitizer stands there itself, and its own start of a thread must come first: in its builds threads attach at their
 * first allocation. */
#ifndef __SANITIZE_THREAD__

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "intercept.h"
#include "options.h"

/* SET without that signal: SET itself where it is not in there, else a copy. */
static const sigset_t *without(const sigset_t *set, sigset_t *copy)
{
	if (!set || gcdune_intercept_off || sigismember(set, gcdune_options.signal) != 1)
		return set;
	*copy = *set;
	sigdelset(copy, gcdune_options.signal);
	return copy;
}

GCDUNE_INTERCEPT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	return GCDUNE_REAL(pthread_sigmask)(how, how == SIG_UNBLOCK ? set : without(set, &copy), old);
}

GCDUNE_INTERCEPT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	return GCDUNE_REAL(sigprocmask)(how, how == SIG_UNBLOCK ? set : without(set, &copy), old);
}

/* A handler that runs with every signal blocked is interrupted by a stop all the same. */
GCDUNE_INTERCEPT int sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction copy;

	if (action && signal != gcdune_options.signal && !gcdune_intercept_off) {
		copy = *action;
		sigdelset(&copy.sa_mask, gcdune_options.signal);
		action = &copy;
	}
	return GCDUNE_REAL(sigaction)(signal, action, old);
}

GCDUNE_INTERCEPT int sigsuspend(const sigset_t *set)
{
	sigset_t copy;

	return GCDUNE_REAL(sigsuspend)(without(set, &copy));
}

GCDUNE_INTERCEPT int sigwait(const sigset_t *set, int *signal)
{
	sigset_t copy;

	return GCDUNE_REAL(sigwait)(without(set, &copy), signal);
}

GCDUNE_INTERCEPT int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	sigset_t copy;

	return GCDUNE_REAL(sigwaitinfo)(without(set, &copy), info);
}

GCDUNE_INTERCEPT int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time)
{
	sigset_t copy;

	return GCDUNE_REAL(sigtimedwait)(without(set, &copy), info, time);
}

GCDUNE_INTERCEPT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *set)
{
	sigset_t copy;

	return GCDUNE_REAL(ppoll)(fds, n, time, without(set, &copy));
}

GCDUNE_INTERCEPT int pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *time, const sigset_t *set)
{
	sigset_t copy;

	return GCDUNE_REAL(pselect)(n, r, w, e, time, without(set, &copy));
}

GCDUNE_INTERCEPT int epoll_pwait(int fd, struct epoll_event *events, int n, int time, const sigset_t *set)
{
	sigset_t copy;

	return GCDUNE_REAL(epoll_pwait)(fd, events, n, time, without(set, &copy));
}

#endif
